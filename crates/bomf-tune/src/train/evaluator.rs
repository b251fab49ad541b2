//! Forward passes over a whole split.

use super::{Control, EncodedSplit, FrozenStates};
use crate::TuneError;
use crate::batch::Sequences;
use crate::models::Network;
use crate::tape::{Tape, Workspace};
use std::ops::Range;

/// Tokens of a forward pass at once: enough to feed the products, few enough for
/// the activations to stay in the last-level cache.
const TOKENS: usize = 2048;

/// The model's outputs on every sequence, `[sequences, outputs]` row-major; without
/// dropout. A causal language model gives two numbers for each token to be predicted:
/// the logarithm of its probability, and its logit's lead over the best of the others.
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
        group_outputs(
            network, params, sequences, frozen, workspace, group, &mut all,
        );
    }
    all
}

/// As [`outputs`], and then the statistics of what the model writes, where texts are to be
/// generated ([`Texts::statistics`](crate::generate::Texts::statistics)).
///
/// # Errors
/// Those of [`Texts::generate`](crate::generate::Texts::generate).
pub fn split_outputs(
    network: &Network,
    params: &[f32],
    split: &EncodedSplit,
    frozen: &FrozenStates,
    workspace: &Workspace,
) -> Result<Vec<f32>, TuneError> {
    let mut all = outputs(network, params, &split.sequences, frozen, workspace);
    if let Some(texts) = &split.texts {
        let written = texts.generate(network, params, workspace, &mut |_| Control::Continue)?;
        all.extend(texts.statistics(&written));
    }
    Ok(all)
}

/// As [`outputs`], telling `observe` after every few sequences how many are done;
/// it says whether to go on.
///
/// # Errors
/// [`TuneError::Interrupted`] where it says to stop before the last sequence.
pub fn outputs_observed(
    network: &Network,
    params: &[f32],
    sequences: &Sequences,
    frozen: &FrozenStates,
    workspace: &Workspace,
    observe: &mut dyn FnMut(usize) -> Control,
) -> Result<Vec<f32>, TuneError> {
    let mut all = Vec::new();
    for group in sequences.groups(TOKENS) {
        let done = group.end;
        group_outputs(
            network, params, sequences, frozen, workspace, group, &mut all,
        );
        if observe(done) == Control::Stop && done < sequences.len() {
            return Err(TuneError::Interrupted);
        }
    }
    Ok(all)
}

/// Appends the outputs on one group of sequences.
fn group_outputs(
    network: &Network,
    params: &[f32],
    sequences: &Sequences,
    frozen: &FrozenStates,
    workspace: &Workspace,
    group: Range<usize>,
    all: &mut Vec<f32>,
) {
    let indices: Vec<usize> = group.collect();
    let batch = sequences.batch(&indices);
    let mut tape = Tape::inference(params, workspace);
    let logits = frozen.forward(network, &mut tape, sequences, &indices, &batch, workspace);
    let Some(vocabulary) = network.vocabulary() else {
        all.extend_from_slice(&logits);
        return;
    };
    let labels: Vec<u32> = indices
        .iter()
        .flat_map(|&i| sequences.targets(i))
        .copied()
        .collect();
    all.extend(tape.vocabulary_scores(&logits, vocabulary, &labels));
}
