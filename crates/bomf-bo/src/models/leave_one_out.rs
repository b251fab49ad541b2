//! How well a model predicts each observation from all others.
//!
//! Rasmussen and Williams (2006), equations 5.10 to 5.12, at hyperparameters
//! held: with `alpha = K^-1 (z - c)`, observation `i` misses its prediction from
//! the others by `alpha_i / [K^-1]_ii`, and the variance of that is
//! `1 / [K^-1]_ii`. No model is fitted again.

use super::Posterior;
use crate::acquisition::normal::log_density;

/// The errors of predictions of each observation from all others.
#[derive(Debug, Clone, PartialEq)]
pub struct LeaveOneOut {
    /// Observation minus its prediction, shape `n`.
    pub error: Vec<f64>,
    /// Variance of the prediction, noise included, shape `n`.
    pub variance: Vec<f64>,
}

impl LeaveOneOut {
    /// From a process's `predictions`
    /// ([`leave_one_out`](super::GaussianProcess::leave_one_out)) of the
    /// outcomes `y`, both of shape `n`.
    #[must_use]
    pub fn new(predictions: &[Posterior], y: &[f64]) -> Self {
        Self {
            error: predictions.iter().zip(y).map(|(p, y)| y - p.mean).collect(),
            variance: predictions.iter().map(|p| p.variance).collect(),
        }
    }

    /// Mean of the squared errors; NaN without an observation.
    #[must_use]
    pub fn mean_squared_error(&self) -> f64 {
        self.error.iter().map(|e| e * e).sum::<f64>() / self.error.len() as f64
    }

    /// The sum of the observations' log densities under normal predictions
    /// (equation 5.11 there): the larger, the better the model. Models of one
    /// objective compare by it.
    #[must_use]
    pub fn log_density(&self) -> f64 {
        self.log_density_from(0)
    }

    /// [`Self::log_density`] of the observations from number `first` on: leaves
    /// out those that a model knows by its construction, such as the members
    /// themselves under an ensemble mean.
    #[must_use]
    pub fn log_density_from(&self, first: usize) -> f64 {
        self.error
            .iter()
            .zip(&self.variance)
            .skip(first)
            .map(|(e, v)| log_density(e / v.sqrt()) - 0.5 * v.ln())
            .sum()
    }
}
