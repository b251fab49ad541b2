//! RoBERTa (Liu et al. 2019): BERT's layers, positions counted from behind the
//! padding token, and a classification head of its own; as
//! `transformers/models/roberta/modeling_roberta.py` computes it.

use super::bert::{Embeddings, PooledHead, blocks};
use super::block::Block;
use super::config::Config;
use super::heads::TokenHead;
use super::{Architecture, Head, Layer};
use crate::TuneError;
use crate::batch::Batch;
use crate::kernels::activation::Activation;
use crate::params::{Init, Layout, Param};
use crate::tape::{Tape, Var};

/// What stands on top.
#[derive(Debug)]
enum RobertaHead {
    Classifier {
        dense: (Param, Param),
        out_proj: (Param, Param),
    },
    Pooled(PooledHead),
    Tokens(TokenHead),
}

/// RoBERTa.
#[derive(Debug)]
pub struct Roberta {
    embeddings: Embeddings,
    blocks: Vec<Block>,
    head: RobertaHead,
}

impl Roberta {
    /// Adds RoBERTa's parameters to `layout`.
    ///
    /// # Errors
    /// As [`Bert::declare`](super::bert::Bert::declare).
    pub fn declare(layout: &mut Layout, c: &Config, head: Head) -> Result<Self, TuneError> {
        let embeddings = Embeddings::declare(layout, "roberta.", c);
        let blocks = blocks(layout, "roberta.", c);
        layout.begin_head()?;
        let (h, std) = (c.hidden_size, c.initializer_range);
        let head = match (TokenHead::declare(layout, c, head), head) {
            (Some(tokens), _) => RobertaHead::Tokens(tokens),
            (None, Head::Classifier { outputs }) => RobertaHead::Classifier {
                dense: (
                    layout.matrix("classifier.dense.weight", h, h, std),
                    layout.vector("classifier.dense.bias", h, Init::Zeros),
                ),
                out_proj: (
                    layout.matrix("classifier.out_proj.weight", outputs, h, std),
                    layout.vector("classifier.out_proj.bias", outputs, Init::Zeros),
                ),
            },
            (None, _) => RobertaHead::Pooled(PooledHead::declare(layout, "roberta.", c, 1)),
        };
        Ok(Roberta {
            embeddings,
            blocks,
            head,
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

    fn head(&self, tape: &mut Tape, x: &Var, _: &Batch, c: &Config) -> Var {
        let (dense, out_proj) = match &self.head {
            RobertaHead::Tokens(head) => return head.forward(tape, x, c),
            RobertaHead::Pooled(head) => return head.forward(tape, x, c),
            RobertaHead::Classifier { dense, out_proj } => (dense, out_proj),
        };
        let x = tape.dropout(x, c.dropout.classifier);
        let dense = tape.linear(&x, dense.0, dense.1);
        let dense = tape.activation(&dense, Activation::Tanh);
        let dense = tape.dropout(&dense, c.dropout.classifier);
        tape.linear(&dense, out_proj.0, out_proj.1)
    }
}
