//! The pipeline and its steps.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bomf run --model ./all-MiniLM-L6-v2 --data ./mrpc --out ./mrpc-bomf
  bomf run --model hf:google-bert/bert-base-uncased --data ./mrpc --out ./out --seed 1
  bomf run --model ./model --data ./data --out ./again --recipe ./out/recipe.yaml
  bomf run --model ./model --data ./data --out ./out --workers 4

The output folder then holds fused/ (a Hugging Face model), members/, results.json,
pareto.json, trials.jsonl, recipe.yaml and report.html.")]
pub struct RunArgs {
    #[command(flatten)]
    pub source: Source,
    #[command(flatten)]
    pub target: Target,
    #[command(flatten)]
    pub workers: WorkersArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bomf tune --model ./model --data ./mrpc --out ./tuned
  bomf tune --model ./model --data ./mrpc --out ./tuned --recipe recipe.yaml --output-format json
  bomf tune --model ./model --data ./mrpc --out ./tuned --workers 2")]
pub struct TuneArgs {
    #[command(flatten)]
    pub source: Source,
    #[command(flatten)]
    pub target: Target,
    #[command(flatten)]
    pub workers: WorkersArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bomf resume ./mrpc-bomf

Goes on with bomf run, tune, finetune or fuse after a kill, a Ctrl-C or an error. Every trial,
training run and evaluation that had ended is in the folder's study.db and is not repeated:
what comes out is what would have come out undisturbed. Recipe, model, data, version and
number of threads must be those that the run began with.")]
pub struct ResumeArgs {
    /// Output folder of the run
    #[arg(value_name = "DIR")]
    pub out: PathBuf,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bomf experiment glue.yaml --data ./glue --out ./glue-runs
  bomf experiment glue.yaml --model ./all-MiniLM-L6-v2 --data ./glue --out ./glue-runs --seed 3

The file names tasks, seeds and variants (recipes with some fields changed):

  model: ./all-MiniLM-L6-v2
  seeds: [0, 1, 2]
  tasks:
    - {data: mrpc, recipe: mrpc.yaml}
    - {data: cola}
  variants:
    - name: all
    - {name: direct, members: all, recipe: {stage2: {surrogate: direct}}}

Every run gets a folder in the output folder, with tables.md, tables.tex, csv/ and
experiment.json beside them. The same command goes on where it was stopped.")]
pub struct ExperimentArgs {
    /// Experiment in YAML
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Hugging Face folder, or hf:owner/name[@revision], instead of the file's
    #[arg(long, value_name = "DIR|hf:NAME")]
    pub model: Option<String>,
    /// Folder in which the tasks' data lies, instead of the file's own
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Output folder
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Train the trials of a run side by side in so many processes
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub workers: usize,
}

/// Who trains the trials of stage 1
#[derive(Debug, Args)]
#[command(next_help_heading = "Workers")]
pub struct WorkersArgs {
    /// Train trials side by side in so many processes, which share the threads
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub workers: usize,
    /// Count on so many more, which are started by `bomf worker`
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub remote_workers: usize,
    /// Seconds without a sign of life after which a worker's trial goes to another
    #[arg(long, value_name = "SECONDS", default_value_t = 60.0)]
    pub lease: f64,
    /// Keep the study on a PostgreSQL server, for workers on other hosts
    #[arg(long, value_name = "URL")]
    pub storage: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bomf tune --model ./model --data ./mrpc --out ./tuned --remote-workers 2
  bomf worker ./tuned
  bomf worker postgresql://me@host/database?study=mrpc

Trains trials of stage 1 until there are no more. SIGTERM or Ctrl-C gives the trial at hand
back at once; the trial of a worker that dies goes to another. Version, recipe, model and data
must be those of the run. A password may stand in PGPASSWORD.")]
pub struct WorkerArgs {
    /// Output folder of the run, on this host, or where its study is
    #[arg(value_name = "DIR|URL")]
    pub study: String,
    /// The model, where it has another name here than the run's
    #[arg(long, value_name = "DIR|hf:NAME")]
    pub model: Option<String>,
    /// The folder of the data, where it is another one here
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Folder that a training program writes to, instead of a temporary one
    #[arg(long, value_name = "DIR")]
    pub folder: Option<PathBuf>,
    /// The worker's name, which no other ever had
    #[arg(long, hide = true)]
    pub name: Option<String>,
    /// Go when standard input ends
    #[arg(long, hide = true)]
    pub tied: bool,
}

/// A model, data and what to do with them
#[derive(Debug, Args)]
pub struct Source {
    /// Hugging Face folder, or hf:owner/name[@revision]
    #[arg(long, value_name = "DIR|hf:NAME")]
    pub model: String,
    /// Folder of train, validation and test: .jsonl, .csv, .tsv or .parquet
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Recipe in YAML; what it leaves out takes its default
    #[arg(long, value_name = "FILE")]
    pub recipe: Option<PathBuf>,
}

/// Where the output goes
#[derive(Debug, Args)]
pub struct Target {
    /// Output folder
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Replace the output of an earlier run
    #[arg(long)]
    pub overwrite: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bomf demo
  bomf demo --out ./demo --seed 1

Takes under 3 minutes on 2 cores and needs no network. Model, data and recipe are
unpacked into the output folder's input/, so that the run can be repeated and changed.")]
pub struct DemoArgs {
    /// Output folder; the output of an earlier demo in it is replaced
    #[arg(long, value_name = "DIR", default_value = "bomf-demo")]
    pub out: PathBuf,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bomf finetune --model ./model --data ./mrpc --out ./run --learning-rate 2e-5 --batch-size 16
  bomf finetune --model ./model --data ./mrpc --out ./run --recipe ./tuned/tuned.yaml")]
pub struct FinetuneArgs {
    #[command(flatten)]
    pub source: Source,
    #[command(flatten)]
    pub target: Target,
    /// Peak learning rate, instead of the recipe's
    #[arg(long, value_name = "X")]
    pub learning_rate: Option<f64>,
    /// Examples in a batch, instead of the recipe's
    #[arg(long, value_name = "N")]
    pub batch_size: Option<u64>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bomf fuse --members ./trainer-output --data ./mrpc --out ./fused
  bomf fuse --members run/checkpoint-400 run/checkpoint-800 --data ./mrpc --out ./fused
  bomf fuse --members ./llama/checkpoint-* --out ./fused --evaluator \"python3 eval.py {model}\" \\
      --objective loss:min --objective accuracy:max

An evaluator is any program that prints metrics as JSON, {\"loss\": 0.31, \"accuracy\": 0.88},
on its last line, or writes them to {output}; files of lm-evaluation-harness are understood.
It makes --data superfluous, and models of any architecture can be fused. No shell reads the
command line. What it writes to stderr is in evaluator.log in the output folder.

With --serve the first line out describes the problem, and then, line by line (> in, < out):
  > {\"evaluate\": [0.25, 0.75]}
  < {\"scores\":{\"loss\":0.5,\"accuracy\":0.8},\"seconds\":0.3,\"evaluation\":1}
  > {\"stop\": true}")]
pub struct FuseArgs {
    /// Checkpoint folders, or a folder that holds checkpoint-<step> folders
    #[arg(long, value_name = "DIR", num_args = 1.., required = true)]
    pub members: Vec<PathBuf>,
    /// Folder of train, validation and test: .jsonl, .csv, .tsv or .parquet
    #[arg(long, value_name = "DIR", conflicts_with = "evaluator")]
    pub data: Option<PathBuf>,
    /// Recipe in YAML; what it leaves out takes its default
    #[arg(long, value_name = "FILE")]
    pub recipe: Option<PathBuf>,
    #[command(flatten)]
    pub target: Target,
    /// Search nothing, but evaluate weights for another program: JSON lines on stdin, stdout
    #[arg(long)]
    pub serve: bool,
    #[command(flatten)]
    pub evaluation: Evaluation,
}

/// A program that evaluates models, instead of the recipe's
#[derive(Debug, Args)]
#[command(next_help_heading = "Evaluation by a program")]
pub struct Evaluation {
    /// Command that evaluates the model in the folder {model}
    #[arg(long, value_name = "COMMAND")]
    pub evaluator: Option<String>,
    /// Command that does so on another split, for the final comparison
    #[arg(long, value_name = "COMMAND")]
    pub report_evaluator: Option<String>,
    /// A metric to optimise, such as loss:min; several times for several
    #[arg(long, value_name = "NAME:min|max")]
    pub objective: Vec<String>,
    /// The objective that models are chosen by [default: the first not called loss]
    #[arg(long, value_name = "NAME")]
    pub choose_by: Option<String>,
    /// Seconds that an evaluation may take [default: 3600]
    #[arg(long, value_name = "SECONDS")]
    pub evaluator_timeout: Option<f64>,
    /// How often an evaluation that failed is tried again [default: 1]
    #[arg(long, value_name = "N")]
    pub evaluator_retries: Option<u8>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bomf pick ./out
  bomf pick ./out --point 3 --out ./third
  bomf pick ./out --method uniform_soup --out ./soup

Without a choice, what there is to pick is listed, with its scores on the select split.")]
pub struct PickArgs {
    /// Output folder of a run
    #[arg(value_name = "RUN")]
    pub run: PathBuf,
    /// A point of the Pareto front, by its number in the list
    #[arg(long, value_name = "N", conflicts_with = "method", requires = "out")]
    pub point: Option<usize>,
    /// What a method settled on
    #[arg(long, value_enum, value_name = "NAME", requires = "out")]
    pub method: Option<Averaging>,
    /// Model folder to write; it must not exist yet
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// A method that gives one model
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Averaging {
    BestCheckpoint,
    LastCheckpoint,
    Swa,
    UniformSoup,
    GreedySoup,
    Ema,
    LearnedSwa,
    Twa,
    RandomSimplex,
    CmaEs,
    BoLoss,
    BoMetric,
    BomfPaper,
    Bomf,
}

impl From<Averaging> for bomf::study::MethodName {
    fn from(method: Averaging) -> Self {
        match method {
            Averaging::BestCheckpoint => Self::BestCheckpoint,
            Averaging::LastCheckpoint => Self::LastCheckpoint,
            Averaging::Swa => Self::Swa,
            Averaging::UniformSoup => Self::UniformSoup,
            Averaging::GreedySoup => Self::GreedySoup,
            Averaging::Ema => Self::Ema,
            Averaging::LearnedSwa => Self::LearnedSwa,
            Averaging::Twa => Self::Twa,
            Averaging::RandomSimplex => Self::RandomSimplex,
            Averaging::CmaEs => Self::CmaEs,
            Averaging::BoLoss => Self::BoLoss,
            Averaging::BoMetric => Self::BoMetric,
            Averaging::BomfPaper => Self::BomfPaper,
            Averaging::Bomf => Self::Bomf,
        }
    }
}
