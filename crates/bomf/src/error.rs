//! What can go wrong in the pipeline.

use crate::EvaluatorFault;
use crate::hub::HubError;
use crate::launch::LaunchError;
use crate::output::STUDY_URL;
use crate::recipe::RecipeError;
use bomf_checkpoint::CheckpointError;
use bomf_fuse::FuseError;
use bomf_study::{DATABASE, StudyError};
use bomf_tune::TuneError;
use std::path::PathBuf;

/// An error of the pipeline.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The recipe is wrong.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// The model could not be found or fetched.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// Workers could not be started on a cluster.
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// A file of the study could not be written or read.
    #[error(transparent)]
    Study(#[from] StudyError),
    /// A model could not be loaded, trained or evaluated.
    #[error(transparent)]
    Tune(#[from] TuneError),
    /// A checkpoint could not be read or written.
    #[error(transparent)]
    Checkpoint(#[from] bomf_checkpoint::CheckpointError),
    /// The data could not be read.
    #[error(transparent)]
    Data(#[from] bomf_tune::data::DataError),
    /// A metric could not be computed.
    #[error(transparent)]
    Metric(#[from] bomf_tune::metrics::MetricError),
    /// Members could not be fused.
    #[error(transparent)]
    Fuse(#[from] bomf_fuse::FuseError),
    /// The optimiser could not go on.
    #[error(transparent)]
    Bo(#[from] bomf_bo::BoError),
    /// A front could not be measured.
    #[error(transparent)]
    Pareto(#[from] bomf_pareto::ParetoError),
    /// The full run has no value for a hyperparameter that it needs.
    #[error("`finetune.{missing}` is neither set nor searched")]
    Untuned {
        /// Its name.
        missing: &'static str,
    },
    /// Not one trial of stage 1 gave a finite loss.
    #[error("all {trials} trials of stage 1 failed: no loss stayed finite")]
    NoTrial {
        /// How many there were.
        trials: usize,
    },
    /// Not one member gives finite outputs.
    #[error("no member gives finite outputs on the select split")]
    NoMember,
    /// The front has no such point.
    #[error("the front has {points} points; there is no point {number}")]
    NoSuchPoint {
        /// What was asked for, from 1 on.
        number: usize,
        /// How many there are.
        points: usize,
    },
    /// A method's result is no average of the members.
    #[error("the run holds no mixture of `{method}`")]
    NoMixture {
        /// The method.
        method: &'static str,
    },
    /// The members have not the blocks that a mixture has weights for.
    #[error("the members have no blocks {}", .blocks.join(", "))]
    OtherBlocks {
        /// The blocks.
        blocks: Vec<String>,
    },
    /// There is nothing to fuse.
    #[error("fusion needs at least 2 checkpoints; found {found}")]
    TooFewMembers {
        /// How many there are.
        found: usize,
    },
    /// `task.positive_label` is no label of the data.
    #[error("`task.positive_label` is `{label}`, but the labels are {}", known.join(", "))]
    UnknownLabel {
        /// What the recipe says.
        label: String,
        /// The labels there are.
        known: Vec<String>,
    },
    /// A split that was asked for has no examples.
    #[error("the data have no {split} split")]
    EmptySplit {
        /// Which.
        split: &'static str,
    },
    /// A configuration does not say how many attention heads a model has.
    #[error("{} does not say how many attention heads there are", path.display())]
    NoHeads {
        /// The configuration file.
        path: PathBuf,
    },
    /// A model's outputs are not finite.
    #[error("the model's outputs are not all finite numbers")]
    NotFinite,
    /// The thread pool could not be started.
    #[error("cannot start {threads} threads: {reason}")]
    Threads {
        /// How many; 0 for every core.
        threads: usize,
        /// Why.
        reason: String,
    },
    /// The output folder holds something already.
    #[error("{} is not empty", path.display())]
    OutputNotEmpty {
        /// The folder.
        path: PathBuf,
        /// Whether it is the output of an earlier run, which may be replaced.
        is_earlier_output: bool,
    },
    /// What is read would be cleared to make room for what is written.
    #[error("{} lies in the output folder {}, which would be cleared", input.display(), out.display())]
    InputInOutput {
        /// The model or member.
        input: PathBuf,
        /// The output folder.
        out: PathBuf,
    },
    /// Two members are of different architectures.
    #[error("`{field}` is {found} in {} but {expected} in {}", member.display(), reference.display())]
    OtherArchitecture {
        /// The size or kind that differs, by its name in `config.json`.
        field: &'static str,
        /// The member that differs.
        member: PathBuf,
        /// What it has.
        found: String,
        /// The first member.
        reference: PathBuf,
        /// What that one has.
        expected: String,
    },
    /// The model was not fine-tuned for this task.
    #[error("the model in {} has no classification head", path.display())]
    NoHead {
        /// Its folder.
        path: PathBuf,
    },
    /// The model was fine-tuned for another task.
    #[error("the model in {} has {found} outputs, but the data need {expected}", path.display())]
    OtherHead {
        /// Its folder.
        path: PathBuf,
        /// Outputs of its head.
        found: usize,
        /// Classes of the data, or 1 for a regression.
        expected: usize,
    },
    /// A recipe's model is nowhere.
    #[error("there is no model `{name}`: no folder {}{}", looked.display(), hub_words(hub))]
    NoModel {
        /// As the recipe names it.
        name: String,
        /// The folder that it would be.
        looked: PathBuf,
        /// What the hub said, where the name may be one there.
        hub: Option<String>,
    },
    /// Models of different vocabularies, where the recipe asks for one.
    #[error("the vocabularies of {model} and {reference} differ: {token}")]
    OtherVocabulary {
        /// The model that differs.
        model: String,
        /// The model whose tokenizer the output would have.
        reference: String,
        /// What differs, in words.
        token: String,
    },
    /// A model without a tokenizer, where the recipe asks for its vocabulary.
    #[error("{model} has no tokenizer.json, and the recipe asks for its vocabulary")]
    NoVocabulary {
        /// The model, as the recipe names it.
        model: String,
    },
    /// A model without a token whose row the recipe asks for.
    #[error("{model} has no token {token}")]
    NoToken {
        /// The token's text or number.
        token: String,
        /// The model, as the recipe names it.
        model: String,
    },
    /// A folder was not written by `bomf merge`.
    #[error("there is no {}", path.display())]
    NoRecord {
        /// The record that was looked for.
        path: PathBuf,
    },
    /// The output folder could not be made, cleared or written to.
    #[error("cannot write to {}: {source}", path.display())]
    Output {
        /// The folder or file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A program that evaluates models gave no scores.
    #[error("the evaluator gave no scores: {fault} (its log is {})", log.display())]
    Evaluator {
        /// What went wrong.
        fault: EvaluatorFault,
        /// What it said on stderr.
        log: PathBuf,
    },
    /// A program that trains models did not do so.
    #[error("the trainer failed: {fault} (its log is {})", log.display())]
    Trainer {
        /// What went wrong.
        fault: EvaluatorFault,
        /// What it said.
        log: PathBuf,
    },
    /// Checkpoints are to be fused, but nothing says how they are scored.
    #[error("there are neither data nor an evaluator to score models with")]
    NoData,
    /// The other side of a conversation cannot be heard or reached.
    #[error("the conversation broke off: {source}")]
    Conversation {
        /// Why.
        source: std::io::Error,
    },
    /// A file of the input could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// No trial of an earlier search has the hyperparameters that are searched.
    #[error("no trial of {study} in {} has {}: {}", path.display(), searched.join(" and "), names_words(names))]
    UnknownTrials {
        /// The file.
        path: PathBuf,
        /// The study.
        study: String,
        /// What is searched.
        searched: Vec<String>,
        /// What its trials have.
        names: Vec<String>,
    },
    /// A run that is to go on was of something else.
    #[error("{what} was {was} when the run began, and is {is} now")]
    OtherStudy {
        /// What differs.
        what: String,
        /// What it was.
        was: String,
        /// What it is.
        is: String,
    },
    /// A worker of this host cannot work, or dies again and again.
    #[error("worker {place} failed: {said} (its log is {})", log.display())]
    Worker {
        /// Its number, from 1.
        place: usize,
        /// What it said last, or how it ended.
        said: String,
        /// Whether it was asked for what cannot be done.
        is_bad_input: bool,
        /// All that it said.
        log: PathBuf,
    },
    /// Every worker that had a trial has died.
    #[error("trial {trial} was lost with the worker that had it, {times} times")]
    TrialLost {
        /// Its number.
        trial: usize,
        /// How often.
        times: u64,
    },
    /// The observer asked a worker to stop.
    #[error("interrupted{}", given_back_words(trial))]
    WorkerInterrupted {
        /// The trial that it gave back.
        trial: Option<usize>,
    },
    /// A run trains its own trials.
    #[error("the run in {study} has no trials for workers")]
    NoWorkers {
        /// Where its study is.
        study: String,
    },
    /// The observer asked to stop.
    #[error("interrupted{}", on_disk_words(out, on_disk))]
    Interrupted {
        /// The output folder.
        out: PathBuf,
        /// What is usable in it, as paths relative to it; may be empty.
        on_disk: Vec<String>,
    },
}

fn on_disk_words(out: &std::path::Path, on_disk: &[String]) -> String {
    match on_disk {
        [] => "; nothing was written".into(),
        files => format!("; {} holds {}", out.display(), files.join(", ")),
    }
}

fn given_back_words(trial: &Option<usize>) -> String {
    match trial {
        Some(trial) => format!("; trial {trial} was given back"),
        None => String::new(),
    }
}

fn hub_words(hub: &Option<String>) -> String {
    match hub {
        Some(hub) => format!(", and {hub}"),
        None => String::new(),
    }
}

/// Whether a file stands where a folder was to be made.
fn is_no_folder(source: &std::io::Error) -> bool {
    use std::io::ErrorKind::{AlreadyExists, NotADirectory};
    matches!(source.kind(), AlreadyExists | NotADirectory)
}

/// Whether what was given is at fault, and not the disk.
fn is_bad_checkpoint(error: &CheckpointError) -> bool {
    !matches!(
        error,
        CheckpointError::DiskFull { .. }
            | CheckpointError::NoSpace { .. }
            | CheckpointError::Io { .. }
    )
}

fn names_words(names: &[String]) -> String {
    match names {
        [] => "none is complete".into(),
        names => format!("they have {}", names.join(", ")),
    }
}

impl Error {
    /// How to mend it, where that can be said.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::Recipe(error) => error.hint(),
            Error::Hub(error) => error.hint(),
            Error::Launch(error) => error.hint(),
            Error::Study(error) => error.hint(),
            Error::NoHeads { .. } => Some(
                "alignment needs `num_attention_heads` of the reference model's config.json".into(),
            ),
            Error::OutputNotEmpty {
                is_earlier_output: true,
                ..
            } => Some(
                "it is the output of an earlier run: give --overwrite to replace it, or choose \
                 another --out"
                    .into(),
            ),
            Error::OutputNotEmpty { .. } => Some("choose an empty or a new folder".into()),
            Error::Output { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
                Some("free some space, or choose another output folder".into())
            }
            Error::Output { source, .. } if is_no_folder(source) => {
                Some("there is a file of this name: choose a folder".into())
            }
            Error::Tune(error) => error.hint(),
            Error::Checkpoint(error) => error.hint(),
            Error::Data(error) => error.hint(),
            Error::Metric(error) => error.hint(),
            Error::Fuse(error) => error.hint(),
            Error::Untuned { missing } => Some(format!(
                "set `finetune.{missing}` in the recipe, or run `bomf tune` and use its tuned.yaml"
            )),
            Error::NoTrial { .. } => {
                Some("lower the upper end of the learning rate in `stage1.space`".into())
            }
            Error::NoModel { hub: None, .. } => Some(
                "paths are taken from the working directory; models of the hub are \
                 `owner/name`"
                    .into(),
            ),
            Error::NoModel { .. } => {
                Some("paths are taken from the working directory; check the spelling".into())
            }
            Error::OtherVocabulary { .. } => Some(
                "what is in tokenizer.json is matched, of models without statistics: save the \
                 tokenizers so, or fuse models of one vocabulary"
                    .into(),
            ),
            Error::NoVocabulary { .. } => Some(
                "save the tokenizer into the model's folder, or leave out tokenizer_source".into(),
            ),
            Error::NoToken { .. } => {
                Some("name a token of that model's tokenizer with a row in its embedding".into())
            }
            Error::NoRecord { .. } => Some("give a folder that `bomf merge` wrote".into()),
            Error::Trainer {
                fault: EvaluatorFault::TimedOut { .. },
                ..
            } => Some("give it longer with `trainer.timeout` in the recipe".into()),
            Error::Evaluator { fault, .. } | Error::Trainer { fault, .. } => fault.hint(),
            Error::NoData => Some(
                "give --data with a folder of train, validation and test, or --evaluator with a \
                 command"
                    .into(),
            ),
            Error::InputInOutput { .. } => Some("choose another --out".into()),
            Error::OtherArchitecture { .. } => Some("fuse checkpoints of one architecture".into()),
            Error::NoHead { .. } => Some("fine-tune it first, with `bomf run`".into()),
            Error::OtherHead { .. } => {
                Some("is this the model's own task? See `task.kind` and `task.labels`".into())
            }
            Error::NoSuchPoint { .. } | Error::NoMixture { .. } => {
                Some("`bomf pick RUN` lists what there is".into())
            }
            Error::OtherBlocks { .. } => {
                Some("have the members changed since the run? Fuse them again".into())
            }
            Error::TooFewMembers { .. } => {
                Some("give several model folders, or a folder of checkpoint-<step> folders".into())
            }
            Error::UnknownTrials { .. } => Some(
                "give the hyperparameters there the names that they have in stage1.space, or search those"
                    .into(),
            ),
            Error::OtherStudy { .. } => Some(
                "put it back to go on, or begin another run in an output folder of its own".into(),
            ),
            Error::Worker { .. } => {
                Some("once that is mended, go on with `bomf resume`: nothing is lost".into())
            }
            Error::TrialLost { .. } => Some(
                "did they run out of memory? With fewer workers each has more; go on with \
                 `bomf resume`"
                    .into(),
            ),
            Error::NoWorkers { .. } => {
                Some("begin it with `bomf tune --workers N` or `bomf run --workers N`".into())
            }
            // What is in the folder can go on, unless it was not to.
            Error::Interrupted { out, .. }
                if [DATABASE, STUDY_URL]
                    .iter()
                    .any(|name| out.join(name).is_file()) =>
            {
                Some(format!("go on with `bomf resume {}`", out.display()))
            }
            Error::Bo(_)
            | Error::Unreadable { .. }
            | Error::Pareto(_)
            | Error::NoMember
            | Error::NotFinite
            | Error::EmptySplit { .. }
            | Error::UnknownLabel { .. }
            | Error::Threads { .. }
            | Error::Conversation { .. }
            | Error::Output { .. }
            | Error::WorkerInterrupted { .. }
            | Error::Interrupted { .. } => None,
        }
    }

    /// Whether what was asked for is at fault, and not the machine, the network or
    /// bomf itself.
    pub fn is_bad_input(&self) -> bool {
        match self {
            Error::Worker { is_bad_input, .. } => *is_bad_input,
            Error::Recipe(_)
            | Error::OtherStudy { .. }
            | Error::UnknownTrials { .. }
            | Error::NoWorkers { .. }
            | Error::Unreadable { .. }
            | Error::OutputNotEmpty { .. }
            | Error::InputInOutput { .. }
            | Error::OtherArchitecture { .. }
            | Error::NoModel { .. }
            | Error::OtherVocabulary { .. }
            | Error::NoVocabulary { .. }
            | Error::NoToken { .. }
            | Error::NoRecord { .. }
            | Error::NoHead { .. }
            | Error::NoHeads { .. }
            | Error::OtherHead { .. } => true,
            Error::Fuse(FuseError::Checkpoint(error)) => is_bad_checkpoint(error),
            Error::Fuse(FuseError::Interrupted) => false,
            Error::Hub(error) => error.is_bad_input(),
            Error::Launch(error) => error.is_bad_input(),
            Error::Output { source, .. } => is_no_folder(source),
            Error::Study(error) => error.is_bad_input(),
            Error::Tune(TuneError::Checkpoint(error)) | Error::Checkpoint(error) => {
                is_bad_checkpoint(error)
            }
            Error::Tune(error) => {
                !matches!(error, TuneError::Diverged { .. } | TuneError::Interrupted)
            }
            Error::Data(_)
            | Error::Fuse(_)
            | Error::Untuned { .. }
            | Error::TooFewMembers { .. }
            | Error::UnknownLabel { .. }
            | Error::NoSuchPoint { .. }
            | Error::NoMixture { .. }
            | Error::OtherBlocks { .. }
            | Error::NoData
            | Error::Evaluator {
                fault:
                    EvaluatorFault::NotStarted { .. }
                    | EvaluatorFault::Missing { .. }
                    | EvaluatorFault::Ambiguous { .. },
                ..
            }
            | Error::Trainer {
                fault:
                    EvaluatorFault::NotStarted { .. }
                    | EvaluatorFault::Missing { .. }
                    | EvaluatorFault::NoStep
                    | EvaluatorFault::NoMetrics,
                ..
            }
            | Error::EmptySplit { .. } => true,
            Error::Metric(_)
            | Error::NoTrial { .. }
            | Error::NoMember
            | Error::NotFinite
            | Error::Bo(_)
            | Error::Pareto(_)
            | Error::Threads { .. }
            | Error::Conversation { .. }
            | Error::Evaluator { .. }
            | Error::Trainer { .. }
            | Error::TrialLost { .. }
            | Error::WorkerInterrupted { .. }
            | Error::Interrupted { .. } => false,
        }
    }
}
