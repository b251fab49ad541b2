//! Probabilities that a constraint holds or that an evaluation succeeds.
//!
//! With models of the constraints that are independent of those of the objectives
//! the expectation of "improvement where feasible" is the product of improvement
//! and probability of feasibility (Gardner, Kusner, Xu, Weinberger and Cunningham,
//! "Bayesian optimization with inequality constraints", ICML 2014, equation 5; as a
//! logarithm: Ament et al. 2023, section 4.4): no smoothed indicator is needed.
//! What is improved on must then be the best of the feasible evaluations.

use rand::Rng;

use super::normal::{log_cumulative, log_density};
use crate::models::{GaussianProcess, GpOptions, Hyperparameters, Posterior};
use crate::{Acquisition, BoError, Result};

/// The logarithm of the probability that an outcome is at most a bound, under its
/// model: `ln Phi((bound - mu) / sigma)`.
#[derive(Debug, Clone)]
pub struct LogFeasibility<'a> {
    model: &'a GaussianProcess,
    bound: f64,
}

impl<'a> LogFeasibility<'a> {
    /// That the function of `model` (without noise) is at most `bound`.
    #[must_use]
    pub fn at_most(model: &'a GaussianProcess, bound: f64) -> Self {
        Self { model, bound }
    }
}

impl Acquisition for LogFeasibility<'_> {
    fn dim(&self) -> usize {
        self.model.dim()
    }

    fn values(&self, points: &[Vec<f64>]) -> Result<Vec<f64>> {
        let value = |p: Posterior| log_cumulative((self.bound - p.mean) / p.variance.sqrt());
        Ok(self
            .model
            .predict_batch(points)?
            .into_iter()
            .map(value)
            .collect())
    }

    fn value_and_gradient(&self, x: &[f64], gradient: &mut [f64]) -> Result<f64> {
        log_probit(self.model, x, gradient, |p| {
            let sigma = p.variance.sqrt();
            let z = (self.bound - p.mean) / sigma;
            (z, -1.0 / sigma, -0.5 * z / p.variance)
        })
    }
}

/// `ln Phi(z)` at `x`, where `z` and its derivatives in mean and variance are
/// given by a function of the posterior.
fn log_probit(
    model: &GaussianProcess,
    x: &[f64],
    gradient: &mut [f64],
    z: impl Fn(Posterior) -> (f64, f64, f64),
) -> Result<f64> {
    let p = model.predict_with_gradient(x)?;
    let (z, by_mean, by_variance) = z(p.posterior);
    let log = log_cumulative(z);
    let ratio = (log_density(z) - log).exp();
    for (i, g) in gradient.iter_mut().enumerate() {
        *g = ratio * (by_mean * p.mean[i] + by_variance * p.variance[i]);
    }
    Ok(log)
}

/// The logarithm of the probability that an evaluation succeeds, from the
/// evaluations that did and did not.
///
/// Least-squares classification (Rasmussen and Williams 2006, section 6.5): a
/// Gaussian process is fitted to labels 0 and 1, and
/// `P(success) = Phi((mu - 1/2) / sqrt(sigma^2 + s^2))`, where `s^2` is the learned
/// noise of the labels, and at least their largest possible variance shared out
/// among the failures: one failure does not forbid its place, which may have been
/// bad luck, but many that fill a region do. As long as nothing has failed the
/// probability is one.
#[derive(Debug, Clone)]
pub struct LogSuccess {
    dim: usize,
    /// The labels' model, and the variance `s^2`.
    model: Option<(GaussianProcess, f64)>,
}

/// The largest variance of a label of 0 or 1.
const LABEL_VARIANCE: f64 = 0.25;

impl LogSuccess {
    /// From all evaluations told: their places `x` (`n x d`) and whether they
    /// `succeeded` (`n`). `warm` is a former [`Self::hyperparameters`].
    ///
    /// # Errors
    /// As [`GaussianProcess::fit`].
    pub fn fit<R: Rng + ?Sized>(
        x: &[Vec<f64>],
        succeeded: &[bool],
        options: &GpOptions,
        warm: Option<&Hyperparameters>,
        rng: &mut R,
    ) -> Result<Self> {
        Self::labelled(x, succeeded, |labels| {
            GaussianProcess::fit(x, labels, options, warm, rng)
        })
    }

    /// With the model that `fit` makes of the labels, where there is a failure.
    pub(crate) fn labelled(
        x: &[Vec<f64>],
        succeeded: &[bool],
        fit: impl FnOnce(&[f64]) -> Result<GaussianProcess>,
    ) -> Result<Self> {
        let dim = x.first().ok_or(BoError::NoData)?.len();
        let labels: Vec<f64> = succeeded.iter().map(|s| f64::from(u8::from(*s))).collect();
        let failures = succeeded.iter().filter(|s| !**s).count();
        let model = if failures == 0 {
            None
        } else {
            let model = fit(&labels)?;
            let learned = model.outcome().undo_variance(model.hyperparameters().noise);
            Some((model, learned.max(LABEL_VARIANCE / failures as f64)))
        };
        Ok(Self { dim, model })
    }

    /// The hyperparameters, for a warm start of the next fit; `None` as long as
    /// nothing has failed.
    #[must_use]
    pub fn hyperparameters(&self) -> Option<&Hyperparameters> {
        self.model
            .as_ref()
            .map(|(model, _)| model.hyperparameters())
    }

    fn z(p: Posterior, noise: f64) -> (f64, f64, f64) {
        let variance = p.variance + noise;
        let z = (p.mean - 0.5) / variance.sqrt();
        (z, 1.0 / variance.sqrt(), -0.5 * z / variance)
    }
}

impl Acquisition for LogSuccess {
    fn dim(&self) -> usize {
        self.dim
    }

    fn values(&self, points: &[Vec<f64>]) -> Result<Vec<f64>> {
        let Some((model, noise)) = &self.model else {
            return Ok(vec![0.0; points.len()]);
        };
        let value = |p| log_cumulative(Self::z(p, *noise).0);
        Ok(model
            .predict_batch(points)?
            .into_iter()
            .map(value)
            .collect())
    }

    fn value_and_gradient(&self, x: &[f64], gradient: &mut [f64]) -> Result<f64> {
        let Some((model, noise)) = &self.model else {
            gradient.fill(0.0);
            return Ok(0.0);
        };
        log_probit(model, x, gradient, |p| Self::z(p, *noise))
    }
}
