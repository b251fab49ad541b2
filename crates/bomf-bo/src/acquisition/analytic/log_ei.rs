//! Logarithm of the expected improvement.
//!
//! `LogEI(x) = ln(sigma) + ln h((mu - best) / sigma)`, `h(z) = phi(z) + z Phi(z)`
//! (Ament et al., NeurIPS 2023, equations 8 and 9; the expected improvement
//! itself is Jones, Schonlau and Welch 1998, equation 15).

use crate::acquisition::normal::{log_h, log_h_with_ratios};
use crate::models::{GaussianProcess, Posterior};
use crate::{Acquisition, Result};

/// The logarithm of the expected amount by which the function (without noise)
/// exceeds `best`.
#[derive(Debug, Clone)]
pub struct LogEi<'a> {
    model: &'a GaussianProcess,
    best: f64,
}

impl<'a> LogEi<'a> {
    /// Improvement over `best`, under `model`.
    #[must_use]
    pub fn new(model: &'a GaussianProcess, best: f64) -> Self {
        Self { model, best }
    }

    fn value(&self, p: Posterior) -> f64 {
        let sigma = p.variance.sqrt();
        sigma.ln() + log_h((p.mean - self.best) / sigma)
    }
}

impl Acquisition for LogEi<'_> {
    fn dim(&self) -> usize {
        self.model.dim()
    }

    fn values(&self, points: &[Vec<f64>]) -> Result<Vec<f64>> {
        let posteriors = self.model.predict_batch(points)?;
        Ok(posteriors.into_iter().map(|p| self.value(p)).collect())
    }

    fn value_and_gradient(&self, x: &[f64], gradient: &mut [f64]) -> Result<f64> {
        let p = self.model.predict_with_gradient(x)?;
        let sigma = p.posterior.variance.sqrt();
        let z = (p.posterior.mean - self.best) / sigma;
        let (log, by_mean, by_sigma) = log_h_with_ratios(z);
        // d LogEI / d mu = Phi / (sigma h), d LogEI / d sigma = phi / (sigma h),
        // d sigma / d x = d variance / d x / (2 sigma).
        let from_mean = by_mean / sigma;
        let from_variance = by_sigma / (2.0 * p.posterior.variance);
        for (i, g) in gradient.iter_mut().enumerate() {
            *g = from_mean * p.mean[i] + from_variance * p.variance[i];
        }
        Ok(sigma.ln() + log)
    }
}
