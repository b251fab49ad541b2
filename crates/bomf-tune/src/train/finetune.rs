//! The fine-tuning objective: labels from the outputs, or the tokens that come next.

use super::{EncodedSplit, FrozenStates, Objective};
use crate::TuneError;
use crate::batch::Batch;
use crate::data::Labels;
use crate::models::{Model, Network};
use crate::tape::{Gradients, Tape, Var, Workspace};
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
        let split = self.split;
        let (loss, terms) = split.loss(network, &mut tape, &logits, &batch, indices, 1.0);
        drop(logits);
        tape.backward();
        (loss, terms)
    }
}

impl EncodedSplit {
    /// Begins the backward pass from the network's `outputs` on the examples `indices`, which
    /// make up `batch`: of `scale` times the loss, summed over its terms. Returns that sum,
    /// unscaled, and how many terms there are.
    pub fn loss(
        &self,
        network: &Network,
        tape: &mut Tape<'_>,
        outputs: &Var,
        batch: &Batch,
        indices: &[usize],
        scale: f32,
    ) -> (f64, usize) {
        tape.smooth_labels(self.label_smoothing);
        let mut terms = indices.len();
        let loss = match &self.labels {
            Labels::Tokens(_) => {
                let targets = indices.iter().flat_map(|&i| self.sequences.targets(i));
                let labels: Vec<u32> = targets.copied().collect();
                terms = labels.len();
                match network.vocabulary() {
                    Some(weight) => tape.vocabulary_loss(outputs, weight, &labels, scale),
                    None => tape.cross_entropy(outputs, &labels, scale),
                }
            }
            Labels::Class(ids) => {
                let labels: Vec<u32> = indices.iter().map(|&i| ids[i]).collect();
                tape.cross_entropy(outputs, &labels, scale)
            }
            Labels::Answers(answers) => {
                let targets: Vec<[u32; 2]> = indices
                    .iter()
                    .map(|&i| answers.windows()[i].target)
                    .collect();
                tape.span_loss(outputs, &batch.offsets, &targets, scale)
            }
            Labels::Tags(tags) => {
                let labels = self.tags_of(tags, indices);
                terms = labels.len();
                tape.cross_entropy(outputs, &labels, scale)
            }
            Labels::Value(values) => {
                let targets: Vec<f32> = indices.iter().map(|&i| values[i]).collect();
                tape.squared_error(outputs, &targets, scale)
            }
        };
        (loss, terms)
    }
}
