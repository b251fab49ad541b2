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
        "run",
        "experiment",
        "demo",
        "tune",
        "finetune",
        "fuse",
        "pick",
        "merge",
        "verify",
        "diff",
        "methods",
        "lora",
        "eval",
        "generate",
        "report",
        "serve",
        "export",
        "pretrain",
        "bench",
        "bo",
        "resume",
        "worker",
        "launch",
    ] {
        let help = told(folder.path(), &[command, "--help"]);
        assert!(help.contains("Examples:\n"), "{help}");
        assert!(help.lines().all(|line| line.len() <= 100), "{help}");
        insta::assert_snapshot!(format!("help_{command}"), help);
    }
    for launcher in ["slurm", "ray", "kubernetes"] {
        let help = told(folder.path(), &["launch", launcher, "--help"]);
        assert!(help.contains("Examples:\n"), "{help}");
        assert!(help.lines().all(|line| line.len() <= 100), "{help}");
        insta::assert_snapshot!(format!("help_launch_{launcher}"), help);
    }
    for command in ["fuse", "extract"] {
        let help = told(folder.path(), &["lora", command, "--help"]);
        assert!(help.contains("Examples:\n"), "{help}");
        assert!(help.lines().all(|line| line.len() <= 100), "{help}");
        insta::assert_snapshot!(format!("help_lora_{command}"), help);
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

/// A folder with the tiny adapters and base model of `bomf-checkpoint`'s tests in it.
fn adapters() -> tempfile::TempDir {
    let golden =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../bomf-checkpoint/tests/golden/adapters");
    let root = tempfile::tempdir().unwrap();
    for name in ["base", "plain", "patterns", "dora"] {
        let to = root.path().join(name);
        std::fs::create_dir(&to).unwrap();
        for entry in std::fs::read_dir(golden.join(name)).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
    root
}

#[test]
fn adapters_are_fused_and_taken_out_again() {
    let root = adapters();
    let folder = root.path();
    let fused = told(
        folder,
        &["lora", "fuse", "plain", "patterns", "-o", "exact"],
    );
    insta::assert_snapshot!("lora_fuse", fused);
    let cut = [
        "lora", "fuse", "plain", "patterns", "--rank", "2", "-o", "cut",
    ];
    insta::assert_snapshot!("lora_fuse_rank", told(folder, &cut));
    let into = [
        "lora",
        "fuse",
        "plain",
        "dora",
        "--weights",
        "1,-0.5",
        "--into",
        "base",
        "-o",
        "model",
    ];
    insta::assert_snapshot!("lora_fuse_into", told(folder, &into));
    let extract = [
        "lora",
        "extract",
        "--base",
        "base",
        "--model",
        "model",
        "--rank",
        "3",
        "-o",
        "taken",
        "--output-format",
        "json",
    ];
    let output = bomf(folder, &extract);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let outcome: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(outcome["out"], "taken");
    // The classifier, which the adapter stores whole, differs too.
    assert_eq!(outcome["modules"].as_array().unwrap().len(), 7);
    let error = outcome["error"].as_f64().unwrap();
    assert!(error > 0.0 && error < 0.5, "{error}");
    for (dir, file) in [
        ("exact", "adapter_config.json"),
        ("cut", "adapter_model.safetensors"),
        ("model", "model.safetensors"),
        ("taken", "adapter_config.json"),
    ] {
        assert!(folder.join(dir).join(file).is_file(), "{dir}/{file}");
    }
    // The result is an adapter again, and may be replaced when that is asked for.
    let again = [
        "lora", "fuse", "exact", "cut", "--energy", "0.9", "-o", "taken",
    ];
    assert_eq!(bomf(folder, &again).status.code(), Some(2));
    let again = [&again[..], &["--overwrite"]].concat();
    assert_eq!(bomf(folder, &again).status.code(), Some(0));
}

#[test]
fn what_is_wrong_with_adapters_is_said_and_leaves_nothing() {
    let root = adapters();
    let folder = root.path();
    std::fs::create_dir(folder.join("ia3")).unwrap();
    std::fs::write(
        folder.join("ia3/adapter_config.json"),
        r#"{"peft_type": "IA3"}"#,
    )
    .unwrap();
    std::fs::write(folder.join("ia3/adapter_model.safetensors"), "").unwrap();
    let cases: &[(&str, &[&str])] = &[
        ("lora_no_adapter", &["base"]),
        ("lora_other_type", &["ia3"]),
        ("lora_dora", &["plain", "dora"]),
        ("lora_weights", &["plain", "patterns", "--weights", "1"]),
        ("lora_weights_sum", &["plain", "--weights", "0.5"]),
        ("lora_energy", &["plain", "--energy", "1.5"]),
        (
            "lora_rank_and_into",
            &["plain", "--rank", "2", "--into", "base"],
        ),
        ("lora_other_base", &["plain", "--into", "plain"]),
    ];
    for (name, arguments) in cases {
        let arguments = [&["lora", "fuse"], *arguments, &["-o", "out"]].concat();
        let output = bomf(folder, &arguments);
        assert_eq!(output.status.code(), Some(2), "{name}: {output:?}");
        assert!(output.stdout.is_empty(), "{name}");
        insta::assert_snapshot!(*name, told(folder, &arguments));
    }
    assert!(!folder.join("out").exists());
    let out_is_input = ["lora", "fuse", "plain", "-o", "plain", "--overwrite"];
    assert_eq!(bomf(folder, &out_is_input).status.code(), Some(2));
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

#[test]
fn a_run_is_exported_to_standard_output_or_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    let nothing = told(folder, &["export", "out", "--format", "csv"]);
    assert!(
        nothing.contains("exit code 2") && nothing.contains("there is no study at"),
        "{nothing}"
    );
    std::fs::create_dir(folder.join("out")).unwrap();
    let trial = r#"{"stage":"stage1","trial":0,"parameters":{"learning_rate":0.1},"state":"complete","scores":{"loss":0.5},"step":3,"seconds":1.0}"#;
    std::fs::write(folder.join("out/trials.jsonl"), format!("{trial}\n{{\"st")).unwrap();
    let table = told(folder, &["export", "out", "--format", "csv"]);
    assert!(
        table.contains("exit code 0") && table.contains("param.learning_rate"),
        "{table}"
    );
    let arguments = [
        "export",
        "out",
        "--format",
        "optuna-journal",
        "-o",
        "study.log",
    ];
    assert!(told(folder, &arguments).contains("study.log"));
    let journal = std::fs::read_to_string(folder.join("study.log")).unwrap();
    assert_eq!(
        journal
            .lines()
            .filter(|l| l.contains("\"op_code\":4"))
            .count(),
        1
    );
    let json = told(folder, &["export", "out", "--format", "json"]);
    assert!(json.contains("\"learning_rate\": 0.1"), "{json}");
}

#[test]
fn an_address_that_cannot_be_had_is_told_with_a_hint() {
    let dir = tempfile::tempdir().unwrap();
    // Kept for documentation: no machine has it.
    let other = told(dir.path(), &["serve", "out", "--host", "192.0.2.1"]);
    assert!(other.contains("cannot listen on 192.0.2.1:7171"), "{other}");
    assert!(
        other.contains("--host takes an address of this machine"),
        "{other}"
    );
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let taken = told(dir.path(), &["serve", "out", "--port", &port]);
    assert!(taken.contains("--port"), "{taken}");
}
