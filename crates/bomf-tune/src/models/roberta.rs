//! RoBERTa (Liu et al. 2019): BERT's layers, positions counted from behind the
//! padding token, and a classification head of its own; as
//! `transformers/models/roberta/modeling_roberta.py` computes it.

use super::bert::{Embeddings, blocks};
use super::block::Block;
use super::config::Config;
use super::{Architecture, Layer};
use crate::TuneError;
use crate::batch::Batch;
use crate::kernels::activation::Activation;
use crate::params::{Init, Layout, Param};
use crate::tape::{Tape, Var};

/// RoBERTa with its classification head.
#[derive(Debug)]
pub struct Roberta {
    embeddings: Embeddings,
    blocks: Vec<Block>,
    dense: (Param, Param),
    out_proj: (Param, Param),
}

impl Roberta {
    /// Adds RoBERTa's parameters to `layout`.
    ///
    /// # Errors
    /// As [`Bert::declare`](super::bert::Bert::declare).
    pub fn declare(layout: &mut Layout, c: &Config, outputs: usize) -> Result<Self, TuneError> {
        let embeddings = Embeddings::declare(layout, "roberta.", c);
        let blocks = blocks(layout, "roberta.", c);
        layout.begin_head()?;
        let (h, std) = (c.hidden_size, c.initializer_range);
        Ok(Roberta {
            embeddings,
            blocks,
            dense: (
                layout.matrix("classifier.dense.weight", h, h, std),
                layout.vector("classifier.dense.bias", h, Init::Zeros),
            ),
            out_proj: (
                layout.matrix("classifier.out_proj.weight", outputs, h, std),
                layout.vector("classifier.out_proj.bias", outputs, Init::Zeros),
            ),
        })
    }
}

impl Architecture for Roberta {
    fn embed(&self, tape: &mut Tape, batch: &Batch, c: &Config) -> Var {
        self.embeddings.forward(tape, batch, c)
    }

    fn num_blocks(&self) -> usize {
        self.blocks.len()
    }

    fn block(&self, i: usize) -> &dyn Layer {
        &self.blocks[i]
    }

    fn head(&self, tape: &mut Tape, x: &Var, c: &Config) -> Var {
        let x = tape.dropout(x, c.dropout.classifier);
        let dense = tape.linear(&x, self.dense.0, self.dense.1);
        let dense = tape.activation(&dense, Activation::Tanh);
        let dense = tape.dropout(&dense, c.dropout.classifier);
        tape.linear(&dense, self.out_proj.0, self.out_proj.1)
    }
}
