//! What the pipeline is asked for: one struct a command.

use crate::Recipe;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// A whole run, or its first steps alone: `bomf run`, `tune` and `finetune`.
#[derive(Debug, Clone, PartialEq)]
pub struct RunRequest {
    /// The pre-trained model: a Hugging Face folder, or `hf:owner/name` with an
    /// optional `@revision`.
    pub model: String,
    /// Folder of `train`, `validation` and `test` as `.jsonl`, `.csv`, `.tsv` or
    /// `.parquet`.
    pub data: PathBuf,
    /// Folder that everything is written to.
    pub out: PathBuf,
    /// Every choice.
    pub recipe: Recipe,
    /// Threads; 0 takes every core.
    pub threads: usize,
    /// Whether the earlier output of a run in `out` may be replaced.
    pub overwrite: bool,
    /// Who trains the trials of stage 1; `None`: this process, one after the other.
    pub workers: Option<Workers>,
}

/// Workers for the trials of stage 1.
///
/// With `n` of them in all, up to `2 n - 1` trials are under way or wait, so that none of
/// them idles while a slow one is at work; the search counts these as pending. What it comes
/// to depends on `n`, and not on who was fast: with one worker it is what it is without.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workers {
    /// How many are started here, as processes of their own that share the cores.
    pub local: usize,
    /// How many more are counted on, which somebody starts: `bomf worker`.
    pub elsewhere: usize,
    /// How long a worker may give no sign of life before another one takes its trial over.
    pub lease: Duration,
    /// The command that a local worker is started by; its options and the study follow.
    pub launch: Vec<OsString>,
    /// URL of the PostgreSQL study that workers of other hosts can reach; `None` keeps the study
    /// in the output folder, for workers of this host.
    pub storage: Option<String>,
}

impl Workers {
    /// The lease where none is asked for.
    pub const LEASE: Duration = Duration::from_secs(60);

    /// How many there are in all, at least 1.
    pub fn all(&self) -> usize {
        (self.local + self.elsewhere).max(1)
    }
}

/// A worker: `bomf worker`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerRequest {
    /// Output folder of a run on this host, or URL of its study on a server.
    pub study: String,
    /// The model, where it has another name on this host; its files must be the same.
    pub model: Option<String>,
    /// Folder of the data, likewise.
    pub data: Option<PathBuf>,
    /// Threads; 0 takes as many as the run says.
    pub threads: usize,
    /// The name of the worker, which no other ever had; `None` makes one.
    pub name: Option<String>,
    /// Folder for what a training program writes; `None` takes a temporary one.
    pub folder: Option<PathBuf>,
}

/// What a worker did.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct WorkerOutcome {
    /// Its name.
    pub worker: String,
    /// Trials that it finished.
    pub trials: usize,
    /// Wall-clock time.
    pub seconds: f64,
}

/// Stage 2 on checkpoints that exist: `bomf fuse`.
#[derive(Debug, Clone, PartialEq)]
pub struct FuseRequest {
    /// Checkpoint folders, of any trainer; a folder that holds
    /// `checkpoint-<step>` folders stands for all of them.
    pub members: Vec<PathBuf>,
    /// Folder of the data, as for [`RunRequest::data`]; not needed, and not looked at,
    /// where the recipe has an [`Recipe::evaluator`].
    pub data: Option<PathBuf>,
    /// Folder that everything is written to.
    pub out: PathBuf,
    /// Every choice; those of stage 1 and of the fine-tuning are not needed.
    pub recipe: Recipe,
    /// Threads; 0 takes every core.
    pub threads: usize,
    /// Whether the earlier output of a run in `out` may be replaced.
    pub overwrite: bool,
}

/// A run that was stopped and goes on: `bomf resume`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResumeRequest {
    /// Its output folder.
    pub out: PathBuf,
    /// Threads; 0 takes as many as it had, and another number is refused.
    pub threads: usize,
    /// Its seed, to be sure; another one is refused.
    pub seed: Option<u64>,
    /// As [`Workers::launch`], for a run that had workers.
    pub launch: Vec<OsString>,
}

/// What a run that went on came to.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Resumed {
    /// Of [`crate::run`].
    Run(bomf_study::Results),
    /// Of [`crate::tune`].
    Tune(bomf_study::Stage1),
    /// Of [`crate::finetune`].
    Finetune(bomf_study::Finetune),
    /// Of [`crate::fuse`].
    Fuse(bomf_study::Results),
}

/// Another mixture of a finished run as a model: `bomf pick`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PickRequest {
    /// Output folder of the run.
    pub run: PathBuf,
    /// Which mixture.
    pub pick: Pick,
    /// The model folder to write, which must not exist yet.
    pub target: PathBuf,
    /// Threads; 0 takes every core.
    pub threads: usize,
}

/// A mixture of a finished run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pick {
    /// A point of the front, from 1 on in the order of `pareto.json`: by falling
    /// chosen metric.
    Point(usize),
    /// What a method settled on.
    Method(bomf_study::MethodName),
}

/// Scores of one model on one split: `bomf eval`.
#[derive(Debug, Clone, PartialEq)]
pub struct EvalRequest {
    /// The fine-tuned model: a folder or `hf:owner/name`.
    pub model: String,
    /// Folder of the data, as for [`RunRequest::data`].
    pub data: PathBuf,
    /// The split.
    pub split: Split,
    /// File for the predictions, a JSON object a line.
    pub predictions: Option<PathBuf>,
    /// The task and its metrics.
    pub recipe: Recipe,
    /// Threads; 0 takes every core.
    pub threads: usize,
}

/// What a model writes: `bomf generate`.
#[derive(Debug, Clone, PartialEq)]
pub struct GenerateRequest {
    /// The model: a folder or `hf:owner/name`.
    pub model: String,
    /// What it is given.
    pub prompts: Prompts,
    /// `task.generation` says how, `task.columns` where the prompts are, and
    /// `task.max_length` how much of one is read.
    pub recipe: Recipe,
    /// Threads; 0 takes every core.
    pub threads: usize,
}

/// What a model is to go on from, or to write from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prompts {
    /// These texts.
    Texts(Vec<String>),
    /// The texts of a split.
    Data {
        /// Folder of the data, as for [`RunRequest::data`].
        dir: PathBuf,
        /// The split.
        split: Split,
    },
}

/// A part of the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Split {
    /// Trained on.
    Train,
    /// The select split, which drives both stages.
    Validation,
    /// The report split, touched once, at the end.
    Test,
}

impl Split {
    /// The name of its file, without the extension.
    pub fn as_str(self) -> &'static str {
        match self {
            Split::Train => "train",
            Split::Validation => "validation",
            Split::Test => "test",
        }
    }
}

/// What merging must know of a model beside its weights: `bomf statistics`.
#[derive(Debug, Clone, PartialEq)]
pub struct StatisticsRequest {
    /// The fine-tuned model: a folder or `hf:owner/name`.
    pub model: String,
    /// Folder of the data, as for [`RunRequest::data`].
    pub data: PathBuf,
    /// The split.
    pub split: Split,
    /// What is computed.
    pub kind: StatisticsKind,
    /// Examples that are used, spread over the split; `None` uses all.
    pub examples: Option<usize>,
    /// The file to write; one that stands there is replaced.
    pub out: PathBuf,
    /// The task.
    pub recipe: Recipe,
    /// Threads; 0 takes every core.
    pub threads: usize,
}

/// What `bomf statistics` computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StatisticsKind {
    /// The diagonal Fisher information, over labels as probable as the model has them.
    Fisher,
    /// The same with the labels of the data.
    EmpiricalFisher,
    /// Gram matrices of the inputs of linear layers.
    Gram,
}

impl StatisticsKind {
    /// Its name in files.
    pub fn as_str(self) -> &'static str {
        match self {
            StatisticsKind::Fisher => "fisher",
            StatisticsKind::EmpiricalFisher => "empirical_fisher",
            StatisticsKind::Gram => "gram",
        }
    }
}

/// What `bomf statistics` made.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct StatisticsOutcome {
    /// The file.
    pub out: PathBuf,
    /// What it holds.
    pub kind: &'static str,
    /// Examples that it is made from.
    pub examples: usize,
    /// Its tensors.
    pub tensors: usize,
    /// Wall-clock time.
    pub seconds: f64,
}

/// A small encoder trained from nothing on text, by masked language modelling:
/// `bomf pretrain`.
#[derive(Debug, Clone, PartialEq)]
pub struct PretrainRequest {
    /// Text files, UTF-8.
    pub corpus: Vec<PathBuf>,
    /// Folder for the model.
    pub out: PathBuf,
    /// Width of the model.
    pub hidden_size: usize,
    /// Transformer layers.
    pub num_hidden_layers: usize,
    /// Attention heads; they divide the width.
    pub num_attention_heads: usize,
    /// Width of the feed-forward layers.
    pub intermediate_size: usize,
    /// Pieces of the tokenizer, which is trained on the same text.
    pub vocab_size: usize,
    /// Tokens of a training example.
    pub max_length: usize,
    /// Passes over the text.
    pub epochs: usize,
    /// Examples in a batch.
    pub batch_size: usize,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Number format of the weights that are written.
    pub dtype: Dtype,
    /// Seed of every random choice.
    pub seed: u64,
    /// Threads; 0 takes every core.
    pub threads: usize,
    /// Whether a model in `out` may be replaced.
    pub overwrite: bool,
}

/// What `bomf pretrain` made.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct PretrainOutcome {
    /// Trainable numbers of the model.
    pub parameters: usize,
    /// Optimiser steps made.
    pub steps: u64,
    /// Mean masked-token loss over the last tenth of the steps.
    pub loss: f64,
    /// Wall-clock time.
    pub seconds: f64,
}

/// A 16-bit number format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dtype {
    /// IEEE half precision.
    F16,
    /// The upper half of a 32-bit float.
    Bf16,
}

/// A measurement of speed and memory: `bomf bench`.
#[derive(Debug, Clone, PartialEq)]
pub struct BenchRequest {
    /// The model: a folder or `hf:owner/name`.
    pub model: String,
    /// Folder of the data, as for [`RunRequest::data`].
    pub data: PathBuf,
    /// What is measured.
    pub mode: BenchMode,
    /// Examples in a batch.
    pub batch_size: usize,
    /// Examples that are used, from the first on; `None` uses all.
    pub limit: Option<usize>,
    /// The task, the optimiser, adapters and gradient checkpointing, and the seed of the order and
    /// of dropout.
    pub recipe: Recipe,
    /// Threads; 0 takes every core.
    pub threads: usize,
}

/// What `bomf bench` measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BenchMode {
    /// Optimiser steps on the training split.
    Train,
    /// Forward passes over the training split.
    Eval,
}

/// What `bomf bench` found.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct BenchOutcome {
    /// Examples that went through.
    pub samples: usize,
    /// Wall-clock time they took.
    pub seconds: f64,
    /// Examples in a second.
    pub samples_per_second: f64,
    /// Largest resident memory of the process, in units of 10^6 bytes.
    pub peak_rss_mb: f64,
}
