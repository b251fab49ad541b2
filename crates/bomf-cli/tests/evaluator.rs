//! `bomf fuse --evaluator`: tiny checkpoints that the engine does not know, scored by
//! programs.

#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests may unwrap as tests do"
)]

use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// Sums of three products of numbers near one, in `f32`.
const ROUNDING: f64 = 1e-5;

/// The models' one value; the best loss lies at 2.2 and the best accuracy at 1.8.
const VALUES: [f32; 3] = [1.0, 3.0, 2.6];

/// The last value of the model in `$1`, into `$x`; and metrics of it.
const METRICS: &str = r#"
x=$(tail -c 4 "$1/model.safetensors" | od -An -t f4 | tr -d ' ')
metrics() { awk -v x="$x" "BEGIN { printf \"$1\", (x - 2.2) ^ 2 + 0.1, 1 - (x - 1.8) ^ 2 / 10 }"; }
"#;

/// What most tests end their script with.
const PRINT: &str =
    r#"echo "scored $x" >&2; echo loading; metrics '{\"loss\": %.9f, \"accuracy\": %.9f}\n'"#;

fn model(folder: &Path, value: f32) {
    std::fs::create_dir_all(folder).unwrap();
    let header = json!({
        "__metadata__": {"format": "pt"},
        "ids": {"dtype": "I64", "shape": [1], "data_offsets": [0, 8]},
        "blocks.0.w": {"dtype": "F32", "shape": [2, 3], "data_offsets": [8, 32]},
        "z": {"dtype": "F32", "shape": [1], "data_offsets": [32, 36]},
    });
    let mut header = serde_json::to_vec(&header).unwrap();
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header);
    file.extend(7i64.to_le_bytes());
    (0..7).for_each(|_| file.extend(value.to_le_bytes()));
    std::fs::write(folder.join("model.safetensors"), file).unwrap();
    std::fs::write(
        folder.join("config.json"),
        r#"{"model_type": "unheard_of"}"#,
    )
    .unwrap();
    std::fs::write(folder.join("tokenizer.json"), "{}").unwrap();
}

/// A folder with members and the script `eval.sh`.
fn place(script: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (i, value) in VALUES.into_iter().enumerate() {
        let step = 100 * (i + 1);
        model(&dir.path().join(format!("run/checkpoint-{step}")), value);
    }
    std::fs::write(dir.path().join("eval.sh"), format!("{METRICS}{script}\n")).unwrap();
    std::fs::write(dir.path().join("recipe.yaml"), "stage2: {evaluations: 5}\n").unwrap();
    dir
}

const TWO: [&str; 4] = ["--objective", "loss:min", "--objective", "accuracy:max"];

fn command(folder: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bomf"));
    command
        .args([
            "fuse",
            "--members",
            "run",
            "--recipe",
            "recipe.yaml",
            "--out",
            "out",
        ])
        .args(["--threads", "1"])
        .args(more)
        .current_dir(folder)
        .env("NO_COLOR", "1")
        .env_remove("RUST_LOG");
    command
}

fn fuse(folder: &Path, evaluator: &str, more: &[&str]) -> Output {
    let all = [&["--evaluator", evaluator], more].concat();
    command(folder, &all).output().unwrap()
}

fn results(folder: &Path) -> Value {
    let text = std::fs::read_to_string(folder.join("out/results.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn events(folder: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join("out/trials.jsonl")).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn method<'a>(results: &'a Value, name: &str) -> &'a Value {
    let mut methods = results["methods"].as_array().unwrap().iter();
    methods.find(|m| m["name"] == name).unwrap()
}

/// The mixture's value, by its weights.
fn mixed(method: &Value) -> f64 {
    let weights = method["weights"].as_array().unwrap().iter();
    let products = weights
        .zip(VALUES)
        .map(|(w, v)| w.as_f64().unwrap() * f64::from(v));
    products.sum()
}

/// The last value of a model folder.
fn last(folder: &Path) -> f64 {
    let bytes = std::fs::read(folder.join("model.safetensors")).unwrap();
    f64::from(f32::from_le_bytes(*bytes.last_chunk().unwrap()))
}

#[test]
fn checkpoints_of_any_architecture_are_fused_by_a_programs_word() {
    let dir = place(PRINT);
    let folder = dir.path();
    let output = fuse(folder, "sh eval.sh {model}", &TWO);
    assert!(output.status.success(), "{output:?}");
    let results = results(folder);
    assert_eq!(results["task_kind"], "external");
    assert_eq!(results["chosen_metric"], "accuracy");
    let bomf = method(&results, "bomf");
    let fused = last(&folder.join("out/fused"));
    assert!((fused - mixed(bomf)).abs() < ROUNDING, "{fused}");
    for name in [
        "best_checkpoint",
        "uniform_soup",
        "swa",
        "greedy_soup",
        "random_simplex",
    ] {
        let other = method(&results, name);
        let accuracy = |m: &Value| m["select"]["accuracy"].as_f64().unwrap();
        let x = mixed(other);
        assert!((accuracy(other) - (1.0 - (x - 1.8).powi(2) / 10.0)).abs() < ROUNDING);
        assert!(
            name == "random_simplex" || accuracy(bomf) >= accuracy(other),
            "{name}"
        );
        assert_eq!(other["report"], json!({}));
    }
    // Nothing is left of what was evaluated, and what it said is kept.
    let mut names: Vec<_> = std::fs::read_dir(folder.join("out"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "evaluator.log",
            "fused",
            "pareto.json",
            "recipe.yaml",
            "report.html",
            "results.json",
            "study.db",
            "trials.jsonl"
        ]
    );
    assert!(folder.join("out/fused/tokenizer.json").exists());
    let log = std::fs::read_to_string(folder.join("out/evaluator.log")).unwrap();
    assert!(log.contains("scored") && log.contains("accuracy"), "{log}");
    let note = results["notes"][0].as_str().unwrap();
    assert!(note.starts_with("no report split was seen"), "{note}");

    // Its recipe does the same again, and every mixture can be picked.
    let out = folder.join("out");
    let again = Command::new(env!("CARGO_BIN_EXE_bomf"))
        .args([
            "fuse",
            "--members",
            "run",
            "--recipe",
            "out/recipe.yaml",
            "--out",
            "again",
        ])
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(again.status.success(), "{again:?}");
    let front = |name: &str| std::fs::read(folder.join(name).join("pareto.json")).unwrap();
    assert!(front("out") == front("again"));
    let pick = Command::new(env!("CARGO_BIN_EXE_bomf"))
        .arg("pick")
        .arg(&out)
        .args(["--method", "uniform_soup", "--out", "soup"])
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(pick.status.success(), "{pick:?}");
    assert!((last(&folder.join("soup")) - 2.2).abs() < ROUNDING);
}

#[test]
fn a_report_evaluator_is_asked_at_the_end_and_its_errors_become_intervals() {
    let dir = place(PRINT);
    let folder = dir.path();
    let report =
        r#"metrics '{\"loss\": {\"value\": %.9f, \"stderr\": 0.1}, \"accuracy\": %.9f}\n'"#;
    std::fs::write(folder.join("report.sh"), format!("{METRICS}{report}\n")).unwrap();
    let more = [&TWO[..], &["--report-evaluator", "sh report.sh {model}"]].concat();
    let output = fuse(folder, "sh eval.sh {model}", &more);
    assert!(output.status.success(), "{output:?}");
    let results = results(folder);
    for method in results["methods"].as_array().unwrap() {
        assert_eq!(method["report"]["accuracy"], method["select"]["accuracy"]);
        let [low, high] = [0, 1].map(|i| method["report_interval"]["loss"][i].as_f64().unwrap());
        assert!((high - low - 2.0 * 1.959_964 * 0.1).abs() < ROUNDING);
        assert!(method["report_interval"].get("accuracy").is_none());
    }
    assert_eq!(results["notes"], json!([]));
}

#[test]
fn metrics_are_read_from_files_of_the_harness_with_their_errors() {
    let script = r#"mkdir -p "$2/some__model"; echo '{"nothing": 1}'
metrics '{\"results\": {\"task\": {\"loss,none\": %.9f, \"acc,none\": %.9f, \"acc_stderr,none\": 0.01}}}' \
  > "$2/some__model/results_2025.json""#;
    let dir = place(script);
    let objectives = ["--objective", "task.acc:max"];
    let output = fuse(dir.path(), "sh eval.sh {model} {output}", &objectives);
    assert!(output.status.success(), "{output:?}");
    let results = results(dir.path());
    // One objective alone is searched, too.
    assert_eq!(results["objectives"].as_array().unwrap().len(), 1);
    let best = method(&results, "bomf")["select"]["task.acc"]
        .as_f64()
        .unwrap();
    assert!(best > 0.99, "{best}");
}

#[test]
fn failures_are_told_to_the_search_and_tried_again() {
    // What lies above 2.7 fails for ever, what lies below 2 at the first try.
    let script = format!(
        r#"n=$(cat tries-$x 2>/dev/null || echo 0); echo $((n + 1)) > "tries-$x"
case "$x" in 3*|2.[789]*) exit 3;; esac
case "$x$n" in 1*0) exit 4;; esac
{PRINT}"#
    );
    let dir = place(&script);
    let output = fuse(dir.path(), "sh eval.sh {model}", &TWO);
    assert!(output.status.success(), "{output:?}");
    let events = events(dir.path());
    let states: Vec<&str> = events
        .iter()
        .map(|e| e["state"].as_str().unwrap())
        .collect();
    assert_eq!(states[..3], ["complete", "failed", "complete"]);
    assert_eq!(events[1]["scores"], json!({}));
    let tries = std::fs::read_to_string(dir.path().join("tries-1")).unwrap();
    assert_eq!(tries.trim(), "2");
    let log = std::fs::read_to_string(dir.path().join("out/evaluator.log")).unwrap();
    assert!(
        log.contains("exit status: 3") && log.contains("try 2"),
        "{log}"
    );
}

#[test]
fn what_is_wrong_from_the_beginning_ends_the_search_with_a_hint() {
    let dir = place(PRINT);
    let folder = dir.path();
    let cases: [(&str, &[&str], i32, &[&str]); 7] = [
        (
            "sh eval.sh {model}",
            &["--objective", "f1:max"],
            2,
            &["no metric `f1`", "loss, accuracy"],
        ),
        (
            "./no-such-program {model}",
            &TWO,
            2,
            &["cannot start `./no-such-program`"],
        ),
        (
            "sh eval.sh {model}",
            &[],
            2,
            &["evaluator.objectives", "--objective loss:min"],
        ),
        ("sh eval.sh", &TWO, 2, &["--evaluator", "{model}"]),
        (
            "sh eval.sh {model}",
            &["--objective", "loss"],
            2,
            &["NAME:min or NAME:max"],
        ),
        (
            "sh -c 'echo hello' {model}",
            &TWO,
            1,
            &["JSON object", "evaluator.log"],
        ),
        (
            "sh -c 'sleep 60' {model}",
            &[&TWO[..], &["--evaluator-timeout", "0.2"]].concat(),
            1,
            &["longer than 0.2 s", "--evaluator-timeout"],
        ),
    ];
    for (evaluator, more, code, expected) in cases {
        let output = fuse(folder, evaluator, more);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{evaluator}: {stderr}");
        for part in expected {
            assert!(stderr.contains(part), "{evaluator}: {stderr}");
        }
        let _ = std::fs::remove_dir_all(folder.join("out"));
    }
    let output = command(folder, &TWO).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        stderr.contains("`--evaluator` is needed where `--objective`"),
        "{stderr}"
    );
    let output = command(folder, &[]).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(stderr.contains("neither data nor an evaluator"), "{stderr}");
    assert_eq!(output.status.code(), Some(2));
    assert!(!folder.join("out").exists());
}

#[test]
fn an_interrupt_ends_the_program_and_all_that_it_started() {
    let dir = place("sleep 300 & echo $! > pid-of-child; echo $$ > pid; wait");
    let folder = dir.path();
    let all = [&["--evaluator", "sh eval.sh {model}"], &TWO[..]].concat();
    let child = command(folder, &all)
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let until = Instant::now() + Duration::from_secs(60);
    while std::fs::read(folder.join("pid")).map_or(0, |text| text.len()) == 0 {
        assert!(Instant::now() < until, "the evaluator never started");
        std::thread::sleep(Duration::from_millis(20));
    }
    let signal = |name: &str, pid: &str| {
        Command::new("kill")
            .args([name, pid])
            .output()
            .unwrap()
            .status
            .success()
    };
    assert!(signal("-INT", &child.id().to_string()));
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.contains("interrupted; out holds trials.jsonl, evaluator.log"),
        "{stderr}"
    );
    for name in ["pid", "pid-of-child"] {
        let pid = std::fs::read_to_string(folder.join(name)).unwrap();
        // A process that nobody has waited for yet is still there for a moment.
        while signal("-0", pid.trim()) {
            let status = std::fs::read_to_string(format!("/proc/{}/status", pid.trim()));
            if status.is_ok_and(|status| status.contains("State:\tZ")) {
                break;
            }
            assert!(Instant::now() < until, "{name} is still running");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn weights_are_evaluated_for_another_program() {
    let dir = place(PRINT);
    let all = [&["--serve", "--evaluator", "sh eval.sh {model}"], &TWO[..]].concat();
    let mut child = command(dir.path(), &all)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let lines = "{\"evaluate\": [0.5, 0.5, 0]}\nwhat?\n{\"evaluate\": [0.2, 0.2, 0.2]}\n";
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), lines.as_bytes()).unwrap();
    // The end of stdin is the end of the conversation.
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let told = String::from_utf8(output.stdout).unwrap();
    let told: Vec<Value> = told
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(told.len(), 4);
    assert_eq!(told[0]["n"], 3);
    assert_eq!(told[0]["chosen"], "accuracy");
    let loss = told[1]["scores"]["loss"].as_f64().unwrap();
    assert!((loss - (0.04 + 0.1)).abs() < ROUNDING, "{loss}");
    assert!(told[2]["error"].is_string());
    assert!(told[3]["error"].as_str().unwrap().contains("sum to 0.6"));
}
