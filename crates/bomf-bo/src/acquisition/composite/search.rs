//! Maxima on the simplex of functions that have no useful gradient.
//!
//! A pattern search (Lewis and Torczon, "Pattern search methods for linearly
//! constrained minimization", SIAM J. Optim. 10, 2000): from `w` step towards
//! each vertex, `w + h (e_i - w)`, and away from each, which takes weight from
//! one member; go to the best of them, halve `h` where none is better. At every
//! point of the simplex the directions `e_i - w` generate all that stay in it,
//! which is what such a method needs for convergence; the others are short cuts
//! (with `h` large enough a member drops out exactly).

use rand::Rng;

use crate::optim::{Scored, SearchOptions, SearchSpace, candidates, sort};
use crate::space::SimplexSpace;
use crate::{Acquisition, Result};

/// How finely to search.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PatternOptions {
    /// The first step, as a part of the whole weight.
    pub first_step: f64,
    /// Stop when the step falls below this: a change of a mixture that its
    /// objectives hardly show.
    pub last_step: f64,
    /// Largest number of sweeps over all directions.
    pub max_sweeps: usize,
}

impl Default for PatternOptions {
    fn default() -> Self {
        Self {
            first_step: 0.25,
            last_step: 0.01,
            max_sweeps: 30,
        }
    }
}

/// A local maximum of `acquisition`'s values on the simplex, from `start`.
/// Never worse than `start`.
///
/// # Errors
/// Those of the acquisition function.
pub fn pattern_search(
    acquisition: &dyn Acquisition,
    start: &Scored,
    options: &PatternOptions,
) -> Result<Scored> {
    let mut best = start.clone();
    let mut step = options.first_step;
    for _ in 0..options.max_sweeps {
        if !(step >= options.last_step && step > 0.0) {
            break;
        }
        let moves = moves(&best.x, step);
        let values = acquisition.values(&moves)?;
        let mut better: Option<(usize, f64)> = None;
        for (i, value) in values.into_iter().enumerate() {
            if value > better.map_or(best.value, |(_, v)| v) {
                better = Some((i, value));
            }
        }
        match better {
            Some((i, value)) => {
                let x = moves[i].clone();
                best = Scored { x, value };
            }
            None => step *= 0.5,
        }
    }
    Ok(best)
}

/// The points of one sweep.
fn moves(w: &[f64], step: f64) -> Vec<Vec<f64>> {
    let mut points = Vec::with_capacity(2 * w.len());
    for i in 0..w.len() {
        if w[i] < 1.0 {
            points.push(towards(w, i, step));
        }
        if w[i] > 0.0 && w[i] < 1.0 {
            // w_i + t (w_i - 1) = 0 at the longest step.
            let longest = w[i] / (1.0 - w[i]);
            points.push(towards(w, i, -step.min(longest)));
        }
    }
    points
}

/// `w + t (e_i - w)`, rounding kept off the bounds.
fn towards(w: &[f64], i: usize, t: f64) -> Vec<f64> {
    let mut next: Vec<f64> = w.iter().map(|v| (1.0 - t) * v).collect();
    next[i] = (next[i] + t).max(0.0);
    if next[i] < f64::EPSILON {
        next[i] = 0.0;
    }
    let sum: f64 = next.iter().sum();
    next.iter_mut().for_each(|v| *v /= sum);
    next
}

/// The best-scored points of the simplex, best first, never empty, by
/// candidates, [`pattern_search`] from the best of them, and, with `smooth`,
/// ascent along the gradient before that.
///
/// # Errors
/// [`crate::BoError::Dimension`] if the acquisition function has another number of
/// inputs than the space, and the function's own errors.
pub fn search_simplex<R: Rng + ?Sized>(
    space: &SimplexSpace,
    acquisition: &dyn Acquisition,
    incumbents: &[Vec<f64>],
    smooth: bool,
    options: &SearchOptions,
    pattern: &PatternOptions,
    rng: &mut R,
) -> Result<Vec<Scored>> {
    let mut scored = candidates(space, acquisition, incumbents, options, rng)?;
    let mut refined = Vec::with_capacity(scored.len() + options.restarts);
    for start in scored.iter().take(options.restarts) {
        let start = if smooth {
            space.refine(acquisition, start, &options.solver)?
        } else {
            start.clone()
        };
        refined.push(pattern_search(acquisition, &start, pattern)?);
    }
    refined.append(&mut scored);
    sort(&mut refined);
    Ok(refined)
}
