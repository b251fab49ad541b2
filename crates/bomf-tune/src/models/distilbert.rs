//! DistilBERT (Sanh et al. 2019): BERT without segments and pooler; as
//! `transformers/models/distilbert/modeling_distilbert.py` computes it.

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
    qkv: ["attention.q_lin", "attention.k_lin", "attention.v_lin"],
    attention: ["attention.out_lin", "sa_layer_norm"],
    feed_forward: ["ffn.lin1", "ffn.lin2", "output_layer_norm"],
};

/// What stands on top: a classifier is also the head of multiple choice.
#[derive(Debug)]
enum DistilBertHead {
    Classifier {
        pre_classifier: (Param, Param),
        classifier: (Param, Param),
    },
    Tokens(TokenHead),
}

/// DistilBERT.
#[derive(Debug)]
pub struct DistilBert {
    words: Param,
    positions: Param,
    norm: (Param, Param),
    blocks: Vec<Block>,
    head: DistilBertHead,
}

impl DistilBert {
    /// Adds DistilBERT's parameters to `layout`.
    ///
    /// # Errors
    /// As [`Bert::declare`](super::bert::Bert::declare).
    pub fn declare(layout: &mut Layout, c: &Config, head: Head) -> Result<Self, TuneError> {
        let (h, std) = (c.hidden_size, c.initializer_range);
        let name = |n: &str| format!("distilbert.embeddings.{n}");
        let words = layout.table(name("word_embeddings.weight"), c.vocab_size, h, std);
        let positions = layout.table(name("position_embeddings.weight"), c.max_positions, h, std);
        let norm = (
            layout.vector(name("LayerNorm.weight"), h, Init::Ones),
            layout.vector(name("LayerNorm.bias"), h, Init::Zeros),
        );
        let prefix = |i| format!("distilbert.transformer.layer.{i}.");
        let blocks = (0..c.num_layers)
            .map(|i| Block::declare(layout, &prefix(i), &BLOCK, c))
            .collect();
        layout.begin_head()?;
        let head = match (TokenHead::declare(layout, c, head), head) {
            (Some(tokens), _) => DistilBertHead::Tokens(tokens),
            (None, head) => {
                let outputs = match head {
                    Head::Classifier { outputs } => outputs,
                    _ => 1,
                };
                DistilBertHead::Classifier {
                    pre_classifier: (
                        layout.matrix("pre_classifier.weight", h, h, std),
                        layout.vector("pre_classifier.bias", h, Init::Zeros),
                    ),
                    classifier: (
                        layout.matrix("classifier.weight", outputs, h, std),
                        layout.vector("classifier.bias", outputs, Init::Zeros),
                    ),
                }
            }
        };
        Ok(DistilBert {
            words,
            positions,
            norm,
            blocks,
            head,
        })
    }
}

impl Architecture for DistilBert {
    fn embed(&self, tape: &mut Tape, batch: &Batch, c: &Config) -> Var {
        let sum = tape.embedding(vec![
            (self.words, batch.ids.clone()),
            (self.positions, batch.positions.clone()),
        ]);
        let normed = tape.layer_norm(&sum, None, 0.0, self.norm, c.layer_norm_eps);
        tape.dropout(&normed, c.dropout.hidden)
    }

    fn num_blocks(&self) -> usize {
        self.blocks.len()
    }

    fn block(&self, i: usize) -> &dyn Layer {
        &self.blocks[i]
    }

    fn head(&self, tape: &mut Tape, x: &Var, _: &Batch, c: &Config) -> Var {
        let (pre_classifier, classifier) = match &self.head {
            DistilBertHead::Tokens(head) => return head.forward(tape, x, c),
            DistilBertHead::Classifier {
                pre_classifier,
                classifier,
            } => (pre_classifier, classifier),
        };
        let dense = tape.linear(x, pre_classifier.0, pre_classifier.1);
        let dense = tape.activation(&dense, Activation::Relu);
        let dense = tape.dropout(&dense, c.dropout.classifier);
        tape.linear(&dense, classifier.0, classifier.1)
    }
}
