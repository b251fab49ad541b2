//! One table of everything (RFC 4180), a row a trial, an intermediate value of a trial, an
//! evaluation along a fine-tuning run, a mixture, or a method.

use crate::{Event, MethodName, Record, Scores, State};
use indexmap::IndexSet;
use serde_json::Value;

/// The columns that every table has, before those of hyperparameters, scores and weights.
const FIXED: [&str; 9] = [
    "record", "method", "run", "number", "step", "split", "state", "value", "seconds",
];

/// A row, by column.
type Row = Vec<(String, String)>;

/// A record as one table.
///
/// The column `record` says what a row is: `trial`, `trial_value` (of the trial with this
/// `number`), `finetune`, `evaluation` or `method`. Hyperparameters are in columns
/// `param.NAME`, scores in `score.NAME`, a training loss in `train_loss`, standard errors in
/// `std_error.NAME`, the weight of member I in `weight.I`, weights by block in
/// `weight.BLOCK.I`. A method has a row for each split.
pub fn csv(record: &Record) -> String {
    let rows = rows(record);
    let mut columns: IndexSet<&str> = FIXED.into_iter().collect();
    // Grouped by kind, within that as they come.
    for kind in ["param.", "train_loss", "score.", "std_error.", "weight."] {
        let names = rows.iter().flatten().map(|(name, _)| name.as_str());
        columns.extend(names.filter(|name| name.starts_with(kind)));
    }
    let mut text = String::new();
    line(&mut text, columns.iter().copied());
    let mut cells = vec![""; columns.len()];
    for row in &rows {
        cells.fill("");
        for (name, value) in row {
            if let Some(at) = columns.get_index_of(name.as_str()) {
                cells[at] = value;
            }
        }
        line(&mut text, cells.iter().copied());
    }
    text
}

fn line<'a>(text: &mut String, cells: impl Iterator<Item = &'a str>) {
    for (at, cell) in cells.enumerate() {
        if at > 0 {
            text.push(',');
        }
        match cell.contains([',', '"', '\n', '\r']) {
            true => text.extend(["\"", &cell.replace('"', "\"\""), "\""]),
            false => text.push_str(cell),
        }
    }
    text.push_str("\r\n");
}

fn rows(record: &Record) -> Vec<Row> {
    let mut rows = Vec::new();
    for trial in &record.trials {
        let number = trial.number.to_string();
        let mut row = begin("trial");
        row.push(("number".into(), number.clone()));
        row.push(("step".into(), trial.step.to_string()));
        row.push(("split".into(), "select".into()));
        row.push(("state".into(), state(trial.state)));
        row.extend(trial.value.and_then(|v| finite("value", v)));
        row.extend(finite("seconds", trial.seconds));
        for (name, value) in &trial.parameters {
            row.push((format!("param.{name}"), plain(value)));
        }
        row.extend(scores("score", &trial.scores));
        rows.push(row);
        for point in &trial.curve {
            let mut row = begin("trial_value");
            row.push(("number".into(), number.clone()));
            row.push(("step".into(), point.step.to_string()));
            row.push(("split".into(), "select".into()));
            row.extend(finite("train_loss", point.train_loss));
            row.extend(scores("score", &point.select));
            rows.push(row);
        }
    }
    for event in &record.events {
        if let Event::Finetune {
            run,
            step,
            train_loss,
            scores: on_select,
            ..
        } = event
        {
            let mut row = begin("finetune");
            row.push(("run".into(), run.unwrap_or(1).to_string()));
            row.push(("step".into(), step.to_string()));
            row.push(("split".into(), "select".into()));
            row.extend(finite("train_loss", *train_loss));
            row.extend(scores("score", on_select));
            rows.push(row);
        }
    }
    for evaluation in &record.evaluations {
        let mut row = begin("evaluation");
        row.push(("method".into(), evaluation.method.clone()));
        row.push(("number".into(), evaluation.number.to_string()));
        row.push(("split".into(), "select".into()));
        row.push(("state".into(), state(evaluation.state)));
        row.extend(finite("seconds", evaluation.seconds));
        row.extend(scores("score", &evaluation.scores));
        row.extend(scores("std_error", &evaluation.std_errors));
        row.extend(weights(
            &evaluation.weights,
            evaluation.block_weights.as_ref(),
        ));
        rows.push(row);
    }
    for method in record.results.iter().flat_map(|results| &results.methods) {
        for (split, on_split) in [("select", &method.select), ("report", &method.report)] {
            let mut row = begin("method");
            row.push(("method".into(), MethodName::as_str(method.name).into()));
            row.push(("split".into(), split.into()));
            row.push(("number".into(), method.evaluations.to_string()));
            row.extend(finite("seconds", method.seconds));
            row.extend(scores("score", on_split));
            let own = method.weights.as_deref().unwrap_or_default();
            row.extend(weights(own, method.block_weights.as_ref()));
            rows.push(row);
        }
    }
    rows
}

fn begin(record: &str) -> Row {
    vec![("record".into(), record.into())]
}

fn state(state: State) -> String {
    match state {
        State::Complete => "complete".into(),
        State::Pruned => "pruned".into(),
        State::Failed => "failed".into(),
    }
}

/// A cell of a number, in the shortest form that reads back to it.
fn finite(column: &str, value: f64) -> Option<(String, String)> {
    let is_finite = value.is_finite();
    is_finite.then(|| (column.into(), format!("{value:?}")))
}

fn scores(kind: &str, scores: &Scores) -> Vec<(String, String)> {
    let cell = |(name, value): (&String, &f64)| finite(&format!("{kind}.{name}"), *value);
    scores.iter().filter_map(cell).collect()
}

fn weights(mean: &[f64], blocks: Option<&crate::BlockWeights>) -> Vec<(String, String)> {
    let of = |prefix: String, weights: &[f64]| -> Vec<(String, String)> {
        let cell = |(i, w): (usize, &f64)| finite(&format!("{prefix}{i}"), *w);
        weights.iter().enumerate().filter_map(cell).collect()
    };
    let mut cells = of("weight.".into(), mean);
    for (block, own) in blocks.into_iter().flatten() {
        cells.extend(of(format!("weight.{block}."), own));
    }
    cells
}

/// Text without its quotes, everything else as JSON.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}
