//! `bomf resume`: a run that was killed at any moment comes to what it would have come to
//! undisturbed, and repeats nothing that it had finished.

#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests may unwrap as tests do"
)]
#![allow(clippy::print_stdout, reason = "how many kills there were")]

mod support;

use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use support::*;

const RECIPE: &str = "
stage1:
  trials: 4
  initial: 2
  epochs: 1
  space:
    learning_rate: {type: log_float, low: 1.0e-3, high: 3.0e-3}
    batch_size: {type: int, low: 4, high: 8}
finetune: {epochs: 4}
members: {count: 4}
stage2: {evaluations: 6, baselines: [ema, cma_es, bo_metric]}
";

/// The most times that a run is killed again while it is resumed.
const AGAIN: usize = 3;

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
    let sentence = |i: usize| {
        let (first, second) = (words[i * 7 % 6], words[i * 5 % 3 + 3 * (i * 7 % 6 / 3)]);
        // One in nine is labelled wrongly.
        let is_bad = (i * 7 % 6 > 2) != i.is_multiple_of(9);
        let text = format!("the house {} is {first} and {second}", i % 4);
        (text, if is_bad { "bad" } else { "good" })
    };
    fs::create_dir_all(place.join("data")).unwrap();
    for (split, range) in [
        ("train", 0..120),
        ("validation", 121..161),
        ("test", 165..205),
    ] {
        let rows = range
            .map(sentence)
            .map(|(text, label)| format!("{text},{label}\n"));
        let text = format!("text,label\n{}", rows.collect::<String>());
        fs::write(place.join(format!("data/{split}.csv")), text).unwrap();
    }
    fs::write(place.join("recipe.yaml"), RECIPE).unwrap();
    let corpus: Vec<String> = (0..200).map(|i| sentence(i).0).collect();
    fs::write(place.join("corpus.txt"), corpus.join("\n")).unwrap();
    let arguments = "pretrain --corpus corpus.txt --out model --hidden-size 32 \
        --num-hidden-layers 2 --num-attention-heads 2 --max-length 32 --intermediate-size 64 \
        --vocab-size 100 --epochs 2 --quiet --threads 1";
    done(place, &arguments.split_whitespace().collect::<Vec<_>>());
}

fn run(out: &str) -> Vec<&str> {
    let mut words = "run --model model --data data --recipe recipe.yaml --threads 1 --quiet --out"
        .split(' ')
        .collect::<Vec<_>>();
    words.push(out);
    words
}

/// A file of JSON without times.
fn json(path: &Path) -> Value {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(map) => {
                map.retain(|key, _| key != "seconds" && key != "peak_rss_mb");
                map.values_mut().for_each(strip);
            }
            Value::Array(items) => items.iter_mut().for_each(strip),
            _ => {}
        }
    }
    let text = fs::read_to_string(path).unwrap();
    let mut value = serde_json::from_str(&text).unwrap();
    strip(&mut value);
    value
}

/// The whole lines of a journal; none where there is none.
fn lines(out: &Path) -> Vec<String> {
    let text = fs::read_to_string(out.join("trials.jsonl")).unwrap_or_default();
    let lines = text
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'));
    lines.map(String::from).collect()
}

fn events(out: &Path) -> Vec<Value> {
    let without_times = |line: &String| {
        let mut event: Value = serde_json::from_str(line).unwrap();
        event.as_object_mut().unwrap().remove("seconds");
        event
    };
    lines(out).iter().map(without_times).collect()
}

/// Every file of a folder and below, by its path.
fn files(folder: &Path, prefix: &str, into: &mut Vec<(String, Vec<u8>)>) {
    let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap()).collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        match entry.file_type().unwrap().is_dir() {
            true => files(&entry.path(), &format!("{name}/"), into),
            false => into.push((name, fs::read(entry.path()).unwrap())),
        }
    }
}

/// All that two runs must share.
#[track_caller]
fn assert_same(out: &Path, undisturbed: &Path) {
    assert_eq!(
        json(&out.join("results.json")),
        json(&undisturbed.join("results.json"))
    );
    assert_eq!(events(out), events(undisturbed));
    let all = |folder: &Path| {
        let mut found = Vec::new();
        files(folder, "", &mut found);
        // Compared above, or full of times.
        let apart = ["results.json", "trials.jsonl", "study.db", "report.html"];
        // Logs tell of every try, and what a trainer is given holds the folder's name.
        found.retain(|(name, _)| {
            !apart.contains(&name.as_str())
                && !name.ends_with(".log")
                && !name.starts_with("trainer/bomf-")
        });
        found
    };
    let (own, other) = (all(out), all(undisturbed));
    let names = |files: &[(String, Vec<u8>)]| files.iter().map(|f| f.0.clone()).collect::<Vec<_>>();
    assert_eq!(names(&own), names(&other));
    for ((name, own), (_, other)) in own.iter().zip(&other) {
        assert!(own == other, "{name} differs");
    }
}

/// Numbers from 0 to 1 that look random, the same every time.
fn uniform(state: &mut u64) -> f64 {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    (*state >> 11) as f64 / (1u64 << 53) as f64
}

/// Starts `bomf` and kills it after a while; whether it had ended by then.
fn killed_after(place: &Path, arguments: &[&str], delay: Duration) -> bool {
    let mut command = command(place, arguments);
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    std::thread::sleep(delay);
    let _ = child.kill();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    // Whatever it says, it says of something that went wrong.
    let nothing_to_resume = output.status.code() == Some(2) && text.contains("there is no study");
    assert!(text.is_empty() || nothing_to_resume, "{text}");
    output.status.success()
}

/// Trials and evaluations of a journal: what is paid for one by one.
fn paid(lines: &[String]) -> Vec<&String> {
    let is_paid = |line: &&String| !line.contains(r#""stage":"finetune""#);
    lines.iter().filter(is_paid).collect()
}

/// Kills a run at random moments, and what resumes it; then it must be as if nothing had
/// been. `BOMF_KILLS` asks for more than the few of every day.
fn check_kills(place: &Path, kills: usize) {
    let kills: usize = match std::env::var("BOMF_KILLS") {
        Ok(number) => number.parse().unwrap(),
        Err(_) => kills,
    };
    let began = Instant::now();
    done(place, &run("undisturbed"));
    let whole = began.elapsed();
    let undisturbed = place.join("undisturbed");

    let mut state = 7;
    let (mut killed, mut resumed, mut kept) = (0, 0, 0);
    while killed < kills {
        let out = place.join("killed");
        let _ = fs::remove_dir_all(&out);
        let delay = whole.mul_f64(uniform(&mut state));
        if killed_after(place, &run("killed"), delay) {
            continue;
        }
        killed += 1;
        let mut before = lines(&out);
        for _ in 0..AGAIN {
            if uniform(&mut state) < 0.5 || killed == kills {
                break;
            }
            let delay = whole.mul_f64(uniform(&mut state));
            if killed_after(place, &["resume", "killed", "--quiet"], delay) {
                break;
            }
            killed += 1;
            let after = lines(&out);
            // With the times that they took: none was made again.
            let (old, new) = (paid(&before), paid(&after));
            assert!(
                new.len() >= old.len() && new[..old.len()] == old[..],
                "{old:?} {new:?}"
            );
            before = after;
        }
        let output = bomf(place, &["resume", "killed", "--quiet"]);
        if output.status.success() {
            resumed += 1;
        } else {
            // It was killed before it had begun.
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(text.contains("there is no study"), "{text}");
            assert!(before.is_empty());
            let mut again = run("killed");
            again.push("--overwrite");
            done(place, &again);
        }
        let after = lines(&out);
        let (old, new) = (paid(&before), paid(&after));
        assert!(new[..old.len()] == old[..], "{old:?} {new:?}");
        kept += old.len();
        assert_same(&out, &undisturbed);
    }
    println!("{killed} kills, {resumed} runs resumed to their end, {kept} results given back");
}

#[test]
fn a_run_that_is_killed_at_any_moment_comes_to_what_it_would_have_come_to() {
    let dir = tempfile::tempdir().unwrap();
    make(dir.path());
    check_kills(dir.path(), 6);
}

/// A trainer whose models are one number, nearest to 2 after 40 steps; the learning rate
/// decides how near. It takes its time, and goes on from its last checkpoint.
const TRAIN: &str = r#"
for step in 10 20 30 40 50 60; do
    folder="$BOMF_OUTPUT/checkpoint-$step"
    [ -d "$folder" ] && continue
    sleep 0.02
    awk -v s=$step -v lr="$BOMF_LEARNING_RATE" 'BEGIN {
        x = (s / 40 - 1) ^ 2 + (log(lr) + 7) ^ 2 / 100
        report = "{\"step\": %d, \"loss\": %.6f, \"eval_loss\": %.6f, \"eval_accuracy\": %.6f}\n"
        printf report, s, x, x + 0.1, 1 - x
    }' >> "$BOMF_METRICS"
    if [ "$BOMF_MODE" = finetune ]; then
        rm -rf "$folder.part"
        cp -r models/$step "$folder.part" && mv "$folder.part" "$folder"
    fi
done
"#;

/// Metrics of the model in `$1`.
const EVALUATE: &str = r#"
x=$(tail -c 4 "$1/model.safetensors" | od -An -t f4 | tr -d ' ')
awk -v x="$x" 'BEGIN { printf "{\"loss\": %.9f, \"accuracy\": %.9f}\n", (x - 2.2) ^ 2, 1 - (x - 1.8) ^ 2 }'
"#;

const PROGRAMS: &str = "
task: {name: programs}
stage1:
  trials: 3
  initial: 2
  space:
    learning_rate: {type: log_float, low: 1.0e-4, high: 1.0e-2}
finetune: {batch_size: 8, epochs: 2}
members: {count: 4}
stage2: {evaluations: 3}
trainer: {command: sh train.sh}
evaluator:
  command: sh eval.sh {model}
  report_command: sh eval.sh {model}
  objectives: {loss: min, accuracy: max}
";

fn make_programs(place: &Path) {
    for step in [10, 20, 30, 40, 50, 60] {
        let value = 1.0 + step as f32 / 40.0;
        write_model(
            &place.join(format!("models/{step}")),
            "F32",
            &[("w", vec![value; 3])],
        );
    }
    for (name, text) in [
        ("train.sh", TRAIN),
        ("eval.sh", EVALUATE),
        ("recipe.yaml", PROGRAMS),
        ("model", ""),
    ] {
        fs::write(place.join(name), text).unwrap();
    }
    fs::create_dir(place.join("data")).unwrap();
}

#[test]
fn a_run_of_programs_that_is_killed_at_any_moment_does_too() {
    let dir = tempfile::tempdir().unwrap();
    make_programs(dir.path());
    check_kills(dir.path(), 6);
    let results = json(&dir.path().join("undisturbed/results.json"));
    assert_eq!(results["stage1"]["trials"].as_array().unwrap().len(), 3);
    assert_eq!(results["finetune"]["best_step"], 40);
    let steps: Vec<_> = results["finetune"]["members"]
        .as_array()
        .unwrap()
        .iter()
        .collect();
    assert_eq!(steps.len(), 4);
    assert!(
        dir.path()
            .join("undisturbed/fused/model.safetensors")
            .is_file()
    );
}

#[test]
fn a_training_run_that_is_killed_goes_on_from_its_last_state() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path();
    make(place);
    // Long enough for a state, which takes a second; of two runs the second is killed, too.
    let recipe = "
stage1: {trials: 0}
finetune: {learning_rate: 0.002, batch_size: 4, epochs: EPOCHS, early_stopping: false,
  evaluations_per_epoch: 1}
members: {source: both, runs: 2, count: 3}
stage2: {evaluations: 2}
";
    let epochs = |epochs: usize| {
        let text = recipe.replace("EPOCHS", &epochs.to_string());
        fs::write(place.join("recipe.yaml"), text).unwrap();
    };
    epochs(10);
    done(place, &run("short"));
    let text = fs::read_to_string(place.join("short/results.json")).unwrap();
    let results: Value = serde_json::from_str(&text).unwrap();
    // Of some five seconds of training a run, on whatever machine.
    let share = 10.0 / results["seconds"]["finetune"].as_f64().unwrap();
    epochs((10.0 * share).ceil() as usize);
    done(place, &run("undisturbed"));

    let is_saved = |number: usize| {
        let folder = place.join(format!("killed/.candidates-training-{number}"));
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let mut names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        names.any(|name| name.starts_with("state-"))
    };
    let mut arguments = run("killed");
    for number in [1, 2] {
        let mut child = command(place, &arguments);
        let mut child = child
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        while !is_saved(number) && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(20));
        }
        // Some steps further than the state.
        std::thread::sleep(Duration::from_millis(200));
        child.kill().unwrap();
        assert!(
            !child.wait().unwrap().success(),
            "the run was over before it was killed"
        );
        assert!(is_saved(number));
        arguments = vec!["resume", "killed"];
    }
    let output = bomf(place, &arguments);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    assert!(told.contains("training goes on from step"), "{told}");
    assert_same(&place.join("killed"), &place.join("undisturbed"));
}

#[test]
fn a_finished_run_is_told_again_and_costs_nothing() {
    let place = place();
    let mut arguments = run("finished");
    arguments.extend(["--output-format", "json"]);
    let told = done(place, &arguments);
    let began = Instant::now();
    let resume = ["resume", "finished", "--quiet", "--output-format", "json"];
    assert_eq!(done(place, &resume), told);
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[test]
fn steps_by_themselves_are_resumed_too_from_any_directory() {
    let place = place();
    let fixed = "stage1: {trials: 0}
finetune: {learning_rate: 0.002, batch_size: 8, epochs: 4}
members: {count: 4}
";
    fs::write(place.join("steps.yaml"), fixed).unwrap();
    for (step, recipe) in [("tune", "recipe.yaml"), ("finetune", "steps.yaml")] {
        let arguments = [
            step,
            "--model",
            "model",
            "--data",
            "data",
            "--recipe",
            recipe,
            "--threads",
            "1",
            "--quiet",
            "--output-format",
            "json",
            "--out",
        ];
        let whole: Vec<&str> = arguments.iter().copied().chain(["whole"]).collect();
        let undisturbed: Value = serde_json::from_str(&done(place, &whole)).unwrap();
        let began = Instant::now();
        fs::remove_dir_all(place.join("whole")).unwrap();
        done(place, &whole);
        let mut delay = began.elapsed().mul_f64(0.6);
        let stopped: Vec<&str> = arguments.iter().copied().chain(["stopped"]).collect();
        // Paths of the run were relative to another directory.
        let resume = ["resume", "../stopped", "--quiet", "--output-format", "json"];
        let resumed = loop {
            killed_after(place, &stopped, delay);
            let output = bomf(&place.join("data"), &resume);
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            // On a machine that is suddenly busy it may not have begun by then.
            if output.status.code() == Some(2) && text.contains("there is no study") {
                let _ = fs::remove_dir_all(place.join("stopped"));
                delay *= 2;
                continue;
            }
            assert!(output.status.success(), "{text}");
            break String::from_utf8(output.stdout).unwrap();
        };
        let strip = |mut value: Value| {
            let trials = value.get_mut("trials").and_then(Value::as_array_mut);
            trials.into_iter().flatten().for_each(|trial| {
                trial.as_object_mut().unwrap().remove("seconds");
            });
            value
        };
        let resumed: Value = serde_json::from_str(&resumed).unwrap();
        assert_eq!(strip(resumed), strip(undisturbed), "{step}");
        for folder in ["whole", "stopped"] {
            fs::remove_dir_all(place.join(folder)).unwrap();
        }
    }
}

#[track_caller]
fn refused(place: &Path, arguments: &[&str], expected: &str) {
    let output = bomf(place, arguments);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains(expected), "{text}");
    assert!(text.contains("hint: "), "{text}");
}

#[test]
fn what_is_not_the_same_run_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path();
    make(place);
    done(place, &run("out"));
    // Unfinished again.
    fs::remove_file(place.join("out/results.json")).unwrap();
    let resume = ["resume", "out", "--quiet"];

    let more = |more: [&'static str; 2]| [&resume[..], &more].concat();
    refused(
        place,
        &more(["--threads", "2"]),
        "threads was 1 when the run began, and is 2 now",
    );
    refused(
        place,
        &more(["--seed", "5"]),
        "seed was 0 when the run began, and is 5 now",
    );

    for (file, what) in [
        ("out/recipe.yaml", "recipe was sha256"),
        ("data/train.csv", "data was sha256"),
        ("model/model.safetensors", "model was sha256"),
    ] {
        let path = place.join(file);
        let original = fs::read(&path).unwrap();
        let mut edited = original.clone();
        match file.ends_with("safetensors") {
            true => *edited.last_mut().unwrap() ^= 1,
            false => {
                let text = String::from_utf8(edited).unwrap();
                edited = text
                    .replace("seed: 0", "seed: 1")
                    .replace("fresh", "warm")
                    .into();
            }
        }
        fs::write(&path, edited).unwrap();
        refused(place, &resume, what);
        fs::write(&path, original).unwrap();
    }

    fs::rename(place.join("out/members"), place.join("gone")).unwrap();
    refused(place, &resume, "is missing now");
    fs::rename(place.join("gone"), place.join("out/members")).unwrap();

    refused(place, &["resume", "data"], "there is no study");
    done(place, &resume);
}

#[test]
fn a_folder_in_use_is_refused_and_a_second_resume_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path();
    make(place);
    let mut first = command(place, &run("out"));
    let mut child = first.stdout(Stdio::null()).spawn().unwrap();
    while !place.join("out/study.db").is_file() {
        std::thread::sleep(Duration::from_millis(2));
    }
    let expected = format!("out is in use by process {}", child.id());
    let mut overwrite = run("out");
    overwrite.push("--overwrite");
    refused(place, &overwrite, &expected);
    // Opening the study waits until its facts are in.
    let output = bomf(place, &["resume", "out"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(child.wait().unwrap().success());
    assert!(!place.join("out/.bomf.lock").exists());
}

#[test]
fn a_disk_that_is_full_is_said_and_nothing_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path();
    make(place);
    done(place, &run("whole"));
    // Files may not grow beyond so many blocks of 512 bytes, as on a disk that gives out; the
    // members are the largest.
    let mut hit = 0;
    for blocks in [300, 600, 1200] {
        let inner = command(place, &run("small"));
        let mut shell = std::process::Command::new("sh");
        shell
            .args([
                "-c",
                &format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\""),
            ])
            .arg(inner.get_program())
            .args(inner.get_args())
            .current_dir(place);
        let output = shell.output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            assert_eq!(output.status.code(), Some(1), "{text}");
            assert!(text.starts_with("error: "), "{text}");
            hit += 1;
        }
        let resumed = bomf(place, &["resume", "small", "--quiet"]);
        if !resumed.status.success() {
            // There was not even room to begin.
            let text = String::from_utf8_lossy(&resumed.stderr);
            assert!(text.contains("there is no study"), "{text}");
            let mut again = run("small");
            again.push("--overwrite");
            done(place, &again);
        }
        assert_same(&place.join("small"), &place.join("whole"));
        fs::remove_dir_all(place.join("small")).unwrap();
    }
    assert!(hit > 0);
}

/// A run on a file system that fills up again and again, and grows a little each time, in
/// a namespace of its own: `$1` is the program.
#[cfg(target_os = "linux")]
const FULL_DISK: &str = r#"
size=64
mkdir disk
mount -t tmpfs -o size=${size}k none disk || exit 99
"$1" run --model model --data data --recipe recipe.yaml --threads 1 --quiet --out disk/out 2> told
until [ $? = 0 ]; do
    cat told >> all
    size=$((size + 64))
    [ $size -lt 16384 ] && mount -o remount,size=${size}k none disk || exit 98
    "$1" resume disk/out --quiet 2> told || {
        grep -q "there is no study" told &&
            "$1" run --model model --data data --recipe recipe.yaml --threads 1 --quiet --out disk/out --overwrite 2> told
    }
done
cp -r disk/out filled
"#;

/// What a full disk may be called, by the program or the system.
#[cfg(target_os = "linux")]
const NO_ROOM: [&str; 4] = [
    "no space left",
    "No space left",
    "disk is full",
    "not enough space",
];

#[cfg(target_os = "linux")]
#[test]
fn a_run_whose_disk_fills_up_again_and_again_says_so_and_loses_nothing() {
    let namespace = ["--user", "--map-root-user", "--mount"];
    let unshare = |arguments: &[&str]| {
        let mut command = std::process::Command::new("unshare");
        command.args(namespace).args(arguments);
        command
    };
    let can = unshare(&["mount", "-t", "tmpfs", "none", "/mnt"]).output();
    if !can.is_ok_and(|output| output.status.success()) {
        println!("SKIPPED: a full disk, as no file system can be mounted in a namespace here");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path();
    make(place);
    done(place, &run("undisturbed"));
    let program = env!("CARGO_BIN_EXE_bomf");
    let mut command = unshare(&["sh", "-c", FULL_DISK, "sh", program]);
    let output = command.current_dir(place).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let told = fs::read_to_string(place.join("all")).unwrap();
    let errors: Vec<&str> = told.lines().filter(|l| l.starts_with("error: ")).collect();
    println!("the disk was full {} times", errors.len());
    assert!(errors.len() > 1, "{told}");
    for error in errors {
        assert!(NO_ROOM.iter().any(|words| error.contains(words)), "{told}");
    }
    assert_same(&place.join("filled"), &place.join("undisturbed"));
}
