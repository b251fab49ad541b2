//! Finding checkpoints.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::fs;
use std::path::Path;

use bomf_checkpoint::{CheckpointError, list_checkpoints};
use common::write_model;

fn model(dir: &Path) {
    write_model(dir, &[("x", &[1], vec![0.0])], None);
}

fn names(dir: &Path) -> Vec<String> {
    let found = list_checkpoints(dir).unwrap();
    found.into_iter().map(|c| c.name).collect()
}

#[test]
fn checkpoints_are_sorted_by_step_and_not_by_name() {
    let root = tempfile::tempdir().unwrap();
    for name in ["checkpoint-1000", "checkpoint-200", "checkpoint-90"] {
        model(&root.path().join(name));
    }
    // None of these is a checkpoint of a step.
    model(&root.path().join("best"));
    fs::create_dir(root.path().join("checkpoint-")).unwrap();
    fs::create_dir(root.path().join("checkpoint-+5")).unwrap();
    fs::create_dir(root.path().join("checkpoint-5x")).unwrap();
    fs::create_dir(root.path().join("checkpoint-99999999999999999999")).unwrap();
    fs::write(root.path().join("checkpoint-7"), "a file").unwrap();
    let found = list_checkpoints(root.path()).unwrap();
    let steps: Vec<_> = found.iter().map(|c| c.step).collect();
    assert_eq!(steps, [Some(90), Some(200), Some(1000)]);
    assert_eq!(found[0].path, root.path().join("checkpoint-90"));
}

#[test]
fn without_steps_all_model_folders_are_taken_by_name() {
    let root = tempfile::tempdir().unwrap();
    for name in ["seed-b", "seed-a", ".hidden"] {
        model(&root.path().join(name));
    }
    fs::create_dir(root.path().join("logs")).unwrap();
    fs::create_dir(root.path().join("old")).unwrap();
    fs::write(root.path().join("old/tf_model.h5"), "").unwrap();
    // The other format is listed, so that opening it says why it cannot be read.
    assert_eq!(names(root.path()), ["old", "seed-a", "seed-b"]);
}

#[test]
fn a_folder_without_checkpoints_is_said() {
    let root = tempfile::tempdir().unwrap();
    let error = list_checkpoints(root.path()).unwrap_err();
    assert!(matches!(
        error,
        CheckpointError::NoCheckpoints {
            is_model: false,
            ..
        }
    ));
    let one = root.path().join("m");
    model(&one);
    let error = list_checkpoints(&one).unwrap_err();
    assert!(
        error
            .hint()
            .unwrap()
            .starts_with("this folder is itself a model")
    );
    let error = list_checkpoints(root.path().join("none")).unwrap_err();
    assert!(matches!(error, CheckpointError::NotFound { .. }));
}

#[cfg(unix)]
#[test]
fn symbolic_links_are_followed_and_loops_are_passed_over() {
    let root = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    model(&elsewhere.path().join("m"));
    let link = |to: &Path, name: &str| {
        std::os::unix::fs::symlink(to, root.path().join(name)).unwrap();
    };
    link(&elsewhere.path().join("m"), "checkpoint-3");
    link(&root.path().join("checkpoint-4"), "checkpoint-4");
    assert_eq!(names(root.path()), ["checkpoint-3"]);
}
