//! The command line: what can be typed, and what it says of itself.

mod launch;
mod merging;
mod model;
mod pipeline;
mod study;

pub use launch::*;
pub use merging::*;
pub use model::*;
pub use pipeline::*;
pub use study::*;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, Parser, Subcommand, ValueEnum};

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default())
    .error(AnsiColor::Red.on_default().bold());

/// Fine-tunes a language model once and fuses its checkpoints by Bayesian optimisation
#[derive(Debug, Parser)]
#[command(
    name = "bomf",
    version,
    styles = STYLES,
    max_term_width = 100,
    propagate_version = false,
    after_help = "\
Examples:
  bomf demo
  bomf run --model hf:sentence-transformers/all-MiniLM-L6-v2 --data mrpc --out mrpc-bomf

Results go to stdout, everything else to stderr. Exit codes: 0 done, 1 failed or
interrupted, 2 wrong usage or input."
)]
pub struct Cli {
    /// What the options of every command say
    #[command(flatten)]
    pub global: Global,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// How results and errors are written
    #[arg(
        long,
        global = true,
        value_enum,
        default_value = "text",
        value_name = "FORMAT"
    )]
    pub output_format: OutputFormat,
    /// Seed of every random choice, instead of the recipe's
    #[arg(long, global = true, value_name = "N")]
    pub seed: Option<u64>,
    /// Threads; 0 takes every core
    #[arg(long, global = true, default_value_t = 0, value_name = "N")]
    pub threads: usize,
    /// No progress and no notes
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// More of what goes on inside (-vv for still more)
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// How results and errors are written
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    // Tables for people
    Text,
    // One JSON object; errors as {"error", "hint"} on stderr
    Json,
}

const BO_HELP: &str = r#"Examples:
  bomf bo --threads 1

One JSON object a line; all objectives are minimised. A conversation (> in, < out):
  > {"type": "start", "protocol": 1, "space": "box", "nx": 2, "nobj": 2,
     "lower": [0, 0], "upper": [1, 1], "ref_point": [18, 6], "seed": 0}
  < {"type":"ready","name":"bomf 0.1.0"}
  > {"type": "tell", "points": [{"x": [0.5, 0.5], "y": [24.1, 5.9]}]}
  > {"type": "ask", "q": 1}
  < {"type":"suggest","xs":[[0.12,0.81]]}
  > {"type": "stop"}

A space "simplex" has nx weights that sum to 1, and no bounds. Without a ref_point it is
inferred. A failed evaluation is told with "y": null. What is wrong with a line is answered
by {"type":"error","message":..,"hint":..}, and the conversation goes on.

--seed is for a start without a seed. The output is JSON lines whatever --output-format is."#;

/// What to do
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Both stages: hyperparameters, fine-tuning, fusion, and a report that compares
    Run(RunArgs),
    /// Go on with a run that was stopped, without repeating what it finished
    Resume(ResumeArgs),
    /// Train trials of a run's stage 1, beside others that do
    Worker(WorkerArgs),
    /// Start workers on a cluster: Slurm, Ray or Kubernetes
    Launch(LaunchArgs),
    /// The whole pipeline on a small model and data set that come along
    Demo(DemoArgs),
    /// Stage 1 alone: search hyperparameters on the lightweight model
    Tune(TuneArgs),
    /// The one fine-tuning run alone, gathering members
    Finetune(FinetuneArgs),
    /// Stage 2 alone: fuse checkpoints of any trainer
    Fuse(FuseArgs),
    /// Many runs from one file: tasks, variants and seeds, and the tables over them
    Experiment(ExperimentArgs),
    /// Another point of a run's front, or another method's average, as a model
    Pick(PickArgs),
    /// Merge checkpoints by a recipe in mergekit's YAML
    Merge(MergeArgs),
    /// Derive a merged model again and compare it byte for byte
    Verify(VerifyArgs),
    /// Where two checkpoints differ
    Diff(DiffArgs),
    /// The methods that merge knows, with their parameters and papers
    Methods(MethodsArgs),
    /// LoRA adapters: fused exactly, or taken out of two models
    Lora(LoraArgs),
    /// Scores of a model on a split
    Eval(EvalArgs),
    /// What a language model writes, as JSON lines
    Generate(GenerateArgs),
    /// What merging by Fisher information or RegMean must know of a model
    Statistics(StatisticsArgs),
    /// Write report.html again from an output folder
    Report(ReportArgs),
    /// A live page of a run, in the browser
    Serve(ServeArgs),
    /// Trials, mixtures and methods of a run as CSV, JSON or a study of Optuna's
    Export(ExportArgs),
    /// Train a small encoder from nothing by masked language modelling
    Pretrain(PretrainArgs),
    /// Measure the speed of training or evaluation
    Bench(BenchArgs),
    /// The optimiser alone, for any program: JSON lines on stdin and stdout
    #[command(after_help = BO_HELP)]
    Bo,
}
