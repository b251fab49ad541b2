//! Starting workers on a cluster.
//!
//! A launcher starts *workers*, never single trials: what they train they take from the run's
//! study, so that a cluster needs to know nothing of trials, and a worker may come, go and come
//! again at any time. Each launcher turns one [`LaunchRequest`] into what its system takes: a
//! script for Slurm's `sbatch` ([`slurm`](slurm())), jobs for Ray's REST interface
//! ([`ray`](ray())), a manifest of a Kubernetes Job ([`kubernetes`](kubernetes())).
//!
//! What a worker ends with says what to do: 0, there are no more trials; 1, it was told to go, and
//! may be started again; 2, it cannot work here, and starting it again helps nothing.

mod error;
mod kubernetes;
mod order;
mod ray;
mod slurm;
#[cfg(test)]
mod tests;

pub use error::LaunchError;
pub use kubernetes::{Claim, KubernetesRequest, Manifest, Secret, kubernetes};
pub use order::{LaunchRequest, Memory};
pub use ray::{RayRequest, ray};
pub use slurm::{SlurmRequest, slurm, slurm_script};

use serde::Serialize;

/// Exit code of a worker that was asked for what cannot be done.
const CANNOT_WORK: i32 = 2;

/// How long a worker is given to go: it does so at its next step, so a minute is ample.
const GRACE_SECONDS: u32 = 60;

/// What was started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LaunchOutcome {
    /// `slurm` or `ray`.
    pub launcher: &'static str,
    /// The workers' name.
    pub name: String,
    /// Their study, without a password.
    pub study: String,
    /// The jobs, by which they are watched and ended.
    pub jobs: Vec<LaunchedJob>,
}

/// A job of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LaunchedJob {
    /// As the cluster has it.
    pub id: String,
    /// Its workers.
    pub workers: usize,
    /// How it stood when it had been taken, where the cluster says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
}
