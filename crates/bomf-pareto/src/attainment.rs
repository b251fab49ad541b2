//! What several runs of a randomised optimiser attain: the empirical attainment
//! function.
//!
//! Grunert da Fonseca, Fonseca and Hall, "Inferential performance assessment of
//! stochastic optimisers and the attainment function", EMO 2001. A run *attains*
//! a goal `y` if one of its points weakly dominates it; `alpha(y)` is the part
//! of the runs that attain `y`. The goals that at least `k` of `n` runs attain
//! are again a region below a front, the attainment surface of level `k`: level
//! 1 is what the best of the runs reach together, level `n` what every run
//! reaches, the level in the middle what a typical run does.
//!
//! In two objectives a surface is found in one sweep (Fonseca, Guerreiro,
//! Lopez-Ibanez and Paquete, "On the computation of the empirical attainment
//! function", EMO 2011): down the first objective, with the height in the
//! second that each run has reached so far; its corners are where the `k`-th
//! largest height rises.

use crate::dominance::{check_rows, weakly_dominates};
use crate::{ParetoError, Result};

/// The part of `runs` (each `n_i x m`, all maximised) of which some point is at
/// least as good as `goal` (`m`) in every objective. NaN for no runs.
///
/// # Errors
/// [`ParetoError::Dimension`] if a row has another length than `goal`.
pub fn attainment<P: AsRef<[f64]>>(runs: &[Vec<P>], goal: &[f64]) -> Result<f64> {
    let mut attained = 0;
    for run in runs {
        check_rows(run, goal.len())?;
        attained += usize::from(run.iter().any(|y| weakly_dominates(y.as_ref(), goal)));
    }
    Ok(attained as f64 / runs.len() as f64)
}

/// The corners of the surface that at least `level` of `runs` (each `n_i x m`,
/// all maximised) attain: the non-dominated ones among the goals attained by so
/// many, in descending order of the first objective. None if no goal is.
///
/// One or two objectives; more are refused. A run without points (each without
/// a NaN) attains nothing, but counts as a run. `O(N log N + N n)` for `N`
/// points in `n` runs.
///
/// # Errors
/// [`ParetoError::Level`] if `level` is not among `1..=n`,
/// [`ParetoError::Objectives`] for more than two objectives,
/// [`ParetoError::Dimension`] if the rows differ in length.
///
/// ```
/// use bomf_pareto::attainment_surface;
///
/// let runs = [vec![[3.0, 1.0], [1.0, 3.0]], vec![[2.0, 2.0]]];
/// assert_eq!(attainment_surface(&runs, 1)?, [[3.0, 1.0], [2.0, 2.0], [1.0, 3.0]]);
/// assert_eq!(attainment_surface(&runs, 2)?, [[2.0, 1.0], [1.0, 2.0]]);
/// # Ok::<(), bomf_pareto::ParetoError>(())
/// ```
pub fn attainment_surface<P: AsRef<[f64]>>(runs: &[Vec<P>], level: usize) -> Result<Vec<Vec<f64>>> {
    if level == 0 || level > runs.len() {
        return Err(ParetoError::Level {
            level,
            runs: runs.len(),
        });
    }
    let first = runs.iter().flatten().next();
    let m = first.map_or(0, |y| y.as_ref().len());
    if m > 2 {
        return Err(ParetoError::Objectives {
            found: m,
            supported: 2,
        });
    }
    for run in runs {
        check_rows(run, m)?;
    }
    // A single objective is swept as if it were the second one.
    let mut points: Vec<(f64, f64, usize)> = Vec::new();
    for (run, rows) in runs.iter().enumerate() {
        for y in rows.iter().map(AsRef::as_ref) {
            match *y {
                [b] if !b.is_nan() => points.push((0.0, b, run)),
                [a, b] if !a.is_nan() && !b.is_nan() => points.push((a, b, run)),
                _ => {}
            }
        }
    }
    let corners = sweep(points, runs.len(), level);
    Ok(corners
        .into_iter()
        .map(|(a, b)| if m == 1 { vec![b] } else { vec![a, b] })
        .collect())
}

/// The surface of the median run: that of level `ceil(n / 2)` (with an even
/// number of runs, the better half attains it).
///
/// # Errors
/// As [`attainment_surface`].
pub fn median_attainment<P: AsRef<[f64]>>(runs: &[Vec<P>]) -> Result<Vec<Vec<f64>>> {
    attainment_surface(runs, runs.len().div_ceil(2))
}

/// Corners of the level's surface from points and their runs.
fn sweep(mut points: Vec<(f64, f64, usize)>, runs: usize, level: usize) -> Vec<(f64, f64)> {
    points.sort_by(|a, b| b.0.total_cmp(&a.0));
    // What each run has reached, and the same in descending order; `None`:
    // nothing yet (an infinity is a value).
    let mut reached: Vec<Option<f64>> = vec![None; runs];
    let mut heights: Vec<f64> = Vec::with_capacity(runs);
    let mut corners: Vec<(f64, f64)> = Vec::new();
    for (at, (x, y, run)) in points.iter().enumerate() {
        if reached[*run].is_none_or(|old| *y > old) {
            if let Some(old) = reached[*run] {
                let place = heights.partition_point(|h| *h > old);
                heights.remove(place);
            }
            let place = heights.partition_point(|h| *h > *y);
            heights.insert(place, *y);
            reached[*run] = Some(*y);
        }
        // Not before all points with this first value are in.
        if points.get(at + 1).is_some_and(|next| next.0 == *x) {
            continue;
        }
        if let Some(&height) = heights.get(level - 1)
            && corners.last().is_none_or(|last| height > last.1)
        {
            corners.push((*x, height));
        }
    }
    corners
}
