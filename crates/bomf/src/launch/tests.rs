//! What is submitted, to the letter, and what comes of answers.

use super::order::Order;
use super::*;
use crate::{Error, Silent};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

/// Nobody listens at port 1, so that no test looks at a study.
const URL: &str = "postgresql://me:s3cret@127.0.0.1:1/lab?study=mrpc-1";
const SHOWN: &str = "postgresql://me@127.0.0.1:1/lab?study=mrpc-1";

fn workers() -> LaunchRequest {
    LaunchRequest {
        study: URL.into(),
        workers: 3,
        cpus: 4,
        threads: 0,
        memory: None,
        gpus: 0,
        name: None,
        program: "/opt/it's here/bomf".into(),
        model: None,
        data: Some("/data/a b".into()),
    }
}

fn slurm_request() -> SlurmRequest {
    SlurmRequest {
        workers: workers(),
        time: None,
        partition: None,
        options: Vec::new(),
    }
}

fn kubernetes_request() -> KubernetesRequest {
    KubernetesRequest {
        workers: LaunchRequest {
            program: "bomf".into(),
            ..workers()
        },
        image: "registry.example.org/bomf:1".into(),
        claims: Vec::new(),
        secret: None,
    }
}

fn manifest(request: &KubernetesRequest) -> Manifest {
    kubernetes(request, &mut Silent).unwrap()
}

#[test]
fn a_script_says_all_that_was_asked_for_and_no_password() {
    let request = SlurmRequest {
        workers: LaunchRequest {
            memory: Some("2G".parse().unwrap()),
            gpus: 1,
            name: Some("lab.1".into()),
            ..workers()
        },
        time: Some("4:00:00".into()),
        partition: Some("long".into()),
        options: vec!["--account=lab".into(), "--comment=it's \"a\" \\ #".into()],
    };
    let script = slurm_script(&request).unwrap();
    let expected = r#"#!/bin/bash
#SBATCH --job-name=lab.1
#SBATCH --array=0-2
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=4
#SBATCH --mem=2048M
#SBATCH --gres=gpu:1
#SBATCH --time=4:00:00
#SBATCH --partition=long
#SBATCH --signal=B:USR1@60
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --account=lab "--comment=it's \"a\" \\ #"

"/opt/it's here/bomf" worker --threads 4 --data '/data/a b' 'postgresql://me@127.0.0.1:1/lab?study=mrpc-1' &
worker=$!
"#;
    assert!(script.starts_with(expected), "{script}");
    assert!(!script.contains("s3cret"), "{script}");
}

#[test]
fn a_script_leaves_to_slurm_what_was_not_asked_for() {
    let script = slurm_script(&slurm_request()).unwrap();
    for absent in ["--mem", "--gres", "--time", "--partition", "--nodelist"] {
        assert!(!script.contains(absent), "{script}");
    }
    assert!(script.contains("--job-name=bomf-mrpc-1\n"), "{script}");
}

#[test]
fn a_time_limit_is_slurms_and_leaves_time_for_training() {
    let with = |time: &str| {
        slurm_script(&SlurmRequest {
            time: Some(time.into()),
            ..slurm_request()
        })
    };
    for time in [
        "5",
        "4:59:00",
        "0:5:0",
        "5:0",
        "1-0",
        "1-0:0",
        "0-0:5:0",
        "0",
        "UNLIMITED",
    ] {
        assert!(with(time).is_ok(), "{time}");
    }
    for time in ["4", "4:59", "0:4:59", "0-0:4"] {
        let error = with(time).unwrap_err();
        assert!(
            matches!(error, Error::Launch(LaunchError::ShortTime { .. })),
            "{error}"
        );
    }
    for time in [
        "",
        "x",
        "1:2:3:4",
        "1-2:3:4:5",
        "-1",
        "1-",
        "5m",
        "99999999999",
    ] {
        let error = with(time).unwrap_err();
        assert!(
            matches!(error, Error::Launch(LaunchError::Time { .. })),
            "{error}"
        );
    }
}

#[test]
fn a_study_in_a_folder_is_for_this_host() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("a run");
    std::fs::create_dir(&folder).unwrap();
    let mut request = slurm_request();
    request.workers.study = folder.display().to_string();
    let error = slurm_script(&request).unwrap_err();
    assert!(error.to_string().contains("there is no study"), "{error}");
    std::fs::write(folder.join("study.db"), "").unwrap();
    let script = slurm_script(&request).unwrap();
    assert!(script.contains("--job-name=bomf-a-run\n"), "{script}");
    assert!(script.contains("/a run' &\n"), "{script}");
    assert!(
        script.contains("--nodelist=") || !cfg!(target_os = "linux"),
        "{script}"
    );
    let mut elsewhere = kubernetes_request();
    elsewhere.workers.study = request.workers.study.clone();
    let error = kubernetes(&elsewhere, &mut Silent).unwrap_err();
    assert!(
        matches!(error, Error::Launch(LaunchError::OneHost { .. })),
        "{error}"
    );
    // The folder of a run whose study is on a server stands for its URL.
    std::fs::write(folder.join("study.url"), format!("{SHOWN}\n")).unwrap();
    let script = slurm_script(&request).unwrap();
    assert!(script.contains(&format!(" '{SHOWN}' &\n")), "{script}");
    assert!(!script.contains("--nodelist="), "{script}");
}

#[test]
fn what_cannot_be_is_refused_with_a_hint() {
    let refused = |change: &dyn Fn(&mut LaunchRequest)| {
        let mut request = slurm_request();
        change(&mut request.workers);
        let error = slurm_script(&request).unwrap_err();
        assert!(error.is_bad_input(), "{error}");
        error.to_string()
    };
    let said = refused(&|request| request.workers = 0);
    assert_eq!(said, "`workers` is 0, but goes from 1 to 1024");
    refused(&|request| request.workers = 1025);
    refused(&|request| request.cpus = 0);
    refused(&|request| request.threads = 5000);
    refused(&|request| request.gpus = 5000);
    refused(&|request| request.program = "a\nb".into());
    refused(&|request| request.data = Some("a\0".into()));
    refused(&|request| request.study = "postgresql://h/d?study=".into());
    for name in ["", "a b", "ä", &"a".repeat(53)] {
        let said = refused(&|request| request.name = Some(name.into()));
        assert!(said.contains("cannot be the name"), "{said}");
    }
    let error = slurm_script(&SlurmRequest {
        options: vec!["--comment=a\n#SBATCH".into()],
        ..slurm_request()
    });
    assert!(error.unwrap_err().is_bad_input());
}

#[test]
fn memory_is_read_in_the_units_that_clusters_have() {
    let mib = |text: &str| text.parse::<Memory>().map(Memory::mib);
    for (text, expected) in [
        ("512M", 512),
        ("16G", 16384),
        ("16gib", 16384),
        ("2TB", 2 << 20),
    ] {
        assert_eq!(mib(text).unwrap(), expected, "{text}");
    }
    for text in [
        "",
        "16",
        "G",
        "0G",
        "1.5G",
        "-1G",
        "5K",
        "99999999999999T",
        "9999999999T",
    ] {
        let error = mib(text).unwrap_err();
        assert!(error.is_bad_input() && error.hint().is_some(), "{text}");
    }
}

#[test]
fn a_manifest_is_what_kubectl_takes() {
    let mut request = kubernetes_request();
    request.workers.memory = Some("8G".parse().unwrap());
    request.workers.gpus = 1;
    request.workers.name = Some("Lab_1.x-".into());
    request.workers.model = Some("hf:a/b".into());
    request.claims = ["models:/models:ro", "data:/data"]
        .map(|claim| claim.parse().unwrap())
        .into();
    request.secret = Some("database/pg".parse().unwrap());
    let yaml = manifest(&request).to_yaml();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/assets/job.yaml");
    assert_eq!(yaml, std::fs::read_to_string(path).unwrap());
    assert!(!yaml.contains("s3cret"));
}

#[test]
fn a_short_manifest_asks_for_nothing_more() {
    let manifest = manifest(&kubernetes_request());
    let value = serde_json::to_value(&manifest).unwrap();
    let pod = &value["spec"]["template"]["spec"];
    assert!(pod.get("volumes").is_none());
    let container = &pod["containers"][0];
    for absent in ["env", "volumeMounts"] {
        assert!(container.get(absent).is_none(), "{container}");
    }
    assert_eq!(container["resources"], json!({"requests": {"cpu": "4"}}));
    assert_eq!(value["metadata"]["name"], "bomf-mrpc-1");
}

#[test]
fn volumes_and_secrets_are_read_or_refused() {
    for text in [
        "", "a", "a:b", ":/a", "A:/a", "a:/a:b", "a:/a:rw", "a b:/a", "-a:/a",
    ] {
        let error = text.parse::<Claim>().unwrap_err();
        assert!(error.is_bad_input() && error.hint().is_some(), "{text}");
    }
    for text in ["", "A", "a/", "/a", "a/b c", "a/b/c"] {
        let error = text.parse::<Secret>().unwrap_err();
        assert!(error.is_bad_input() && error.hint().is_some(), "{text}");
    }
    assert_eq!("a".parse::<Secret>().unwrap().key, "password");
}

proptest! {
    #[test]
    fn yaml_is_read_as_what_was_meant(
        words in prop::collection::vec("\\PC{0,120}", 0..4),
        plain in "(y|on|No|null|~|1e3|0x1|1:30|2001-01-01|- a|a: b| a|a #b|\\{\\{a\\}\\})",
    ) {
        let mut request = kubernetes_request();
        request.image = plain;
        request.workers.data = words.first().cloned();
        request.workers.model = words.last().cloned();
        let manifest = manifest(&request);
        let read: Value = serde_saphyr::from_str(&manifest.to_yaml()).unwrap();
        prop_assert_eq!(read, serde_json::to_value(&manifest).unwrap());
    }

    #[test]
    fn a_worker_is_started_with_the_words_that_were_given(
        words in prop::collection::vec("\\PC{0,40}", 3),
    ) {
        let request = LaunchRequest {
            program: words[0].clone(),
            model: Some(words[1].clone()),
            data: Some(words[2].clone()),
            ..workers()
        };
        let order = Order::new(&request).unwrap();
        let line = order.shell_command().unwrap();
        prop_assert_eq!(shlex::split(&line).unwrap(), order.command);
    }
}

/// A stand-in for Ray's dashboard.
struct Dashboard {
    address: String,
    server: Arc<tiny_http::Server>,
    thread: Option<std::thread::JoinHandle<()>>,
    seen: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Dashboard {
    /// Answers the n-th request, from 0, with a status and a text.
    fn start(answer: impl Fn(usize, &str, &Value) -> (u16, String) + Send + 'static) -> Self {
        let server = Arc::new(tiny_http::Server::http("127.0.0.1:0").unwrap());
        let address = format!("http://{}", server.server_addr().to_ip().unwrap());
        let seen: Arc<Mutex<Vec<(String, Value)>>> = Arc::default();
        let thread = {
            let (server, seen) = (server.clone(), seen.clone());
            std::thread::spawn(move || {
                for mut request in server.incoming_requests() {
                    let mut text = String::new();
                    let _ = request.as_reader().read_to_string(&mut text);
                    let body: Value = serde_json::from_str(&text).unwrap_or_default();
                    let what = format!("{} {}", request.method(), request.url());
                    let mut seen = seen.lock().unwrap();
                    let (status, text) = answer(seen.len(), &what, &body);
                    seen.push((what, body));
                    drop(seen);
                    let response = tiny_http::Response::from_string(text);
                    let _ = request.respond(response.with_status_code(status));
                }
            })
        };
        Dashboard {
            address,
            server,
            thread: Some(thread),
            seen,
        }
    }

    /// Takes every job.
    fn willing() -> Self {
        Self::start(|_, what, body| {
            let id = body["submission_id"].as_str().unwrap_or_default();
            let answer = match what.starts_with("POST") {
                true => json!({"job_id": id, "submission_id": id}),
                false => json!({"status": "PENDING", "message": "Job has not started yet."}),
            };
            (200, answer.to_string())
        })
    }

    fn launch(&self) -> Result<LaunchOutcome, Error> {
        let request = RayRequest {
            workers: workers(),
            address: Some(format!("{}/", self.address)),
        };
        ray(&request, &mut Silent)
    }
}

impl Drop for Dashboard {
    fn drop(&mut self) {
        self.server.unblock();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[test]
fn ray_gets_a_job_a_worker() {
    let dashboard = Dashboard::willing();
    let outcome = dashboard.launch().unwrap();
    assert_eq!((outcome.launcher, outcome.jobs.len()), ("ray", 3));
    assert_eq!(outcome.study, SHOWN);
    assert_eq!(outcome.jobs[2].status.as_deref(), Some("PENDING"));
    let seen = dashboard.seen.lock().unwrap();
    assert_eq!(seen.len(), 6);
    for (job, (what, body)) in outcome.jobs.iter().zip(&seen[..]) {
        assert_eq!(what, "POST /api/jobs/");
        let expected = json!({
            "submission_id": job.id,
            "entrypoint": format!(
                "exec \"/opt/it's here/bomf\" worker --threads 4 --data '/data/a b' '{SHOWN}'"
            ),
            "entrypoint_num_cpus": 4,
            "runtime_env": {
                "env_vars": {"RAY_JOB_STOP_WAIT_TIME_S": "60", "PGPASSWORD": "s3cret"}
            },
            "metadata": {"name": "bomf-mrpc-1", "study": SHOWN},
        });
        assert_eq!(body, &expected);
    }
    assert_eq!(seen[3].0, format!("GET /api/jobs/{}", outcome.jobs[0].id));
    // No two launches have a number in common.
    drop(seen);
    let again = dashboard.launch().unwrap();
    assert!(again.jobs.iter().all(|job| !outcome.jobs.contains(job)));
}

#[test]
fn what_ray_says_against_it_is_told_with_the_jobs_that_it_had_taken() {
    let dashboard = Dashboard::start(|number, _, body| match number {
        0 => (
            200,
            json!({"submission_id": body["submission_id"]}).to_string(),
        ),
        _ => (
            500,
            "Traceback:\n  File x\nRuntimeError: no room\n\n".into(),
        ),
    });
    let error = dashboard.launch().unwrap_err();
    let said = error.to_string();
    assert!(
        said.contains("refuses: RuntimeError: no room (HTTP 500); it had taken bomf-mrpc-1-"),
        "{said}"
    );
    assert!(error.hint().is_some() && !error.is_bad_input());
}

#[test]
fn who_is_not_ray_and_who_is_not_there_is_said() {
    for answer in ["<!doctype html>", "{}", "[]", "{\"submission_id\": 3}", ""] {
        let dashboard = Dashboard::start(move |_, _, _| (200, answer.into()));
        let error = dashboard.launch().unwrap_err();
        assert!(
            matches!(error, Error::Launch(LaunchError::Answer { .. })),
            "{error}"
        );
    }
    let address = Dashboard::willing().address.clone();
    let request = |address: &str| RayRequest {
        workers: workers(),
        address: Some(address.into()),
    };
    let error = ray(&request(&address), &mut Silent).unwrap_err();
    assert!(
        error.to_string().starts_with("cannot reach Ray at"),
        "{error}"
    );
    assert!(error.hint().is_some() && !error.is_bad_input());
    for address in ["ray://head:10001", "auto", "head:8265", ""] {
        let error = ray(&request(address), &mut Silent).unwrap_err();
        assert!(
            matches!(error, Error::Launch(LaunchError::Address { .. })),
            "{error}"
        );
        assert!(error.is_bad_input());
    }
}
