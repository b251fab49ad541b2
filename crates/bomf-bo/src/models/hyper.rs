//! Hyperparameters and their prior densities.
//!
//! The lengthscales' prior is that of Hvarfner, Hellsten and Nardi, "Vanilla
//! Bayesian optimization performs great in high dimensions", ICML 2024, section
//! 4: LogNormal with location `sqrt(2) + ln(d) / 2` and scale `sqrt(3)`, for
//! inputs in the unit cube: it grows with the diagonal, so that the complexity
//! a priori does not depend on the dimension. The noise's is wide, location -6
//! and scale 2 (BoTorch: -4 and 1): it leaves a deterministic function nearly
//! free of noise at few observations, and a noisy one is told by its data. All
//! are in units of standardised outcomes.

use serde::{Deserialize, Serialize};

use super::Shrinkage;

/// The hyperparameters of a process, in units of inputs and *standardised*
/// outcomes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hyperparameters {
    /// Lengthscales: one, or one a coordinate (or group of coordinates).
    pub lengthscales: Vec<f64>,
    /// The kernel's variance.
    pub outputscale: f64,
    /// The noise's variance.
    pub noise: f64,
    /// The constant prior mean.
    pub mean: f64,
}

impl Hyperparameters {
    /// The vector that the fit searches: logarithms, and the mean.
    pub(super) fn to_vector(&self) -> Vec<f64> {
        let mut v: Vec<f64> = self.lengthscales.iter().map(|l| l.ln()).collect();
        v.extend([self.outputscale.ln(), self.noise.ln(), self.mean]);
        v
    }

    /// The inverse of [`Self::to_vector`] for `p` lengthscales; what follows
    /// the mean is left out.
    pub(super) fn from_vector(v: &[f64], p: usize) -> Self {
        Self {
            lengthscales: v[..p].iter().map(|l| l.exp()).collect(),
            outputscale: v[p].exp(),
            noise: v[p + 1].exp(),
            mean: v[p + 2],
        }
    }
}

/// A log-normal density: `ln x` is normal.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LogNormal {
    /// Mean of `ln x`.
    pub location: f64,
    /// Standard deviation of `ln x`.
    pub scale: f64,
}

impl LogNormal {
    /// Log density at `x = exp(log_x)` up to a constant, and its derivative in
    /// `log_x`.
    pub(super) fn log_density(self, log_x: f64) -> (f64, f64) {
        let z = (log_x - self.location) / self.scale;
        (-log_x - 0.5 * z * z, -1.0 - z / self.scale)
    }

    /// The logarithm of the most probable `x`.
    pub(super) fn log_mode(self) -> f64 {
        self.location - self.scale * self.scale
    }
}

/// Prior densities and bounds of the hyperparameters.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Priors {
    /// Of each lengthscale.
    pub lengthscale: LogNormal,
    /// If given, the lengthscales' density instead, for many inputs of which
    /// few matter; [`Self::lengthscale`] still says where they are searched.
    pub shrinkage: Option<Shrinkage>,
    /// Of the kernel's variance; `None` holds it at 1.
    pub outputscale: Option<LogNormal>,
    /// Of the noise's variance.
    pub noise: LogNormal,
    /// Smallest noise variance. A part per million of the outcomes' variance
    /// keeps the kernel matrix of a deterministic function well-conditioned.
    pub min_noise: f64,
    /// Standard deviation of the prior mean's normal density, around zero.
    pub mean_scale: f64,
}

impl Priors {
    /// Those for `d` inputs in the unit cube.
    #[must_use]
    pub fn scaled(d: f64) -> Self {
        Self {
            lengthscale: LogNormal {
                location: std::f64::consts::SQRT_2 + 0.5 * d.max(1.0).ln(),
                scale: 3.0_f64.sqrt(),
            },
            shrinkage: None,
            outputscale: Some(LogNormal {
                location: 0.0,
                scale: 1.0,
            }),
            noise: LogNormal {
                location: -6.0,
                scale: 2.0,
            },
            min_noise: 1e-6,
            mean_scale: 1.0,
        }
    }

    /// As [`Self::scaled`], with lengthscales that shrink to irrelevance unless
    /// the data speak for them: [`Shrinkage::default`].
    #[must_use]
    pub fn sparse(d: f64) -> Self {
        Self {
            shrinkage: Some(Shrinkage::default()),
            ..Self::scaled(d)
        }
    }

    /// The log density at the fit's vector `v` with `p` lengthscales, up to a
    /// constant; its gradient is added to `gradient`.
    pub(super) fn add_log_density(&self, v: &[f64], p: usize, gradient: &mut [f64]) -> f64 {
        let mut total = 0.0;
        if let Some(shrinkage) = self.shrinkage {
            let (lengths, by_tau) = gradient.split_at_mut(p + 3);
            total += shrinkage.add_log_density(&v[..p], v[p + 3], &mut lengths[..p], by_tau);
        }
        let mut add = |at: usize, (value, derivative): (f64, f64)| {
            total += value;
            gradient[at] += derivative;
        };
        if self.shrinkage.is_none() {
            for (l, log_length) in v[..p].iter().enumerate() {
                add(l, self.lengthscale.log_density(*log_length));
            }
        }
        if let Some(prior) = self.outputscale {
            add(p, prior.log_density(v[p]));
        }
        add(p + 1, self.noise.log_density(v[p + 1]));
        let scaled = v[p + 2] / self.mean_scale;
        add(p + 2, (-0.5 * scaled * scaled, -scaled / self.mean_scale));
        total
    }
}
