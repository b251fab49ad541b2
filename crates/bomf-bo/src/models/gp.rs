//! The fitted process and its predictions.
//!
//! Rasmussen and Williams (2006), equations 2.25 and 2.26: with `K = L L'`,
//! `k` the kernel between `x` and the data, `s` its variance,
//! `mean(x) = c + k' K^-1 (z - c)` and `variance(x) = s - |L^-1 k|^2`, of the
//! function without noise; then back to the outcomes' unit.

use faer::Mat;
use rand::Rng;

use super::evidence::Evidence;
use super::features::Features;
use super::{GpOptions, Hyperparameters, Kernel, Lengthscales, Priors, Standardiser, fit};
use crate::linalg::{Cholesky, axpy, dot};
use crate::{BoError, Result};

/// The variance is not let below this part of the kernel's variance: what
/// remains at a point of the data is cancellation.
const MIN_VARIANCE: f64 = 1e-10;

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

/// An exact Gaussian process, conditioned on data.
#[derive(Debug, Clone)]
pub struct GaussianProcess {
    features: Features,
    kernel: Kernel,
    hyper: Hyperparameters,
    outcome: Standardiser,
    /// `1 / l` of each feature.
    inverse_lengths: Vec<f64>,
    /// The data's features over their lengthscales, `n x k` by rows.
    scaled: Vec<f64>,
    factor: Cholesky,
    /// `K^-1 (z - c)`.
    alpha: Vec<f64>,
    log_likelihood: f64,
}

impl GaussianProcess {
    /// The process whose hyperparameters have the largest posterior density
    /// given inputs `x` (`n x d`) and outcomes `y` (`n`).
    ///
    /// The search starts from `warm` (say, the last fit), if it is given and
    /// has as many lengthscales, and from further points, some drawn from `rng`.
    /// Duplicated inputs, constant outcomes and a single observation are fine.
    ///
    /// # Errors
    /// [`BoError::NoData`], [`BoError::NotFinite`], [`BoError::Dimension`], or
    /// [`BoError::NotPositiveDefinite`].
    pub fn fit<R: Rng + ?Sized>(
        x: &[Vec<f64>],
        y: &[f64],
        options: &GpOptions,
        warm: Option<&Hyperparameters>,
        rng: &mut R,
    ) -> Result<Self> {
        let data = Data::new(x, y, options)?;
        let per_dimension = data.per_dimension;
        let evidence = Evidence::new(
            &data.features_of_x,
            &data.z,
            options.kernel,
            data.priors,
            per_dimension,
        );
        let hyper = fit::fit(&evidence, &data.priors, warm, options.starts, rng);
        data.condition(options.kernel, hyper)
    }

    /// The process with given hyperparameters, in units of the inputs and of
    /// the standardised outcomes.
    ///
    /// # Errors
    /// As [`Self::fit`]; [`BoError::Dimension`] also for a wrong number of
    /// lengthscales, [`BoError::Option`] for values that are not positive.
    pub fn with_hyperparameters(
        x: &[Vec<f64>],
        y: &[f64],
        options: &GpOptions,
        hyper: Hyperparameters,
    ) -> Result<Self> {
        let data = Data::new(x, y, options)?;
        let expected = if data.per_dimension {
            data.features.len()
        } else {
            1
        };
        if hyper.lengthscales.len() != expected {
            return Err(BoError::Dimension {
                what: "the list of lengthscales",
                found: hyper.lengthscales.len(),
                expected,
            });
        }
        let positive = [("outputscale", hyper.outputscale), ("noise", hyper.noise)];
        let lengths = hyper.lengthscales.iter().map(|l| ("lengthscale", *l));
        for (option, value) in lengths.chain(positive) {
            if !(value > 0.0 && value.is_finite()) {
                return Err(BoError::Option {
                    option,
                    value,
                    range: "the positive numbers",
                });
            }
        }
        data.condition(options.kernel, hyper)
    }

    /// Mean and variance at `x` (shape `d`).
    ///
    /// # Errors
    /// [`BoError::Dimension`].
    pub fn predict(&self, x: &[f64]) -> Result<Posterior> {
        self.check(x)?;
        let query = self.query(x);
        let mut k: Vec<f64> = self
            .rows()
            .map(|row| self.hyper.outputscale * self.kernel.value(distance2(row, &query)))
            .collect();
        let mean = self.hyper.mean + dot(&k, &self.alpha);
        self.factor.forward(&mut k);
        Ok(self.posterior(mean, dot(&k, &k)))
    }

    /// Mean and variance at each of `points` (`q x d`), in one pass.
    ///
    /// # Errors
    /// [`BoError::Dimension`].
    pub fn predict_batch(&self, points: &[Vec<f64>]) -> Result<Vec<Posterior>> {
        let n = self.alpha.len();
        let mut k = Mat::zeros(n, points.len());
        let mut means = Vec::with_capacity(points.len());
        for (j, x) in points.iter().enumerate() {
            self.check(x)?;
            let query = self.query(x);
            let mut mean = self.hyper.mean;
            for (i, row) in self.rows().enumerate() {
                let value = self.hyper.outputscale * self.kernel.value(distance2(row, &query));
                k[(i, j)] = value;
                mean += value * self.alpha[i];
            }
            means.push(mean);
        }
        self.factor.forward_columns(k.as_mut());
        Ok(means
            .into_iter()
            .enumerate()
            .map(|(j, mean)| {
                let explained = (0..n).map(|i| k[(i, j)] * k[(i, j)]).sum();
                self.posterior(mean, explained)
            })
            .collect())
    }

    /// Mean, variance and their gradients at `x` (shape `d`).
    ///
    /// # Errors
    /// [`BoError::Dimension`].
    pub fn predict_with_gradient(&self, x: &[f64]) -> Result<PosteriorGradient> {
        self.check(x)?;
        let query = self.query(x);
        let s = self.hyper.outputscale;
        let (mut k, slopes): (Vec<f64>, Vec<f64>) = self
            .rows()
            .map(|row| {
                let (v, d) = self.kernel.value_and_derivative(distance2(row, &query));
                (s * v, s * d)
            })
            .unzip();
        let mean = self.hyper.mean + dot(&k, &self.alpha);
        self.factor.forward(&mut k);
        let explained = dot(&k, &k);
        self.factor.backward(&mut k);

        // d k_i / d query = 2 slope_i (query - row_i), in scaled features.
        let width = query.len();
        let (mut mean_sum, mut variance_sum) = (0.0, 0.0);
        let (mut mean_rows, mut variance_rows) = (vec![0.0; width], vec![0.0; width]);
        for (i, row) in self.rows().enumerate() {
            let a = 2.0 * slopes[i] * self.alpha[i];
            let b = -4.0 * slopes[i] * k[i];
            mean_sum += a;
            variance_sum += b;
            axpy(a, row, &mut mean_rows);
            axpy(b, row, &mut variance_rows);
        }
        let clipped = s - explained <= MIN_VARIANCE * s;
        let scale = self.outcome.scale;
        for c in 0..width {
            let length = self.inverse_lengths[c];
            mean_rows[c] = scale * length * (mean_sum * query[c] - mean_rows[c]);
            variance_rows[c] = if clipped {
                0.0
            } else {
                scale * scale * length * (variance_sum * query[c] - variance_rows[c])
            };
        }
        Ok(PosteriorGradient {
            posterior: self.posterior(mean, explained),
            mean: self.features.pull_back(mean_rows),
            variance: self.features.pull_back(variance_rows),
        })
    }

    /// The hyperparameters, for a warm start of the next fit.
    #[must_use]
    pub fn hyperparameters(&self) -> &Hyperparameters {
        &self.hyper
    }

    /// Log marginal likelihood of the standardised outcomes, without priors.
    #[must_use]
    pub fn log_likelihood(&self) -> f64 {
        self.log_likelihood
    }

    /// The outcomes' transform.
    #[must_use]
    pub fn outcome(&self) -> Standardiser {
        self.outcome
    }

    /// Number of inputs `d`.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.features.inputs()
    }

    fn check(&self, x: &[f64]) -> Result<()> {
        if x.len() == self.dim() {
            return Ok(());
        }
        Err(BoError::Dimension {
            what: "the point to predict at",
            found: x.len(),
            expected: self.dim(),
        })
    }

    fn query(&self, x: &[f64]) -> Vec<f64> {
        let mut query = self.features.apply(x);
        for (q, l) in query.iter_mut().zip(&self.inverse_lengths) {
            *q *= l;
        }
        query
    }

    fn rows(&self) -> impl Iterator<Item = &[f64]> {
        self.scaled.chunks_exact(self.inverse_lengths.len())
    }

    fn posterior(&self, mean: f64, explained: f64) -> Posterior {
        let s = self.hyper.outputscale;
        Posterior {
            mean: self.outcome.undo_mean(mean),
            variance: self
                .outcome
                .undo_variance((s - explained).max(MIN_VARIANCE * s)),
        }
    }
}

/// `|a - b|^2`.
fn distance2(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

/// Checked and transformed data.
struct Data {
    features: Features,
    features_of_x: Vec<Vec<f64>>,
    z: Vec<f64>,
    outcome: Standardiser,
    priors: Priors,
    per_dimension: bool,
}

impl Data {
    fn new(x: &[Vec<f64>], y: &[f64], options: &GpOptions) -> Result<Self> {
        let first = x.first().ok_or(BoError::NoData)?;
        if x.len() != y.len() {
            return Err(BoError::Dimension {
                what: "the list of outcomes",
                found: y.len(),
                expected: x.len(),
            });
        }
        let features = match &options.metric {
            Some(gram) => Features::Linear(gram.clone()),
            None => Features::Identity(first.len()),
        };
        let d = features.inputs();
        for (index, (x, y)) in x.iter().zip(y).enumerate() {
            if x.len() != d || d == 0 {
                return Err(BoError::Dimension {
                    what: "an input",
                    found: x.len(),
                    expected: d,
                });
            }
            if let Some(&value) = x.iter().find(|v| !v.is_finite()) {
                let what = "an input";
                return Err(BoError::NotFinite { what, index, value });
            }
            if !y.is_finite() {
                let (what, value) = ("the outcome", *y);
                return Err(BoError::NotFinite { what, index, value });
            }
        }
        let outcome = Standardiser::fit(y);
        Ok(Self {
            features_of_x: x.iter().map(|x| features.apply(x)).collect(),
            z: y.iter().map(|y| outcome.apply(*y)).collect(),
            outcome,
            priors: options.priors.unwrap_or_else(|| Priors::scaled(d as f64)),
            per_dimension: options.lengthscales != Some(Lengthscales::Isotropic)
                && options.metric.is_none(),
            features,
        })
    }

    fn condition(self, kernel: Kernel, hyper: Hyperparameters) -> Result<GaussianProcess> {
        let n = self.z.len();
        let width = self.features.len();
        let inverse_lengths: Vec<f64> = (0..width)
            .map(|c| 1.0 / hyper.lengthscales[if self.per_dimension { c } else { 0 }])
            .collect();
        let scaled: Vec<f64> = self
            .features_of_x
            .iter()
            .flat_map(|row| row.iter().zip(&inverse_lengths).map(|(v, l)| v * l))
            .collect();
        let row = |i: usize| &scaled[i * width..(i + 1) * width];
        let mut k = Mat::zeros(n, n);
        for i in 0..n {
            for j in 0..i {
                k[(i, j)] = hyper.outputscale * kernel.value(distance2(row(i), row(j)));
            }
            k[(i, i)] = hyper.outputscale + hyper.noise;
        }
        let factor = Cholesky::new(&k)?;
        let error: Vec<f64> = self.z.iter().map(|z| z - hyper.mean).collect();
        let mut alpha = error.clone();
        factor.solve(&mut alpha);
        let constant = n as f64 * (2.0 * std::f64::consts::PI).ln();
        let log_likelihood = -0.5 * (dot(&error, &alpha) + factor.log_det() + constant);
        Ok(GaussianProcess {
            features: self.features,
            kernel,
            hyper,
            outcome: self.outcome,
            inverse_lengths,
            scaled,
            factor,
            alpha,
            log_likelihood,
        })
    }
}
