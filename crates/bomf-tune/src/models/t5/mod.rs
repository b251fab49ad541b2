//! T5 (Raffel et al. 2020), v1.0 and v1.1: an encoder, and a decoder that attends to it; as
//! `transformers/models/t5/modeling_t5.py` computes it.
//!
//! `h = x + Attention(RMSNorm(x))`, in the decoder then `h + Attention(RMSNorm(h), encoder)`,
//! and `y = h + W₃ f(W₁ n)`, or `W₃ (f(W₁ n) ∘ W₂ n)` in v1.1, with `n = RMSNorm(h)`. Scores are
//! not scaled; a bias by head and distance is added within each text, from the first block's
//! table.
//!
//! A sequence is its source, the token that the decoder begins with, and the tokens that it
//! is to write: the rows from the first at which an output is asked on are the decoder's.
//! Hidden states are those of all rows. The encoder's blocks change the rows of the source,
//! the decoder's blocks the others.

mod attention;
mod block;
mod parts;

use super::config::{Config, EncoderDecoder};
use super::{Architecture, Layer};
use crate::TuneError;
use crate::batch::Batch;
use crate::params::{Init, Layout, Param};
use crate::tape::{Tape, Var};
use block::T5Block;

/// T5 with the vocabulary on top.
#[derive(Debug)]
pub struct T5 {
    words: Param,
    blocks: Vec<T5Block>,
    norm: Param,
    vocabulary: Param,
    /// On the decoder's states.
    scale: Option<f32>,
}

impl T5 {
    /// Adds the parameters to `layout`.
    ///
    /// # Errors
    /// Where adapters are wanted on layers that it does not have.
    pub fn declare(layout: &mut Layout, c: &Config, d: &EncoderDecoder) -> Result<Self, TuneError> {
        let (h, factor) = (c.hidden_size, c.initializer_range);
        let words = layout.table("shared.weight", c.vocab_size, h, factor);
        let mut blocks = Vec::new();
        for (count, is_decoder) in [(c.num_layers, false), (d.decoder_layers, true)] {
            let mut bias = None;
            for i in 0..count {
                blocks.push(T5Block::declare(layout, i, c, d, &mut bias, is_decoder));
            }
        }
        let norm = layout.vector("decoder.final_layer_norm.weight", h, Init::Ones);
        let vocabulary = match d.tied {
            true => words,
            false => layout.table("lm_head.weight", c.vocab_size, h, factor),
        };
        layout.begin_head()?;
        Ok(T5 {
            words,
            blocks,
            norm,
            vocabulary,
            scale: d.scaled.then(|| 1.0 / (h as f32).sqrt()),
        })
    }
}

impl Architecture for T5 {
    fn embed(&self, tape: &mut Tape, batch: &Batch, c: &Config) -> Var {
        let words = tape.embedding(vec![(self.words, batch.ids.clone())]);
        tape.dropout(&words, c.dropout.hidden)
    }

    fn num_blocks(&self) -> usize {
        self.blocks.len()
    }

    fn block(&self, i: usize) -> &dyn Layer {
        &self.blocks[i]
    }

    fn head(&self, tape: &mut Tape, x: &Var, _: &Batch, c: &Config) -> Var {
        let normed = tape.rms_norm(x, c.hidden_size, self.norm, c.layer_norm_eps);
        let dropped = tape.dropout(&normed, c.dropout.hidden);
        drop(normed);
        match self.scale {
            Some(scale) => tape.scale(dropped, scale),
            None => dropped,
        }
    }

    fn vocabulary(&self) -> Option<Param> {
        Some(self.vocabulary)
    }
}
