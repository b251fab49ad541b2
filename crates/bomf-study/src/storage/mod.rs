//! Where a study keeps what was paid for: every finished trial, the fine-tuning run and
//! every evaluation, durable before the caller is told that they are.
//!
//! [`Storage`] is the contract; [`Sqlite`] keeps a file, [`Postgres`] a server's database,
//! [`Memory`] keeps nothing beyond the process. `tests/storage.rs` holds the contract over all of them.
//!
//! What is stored is enough to run the pipeline again without paying again: it is
//! deterministic, so that it asks for the same trials and the same mixtures, and what it
//! asks for is looked up before it is computed.

mod columns;
mod memory;
mod postgres;
mod records;
mod schema;
mod sqlite;

pub(crate) use columns::integer;
pub use memory::Memory;
pub use postgres::{Postgres, is_url, password_in, study_in, without_password};
pub use records::{EvaluatedSplit, EvaluationRecord, FinetuneRecord, RungValue, TrialRecord};
pub use sqlite::{DATABASE, Sqlite};

use crate::StudyError;
use indexmap::IndexMap;

/// Keeps what a study has paid for.
///
/// # Contract
/// - **Durable**: when a method that stores returns `Ok`, the record outlasts the death of
///   the process, and with a back-end on disk the failure of power; when it returns an
///   error, nothing of the record is stored.
/// - **Final**: a record that is stored never changes and never goes. Storing another one
///   in its place is [`StudyError::Final`], an equal one too.
/// - **Exact**: what is read is what was stored, floating-point numbers to the bit.
/// - **Ordered**: lists come in the order in which their records were stored, trials by
///   their number.
/// - **Shared**: methods may be called from any thread; of two that store the same record
///   at once, one gets [`StudyError::Final`].
///
/// A method fails with [`StudyError::DatabaseLocked`] where another program holds the
/// storage, [`StudyError::DatabaseFull`] where there is no room, [`StudyError::Away`] where a
/// server is away for longer than its patience, and [`StudyError::Database`] or
/// [`StudyError::Server`] otherwise.
pub trait Storage: Send + Sync + std::fmt::Debug {
    /// Facts about the study by name, in the order in which they were stored: what it is
    /// of, and by what it is known again.
    ///
    /// # Errors
    /// As the contract says.
    fn facts(&self) -> Result<IndexMap<String, String>, StudyError>;

    /// Stores facts, all or none.
    ///
    /// # Errors
    /// [`StudyError::Final`] where one has a value already.
    fn add_facts(&self, facts: &IndexMap<String, String>) -> Result<(), StudyError>;

    /// Every finished trial of stage 1, by number.
    ///
    /// # Errors
    /// As the contract says.
    fn trials(&self) -> Result<Vec<TrialRecord>, StudyError>;

    /// Stores finished trials with their intermediate values, all or none.
    ///
    /// # Errors
    /// [`StudyError::Final`] where one of such a number is finished already.
    fn add_trials(&self, trials: &[TrialRecord]) -> Result<(), StudyError>;

    /// Stores a finished trial.
    ///
    /// # Errors
    /// As [`Storage::add_trials`].
    fn add_trial(&self, trial: &TrialRecord) -> Result<(), StudyError> {
        self.add_trials(std::slice::from_ref(trial))
    }

    /// Enters what a trial is worth (more is better) as it comes to a rung of its training, and
    /// gives what every trial was worth that had come to that rung by then, in the order in which
    /// they came, its own value last. What was entered first stays: whoever asks again, for
    /// whichever reason, is given the same.
    ///
    /// # Errors
    /// As the contract says.
    fn reach(&self, rung: usize, trial: usize, value: f64) -> Result<Vec<f64>, StudyError>;

    /// What was entered by [`Storage::reach`]: rung by rung, and within one in the order in which
    /// trials came there.
    ///
    /// # Errors
    /// As the contract says.
    fn rungs(&self) -> Result<Vec<RungValue>, StudyError>;

    /// A fine-tuning run by its number, once it is complete.
    ///
    /// # Errors
    /// As the contract says.
    fn finetune(&self, number: usize) -> Result<Option<FinetuneRecord>, StudyError>;

    /// Stores a complete fine-tuning run. Its members must be durable by now.
    ///
    /// # Errors
    /// [`StudyError::Final`] where there is one of this number.
    fn add_finetune(&self, run: &FinetuneRecord) -> Result<(), StudyError>;

    /// The evaluation of the mixture with exactly these weights on a split.
    ///
    /// # Errors
    /// As the contract says.
    fn evaluation(
        &self,
        split: EvaluatedSplit,
        weights: &[f64],
    ) -> Result<Option<EvaluationRecord>, StudyError>;

    /// Every evaluation on a split, without outputs.
    ///
    /// # Errors
    /// As the contract says.
    fn evaluations(&self, split: EvaluatedSplit) -> Result<Vec<EvaluationRecord>, StudyError>;

    /// Stores a finished evaluation.
    ///
    /// # Errors
    /// [`StudyError::Final`] where the mixture was evaluated on this split already.
    fn add_evaluation(&self, evaluation: &EvaluationRecord) -> Result<(), StudyError>;
}
