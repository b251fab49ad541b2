//! Training and evaluation.

mod evaluator;
mod finetune;
mod frozen;
mod state;
mod trainer;

pub use evaluator::{outputs, outputs_observed, split_outputs};
pub use finetune::FineTuning;
pub use frozen::FrozenStates;
pub use state::{TrainSnapshot, TrainState};
pub use trainer::{
    Control, Objective, TrainObserver, TrainOptions, TrainPoint, Trained, train, train_from,
};

use crate::batch::Sequences;
use crate::data::{Labels, Tags};
use crate::generate::Texts;

/// A tokenised split: its examples' sequences and their labels, one each; of questions one
/// sequence a window.
#[derive(Debug, Clone)]
pub struct EncodedSplit {
    /// The tokens.
    pub sequences: Sequences,
    /// What they are to give.
    pub labels: Labels,
    /// Texts to be generated, where that is wanted, one an example.
    pub texts: Option<Texts>,
    /// The share of each label that training spreads over all classes.
    pub label_smoothing: f32,
}

impl EncodedSplit {
    /// Sequences with labels, without texts to be generated.
    pub fn new(sequences: Sequences, labels: Labels) -> Self {
        EncodedSplit {
            sequences,
            labels,
            texts: None,
            label_smoothing: 0.0,
        }
    }

    /// The tags of the words of some examples, in their order.
    pub fn tags_of(&self, tags: &Tags, indices: &[usize]) -> Vec<u32> {
        let mut all = Vec::new();
        for &i in indices {
            let first = self.sequences.places_before(i);
            all.extend_from_slice(&tags.ids[first..][..tags.counts[i] as usize]);
        }
        all
    }
}
