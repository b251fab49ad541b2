//! The fine-tuning objective: labels from the outputs, or the tokens that come next.

use super::{EncodedSplit, FrozenStates, Objective};
use crate::TuneError;
use crate::data::Labels;
use crate::models::{Model, Network};
use crate::tape::{Gradients, Tape, Workspace};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// Cross-entropy on classes and on tokens, squared error on values. The terms of the loss
/// are examples, or tokens to be predicted; windows of a question, or words.
#[derive(Debug, Clone, Copy)]
pub struct FineTuning<'a> {
    /// What is trained on.
    pub split: &'a EncodedSplit,
    /// The split's hidden states where lower layers are frozen, else
    /// [`FrozenStates::none`].
    pub frozen: &'a FrozenStates,
}

impl Objective for FineTuning<'_> {
    fn num_examples(&self) -> usize {
        self.split.sequences.len()
    }

    fn first_trainable(&self, network: &Network) -> Result<usize, TuneError> {
        network.first_trainable(self.frozen.layers())
    }

    fn accumulate(
        &self,
        model: &Model,
        gradients: &mut Gradients,
        indices: &[usize],
        rng: &mut ChaCha8Rng,
        workspace: &Workspace,
    ) -> (f64, usize) {
        let (network, sequences) = (&model.network, &self.split.sequences);
        let batch = sequences.batch(indices);
        let mut tape = Tape::training(&model.params, gradients, Some(rng.random()), workspace);
        let logits = self
            .frozen
            .forward(network, &mut tape, sequences, indices, &batch, workspace);
        let mut terms = indices.len();
        let loss = match &self.split.labels {
            Labels::Tokens(_) => {
                let targets = indices.iter().flat_map(|&i| sequences.targets(i));
                let labels: Vec<u32> = targets.copied().collect();
                terms = labels.len();
                match network.vocabulary() {
                    Some(weight) => tape.vocabulary_loss(&logits, weight, &labels, 1.0),
                    None => tape.cross_entropy(&logits, &labels, 1.0),
                }
            }
            Labels::Class(ids) => {
                let labels: Vec<u32> = indices.iter().map(|&i| ids[i]).collect();
                tape.cross_entropy(&logits, &labels, 1.0)
            }
            Labels::Answers(answers) => {
                let targets: Vec<[u32; 2]> = indices
                    .iter()
                    .map(|&i| answers.windows()[i].target)
                    .collect();
                tape.span_loss(&logits, &batch.offsets, &targets, 1.0)
            }
            Labels::Tags(tags) => {
                let labels = self.split.tags_of(tags, indices);
                terms = labels.len();
                tape.cross_entropy(&logits, &labels, 1.0)
            }
            Labels::Value(values) => {
                let targets: Vec<f32> = indices.iter().map(|&i| values[i]).collect();
                tape.squared_error(&logits, &targets, 1.0)
            }
        };
        drop(logits);
        tape.backward();
        (loss, terms)
    }
}
