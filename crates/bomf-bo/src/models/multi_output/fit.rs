//! The most probable shared hyperparameters.
//!
//! The outputs' scales and the hyperparameters are found in turns: the scales
//! of residuals whitened by the kernel (its best ones, given the kernel), then
//! the kernel given the residuals over their scales, through their `n x n` Gram
//! matrix (`evidence`).

use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use super::evidence::Evidence;
use super::{Data, MeanFunction, MultiOutputGp, SharedHyperparameters};
use crate::Result;
use crate::models::search::{lengthscale_bounds, lowest, noise_bounds};
use crate::models::{GpOptions, Priors};
use crate::optim::BoxRegion;

/// Turns of scales and hyperparameters: the first scales know nothing of the
/// kernel, those of the second do.
const TURNS: usize = 2;

impl<M: MeanFunction> MultiOutputGp<M> {
    /// The process whose hyperparameters have the largest posterior density,
    /// around `mean`, given inputs `x` (`n x d`) and outputs `y` (`n x p`).
    ///
    /// Each step of the search costs `O(n^3)` whatever `p` is. It starts from
    /// `warm`, if it is given and has as many lengthscales, and from further
    /// points, some drawn from `rng`. Of `options` the kernel, the lengthscales
    /// (`None`: one for all coordinates), the metric, the number of starts, and
    /// of the priors those of lengthscale and noise count.
    ///
    /// # Errors
    /// As [`Self::with_hyperparameters`].
    pub fn fit<Y: AsRef<[f64]>, R: Rng + ?Sized>(
        x: &[Vec<f64>],
        y: &[Y],
        mean: M,
        options: &GpOptions,
        warm: Option<&SharedHyperparameters>,
        rng: &mut R,
    ) -> Result<Self> {
        let data = Data::new(x, y, &mean, options)?;
        let p = data.lengthscales();
        let priors = data.priors;
        let region = bounds(&priors, p);
        let mut scales = data.scales(&data.residuals);
        let mut evidence = Evidence::new(
            &data.features_of_x,
            data.anchors,
            data.gram(&scales),
            options.kernel,
            priors,
            data.per_dimension,
        );
        let warm = warm.filter(|h| h.lengthscales.len() == p);
        let mut starts: Vec<Vec<f64>> = Vec::with_capacity(options.starts.max(1));
        starts.extend(warm.map(to_vector));
        while starts.len() < options.starts.max(1) {
            let mut v = typical(&priors, p);
            // The first of them is the priors' mode itself.
            if starts.len() > usize::from(warm.is_some()) {
                for l in &mut v[..p] {
                    *l += rng.sample::<f64, _>(StandardNormal);
                }
                v[p] += 2.0 * rng.sample::<f64, _>(StandardNormal);
            }
            starts.push(v);
        }

        let mut hyper = from_vector(&starts[0]);
        for _ in 0..TURNS {
            evidence.set(data.gram(&scales), data.outputs, &to_vector(&hyper));
            let v = lowest(&region, &starts, |v, gradient| {
                evidence.negative_log_posterior(v, gradient)
            });
            hyper = from_vector(&v);
            scales = data.scales(&data.factor(options.kernel, &hyper)?.whitened);
            // What is left to do starts where this ended.
            starts = vec![v];
        }
        data.condition(mean, options.kernel, hyper)
    }
}

/// Logarithms.
fn to_vector(hyper: &SharedHyperparameters) -> Vec<f64> {
    let mut v: Vec<f64> = hyper.lengthscales.iter().map(|l| l.ln()).collect();
    v.push(hyper.noise.ln());
    v
}

/// The inverse of [`to_vector`].
fn from_vector(v: &[f64]) -> SharedHyperparameters {
    let p = v.len() - 1;
    SharedHyperparameters {
        lengthscales: v[..p].iter().map(|l| l.exp()).collect(),
        noise: v[p].exp(),
    }
}

/// A starting point: the modes of the priors.
fn typical(priors: &Priors, p: usize) -> Vec<f64> {
    let mut v = vec![priors.lengthscale.log_mode(); p];
    v.push(priors.noise.log_mode());
    v
}

fn bounds(priors: &Priors, p: usize) -> BoxRegion {
    let (low, high) = lengthscale_bounds(priors);
    let (quiet, loud) = noise_bounds(priors);
    let list = |own: f64, noise: f64| {
        let mut v = vec![own; p];
        v.push(noise);
        v
    };
    BoxRegion {
        lower: list(low, quiet),
        upper: list(high, loud),
    }
}
