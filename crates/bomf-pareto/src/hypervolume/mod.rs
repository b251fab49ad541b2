//! The hypervolume of a set of points above a reference point, exactly.
//!
//! `HV(Y; r) = volume of the union over y in Y of the boxes [r, y]`
//! (Zitzler and Thiele 1998), all objectives maximised. One and two objectives
//! have closed forms, three are swept ([`sweep`]), more are sliced ([`wfg`]).

mod sweep;
mod wfg;

use crate::Result;
use crate::dominance::front_above;

/// The hypervolume of `points` (`n x m`) above `ref_point` (`m`).
///
/// Points that do not exceed the reference point in every objective add
/// nothing, nor do dominated ones, duplicates or points with a NaN. No point at
/// all gives zero. The cost is `O(n log n)` for two objectives, `O(n^2)` for
/// three, and exponential in `m` in the worst case beyond.
///
/// # Errors
/// [`crate::ParetoError::ReferencePoint`] if the reference point is empty or
/// not finite, [`crate::ParetoError::Dimension`] if a row has another length.
pub fn hypervolume<P: AsRef<[f64]>>(points: &[P], ref_point: &[f64]) -> Result<f64> {
    // With the reference point at the origin a volume is a product of values.
    let mut front = front_above(points, ref_point)?;
    for y in &mut front {
        for (y, r) in y.iter_mut().zip(ref_point) {
            *y -= r;
        }
    }
    Ok(volume(front, ref_point.len()))
}

/// The hypervolume above the origin of a front of positive points, of which the
/// first `m` values count. Takes mutually non-dominated rows or not.
fn volume(mut front: Vec<Vec<f64>>, m: usize) -> f64 {
    match m {
        1 => front.iter().map(|y| y[0]).fold(0.0, f64::max),
        2 => sweep::area(&mut front),
        3 => sweep::volume3(&mut front),
        _ => wfg::volume(front, m),
    }
}
