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
