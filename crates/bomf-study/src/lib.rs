//! The record of a study: what was tried, what it scored, what came of it, and
//! where that is kept.
//!
//! A study is one pass of the two-stage method over one task: stage 1 finds the
//! hyperparameters, one fine-tuning run (or several) gathers the members, stage 2 finds the
//! weights that fuse them. This crate holds the *types* of its record and the
//! files they are written to:
//!
//! | file | type | written |
//! |---|---|---|
//! | `trials.jsonl` | [`Event`] | a line as each evaluation ends, through a [`Journal`] |
//! | `pareto.json` | [`Front`] | once, at the end |
//! | `results.json` | [`Results`] | once, at the end |
//! | `experiment.json` | [`experiment::Experiment`] | after each run of an experiment |
//! | `study.db` | [`Storage`] | a record as each trial, run or evaluation ends: what `bomf resume` goes on from |
//!
//! Trials may wait in a [`Queue`] for workers on several hosts; a study then lies on a server
//! ([`Postgres`]).
//!
//! Objectives are kept in their own direction (a loss is minimised, an accuracy
//! maximised), each with its [`Direction`]; nothing in here is turned around.

mod basin;
mod error;
mod event;
pub mod experiment;
mod front;
pub mod interchange;
mod journal;
mod lock;
mod objective;
mod plan;
mod queue;
mod record;
mod results;
mod storage;

pub use basin::{Basin, Segment};
pub use error::StudyError;
pub use event::{Event, State};
pub use front::{BlockWeights, Front, FrontPoint};
pub use journal::{Journal, read_journal};
pub use lock::{FolderLock, LOCK};
pub use objective::{Direction, Objective, Scores};
pub use plan::{Plan, Range};
pub use queue::{Attempt, Claim, Ending, Job, Queue, Standing};
pub use record::{Evaluation, Record};
pub use results::{
    BlockSearch, Choice, CurvePoint, Finetune, FurtherRun, HypervolumePoint, MemberRecord, Method,
    MethodName, Results, Seconds, Splits, Stage1, Stage1Trial, Stage2,
};
pub use storage::{
    DATABASE, EvaluatedSplit, EvaluationRecord, FinetuneRecord, Memory, Postgres, RungValue,
    Sqlite, Storage, TrialRecord, is_url, password_in, study_in, without_password,
};
