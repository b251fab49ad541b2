//! The most probable hyperparameters, as for values alone.

use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use super::evidence::Evidence;
use super::{Data, DerivativeGp, DerivativeHyperparameters, DirectionalDerivative};
use crate::Result;
use crate::models::fit::{MEAN_BOUND, OUTPUTSCALE_BOUNDS};
use crate::models::search::{lengthscale_bounds, lowest, noise_bounds};
use crate::models::{GpOptions, Hyperparameters, Priors};
use crate::optim::BoxRegion;

/// A starting point's noise of derivatives, in units of the outcomes' variance
/// along a direction of length one: much, though not all.
const LOUD: f64 = 0.3;

impl DerivativeGp {
    /// The process whose hyperparameters have the largest posterior density,
    /// given inputs `x` (`n x d`), their outcomes `y` (`n`), and any number of
    /// derivatives. Both noises have the prior of the noise.
    ///
    /// The search starts from `warm`, if it is given and has as many
    /// lengthscales, and from further points, some drawn from `rng`. Each step
    /// costs `O(N^3)` in the number `N` of values and derivatives together.
    ///
    /// # Errors
    /// As [`Self::with_hyperparameters`].
    pub fn fit<R: Rng + ?Sized>(
        x: &[Vec<f64>],
        y: &[f64],
        derivatives: &[DirectionalDerivative],
        options: &GpOptions,
        warm: Option<&DerivativeHyperparameters>,
        rng: &mut R,
    ) -> Result<Self> {
        let data = Data::new(x, y, derivatives, options)?;
        let evidence = Evidence::new(
            &data.rows,
            &data.z,
            options.kernel,
            data.priors,
            data.per_dimension,
        );
        let p = evidence.lengthscales();
        let warm = warm.filter(|h| h.values.lengthscales.len() == p);
        let mut starts: Vec<Vec<f64>> = Vec::with_capacity(options.starts.max(1));
        starts.extend(warm.map(to_vector));
        // The priors' modes; with noisy derivatives, since from little noise the
        // search ends at short lengthscales that explain everything; then random
        // points.
        let quiet = typical(&data.priors, p);
        let mut loud = quiet.clone();
        loud[p + 3] = LOUD.ln();
        starts.push(quiet.clone());
        if !derivatives.is_empty() {
            starts.push(loud);
        }
        starts.truncate(options.starts.max(1));
        while starts.len() < options.starts {
            let mut v = quiet.clone();
            for l in &mut v[..p] {
                *l += rng.sample::<f64, _>(StandardNormal);
            }
            v[p + 1] += 2.0 * rng.sample::<f64, _>(StandardNormal);
            v[p + 3] *= rng.random::<f64>();
            starts.push(v);
        }
        let region = bounds(&data.priors, p);
        let v = lowest(&region, &starts, |v, gradient| {
            evidence.negative_log_posterior(v, gradient)
        });
        data.condition(options.kernel, from_vector(&v))
    }
}

/// Logarithms, and the mean.
fn to_vector(hyper: &DerivativeHyperparameters) -> Vec<f64> {
    let own = &hyper.values;
    let mut v: Vec<f64> = own.lengthscales.iter().map(|l| l.ln()).collect();
    v.extend([own.outputscale.ln(), own.noise.ln(), own.mean]);
    v.push(hyper.derivative_noise.ln());
    v
}

/// The inverse of [`to_vector`].
fn from_vector(v: &[f64]) -> DerivativeHyperparameters {
    let p = v.len() - 4;
    DerivativeHyperparameters {
        values: Hyperparameters {
            lengthscales: v[..p].iter().map(|l| l.exp()).collect(),
            outputscale: v[p].exp(),
            noise: v[p + 1].exp(),
            mean: v[p + 2],
        },
        derivative_noise: v[p + 3].exp(),
    }
}

fn typical(priors: &Priors, p: usize) -> Vec<f64> {
    let mut v = vec![priors.lengthscale.log_mode(); p];
    let noise = priors.noise.log_mode();
    v.extend([0.0, noise, 0.0, noise]);
    v
}

fn bounds(priors: &Priors, p: usize) -> BoxRegion {
    let (short, long) = lengthscale_bounds(priors);
    let (quiet, loud) = noise_bounds(priors);
    let (low, high) = match priors.outputscale {
        Some(_) => OUTPUTSCALE_BOUNDS,
        None => (1.0, 1.0),
    };
    let mut lower = vec![short; p];
    let mut upper = vec![long; p];
    lower.extend([low.ln(), quiet, -MEAN_BOUND, quiet]);
    upper.extend([high.ln(), loud, MEAN_BOUND, loud]);
    BoxRegion { lower, upper }
}
