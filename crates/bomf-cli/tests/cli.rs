//! The binary from outside: what it prints where, and its exit codes.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests may unwrap as tests do"
)]

use std::path::Path;
use std::process::{Command, Output};

/// Runs `bomf` in a folder, without colours and without the hub.
fn bomf(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bomf"))
        .args(arguments)
        .current_dir(folder)
        .env("NO_COLOR", "1")
        .env("HF_HUB_OFFLINE", "1")
        .env("HF_HOME", folder)
        .env_remove("RUST_LOG")
        .output()
        .unwrap()
}

/// Exit code, stdout and stderr in one text.
fn told(folder: &Path, arguments: &[&str]) -> String {
    let output = bomf(folder, arguments);
    format!(
        "$ bomf {}\nexit code {}\n--- stdout\n{}--- stderr\n{}",
        arguments.join(" "),
        output.status.code().unwrap(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[test]
fn help_shows_what_there_is_with_examples() {
    let folder = tempfile::tempdir().unwrap();
    insta::assert_snapshot!("help", told(folder.path(), &["--help"]));
    for command in [
        "run", "demo", "tune", "finetune", "fuse", "pick", "merge", "verify", "diff", "methods",
        "eval", "report", "pretrain", "bench", "bo",
    ] {
        let help = told(folder.path(), &[command, "--help"]);
        assert!(help.contains("Examples:\n"), "{help}");
        assert!(help.lines().all(|line| line.len() <= 100), "{help}");
        insta::assert_snapshot!(format!("help_{command}"), help);
    }
}

#[test]
fn wrong_usage_and_input_say_what_and_end_with_2() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::fs::write(
        folder.join("recipe.yaml"),
        "seed: 1\nfinetune:\n  epoch: 3\n",
    )
    .unwrap();
    let run = |more: &[&'static str]| {
        let mut arguments = vec!["run", "--model", "m", "--data", "d", "--out", "o"];
        arguments.extend(more);
        arguments
    };
    let cases: &[(&str, Vec<&str>)] = &[
        ("no_command", vec![]),
        ("unknown_command", vec!["rum"]),
        ("missing_argument", vec!["run", "--model", "m"]),
        ("wrong_value", run(&["--threads", "many"])),
        (
            "wrong_value_json",
            run(&["--threads", "many", "--output-format", "json"]),
        ),
        ("unknown_field", run(&["--recipe", "recipe.yaml"])),
        (
            "unknown_field_json",
            run(&["--recipe", "recipe.yaml", "--output-format=json"]),
        ),
        ("missing_recipe", run(&["--recipe", "none.yaml"])),
        ("missing_results", vec!["report", "."]),
        (
            "bad_learning_rate",
            vec![
                "finetune",
                "--model",
                "m",
                "--data",
                "d",
                "--out",
                "o",
                "--learning-rate",
                "3",
            ],
        ),
        ("not_ours", vec!["demo", "--out", "."]),
    ];
    for (name, arguments) in cases {
        let output = bomf(folder, arguments);
        assert_eq!(output.status.code(), Some(2), "{name}: {output:?}");
        assert!(output.stdout.is_empty(), "{name}");
        insta::assert_snapshot!(*name, told(folder, arguments));
    }
    assert!(!folder.join("o").exists());
}

#[test]
fn the_version_goes_to_stdout() {
    let folder = tempfile::tempdir().unwrap();
    let output = bomf(folder.path(), &["--version"]);
    assert_eq!(output.status.code(), Some(0));
    let expected = concat!("bomf ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
}

#[test]
fn a_report_is_written_from_an_output_folder() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let results = include_str!("fixtures/results.json");
    std::fs::write(folder.join("results.json"), results).unwrap();
    let output = bomf(folder, &["report", "."]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(output.stdout, b"./report.html\n");
    let html = std::fs::read_to_string(folder.join("report.html")).unwrap();
    assert!(html.starts_with("<!DOCTYPE html>"));

    let output = bomf(
        folder,
        &["report", ".", "--to", "x.html", "--output-format", "json"],
    );
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told, serde_json::json!({"report": "x.html"}));

    std::fs::write(folder.join("results.json"), &results[..100]).unwrap();
    let output = bomf(folder, &["report", "."]);
    assert_eq!(output.status.code(), Some(2));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.starts_with("error: ./results.json line "), "{error}");
}

#[test]
fn bo_answers_line_by_line_and_survives_nonsense() {
    use std::io::{BufRead, BufReader, Write};
    let mut child = Command::new(env!("CARGO_BIN_EXE_bomf"))
        .args(["bo", "--threads", "1"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut say = |line: &[u8]| input.write_all(&[line, b"\n"].concat()).unwrap();
    let mut hear = || {
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        line
    };
    say(b"\xff\xfe");
    assert!(hear().contains("not UTF-8"));
    say(br#"{"type": "start", "protocol": 1, "space": "simplex", "nx": 3, "nobj": 2, "seed": 1}"#);
    assert!(hear().contains("ready"));
    say(br#"{"type": "tell", "points": [{"x": [1, 0, 0], "y": [0.5, 0.4]}, {"x": [0, 1, 0], "y": [0.4, 0.5]}]}"#);
    say(br#"{"type": "ask", "q": 2}"#);
    assert!(hear().contains("suggest"));
    say(br#"{"type": "stop"}"#);
    assert!(child.wait().unwrap().success());
}
