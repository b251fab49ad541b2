//! Softmax cross-entropy and mean squared error, with their gradients.

use super::math::exp;
use super::{lane_max, lane_sum};
use rayon::prelude::*;

#[multiversion::multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma",
    "x86_64+avx2+fma"
))]
fn row(logits: &mut [f32], label: usize, smoothing: f32, scale: f32) -> f64 {
    let max = lane_max(logits);
    let own = logits[label] - max;
    let share = smoothing / logits.len() as f32;
    // Of the labels' logits, weighted: the label's own where nothing is smoothed.
    let target = match smoothing == 0.0 {
        true => own,
        false => (1.0 - smoothing) * own + share * lane_sum(logits.len(), |i| logits[i] - max),
    };
    for z in logits.iter_mut() {
        *z = exp(*z - max);
    }
    let sum = lane_sum(logits.len(), |i| logits[i]);
    let factor = scale / sum;
    for z in logits.iter_mut() {
        *z *= factor;
    }
    if smoothing != 0.0 {
        for z in logits.iter_mut() {
            *z -= share * scale;
        }
    }
    logits[label] -= (1.0 - smoothing) * scale;
    (sum as f64).ln() - target as f64
}

/// Sum over the rows of `-log softmax(logits)[label]`; `logits` becomes its
/// gradient times `scale`.
///
/// Shapes: `logits` `[rows, classes]`, `labels` `[rows]`.
///
/// # Panics
/// If a label is not a class.
pub fn forward_backward(logits: &mut [f32], labels: &[u32], scale: f32) -> f64 {
    smoothed(logits, labels, 0.0, scale)
}

/// As [`forward_backward`], with the share `smoothing` of each label spread evenly over all
/// classes (Szegedy et al. 2016, section 7).
///
/// # Panics
/// If a label is not a class.
pub fn smoothed(logits: &mut [f32], labels: &[u32], smoothing: f32, scale: f32) -> f64 {
    let classes = logits.len() / labels.len().max(1);
    let losses: Vec<f64> = logits
        .par_chunks_mut(classes.max(1))
        .zip(labels)
        .map(|(logits, &label)| row(logits, label as usize, smoothing, scale))
        .collect();
    losses.iter().sum()
}

/// Sum over sequences of half the cross-entropies of where a span begins and where it ends,
/// softmax over the tokens of the sequence; `logits` becomes the gradient times `scale`.
///
/// Shapes: `logits` `[tokens, 2]`, `offsets` `[sequences + 1]`, `targets` `[sequences]`,
/// each a first and a last token of its sequence.
///
/// # Panics
/// If a target lies outside its sequence.
pub fn spans(logits: &mut [f32], offsets: &[usize], targets: &[[u32; 2]], scale: f32) -> f64 {
    let mut column = Vec::new();
    let mut sum = 0.0;
    for (range, target) in offsets.windows(2).zip(targets) {
        let tokens = &mut logits[2 * range[0]..2 * range[1]];
        for (side, &target) in target.iter().enumerate() {
            column.clear();
            column.extend(tokens.iter().skip(side).step_by(2));
            sum += 0.5 * row(&mut column, target as usize, 0.0, 0.5 * scale);
            let places = tokens.iter_mut().skip(side).step_by(2);
            places.zip(&column).for_each(|(place, &d)| *place = d);
        }
    }
    sum
}

/// The logarithm of the label's probability, and its logit's lead over the best of the
/// others: above 0 where it is the prediction. Of one row.
#[multiversion::multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma",
    "x86_64+avx2+fma"
))]
fn score_row(logits: &[f32], label: usize) -> [f32; 2] {
    let max = lane_max(logits);
    let sum = lane_sum(logits.len(), |i| exp(logits[i] - max));
    let target = logits[label];
    let others = lane_max(&logits[..label]).max(lane_max(&logits[label + 1..]));
    [target - max - sum.ln(), target - others]
}

/// Turns one row of logits into log-probabilities.
#[multiversion::multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma",
    "x86_64+avx2+fma"
))]
pub fn log_softmax(logits: &mut [f32]) {
    let max = lane_max(logits);
    let log_sum = lane_sum(logits.len(), |i| exp(logits[i] - max)).ln();
    for z in logits.iter_mut() {
        *z = *z - max - log_sum;
    }
}

/// For each row its label's log-probability and lead, `[rows, 2]`; a lead over nothing is
/// the largest number.
///
/// Shapes: `logits` `[rows, classes]`, `labels` `[rows]`.
///
/// # Panics
/// If a label is not a class.
pub fn scores(logits: &[f32], labels: &[u32]) -> Vec<f32> {
    let classes = logits.len() / labels.len().max(1);
    let rows: Vec<[f32; 2]> = logits
        .par_chunks(classes.max(1))
        .zip(labels)
        .map(|(logits, &label)| {
            let [log_probability, lead] = score_row(logits, label as usize);
            [log_probability, lead.min(f32::MAX)]
        })
        .collect();
    rows.concat()
}

/// Sum of `(prediction - target)²`; `predictions` becomes its gradient times `scale`.
pub fn squared_error(predictions: &mut [f32], targets: &[f32], scale: f32) -> f64 {
    let mut sum = 0.0;
    for (p, &t) in predictions.iter_mut().zip(targets) {
        let difference = *p - t;
        sum += (difference as f64) * (difference as f64);
        *p = 2.0 * difference * scale;
    }
    sum
}
