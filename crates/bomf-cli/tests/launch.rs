//! `bomf launch`: what is submitted, and that workers so started train a run's trials, with
//! stand-ins for clusters and, where they are installed, with real ones.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "helpers of tests may unwrap as tests do, and what is left out must be seen"
)]

#[path = "clusters/mod.rs"]
mod clusters;
#[path = "../../bomf-study/tests/server/mod.rs"]
mod server;
mod support;

use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use support::*;

/// Longer than anything here takes on a slow machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A server that is not there.
const NOWHERE: &str = "postgresql://me:s3cret@127.0.0.1:1/lab?study=mrpc";

/// Waits until something is so.
#[track_caller]
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn program(path: &Path, text: &str) {
    fs::write(path, format!("#!/bin/bash\n{text}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// With a folder of programs before all others.
fn with_programs(mut command: Command, programs: &Path) -> Command {
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{}:{path}", programs.display()));
    command
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A folder with a stand-in for `sbatch`, which keeps what it is given and does as it is told.
fn with_sbatch(does: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    fs::create_dir(dir.path().join("bin")).unwrap();
    let keeps = "printf '%s\\n' \"$@\" > words; cat > script; echo \"$PGPASSWORD\" > password";
    program(&dir.path().join("bin/sbatch"), &format!("{keeps}; {does}"));
    dir
}

fn launch(dir: &Path, words: &[&str]) -> Output {
    let words = [&["launch"], words].concat();
    let mut command = with_programs(command(dir, &words), &dir.join("bin"));
    command.env_remove("PGPASSWORD").output().unwrap()
}

#[test]
fn what_sbatch_is_given_is_what_a_dry_run_prints_and_holds_no_password() {
    let dir = with_sbatch("echo '42;big'");
    let more = [
        "--workers",
        "2",
        "--time",
        "1:00:00",
        "--bomf",
        "/opt/bomf",
        "--",
        "--account=x",
    ];
    let words = [&["slurm", NOWHERE], &more[..]].concat();
    let output = launch(dir.path(), &words);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "42\n");
    assert!(said(&output).contains("cannot be looked at from here"));
    assert!(said(&output).contains("scancel 42"));
    assert!(!said(&output).contains("s3cret"));
    assert_eq!(read(&dir.path().join("words")), "--parsable\n");
    assert_eq!(read(&dir.path().join("password")), "s3cret\n");
    let script = read(&dir.path().join("script"));
    assert!(!script.contains("s3cret"), "{script}");

    fs::remove_file(dir.path().join("script")).unwrap();
    let dry = [&["slurm", "--dry-run", NOWHERE], &more[..]].concat();
    assert_eq!(done(dir.path(), &[&["launch"], &dry[..]].concat()), script);
    assert!(!dir.path().join("script").exists(), "nothing is submitted");

    let json = [&["slurm", "--output-format=json", NOWHERE], &more[..]].concat();
    let output = launch(dir.path(), &json);
    let outcome: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(outcome["launcher"], "slurm");
    assert_eq!(
        outcome["jobs"],
        serde_json::json!([{"id": "42", "workers": 2}])
    );
    assert_eq!(
        outcome["study"],
        "postgresql://me@127.0.0.1:1/lab?study=mrpc"
    );
}

#[test]
fn what_sbatch_says_against_it_is_told() {
    for (does, expected, code) in [
        (
            "echo 'sbatch: error: no such partition' >&2; echo 'sbatch: error: failed' >&2; exit 1",
            "refuses: no such partition; failed",
            2,
        ),
        (
            "echo 'Unable to contact slurm controller' >&2; exit 1",
            "the cluster is away",
            1,
        ),
        ("exit 3", "exit status: 3", 2),
        ("echo Submitted", "\"Submitted\", which is no job", 1),
    ] {
        let dir = with_sbatch(does);
        let output = launch(dir.path(), &["slurm", NOWHERE]);
        assert_eq!(output.status.code(), Some(code), "{}", said(&output));
        assert!(said(&output).contains(expected), "{}", said(&output));
        assert!(said(&output).contains("hint: "), "{}", said(&output));
        assert!(output.stdout.is_empty());
    }
    // One that does not even read.
    let dir = with_sbatch("");
    program(
        &dir.path().join("bin/sbatch"),
        "exec < /dev/null; echo no >&2; exit 1",
    );
    assert!(said(&launch(dir.path(), &["slurm", NOWHERE])).contains("refuses: no"));
    // None at all.
    let mut command = command(dir.path(), &["launch", "slurm", NOWHERE]);
    let output = command.env("PATH", dir.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said(&output).contains("cannot start sbatch"),
        "{}",
        said(&output)
    );
    assert!(said(&output).contains("--dry-run"), "{}", said(&output));
}

/// Runs a task's script with a worker of our own, as Slurm would. `worker` is shell.
fn task(dir: &Path, worker: &str) -> Child {
    fs::create_dir_all(dir.join("bin")).unwrap();
    program(&dir.join("bin/scontrol"), "echo \"$@\" >> scontrol");
    program(&dir.join("the worker"), worker);
    let own = dir.join("the worker").display().to_string();
    let words = ["launch", "slurm", NOWHERE, "--dry-run", "--bomf", &own];
    let script = dir.join("script");
    fs::write(&script, done(dir, &words)).unwrap();
    let mut command = Command::new("bash");
    command.arg(&script).current_dir(dir);
    command
        .env("SLURM_ARRAY_JOB_ID", "7")
        .env("SLURM_ARRAY_TASK_ID", "3");
    // What all processes of a task are told is told to the group.
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    with_programs(command, &dir.join("bin")).spawn().unwrap()
}

/// A worker that says when it is told to go, and leaves with a code after a while.
fn worker(code: i32) -> String {
    format!(
        "trap 'echo told >> told; sleep 0.3; exit {code}' TERM\n\
         touch started\n\
         for i in {{1..600}}; do sleep 0.1; done"
    )
}

/// Whether a script has come to set its traps, of SIGUSR1 (10) and SIGTERM (15).
fn is_trapped(script: &Child) -> bool {
    const BOTH: u64 = 1 << 9 | 1 << 14;
    let status = read(Path::new(&format!("/proc/{}/status", script.id())));
    let mut lines = status.lines();
    let caught = lines.find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = caught.and_then(|caught| u64::from_str_radix(caught.trim(), 16).ok());
    caught.is_some_and(|caught| caught & BOTH == BOTH)
}

fn kill(words: &[&str]) {
    let status = Command::new("kill").args(words).status().unwrap();
    assert!(status.success());
}

#[test]
fn a_task_ends_as_its_worker_does() {
    for code in [0, 1, 2, 7] {
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let mut task = task(dir.path(), &format!("exit {code}"));
        assert_eq!(task.wait().unwrap().code(), Some(code));
        assert!(!dir.path().join("scontrol").exists());
    }
}

#[test]
fn a_task_whose_time_is_nearly_up_comes_again_once_its_worker_has_gone() {
    for (code, comes_again) in [(1, true), (0, false), (2, false)] {
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let mut task = task(dir.path(), &worker(code));
        until("a worker", || dir.path().join("started").exists());
        until("traps", || is_trapped(&task));
        kill(&["-USR1", &task.id().to_string()]);
        let expected = if comes_again { 0 } else { code };
        assert_eq!(task.wait().unwrap().code(), Some(expected));
        assert_eq!(read(&dir.path().join("told")), "told\n");
        let queued = read(&dir.path().join("scontrol"));
        assert_eq!(queued, if comes_again { "requeue 7_3\n" } else { "" });
    }
}

#[test]
fn a_task_that_is_cancelled_tells_its_worker_once_and_does_not_come_again() {
    // All processes, or the script alone.
    for sign in ["-", ""] {
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let mut task = task(dir.path(), &worker(1));
        until("a worker", || dir.path().join("started").exists());
        until("traps", || is_trapped(&task));
        kill(&["-TERM", "--", &format!("{sign}{}", task.id())]);
        assert_eq!(task.wait().unwrap().code(), Some(1));
        assert_eq!(read(&dir.path().join("told")), "told\n");
        assert!(!dir.path().join("scontrol").exists());
    }
}

#[test]
fn what_cannot_be_launched_is_refused_before_anything_is_asked() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    fs::create_dir(dir.path().join("out")).unwrap();
    fs::write(dir.path().join("out/study.db"), "").unwrap();
    let image = ["--image", "bomf:1"];
    for (words, expected) in [
        (
            vec!["ray", "out"],
            "workers started by ray do not reach the study in",
        ),
        (
            vec!["kubernetes", "out", image[0], image[1]],
            "by kubernetes do not reach",
        ),
        (vec!["kubernetes", NOWHERE], "--image"),
        (vec!["slurm", "nowhere"], "there is no study at"),
        (
            vec!["slurm", NOWHERE, "--time", "1"],
            "no time for training",
        ),
        (
            vec!["slurm", NOWHERE, "--memory", "16"],
            "is no amount of memory",
        ),
        (vec!["slurm", NOWHERE, "--workers", "0"], "`workers` is 0"),
        (
            vec!["ray", NOWHERE, "--address", "auto"],
            "--address is `auto`",
        ),
        (
            vec!["kubernetes", NOWHERE, image[0], image[1], "--claim", "data"],
            "is no NAME:/PATH",
        ),
    ] {
        let output = launch(dir.path(), &words);
        assert_eq!(
            output.status.code(),
            Some(2),
            "{words:?}: {}",
            said(&output)
        );
        assert!(
            said(&output).contains(expected),
            "{words:?}: {}",
            said(&output)
        );
        assert!(output.stdout.is_empty());
    }
    let words = ["launch", "ray", NOWHERE];
    for (name, value, expected, code) in [
        ("RAY_ADDRESS", "ray://h:1", "RAY_ADDRESS is `ray://h:1`", 2),
        (
            "RAY_API_SERVER_ADDRESS",
            "http://127.0.0.1:1",
            "cannot reach Ray at http://127.0.0.1:1",
            1,
        ),
    ] {
        let output = command(dir.path(), &words)
            .env(name, value)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(code), "{}", said(&output));
        assert!(said(&output).contains(expected), "{}", said(&output));
        assert!(!said(&output).contains("s3cret"));
    }
}

#[test]
fn a_manifest_goes_to_stdout_as_yaml_or_json() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let words = "launch kubernetes --workers 2 --image bomf:1 --claim data:/d";
    let words: Vec<&str> = words.split(' ').chain([NOWHERE]).collect();
    let output = bomf(dir.path(), &words);
    let yaml = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        yaml.starts_with("apiVersion: batch/v1\nkind: Job\n"),
        "{yaml}"
    );
    assert!(!yaml.contains("s3cret"), "{yaml}");
    assert!(said(&output).contains("--secret"), "{}", said(&output));
    let json = done(
        dir.path(),
        &[&words[..], &["--output-format=json"]].concat(),
    );
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["spec"]["parallelism"], 2);
}

/// Releases whose schemas a manifest is held against: the first that has all of it, and a late one.
const KUBERNETES: [&str; 2] = ["1.29", "1.33"];

#[test]
fn a_manifest_with_all_that_can_be_asked_for_is_valid_by_kubernetes_schema() {
    let Some(validate) = std::env::var_os("BOMF_KUBERNETES_VALIDATE") else {
        eprintln!("SKIPPED: BOMF_KUBERNETES_VALIDATE names no program `kubernetes-validate`");
        return;
    };
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let words = "launch kubernetes --workers 8 --cpus 4 --memory 8G --gpus 1 --image r/bomf:1 \
        --claim models:/models:ro --claim data:/data --model /models/base --data /data/mrpc \
        --secret database/pg";
    let words: Vec<&str> = words.split_whitespace().chain([NOWHERE]).collect();
    let yaml = done(dir.path(), &words);
    let is_valid = |yaml: &str, release: &str| {
        let path = dir.path().join("job.yaml");
        fs::write(&path, yaml).unwrap();
        let mut command = Command::new(&validate);
        command.args(["--strict", "-k", release]).arg(path);
        let output = command.output().unwrap();
        (output.status.success(), said(&output))
    };
    for release in KUBERNETES {
        let (valid, said) = is_valid(&yaml, release);
        assert!(valid, "{release}: {said}");
        let other = yaml.replace("restartPolicy", "restartPolice");
        assert!(!is_valid(&other, release).0, "the schema is held");
    }
}

/// A run whose trials a program trains. A trial lasts for as long as there is a file of its
/// number, and writes down which task trains it; there is one for the first.
struct Run {
    dir: tempfile::TempDir,
    url: String,
    process: Child,
}

impl Run {
    const TRIALS: usize = 6;

    fn start(url: String) -> Self {
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let train = "echo \"$BOMF_TRIAL $SLURM_ARRAY_TASK_ID\" >> trained
while [ -e \"hold-$BOMF_TRIAL\" ]; do sleep 0.05; done
awk -v x=\"$1\" 'BEGIN { printf \"bomf: {\\\"step\\\": 1, \\\"eval_loss\\\": %.9f}\\n\", x }'\n";
        fs::write(dir.path().join("train.sh"), train).unwrap();
        let recipe = format!(
            "
stage1:
  trials: {trials}
  initial: {trials}
  space: {{learning_rate: {{type: log_float, low: 1.0e-4, high: 1.0e-2}}}}
finetune: {{batch_size: 8}}
evaluator: {{command: 'false {{model}}', objectives: {{loss: min}}}}
trainer: {{command: 'sh train.sh {{learning_rate}}'}}
",
            trials = Self::TRIALS
        );
        fs::write(dir.path().join("recipe.yaml"), recipe).unwrap();
        fs::write(dir.path().join("hold-0"), "").unwrap();
        // The lease is long: only a trial that was given back can be had by another.
        let words = format!(
            "tune --model some/model --data no --recipe recipe.yaml --quiet --out out \
             --remote-workers 2 --lease 600 --storage {url}"
        );
        let words: Vec<&str> = words.split_whitespace().collect();
        let mut process = command(dir.path(), &words);
        process.stdout(Stdio::null()).stderr(Stdio::piped());
        let process = process.spawn().unwrap();
        Run { dir, url, process }
    }

    fn hold(&self) -> PathBuf {
        self.dir.path().join("hold-0")
    }

    /// The tasks that began a trial, one after the other.
    fn trained(&self, trial: usize) -> Vec<String> {
        let all = read(&self.dir.path().join("trained"));
        let pairs = all.lines().filter_map(|line| line.split_once(' '));
        pairs
            .filter(|(number, _)| *number == trial.to_string())
            .map(|(_, task)| task.to_string())
            .collect()
    }

    /// Launches workers once the study is entered; the jobs.
    fn launch(&self, prepare: impl Fn(&mut Command), words: &[&str]) -> Vec<String> {
        let own = env!("CARGO_BIN_EXE_bomf");
        let (launcher, more) = words.split_first().unwrap();
        let words = [&["launch", launcher, &self.url, "--bomf", own], more].concat();
        let began = Instant::now();
        loop {
            let mut command = command(self.dir.path(), &words);
            prepare(&mut command);
            let output = command.output().unwrap();
            if output.status.success() {
                let out = String::from_utf8(output.stdout).unwrap();
                return out.lines().map(str::to_string).collect();
            }
            // The run has not entered its study, or Ray is not ready.
            let said = said(&output);
            let is_early = ["there is no study", "No available agent"]
                .iter()
                .any(|early| said.contains(early));
            assert!(is_early && began.elapsed() < PATIENCE, "{said}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Waits for the run, which must come to its end with all of its trials.
    fn end(self) {
        let output = self.process.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        let trials = read(&self.dir.path().join("out/trials.jsonl"));
        assert_eq!(trials.lines().count(), Self::TRIALS);
    }
}

#[test]
fn slurm_trains_a_runs_trials_and_what_had_no_more_time_goes_on_later() {
    let (Some(server), Some(slurm)) = (server::Server::start(), clusters::Slurm::start()) else {
        return;
    };
    let run = Run::start(server.study());
    let log = format!("--output={}/it's %a.log", run.dir.path().display());
    let by_slurm = |command: &mut Command| {
        command.env("SLURM_CONF", slurm.conf());
    };
    let words = [
        "slurm",
        "--workers",
        "2",
        "--memory",
        "100M",
        "--time",
        "10",
        "--",
        &log,
    ];
    let jobs = run.launch(by_slurm, &words);
    let [job] = &jobs[..] else {
        panic!("{jobs:?}");
    };
    until("the first trial begins", || !run.trained(0).is_empty());
    let (holder, other) = match run.trained(0)[0].as_str() {
        "0" => (format!("{job}_0"), format!("{job}_1")),
        _ => (format!("{job}_1"), format!("{job}_0")),
    };
    // As far as one may go beyond the trial that is waited for.
    until("the other one works, too", || !run.trained(2).is_empty());
    slurm.run("scancel", &[&other]);
    until("the other one has gone", || {
        slurm.field(&other, "JobState") == "CANCELLED"
    });
    // Its time is up, in the midst of its trial.
    slurm.run("scancel", &["--batch", "--signal=USR1", &holder]);
    until("it has come again", || run.trained(0).len() == 2);
    assert_eq!(slurm.field(&holder, "Restarts"), "1");
    assert_eq!(slurm.field(&other, "JobState"), "CANCELLED");
    fs::remove_file(run.hold()).unwrap();
    let log = run
        .dir
        .path()
        .join(format!("it's {}.log", &run.trained(0)[0]));
    until("it is told that it was interrupted", || {
        read(&log).contains("interrupted; trial 0 was given back")
    });
    run.end();
    until("the task is complete", || {
        slurm.field(&holder, "JobState") == "COMPLETED"
    });
}

#[test]
fn ray_trains_a_runs_trials_and_what_is_stopped_gives_its_trial_back() {
    let (Some(server), Some(ray)) = (server::Server::start(), clusters::Ray::start()) else {
        return;
    };
    let run = Run::start(server.study());
    let by_ray = |command: &mut Command| {
        command.env("RAY_ADDRESS", ray.address());
    };
    let first = run.launch(by_ray, &["ray", "--memory", "100M"]);
    until("the first trial begins", || !run.trained(0).is_empty());
    let second = run.launch(by_ray, &["ray", "--workers", "2"]);
    assert_eq!((first.len(), second.len()), (1, 2));
    ray.job("stop", &first[0]);
    until("another has its trial", || run.trained(0).len() == 2);
    let said = ray.job("status", &first[0]);
    assert!(said.to_lowercase().contains("stopped"), "{said}");
    fs::remove_file(run.hold()).unwrap();
    run.end();
    let mut said = String::new();
    until("the jobs have succeeded", || {
        said = ray.job("status", &second[0]);
        said.to_lowercase().contains("succeeded")
    });
}
