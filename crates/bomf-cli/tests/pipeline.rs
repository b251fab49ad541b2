//! Whole runs of the binary on a tiny encoder: streams, files and exit codes.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests may unwrap as tests do"
)]

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

const RECIPE: &str = "
stage1:
  trials: 2
  initial: 1
  epochs: 1
  space:
    learning_rate: {type: log_float, low: 1.0e-3, high: 3.0e-3}
    batch_size: {type: int, low: 4, high: 8}
finetune: {epochs: 2}
members: {count: 3}
stage2: {evaluations: 4}
";

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bomf"));
    command
        .args(arguments)
        .current_dir(place())
        .env("NO_COLOR", "1")
        .env("HF_HUB_OFFLINE", "1")
        .env_remove("RUST_LOG");
    command
}

fn bomf(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

/// `n` short sentences with labels.
fn rows(n: usize, from: usize) -> Vec<(String, &'static str)> {
    let words = ["warm", "kind", "fresh", "dark", "cold", "stale"];
    let plain = ["the house", "a river", "the old town", "one road"];
    (from..from + n)
        .map(|i| {
            let word = words[i * 7 % 6];
            let again = words[i * 5 % 3 + 3 * usize::from(i * 7 % 6 > 2)];
            let text = format!("{} is {word} and {again}", plain[i * 3 % 4]);
            (text, if i * 7 % 6 > 2 { "bad" } else { "good" })
        })
        .collect()
}

/// A folder with `model/`, `data/` and `recipe.yaml`, made once; commands run in it.
fn place() -> &'static Path {
    static PLACE: OnceLock<PathBuf> = OnceLock::new();
    PLACE.get_or_init(|| {
        let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cli");
        let _ = std::fs::remove_dir_all(&place);
        std::fs::create_dir_all(place.join("data")).unwrap();
        for (split, n, from) in [("train", 60, 0), ("validation", 30, 61), ("test", 30, 97)] {
            let mut text = String::from("text,label\n");
            for (sentence, label) in rows(n, from) {
                text.push_str(&format!("{sentence},{label}\n"));
            }
            std::fs::write(place.join(format!("data/{split}.csv")), text).unwrap();
        }
        std::fs::write(place.join("recipe.yaml"), RECIPE).unwrap();
        let corpus: Vec<String> = rows(200, 0).into_iter().map(|row| row.0).collect();
        std::fs::write(place.join("corpus.txt"), corpus.join("\n")).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_bomf"))
            .current_dir(&place)
            .args("pretrain --corpus corpus.txt --out model --hidden-size 32".split(' '))
            .args("--num-hidden-layers 2 --num-attention-heads 2 --max-length 32".split(' '))
            .args("--intermediate-size 64 --vocab-size 100 --epochs 2 --quiet".split(' '))
            .args("--threads 1 --output-format json".split(' '))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        assert!(output.stderr.is_empty(), "{}", stderr(&output));
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(told["steps"].as_u64().unwrap() > 1);
        place
    })
}

/// The arguments of a run into `out`.
fn run<'a>(name: &'a str, out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec![
        name,
        "--model",
        "model",
        "--data",
        "data",
        "--out",
        out,
        "--threads",
        "1",
    ];
    if !more.contains(&"--recipe") {
        arguments.extend(["--recipe", "recipe.yaml"]);
    }
    arguments.extend(more);
    arguments
}

/// A finished run, `run/` in the place.
fn finished() -> &'static Output {
    static FINISHED: OnceLock<Output> = OnceLock::new();
    FINISHED.get_or_init(|| bomf(&run("run", "run", &[])))
}

fn names(folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(place().join(folder)).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn a_run_prints_its_table_and_leaves_every_file() {
    let output = finished();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(output));
    for method in ["best_checkpoint", "prediction_ensemble", "bomf"] {
        assert!(
            stdout(output).lines().any(|l| l.starts_with(method)),
            "{}",
            stdout(output)
        );
    }
    assert!(stdout(output).contains("run/report.html"));
    let told = stderr(output);
    for note in [
        "note: newly initialised",
        "note: labels in order: `bad`, `good`",
    ] {
        assert_eq!(told.matches(note).count(), 1, "{told}");
    }
    for phase in [
        "stage 1: done",
        "fine-tuning: done",
        "stage 2: done",
        "evaluation: done",
    ] {
        assert!(told.contains(phase), "{told}");
    }
    assert_eq!(
        names("run"),
        [
            "fused",
            "members",
            "pareto.json",
            "recipe.yaml",
            "report.html",
            "results.json",
            "study.db",
            "trials.jsonl"
        ]
    );
}

#[test]
fn json_on_stdout_is_one_document_and_quiet_leaves_stderr_empty() {
    let more = ["--output-format", "json", "--quiet", "--seed", "7"];
    let output = bomf(&run("run", "json", &more));
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(output.stderr.is_empty(), "{}", stderr(&output));
    let told: Value = serde_json::from_str(stdout(&output)).unwrap();
    let file = std::fs::read(place().join("json/results.json")).unwrap();
    assert_eq!(told, serde_json::from_slice::<Value>(&file).unwrap());
    assert_eq!(told["seed"], 7);
    assert_eq!(told["threads"], 1);
    let recipe = std::fs::read_to_string(place().join("json/recipe.yaml")).unwrap();
    assert!(recipe.contains("\nseed: 7"), "{recipe}");
}

#[test]
fn a_taken_folder_is_refused_and_an_earlier_run_replaced_when_told() {
    std::fs::create_dir_all(place().join("taken")).unwrap();
    std::fs::write(place().join("taken/thesis.tex"), "x").unwrap();
    for more in [&[][..], &["--overwrite"]] {
        let output = bomf(&run("run", "taken", more));
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(stderr(&output).contains("error: taken is not empty\n"));
        assert_eq!(names("taken"), ["thesis.tex"]);
    }
    let output = bomf(&run("run", "recipe.yaml", &[]));
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(stderr(&output).contains("hint: there is a file of this name"));
    let again = run("tune", "earlier", &[]);
    assert_eq!(bomf(&again).status.code(), Some(0));
    let output = bomf(&again);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("--overwrite"),
        "{}",
        stderr(&output)
    );
    let output = bomf(&run("run", "earlier", &["--overwrite"]));
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(!names("earlier").contains(&"tuned.yaml".into()));
}

#[test]
fn the_steps_follow_each_other_as_their_help_says() {
    let output = bomf(&run("tune", "steps-tuned", &[]));
    assert!(
        stdout(&output).contains("best: learning_rate "),
        "{}",
        stdout(&output)
    );
    let more = ["--recipe", "steps-tuned/tuned.yaml"];
    let output = bomf(&run("finetune", "steps-run", &more));
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let row = stdout(&output)
        .lines()
        .rfind(|l| l.starts_with("members/checkpoint-"));
    assert!(
        row.unwrap()
            .split_whitespace()
            .nth(2)
            .unwrap()
            .parse::<f64>()
            .is_ok()
    );
    let fuse =
        "fuse --members steps-run/members --data data --out steps-fused --recipe recipe.yaml";
    let output = bomf(&fuse.split(' ').collect::<Vec<_>>());
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(names("steps-fused").contains(&"report.html".into()));

    let eval =
        "eval --model steps-fused/fused --data data --predictions p.jsonl --output-format json";
    let output = bomf(&eval.split(' ').collect::<Vec<_>>());
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let scores: Value = serde_json::from_str(stdout(&output)).unwrap();
    let predictions = std::fs::read_to_string(place().join("p.jsonl")).unwrap();
    assert_eq!(predictions.lines().count(), 30);
    let file = std::fs::read(place().join("steps-fused/results.json")).unwrap();
    let results: Value = serde_json::from_slice(&file).unwrap();
    let told = &results["methods"][7]["report"]["loss"];
    assert!((scores["loss"].as_f64().unwrap() - told.as_f64().unwrap()).abs() < 1e-6);
}

#[test]
fn a_finished_run_is_reported_again_to_the_same_page() {
    assert!(finished().status.success());
    let output = bomf(&["report", "run", "--to", "again.html"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let read = |name: &str| std::fs::read_to_string(place().join(name)).unwrap();
    assert_eq!(read("again.html"), read("run/report.html"));
}

#[test]
fn a_diverging_run_ends_with_1_and_wrong_numbers_with_2() {
    let recipe = "
stage1: {trials: 0}
finetune: {learning_rate: 1, batch_size: 1, weight_decay: 10, warmup_ratio: 0, epochs: 2}
";
    std::fs::write(place().join("diverging.yaml"), recipe).unwrap();
    let output = bomf(&run("run", "diverged", &["--recipe", "diverging.yaml"]));
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(output.stdout.is_empty());
    let told = stderr(&output);
    assert!(
        told.contains("error: the training loss is no longer a finite number at step "),
        "{told}"
    );
    assert!(told.contains("\nhint: "), "{told}");

    for arguments in [
        "bench --model model --data data --mode train --batch-size 0",
        "pretrain --corpus corpus.txt --out none --batch-size 0",
        "eval --model model --data data",
        "eval --model model --data data --threads 100000",
        "fuse --members run/fused --data data --out none",
        "run --model data --data data --out none",
    ] {
        assert!(finished().status.success());
        let output = bomf(&arguments.split(' ').collect::<Vec<_>>());
        assert_eq!(
            output.status.code(),
            Some(2),
            "{arguments}: {}",
            stderr(&output)
        );
        assert!(stderr(&output).contains("error: "), "{arguments}");
        assert!(!place().join("none").exists(), "{arguments}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    assert!(finished().status.success());
    for arguments in [
        "eval --model run/fused --data data",
        "report run --to gone.html --output-format json",
        "--help",
    ] {
        let mut child = command(&arguments.split(' ').collect::<Vec<_>>())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(
            output.status.code(),
            Some(0),
            "{arguments}: {}",
            stderr(&output)
        );
        assert!(!stderr(&output).contains("panicked"), "{}", stderr(&output));
    }
}

/// Ctrl-C while the full model trains.
#[cfg(unix)]
#[test]
fn an_interrupt_ends_with_1_and_says_what_is_on_disk() {
    let recipe = "
stage1: {trials: 0}
finetune: {learning_rate: 1.0e-5, batch_size: 1, epochs: 10000, early_stopping: false}
";
    std::fs::write(place().join("long.yaml"), recipe).unwrap();
    let more = ["--recipe", "long.yaml"];
    let child = command(&run("run", "interrupted", &more))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let journal = place().join("interrupted/trials.jsonl");
    let began = std::time::Instant::now();
    // The first evaluation is written down: the run is under way.
    while std::fs::metadata(&journal).map_or(0, |file| file.len()) == 0 {
        assert!(began.elapsed().as_secs() < 60, "the run does not begin");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let process = child.id().to_string();
    let sent = Command::new("kill")
        .args(["-INT", &process])
        .status()
        .unwrap();
    assert!(sent.success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(output.stdout.is_empty());
    let told = stderr(&output);
    assert!(
        told.contains("error: interrupted; interrupted holds trials.jsonl\n"),
        "{told}"
    );
    assert_eq!(
        names("interrupted"),
        ["recipe.yaml", "study.db", "trials.jsonl"]
    );
}

/// Ctrl-C while a model is evaluated.
#[cfg(unix)]
#[test]
fn an_interrupted_evaluation_ends_with_1_and_prints_no_scores() {
    use std::io::{BufRead, BufReader};

    // Seconds of work, so that the signal comes in time.
    const EXAMPLES: usize = 60_000;
    assert!(finished().status.success());
    std::fs::create_dir_all(place().join("long")).unwrap();
    for (split, n) in [("validation", 30), ("test", EXAMPLES)] {
        let mut text = String::from("text,label\n");
        for (sentence, label) in rows(n, 0) {
            text.push_str(&format!("{sentence},{label}\n"));
        }
        std::fs::write(place().join(format!("long/{split}.csv")), text).unwrap();
    }
    let arguments = "eval --model run/fused --data long --predictions long.jsonl --threads 1";
    let mut child = command(&arguments.split(' ').collect::<Vec<_>>())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = String::new();
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    // The data are read and tokenised.
    while !told.contains("note: ") {
        assert_ne!(lines.read_line(&mut told).unwrap(), 0, "{told}");
    }
    let process = child.id().to_string();
    let sent = Command::new("kill")
        .args(["-INT", &process])
        .status()
        .unwrap();
    assert!(sent.success());
    std::io::Read::read_to_string(&mut lines, &mut told).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(output.stdout.is_empty() && !place().join("long.jsonl").exists());
    assert!(told.contains("stopping at the next safe point"), "{told}");
    assert!(
        told.ends_with("error: interrupted; nothing was written\n"),
        "{told}"
    );
}
