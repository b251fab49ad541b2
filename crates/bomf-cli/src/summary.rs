//! Results as text for people.

use crate::table::{Table, score, value};
use bomf::study::{Finetune, Method, Results, Scores, Stage1};

/// The comparison of all methods and what came out.
pub fn results(results: &Results, files: &[String]) -> String {
    let objectives: Vec<&str> = results
        .objectives
        .iter()
        .map(|objective| objective.name.as_str())
        .collect();
    let mut table = Table::default();
    let mut head = vec!["method".to_string()];
    head.extend(objectives.iter().map(|name| format!("select {name}")));
    head.extend(objectives.iter().map(|name| format!("report {name}")));
    head.extend(["evaluations".into(), "seconds".into()]);
    table.row(head);
    for method in &results.methods {
        let mut row = vec![method.name.as_str().to_string()];
        row.extend(
            objectives
                .iter()
                .map(|name| score(method.select.get(*name))),
        );
        row.extend(objectives.iter().map(|name| with_interval(method, name)));
        row.push(method.evaluations.to_string());
        row.push(format!("{:.1}", method.seconds));
        table.row(row);
    }
    // A program that evaluates says nothing of its examples.
    let splits = &results.splits;
    let examples = match splits.select {
        0 => String::new(),
        select => format!(
            "{} train, {select} select, {} report examples; ",
            splits.train, splits.report
        ),
    };
    format!(
        "{}: {examples}{} members; seed {}; {:.0} s, {:.0} MB\n\n{table}\n{}\n\n{}",
        results.task,
        results.finetune.members.len(),
        results.seed,
        results.seconds.total,
        results.peak_rss_mb,
        bomf_report::verdict(results),
        files.join("\n"),
    )
}

/// "0.8360 [0.818, 0.853]": the report score with its 95 % interval.
fn with_interval(method: &Method, name: &str) -> String {
    let score = score(method.report.get(name));
    match method.report_interval.get(name) {
        Some([low, high]) if low.is_finite() && high.is_finite() => {
            format!("{score} [{low:.3}, {high:.3}]")
        }
        _ => score,
    }
}

/// The trials of stage 1 and their winner.
pub fn stage1(stage1: &Stage1) -> String {
    let mut table = Table::default();
    let names: Vec<&String> = stage1.best.keys().collect();
    let mut head = vec!["trial".to_string()];
    head.extend(names.iter().map(|name| name.to_string()));
    head.extend(["value".into(), "seconds".into()]);
    table.row(head);
    for (number, trial) in stage1.trials.iter().enumerate() {
        let mut row = vec![number.to_string()];
        row.extend(
            names
                .iter()
                .map(|name| trial.parameters.get(*name).map_or("-".into(), value)),
        );
        row.push(match (trial.value, trial.pruned) {
            (None, _) => "failed".into(),
            (Some(value), false) => score(Some(&value)),
            (Some(value), true) => format!("{} (stopped early)", score(Some(&value))),
        });
        row.push(format!("{:.1}", trial.seconds));
        table.row(row);
    }
    let best: Vec<String> = stage1
        .best
        .iter()
        .map(|(name, best)| format!("{name} {}", value(best)))
        .collect();
    let light = match stage1.lora_r {
        Some(r) => format!("adapters of rank {r}"),
        None => format!(
            "{} of {} layers frozen",
            stage1.frozen_layers, stage1.layers
        ),
    };
    format!("{light}\n\n{table}\nbest: {}", best.join(", "))
}

/// The members of a fine-tuning run.
pub fn finetune(finetune: &Finetune) -> String {
    let mut table = Table::default();
    let names: Vec<&String> = finetune
        .members
        .first()
        .map(|member| member.select.keys().collect())
        .unwrap_or_default();
    let mut head = vec!["member".to_string()];
    head.extend(names.iter().map(|name| format!("select {name}")));
    table.row(head);
    for member in &finetune.members {
        let mut row = vec![member.path.clone()];
        row.extend(names.iter().map(|name| score(member.select.get(*name))));
        table.row(row);
    }
    format!(
        "{} steps, best at {}\n\n{table}",
        finetune.steps, finetune.best_step
    )
}

/// Scores of one model.
pub fn scores(scores: &Scores) -> String {
    let mut table = Table::default();
    for (name, value) in scores {
        table.row([name.clone(), score(Some(value))]);
    }
    table.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_a_small_run_reads_well() {
        let json = include_str!("../tests/fixtures/results.json");
        let small: Results = serde_json::from_str(json).unwrap();
        let files = ["report  out/report.html".to_string()];
        insta::assert_snapshot!("results", results(&small, &files));
        insta::assert_snapshot!("stage1", stage1(&small.stage1));
        insta::assert_snapshot!("finetune", finetune(&small.finetune));
        insta::assert_snapshot!("scores", scores(&small.methods[0].report));
    }
}
