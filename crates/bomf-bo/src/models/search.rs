//! The best of several local searches for hyperparameters.

use super::Priors;
use super::fit::{LENGTHSCALE_BOUNDS, MAX_NOISE};
use crate::optim::{BoxRegion, SolverOptions, minimise};

/// Iterations of one start: more change the fit by less than new data will.
const ITERATIONS: usize = 60;

/// The point of the lowest `value_and_gradient` that the searches from `starts`
/// find in `region`; of equals the first, and the first start where none can
/// be evaluated.
pub(super) fn lowest(
    region: &BoxRegion,
    starts: &[Vec<f64>],
    mut value_and_gradient: impl FnMut(&[f64], &mut [f64]) -> f64,
) -> Vec<f64> {
    let options = SolverOptions {
        max_iterations: ITERATIONS,
        gradient_tolerance: 1e-3,
        value_tolerance: 1e-6,
        first_step: 0.5,
        ..SolverOptions::default()
    };
    let mut best: Option<(f64, Vec<f64>)> = None;
    for start in starts {
        let found = minimise(region, &mut value_and_gradient, start, &options);
        if best.as_ref().is_none_or(|(value, _)| found.value < *value) {
            best = Some((found.value, found.x));
        }
    }
    best.map_or_else(Vec::new, |(_, x)| x)
}

/// Lower and upper bound of a log lengthscale.
pub(super) fn lengthscale_bounds(priors: &Priors) -> (f64, f64) {
    let median = priors.lengthscale.location;
    (
        median + LENGTHSCALE_BOUNDS.0.ln(),
        median + LENGTHSCALE_BOUNDS.1.ln(),
    )
}

/// Lower and upper bound of a log noise variance.
pub(super) fn noise_bounds(priors: &Priors) -> (f64, f64) {
    (priors.min_noise.ln(), MAX_NOISE.max(priors.min_noise).ln())
}
