//! What a trainer reports: JSON objects, one a line, in a file or on its output.
//!
//! A line has a `step`; what it has of the objectives (`eval_accuracy`, or `accuracy`) makes
//! it an evaluation on the select split, and `loss` or `train_loss` is the training loss.
//! These are the names of the Hugging Face `Trainer`'s own logs. Of several evaluations at
//! one step the last counts: a trainer that goes on from a checkpoint makes some again.

use crate::pipeline::external::{EvaluatorFault as Fault, metrics};
use bomf_study::{CurvePoint, Scores};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::Path;

/// What a line on the trainer's output begins with when it is a report.
pub(super) const PREFIX: &str = "bomf: ";

/// What the evaluation's metrics begin with in the logs of the Hugging Face `Trainer`.
const EVAL: &str = "eval_";

/// The training loss, and the objective of that name, which is another thing.
const LOSS: &str = "loss";
const TRAIN_LOSS: &str = "train_loss";

/// Passes over the data, in the logs of the Hugging Face `Trainer`.
const EPOCH: &str = "epoch";

/// What stands in the line in which the Hugging Face `Trainer` sums a run up.
const SUMMARY: &str = "train_runtime";

/// The longest line that is looked at: reports are short.
const MAX_LINE: usize = 1 << 20;

/// What a trainer has reported.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Reports {
    /// Evaluations with finite scores, by step, with the mean training loss since the one
    /// before.
    pub curve: Vec<CurvePoint>,
    /// Passes over the data that were made by each of them, where that was reported.
    pub epochs: Vec<Option<f64>>,
    /// The last step that was told of.
    pub last_step: u64,
    /// Whether an evaluation had a score that was no finite number.
    pub has_failed: bool,
}

/// Reads the lines of a file from a place on. Of the trainer's output only those that begin
/// with [`PREFIX`] are reports.
pub(super) fn lines(path: &Path, from: u64, is_output: bool) -> Result<Vec<String>, Fault> {
    let unreadable = |source| Fault::Unreadable { source };
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(error)),
    };
    file.seek(SeekFrom::Start(from)).map_err(unreadable)?;
    let mut reader = BufReader::new(file);
    let (mut reports, mut bytes) = (Vec::new(), Vec::new());
    loop {
        bytes.clear();
        if reader.read_until(b'\n', &mut bytes).map_err(unreadable)? == 0 {
            return Ok(reports);
        }
        if bytes.len() > MAX_LINE {
            continue;
        }
        let line = String::from_utf8_lossy(&bytes);
        // Bars on the same line are rewritten by carriage returns.
        let line = line.trim_end().rsplit('\r').next().unwrap_or_default();
        match is_output {
            true => reports.extend(line.strip_prefix(PREFIX).map(String::from)),
            false if line.trim().is_empty() => {}
            false => reports.push(line.into()),
        }
    }
}

/// The evaluations in lines of reports.
pub(super) fn reports(lines: &[String], objectives: &[&str]) -> Result<Reports, Fault> {
    let mut reports = Reports::default();
    let mut losses: Vec<(u64, f64)> = Vec::new();
    let mut evaluations: BTreeMap<u64, (Option<Scores>, Option<f64>)> = BTreeMap::new();
    for line in lines {
        let object = metrics::object(line).map_err(|reason| Fault::NotJson { reason })?;
        let step = object.get("step").and_then(whole).ok_or(Fault::NoStep)?;
        reports.last_step = reports.last_step.max(step);
        // Of the whole run, in its last line.
        let is_summary = object.contains_key(SUMMARY);
        let train_loss = object.get(LOSS).or_else(|| object.get(TRAIN_LOSS));
        let train_loss = train_loss.filter(|_| !is_summary);
        if let Some(loss) = train_loss.and_then(Value::as_f64) {
            losses.push((step, loss));
        }
        let found: Vec<Option<&Value>> = objectives.iter().map(|o| find(&object, o)).collect();
        if found.iter().all(Option::is_none) {
            continue;
        }
        let epoch = object.get(EPOCH).and_then(Value::as_f64);
        evaluations.insert(step, (scores(&object, objectives)?, epoch));
    }
    let mut before = 0;
    for (step, (scores, epoch)) in evaluations {
        let Some(scores) = scores else {
            reports.has_failed = true;
            continue;
        };
        let since: Vec<f64> = losses
            .iter()
            .filter(|(at, _)| (before + 1..=step).contains(at))
            .map(|(_, loss)| *loss)
            .collect();
        let mean = since.iter().sum::<f64>() / since.len().max(1) as f64;
        reports.curve.push(CurvePoint {
            step,
            // JSON has no other number.
            train_loss: if mean.is_finite() { mean } else { 0.0 },
            select: scores,
        });
        reports.epochs.push(epoch);
        before = step;
    }
    Ok(reports)
}

fn whole(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| {
        let value = value.as_f64()?;
        (value >= 0.0 && value.fract() == 0.0 && value < 1e15).then_some(value as u64)
    })
}

/// The value of an objective in a line; `loss` by itself is the training loss.
fn find<'a>(object: &'a Map<String, Value>, objective: &str) -> Option<&'a Value> {
    let evaluated = object.get(&format!("{EVAL}{objective}"));
    evaluated.or_else(|| object.get(objective).filter(|_| objective != LOSS))
}

/// The objectives of an evaluation; `None` where one is no finite number.
fn scores(object: &Map<String, Value>, objectives: &[&str]) -> Result<Option<Scores>, Fault> {
    let mut scores = Scores::new();
    for objective in objectives {
        let value = find(object, objective).ok_or_else(|| Fault::Missing {
            metric: match *objective {
                LOSS => format!("{EVAL}{LOSS}"),
                other => other.into(),
            },
            known: object.keys().cloned().collect(),
        })?;
        match value.as_f64().filter(|value| value.is_finite()) {
            Some(value) => scores.insert(objective.to_string(), value),
            None if value.is_null() => return Ok(None),
            None => {
                return Err(Fault::NotJson {
                    reason: format!("`{objective}` is {value}, which is no number"),
                });
            }
        };
    }
    Ok(Some(scores))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Reports, Fault> {
        let lines: Vec<String> = text.lines().map(String::from).collect();
        reports(&lines, &["loss", "accuracy"])
    }

    #[test]
    fn the_trainers_own_logs_are_read_with_the_mean_loss_between_evaluations() {
        let found = read(
            r#"{"loss": 0.7, "step": 5, "epoch": 0.5}
               {"loss": 0.5, "step": 10}
               {"eval_loss": 0.6, "eval_accuracy": 0.75, "eval_runtime": 1.0, "step": 10, "epoch": 1}
               {"loss": 0.25, "step": 15}
               {"accuracy": 0.5, "eval_loss": 0.5, "step": 20.0}
               {"train_loss": 0.4, "step": 20, "train_runtime": 3}"#,
        )
        .unwrap();
        let curve: Vec<_> = found.curve.iter().map(|p| (p.step, p.train_loss)).collect();
        assert_eq!(curve, [(10, 0.6), (20, 0.25)]);
        assert_eq!(found.curve[0].select["accuracy"], 0.75);
        assert_eq!(found.curve[1].select["loss"], 0.5);
        assert_eq!(found.epochs, [Some(1.0), None]);
        assert_eq!((found.last_step, found.has_failed), (20, false));
    }

    #[test]
    fn the_last_of_several_evaluations_at_a_step_counts_and_nan_fails() {
        let found = read(
            r#"{"step": 10, "eval_loss": 0.6, "eval_accuracy": 0.75}
               {"step": 20, "eval_loss": NaN, "eval_accuracy": 0.75}
               {"step": 10, "eval_loss": 0.5, "eval_accuracy": 0.5}"#,
        )
        .unwrap();
        assert_eq!(found.curve.len(), 1);
        assert_eq!(found.curve[0].select["loss"], 0.5);
        assert!(found.has_failed);
    }

    #[test]
    fn garbage_is_named() {
        for (line, expected) in [
            ("nonsense", "JSON"),
            ("[1]", "JSON"),
            (r#"{"eval_loss": 1}"#, "has no `step`"),
            (r#"{"step": -1}"#, "has no `step`"),
            (r#"{"step": 1, "eval_loss": 1}"#, "no metric `accuracy`"),
            (
                r#"{"step": 1, "accuracy": 1, "loss": 1}"#,
                "no metric `eval_loss`",
            ),
            (
                r#"{"step": 1, "eval_loss": "x", "accuracy": 1}"#,
                "no number",
            ),
        ] {
            let fault = read(line).unwrap_err();
            assert!(fault.to_string().contains(expected), "{line}: {fault}");
        }
        assert_eq!(read("").unwrap(), Reports::default());
    }

    #[test]
    fn of_the_output_only_what_has_the_prefix_is_a_report() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let text = b"hello\nbomf: {\"step\": 1}\n 50%|xx\rbomf: {\"step\": 2}\n\xffbomf: no\n";
        std::fs::write(&path, text).unwrap();
        let found = lines(&path, 0, true).unwrap();
        assert_eq!(found, ["{\"step\": 1}", "{\"step\": 2}"]);
        assert_eq!(lines(&path, 8, true).unwrap().len(), 1);
        assert!(
            lines(&dir.path().join("none"), 0, false)
                .unwrap()
                .is_empty()
        );
    }
}
