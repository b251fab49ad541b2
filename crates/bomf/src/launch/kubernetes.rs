//! Workers as an indexed Job of Kubernetes':
//! <https://kubernetes.io/docs/concepts/workloads/controllers/job/>.
//!
//! | what happens | what comes of it |
//! |---|---|
//! | a worker ends with 0 | its index is complete, and with all of them the Job |
//! | it ends with 2 | the Job fails: what one is refused for, all are |
//! | it ends otherwise, or is killed | it is started again, up to [`RESTARTS`] times |
//! | its node is drained, or dies | it is started again elsewhere, and that is not counted |

use super::order::Order;
use super::{CANNOT_WORK, GRACE_SECONDS, LaunchError, LaunchRequest};
use crate::{Error, Observer};
use bomf_study::without_password;
use serde::Serialize;
use serde_json::{Value, json};
use std::str::FromStr;

/// The container's name.
const WORKER: &str = "worker";

/// How often a worker that died is started again; as on one host, five deaths are enough.
const RESTARTS: u32 = 4;

/// Where a password is in a secret, if its key is not named.
const KEY: &str = "password";

/// Workers to start with Kubernetes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubernetesRequest {
    /// What is started.
    pub workers: LaunchRequest,
    /// The container image that has `bomf`.
    pub image: String,
    /// Volumes with model and data.
    pub claims: Vec<Claim>,
    /// Where the database's password is.
    pub secret: Option<Secret>,
}

/// A persistent volume claim and where it is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Its name.
    pub name: String,
    /// An absolute path.
    pub path: String,
    /// Whether it is only read.
    pub read_only: bool,
}

impl FromStr for Claim {
    type Err = LaunchError;

    /// Reads `NAME:/PATH` or `NAME:/PATH:ro`.
    fn from_str(text: &str) -> Result<Self, LaunchError> {
        let (rest, read_only) = match text.strip_suffix(":ro") {
            Some(rest) => (rest, true),
            None => (text, false),
        };
        match rest.split_once(':') {
            // Kubernetes takes no colon in a path.
            Some((name, path)) if is_name(name) && path.starts_with('/') && !path.contains(':') => {
                Ok(Claim {
                    name: name.into(),
                    path: path.into(),
                    read_only,
                })
            }
            _ => Err(LaunchError::Claim { given: text.into() }),
        }
    }
}

/// A secret and a key in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// Its name.
    pub name: String,
    /// The key.
    pub key: String,
}

impl FromStr for Secret {
    type Err = LaunchError;

    /// Reads `NAME`, whose key is `password`, or `NAME/KEY`.
    fn from_str(text: &str) -> Result<Self, LaunchError> {
        let (name, key) = text.split_once('/').unwrap_or((text, KEY));
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        match is_name(name) && !key.is_empty() && key.chars().all(is_plain) {
            true => Ok(Secret {
                name: name.into(),
                key: key.into(),
            }),
            false => Err(LaunchError::Secret { given: text.into() }),
        }
    }
}

/// Whether it is a name as Kubernetes has them: a DNS subdomain (RFC 1123).
fn is_name(text: &str) -> bool {
    const LONGEST: usize = 253;
    let is_inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
    let is_outer = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    text.len() <= LONGEST
        && text.chars().all(is_inner)
        && text.starts_with(is_outer)
        && text.ends_with(is_outer)
}

/// A manifest for `kubectl apply`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Manifest(Value);

impl Manifest {
    /// As YAML that readers of YAML 1.1 and 1.2 take alike.
    pub fn to_yaml(&self) -> String {
        let options = serde_saphyr::ser_options! {
            // A long argument is one line, as it was typed.
            prefer_block_scalars: false,
        };
        // What is made of strings, numbers, lists and maps can be written, and JSON is YAML, too.
        serde_saphyr::to_string_with_options(&self.0, options)
            .unwrap_or_else(|_| format!("{:#}\n", self.0))
    }
}

/// The manifest of a Job whose pods are workers. No cluster is asked for anything. A password in
/// the study's URL is left out, which the observer is told.
///
/// # Errors
/// [`LaunchError::OneHost`], and what every launch may be refused for.
pub fn kubernetes(
    request: &KubernetesRequest,
    observer: &mut dyn Observer,
) -> Result<Manifest, Error> {
    let order = Order::new(&request.workers)?;
    let study = order.url("kubernetes")?;
    let given = &request.workers.study;
    if request.secret.is_none() && *given != without_password(given) {
        observer.note("the manifest holds no password: put it into a secret, and give --secret");
    }
    let (program, arguments) = order.command.split_at(1);
    let mut container = json!({
        "name": WORKER,
        "image": request.image,
        "command": program,
        "args": arguments,
        "resources": resources(&order),
    });
    if let Some(Secret { name, key }) = &request.secret {
        container["env"] = json!([{
            "name": "PGPASSWORD",
            "valueFrom": {"secretKeyRef": {"name": name, "key": key}},
        }]);
    }
    let mut pod = json!({
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": GRACE_SECONDS,
    });
    if !request.claims.is_empty() {
        let mounts = request.claims.iter().enumerate().map(|(i, claim)| {
            json!({"name": volume(i), "mountPath": claim.path, "readOnly": claim.read_only})
        });
        container["volumeMounts"] = mounts.collect();
        let volumes = request.claims.iter().enumerate().map(|(i, claim)| {
            let claim = json!({"claimName": claim.name, "readOnly": claim.read_only});
            json!({"name": volume(i), "persistentVolumeClaim": claim})
        });
        pod["volumes"] = volumes.collect();
    }
    pod["containers"] = json!([container]);
    let labels = json!({"app.kubernetes.io/name": "bomf", "app.kubernetes.io/component": WORKER});
    Ok(Manifest(json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": job_name(&order.name),
            "labels": labels,
            "annotations": {"bomf/study": study},
        },
        "spec": {
            "completionMode": "Indexed",
            "completions": order.workers,
            "parallelism": order.workers,
            "backoffLimitPerIndex": RESTARTS,
            "podFailurePolicy": {"rules": [
                {
                    "action": "FailJob",
                    "onExitCodes": {
                        "containerName": WORKER,
                        "operator": "In",
                        "values": [CANNOT_WORK],
                    },
                },
                {
                    "action": "Ignore",
                    "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
                },
            ]},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    })))
}

/// The cores are asked for and not a limit: who waits at a limit holds its lease all the same.
fn resources(order: &Order) -> Value {
    let mut requests = json!({"cpu": order.cpus.to_string()});
    let mut limits = json!({});
    if let Some(memory) = order.memory {
        let memory = Value::from(format!("{}Mi", memory.mib()));
        requests["memory"] = memory.clone();
        limits["memory"] = memory;
    }
    if order.gpus > 0 {
        limits["nvidia.com/gpu"] = order.gpus.to_string().into();
    }
    match limits.as_object().is_some_and(serde_json::Map::is_empty) {
        true => json!({"requests": requests}),
        false => json!({"requests": requests, "limits": limits}),
    }
}

fn volume(i: usize) -> String {
    format!("volume-{i}")
}

/// A name as Kubernetes has them for Jobs: a DNS label (RFC 1123).
fn job_name(name: &str) -> String {
    let letter = |c: char| match c {
        c if c.is_ascii_alphanumeric() => c.to_ascii_lowercase(),
        _ => '-',
    };
    let name: String = name.chars().map(letter).collect();
    match name.trim_matches('-') {
        "" => "bomf".into(),
        name => name.into(),
    }
}
