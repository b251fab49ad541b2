//! The R2 indicator and the directions for it.
//!
//! Brockhoff, Wagner and Trautmann, "On the properties of the R2 indicator",
//! GECCO 2012, definition 2, for maximisation and with the Tchebycheff utility:
//! `R2(Y; W, z) = mean over w in W of min over y in Y of max_j w_j (z_j - y_j)`,
//! `z` an ideal point. (They take the absolute value of the difference, which
//! is the same where `z` is not below any point.)

use super::finite;
use crate::dominance::check_rows;
use crate::{ParetoError, Result};

/// The R2 indicator of `points` (`n x m`, all maximised) under `weights`
/// (`k x m`, not negative, for example of [`simplex_lattice`]) and the ideal
/// point `ideal` (`m`). The smaller the better; in the unit of the objectives
/// times that of the weights.
///
/// A dominated point changes nothing. Infinity if no point is finite.
///
/// # Errors
/// [`ParetoError::ReferencePoint`] if the ideal point is empty or not finite,
/// [`ParetoError::Dimension`] if a row has another length,
/// [`ParetoError::Weight`] for a weight that is negative or not finite,
/// [`ParetoError::NoReference`] without any weights.
pub fn r2<P: AsRef<[f64]>, W: AsRef<[f64]>>(
    points: &[P],
    weights: &[W],
    ideal: &[f64],
) -> Result<f64> {
    crate::dominance::check_reference(ideal)?;
    check_rows(points, ideal.len())?;
    check_rows(weights, ideal.len())?;
    if weights.is_empty() {
        return Err(ParetoError::NoReference);
    }
    for (index, w) in weights.iter().enumerate() {
        if let Some(&value) = w.as_ref().iter().find(|w| !(w.is_finite() && **w >= 0.0)) {
            return Err(ParetoError::Weight { index, value });
        }
    }
    let points = finite(points);
    let loss = |y: &[f64], w: &[f64]| {
        let terms = w.iter().zip(ideal).zip(y).map(|((w, z), y)| w * (z - y));
        terms.fold(f64::NEG_INFINITY, f64::max)
    };
    let sum: f64 = weights
        .iter()
        .map(|w| {
            points
                .iter()
                .map(|y| loss(y, w.as_ref()))
                .fold(f64::INFINITY, f64::min)
        })
        .sum();
    Ok(sum / weights.len() as f64)
}

/// All weights `(i_1, .., i_m) / h` with whole `i_j >= 0` and sum `h`: the
/// `C(h + m - 1, m - 1)` points of the simplex lattice (Das and Dennis,
/// "Normal-boundary intersection", SIAM J. Optimization 8, 1998), ascending in
/// lexicographic order, each of shape `m`.
///
/// No objective gives no weights. No division (`h = 0`) gives the centre.
#[must_use]
pub fn simplex_lattice(m: usize, h: usize) -> Vec<Vec<f64>> {
    let mut lattice = Vec::new();
    if m == 0 {
        return lattice;
    }
    if h == 0 {
        return vec![vec![1.0 / m as f64; m]];
    }
    // Counts one up, first place slowest; the last place takes what is left.
    let mut counts = vec![0; m];
    counts[m - 1] = h;
    loop {
        lattice.push(counts.iter().map(|c| *c as f64 / h as f64).collect());
        // What is right of the place that goes up moves to the last one.
        let Some(place) = (0..m - 1)
            .rev()
            .find(|&j| counts[j + 1..].iter().any(|c| *c > 0))
        else {
            return lattice;
        };
        let rest: usize = counts[place + 1..].iter().sum();
        counts[place] += 1;
        counts[place + 1..].fill(0);
        counts[m - 1] = rest - 1;
    }
}
