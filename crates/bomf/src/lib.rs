//! Fine-tune once, fuse by Bayesian optimisation: the two-stage pipeline.

pub mod ask_tell;
mod error;
pub mod experiment;
mod hub;
pub mod launch;
pub mod lora;
pub mod merge;
mod observer;
mod output;
mod pipeline;
mod plan;
pub mod recipe;
mod request;

pub use bomf_study as study;
pub use error::Error;
pub use experiment::{Experiment, ExperimentRequest, experiment};
pub use hub::{HubError, Place, resolve_model};
pub use merge::{
    DiffRequest, MergeOutcome, MergeRequest, VerifyRequest, diff, merge, verify, watched,
};
pub use observer::{Observer, Phase, Silent};
pub use output::{claim_output, read_output};
pub use pipeline::{
    Conversation, EvaluatorFault, Generated, Keeper, Measurement, MixtureMethod, MixturesOutcome,
    MixturesRequest, bench, eval, finetune, fuse, generate, pick, pretrain, resume,
    resume_directory, run, search_mixtures, serve, statistics, tune, worker, worker_directory,
};
pub use plan::{plan, read_record};
pub use recipe::{Recipe, RecipeError};
pub use request::{
    BenchMode, BenchOutcome, BenchRequest, Dtype, EvalRequest, FuseRequest, GenerateRequest, Pick,
    PickRequest, PretrainOutcome, PretrainRequest, Prompts, ResumeRequest, Resumed, RunRequest,
    Split, StatisticsKind, StatisticsOutcome, StatisticsRequest, WorkerOutcome, WorkerRequest,
    Workers,
};
