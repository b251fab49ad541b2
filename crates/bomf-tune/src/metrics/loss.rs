//! The losses that training minimises, over a whole split and in `f64`.

use super::{Result, check_logits, check_values};

/// Mean cross-entropy `-log softmax(z)_label` of `n x classes` logits (row-major), in nats.
///
/// # Errors
/// As [`cross_entropy_per_example`].
pub fn cross_entropy(logits: &[f32], classes: usize, labels: &[u32]) -> Result<f64> {
    Ok(mean(&cross_entropy_per_example(logits, classes, labels)?))
}

/// The cross-entropy of each example, in nats.
///
/// # Errors
/// No examples, logits that do not fit the labels, or one that is not finite.
pub fn cross_entropy_per_example(
    logits: &[f32],
    classes: usize,
    labels: &[u32],
) -> Result<Vec<f64>> {
    check_logits(logits, classes, labels)?;
    let rows = logits.chunks_exact(classes).zip(labels);
    Ok(rows
        .map(|(row, &label)| {
            // With the greatest logit taken off, no exponential overflows.
            let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let shifted = |z: f32| f64::from(z) - f64::from(max);
            let sum: f64 = row.iter().map(|&z| shifted(z).exp()).sum();
            sum.ln() - shifted(row[label as usize])
        })
        .collect())
}

/// Mean squared error.
///
/// # Errors
/// As [`squared_errors`].
pub fn mean_squared_error(predictions: &[f32], labels: &[f32]) -> Result<f64> {
    Ok(mean(&squared_errors(predictions, labels)?))
}

/// The squared error of each example.
///
/// # Errors
/// No examples, other numbers of predictions than labels, or one that is not finite.
pub fn squared_errors(predictions: &[f32], labels: &[f32]) -> Result<Vec<f64>> {
    check_values(predictions, labels)?;
    let pairs = predictions.iter().zip(labels);
    Ok(pairs
        .map(|(&p, &l)| (f64::from(p) - f64::from(l)).powi(2))
        .collect())
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}
