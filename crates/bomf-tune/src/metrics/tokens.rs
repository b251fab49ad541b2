//! Metrics of a causal language model: what it gives each token that is to be predicted.

use super::{MetricError, Result, check_lengths};

/// Sums over the tokens of each example.
#[derive(Debug)]
pub(super) struct Tokens {
    /// Negative log-likelihood.
    losses: Vec<f64>,
    /// Tokens that were the likeliest.
    right: Vec<f64>,
    counts: Vec<u32>,
}

impl Tokens {
    /// From the log-probability and the lead of each token (`[tokens, 2]`, row-major), of
    /// which the examples have `counts`.
    pub(super) fn new(outputs: &[f32], counts: &[u32]) -> Result<Self> {
        let total: usize = counts.iter().map(|&n| n as usize).sum();
        check_lengths(outputs.len() / 2, total)?;
        let mut rows = outputs.chunks_exact(2);
        let (mut losses, mut right) = (Vec::new(), Vec::new());
        for (example, &count) in counts.iter().enumerate() {
            let (mut loss, mut hits) = (0.0, 0.0);
            for row in rows.by_ref().take(count as usize) {
                if !(row[0].is_finite() && row[1].is_finite()) {
                    return Err(MetricError::NotFinite { example });
                }
                loss -= f64::from(row[0]);
                hits += f64::from(u8::from(row[1] > 0.0));
            }
            losses.push(loss);
            right.push(hits);
        }
        Ok(Self {
            losses,
            right,
            counts: counts.to_vec(),
        })
    }

    fn mean(&self, values: &[f64], times: &[u32]) -> f64 {
        let (mut sum, mut total) = (0.0, 0.0);
        for ((value, &count), &times) in values.iter().zip(&self.counts).zip(times) {
            sum += value * f64::from(times);
            total += f64::from(count) * f64::from(times);
        }
        if total == 0.0 { 0.0 } else { sum / total }
    }

    pub(super) fn perplexity(&self, times: &[u32]) -> f64 {
        self.mean(&self.losses, times).exp()
    }

    pub(super) fn accuracy(&self, times: &[u32]) -> f64 {
        self.mean(&self.right, times)
    }
}

/// One value an example whose mean is the mean loss over all tokens, in nats.
///
/// With `L` that mean, an example of `n` tokens and loss `l` has `L + (l - n L) N / T` for
/// `N` examples of `T` tokens in all: the linear part of the ratio, so that a bootstrap over
/// examples sees how the ratio moves, and not how lengths do.
///
/// # Errors
/// No tokens, outputs that do not fit `counts`, or one that is not finite.
pub fn token_losses(outputs: &[f32], counts: &[u32]) -> Result<Vec<f64>> {
    let tokens = Tokens::new(outputs, counts)?;
    Ok(linearised(&tokens.losses, counts))
}

/// [`token_losses`] from sums over `counts` terms each; at least one term in all.
pub(super) fn linearised(sums: &[f64], counts: &[u32]) -> Vec<f64> {
    let total: f64 = counts.iter().map(|&n| f64::from(n)).sum();
    let mean = sums.iter().sum::<f64>() / total.max(1.0);
    let per_term = counts.len() as f64 / total.max(1.0);
    let pairs = sums.iter().zip(counts);
    pairs
        .map(|(sum, &n)| mean + (sum - f64::from(n) * mean) * per_term)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_are_over_tokens_and_not_over_examples() {
        let outputs = [-1.0, 0.5, -2.0, -0.5, -6.0, 0.1];
        let tokens = Tokens::new(&outputs, &[2, 1]).unwrap();
        assert_eq!(tokens.perplexity(&[1, 1]), 3f64.exp());
        assert_eq!(tokens.perplexity(&[2, 0]), 1.5f64.exp());
        assert!((tokens.accuracy(&[1, 1]) - 2.0 / 3.0).abs() < 1e-12);
        let values = token_losses(&outputs, &[2, 1]).unwrap();
        assert!((values.iter().sum::<f64>() / 2.0 - 3.0).abs() < 1e-12);
        // A token whose logit is level with the best other one is not its prediction.
        assert_eq!(Tokens::new(&[-0.7, 0.0], &[1]).unwrap().accuracy(&[1]), 0.0);
    }

    #[test]
    fn examples_of_one_loss_have_one_value_whatever_their_lengths() {
        let values = token_losses(&[-2.0, 1.0, -2.0, 1.0, -2.0, 1.0], &[2, 1]).unwrap();
        assert_eq!(values, [2.0, 2.0]);
    }

    #[test]
    fn outputs_that_do_not_fit_are_refused() {
        assert!(token_losses(&[-1.0, 0.5], &[2]).is_err());
        assert!(token_losses(&[], &[]).is_err());
        let error = token_losses(&[-1.0, 0.5, f32::NAN, 0.0], &[1, 1]).unwrap_err();
        assert_eq!(error, MetricError::NotFinite { example: 1 });
    }
}
