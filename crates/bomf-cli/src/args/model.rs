//! One model: scores, texts, statistics, pre-training, speed.

use super::{Source, Target};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

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
    /// Recipe: its task, seed, optimizer, lora and gradient_checkpointing
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
