//! `--workers` and `bomf worker`: whoever trains, dies, is told to go or comes too late, the
//! trials are those of a run that nothing happened to.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests may unwrap as tests do"
)]

#[path = "../../bomf-study/tests/server/mod.rs"]
mod server;
mod support;

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use support::*;

const RECIPE: &str = "
stage1:
  trials: 6
  initial: 2
  epochs: 2
  space:
    learning_rate: {type: log_float, low: 1.0e-3, high: 3.0e-3}
    batch_size: {type: int, low: 4, high: 8}
finetune: {epochs: 2}
";

/// Longer than anything here takes on a slow machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A folder with `model/`, `data/` and `recipe.yaml`, made once.
fn place() -> &'static Path {
    static PLACE: OnceLock<tempfile::TempDir> = OnceLock::new();
    let place = PLACE.get_or_init(|| {
        let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        make(place.path());
        place
    });
    place.path()
}

fn make(place: &Path) {
    let words = ["warm", "kind", "fresh", "dark", "cold", "stale"];
    let row = |i: usize| {
        let word = words[i * 7 % 6];
        let label = if i * 7 % 6 > 2 { "bad" } else { "good" };
        format!("the house {} is {word},{label}\n", i % 4)
    };
    for (split, range) in [
        ("train", 0..240),
        ("validation", 241..281),
        ("test", 285..325),
    ] {
        for folder in ["data", "other-data"] {
            fs::create_dir_all(place.join(folder)).unwrap();
            let more = usize::from(folder == "other-data");
            let rows: String = (range.start..range.end + more).map(row).collect();
            let path = place.join(format!("{folder}/{split}.csv"));
            fs::write(path, format!("text,label\n{rows}")).unwrap();
        }
    }
    fs::write(place.join("recipe.yaml"), RECIPE).unwrap();
    let corpus: Vec<String> = (0..200).map(row).collect();
    fs::write(place.join("corpus.txt"), corpus.concat()).unwrap();
    let arguments = "pretrain --corpus corpus.txt --out model --hidden-size 32 \
        --num-hidden-layers 2 --num-attention-heads 2 --max-length 32 --intermediate-size 64 \
        --vocab-size 100 --epochs 1 --quiet --threads 1";
    done(place, &arguments.split_whitespace().collect::<Vec<_>>());
}

fn tune<'a>(out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let words = "tune --model model --data data --recipe recipe.yaml --threads 1 --quiet --out";
    let words: Vec<&str> = words.split(' ').collect();
    [&words[..], &[out], more].concat()
}

/// What a run wrote down of its trials, without times, and what it chose.
fn outcome(out: &Path) -> (Vec<Value>, String) {
    let text = fs::read_to_string(out.join("trials.jsonl")).unwrap();
    let events = text.lines().map(|line| {
        let mut event: Value = serde_json::from_str(line).unwrap();
        event.as_object_mut().unwrap().remove("seconds");
        event
    });
    let tuned = fs::read_to_string(out.join("tuned.yaml")).unwrap();
    (events.collect(), tuned)
}

/// What two workers come to when nothing happens to them.
fn undisturbed() -> &'static (Vec<Value>, String) {
    static OUTCOME: OnceLock<(Vec<Value>, String)> = OnceLock::new();
    OUTCOME.get_or_init(|| {
        done(place(), &tune("undisturbed", &["--workers", "2"]));
        outcome(&place().join("undisturbed"))
    })
}

/// Process numbers of the workers on an output folder.
fn workers(out: &Path) -> Vec<u32> {
    let out = out.display().to_string();
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let number = |entry: fs::DirEntry| entry.file_name().to_string_lossy().parse::<u32>().ok();
    let is_worker = |number: &u32| {
        let line = fs::read(format!("/proc/{number}/cmdline")).unwrap_or_default();
        let words: Vec<_> = line.split(|byte| *byte == 0).collect();
        words.get(1) == Some(&b"worker".as_slice()) && words.contains(&out.as_bytes())
    };
    processes.filter_map(number).filter(is_worker).collect()
}

fn signal(process: u32, signal: &str) {
    let words = [signal, &process.to_string()];
    // It may have ended by itself.
    let _ = std::process::Command::new("kill")
        .args(words)
        .stderr(Stdio::null())
        .status();
}

fn start(arguments: &[&str]) -> Child {
    start_in(place(), arguments)
}

fn start_in(place: &Path, arguments: &[&str]) -> Child {
    let mut command = command(place, arguments);
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// The exit code, and what it said.
fn end(child: Child) -> (Option<i32>, String) {
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), said)
}

/// Waits until something is so.
#[track_caller]
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn one_worker_comes_to_what_none_comes_to() {
    let place = place();
    done(place, &tune("none", &[]));
    done(place, &tune("one", &["--workers", "1"]));
    assert_eq!(outcome(&place.join("one")), outcome(&place.join("none")));
    let (events, _) = undisturbed();
    assert_eq!(events.len(), 6);
    assert!(
        workers(&place.join("one")).is_empty(),
        "they go when it is over"
    );
}

#[test]
fn trials_are_the_same_when_workers_are_killed_at_random_moments() {
    let expected = undisturbed();
    let out = place().join("killed");
    let kills = match std::env::var("BOMF_KILLS") {
        Ok(number) => number.parse().unwrap(),
        Err(_) => 4,
    };
    let run = start(&tune("killed", &["--workers", "2"]));
    let mut state: u64 = 5;
    for _ in 0..kills {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        std::thread::sleep(Duration::from_millis(20 + (state >> 33) % 300));
        if let Some(worker) = workers(&out).first() {
            signal(*worker, "-KILL");
        }
    }
    let (code, said) = end(run);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(&outcome(&out), expected);
}

#[test]
fn a_scheduler_that_is_killed_takes_its_workers_along_and_goes_on() {
    let expected = undisturbed();
    let out = place().join("resumed");
    let mut run = start(&tune("resumed", &["--workers", "2"]));
    until("a first trial", || {
        fs::read_to_string(out.join("trials.jsonl")).is_ok_and(|text| text.contains('\n'))
    });
    run.kill().unwrap();
    end(run);
    until("workers without a scheduler go", || {
        workers(&out).is_empty()
    });
    done(place(), &["resume", "resumed", "--quiet"]);
    assert_eq!(&outcome(&out), expected);
}

#[test]
fn a_worker_that_is_told_to_go_gives_its_trial_back_at_once() {
    // A trial lasts for as long as there is a file.
    let dir = by_program("touch started; while [ -e hold ]; do sleep 0.05; done");
    let place = dir.path();
    let alone = tune_by_program(place, "alone", "");
    fs::write(place.join("hold"), "").unwrap();
    fs::remove_file(place.join("started")).unwrap();
    // The lease is long: only a trial that was given back can be had by another.
    let words = tune_words("by-hand", "--remote-workers 1 --lease 600");
    let run = start_in(place, &words.split_whitespace().collect::<Vec<_>>());
    let out = place.join("by-hand");
    until("the study is entered", || {
        let output = bomf(
            place,
            &["worker", "by-hand", "--data", "x", "--threads", "4000"],
        );
        // It says that there are too many threads, or that there is no study yet.
        String::from_utf8_lossy(&output.stderr).contains("threads")
    });
    let worker = start_in(place, &["worker", "by-hand"]);
    until("a trial runs", || place.join("started").is_file());
    signal(worker.id(), "-TERM");
    let (code, said) = end(worker);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("interrupted; trial 0 was given back"),
        "{said}"
    );
    fs::remove_file(place.join("hold")).unwrap();
    // Two of them, though one was counted on.
    let both = [0, 1].map(|_| start_in(place, &["worker", "by-hand"]));
    let (code, said) = end(run);
    assert_eq!(code, Some(0), "{said}");
    for worker in both {
        let (code, said) = end(worker);
        assert_eq!(code, Some(0), "{said}");
    }
    assert_eq!(outcome(&out), alone);
}

#[test]
fn workers_started_by_hand_come_to_the_same() {
    let out = place().join("by-hand");
    let run = start(&tune("by-hand", &["--remote-workers", "2"]));
    until("workers find the study", || {
        let (code, said) = end(start(&["worker", "by-hand"]));
        let is_early = said.contains("there is no study");
        assert!(code == Some(0) || is_early, "{said}");
        code == Some(0)
    });
    let (code, said) = end(run);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(&outcome(&out), undisturbed());
}

#[test]
fn a_worker_of_other_data_or_of_a_run_without_workers_is_refused() {
    let place = place();
    done(place, &tune("alone", &[]));
    let refused = |arguments: &[&str], expected: &str| {
        let output = bomf(place, arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(expected), "{said}");
    };
    refused(&["worker", "alone"], "has no trials for workers");
    refused(&["worker", "nowhere"], "there is no study at");
    undisturbed();
    let other = ["worker", "undisturbed", "--data", "other-data", "--quiet"];
    refused(&other, "data was sha256");
    let own = ["worker", "undisturbed", "--quiet"];
    assert!(done(place, &own).starts_with("0 trials"), "all is done");
}

#[test]
fn a_worker_that_cannot_work_ends_the_run_with_its_reason() {
    let place: PathBuf = place().into();
    let recipe = format!(
        "{RECIPE}\nevaluator: {{command: 'false {{model}}', objectives: {{loss: min}}}}\n\
         trainer: {{command: 'no-such-program'}}\n"
    );
    fs::write(place.join("trainer.yaml"), recipe).unwrap();
    let words = "tune --model m --data d --recipe trainer.yaml --out broken --workers 2 --quiet";
    let output = bomf(&place, &words.split(' ').collect::<Vec<_>>());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("error: worker "), "{said}");
    assert!(said.contains("no-such-program"), "{said}");
    assert!(said.contains("bomf resume"), "{said}");
}

/// A folder with a recipe whose trials a program trains; the second of all fails by its own
/// fault.
fn by_program(first: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let train = format!(
        "{first}\n\
         [ \"$BOMF_TRIAL\" = 1 ] && {{ echo 'bomf: {{\"step\": 1, \"eval_loss\": NaN}}'; exit 0; }}\n\
         awk -v x=\"$1\" 'BEGIN {{ printf \"bomf: {{\\\"step\\\": 1, \\\"eval_loss\\\": %.9f}}\\n\", x }}'\n"
    );
    fs::write(dir.path().join("train.sh"), train).unwrap();
    let recipe = "
stage1:
  trials: 5
  initial: 5
  space: {learning_rate: {type: log_float, low: 1.0e-4, high: 1.0e-2}}
finetune: {batch_size: 8}
evaluator: {command: 'false {model}', objectives: {loss: min}}
trainer: {command: 'sh train.sh {learning_rate}'}
";
    fs::write(dir.path().join("recipe.yaml"), recipe).unwrap();
    dir
}

fn tune_words(out: &str, more: &str) -> String {
    format!("tune --model some/model --data no --recipe recipe.yaml --quiet --out {out} {more}")
}

fn tune_by_program(place: &Path, out: &str, more: &str) -> (Vec<Value>, String) {
    let words = tune_words(out, more);
    done(place, &words.split_whitespace().collect::<Vec<_>>());
    outcome(&place.join(out))
}

#[test]
fn a_program_may_train_for_workers_too() {
    let dir = by_program("");
    let alone = tune_by_program(dir.path(), "alone", "");
    assert_eq!(alone.0.len(), 5);
    assert_eq!(alone.0[1]["state"], "failed");
    // All of them are drawn before one is known.
    for (out, workers) in [("one", "--workers 1"), ("two", "--workers 2")] {
        assert_eq!(tune_by_program(dir.path(), out, workers), alone);
    }
}

#[test]
fn a_study_on_a_server_has_workers_by_its_url_and_goes_on() {
    let Some(server) = server::Server::start() else {
        return;
    };
    // All trials but the first last for as long as there is a file.
    let dir = by_program("while [ -e hold -a \"$BOMF_TRIAL\" != 0 ]; do sleep 0.05; done");
    let (place, url) = (dir.path(), server.study());
    let alone = tune_by_program(place, "alone", "");
    fs::write(place.join("hold"), "").unwrap();
    let out = place.join("served");
    let more = format!("--workers 1 --remote-workers 1 --storage {url}");
    let words = tune_words("served", &more);
    let mut run = start_in(place, &words.split_whitespace().collect::<Vec<_>>());
    until("a first trial", || {
        fs::read_to_string(out.join("trials.jsonl")).is_ok_and(|text| text.contains('\n'))
    });
    // Another one of this name, here or elsewhere, is refused, and leaves nothing behind.
    for (words, expected) in [
        (tune_words("elsewhere", &more), "there is a study at"),
        ("resume served --quiet".into(), "is in use"),
    ] {
        let output = bomf(place, &words.split_whitespace().collect::<Vec<_>>());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(expected), "{said}");
    }
    assert!(!place.join("elsewhere").exists());
    run.kill().unwrap();
    end(run);
    fs::remove_file(place.join("hold")).unwrap();
    assert!(!out.join("study.db").exists());
    let kept = fs::read_to_string(out.join("study.url")).unwrap();
    assert!(kept.starts_with("postgresql://"), "{kept}");

    let worker = start_in(place, &["worker", &url]);
    done(place, &["resume", "served", "--quiet"]);
    let (code, said) = end(worker);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(outcome(&out), alone);
    let late = start_in(place, &["worker", &url]);
    assert_eq!(end(late).0, Some(0), "all is done");
    let again = format!("--workers 2 --storage {url} --overwrite");
    assert_eq!(tune_by_program(place, "served", &again), alone);
}

#[test]
fn a_url_that_cannot_be_is_said_before_anything_is_written() {
    let place = place();
    for (url, expected) in [
        ("mysql://h/d", "is no URL of a study"),
        (
            "postgresql://h/d?sslmode=verify",
            "verify-ca or verify-full",
        ),
        ("postgresql://me:secret@127.0.0.1:1/d", "127.0.0.1:1/d: "),
    ] {
        let output = bomf(
            place,
            &tune("none-of-it", &["--workers", "1", "--storage", url]),
        );
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{said}");
        assert!(
            said.contains(expected) && !said.contains("secret"),
            "{said}"
        );
        assert!(said.contains("hint: "), "{said}");
        assert!(!place.join("none-of-it").exists());
    }
}

#[test]
fn two_programs_cannot_lead_one_run() {
    let dir = by_program("while [ -e hold ]; do sleep 0.05; done");
    let place = dir.path();
    fs::write(place.join("hold"), "").unwrap();
    let words = tune_words("led", "--workers 1");
    let run = start_in(place, &words.split_whitespace().collect::<Vec<_>>());
    until("the study is there", || {
        place.join("led/study.db").is_file()
    });
    for words in [
        tune_words("led", "--workers 1 --overwrite"),
        "resume led --quiet".into(),
    ] {
        let output = bomf(place, &words.split_whitespace().collect::<Vec<_>>());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("is in use by process"), "{said}");
    }
    fs::remove_file(place.join("hold")).unwrap();
    let (code, said) = end(run);
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn an_experiment_has_workers_in_each_run() {
    let place = place();
    let plan = "
model: model
seeds: [0]
tasks: [{data: data, recipe: recipe.yaml}]
variants: [{name: all, recipe: {members: {count: 3}, stage2: {evaluations: 2}}}]
";
    fs::write(place.join("plan.yaml"), plan).unwrap();
    let words = "experiment plan.yaml --out experiment --workers 1 --threads 1 --quiet";
    done(place, &words.split(' ').collect::<Vec<_>>());
    let run = place.join("experiment/data/all/seed-0");
    assert!(run.join("results.json").is_file());
    assert!(run.join("workers/worker-1.log").is_file());
}
