//! `trainer: command`: programs that train, well and badly.

#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests may unwrap as tests do"
)]

mod support;

use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};
use support::*;

/// Writes models and reports; `$1` is the learning rate from the command line.
const TRAIN: &str = r#"
for step in 10 20 30; do
    awk -v s=$step 'BEGIN {
        x = (s / 20 - 1) ^ 2
        printf "bomf: {\"step\": %d, \"loss\": 0.5, \"eval_loss\": %.6f, \"eval_accuracy\": %.6f}\n", s, x, 1 - x
    }'
    [ "$BOMF_MODE" = trial ] || cp -r models/$step "$BOMF_OUTPUT/checkpoint-$step"
done
"#;

const EVALUATE: &str = r#"
x=$(tail -c 4 "$1/model.safetensors" | od -An -t f4 | tr -d ' ')
awk -v x="$x" 'BEGIN { printf "{\"loss\": %.9f, \"accuracy\": %.9f}\n", (x - 1.6) ^ 2, 1 - (x - 1.4) ^ 2 }'
"#;

const RECIPE: &str = "
seed: 3
stage1:
  trials: 3
  initial: 3
  epochs: 1
  space: {learning_rate: {type: log_float, low: 1.0e-4, high: 1.0e-2}}
finetune: {batch_size: 8, epochs: 2, dropout: 0.25}
members: {count: 4}
stage2: {evaluations: 2}
evaluator: {command: 'sh eval.sh {model}', objectives: {loss: min, accuracy: max}}
trainer: {command: 'sh train.sh {learning_rate} {output}', timeout: TIMEOUT}
";

fn place(script: &str, timeout: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path();
    for step in [10, 20, 30] {
        let value = 1.0 + step as f32 / 40.0;
        let folder = place.join(format!("models/{step}"));
        write_model(&folder, "F32", &[("w", vec![value; 3])]);
    }
    for (name, text) in [
        ("train.sh", script),
        ("eval.sh", EVALUATE),
        ("recipe.yaml", &RECIPE.replace("TIMEOUT", timeout)),
    ] {
        fs::write(place.join(name), text).unwrap();
    }
    dir
}

fn step(place: &Path, name: &str, more: &[&str]) -> Output {
    let arguments = [
        name,
        "--model",
        "some/model",
        "--data",
        "no-folder",
        "--recipe",
    ];
    let rest = ["recipe.yaml", "--out", "out", "--threads", "1", "--quiet"];
    bomf(place, &[&arguments[..], &rest, more].concat())
}

#[track_caller]
fn told(output: &Output, code: i32, expected: &str) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert!(text.contains(expected), "{text}");
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn both_stages_run_by_programs_alone() {
    // What it is given comes in three forms that agree.
    let check = r#"
[ "$1" = "$BOMF_LEARNING_RATE" ] && [ "$2" = "$BOMF_OUTPUT" ] || exit 3
[ "$BOMF_MODEL $BOMF_DATA $BOMF_BATCH_SIZE $BOMF_DROPOUT" = "some/model no-folder 8 0.25" ] || exit 4
cp "$BOMF_CONFIG" "config-$BOMF_MODE$BOMF_TRIAL.json"
"#;
    let dir = place(&format!("{check}{TRAIN}"), "60");
    let place = dir.path();
    let output = step(place, "run", &["--output-format", "json"]);
    assert!(output.status.success(), "{output:?}");
    let results: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(results["task_kind"], "external");
    assert_eq!(results["model"], "some/model");
    assert_eq!(results["stage1"]["trials"].as_array().unwrap().len(), 3);
    assert_eq!(results["finetune"]["best_step"], 20);
    let members = results["finetune"]["members"].as_array().unwrap();
    let paths: Vec<_> = members
        .iter()
        .map(|m| m["path"].as_str().unwrap())
        .collect();
    let expected = [
        "trainer/checkpoint-10",
        "trainer/checkpoint-20",
        "trainer/checkpoint-30",
    ];
    assert_eq!(paths, expected);
    assert!(place.join("out/fused/model.safetensors").is_file());

    let trial = json(&place.join("config-trial0.json"));
    assert_eq!(
        (&trial["trial"], &trial["hyperparameters"]["epochs"]),
        (&0.into(), &1.into())
    );
    let full = json(&place.join("config-finetune.json"));
    assert_eq!(
        (&full["trial"], &full["hyperparameters"]["epochs"]),
        (&Value::Null, &2.into())
    );
    let best = &results["stage1"]["best"]["learning_rate"];
    assert_eq!(&full["hyperparameters"]["learning_rate"], best);
    assert!(
        full["seed"].as_u64().unwrap() < 1 << 32,
        "as NumPy wants it"
    );
    // What trials wrote is gone.
    let hidden = fs::read_dir(place.join("out")).unwrap();
    let hidden = hidden.filter(|e| {
        e.as_ref()
            .unwrap()
            .file_name()
            .to_string_lossy()
            .starts_with('.')
    });
    assert_eq!(hidden.count(), 0);
    done(place, &["pick", "out", "--point", "1", "--out", "picked"]);
}

#[test]
fn a_trainer_that_never_works_is_an_error_with_its_log() {
    for (script, code, expected) in [
        (
            "echo broken >&2; exit 7",
            1,
            "the trainer failed: it ended with exit status: 7",
        ),
        ("sleep 60", 1, "it took longer than 1 s and was ended"),
        (
            "echo hello",
            2,
            "it reported no evaluation on the select split",
        ),
        ("echo 'bomf: nonsense'", 1, "JSON"),
        ("echo 'bomf: {\"eval_loss\": 1}'", 2, "has no `step`"),
        (
            "echo 'bomf: {\"step\": 1, \"eval_loss\": 1}'",
            2,
            "it gives no metric `accuracy`",
        ),
    ] {
        let dir = place(script, "1");
        let began = Instant::now();
        let output = step(dir.path(), "run", &[]);
        told(&output, code, expected);
        told(&output, code, "out/trainer.log");
        assert!(began.elapsed() < Duration::from_secs(30));
        let log = fs::read_to_string(dir.path().join("out/trainer.log")).unwrap();
        assert!(log.contains("trial 0 (learning_rate "), "{log}");
        assert!(
            !script.contains("broken") || log.contains("\nbroken\n"),
            "{log}"
        );
    }
    let dir = place("", "1");
    let recipe = RECIPE
        .replace("TIMEOUT", "1")
        .replace("sh train.sh", "no-such-program");
    fs::write(dir.path().join("recipe.yaml"), recipe).unwrap();
    told(
        &step(dir.path(), "run", &[]),
        2,
        "cannot start `no-such-program`",
    );
}

#[test]
fn once_it_has_worked_a_bad_trial_is_a_failed_one() {
    for bad in [
        "exit 1",
        "kill -9 $$",
        "sleep 60",
        "echo 'bomf: x'",
        "exit 0",
        "echo 'bomf: {\"step\": 1, \"eval_loss\": NaN, \"eval_accuracy\": 0.5}'; exit 0",
    ] {
        let dir = place(
            &format!("[ \"$BOMF_TRIAL\" = 1 ] && {{ {bad}; }}\n{TRAIN}"),
            "2",
        );
        let output = step(dir.path(), "tune", &["--output-format", "json"]);
        assert!(output.status.success(), "{bad}: {output:?}");
        let stage1: Value = serde_json::from_slice(&output.stdout).unwrap();
        let values = stage1["trials"].as_array().unwrap().iter();
        let failed: Vec<bool> = values.map(|t| t["value"].is_null()).collect();
        assert_eq!(failed, [false, true, false], "{bad}");
        assert!(dir.path().join("out/tuned.yaml").is_file());
    }
}

#[test]
fn checkpoints_that_are_too_few_or_thinned_out_are_told_of() {
    let dir = place(
        &TRAIN.replace(
            "$step\"\n",
            "$step\"; rm -rf \"$BOMF_OUTPUT\"/checkpoint-[12]0\n",
        ),
        "60",
    );
    told(
        &step(dir.path(), "run", &[]),
        2,
        "fusion needs at least 2 checkpoints; found 1",
    );

    let late = TRAIN
        .replace("10 20 30", "70 80 90")
        .replace("models/$step", "models/10");
    let late = late.replace("s / 20", "s / 80");
    let dir = place(&late, "60");
    let output = step(dir.path(), "run", &["--output-format", "json"]);
    let results: Value = serde_json::from_slice(&output.stdout).unwrap();
    let notes = results["notes"].to_string();
    assert!(
        notes.contains("6 checkpoints before step 70 are gone"),
        "{notes}"
    );
}

#[test]
fn a_trainer_that_outlived_a_killed_bomf_is_ended_before_the_next_one_begins() {
    let script = format!(
        "if [ \"$BOMF_MODE\" = finetune ] && [ ! -e left ]; then echo $$ > left; sleep 300; fi\n{TRAIN}"
    );
    let dir = place(&script, "600");
    let place = dir.path();
    let arguments = [
        "run",
        "--model",
        "m",
        "--data",
        "d",
        "--recipe",
        "recipe.yaml",
        "--out",
        "out",
    ];
    let mut child = command(place, &arguments).arg("--quiet").spawn().unwrap();
    while !fs::read_to_string(place.join("left")).is_ok_and(|text| text.ends_with('\n')) {
        std::thread::sleep(Duration::from_millis(10));
    }
    // The number of the process is written after it has started.
    std::thread::sleep(Duration::from_millis(500));
    child.kill().unwrap();
    child.wait().unwrap();
    let number = fs::read_to_string(place.join("left")).unwrap();
    let is_running = || Path::new("/proc").join(number.trim()).join("cwd").exists();
    assert!(is_running());
    done(place, &["resume", "out", "--quiet"]);
    assert!(!is_running());
    let log = fs::read_to_string(place.join("out/trainer.log")).unwrap();
    assert!(log.contains("still runs, and is ended"), "{log}");
}
