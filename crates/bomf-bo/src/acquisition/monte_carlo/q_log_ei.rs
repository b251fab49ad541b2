//! Logarithms of the expected improvement with pending points, over a known
//! best value or over noisy baseline points.
//!
//! `qEI(x) = E[max(0, f(x) - max(best, f(X_pending)))]` and
//! `qNEI(x) = E[max(0, f(x) - max(f(X_baseline), f(X_pending)))]` (Balandat et
//! al., "BoTorch", NeurIPS 2020, appendix; Letham, Karrer, Ottoni and Bakshy,
//! "Constrained Bayesian optimization with noisy experiments", Bayesian Analysis
//! 14, 2019, equation 5; logarithms: Ament et al. 2023, section 4). BoTorch
//! counts the pending points' own improvement too; that is a constant, and
//! leaving it out keeps the logarithm's gradient from drowning in it.
//! Given a sample of the rest, the new point's expectation is in closed form
//! ([`conditional`](super::conditional)).

use rand::Rng;

use super::conditional::{Conditioned, Given, Slopes, Utility, acquisition_by};
use super::samples::{SampleOptions, Samples};
use crate::Result;
use crate::acquisition::normal::{log_h, log_h_with_ratios};
use crate::models::GaussianProcess;

/// The logarithm of the expected amount by which the function exceeds `best` and
/// its unknown values at pending points (qLogEI).
#[derive(Debug, Clone)]
pub struct QLogEi<'a> {
    inner: Conditioned<'a, Improvement>,
}

impl<'a> QLogEi<'a> {
    /// Improvement over `best` and `pending` (`p x d`), under `model`.
    ///
    /// # Errors
    /// [`crate::BoError::Dimension`]; [`crate::BoError::Option`] for zero
    /// samples; [`crate::BoError::NotPositiveDefinite`].
    pub fn new<R: Rng + ?Sized>(
        model: &'a GaussianProcess,
        best: f64,
        pending: &[Vec<f64>],
        options: &SampleOptions,
        rng: &mut R,
    ) -> Result<Self> {
        let models = std::slice::from_ref(model);
        let samples = Samples::draw(models, &[], pending, options, rng)?;
        Ok(Self {
            inner: Improvement::over(samples, best),
        })
    }
}

/// The logarithm of the expected amount by which the function exceeds its own
/// values, known with noise, at baseline points, and its unknown ones at pending
/// points (qLogNEI).
#[derive(Debug, Clone)]
pub struct QLogNei<'a> {
    inner: Conditioned<'a, Improvement>,
}

impl<'a> QLogNei<'a> {
    /// Improvement over `baseline` (`n x d`, not empty) and `pending` (`p x d`),
    /// under `model`.
    ///
    /// # Errors
    /// As [`QLogEi::new`]; [`crate::BoError::NoData`] if there is no baseline.
    pub fn new<R: Rng + ?Sized>(
        model: &'a GaussianProcess,
        baseline: &[Vec<f64>],
        pending: &[Vec<f64>],
        options: &SampleOptions,
        rng: &mut R,
    ) -> Result<Self> {
        if baseline.is_empty() {
            return Err(crate::BoError::NoData);
        }
        let models = std::slice::from_ref(model);
        let samples = Samples::draw(models, baseline, pending, options, rng)?;
        Ok(Self {
            inner: Improvement::over(samples, f64::NEG_INFINITY),
        })
    }

    /// Number of samples of the best value; 1 where it is known.
    #[must_use]
    pub fn samples(&self) -> usize {
        self.inner.samples.count
    }
}

/// The value to exceed in each sample.
#[derive(Debug, Clone)]
struct Improvement {
    best: Vec<f64>,
}

impl Improvement {
    fn over(samples: Samples<'_>, best: f64) -> Conditioned<'_, Self> {
        let best = (0..samples.count)
            .map(|s| {
                samples
                    .outcomes(s)
                    .iter()
                    .map(|y| y[0])
                    .fold(best, f64::max)
            })
            .collect();
        Conditioned {
            samples,
            utility: Self { best },
        }
    }
}

impl Utility for Improvement {
    type Work = ();

    fn log_values(&self, given: &Given<'_>, logs: &mut [f64], (): &mut ()) {
        let sigma = given.sigma[0];
        for ((log, mean), best) in logs.iter_mut().zip(given.means).zip(&self.best) {
            *log = sigma.ln() + log_h((mean - best) / sigma);
        }
    }

    fn derivatives(&self, given: &Given<'_>, logs: &mut [f64], slopes: &mut Slopes, (): &mut ()) {
        self.far(given, logs, slopes);
    }

    fn far(&self, given: &Given<'_>, logs: &mut [f64], slopes: &mut Slopes) {
        let sigma = given.sigma[0];
        for (s, best) in self.best.iter().enumerate() {
            let (log, a, b) = log_h_with_ratios((given.means[s] - best) / sigma);
            logs[s] = sigma.ln() + log;
            slopes.by_mean[s] = a / sigma;
            slopes.by_sigma[s] = b / sigma;
        }
    }
}

acquisition_by!(QLogEi);
acquisition_by!(QLogNei);
