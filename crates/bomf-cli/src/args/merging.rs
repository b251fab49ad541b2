//! Merging models and adapters that exist.

use clap::{Args, Subcommand};
use std::path::PathBuf;

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
