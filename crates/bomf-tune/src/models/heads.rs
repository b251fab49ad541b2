//! Heads that give each token outputs of its own: where an answer begins and ends, or the tag
//! of a word.
//!
//! One linear layer on the last block's states, behind dropout where transformers has it: none
//! before `qa_outputs` of BERT and RoBERTa, `qa_dropout` in DistilBERT, the classifier's rate
//! (in DistilBERT the hidden states') before a token's classifier.

use super::config::Config;
use super::{Head, ModelType};
use crate::params::{Init, Layout, Param};
use crate::tape::{Tape, Var};
use serde_json::Value;

/// DistilBERT's `qa_dropout` where its configuration has none.
const QA_DROPOUT: f64 = 0.1;

/// A linear layer on each token's states.
#[derive(Debug)]
pub(super) struct TokenHead {
    affine: (Param, Param),
    drops: bool,
}

impl TokenHead {
    /// Adds the parameters of `head` to `layout`; `None` where it is not one of these.
    pub fn declare(layout: &mut Layout, c: &Config, head: Head) -> Option<Self> {
        let (name, outputs, drops) = match head {
            Head::QuestionAnswering => ("qa_outputs", 2, c.model_type == ModelType::DistilBert),
            Head::TokenClassifier { outputs } => ("classifier", outputs, true),
            _ => return None,
        };
        let (h, std) = (c.hidden_size, c.initializer_range);
        let affine = (
            layout.matrix(format!("{name}.weight"), outputs, h, std),
            layout.vector(format!("{name}.bias"), outputs, Init::Zeros),
        );
        Some(TokenHead { affine, drops })
    }

    /// `[tokens, hidden]` to `[tokens, outputs]`.
    pub fn forward(&self, tape: &mut Tape, x: &Var, c: &Config) -> Var {
        let rate = if self.drops {
            c.dropout.classifier
        } else {
            0.0
        };
        let x = tape.dropout(x, rate);
        tape.linear(&x, self.affine.0, self.affine.1)
    }
}

impl Config {
    /// With the dropout rate that `head` has by its architecture.
    pub(super) fn for_head(mut self, head: Head) -> Self {
        if self.model_type == ModelType::DistilBert {
            self.dropout.classifier = match head {
                Head::QuestionAnswering => {
                    let own = self.raw.get("qa_dropout").and_then(Value::as_f64);
                    let rate = own.filter(|rate| (0.0..1.0).contains(rate));
                    rate.unwrap_or(QA_DROPOUT) as f32
                }
                Head::TokenClassifier { .. } => self.dropout.hidden,
                _ => self.dropout.classifier,
            };
        }
        self
    }
}
