//! The command line: what can be typed, and what it says of itself.

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

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
    /// The whole pipeline on a small model and data set that come along
    Demo(DemoArgs),
    /// Stage 1 alone: search hyperparameters on the lightweight model
    Tune(TuneArgs),
    /// The one fine-tuning run alone, gathering members
    Finetune(FinetuneArgs),
    /// Stage 2 alone: fuse checkpoints of any trainer
    Fuse(FuseArgs),
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
    /// Train a small encoder from nothing by masked language modelling
    Pretrain(PretrainArgs),
    /// Measure the speed of training or evaluation
    Bench(BenchArgs),
    /// The optimiser alone, for any program: JSON lines on stdin and stdout
    #[command(after_help = BO_HELP)]
    Bo,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bomf run --model ./all-MiniLM-L6-v2 --data ./mrpc --out ./mrpc-bomf
  bomf run --model hf:google-bert/bert-base-uncased --data ./mrpc --out ./out --seed 1
  bomf run --model ./model --data ./data --out ./again --recipe ./out/recipe.yaml

The output folder then holds fused/ (a Hugging Face model), members/, results.json,
pareto.json, trials.jsonl, recipe.yaml and report.html.")]
pub struct RunArgs {
    #[command(flatten)]
    pub source: Source,
    #[command(flatten)]
    pub target: Target,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bomf tune --model ./model --data ./mrpc --out ./tuned
  bomf tune --model ./model --data ./mrpc --out ./tuned --recipe recipe.yaml --output-format json")]
pub struct TuneArgs {
    #[command(flatten)]
    pub source: Source,
    #[command(flatten)]
    pub target: Target,
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

const LORA_HELP: &str = "\
Examples:
  bomf lora fuse ./adapter-a ./adapter-b -o ./fused
  bomf lora extract --base ./base --model ./finetuned --rank 16 -o ./adapter";

#[derive(Debug, Args)]
#[command(after_help = LORA_HELP)]
pub struct LoraArgs {
    #[command(subcommand)]
    pub command: LoraCommand,
}

/// What to do with adapters
#[derive(Debug, Subcommand)]
pub enum LoraCommand {
    /// Several adapters as one, or into the full weights of their base model
    Fuse(LoraFuseArgs),
    /// The difference of two models as an adapter
    Extract(LoraExtractArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bomf lora fuse ./a ./b ./c -o ./fused
  bomf lora fuse ./a ./b --weights 0.7,0.3 --rank 16 -o ./fused
  bomf lora fuse ./a ./b --weights 1,-0.5 --into ./base -o ./model

The change of each weight is the sum of w_i (alpha_i / r_i) B_i A_i, whatever the ranks.
Without --rank, --energy and --into the new adapter has the sum of all ranks and loses
nothing; with --rank or --energy the best approximation is taken, and its error told.
Adapters with DoRA or trained biases need --into.")]
pub struct LoraFuseArgs {
    /// Adapter folders of PEFT
    #[arg(value_name = "ADAPTER", num_args = 1.., required = true)]
    pub adapters: Vec<PathBuf>,
    /// A weight for each, of any sign and sum [default: their average]
    #[arg(
        long,
        value_name = "W1,W2,..",
        value_delimiter = ',',
        allow_hyphen_values = true
    )]
    pub weights: Option<Vec<f64>>,
    /// The greatest rank of the new adapter
    #[arg(long, value_name = "R", conflicts_with_all = ["energy", "into"])]
    pub rank: Option<usize>,
    /// The part of each change's squared norm to keep, such as 0.99
    #[arg(long, value_name = "E", conflicts_with = "into")]
    pub energy: Option<f64>,
    /// Write the full weights of this base model instead of an adapter
    #[arg(long, value_name = "BASE")]
    pub into: Option<PathBuf>,
    #[command(flatten)]
    pub target: LoraTarget,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bomf lora extract --base ./base --model ./finetuned --rank 16 -o ./adapter

Matrices that differ get factors of that rank, with the error told for each; other tensors
that differ (biases, norms, new heads) are stored whole.")]
pub struct LoraExtractArgs {
    /// The model that the adapter will be put on
    #[arg(long, value_name = "DIR")]
    pub base: PathBuf,
    /// The model that it will make of it
    #[arg(long, value_name = "DIR")]
    pub model: PathBuf,
    /// The rank of the adapter
    #[arg(long, value_name = "R")]
    pub rank: usize,
    #[command(flatten)]
    pub target: LoraTarget,
}

/// Where an adapter or model goes
#[derive(Debug, Args)]
pub struct LoraTarget {
    /// Output folder
    #[arg(long, short, value_name = "DIR")]
    pub out: PathBuf,
    /// Replace an adapter or model that is there
    #[arg(long)]
    pub overwrite: bool,
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

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bomf merge recipe.yaml -o ./merged
  bomf merge ties.yaml -o ./merged --max-shard-size 2GB --max-memory 128MiB

A recipe, as mergekit reads it (`bomf methods` lists the methods and their parameters):
  merge_method: linear
  models:
    - model: ./run/checkpoint-400
      parameters: {weight: 0.7}
    - model: ./run/checkpoint-800
      parameters: {weight: [0, 0.3]}   # from the first layer to the last
  dtype: bfloat16

Models are paths relative to the working directory, or owner/name on the hub; `model+adapter`
is a model with a LoRA adapter in it. The output holds bomf.json, by which `bomf verify` derives
it again.")]
pub struct MergeArgs {
    /// The recipe
    #[arg(value_name = "RECIPE")]
    pub recipe: PathBuf,
    /// Output folder
    #[arg(long, short, value_name = "DIR")]
    pub out: PathBuf,
    /// Replace a model that stands there
    #[arg(long)]
    pub overwrite: bool,
    /// The most that a file of the output holds
    #[arg(long, value_name = "SIZE", default_value = "5GB", value_parser = bytes)]
    pub max_shard_size: u64,
    #[command(flatten)]
    pub memory: Memory,
    /// Leave the SHA-256 digests of inputs and output out of bomf.json
    #[arg(long)]
    pub no_hash: bool,
}

/// How much is held in memory
#[derive(Debug, Args)]
pub struct Memory {
    /// The most bytes of buffers; mapped files are not counted
    #[arg(long, value_name = "SIZE", default_value = "256MiB", value_parser = bytes)]
    pub max_memory: u64,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bomf verify ./merged
  bomf verify ./merged --from ./where-the-recipe-was-run --output-format json

Exit code 0 if every byte is the same, 1 if not.")]
pub struct VerifyArgs {
    /// A folder that `bomf merge` wrote
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// Where the recipe's relative paths begin [default: the working directory]
    #[arg(long, value_name = "DIR")]
    pub from: Option<PathBuf>,
    #[command(flatten)]
    pub memory: Memory,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bomf diff ./base ./merged
  bomf diff ./base ./merged --top 50
  bomf diff ./base ./merged --output-format json")]
pub struct DiffArgs {
    /// A model folder, a file of weights, or owner/name on the hub
    #[arg(value_name = "A")]
    pub a: String,
    /// What it is compared with
    #[arg(value_name = "B")]
    pub b: String,
    /// Tensors that are shown, those that differ most first
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub top: usize,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bomf methods
  bomf methods linear
  bomf methods --output-format json")]
pub struct MethodsArgs {
    /// Only this one, with its parameters
    #[arg(value_name = "METHOD")]
    pub name: Option<String>,
}

/// A number of bytes: `5GB` are 5 · 10⁹, `5GiB` are 5 · 2³⁰.
fn bytes(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" => 1_000,
        "m" | "mb" => 1_000_000,
        "g" | "gb" => 1_000_000_000,
        "t" | "tb" => 1_000_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "tib" => 1 << 40,
        _ => 0u64,
    };
    let number: Option<u64> = digits.trim().parse().ok();
    number
        .and_then(|number| number.checked_mul(unit))
        .filter(|&bytes| bytes > 0)
        .ok_or_else(|| "a size is a whole number with a unit, such as 5GB or 256MiB".into())
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bomf eval --model ./out/fused --data ./mrpc
  bomf eval --model ./out/fused --data ./mrpc --split validation --predictions p.jsonl")]
pub struct EvalArgs {
    #[command(flatten)]
    pub source: Source,
    /// The split: validation drives both stages, test is touched once
    #[arg(long, value_enum, default_value = "test", value_name = "SPLIT")]
    pub split: Split,
    /// Write the predictions here, a JSON object a line
    #[arg(long, value_name = "FILE")]
    pub predictions: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bomf generate --model ./out/fused --prompt \"name: The Eagle, food: French\"
  bomf generate --model ./out/fused --data ./e2e --split test --beams 4 > texts.jsonl")]
#[command(group(clap::ArgGroup::new("what").required(true).args(["prompts", "data"])))]
pub struct GenerateArgs {
    /// Model: a folder or hf:owner/name
    #[arg(long, value_name = "MODEL")]
    pub model: String,
    /// A prompt, or a source; may be given several times
    #[arg(long = "prompt", value_name = "TEXT")]
    pub prompts: Vec<String>,
    /// Folder of the data whose prompts or sources are taken
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// The split of the data
    #[arg(long, value_enum, default_value = "test", value_name = "SPLIT")]
    pub split: Split,
    /// Recipe: task.generation says how texts are generated
    #[arg(long, value_name = "FILE")]
    pub recipe: Option<PathBuf>,
    /// Tokens of a text at most [default: the recipe's, 64]
    #[arg(long, value_name = "N")]
    pub max_new_tokens: Option<usize>,
    /// Hypotheses of a beam search [default: the recipe's, 1]
    #[arg(long, value_name = "N")]
    pub beams: Option<usize>,
}

/// A part of the data
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Split {
    // Trained on
    Train,
    // Drives both stages
    Validation,
    // Touched once, at the end
    Test,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bomf statistics --model ./chat --data ./data --kind fisher -o ./chat-fisher.safetensors
  bomf statistics --model ./chat --data ./data --kind gram -o ./chat-gram.safetensors

The file is named beside its model in a recipe of `bomf merge`:
  models:
    - model: ./chat
      statistics: ./chat-fisher.safetensors")]
pub struct StatisticsArgs {
    #[command(flatten)]
    pub source: Source,
    /// What is computed
    #[arg(long, value_enum, value_name = "KIND")]
    pub kind: StatisticsKind,
    /// The file to write
    #[arg(long, short, value_name = "FILE")]
    pub out: PathBuf,
    /// The split
    #[arg(long, value_enum, default_value = "train", value_name = "SPLIT")]
    pub split: Split,
    /// Examples that are used, spread over the split; 0 uses all
    #[arg(long, default_value_t = 1000, value_name = "N")]
    pub examples: usize,
}

/// What is known of a model beside its weights
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StatisticsKind {
    // Diagonal Fisher information, over the model's own distribution of labels (`fisher`)
    Fisher,
    // The same with the labels of the data
    EmpiricalFisher,
    // Gram matrices of linear layers' inputs (`regmean`)
    Gram,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bomf report ./out
  bomf report ./out --to ./report.html")]
pub struct ReportArgs {
    /// Output folder of a run
    #[arg(value_name = "DIR")]
    pub out: PathBuf,
    /// The file to write [default: report.html in the folder]
    #[arg(long, value_name = "FILE")]
    pub to: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bomf pretrain --corpus books/*.txt --out ./encoder
  bomf pretrain --corpus a.txt b.txt --out ./encoder --hidden-size 256 --num-attention-heads 8")]
pub struct PretrainArgs {
    /// Text files, UTF-8
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    pub corpus: Vec<PathBuf>,
    #[command(flatten)]
    pub target: Target,
    /// Width of the model
    #[arg(long, default_value_t = 192, value_name = "N")]
    pub hidden_size: usize,
    /// Transformer layers
    #[arg(long, default_value_t = 4, value_name = "N")]
    pub num_hidden_layers: usize,
    /// Attention heads; they divide the width
    #[arg(long, default_value_t = 6, value_name = "N")]
    pub num_attention_heads: usize,
    /// Width of the feed-forward layers
    #[arg(long, default_value_t = 768, value_name = "N")]
    pub intermediate_size: usize,
    /// Pieces of the tokenizer, which is trained on the same text
    #[arg(long, default_value_t = 4096, value_name = "N")]
    pub vocab_size: usize,
    /// Tokens of a training example
    #[arg(long, default_value_t = 128, value_name = "N")]
    pub max_length: usize,
    /// Passes over the text
    #[arg(long, default_value_t = 10, value_name = "N")]
    pub epochs: usize,
    /// Examples in a batch
    #[arg(long, default_value_t = 64, value_name = "N")]
    pub batch_size: usize,
    /// Peak learning rate
    #[arg(long, default_value_t = 1e-3, value_name = "X")]
    pub learning_rate: f64,
    /// Number format of the weights that are written
    #[arg(long, value_enum, default_value = "f16", value_name = "TYPE")]
    pub dtype: Dtype,
}

/// A 16-bit number format
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Dtype {
    // IEEE half precision
    F16,
    // The upper half of a 32-bit float
    Bf16,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bomf bench --model ./model --data ./mrpc --mode train
  bomf bench --model ./model --data ./mrpc --mode eval --limit 1000 --threads 1")]
pub struct BenchArgs {
    /// Hugging Face folder, or hf:owner/name[@revision]
    #[arg(long, value_name = "DIR|hf:NAME")]
    pub model: String,
    /// Folder of train as .jsonl, .csv, .tsv or .parquet
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Recipe: its task and seed are taken
    #[arg(long, value_name = "FILE")]
    pub recipe: Option<PathBuf>,
    /// What is measured: optimiser steps or forward passes
    #[arg(long, value_enum, value_name = "MODE")]
    pub mode: BenchMode,
    /// Examples in a batch
    #[arg(long, default_value_t = 32, value_name = "N")]
    pub batch_size: usize,
    /// Examples that are used [default: all of train]
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
}

/// What is measured
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BenchMode {
    // Optimiser steps
    Train,
    // Forward passes
    Eval,
}
