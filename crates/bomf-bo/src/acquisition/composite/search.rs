//! Maxima on the simplex of functions that have no useful gradient.
//!
//! A pattern search (Lewis and Torczon, "Pattern search methods for linearly
//! constrained minimization", SIAM J. Optim. 10, 2000): from `w` step towards
//! each vertex, `w + h (e_i - w)`, and away from each, which takes weight from
//! one member; go to the best of them, halve `h` where none is better. At every
//! point of the simplex the directions `e_i - w` generate all that stay in it,
//! which is what such a method needs for convergence; the others are short cuts
//! (with `h` large enough a member drops out exactly).
//!
//! Of mixtures by block, each block takes its turn, and after them all together.

use rand::Rng;

use crate::optim::{Scored, SearchOptions, SearchSpace, candidates, sort};
use crate::space::{MixtureSpace, SimplexSpace};
use crate::{Acquisition, Result};

/// How finely to search.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PatternOptions {
    /// The first step, as a part of the whole weight.
    pub first_step: f64,
    /// Stop when the step falls below this: a change of a mixture that its
    /// objectives hardly show.
    pub last_step: f64,
    /// Largest number of sweeps over all directions (of every block).
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
    pattern_search_blocks(acquisition, start, 1, options)
}

/// [`pattern_search`] on points of so many blocks.
fn pattern_search_blocks(
    acquisition: &dyn Acquisition,
    start: &Scored,
    blocks: usize,
    options: &PatternOptions,
) -> Result<Scored> {
    let mut best = start.clone();
    let mut step = options.first_step;
    // With several blocks, a turn each and one of all together.
    let turns = if blocks == 1 { 1 } else { blocks + 1 };
    let (mut turn, mut in_vain) = (0, 0);
    for _ in 0..options.max_sweeps * turns {
        if !(step >= options.last_step && step > 0.0) {
            break;
        }
        let moves = match turn % turns {
            all if all == blocks => moves_together(&best.x, blocks, step),
            own => moves_of(&best.x, blocks, own, step),
        };
        turn += 1;
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
                in_vain = 0;
                // Where it went well it goes on.
                turn -= 1;
            }
            None => {
                in_vain += 1;
                if in_vain == turns {
                    step *= 0.5;
                    in_vain = 0;
                }
            }
        }
    }
    Ok(best)
}

/// The points of a sweep in block `own` alone.
fn moves_of(x: &[f64], blocks: usize, own: usize, step: f64) -> Vec<Vec<f64>> {
    let n = x.len() / blocks;
    let range = own * n..(own + 1) * n;
    let moved = moves(&x[range.clone()], step);
    let whole = |w: Vec<f64>| {
        let mut next = x.to_vec();
        next[range.clone()].copy_from_slice(&w);
        next
    };
    moved.into_iter().map(whole).collect()
}

/// The points of a sweep of all blocks alike: towards each member.
fn moves_together(x: &[f64], blocks: usize, step: f64) -> Vec<Vec<f64>> {
    let n = x.len() / blocks;
    let towards = |i| x.chunks_exact(n).flat_map(move |w| towards(w, i, step));
    (0..n).map(|i| towards(i).collect()).collect()
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
    search_mixtures(
        space,
        acquisition,
        incumbents,
        smooth,
        options,
        pattern,
        rng,
    )
}

/// [`search_simplex`] on any space of mixtures, by block too.
///
/// # Errors
/// As [`search_simplex`].
pub fn search_mixtures<S: MixtureSpace + SearchSpace, R: Rng + ?Sized>(
    space: &S,
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
        let blocks = space.blocks();
        let found = pattern_search_blocks(acquisition, &start, blocks, pattern)?;
        refined.push(found);
    }
    refined.append(&mut scored);
    sort(&mut refined);
    Ok(refined)
}
