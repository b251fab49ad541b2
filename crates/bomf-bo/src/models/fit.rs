//! The most probable hyperparameters.

use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use super::evidence::Evidence;
use super::{Hyperparameters, Priors};
use crate::optim::{BoxRegion, SolverOptions, minimise};

/// Lengthscales are searched within these factors of the prior's median, which
/// in `d` dimensions is `4.1 sqrt(d)`: from a fortieth part of the cube's side
/// to far longer than any data can tell.
const LENGTHSCALE_BOUNDS: (f64, f64) = (0.006, 30.0);

/// The kernel's variance is searched in these bounds, in units of the outcomes'
/// variance.
const OUTPUTSCALE_BOUNDS: (f64, f64) = (0.01, 100.0);

/// The largest noise variance in units of the outcomes' variance: all noise.
const MAX_NOISE: f64 = 2.0;

/// The constant mean stays within so many standard deviations of the outcomes.
const MEAN_BOUND: f64 = 5.0;

/// The shrinkage's global scale is searched within these factors of its own
/// scale: with `d` inputs the mode lies near or above a `d`-th part of it.
const TAU_BOUNDS: (f64, f64) = (1e-4, 1e3);

/// Iterations of one start: more change the fit by less than new data will.
const ITERATIONS: usize = 60;

/// The best of several local searches: from `warm`, from the priors' modes,
/// and from random points, `starts` together.
pub(super) fn fit<R: Rng + ?Sized>(
    evidence: &mut Evidence<'_>,
    priors: &Priors,
    warm: Option<&Hyperparameters>,
    starts: usize,
    rng: &mut R,
) -> Hyperparameters {
    let p = evidence.lengthscales();
    let region = bounds(priors, p);
    let options = SolverOptions {
        max_iterations: ITERATIONS,
        gradient_tolerance: 1e-3,
        value_tolerance: 1e-6,
        first_step: 0.5,
        ..SolverOptions::default()
    };

    let warm = warm.filter(|h| h.lengthscales.len() == p);
    let mut best: Option<(f64, Vec<f64>)> = None;
    for start in 0..starts.max(1) {
        let mut v = typical(priors, p);
        match (start, warm) {
            (0, Some(warm)) => v[..p + 3].copy_from_slice(&warm.to_vector()),
            (0, None) | (1, Some(_)) => {}
            _ => {
                for l in &mut v[..p] {
                    *l += rng.sample::<f64, _>(StandardNormal);
                }
                v[p + 1] += 2.0 * rng.sample::<f64, _>(StandardNormal);
            }
        }
        let found = minimise(
            &region,
            |v, gradient| evidence.negative_log_posterior(v, gradient),
            &v,
            &options,
        );
        if best.as_ref().is_none_or(|(value, _)| found.value < *value) {
            best = Some((found.value, found.x));
        }
    }
    let v = best.map_or_else(|| typical(priors, p), |(_, v)| v);
    Hyperparameters::from_vector(&v, p)
}

/// A starting point: the mode of the lengthscales' prior, a little noise.
fn typical(priors: &Priors, p: usize) -> Vec<f64> {
    let mut v = vec![priors.lengthscale.log_mode(); p];
    v.extend([0.0, priors.noise.log_mode(), 0.0]);
    v.extend(priors.shrinkage.map(|s| s.scale.ln()));
    v
}

fn bounds(priors: &Priors, p: usize) -> BoxRegion {
    let median = priors.lengthscale.location;
    let mut lower = vec![median + LENGTHSCALE_BOUNDS.0.ln(); p];
    let mut upper = vec![median + LENGTHSCALE_BOUNDS.1.ln(); p];
    let (low, high) = match priors.outputscale {
        Some(_) => OUTPUTSCALE_BOUNDS,
        None => (1.0, 1.0),
    };
    lower.extend([low.ln(), priors.min_noise.ln(), -MEAN_BOUND]);
    upper.extend([high.ln(), MAX_NOISE.max(priors.min_noise).ln(), MEAN_BOUND]);
    if let Some(shrinkage) = priors.shrinkage {
        lower.push((TAU_BOUNDS.0 * shrinkage.scale).ln());
        upper.push((TAU_BOUNDS.1 * shrinkage.scale).ln());
    }
    BoxRegion { lower, upper }
}
