//! Training and evaluation.

mod evaluator;
mod finetune;
mod frozen;
mod trainer;

pub use evaluator::{outputs, outputs_observed};
pub use finetune::FineTuning;
pub use frozen::FrozenStates;
pub use trainer::{Control, Objective, TrainObserver, TrainOptions, TrainPoint, Trained, train};

use crate::batch::Sequences;
use crate::data::Labels;

/// A tokenised split: sequences and their labels, one each.
#[derive(Debug, Clone, PartialEq)]
pub struct EncodedSplit {
    /// The tokens.
    pub sequences: Sequences,
    /// What they are to give.
    pub labels: Labels,
}
