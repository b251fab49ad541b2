//! What a program says of a model: metrics as JSON, whatever wrote it.
//!
//! Understood are an object of numbers (`{"loss": 0.31, "accuracy": 0.88}`), with standard
//! errors as `{"accuracy": {"value": 0.88, "stderr": 0.01}}` or `"accuracy_stderr": 0.01`
//! beside it; objects within objects (a metric's name is then the path to it, with
//! points, or as much of its end as names one alone); and the results file of
//! EleutherAI's lm-evaluation-harness, which holds `results.<task>.<metric>,<filter>` with
//! `<metric>_stderr,<filter>`.

use super::EvaluatorFault as Fault;
use crate::pipeline::source::Measured;
use bomf_study::Scores;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// The most bytes that metrics may take.
const MAX_BYTES: u64 = 64 << 20;

/// Names of the parts of a metric that is an object.
const VALUE: &str = "value";
const STD_ERROR: &str = "stderr";

/// What the name of a metric's standard error ends with, before its filter.
const SUFFIX: &str = "_stderr";

/// The part of the harness's file that holds metrics; the rest is configuration.
const RESULTS: &str = "results";

/// The filter of the harness that filters nothing.
const NO_FILTER: &str = ",none";

/// A metric of the document.
#[derive(Debug, Clone, PartialEq)]
struct Entry {
    /// The way to it, with points.
    path: String,
    /// `None` where it is null or no finite number.
    value: Option<f64>,
    std_error: Option<f64>,
}

/// The scores of `objectives` in a text: JSON as a whole, or in its last line that is not
/// empty.
pub(super) fn measured(text: &str, objectives: &[&str]) -> Result<Measured, Fault> {
    let document = document(text)?;
    let mut entries = Vec::new();
    let root = match document.get(RESULTS) {
        Some(Value::Object(results)) => results,
        _ => &document,
    };
    collect(root, "", &mut entries);
    let mut measured = Measured::default();
    for name in objectives {
        let entry = find(&entries, name)?;
        let value = entry.value.ok_or_else(|| Fault::NotFinite {
            metric: name.to_string(),
        })?;
        measured.scores.insert(name.to_string(), value);
        if let Some(error) = entry.std_error {
            measured.std_errors.insert(name.to_string(), error);
        }
    }
    Ok(measured)
}

/// As [`measured`], from a file, or from a folder in which the newest file of JSON is
/// taken (the harness names its file by date, in a folder named by the model).
pub(super) fn measured_at(path: &Path, objectives: &[&str]) -> Result<Measured, Fault> {
    let file = match path.is_dir() {
        true => newest(path),
        false => Some(path.into()).filter(|path: &PathBuf| path.is_file()),
    };
    let file = file.ok_or(Fault::NothingWritten)?;
    measured(&text_of(&file)?, objectives)
}

/// A file's text, unless it is too long to hold metrics alone.
pub(super) fn text_of(file: &Path) -> Result<String, Fault> {
    let unreadable = |source| Fault::Unreadable { source };
    let length = std::fs::metadata(file).map_err(unreadable)?.len();
    if length > MAX_BYTES {
        return Err(Fault::TooLong { bytes: length });
    }
    let bytes = std::fs::read(file).map_err(unreadable)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The JSON file that was changed last in a folder or below it; of equals the last name.
fn newest(folder: &Path) -> Option<PathBuf> {
    let mut best: Option<(std::time::SystemTime, PathBuf)> = None;
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).ok()?.flatten() {
            let path = entry.path();
            // Links are not followed: they might lead round.
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() && path.extension().is_some_and(|e| e == "json") {
                let changed = entry.metadata().and_then(|m| m.modified());
                let key = (changed.unwrap_or(std::time::UNIX_EPOCH), path);
                if best.as_ref().is_none_or(|best| key > *best) {
                    best = Some(key);
                }
            }
        }
    }
    best.map(|(_, path)| path)
}

/// A JSON object in which Python's NaN and Infinity stand for null; the parser's words
/// otherwise.
pub(in crate::pipeline) fn object(text: &str) -> Result<Map<String, Value>, String> {
    let parsed = |text: &str| serde_json::from_str(text);
    let lenient = parsed(text).or_else(|_| parsed(&without_nan(text)));
    lenient.map_err(|error: serde_json::Error| error.to_string())
}

fn document(text: &str) -> Result<Map<String, Value>, Fault> {
    let parsed = |text: &str| serde_json::from_str::<Map<String, Value>>(text);
    let lenient = |text: &str| parsed(text).or_else(|_| parsed(&without_nan(text)));
    if text.trim().is_empty() {
        return Err(Fault::Silent);
    }
    lenient(text).or_else(|whole| {
        let mut lines = text.lines().rev().filter(|line| !line.trim().is_empty());
        let last = lines.next().unwrap_or_default();
        // Of a text of several lines the last one is at fault.
        lenient(last).map_err(|source| Fault::NotJson {
            reason: match text.trim_start().starts_with('{') {
                true => whole.to_string(),
                false => source.to_string(),
            },
        })
    })
}

/// `null` for the `NaN`, `Infinity` and `-Infinity` that Python writes and JSON does not
/// know; texts are left as they are.
fn without_nan(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut in_text = false;
    while let Some(c) = rest.chars().next() {
        if !in_text
            && let Some(word) = ["NaN", "-Infinity", "Infinity"]
                .into_iter()
                .find(|word| rest.starts_with(word))
        {
            out.push_str("null");
            rest = &rest[word.len()..];
            continue;
        }
        let mut length = c.len_utf8();
        match c {
            '"' => in_text = !in_text,
            '\\' if in_text => {
                length += rest[1..].chars().next().map_or(0, char::len_utf8);
            }
            _ => {}
        }
        out.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    out
}

fn collect(object: &Map<String, Value>, path: &str, entries: &mut Vec<Entry>) {
    for (name, value) in object {
        let path = match path {
            "" => name.clone(),
            path => format!("{path}.{name}"),
        };
        let beside = || object.get(&error_of(name)).and_then(Value::as_f64);
        let error = |own: Option<f64>| own.filter(|e| e.is_finite() && *e >= 0.0);
        match value {
            Value::Object(parts) if parts.contains_key(VALUE) => {
                let own = parts.get(STD_ERROR).and_then(Value::as_f64);
                entries.push(Entry {
                    path,
                    value: parts[VALUE].as_f64().filter(|v| v.is_finite()),
                    std_error: error(own.or_else(beside)),
                });
            }
            Value::Object(inner) => collect(inner, &path, entries),
            Value::Number(_) | Value::Null => entries.push(Entry {
                path,
                value: value.as_f64().filter(|v| v.is_finite()),
                std_error: error(beside()),
            }),
            _ => {}
        }
    }
}

/// `acc,none` to `acc_stderr,none`.
fn error_of(name: &str) -> String {
    match name.split_once(',') {
        Some((metric, filter)) => format!("{metric}{SUFFIX},{filter}"),
        None => format!("{name}{SUFFIX}"),
    }
}

/// The entry that a name means: its path, or the end of it after a point, with or without
/// the filter; one without a filter goes before filtered ones.
fn find<'a>(entries: &'a [Entry], name: &str) -> Result<&'a Entry, Fault> {
    let is_end = |path: &str| {
        path.strip_suffix(name)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    let unfiltered = |path: &'a str| {
        let at = path.rfind(',');
        at.map_or(path, |at| &path[..at])
    };
    let exact = entries.iter().find(|e| e.path == name);
    if let Some(exact) = exact {
        return Ok(exact);
    }
    let tries: [&dyn Fn(&'a Entry) -> bool; 3] = [
        &|e| is_end(&e.path),
        &|e| e.path.strip_suffix(NO_FILTER).is_some_and(is_end),
        &|e| is_end(unfiltered(&e.path)),
    ];
    for matches in tries {
        let found: Vec<&Entry> = entries.iter().filter(|e| matches(e)).collect();
        match found.as_slice() {
            [] => {}
            [one] => return Ok(one),
            several => {
                return Err(Fault::Ambiguous {
                    metric: name.into(),
                    candidates: several.iter().map(|e| e.path.clone()).collect(),
                });
            }
        }
    }
    Err(Fault::Missing {
        metric: name.into(),
        known: entries.iter().map(|e| e.path.clone()).collect(),
    })
}

/// Scores of the objectives with 95 % intervals, where their standard errors are known.
pub(super) fn intervals(measured: &Measured) -> indexmap::IndexMap<String, [f64; 2]> {
    /// Standard normal quantile at 0.975.
    const TWO_SIDED_95: f64 = 1.959_963_984_540_054;
    let with_error = |scores: &Scores| {
        let known = measured.std_errors.iter();
        known
            .filter_map(|(name, error)| {
                let value = scores.get(name)?;
                let half = TWO_SIDED_95 * error;
                Some((name.clone(), [value - half, value + half]))
            })
            .collect()
    };
    with_error(&measured.scores)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scores(text: &str, objectives: &[&str]) -> Vec<(f64, Option<f64>)> {
        let m = measured(text, objectives).unwrap();
        objectives
            .iter()
            .map(|o| (m.scores[*o], m.std_errors.get(*o).copied()))
            .collect()
    }

    fn fault(text: &str, objectives: &[&str]) -> Fault {
        measured(text, objectives).unwrap_err()
    }

    #[test]
    fn numbers_are_read_with_and_without_standard_errors() {
        let text = r#"{"loss": 0.31, "loss_stderr": 0.02, "name": "x",
                       "accuracy": {"value": 0.88, "stderr": 0.01}, "f1": {"value": 1}}"#;
        assert_eq!(
            scores(text, &["accuracy", "loss", "f1"]),
            [(0.88, Some(0.01)), (0.31, Some(0.02)), (1.0, None)]
        );
    }

    #[test]
    fn the_last_line_counts_where_the_whole_is_no_json() {
        let text = "loading {\n12/12 [====]\n{\"loss\": 1e-3}\n\n";
        assert_eq!(scores(text, &["loss"]), [(1e-3, None)]);
    }

    /// As lm-evaluation-harness 0.4 writes it, shortened.
    const HARNESS: &str = r#"{
      "results": {
        "hellaswag": {"alias": "hellaswag", "acc,none": 0.4, "acc_stderr,none": 0.05,
                      "acc_norm,none": 0.5, "acc_norm_stderr,none": "N/A"},
        "gsm8k": {"exact_match,strict-match": 0.1, "exact_match_stderr,strict-match": 0.01,
                  "exact_match,flexible-extract": 0.2, "exact_match_stderr,flexible-extract": 0.02},
        "wikitext": {"word_perplexity,none": 12.5, "word_perplexity_stderr,none": "N/A"}
      },
      "higher_is_better": {"hellaswag": {"acc": true}},
      "n-shot": {"hellaswag": 0}, "acc": 7
    }"#;

    #[test]
    fn results_of_the_harness_are_read_by_task_and_metric() {
        assert_eq!(
            scores(
                HARNESS,
                &[
                    "hellaswag.acc",
                    "acc",
                    "acc_norm",
                    "gsm8k.exact_match,strict-match",
                    "exact_match,flexible-extract",
                    "word_perplexity",
                ]
            ),
            [
                (0.4, Some(0.05)),
                (0.4, Some(0.05)),
                (0.5, None),
                (0.1, Some(0.01)),
                (0.2, Some(0.02)),
                (12.5, None)
            ]
        );
    }

    #[test]
    fn names_that_mean_nothing_or_several_things_are_told() {
        let Fault::Ambiguous { candidates, .. } = fault(HARNESS, &["exact_match"]) else {
            panic!("two filters have it");
        };
        assert_eq!(candidates.len(), 2);
        let Fault::Missing { known, .. } = fault(r#"{"eval": {"loss": 1}}"#, &["los"]) else {
            panic!("there is none");
        };
        assert_eq!(known, ["eval.loss"]);
        assert_eq!(scores(r#"{"eval": {"loss": 1}}"#, &["loss"]), [(1.0, None)]);
        // The end of a name is not its end after a point.
        assert!(matches!(
            fault(r#"{"eval_loss": 1}"#, &["loss"]),
            Fault::Missing { .. }
        ));
    }

    #[test]
    fn what_is_not_finite_is_a_fault_of_the_model_and_not_of_the_text() {
        for value in ["NaN", "Infinity", "-Infinity", "null", "1e999"] {
            let text = format!("{{\"note\": \"a NaN \\\" NaN\", \"loss\": {value}}}");
            let found = fault(&text, &["loss"]);
            let is_out_of_range = value == "1e999" && matches!(found, Fault::NotJson { .. });
            assert!(
                is_out_of_range || matches!(found, Fault::NotFinite { .. }),
                "{found}"
            );
        }
    }

    #[test]
    fn texts_without_metrics_are_named() {
        assert!(matches!(fault(" \n", &["loss"]), Fault::Silent));
        for text in ["no json", "[1, 2]", "3", "{\"loss\": "] {
            assert!(
                matches!(fault(text, &["loss"]), Fault::NotJson { .. }),
                "{text}"
            );
        }
    }

    #[test]
    fn the_newest_file_of_a_folder_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("out/some__model");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("results_a.json"), r#"{"loss": 1}"#).unwrap();
        std::fs::write(folder.join("results_b.json"), r#"{"loss": 2}"#).unwrap();
        std::fs::write(folder.join("samples.jsonl"), "x").unwrap();
        let file = std::fs::File::options()
            .append(true)
            .open(folder.join("results_b.json"));
        let later = std::time::SystemTime::now() + std::time::Duration::from_secs(60);
        file.unwrap().set_modified(later).unwrap();
        let read = measured_at(&dir.path().join("out"), &["loss"]).unwrap();
        assert_eq!(read.scores["loss"], 2.0);
        let missing = measured_at(&dir.path().join("none"), &["loss"]).unwrap_err();
        assert!(matches!(missing, Fault::NothingWritten));
    }

    #[test]
    fn intervals_are_there_where_errors_are() {
        let m = measured(r#"{"a": 1, "a_stderr": 0.5, "b": 2}"#, &["a", "b"]).unwrap();
        let intervals = intervals(&m);
        assert_eq!(intervals.len(), 1);
        let [low, high] = intervals["a"];
        assert!((low - 0.020_018).abs() < 1e-6 && (high - 1.979_982).abs() < 1e-6);
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC{0,40}|[\\[\\]{}\",:a-zN\\\\0-9.\n-]{0,40}") {
            let _ = measured(&text, &["a"]);
            prop_assert!(without_nan(&text).len() <= 2 * text.len());
        }

        #[test]
        fn numbers_are_read_to_the_bit(value in proptest::num::f64::NORMAL) {
            let text = serde_json::json!({"loss": value}).to_string();
            prop_assert_eq!(measured(&text, &["loss"]).unwrap().scores["loss"], value);
        }
    }
}
