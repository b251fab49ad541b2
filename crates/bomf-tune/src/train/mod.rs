//! Training and evaluation.

mod evaluator;
mod frozen;
mod trainer;

pub use evaluator::outputs;
pub use frozen::FrozenStates;
pub use trainer::{Control, TrainObserver, TrainOptions, TrainPoint, Trained, train};

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
