//! The work behind each command.
//!
//! Data flows one way: [`task`] reads the data, [`stage1`] finds the
//! hyperparameters on the [`lightweight`] model, [`trajectory`] fine-tunes and gathers members, in several [`runs`] where
//! the recipe says so, [`members`] opens
//! them, [`stage2`] searches the weights through [`evaluator`] and its [`source`] of
//! scores ([`mixtures`], or a program: [`external`]), with weights by block where the recipe
//! asks for them ([`blocks`]), after a look whether they lie in one basin ([`basin`]), [`choose`]
//! takes one of what was evaluated (by [`bagging`], if the rule says so), [`compare`] puts every method on the report
//! split, and [`finish`] writes. Whatever is paid for goes through the [`ledger`], from which
//! [`resume`](resume()) goes on; a program may train, too ([`trainer`]), and trials of stage 1 may
//! be trained by [`workers`], or end early ([`pruning`]).

mod bagging;
mod baselines;
mod basin;
mod bench;
mod blocks;
mod candidates;
mod choose;
mod compare;
mod dialogue;
mod eval;
mod evaluator;
mod external;
mod finish;
mod fuse;
mod generate;
mod goals;
mod identity;
mod keeper;
mod known;
mod ledger;
mod lightweight;
mod members;
mod mixtures;
mod outputs;
mod pick;
mod pretrain;
mod pruning;
mod resume;
mod run;
mod runs;
mod scored;
mod scorer;
mod search;
mod seeds;
mod serve;
mod settle;
mod source;
mod stage1;
mod stage2;
mod statistics;
mod task;
mod trainer;
mod training;
mod trajectory;
mod tuned;
mod workers;

pub use bench::bench;
pub use eval::eval;
pub use external::EvaluatorFault;
pub(crate) use external::LOG as EVALUATOR_LOG;
pub use fuse::fuse;
pub use generate::{Generated, generate};
pub use keeper::Keeper;
pub use pick::pick;
pub use pretrain::pretrain;
pub(crate) use resume::stored_recipe;
pub use resume::{resume, resume_directory};
pub use run::{finetune, run, tune};
pub use scored::{Measurement, MixtureMethod, MixturesOutcome, MixturesRequest, search_mixtures};
pub use serve::{Conversation, serve};
pub use statistics::statistics;
pub(crate) use trainer::TRAINER_LOG;
pub(crate) use workers::{has_trials_for_workers, study_url};
pub use workers::{worker, worker_directory};

use crate::Error;
use crate::recipe::{Finetune, RecipeError};

/// The most threads: beyond what machines have, starting them takes minutes.
const MAX_THREADS: usize = 1024;

/// Runs `work` on a pool of `threads` threads; 0 takes every core.
pub(crate) fn in_pool<T: Send>(
    threads: usize,
    work: impl FnOnce() -> Result<T, Error> + Send,
) -> Result<T, Error> {
    if threads > MAX_THREADS {
        return Err(out_of_range(
            "threads",
            threads,
            &format!("at most {MAX_THREADS}"),
        ));
    }
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .map_err(|source| Error::Threads {
            threads,
            reason: source.to_string(),
        })?
        .install(work)
}

/// Threads of the pool that this runs on.
fn threads() -> usize {
    rayon::current_num_threads()
}

/// Refuses a number that is too small.
fn at_least(field: &str, value: usize, least: usize) -> Result<(), Error> {
    match value < least {
        true => Err(out_of_range(field, value, &format!("at least {least}"))),
        false => Ok(()),
    }
}

fn out_of_range(field: &str, value: impl std::fmt::Display, expected: &str) -> Error {
    Error::Recipe(RecipeError::BadValue {
        file: String::new(),
        line: 0,
        field: field.into(),
        value: value.to_string(),
        expected: expected.into(),
        nearest: None,
    })
}

/// What the full run still needs.
fn untuned(choices: &Finetune) -> Error {
    let missing = match choices.learning_rate {
        None => "learning_rate",
        Some(_) => "batch_size",
    };
    Error::Untuned { missing }
}

/// Largest resident memory of the process, in units of 10^6 bytes; 0 where the
/// system does not say (Linux does).
fn peak_rss_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|number| number.parse::<f64>().ok());
    kib.unwrap_or(0.0) * 1024.0 / 1e6
}
