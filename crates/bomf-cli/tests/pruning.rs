//! `stage1.pruning`: trials that fall behind end early, and whatever dies meanwhile, the same ones
//! do.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests may unwrap as tests do"
)]

mod support;

use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use support::*;

/// Most learning rates of this space are far too small to learn anything in two passes.
const RECIPE: &str = "
stage1:
  trials: 9
  initial: 6
  epochs: 2
  pruning: {factor: 2, first: 0.2}
  space:
    learning_rate: {type: log_float, low: 1.0e-7, high: 3.0e-3}
    batch_size: {type: int, low: 4, high: 8}
finetune: {epochs: 2}
";

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
        // One in nine is labelled wrongly.
        let is_bad = (i * 7 % 6 > 2) != i.is_multiple_of(9);
        let label = if is_bad { "bad" } else { "good" };
        format!("the house {} is {word},{label}\n", i % 4)
    };
    fs::create_dir(place.join("data")).unwrap();
    for (split, range) in [
        ("train", 0..240),
        ("validation", 241..281),
        ("test", 285..325),
    ] {
        let rows: String = range.map(row).collect();
        let path = place.join(format!("data/{split}.csv"));
        fs::write(path, format!("text,label\n{rows}")).unwrap();
    }
    fs::write(place.join("recipe.yaml"), RECIPE).unwrap();
    let whole = RECIPE.replace("{factor: 2, first: 0.2}", "none");
    fs::write(place.join("whole.yaml"), whole).unwrap();
    let corpus: Vec<String> = (0..200).map(row).collect();
    fs::write(place.join("corpus.txt"), corpus.concat()).unwrap();
    let arguments = "pretrain --corpus corpus.txt --out model --hidden-size 32 \
        --num-hidden-layers 2 --num-attention-heads 2 --max-length 32 --intermediate-size 64 \
        --vocab-size 100 --epochs 1 --quiet --threads 1";
    done(place, &arguments.split_whitespace().collect::<Vec<_>>());
}

fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}

fn tune(out: &str, recipe: &str, more: &str) -> String {
    format!(
        "tune --model model --data data --recipe {recipe} --threads 1 --quiet --out {out} {more}"
    )
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

/// What one program comes to when nothing happens to it.
fn undisturbed() -> &'static (Vec<Value>, String) {
    static OUTCOME: OnceLock<(Vec<Value>, String)> = OnceLock::new();
    OUTCOME.get_or_init(|| {
        let tune = tune("undisturbed", "recipe.yaml", "");
        done(place(), &words(&tune));
        outcome(&place().join("undisturbed"))
    })
}

fn states(events: &[Value]) -> Vec<&str> {
    events
        .iter()
        .map(|e| e["state"].as_str().unwrap())
        .collect()
}

/// Everything that is known of the trials of a run.
fn trials(place: &Path, out: &str) -> Vec<Value> {
    let text = done(place, &["export", out, "--format", "json"]);
    let record: Value = serde_json::from_str(&text).unwrap();
    record["trials"].as_array().unwrap().clone()
}

/// The steps that a trial made.
fn steps(trial: &Value) -> u64 {
    let points = trial["curve"].as_array().unwrap();
    points.last().unwrap()["step"].as_u64().unwrap()
}

#[test]
fn what_falls_behind_ends_early_and_the_best_does_not() {
    let (events, _) = undisturbed();
    let whole = tune("whole", "whole.yaml", "");
    done(place(), &words(&whole));
    let (pruned, whole) = (trials(place(), "undisturbed"), trials(place(), "whole"));
    assert_eq!((pruned.len(), whole.len()), (9, 9));
    let states = states(events);
    assert!(
        states.contains(&"pruned") && states.contains(&"complete"),
        "{states:?}"
    );
    assert!(whole.iter().all(|trial| trial["state"] == "complete"));
    // The first ones are drawn before anything is known: they are the same in both.
    for (own, other) in pruned.iter().zip(&whole).take(6) {
        assert_eq!(own["parameters"], other["parameters"]);
        let (own_curve, curve) = (own["curve"].as_array().unwrap(), &other["curve"]);
        assert_eq!(own_curve[..], curve.as_array().unwrap()[..own_curve.len()]);
        assert_eq!(own["state"] == "complete", steps(own) == steps(other));
    }
    let value = |trial: &&Value| trial["value"].as_f64().unwrap();
    let best = |trials: &[Value]| {
        let best = trials.iter().max_by(|a, b| value(a).total_cmp(&value(b)));
        let best = best.unwrap();
        (best["number"].clone(), best["value"].clone())
    };
    // Of those drawn here none starts slowly and is the best in the end.
    assert_eq!(best(&pruned[..6]), best(&whole[..6]));
    let made = |trials: &[Value]| trials[..6].iter().map(steps).sum::<u64>();
    assert!(made(&pruned) < made(&whole));
    let table = done(place(), &["export", "undisturbed", "--format", "csv"]);
    assert!(table.contains(",pruned,"), "{table}");
    let journal = done(
        place(),
        &["export", "undisturbed", "--format", "optuna-journal"],
    );
    assert!(journal.contains("\"state\":2"), "{journal}");
}

#[test]
fn a_run_that_was_killed_prunes_the_same_trials() {
    let expected = undisturbed();
    let out = place().join("killed");
    let mut delay = 35;
    let began = Instant::now();
    let arguments = tune("killed", "recipe.yaml", "");
    let mut arguments = words(&arguments);
    for _ in 0..6 {
        let mut command = command(place(), &arguments);
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(delay));
        let _ = child.kill();
        child.wait().unwrap();
        delay += 45;
        if out.join("trials.jsonl").is_file() {
            arguments = words("resume killed --quiet");
        }
        assert!(began.elapsed() < Duration::from_secs(120));
    }
    // One that was stopped before it had begun begins again.
    if !bomf(place(), &words("resume killed --quiet"))
        .status
        .success()
    {
        done(
            place(),
            &words(&tune("killed", "recipe.yaml", "--overwrite")),
        );
    }
    assert_eq!(&outcome(&out), expected);
}

#[test]
fn one_worker_prunes_what_none_prunes_and_several_end_with_a_whole_trial() {
    let expected = undisturbed();
    done(place(), &words(&tune("one", "recipe.yaml", "--workers 1")));
    assert_eq!(&outcome(&place().join("one")), expected);
    done(
        place(),
        &words(&tune("three", "recipe.yaml", "--workers 3")),
    );
    let trials = trials(place(), "three");
    assert_eq!(trials.len(), 9);
    let states: Vec<&str> = trials
        .iter()
        .map(|t| t["state"].as_str().unwrap())
        .collect();
    // How many fall behind depends on who comes first: none where each is better than those before.
    assert!(states.iter().all(|s| ["pruned", "complete"].contains(s)));
    let value = |trial: &&Value| trial["value"].as_f64().unwrap();
    let best = trials.iter().max_by(|a, b| value(a).total_cmp(&value(b)));
    assert_eq!(best.unwrap()["state"], "complete");
    // What was drawn is the same, in whichever order it was trained.
    for (own, other) in trials.iter().zip(&expected.0).take(6) {
        assert_eq!(own["parameters"], other["parameters"]);
    }
}

/// Five passes of a program whose loss falls with each; it takes `pause` seconds for one, and
/// says when it came to its end.
fn by_program(pause: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let train = format!(
        "trap 'touch told-$BOMF_TRIAL; exit 0' TERM\n\
         for epoch in 1 2 3 4 5; do\n\
         awk -v x=\"$1\" -v e=$epoch 'BEGIN {{ printf \"{{\\\"step\\\": %d, \\\"epoch\\\": %d, \\\"eval_loss\\\": %.9f}}\\n\", 10 * e, e, x / e }}' >> \"$BOMF_METRICS\"\n\
         sleep {pause}\n\
         done\n\
         touch ended-$BOMF_TRIAL\n"
    );
    fs::write(dir.path().join("train.sh"), train).unwrap();
    let recipe = "
stage1:
  trials: 5
  initial: 5
  epochs: 5
  pruning: {factor: 2, first: 0.2}
  space: {learning_rate: {type: log_float, low: 1.0e-4, high: 1.0e-2}}
finetune: {batch_size: 8}
evaluator: {command: 'false {model}', objectives: {loss: min}}
trainer: {command: 'sh train.sh {learning_rate}'}
";
    fs::write(dir.path().join("recipe.yaml"), recipe).unwrap();
    dir
}

fn tune_by_program(place: &Path, out: &str, more: &str) -> Vec<Value> {
    let arguments =
        format!("tune --model m --data d --recipe recipe.yaml --quiet --out {out} {more}");
    done(place, &words(&arguments));
    outcome(&place.join(out)).0
}

#[test]
fn a_program_is_ended_early_and_how_fast_that_was_changes_nothing() {
    // This one has ended before anybody looks.
    let fast = by_program("0");
    let expected = tune_by_program(fast.path(), "out", "");
    let all = states(&expected);
    assert!(
        all.contains(&"pruned") && all.contains(&"complete"),
        "{all:?}"
    );
    for (number, event) in expected.iter().enumerate() {
        assert!(fast.path().join(format!("ended-{number}")).is_file());
        // Rungs lie at 1, 2 and 4 of 5 passes.
        let step = event["step"].as_u64().unwrap();
        match event["state"] == "complete" {
            true => assert_eq!(step, 50),
            false => assert!([10, 20, 40].contains(&step), "{step}"),
        }
    }
    assert_eq!(tune_by_program(fast.path(), "one", "--workers 1"), expected);

    let slow = by_program("0.5");
    assert_eq!(tune_by_program(slow.path(), "out", ""), expected);
    for (number, event) in expected.iter().enumerate() {
        let has = |name: &str| slow.path().join(format!("{name}-{number}")).is_file();
        assert_eq!(has("ended"), event["state"] == "complete", "trial {number}");
        assert_ne!(has("told"), has("ended"), "trial {number}");
    }
    let log = fs::read_to_string(slow.path().join("out/trainer.log")).unwrap();
    assert!(log.contains(" was ended early: "), "{log}");
}

#[test]
fn a_program_that_tells_no_epoch_is_trained_to_its_end_and_that_is_said() {
    let dir = by_program("0");
    let path = dir.path().join("train.sh");
    let train = fs::read_to_string(&path).unwrap();
    fs::write(&path, train.replace("\\\"epoch\\\"", "\\\"pass\\\"")).unwrap();
    let arguments = words("tune --model m --data d --recipe recipe.yaml --out out");
    let output = bomf(dir.path(), &arguments);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("no trial can be stopped early"), "{said}");
    let events = outcome(&dir.path().join("out")).0;
    assert!(states(&events).iter().all(|state| *state == "complete"));
}
