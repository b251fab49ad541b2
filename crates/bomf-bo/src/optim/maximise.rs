//! The best-scored points of a whole space.
//!
//! Many candidates are scored in one vectorised pass; the best of them that do
//! not lie together are refined by [`minimise`](super::minimise()) (and, in
//! discrete coordinates, by local search). This is BoTorch's `optimize_acqf`
//! with candidates that also come from around the incumbents, where Ament et
//! al. (2023, section 5) find most good starting points.

use rand::Rng;

use super::{Region, SolverOptions, minimise};
use crate::error::expect_length;
use crate::space::Space;
use crate::{Acquisition, Result};

/// How hard to search.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct SearchOptions {
    /// Number of candidates scored in the first pass.
    pub raw_samples: usize,
    /// How many of them are refined.
    pub restarts: usize,
    /// When a refinement stops. Values are logarithms, so a gain of `1e-6` is
    /// a millionth of the acquisition's value.
    pub solver: SolverOptions,
}

impl Default for SearchOptions {
    fn default() -> Self {
        Self {
            raw_samples: 1024,
            restarts: 10,
            solver: SolverOptions {
                max_iterations: 60,
                gradient_tolerance: 1e-5,
                value_tolerance: 1e-6,
                ..SolverOptions::default()
            },
        }
    }
}

/// A point in a space's coordinates with its acquisition value.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    /// The coordinates, shape `d`.
    pub x: Vec<f64>,
    /// The value.
    pub value: f64,
}

/// A space that an acquisition function can be maximised over.
pub trait SearchSpace: Space {
    /// About `count` points worth scoring (`count x d`): spread over the space
    /// and its boundary, and around `incumbents` (`k x d`), best first.
    fn candidates<R: Rng + ?Sized>(
        &self,
        incumbents: &[Vec<f64>],
        count: usize,
        rng: &mut R,
    ) -> Vec<Vec<f64>>;

    /// A local maximum from `start`.
    ///
    /// # Errors
    /// Those of the acquisition function.
    fn refine(
        &self,
        acquisition: &dyn Acquisition,
        start: &Scored,
        options: &SolverOptions,
    ) -> Result<Scored>;
}

/// Two starting points closer than this (Euclid's distance over the square
/// root of the dimension) would climb the same hill.
const APART: f64 = 0.02;

/// The refined points and the best raw candidates, best first; never empty.
///
/// # Errors
/// [`crate::BoError::Dimension`] if the acquisition function has another number of
/// inputs than the space, and the function's own errors.
pub fn maximise<S: SearchSpace, R: Rng + ?Sized>(
    space: &S,
    acquisition: &dyn Acquisition,
    incumbents: &[Vec<f64>],
    options: &SearchOptions,
    rng: &mut R,
) -> Result<Vec<Scored>> {
    let mut scored = candidates(space, acquisition, incumbents, options, rng)?;
    let mut starts: Vec<usize> = Vec::new();
    for (i, candidate) in scored.iter().enumerate() {
        if starts.len() == options.restarts {
            break;
        }
        let near = |k: &usize| distance(&scored[*k].x, &candidate.x) < APART;
        if !starts.iter().any(near) {
            starts.push(i);
        }
    }
    let mut best = Vec::with_capacity(scored.len() + starts.len());
    for i in starts {
        best.push(space.refine(acquisition, &scored[i], &options.solver)?);
    }
    best.append(&mut scored);
    sort(&mut best);
    Ok(best)
}

/// The space's candidates with their values (NaN is the worst there is), best first.
///
/// # Errors
/// As [`maximise`].
pub(crate) fn candidates<S: SearchSpace, R: Rng + ?Sized>(
    space: &S,
    acquisition: &dyn Acquisition,
    incumbents: &[Vec<f64>],
    options: &SearchOptions,
    rng: &mut R,
) -> Result<Vec<Scored>> {
    expect_length("the acquisition function", acquisition.dim(), space.dim())?;
    let points = space.candidates(incumbents, options.raw_samples.max(1), rng);
    let values = acquisition.values(&points)?;
    let scored = points.into_iter().zip(values).map(|(x, value)| {
        let value = if value.is_nan() {
            f64::NEG_INFINITY
        } else {
            value
        };
        Scored { x, value }
    });
    let mut scored: Vec<Scored> = scored.collect();
    sort(&mut scored);
    Ok(scored)
}

/// Best first; equals keep their order.
pub(crate) fn sort(points: &mut [Scored]) {
    points.sort_by(|a, b| b.value.total_cmp(&a.value));
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    let squares: f64 = a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum();
    (squares / a.len().max(1) as f64).sqrt()
}

/// Ascent on a region.
pub(super) fn ascend(
    acquisition: &dyn Acquisition,
    region: &impl Region,
    start: &Scored,
    options: &SolverOptions,
) -> Result<Scored> {
    let mut failure = None;
    let found = minimise(
        region,
        |x, gradient| match acquisition.value_and_gradient(x, gradient) {
            Ok(value) => {
                gradient.iter_mut().for_each(|g| *g = -*g);
                -value
            }
            Err(error) => {
                failure = Some(error);
                f64::INFINITY
            }
        },
        &start.x,
        options,
    );
    match failure {
        Some(error) => Err(error),
        None => Ok(Scored {
            x: found.x,
            value: -found.value,
        }),
    }
}
