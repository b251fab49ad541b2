//! A function drawn from the posterior, as a formula.
//!
//! Matheron's rule (Wilson, Borovitskiy, Terenin, Mostowsky and Deisenroth,
//! "Efficiently sampling functions from Gaussian process posteriors", ICML 2020,
//! equations 10 and 13): a function from the prior plus what the data correct,
//! `f(x) = c + p(x) + k(x, X) K^-1 (z - c - p(X) - noise)`.
//! The prior's function is a sum of random Fourier features (Rahimi and Recht
//! 2007), `p(x) = sqrt(2 s / L) sum_l w_l cos(omega_l' x + b_l)`, with `omega` from
//! the kernel's spectral density: normal for the RBF kernel, Student's t with 5
//! degrees of freedom for Matérn-5/2 (Rasmussen and Williams 2006, equation 4.15).
//! The correction uses the exact kernel, so that the path meets the data.

use rand::{Rng, RngExt};
use rand_distr::{ChiSquared, StandardNormal};

use super::{GaussianProcess, Kernel};
use crate::Result;
use crate::linalg::{axpy, dot};

/// A sampled function of `d` inputs, in the outcomes' unit.
#[derive(Debug, Clone)]
pub struct SamplePath<'a> {
    model: &'a GaussianProcess,
    /// `omega`, `L x k` by rows, over the lengthscales.
    frequencies: Vec<f64>,
    /// `b`, shape `L`.
    phases: Vec<f64>,
    /// `sqrt(2 s / L) w`, shape `L`.
    weights: Vec<f64>,
    /// `K^-1 (z - c - p(X) - noise)`, shape `n`.
    correction: Vec<f64>,
}

/// Degrees of freedom of Matérn-5/2's spectral density.
const DEGREES: f64 = 5.0;

impl<'a> SamplePath<'a> {
    /// One path of `model` with `features` (`L`, at least 1) Fourier features;
    /// 512 are plenty.
    pub fn draw<R: Rng + ?Sized>(model: &'a GaussianProcess, features: usize, rng: &mut R) -> Self {
        let count = features.max(1);
        let hyper = &model.hyper;
        let scale = (2.0 * hyper.outputscale / count as f64).sqrt();
        let mut frequencies = Vec::with_capacity(count * model.weights.len());
        let mut phases = Vec::with_capacity(count);
        let mut weights = Vec::with_capacity(count);
        for _ in 0..count {
            let stretch = match (model.kernel, ChiSquared::new(DEGREES)) {
                (Kernel::Matern52, Ok(chi)) => (DEGREES / rng.sample::<f64, _>(chi)).sqrt(),
                _ => 1.0,
            };
            frequencies.extend(
                model
                    .weights
                    .iter()
                    .map(|w| stretch * w.sqrt() * rng.sample::<f64, _>(StandardNormal)),
            );
            phases.push(rng.random::<f64>() * std::f64::consts::TAU);
            weights.push(scale * rng.sample::<f64, _>(StandardNormal));
        }
        let mut path = Self {
            model,
            frequencies,
            phases,
            weights,
            correction: Vec::new(),
        };
        // alpha is K^-1 (z - c) already.
        let mut rest: Vec<f64> = (0..model.len())
            .map(|i| {
                let noise = model.data.noise.variance(i, hyper.noise).sqrt();
                let prior = path.prior(&model.data.points.point(i));
                prior + noise * rng.sample::<f64, _>(StandardNormal)
            })
            .collect();
        model.factor.solve(&mut rest);
        path.correction = model.alpha.iter().zip(rest).map(|(a, r)| a - r).collect();
        path
    }

    /// Number of inputs `d`.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.model.dim()
    }

    /// The value at `x` (shape `d`).
    ///
    /// # Errors
    /// [`crate::BoError::Dimension`].
    pub fn value(&self, x: &[f64]) -> Result<f64> {
        let model = self.model;
        model.check(x)?;
        let features = model.form.features.apply(x);
        let mut k = vec![0.0; model.len()];
        model.covariances(&features, &mut k);
        let z = model.hyper.mean + self.prior(&features) + dot(&k, &self.correction);
        let prior = model.form.prior_mean.as_ref().map_or(0.0, |p| p.value(x));
        Ok(model.form.outcome.undo_mean(z) + prior)
    }

    /// The value at `x` (shape `d`); its gradient is written to `gradient`.
    ///
    /// # Errors
    /// [`crate::BoError::Dimension`].
    pub fn value_and_gradient(&self, x: &[f64], gradient: &mut [f64]) -> Result<f64> {
        let model = self.model;
        model.check(x)?;
        let query = model.form.features.apply(x);
        let width = query.len();
        let mut slopes = vec![0.0; model.len()];
        let mut k = vec![0.0; model.len()];
        let points = &model.data.points;
        points.squared_distances(&model.weights, &query, 0, &mut slopes);
        model
            .kernel
            .values_and_derivatives(model.hyper.outputscale, &mut slopes, &mut k);
        let mut z = model.hyper.mean + dot(&k, &self.correction);
        // d k_i / d query = 2 slope_i w (query - x_i), w = 1 / l^2.
        for (slope, c) in slopes.iter_mut().zip(&self.correction) {
            *slope *= 2.0 * c;
        }
        let mut by_query = vec![0.0; width];
        points.weighted_differences(&slopes, &query, &mut by_query);
        for (g, w) in by_query.iter_mut().zip(&model.weights) {
            *g *= w;
        }
        let features = self.frequencies.chunks_exact(width);
        for ((omega, phase), weight) in features.zip(&self.phases).zip(&self.weights) {
            let (sine, cosine) = (dot(omega, &query) + phase).sin_cos();
            z += weight * cosine;
            axpy(-weight * sine, omega, &mut by_query);
        }
        let by_inputs = model.form.features.pull_back(by_query);
        let mut value = model.form.outcome.undo_mean(z);
        gradient.fill(0.0);
        if let Some(prior) = &model.form.prior_mean {
            value += prior.value_and_gradient(x, gradient);
        }
        axpy(model.form.outcome.scale, &by_inputs, gradient);
        Ok(value)
    }

    /// `p` at features.
    fn prior(&self, query: &[f64]) -> f64 {
        self.frequencies
            .chunks_exact(query.len())
            .zip(&self.phases)
            .zip(&self.weights)
            .map(|((omega, phase), weight)| weight * (dot(omega, query) + phase).cos())
            .sum()
    }
}
