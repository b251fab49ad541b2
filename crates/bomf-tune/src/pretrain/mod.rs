//! Masked-language-model pre-training of small BERTs (Devlin et al. 2019, section
//! 3.1), from plain text to a Hugging Face folder.

mod corpus;
mod masking;
mod vocabulary;

pub use corpus::{Corpus, read_lines};
pub use masking::MaskedLm;
pub use vocabulary::{SPECIAL_TOKENS, train_tokenizer};

use crate::TuneError;
use crate::models::{Config, Head, Model, Network};
use serde_json::json;
use std::path::Path;

/// Sizes of a new BERT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BertSize {
    /// Entries of the vocabulary.
    pub vocab_size: usize,
    /// Width of the hidden states.
    pub hidden_size: usize,
    /// Blocks.
    pub num_layers: usize,
    /// Attention heads.
    pub num_heads: usize,
    /// Width of the feed-forward layers.
    pub intermediate_size: usize,
    /// Longest sequence, in tokens.
    pub max_length: usize,
}

impl BertSize {
    /// Standard deviation of new weights, `1 / √hidden`: BERT's 0.02 is near that for
    /// its own width, and far too small for a narrow model.
    fn initializer_range(&self) -> f64 {
        ((self.hidden_size as f64).powf(-0.5) * 1000.0).round() / 1000.0
    }

    /// A BERT of this size with a masked-language-model head.
    ///
    /// # Errors
    /// Where the sizes do not fit each other.
    pub fn network(&self) -> Result<Network, TuneError> {
        let raw = json!({
            "architectures": ["BertForMaskedLM"],
            "model_type": "bert",
            "vocab_size": self.vocab_size,
            "hidden_size": self.hidden_size,
            "num_hidden_layers": self.num_layers,
            "num_attention_heads": self.num_heads,
            "intermediate_size": self.intermediate_size,
            "max_position_embeddings": self.max_length,
            "type_vocab_size": 2,
            "hidden_act": "gelu",
            "hidden_dropout_prob": 0.1,
            "attention_probs_dropout_prob": 0.1,
            "initializer_range": self.initializer_range(),
            "layer_norm_eps": 1e-12,
            "pad_token_id": 0,
            "position_embedding_type": "absolute",
        });
        let raw = raw.as_object().cloned().unwrap_or_default();
        Network::new(
            Config::from_raw(raw, Path::new("config.json"))?,
            Head::MaskedLm,
        )
    }
}

/// Starts the position embeddings as sinusoids (Vaswani et al. 2017, section 3.5),
/// of the same size as other new weights.
///
/// With random ones, a model must learn from text alone which positions are near
/// each other before its attention is of any use.
pub fn sinusoidal_positions(model: &mut Model) {
    let config = model.network.config();
    let (rows, cols) = (config.max_positions, config.hidden_size);
    // A sinusoid's root mean square is 1/√2 of its amplitude.
    let amplitude = f64::from(config.initializer_range) * std::f64::consts::SQRT_2;
    let Some(entry) = model
        .network
        .layout()
        .get("bert.embeddings.position_embeddings.weight")
    else {
        return;
    };
    let start = entry.param.offset;
    for position in 0..rows {
        for column in 0..cols {
            let exponent = (column / 2 * 2) as f64 / cols as f64;
            let angle = position as f64 / 10_000f64.powf(exponent);
            let wave = if column % 2 == 0 {
                angle.sin()
            } else {
                angle.cos()
            };
            model.params[start + position * cols + column] = (amplitude * wave) as f32;
        }
    }
}
