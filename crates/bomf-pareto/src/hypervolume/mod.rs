//! The hypervolume of a set of points above a reference point, exactly, and
//! what each point adds to it.
//!
//! `HV(Y; r) = volume of the union over y in Y of the boxes [r, y]`
//! (Zitzler and Thiele 1998), all objectives maximised. One and two objectives
//! have closed forms, three and four are swept ([`sweep`], [`slices`]), more
//! are taken apart point by point until four are left ([`wfg`]).

mod clip;
mod contributions;
mod slices;
mod sweep;
mod wfg;

use crate::Result;
use crate::dominance::{check_reference, check_rows};

pub use contributions::hypervolume_contributions;

/// The hypervolume of `points` (`n x m`) above `ref_point` (`m`).
///
/// Points that do not exceed the reference point in every objective add
/// nothing, nor do dominated ones, duplicates or points with a NaN. No point at
/// all gives zero; a point above the reference point with an infinity gives
/// infinity. The cost is `O(n log n)` for two objectives, `O(n^2)` with a small
/// constant for three and four, and exponential in `m` in the worst case
/// beyond.
///
/// # Errors
/// [`crate::ParetoError::ReferencePoint`] if the reference point is empty or
/// not finite, [`crate::ParetoError::Dimension`] if a row has another length.
///
/// ```
/// use bomf_pareto::hypervolume;
///
/// let y = [[3.0, 1.0], [2.0, 2.0], [1.0, 1.0]];
/// assert_eq!(hypervolume(&y, &[0.0, 0.0])?, 5.0);
/// # Ok::<(), bomf_pareto::ParetoError>(())
/// ```
pub fn hypervolume<P: AsRef<[f64]>>(points: &[P], ref_point: &[f64]) -> Result<f64> {
    check_reference(ref_point)?;
    check_rows(points, ref_point.len())?;
    // With the reference point at the origin a volume is a product of values.
    let above = points
        .iter()
        .map(AsRef::as_ref)
        .filter(|y| exceeds(y, ref_point));
    match ref_point.len() {
        1 => Ok(above.map(|y| y[0] - ref_point[0]).fold(0.0, f64::max)),
        2 => sweep_rows(above, ref_point, sweep::area),
        3 => sweep_rows(above, ref_point, sweep::volume),
        4 => sweep_rows(above, ref_point, |rows| {
            slices::Slices::default().volume(rows)
        }),
        m => {
            if above.clone().any(has_infinity) {
                return Ok(f64::INFINITY);
            }
            let rows = above.flat_map(|y| y.iter().zip(ref_point).map(|(y, r)| y - r));
            Ok(wfg::Wfg::new(m).volume(rows.collect(), m))
        }
    }
}

/// Whether `y` is above `r` in every objective (false with a NaN).
fn exceeds(y: &[f64], r: &[f64]) -> bool {
    y.iter().zip(r).all(|(y, r)| y > r)
}

/// Whether an objective is infinite; of a point above the reference point.
fn has_infinity(y: &[f64]) -> bool {
    y.contains(&f64::INFINITY)
}

/// The rows above the reference point, taken from it, to `measure`; infinity if
/// one is infinite (differences of infinities would make NaN of it).
fn sweep_rows<'a, const M: usize>(
    above: impl Iterator<Item = &'a [f64]>,
    ref_point: &[f64],
    measure: impl FnOnce(&mut [[f64; M]]) -> f64,
) -> Result<f64> {
    let mut rows: Vec<[f64; M]> = Vec::with_capacity(above.size_hint().1.unwrap_or(0));
    for y in above {
        if has_infinity(y) {
            return Ok(f64::INFINITY);
        }
        rows.push(std::array::from_fn(|j| y[j] - ref_point[j]));
    }
    Ok(measure(&mut rows))
}
