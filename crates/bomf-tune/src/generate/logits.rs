//! What is done to a row of logits before a token is chosen.

use std::collections::BTreeSet;

/// Makes tokens that have occurred less likely, or more where `penalty` is below 1.
pub(super) fn penalise(scores: &mut [f32], context: &BTreeSet<u32>, penalty: f32) {
    if penalty == 1.0 {
        return;
    }
    for &token in context {
        if let Some(score) = scores.get_mut(token as usize) {
            *score = match *score < 0.0 {
                true => *score * penalty,
                false => *score / penalty,
            };
        }
    }
}

/// Turns logits into log-probabilities.
pub(super) fn log_softmax(logits: &mut [f32]) {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|z| f64::from(z - max).exp()).sum();
    let log_sum = sum.ln() as f32;
    logits.iter_mut().for_each(|z| *z = *z - max - log_sum);
}

/// The place of the largest score, the first of equal ones.
pub(super) fn argmax(scores: &[f32]) -> u32 {
    let mut best = 0;
    for (i, score) in scores.iter().enumerate() {
        if *score > scores[best] {
            best = i;
        }
    }
    best as u32
}
