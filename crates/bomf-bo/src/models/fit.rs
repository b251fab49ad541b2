//! The most probable hyperparameters.

use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use super::data::Observed;
use super::evidence::Evidence;
use super::{Hyperparameters, Kernel, Priors};
use crate::optim::{BoxRegion, Minimum, SolverOptions, minimise};

/// Lengthscales are searched within these factors of the prior's median, which
/// in `d` dimensions is `4.1 sqrt(d)`: from a fortieth part of the cube's side
/// to far longer than any data can tell.
pub(super) const LENGTHSCALE_BOUNDS: (f64, f64) = (0.006, 30.0);

/// The kernel's variance is searched in these bounds, in units of the outcomes'
/// variance.
pub(super) const OUTPUTSCALE_BOUNDS: (f64, f64) = (0.01, 100.0);

/// The largest noise variance in units of the outcomes' variance: all noise.
pub(super) const MAX_NOISE: f64 = 2.0;

/// The constant mean stays within so many standard deviations of the outcomes.
pub(super) const MEAN_BOUND: f64 = 5.0;

/// The shrinkage's global scale is searched within these factors of its own
/// scale: with `d` inputs the mode lies near or above a `d`-th part of it.
const TAU_BOUNDS: (f64, f64) = (1e-4, 1e3);

/// When a local search stops: more changes the fit by less than new data will.
const SOLVER: SolverOptions = SolverOptions {
    max_iterations: 60,
    gradient_tolerance: 1e-3,
    value_tolerance: 1e-6,
    memory: 8,
    first_step: 0.5,
};

/// With more observations than this, a fit from a warm start looks for another
/// optimum only once in [`CHECK`] times: by then there is seldom one, and it is
/// what costs most.
const MANY: usize = 32;

/// See [`MANY`].
const CHECK: u32 = 4;

/// With more observations than this, starting points other than the warm one
/// are first followed on a subset of so many, and only the best is taken up on
/// all data: an evaluation costs `n^3`.
const SUBSET: usize = 256;

/// Lengthscales of the second starting point over the prior's median.
const SMOOTH: f64 = 0.4;

/// The noise's variance of the second starting point, in units of the outcomes'
/// variance.
const MUCH_NOISE: f64 = 0.2;

/// The best of several local searches: from `warm`, from a smooth function
/// with little noise and one with much, and from random points, `starts` together.
pub(super) fn fit<R: Rng + ?Sized>(
    data: &Observed,
    groups: &[usize],
    kernel: Kernel,
    priors: &Priors,
    warm: Option<&Hyperparameters>,
    starts: usize,
    rng: &mut R,
) -> Hyperparameters {
    let n = data.z.len();
    let mut all = Evidence::new(data, groups, kernel, priors);
    let p = all.lengthscales();
    let region = bounds(priors, p);
    let descend = |evidence: &mut Evidence<'_>, start: &[f64]| {
        let f = |v: &[f64], gradient: &mut [f64]| evidence.negative_log_posterior(v, gradient);
        minimise(&region, f, start, &SOLVER)
    };

    let mut best: Option<Minimum> = None;
    let warm = warm.filter(|h| h.lengthscales.len() == p);
    if let Some(warm) = warm {
        let mut v = typical(priors, p);
        v[..p + 3].copy_from_slice(&warm.to_vector());
        best = Some(descend(&mut all, &v));
    }
    let others = starts.max(1) - usize::from(warm.is_some());
    if warm.is_none() || n <= MANY || rng.random_ratio(1, CHECK) {
        let part = (n > SUBSET).then(|| data.subset(SUBSET));
        let mut few = part
            .as_ref()
            .map(|part| Evidence::new(part, groups, kernel, priors));
        let mut other: Option<Minimum> = None;
        for start in 0..others {
            let v = match start {
                0 => typical(priors, p),
                1 => noisy(priors, p),
                _ => random(priors, p, rng),
            };
            let found = descend(few.as_mut().unwrap_or(&mut all), &v);
            other = better(other, found);
        }
        if let Some(found) = other {
            let found = match few {
                Some(_) => descend(&mut all, &found.x),
                None => found,
            };
            best = better(best, found);
        }
    }
    let v = best.map_or_else(|| typical(priors, p), |m| m.x);
    Hyperparameters::from_vector(&v, p)
}

/// The lower of two minima, the first of equals.
fn better(best: Option<Minimum>, found: Minimum) -> Option<Minimum> {
    match best {
        Some(best) if best.value <= found.value => Some(best),
        _ => Some(found),
    }
}

/// A starting point: the mode of the lengthscales' prior, a little noise.
fn typical(priors: &Priors, p: usize) -> Vec<f64> {
    let mut v = vec![priors.lengthscale.log_mode(); p];
    v.extend([0.0, priors.noise.log_mode(), 0.0]);
    v.extend(priors.shrinkage.map(|s| s.scale.ln()));
    v
}

/// The other explanation of rough data: a smooth function and much noise. A
/// search that starts with little noise and short lengthscales often ends in
/// fitting the noise, at a far lower density.
fn noisy(priors: &Priors, p: usize) -> Vec<f64> {
    let mut v = typical(priors, p);
    v[..p].fill(priors.lengthscale.location + SMOOTH.ln());
    v[p + 1] = MUCH_NOISE.ln();
    v
}

/// Around the first two, and beyond.
fn random<R: Rng + ?Sized>(priors: &Priors, p: usize, rng: &mut R) -> Vec<f64> {
    let mut v = if rng.random() {
        typical(priors, p)
    } else {
        noisy(priors, p)
    };
    for l in &mut v[..p] {
        *l += rng.sample::<f64, _>(StandardNormal);
    }
    v[p + 1] += 2.0 * rng.sample::<f64, _>(StandardNormal);
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
