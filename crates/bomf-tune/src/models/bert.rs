//! BERT (Devlin et al. 2019), with the heads of its tasks and its masked-language-model
//! head; as `transformers/models/bert/modeling_bert.py` computes it.

use super::block::{Block, BlockNames};
use super::config::Config;
use super::heads::TokenHead;
use super::{Architecture, Head, Layer};
use crate::TuneError;
use crate::batch::Batch;
use crate::kernels::activation::Activation;
use crate::params::{Init, Layout, Param};
use crate::tape::{Tape, Var};

const BLOCK: BlockNames = BlockNames {
    qkv: [
        "attention.self.query",
        "attention.self.key",
        "attention.self.value",
    ],
    attention: ["attention.output.dense", "attention.output.LayerNorm"],
    feed_forward: ["intermediate.dense", "output.dense", "output.LayerNorm"],
};

/// Token, position and segment embeddings with their norm: BERT's and RoBERTa's.
#[derive(Debug)]
pub(super) struct Embeddings {
    words: Param,
    positions: Param,
    types: Param,
    norm: (Param, Param),
}

impl Embeddings {
    pub(super) fn declare(layout: &mut Layout, prefix: &str, c: &Config) -> Self {
        let (h, std) = (c.hidden_size, c.initializer_range);
        let name = |n: &str| format!("{prefix}embeddings.{n}");
        Embeddings {
            words: layout.table(name("word_embeddings.weight"), c.vocab_size, h, std),
            positions: layout.table(name("position_embeddings.weight"), c.max_positions, h, std),
            types: layout.table(
                name("token_type_embeddings.weight"),
                c.type_vocab_size,
                h,
                std,
            ),
            norm: (
                layout.vector(name("LayerNorm.weight"), h, Init::Ones),
                layout.vector(name("LayerNorm.bias"), h, Init::Zeros),
            ),
        }
    }

    pub(super) fn forward(&self, tape: &mut Tape, batch: &Batch, c: &Config) -> Var {
        let first = c.first_position() as u32;
        let positions = if first == 0 {
            batch.positions.clone()
        } else {
            batch.positions.iter().map(|p| p + first).collect()
        };
        let sum = tape.embedding(vec![
            (self.words, batch.ids.clone()),
            (self.positions, positions),
            (self.types, batch.type_ids.clone()),
        ]);
        let normed = tape.layer_norm(&sum, None, 0.0, self.norm, c.layer_norm_eps);
        tape.dropout(&normed, c.dropout.hidden)
    }
}

/// The blocks of BERT and RoBERTa.
pub(super) fn blocks(layout: &mut Layout, prefix: &str, c: &Config) -> Vec<Block> {
    (0..c.num_layers)
        .map(|i| Block::declare(layout, &format!("{prefix}encoder.layer.{i}."), &BLOCK, c))
        .collect()
}

/// The first token's states through a dense layer and tanh, and a linear layer on them: BERT's
/// classifier, and the multiple-choice head of BERT and RoBERTa.
#[derive(Debug)]
pub(super) struct PooledHead {
    pooler: (Param, Param),
    classifier: (Param, Param),
}

impl PooledHead {
    /// Adds the head's parameters to `layout`, the pooler's names behind `prefix`.
    pub fn declare(layout: &mut Layout, prefix: &str, c: &Config, outputs: usize) -> Self {
        let (h, std) = (c.hidden_size, c.initializer_range);
        PooledHead {
            pooler: (
                layout.matrix(format!("{prefix}pooler.dense.weight"), h, h, std),
                layout.vector(format!("{prefix}pooler.dense.bias"), h, Init::Zeros),
            ),
            classifier: (
                layout.matrix("classifier.weight", outputs, h, std),
                layout.vector("classifier.bias", outputs, Init::Zeros),
            ),
        }
    }

    /// `[sequences, hidden]` to `[sequences, outputs]`.
    pub fn forward(&self, tape: &mut Tape, x: &Var, c: &Config) -> Var {
        let dense = tape.linear(x, self.pooler.0, self.pooler.1);
        let pooled = tape.activation(&dense, Activation::Tanh);
        let pooled = tape.dropout(&pooled, c.dropout.classifier);
        tape.linear(&pooled, self.classifier.0, self.classifier.1)
    }
}

/// What stands on top.
#[derive(Debug)]
enum BertHead {
    Pooled(PooledHead),
    Tokens(TokenHead),
    MaskedLm {
        transform: (Param, Param),
        norm: (Param, Param),
        decoder: (Param, Param),
    },
}

/// BERT.
#[derive(Debug)]
pub struct Bert {
    embeddings: Embeddings,
    blocks: Vec<Block>,
    head: BertHead,
}

impl Bert {
    /// Adds BERT's parameters to `layout`.
    ///
    /// # Errors
    /// Where adapters are wanted on layers that it does not have.
    pub fn declare(layout: &mut Layout, c: &Config, head: Head) -> Result<Self, TuneError> {
        let embeddings = Embeddings::declare(layout, "bert.", c);
        let blocks = blocks(layout, "bert.", c);
        layout.begin_head()?;
        let (h, std) = (c.hidden_size, c.initializer_range);
        if let Some(tokens) = TokenHead::declare(layout, c, head) {
            let head = BertHead::Tokens(tokens);
            return Ok(Bert {
                embeddings,
                blocks,
                head,
            });
        }
        let head = match head {
            Head::Classifier { outputs } => {
                BertHead::Pooled(PooledHead::declare(layout, "bert.", c, outputs))
            }
            Head::MultipleChoice => BertHead::Pooled(PooledHead::declare(layout, "bert.", c, 1)),
            _ => {
                let name = |n: &str| format!("cls.predictions.{n}");
                BertHead::MaskedLm {
                    transform: (
                        layout.matrix(name("transform.dense.weight"), h, h, std),
                        layout.vector(name("transform.dense.bias"), h, Init::Zeros),
                    ),
                    norm: (
                        layout.vector(name("transform.LayerNorm.weight"), h, Init::Ones),
                        layout.vector(name("transform.LayerNorm.bias"), h, Init::Zeros),
                    ),
                    // The decoder's matrix is the token embedding's.
                    decoder: (
                        embeddings.words,
                        layout.vector(name("bias"), c.vocab_size, Init::Zeros),
                    ),
                }
            }
        };
        Ok(Bert {
            embeddings,
            blocks,
            head,
        })
    }
}

impl Architecture for Bert {
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
        match &self.head {
            BertHead::Pooled(head) => head.forward(tape, x, c),
            BertHead::Tokens(head) => head.forward(tape, x, c),
            BertHead::MaskedLm {
                transform,
                norm,
                decoder,
            } => {
                let dense = tape.linear(x, transform.0, transform.1);
                let dense = tape.activation(&dense, c.activation);
                let normed = tape.layer_norm(&dense, None, 0.0, *norm, c.layer_norm_eps);
                tape.linear(&normed, decoder.0, decoder.1)
            }
        }
    }
}
