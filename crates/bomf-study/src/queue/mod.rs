//! Trials that wait for a worker, and those that one works on.
//!
//! A scheduler puts trials in; workers, on any number of hosts, take them by a *lease*: a
//! trial is a worker's for so many seconds, and for longer each time the worker gives a sign
//! of life. A worker that dies gives none, its lease runs out, and another takes the trial
//! over. Each taking over is a new *attempt*, so that a worker that was only slow is told so
//! when it comes with its result.
//!
//! What a trial is and what came of it are texts to a queue; nothing in here reads them.
//!
//! [`Queue`] is the contract; [`crate::Sqlite`] keeps it beside the study for the workers of
//! one host, [`crate::Postgres`] for those of many, [`crate::Memory`] for the threads of one
//! process. `tests/queue.rs` holds the contract over all of them.

mod attempt;
mod memory;
mod postgres;
mod sqlite;

pub use attempt::{Attempt, Ending};

pub(crate) use memory::Jobs;

use crate::StudyError;
use std::time::Duration;

/// A trial in the hands of a worker.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Claim {
    /// Number of the trial.
    pub number: usize,
    /// Who has it.
    pub worker: String,
    /// The how manieth taking it is, from 1.
    pub attempt: u64,
    /// What the trial is, as it was put in.
    pub payload: String,
}

/// Where a trial stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Standing {
    /// It waits for a worker; it may have been in the hands of some.
    Queued,
    /// A worker has it, and its lease runs.
    Running,
    /// It has a result.
    Finished,
}

/// A trial as a scheduler sees it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Job {
    /// Its number.
    pub number: usize,
    /// Where it stands.
    pub standing: Standing,
    /// Who has it, or finished it.
    pub worker: Option<String>,
    /// How often it was taken.
    pub attempts: u64,
    /// How many of these ended without a word: the worker died, or was slower than its lease.
    pub losses: u64,
}

/// Gives trials to workers.
///
/// # Contract
/// - **One holder**: a trial is in the hands of at most one worker at a time; of many that
///   ask at once each gets another one. They are given out by their number.
/// - **Leases** are judged by the clock of the storage alone (with PostgreSQL the server's,
///   with SQLite that of the one host): what the workers' clocks show does not matter. One
///   that has run out ends no work by itself; it lets another worker take the trial over.
/// - **Attempts**: a worker whose trial was taken over, given back or released learns so by
///   [`StudyError::LeaseLost`] from whatever it does with its claim, and changes nothing.
/// - **Final**: the first result stays; a trial with a result is never given out again.
/// - **Durable**: when [`Queue::enqueue`] or [`Queue::finish`] returns `Ok`, that outlasts the
///   death of every process, and with a back-end on disk the failure of power. (That a trial
///   was taken may be forgotten then. It is taken again, or stays with the worker that has it,
///   whichever of the two comes first.)
/// - **Again**: [`Queue::enqueue`] of the same trial, and [`Queue::finish`] by the same claim,
///   may be repeated where a connection broke off before the answer came.
/// - **Shared**: methods may be called from any thread and any process.
pub trait Queue: Send + Sync + std::fmt::Debug {
    /// Puts trials in, all or none: numbers and what they are.
    ///
    /// # Errors
    /// [`StudyError::Final`] where one of these numbers is another trial, and as [`crate::Storage`].
    fn enqueue(&self, trials: &[(usize, String)]) -> Result<(), StudyError>;

    /// Takes the first trial that waits, or whose lease has run out, for as long as `lease`;
    /// `None` where there is none. The name of a worker is its own, none like it was ever used,
    /// and it has one trial at a time.
    ///
    /// # Errors
    /// As [`crate::Storage`].
    fn claim(&self, worker: &str, lease: Duration) -> Result<Option<Claim>, StudyError>;

    /// A sign of life: the lease runs for as long as `lease` from now on.
    ///
    /// # Errors
    /// [`StudyError::LeaseLost`], and as [`crate::Storage`].
    fn heartbeat(&self, claim: &Claim, lease: Duration) -> Result<(), StudyError>;

    /// Gives a trial back; the next worker that asks gets it.
    ///
    /// # Errors
    /// As [`Queue::heartbeat`].
    fn give_back(&self, claim: &Claim) -> Result<(), StudyError>;

    /// Enters the result of a trial.
    ///
    /// # Errors
    /// As [`Queue::heartbeat`].
    fn finish(&self, claim: &Claim, result: &str) -> Result<(), StudyError>;

    /// Takes away from a worker that is known to be dead what it had, so that nobody waits for
    /// its lease to run out; how many trials these were.
    ///
    /// # Errors
    /// As [`crate::Storage`].
    fn release(&self, worker: &str) -> Result<usize, StudyError>;

    /// The results of the trials from number `from` on that are finished, by number.
    ///
    /// # Errors
    /// As [`crate::Storage`].
    fn results(&self, from: usize) -> Result<Vec<(usize, String)>, StudyError>;

    /// Every trial, by number.
    ///
    /// # Errors
    /// As [`crate::Storage`].
    fn jobs(&self) -> Result<Vec<Job>, StudyError>;

    /// Who had which trials, and for how long, in the order in which they were taken.
    ///
    /// # Errors
    /// As [`crate::Storage`].
    fn attempts(&self) -> Result<Vec<Attempt>, StudyError>;

    /// Says whether there will be no more trials: workers that find none may go then.
    ///
    /// # Errors
    /// As [`crate::Storage`].
    fn set_closed(&self, is_closed: bool) -> Result<(), StudyError>;

    /// Whether there will be no more trials; a new queue has some to come.
    ///
    /// # Errors
    /// As [`crate::Storage`].
    fn is_closed(&self) -> Result<bool, StudyError>;
}

impl<Q: Queue> Queue for std::sync::Arc<Q> {
    fn enqueue(&self, trials: &[(usize, String)]) -> Result<(), StudyError> {
        Q::enqueue(self, trials)
    }

    fn claim(&self, worker: &str, lease: Duration) -> Result<Option<Claim>, StudyError> {
        Q::claim(self, worker, lease)
    }

    fn heartbeat(&self, claim: &Claim, lease: Duration) -> Result<(), StudyError> {
        Q::heartbeat(self, claim, lease)
    }

    fn give_back(&self, claim: &Claim) -> Result<(), StudyError> {
        Q::give_back(self, claim)
    }

    fn finish(&self, claim: &Claim, result: &str) -> Result<(), StudyError> {
        Q::finish(self, claim, result)
    }

    fn release(&self, worker: &str) -> Result<usize, StudyError> {
        Q::release(self, worker)
    }

    fn results(&self, from: usize) -> Result<Vec<(usize, String)>, StudyError> {
        Q::results(self, from)
    }

    fn jobs(&self) -> Result<Vec<Job>, StudyError> {
        Q::jobs(self)
    }

    fn attempts(&self) -> Result<Vec<Attempt>, StudyError> {
        Q::attempts(self)
    }

    fn set_closed(&self, is_closed: bool) -> Result<(), StudyError> {
        Q::set_closed(self, is_closed)
    }

    fn is_closed(&self) -> Result<bool, StudyError> {
        Q::is_closed(self)
    }
}

/// The standing of a trial from what is kept of it.
fn standing(has_result: bool, is_held: bool) -> Standing {
    match (has_result, is_held) {
        (true, _) => Standing::Finished,
        (false, true) => Standing::Running,
        (false, false) => Standing::Queued,
    }
}

/// The error of a trial that cannot be put in.
fn other_trial(number: usize) -> StudyError {
    StudyError::Final {
        what: format!("trial {number}"),
    }
}

fn lost(claim: &Claim) -> StudyError {
    StudyError::LeaseLost {
        number: claim.number,
        attempt: claim.attempt,
    }
}
