//! What can go wrong in loading, training and evaluating models.

use crate::generate::GenerationError;
use bomf_checkpoint::CheckpointError;
use std::path::PathBuf;

/// An error of the fine-tuning engine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TuneError {
    /// A checkpoint could not be read or written.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A file that a model folder must have could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// `config.json` is not JSON, or lacks something.
    #[error("{}: {reason}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The architecture is not among those that are built in.
    #[error("{}: model type `{model_type}` is not supported", path.display())]
    Architecture {
        /// The configuration file.
        path: PathBuf,
        /// What it says.
        model_type: String,
    },
    /// The checkpoint lacks a tensor that the model cannot do without.
    #[error("tensor `{name}` is missing from {}", path.display())]
    MissingTensor {
        /// Its name in the model.
        name: String,
        /// The model's folder.
        path: PathBuf,
    },
    /// A tensor has another shape than the configuration says.
    #[error("tensor `{name}` is {found:?} in {} but {expected:?} by its config.json", path.display())]
    Shape {
        /// Its name in the checkpoint.
        name: String,
        /// The model's folder.
        path: PathBuf,
        /// Shape in the checkpoint.
        found: Vec<usize>,
        /// Shape by the configuration.
        expected: Vec<usize>,
    },
    /// The Fisher information of a model by its own distribution, which is one of sequences.
    #[error("the exact Fisher information is known for classes and numbers alone")]
    NoExactFisher,
    /// The tokenizer could not be loaded or run.
    #[error("tokenizer {}: {reason}", path.display())]
    Tokenizer {
        /// `tokenizer.json`
        path: PathBuf,
        /// What the tokenizers library says.
        reason: String,
    },
    /// A chat template cannot be read, or writes no conversation like this.
    #[error("the chat template of {}: {reason}", path.display())]
    ChatTemplate {
        /// The file that it is in, or the model's folder.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Conversations are to be read by a model without a template for them.
    #[error("the model in {} has no chat template", path.display())]
    NoChatTemplate {
        /// Its folder.
        path: PathBuf,
    },
    /// The tokenizer gives an id that the model has no embedding for.
    #[error("the tokenizer gives token {id}, but the model's vocabulary has {vocab_size} entries")]
    Vocabulary {
        /// The id.
        id: u32,
        /// Size of the embedding table.
        vocab_size: usize,
    },
    /// A line of a pre-training corpus cannot be used.
    #[error("{} line {line} {reason}", path.display())]
    Corpus {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// More layers were to be frozen than leaves something to train.
    #[error("cannot freeze {frozen} layers of a model that has {layers}")]
    Freeze {
        /// Asked for.
        frozen: usize,
        /// What the model has.
        layers: usize,
    },
    /// LoRA was asked for on a layer that the model does not have.
    #[error("the model has no linear layer `{target}` to adapt")]
    LoraTarget {
        /// What was asked for.
        target: String,
        /// What its linear layers are called.
        known: Vec<String>,
    },
    /// An adapter that does not fit the model, or cannot be trained.
    #[error("adapter {}: {reason}", path.display())]
    Adapter {
        /// Its folder.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The loss or a gradient became infinite or not a number.
    #[error("the training loss is no longer a finite number at step {step}")]
    Diverged {
        /// The optimiser step, from 1.
        step: u64,
    },
    /// There is nothing to train on or to evaluate.
    #[error("the {split} split has no examples")]
    Empty {
        /// Which.
        split: String,
    },
    /// Nothing can be generated.
    #[error(transparent)]
    Generation(#[from] GenerationError),
    /// A run was to go on from the state of another one.
    #[error(
        "the state that training is to go on from is of another model, split or choice of layers"
    )]
    OtherRun,
    /// The observer asked to stop.
    #[error("interrupted")]
    Interrupted,
}

impl TuneError {
    /// How to mend it, where that can be said.
    pub fn hint(&self) -> Option<String> {
        match self {
            TuneError::Checkpoint(error) => error.hint(),
            TuneError::Generation(error) => error.hint(),
            TuneError::Read { .. } => Some(
                "a model folder holds config.json, model.safetensors and tokenizer.json".into(),
            ),
            TuneError::Architecture { .. } => Some(
                "supported model types are bert, roberta (xlm-roberta, camembert), distilbert, \
                 modernbert, gpt2, llama, mistral, qwen2, qwen3 and t5 (mt5)"
                    .into(),
            ),
            TuneError::NoChatTemplate { .. } => Some(
                "put one into `chat_template.jinja` beside its weights, or take a model that was \
                 made for conversations"
                    .into(),
            ),
            TuneError::NoExactFisher => {
                Some("take the labels of the data instead: `--kind empirical-fisher`".into())
            }
            TuneError::MissingTensor { .. } => {
                Some("is this a whole checkpoint of the model that config.json describes?".into())
            }
            TuneError::Vocabulary { .. } => {
                Some("tokenizer.json and model.safetensors are of different models".into())
            }
            TuneError::LoraTarget { known, .. } => {
                Some(format!("its linear layers are {}", known.join(", ")))
            }
            TuneError::Diverged { .. } => {
                Some("lower the learning rate, or lengthen the warm-up".into())
            }
            _ => None,
        }
    }
}
