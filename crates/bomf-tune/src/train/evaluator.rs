//! Forward passes over a whole split.

use super::FrozenStates;
use crate::batch::Sequences;
use crate::models::Network;
use crate::tape::{Tape, Workspace};

/// Tokens of a forward pass at once: enough to feed the products, few enough for
/// the activations to stay in the last-level cache.
const TOKENS: usize = 2048;

/// The model's outputs on every sequence, `[sequences, outputs]` row-major; without
/// dropout.
///
/// `frozen` holds the hidden states of these sequences where lower layers are
/// frozen, else [`FrozenStates::none`].
pub fn outputs(
    network: &Network,
    params: &[f32],
    sequences: &Sequences,
    frozen: &FrozenStates,
    workspace: &Workspace,
) -> Vec<f32> {
    let mut all = Vec::new();
    for group in sequences.groups(TOKENS) {
        let indices: Vec<usize> = group.collect();
        let batch = sequences.batch(&indices);
        let mut tape = Tape::inference(params, workspace);
        let logits = frozen.forward(network, &mut tape, sequences, &indices, &batch, workspace);
        all.extend_from_slice(&logits);
    }
    all
}
