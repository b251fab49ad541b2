//! Workers as jobs of a Ray cluster, by its REST interface:
//! <https://docs.ray.io/en/latest/cluster/running-applications/job-submission/rest.html>.
//!
//! A worker is a job, whose command Ray starts on a host with enough free cores. `ray job stop`
//! sends it SIGTERM; it then has [`GRACE_SECONDS`] to give its trial back. What fails is not
//! started again: its trial goes to the others when its lease has run out.
//!
//! A password goes with the job's environment, which Ray shows on its dashboard. Whoever reaches
//! the dashboard may run programs on the cluster.

use super::order::Order;
use super::{GRACE_SECONDS, LaunchError, LaunchOutcome, LaunchRequest, LaunchedJob};
use crate::{Error, Observer};
use serde_json::{Value, json};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Where the dashboard of a cluster on this host is.
const USUAL: &str = "http://127.0.0.1:8265";

/// Variables that may hold its address, the first that is set first, as for `ray job submit`.
const VARIABLES: [&str; 2] = ["RAY_API_SERVER_ADDRESS", "RAY_ADDRESS"];

/// Holds a token, for clusters that ask for one.
const TOKEN: &str = "RAY_AUTH_TOKEN";

/// How long an answer may take: Ray waits for an agent of its own.
const PATIENCE: Duration = Duration::from_secs(60);

/// An answer is shown up to this many letters.
const SHOWN: usize = 200;

/// Workers to start with Ray.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RayRequest {
    /// What is started.
    pub workers: LaunchRequest,
    /// Address of the dashboard; `RAY_API_SERVER_ADDRESS`, `RAY_ADDRESS` or that of this host
    /// where it is not given.
    pub address: Option<String>,
}

/// Submits workers to Ray, a job each.
///
/// # Errors
/// [`LaunchError::OneHost`], [`LaunchError::Address`], [`LaunchError::Unreachable`],
/// [`LaunchError::Refused`], [`LaunchError::Answer`], and where there is no study with trials for
/// workers. Jobs that were taken before an error go on.
pub fn ray(request: &RayRequest, observer: &mut dyn Observer) -> Result<LaunchOutcome, Error> {
    let lookup = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let address = address(request.address.as_deref(), lookup)?;
    let order = Order::new(&request.workers)?;
    let study = order.url("ray")?.to_string();
    order.check_study(observer)?;
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let stamp = format!("{:x}", since.unwrap_or_default().as_nanos());
    if order.password().is_some() {
        observer.note(
            "the password goes with the jobs' environment, which Ray shows to all who reach its \
             dashboard",
        );
    }
    let dashboard = Dashboard::new(address, lookup(TOKEN));
    let mut jobs: Vec<LaunchedJob> = Vec::new();
    for number in 0..order.workers {
        let body = job(&order, &format!("{}-{stamp}-{number}", order.name))?;
        let taken = dashboard.submit(&body);
        let id = taken.map_err(|fault| dashboard.failed(fault, &jobs))?;
        jobs.push(LaunchedJob {
            id,
            workers: 1,
            status: None,
        });
    }
    for i in 0..jobs.len() {
        let status = dashboard.status(&jobs[i].id);
        jobs[i].status = Some(status.map_err(|fault| dashboard.failed(fault, &jobs))?);
    }
    let address = &dashboard.address;
    observer.note(&format!(
        "watch them at {address}/#/jobs, end one with `ray job stop --address {address} ID`"
    ));
    Ok(LaunchOutcome {
        launcher: "ray",
        study,
        jobs,
        name: order.name,
    })
}

/// The address of the dashboard, without a slash at its end.
fn address(
    given: Option<&str>,
    lookup: impl Fn(&str) -> Option<String>,
) -> Result<String, LaunchError> {
    let from_env = || {
        let found = VARIABLES.iter().map(|name| (*name, lookup(name)));
        let mut found = found.filter_map(|(name, value)| Some((name, value?)));
        found.next()
    };
    let (from, address) = match given {
        Some(address) => ("--address", address.to_string()),
        None => from_env().unwrap_or(("the usual address", USUAL.into())),
    };
    // What else Ray has for addresses (ray://, auto, the port of its store) leads elsewhere.
    match ["http://", "https://"]
        .iter()
        .any(|scheme| address.starts_with(scheme))
    {
        true => Ok(address.trim_end_matches('/').into()),
        false => Err(LaunchError::Address { from, address }),
    }
}

/// A worker as a job.
fn job(order: &Order, id: &str) -> Result<Value, LaunchError> {
    let mut variables = json!({"RAY_JOB_STOP_WAIT_TIME_S": GRACE_SECONDS.to_string()});
    if let Some(password) = order.password() {
        variables["PGPASSWORD"] = password.into();
    }
    let mut job = json!({
        "submission_id": id,
        // In place of the shell: what Ray tells the job, the worker hears once.
        "entrypoint": format!("exec {}", order.shell_command()?),
        "entrypoint_num_cpus": order.cpus,
    });
    if order.gpus > 0 {
        job["entrypoint_num_gpus"] = order.gpus.into();
    }
    if let Some(memory) = order.memory {
        job["entrypoint_memory"] = (memory.mib() << 20).into();
    }
    job["runtime_env"] = json!({"env_vars": variables});
    job["metadata"] = json!({"name": order.name, "study": order.study()});
    Ok(job)
}

/// Ray's dashboard, which takes jobs.
struct Dashboard {
    address: String,
    token: Option<String>,
    agent: ureq::Agent,
}

/// What came of a request.
enum Fault {
    Unreachable(ureq::Error),
    Refused(u16, String),
    NotRay(String),
}

impl Dashboard {
    fn new(address: String, token: Option<String>) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE));
        Dashboard {
            address,
            token: token.map(|token| format!("Bearer {token}")),
            agent: config.build().into(),
        }
    }

    /// Submits a job; its number as Ray has it.
    fn submit(&self, job: &Value) -> Result<String, Fault> {
        let mut request = self.agent.post(format!("{}/api/jobs/", self.address));
        request = request.header("Content-Type", "application/json");
        if let Some(token) = &self.token {
            request = request.header("Authorization", token);
        }
        text_of(request.send(job.to_string()), "submission_id")
    }

    /// How a job stands: `PENDING`, `RUNNING`, `SUCCEEDED`, `FAILED` or `STOPPED`.
    fn status(&self, id: &str) -> Result<String, Fault> {
        let mut request = self.agent.get(format!("{}/api/jobs/{id}", self.address));
        if let Some(token) = &self.token {
            request = request.header("Authorization", token);
        }
        text_of(request.call(), "status")
    }

    fn failed(&self, fault: Fault, taken: &[LaunchedJob]) -> LaunchError {
        let address = self.address.clone();
        let taken = taken.iter().map(|job| job.id.clone()).collect();
        match fault {
            Fault::Unreachable(source) => LaunchError::Unreachable {
                address,
                taken,
                source: Box::new(source),
            },
            Fault::Refused(status, said) => LaunchError::Refused {
                address,
                status,
                said,
                taken,
            },
            Fault::NotRay(said) => LaunchError::Answer {
                address,
                said,
                taken,
            },
        }
    }
}

/// A text that an answer holds.
fn text_of(
    answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    field: &str,
) -> Result<String, Fault> {
    let mut answer = answer.map_err(Fault::Unreachable)?;
    let said = answer.body_mut().read_to_string();
    let said = said.map_err(Fault::Unreachable)?;
    let status = answer.status();
    if !status.is_success() {
        return Err(Fault::Refused(status.as_u16(), last_words(&said)));
    }
    let value: Option<Value> = serde_json::from_str(&said).ok();
    let text = value.as_ref().and_then(|value| value.get(field)?.as_str());
    match text {
        Some(text) => Ok(text.into()),
        None => Err(Fault::NotRay(said.chars().take(SHOWN).collect())),
    }
}

/// The last line of what Ray said: a traceback ends with what went wrong.
fn last_words(said: &str) -> String {
    let mut lines = said.lines().rev().map(str::trim);
    let last = lines.find(|line| !line.is_empty()).unwrap_or("nothing");
    last.chars().take(SHOWN).collect()
}
