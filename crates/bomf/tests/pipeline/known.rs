//! Trials of an earlier search: told to stage 1 before its own begin.

use crate::fixture::{Recording, TINY, finished, recipe, request};
use bomf::study::interchange::optuna_journal;
use bomf::study::{Event, read_journal};
use bomf::{Error, Silent, read_record};
use std::path::Path;
use std::time::SystemTime;

/// [`TINY`] with a file of known trials.
fn knowing(file: &Path, more: &str) -> String {
    let known = format!("stage1:\n  known: \"{}\"\n{more}", file.display());
    TINY.replace("stage1:\n", &known)
}

#[test]
fn known_trials_are_told_first_marked_and_count_for_the_best() {
    let dir = tempfile::tempdir().unwrap();
    let run = finished();
    let mut record = read_record(&run.out).unwrap();
    let file = dir.path().join("earlier.log");
    // One of them far better than any here, one outside, one that failed.
    let mut more = record.trials[0].clone();
    more.number = 2;
    more.value = Some(1000.0);
    let mut outside = more.clone();
    outside.number = 3;
    outside
        .parameters
        .insert("learning_rate".into(), 0.5.into());
    let mut failed = more.clone();
    failed.number = 4;
    failed.value = None;
    record.trials.extend([more.clone(), outside, failed]);
    std::fs::write(&file, optuna_journal(&record, SystemTime::UNIX_EPOCH)).unwrap();

    let out = dir.path().join("out");
    let mut told = Recording::default();
    let stage1 = bomf::tune(
        &request(&run.data, &out, recipe(&knowing(&file, ""))),
        &mut told,
    )
    .unwrap();
    let numbers: Vec<usize> = stage1.known.iter().map(|trial| trial.number).collect();
    assert_eq!(numbers, [0, 1, 2]);
    assert_eq!(stage1.known[2].value, 1000.0);
    assert_eq!(
        stage1.best, more.parameters,
        "the best is one that was known"
    );
    assert_eq!(stage1.trials.len(), 2, "its own trials run all the same");
    // What is known counts as the start: its own first trial is the model's choice.
    let alone = &run.results.stage1.trials;
    assert_ne!(stage1.trials[0].parameters, alone[0].parameters);
    let all = told.notes.join("\n");
    assert!(
        all.contains("trial 3") && all.contains("learning_rate 0.5 lies outside 0.001 to 0.003"),
        "{all}"
    );
    assert!(all.contains("3 trials of"), "{all}");

    let events = read_journal(&out.join("trials.jsonl")).unwrap();
    let known = events
        .iter()
        .filter(|event| matches!(event, Event::Known { .. }));
    assert_eq!(known.count(), 3);
}

#[test]
fn other_names_are_an_error_that_names_them() {
    let dir = tempfile::tempdir().unwrap();
    let run = finished();
    let mut record = read_record(&run.out).unwrap();
    for trial in &mut record.trials {
        let rate = trial.parameters.shift_remove("learning_rate").unwrap();
        trial.parameters.insert("lr".into(), rate);
    }
    let file = dir.path().join("earlier.log");
    std::fs::write(&file, optuna_journal(&record, SystemTime::UNIX_EPOCH)).unwrap();
    let tune = |out: &str, text: &str| {
        let request = request(&run.data, &dir.path().join(out), recipe(text));
        bomf::tune(&request, &mut Silent).unwrap_err()
    };
    let error = tune("a", &knowing(&file, ""));
    assert!(matches!(error, Error::UnknownTrials { .. }), "{error}");
    let message = error.to_string();
    assert!(
        message.contains("learning_rate and batch_size") && message.contains("batch_size, lr"),
        "{message}"
    );
    assert!(error.is_bad_input() && error.hint().is_some());
    let error = tune("b", &knowing(&file, "  known_study: other\n"));
    assert!(error.to_string().contains("no study other"), "{error}");
    let error = tune("c", &knowing(&dir.path().join("missing"), ""));
    assert!(error.is_bad_input(), "{error}");
    for out in ["a", "b", "c"] {
        assert!(!dir.path().join(out).exists(), "nothing is left behind");
    }
}
