//! Stage 1 with workers: processes on this and other hosts that train its trials.
//!
//! One program keeps the search, the *scheduler* ([`fleet`]): it puts trials into the queue of
//! the study, each with its hyperparameters and its seed, and waits for the earliest. Workers
//! ([`worker`](worker())) take them by lease. Those of this host are the scheduler's own
//! processes ([`crew`]): they end with it, and one that dies is started again.
//!
//! A trial is the same whoever trains it, and results count in the order in which trials were
//! asked for. So what dies, is slow, or comes back changes nothing but the time.

mod crew;
mod desk;
mod fleet;
pub(super) mod place;
mod worker;

pub(super) use desk::Train;
pub(super) use fleet::{Fleet, threads_of};
pub(crate) use place::url_of as study_url;
pub(crate) use worker::has_trials_for_workers;
pub use worker::{worker, worker_directory};

use super::identity::LEASE;
use crate::Workers;
use crate::output::WORKERS;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What is empty is looked at this soon again at first, and this often in the end.
const FIRST_LOOK: Duration = Duration::from_millis(2);
const LAST_LOOK: Duration = Duration::from_millis(200);

/// A trial as it lies in the queue.
#[derive(Debug, Serialize, Deserialize)]
struct Payload {
    parameters: IndexMap<String, serde_json::Value>,
    seed: u64,
}

/// What local workers say, in the output folder: a log each.
fn log(out: &Path, place: usize) -> PathBuf {
    out.join(WORKERS).join(format!("worker-{place}.log"))
}

/// The lease of a run's trials.
pub(super) fn lease(facts: &IndexMap<String, String>) -> Duration {
    let seconds = facts.get(LEASE).and_then(|seconds| seconds.parse().ok());
    let lease = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    lease.unwrap_or(Workers::LEASE)
}

/// Waits longer each time.
#[derive(Debug)]
struct Looks(Duration);

impl Looks {
    fn new() -> Self {
        Looks(FIRST_LOOK)
    }

    fn wait(&mut self) {
        std::thread::sleep(self.0);
        self.0 = (2 * self.0).min(LAST_LOOK);
    }
}
