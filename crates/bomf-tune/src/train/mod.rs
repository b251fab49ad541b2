//! Training and evaluation.

mod evaluator;
mod finetune;
mod frozen;
mod trainer;

pub use evaluator::{outputs, outputs_observed, split_outputs};
pub use finetune::FineTuning;
pub use frozen::FrozenStates;
pub use trainer::{Control, Objective, TrainObserver, TrainOptions, TrainPoint, Trained, train};

use crate::batch::Sequences;
use crate::data::Labels;
use crate::generate::Texts;

/// A tokenised split: sequences and their labels, one each.
#[derive(Debug, Clone)]
pub struct EncodedSplit {
    /// The tokens.
    pub sequences: Sequences,
    /// What they are to give.
    pub labels: Labels,
    /// Texts to be generated, where that is wanted, one an example.
    pub texts: Option<Texts>,
}

impl EncodedSplit {
    /// Sequences with labels, without texts to be generated.
    pub fn new(sequences: Sequences, labels: Labels) -> Self {
        EncodedSplit {
            sequences,
            labels,
            texts: None,
        }
    }
}
