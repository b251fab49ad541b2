//! What a process predicts.
//!
//! Rasmussen and Williams (2006), equations 2.25 and 2.26: with `K = L L'`,
//! `k` the kernel between `x` and the data, `s` its variance,
//! `mean(x) = c + k' K^-1 (z - c)` and `variance(x) = s - |L^-1 k|^2`, of the
//! function without noise; then back to the outcomes' unit, the prior mean
//! added. Leaving one out: equations 5.10 to 5.12.

use faer::Mat;

use super::GaussianProcess;
use crate::linalg::dot;
use crate::{BoError, Result};

/// The variance is not let below this part of the kernel's variance: what
/// remains at a point of the data is cancellation.
pub(super) const MIN_VARIANCE: f64 = 1e-10;

/// Mean and variance of the function (without noise) at a point, in the
/// outcomes' unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Posterior {
    /// Expected value.
    pub mean: f64,
    /// Variance, positive.
    pub variance: f64,
}

/// A [`Posterior`] with the gradients of both numbers in the inputs.
#[derive(Debug, Clone, PartialEq)]
pub struct PosteriorGradient {
    /// Mean and variance.
    pub posterior: Posterior,
    /// Gradient of the mean, shape `d`.
    pub mean: Vec<f64>,
    /// Gradient of the variance, shape `d`.
    pub variance: Vec<f64>,
}

impl GaussianProcess {
    /// Mean and variance at `x` (shape `d`).
    ///
    /// # Errors
    /// [`BoError::Dimension`].
    pub fn predict(&self, x: &[f64]) -> Result<Posterior> {
        self.check(x)?;
        let mut k = vec![0.0; self.len()];
        self.covariances(&self.form.features.apply(x), &mut k);
        let mean = self.hyper.mean + dot(&k, &self.alpha);
        self.factor.forward(&mut k);
        Ok(self.posterior(x, mean, dot(&k, &k)))
    }

    /// Mean and variance at each of `points` (`q x d`), in one pass.
    ///
    /// # Errors
    /// [`BoError::Dimension`].
    pub fn predict_batch(&self, points: &[Vec<f64>]) -> Result<Vec<Posterior>> {
        let mut k = Mat::zeros(self.len(), points.len());
        let mut means = Vec::with_capacity(points.len());
        for (j, x) in points.iter().enumerate() {
            self.check(x)?;
            let column = k.col_as_slice_mut(j);
            self.covariances(&self.form.features.apply(x), column);
            means.push(self.hyper.mean + dot(column, &self.alpha));
        }
        self.factor.forward_columns(k.as_mut());
        let rows = points.iter().zip(means).enumerate();
        Ok(rows
            .map(|(j, (x, mean))| {
                let column = k.col_as_slice(j);
                self.posterior(x, mean, dot(column, column))
            })
            .collect())
    }

    /// Mean, variance and their gradients at `x` (shape `d`).
    ///
    /// # Errors
    /// [`BoError::Dimension`].
    pub fn predict_with_gradient(&self, x: &[f64]) -> Result<PosteriorGradient> {
        self.check(x)?;
        let query = self.form.features.apply(x);
        let s = self.hyper.outputscale;
        let mut slopes = vec![0.0; self.len()];
        let mut k = vec![0.0; self.len()];
        self.data
            .points
            .squared_distances(&self.weights, &query, 0, &mut slopes);
        self.kernel.values_and_derivatives(s, &mut slopes, &mut k);
        let mean = self.hyper.mean + dot(&k, &self.alpha);
        self.factor.forward(&mut k);
        let explained = dot(&k, &k);
        self.factor.backward(&mut k);

        // d k_i / d query = 2 slope_i w (query - x_i), w = 1 / l^2.
        for (k, slope) in k.iter_mut().zip(&slopes) {
            *k *= -4.0 * slope;
        }
        for (slope, alpha) in slopes.iter_mut().zip(&self.alpha) {
            *slope *= 2.0 * alpha;
        }
        let mut by_mean = vec![0.0; query.len()];
        let mut by_variance = vec![0.0; query.len()];
        self.data
            .points
            .weighted_differences(&slopes, &query, &mut by_mean);
        self.data
            .points
            .weighted_differences(&k, &query, &mut by_variance);
        let scale = self.form.outcome.scale;
        // Where the variance is clipped it is constant.
        let spread = if s - explained <= MIN_VARIANCE * s {
            0.0
        } else {
            scale * scale
        };
        for (c, w) in self.weights.iter().enumerate() {
            by_mean[c] *= scale * w;
            by_variance[c] *= spread * w;
        }
        let mut posterior = self.posterior_of_residual(mean, explained);
        let mut by_mean = self.form.features.pull_back(by_mean);
        if let Some(prior) = &self.form.prior_mean {
            let mut gradient = vec![0.0; x.len()];
            posterior.mean += prior.value_and_gradient(x, &mut gradient);
            for (sum, g) in by_mean.iter_mut().zip(&gradient) {
                *sum += g;
            }
        }
        Ok(PosteriorGradient {
            posterior,
            mean: by_mean,
            variance: self.form.features.pull_back(by_variance),
        })
    }

    /// What the process would predict of each observation (its noise included)
    /// without having seen it, with the hyperparameters as they are, in the
    /// outcomes' unit.
    #[must_use]
    pub fn leave_one_out(&self) -> Vec<Posterior> {
        let inverse = self.factor.inverse();
        let outcome = self.form.outcome;
        (0..self.len())
            .map(|i| {
                let precision = inverse[(i, i)];
                let z = self.data.z[i] - self.alpha[i] / precision;
                Posterior {
                    mean: outcome.undo_mean(z) + self.data.prior[i],
                    variance: outcome.undo_variance(1.0 / precision),
                }
            })
            .collect()
    }

    pub(super) fn check(&self, x: &[f64]) -> Result<()> {
        if x.len() == self.dim() {
            return Ok(());
        }
        Err(BoError::Dimension {
            what: "the point to predict at",
            found: x.len(),
            expected: self.dim(),
        })
    }

    /// The covariances of the function at `features` with the data, written to
    /// `out` (shape `n`).
    pub(super) fn covariances(&self, features: &[f64], out: &mut [f64]) {
        self.data
            .points
            .squared_distances(&self.weights, features, 0, out);
        self.kernel.values(self.hyper.outputscale, out);
    }

    /// In the outcomes' unit, at input `x`.
    fn posterior(&self, x: &[f64], mean: f64, explained: f64) -> Posterior {
        let mut posterior = self.posterior_of_residual(mean, explained);
        if let Some(prior) = &self.form.prior_mean {
            posterior.mean += prior.value(x);
        }
        posterior
    }

    /// The same without the prior mean.
    fn posterior_of_residual(&self, mean: f64, explained: f64) -> Posterior {
        let s = self.hyper.outputscale;
        let outcome = self.form.outcome;
        Posterior {
            mean: outcome.undo_mean(mean),
            variance: outcome.undo_variance((s - explained).max(MIN_VARIANCE * s)),
        }
    }
}
