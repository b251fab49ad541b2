//! A reference point inferred from a front.
//!
//! Ishibuchi, Imada, Setoguchi and Nojima, "How to specify a reference point in
//! hypervolume calculation for fair performance comparison", Evolutionary
//! Computation 26 (2018): a little below the nadir, so that the extreme points
//! count too. The rule and its constant are those of BoTorch's
//! `infer_reference_point`.

use crate::dominance::check_rows;
use crate::{ParetoError, Result, non_dominated};

/// How far below the nadir the reference point lies, as a part of each
/// objective's range over the front.
pub const REFERENCE_SCALE: f64 = 0.1;

/// The reference point `nadir_j - 0.1 range_j`, with nadir and range taken over
/// the non-dominated ones among `points` (`n x m`), all maximised.
///
/// Where an objective has no range (a single point, or a front flat in it),
/// `|value|` stands in for the range, and 1 if the value is zero. Points with a
/// NaN or an infinity are left out. The result is finite, and below the nadir
/// even where a tenth of the range is less than the nadir's rounding (but for a
/// nadir of `f64::MIN`, below which there is nothing).
///
/// # Errors
/// [`ParetoError::NoPoint`] if no finite point is left,
/// [`ParetoError::Dimension`] if the rows differ in length.
pub fn infer_reference_point<P: AsRef<[f64]>>(points: &[P]) -> Result<Vec<f64>> {
    let m = points.first().map_or(0, |p| p.as_ref().len());
    check_rows(points, m)?;
    let finite: Vec<&[f64]> = points
        .iter()
        .map(AsRef::as_ref)
        .filter(|y| y.iter().all(|v| v.is_finite()))
        .collect();
    let front = non_dominated(&finite)?;
    if front.is_empty() || m == 0 {
        return Err(ParetoError::NoPoint);
    }
    Ok((0..m)
        .map(|j| {
            let values = front.iter().map(|&i| finite[i][j]);
            let nadir = values.clone().fold(f64::INFINITY, f64::min);
            let ideal = values.fold(f64::NEG_INFINITY, f64::max);
            let range = if ideal > nadir {
                ideal - nadir
            } else if nadir != 0.0 {
                nadir.abs()
            } else {
                1.0
            };
            let below = nadir - REFERENCE_SCALE * range.min(f64::MAX);
            below.min(nadir.next_down()).max(f64::MIN)
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_of_the_range_below_the_nadir() {
        let y = [vec![0.0, 10.0], vec![1.0, 0.0], vec![-5.0, -5.0]];
        assert_eq!(infer_reference_point(&y).unwrap(), [-0.1, -1.0]);
    }

    #[test]
    fn one_point_takes_its_own_size_as_range() {
        let r = infer_reference_point(&[vec![-2.0, 0.0]]).unwrap();
        assert!((r[0] + 2.2).abs() < 1e-15 && r[1] == -0.1);
    }

    #[test]
    fn huge_values_and_tiny_ranges_leave_it_finite_and_below() {
        let r = infer_reference_point(&[vec![f64::MAX, f64::MIN], vec![-1e308, 0.0]]).unwrap();
        assert!(r[0] < -1e308 && r[0].is_finite());
        assert_eq!(r[1], f64::MIN);
        let r = infer_reference_point(&[vec![1e16, 3.0], vec![1e16 + 2.0, 2.0]]).unwrap();
        assert!(r[0] < 1e16);
    }

    #[test]
    fn nothing_finite() {
        assert_eq!(
            infer_reference_point(&[vec![f64::NAN, 1.0], vec![f64::INFINITY, 0.0]]),
            Err(ParetoError::NoPoint)
        );
        assert_eq!(
            infer_reference_point::<Vec<f64>>(&[]),
            Err(ParetoError::NoPoint)
        );
    }
}
