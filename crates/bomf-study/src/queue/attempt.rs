//! What is remembered of workers that had a trial.

use serde::{Deserialize, Serialize};

/// How a worker's hold of a trial ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// With a result.
    Finished,
    /// It gave the trial back.
    GivenBack,
    /// Without a word: it died, or was slower than its lease.
    Lost,
}

impl Ending {
    /// Its name in a storage.
    pub(super) fn of(name: &str) -> Self {
        match name {
            "finished" => Ending::Finished,
            "given_back" => Ending::GivenBack,
            _ => Ending::Lost,
        }
    }
}

/// A trial in the hands of one worker, once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// Number of the trial.
    pub number: usize,
    /// The how manieth taking it was, from 1.
    pub attempt: u64,
    /// Who had it.
    pub worker: String,
    /// When it was taken, by the clock of the storage: seconds since 1970.
    pub began: f64,
    /// When that ended: with its result, when it was given back, when the lease ran out or the
    /// worker was known to be dead. `None` as long as it lasts.
    pub ended: Option<f64>,
    /// How it ended.
    pub ending: Option<Ending>,
}
