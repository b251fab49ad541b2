//! Kinds of data, tasks and metrics.

use crate::fixture::{FIXED, Kind, Recording, recipe, request, rows, write_data, write_split};
use bomf::study::{MethodName, Results};
use bomf::{Error, RecipeError, Silent};

/// A run with metrics of its own.
fn run(kind: Kind, format: &str, task: &str) -> Results {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    write_data(&data, kind, format);
    let recipe = recipe(&format!("task: {task}\n{FIXED}"));
    bomf::run(
        &request(&data, &dir.path().join("out"), recipe),
        &mut Silent,
    )
    .unwrap()
}

fn names(results: &Results) -> Vec<&str> {
    results.objectives.iter().map(|o| o.name.as_str()).collect()
}

fn best(results: &Results, name: &str) -> f64 {
    let of = |m: &bomf::study::Method| m.select[name];
    let bomf = results.methods.iter().find(|m| m.name == MethodName::Bomf);
    of(bomf.unwrap())
}

#[test]
fn a_regression_of_csv_with_two_correlations() {
    let results = run(Kind::Values, "csv", "{metrics: [pearson, spearman]}");
    assert_eq!(results.task_kind, "regression");
    assert_eq!(names(&results), ["loss", "pearson", "spearman"]);
    assert_eq!(results.ref_point.len(), 3);
    assert_eq!(results.methods.len(), MethodName::OF_EVERY_RUN.len());
    assert!(best(&results, "pearson") > 0.3, "it learns something");
}

#[test]
fn an_error_is_minimised_even_where_it_is_what_is_chosen_by() {
    let results = run(
        Kind::Values,
        "jsonl",
        "{metrics: [mse, pearson], choose_by: mse}",
    );
    assert_eq!(results.chosen_metric, "mse");
    let least = |name| {
        let members = results.finetune.members.iter();
        members
            .map(|m| m.select[name])
            .fold(f64::INFINITY, f64::min)
    };
    assert!(best(&results, "mse") <= least("mse"));
    assert!((best(&results, "mse") - best(&results, "loss")).abs() < 1e-9);
}

#[test]
fn three_classes_of_tsv_with_three_metrics() {
    let results = run(
        Kind::Three,
        "tsv",
        "{metrics: [accuracy, f1_macro, matthews]}",
    );
    assert_eq!(
        names(&results),
        ["loss", "accuracy", "f1_macro", "matthews"]
    );
    assert!(results.front.iter().all(|p| p.select.len() == 4));
    assert!(best(&results, "accuracy") > 0.4);
}

#[test]
fn the_loss_alone_may_be_what_is_chosen_by() {
    let results = run(
        Kind::Sentences,
        "csv",
        "{metrics: [f1], choose_by: loss, positive_label: good}",
    );
    let losses = results.finetune.members.iter().map(|m| m.select["loss"]);
    assert!(best(&results, "loss") <= losses.fold(f64::INFINITY, f64::min));
    let chosen = results.front.iter().find(|p| p.chosen);
    assert_eq!(
        chosen.map(|p| p.select["loss"]),
        Some(best(&results, "loss"))
    );
}

#[test]
fn missing_splits_of_pairs_are_carved_off_and_that_is_said_once() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    write_split(&data, "train", "jsonl", &rows(Kind::Pairs, 120, 1));
    let mut told = Recording::default();
    let recipe = recipe(&format!(
        "task: {{validation_fraction: 0.3, test_fraction: 0.2}}\n{FIXED}"
    ));
    let results = bomf::run(&request(&data, &dir.path().join("out"), recipe), &mut told).unwrap();
    let splits = results.splits;
    assert_eq!(splits.train + splits.select + splits.report, 120);
    assert_eq!(told.notes, results.notes);
    for split in ["validation", "test"] {
        let said = format!("no {split} file");
        let notes = results.notes.iter().filter(|n| n.starts_with(&said));
        assert_eq!(notes.count(), 1, "{:?}", results.notes);
    }
}

#[test]
fn a_metric_of_the_other_kind_is_refused_before_anything_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let (data, out) = (dir.path().join("data"), dir.path().join("out"));
    write_data(&data, Kind::Sentences, "jsonl");
    for task in [
        "{metrics: [pearson]}",
        "{choose_by: spearman}",
        "{positive_label: superb, metrics: [f1]}",
    ] {
        let recipe = recipe(&format!("task: {task}\n{FIXED}"));
        let error = bomf::run(&request(&data, &out, recipe), &mut Silent).unwrap_err();
        assert!(error.is_bad_input(), "{error}");
        assert!(!out.exists());
    }
    let recipe = recipe(&format!("task: {{metrics: [pearson]}}\n{FIXED}"));
    let error = bomf::run(&request(&data, &out, recipe), &mut Silent).unwrap_err();
    assert!(
        matches!(error, Error::Recipe(RecipeError::MetricOfOtherKind { .. })),
        "{error}"
    );
}

#[test]
fn a_run_too_short_for_two_members_still_ends_well() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    write_data(&data, Kind::Sentences, "jsonl");
    let mut recipe = recipe(FIXED);
    recipe.finetune.epochs = 1;
    recipe.finetune.batch_size = Some(200);
    let out = dir.path().join("out");
    let results = bomf::run(&request(&data, &out, recipe), &mut Silent).unwrap();
    assert_eq!(results.finetune.members.len(), 1);
    assert_eq!(results.methods.len(), MethodName::OF_EVERY_RUN.len());
    let bomf = results
        .methods
        .iter()
        .find(|m| m.name == MethodName::Bomf)
        .unwrap();
    assert_eq!(bomf.weights, Some(vec![1.0]));
    assert_eq!(bomf.evaluations, 0);
}
