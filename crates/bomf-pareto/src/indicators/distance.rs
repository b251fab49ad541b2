//! How far a set lies from a reference front.
//!
//! Ishibuchi, Masuda, Tanigaki and Nojima, "Modified distance calculation in
//! generational distance and inverted generational distance", EMO 2015: with
//! `d+(y, z) = sqrt(sum_j max(0, z_j - y_j)^2)`, how far `y` falls short of `z`
//! when all is maximised, `IGD+(Y; Z) = mean over z of min over y of d+(y, z)`
//! (equation 18) and `GD+(Y; Z) = mean over y of min over z of d+(y, z)`. IGD+
//! is weakly Pareto compliant: a set that dominates another never scores worse.
//! The additive epsilon is that of Zitzler, Thiele, Laumanns, Fonseca and da
//! Fonseca, IEEE TEC 7 (2003).

use super::finite;
use crate::dominance::check_rows;
use crate::{ParetoError, Result};

/// IGD+: how far the points of `front` (`k x m`) lie from `points` (`n x m`),
/// on average. Zero if each is weakly dominated by a point; infinity if there
/// is no finite point.
///
/// # Errors
/// [`ParetoError::NoReference`] if the front has no finite point,
/// [`ParetoError::Dimension`] if a row has another length.
pub fn igd_plus<P: AsRef<[f64]>, Q: AsRef<[f64]>>(points: &[P], front: &[Q]) -> Result<f64> {
    let (points, front) = checked(points, front)?;
    Ok(mean(&front, |z| nearest(&points, |y| shortfall(y, z))))
}

/// GD+: how far `points` (`n x m`) lie below `front` (`k x m`), on average.
/// Infinity if there is no finite point.
///
/// # Errors
/// As [`igd_plus`].
pub fn gd_plus<P: AsRef<[f64]>, Q: AsRef<[f64]>>(points: &[P], front: &[Q]) -> Result<f64> {
    let (points, front) = checked(points, front)?;
    if points.is_empty() {
        return Ok(f64::INFINITY);
    }
    Ok(mean(&points, |y| nearest(&front, |z| shortfall(y, z))))
}

/// The additive epsilon: what must be added to every objective of `points`
/// (`n x m`) for them to weakly dominate all of `front` (`k x m`); negative if
/// there is something to spare, infinity if there is no finite point.
///
/// # Errors
/// As [`igd_plus`].
pub fn additive_epsilon<P: AsRef<[f64]>, Q: AsRef<[f64]>>(
    points: &[P],
    front: &[Q],
) -> Result<f64> {
    let (points, front) = checked(points, front)?;
    let lacking = |y: &[f64], z: &[f64]| {
        let differences = z.iter().zip(y).map(|(z, y)| z - y);
        differences.fold(f64::NEG_INFINITY, f64::max)
    };
    let each = front.iter().map(|z| nearest(&points, |y| lacking(y, z)));
    Ok(each.fold(f64::NEG_INFINITY, f64::max))
}

/// Points, borrowed.
type Rows<'a> = Vec<&'a [f64]>;

/// Both sets without what is not finite.
fn checked<'a, P: AsRef<[f64]>, Q: AsRef<[f64]>>(
    points: &'a [P],
    front: &'a [Q],
) -> Result<(Rows<'a>, Rows<'a>)> {
    let m = front.first().map_or(0, |z| z.as_ref().len());
    check_rows(front, m)?;
    let front = finite(front);
    if front.is_empty() {
        return Err(ParetoError::NoReference);
    }
    check_rows(points, m)?;
    Ok((finite(points), front))
}

/// `d+(y, z)`.
fn shortfall(y: &[f64], z: &[f64]) -> f64 {
    let squares = z.iter().zip(y).map(|(z, y)| (z - y).max(0.0).powi(2));
    squares.sum::<f64>().sqrt()
}

fn nearest(points: &[&[f64]], distance: impl Fn(&[f64]) -> f64) -> f64 {
    points
        .iter()
        .map(|y| distance(y))
        .fold(f64::INFINITY, f64::min)
}

fn mean(points: &[&[f64]], value: impl Fn(&[f64]) -> f64) -> f64 {
    points.iter().map(|y| value(y)).sum::<f64>() / points.len() as f64
}
