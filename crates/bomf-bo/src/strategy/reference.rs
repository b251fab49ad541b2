//! The reference point of a search that was not told one.

use bomf_pareto::infer_reference_point;

use crate::Result;

/// So much of what was seen in an objective may lie below the reference point. With the median in
/// its place fronts came out wider still where they were too narrow, and by a hundredth of their
/// hypervolume poorer elsewhere.
const OUTSIDE: f64 = 0.75;

/// [`infer_reference_point`] of these points (`n x m`, all maximised), but nowhere above the upper
/// quartile of all of them.
///
/// The front of a young search is a point or two, and what lies beyond a tenth of its range would
/// count for nothing: the search would look for points that dominate it, and for no extremes. A
/// quarter of what was seen stays inside, whatever the outliers are; as good points become the
/// most, the quartile rises, and the front decides.
///
/// # Errors
/// As [`infer_reference_point`].
pub(super) fn wide_reference_point<P: AsRef<[f64]>>(points: &[P]) -> Result<Vec<f64>> {
    let mut reference = infer_reference_point(points)?;
    for (j, value) in reference.iter_mut().enumerate() {
        let mut seen: Vec<f64> = points
            .iter()
            .map(|point| point.as_ref()[j])
            .filter(|y| y.is_finite())
            .collect();
        seen.sort_by(f64::total_cmp);
        if let Some(quartile) = seen.get((OUTSIDE * seen.len() as f64) as usize) {
            *value = value.min(*quartile);
        }
    }
    Ok(reference)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_good_point_leaves_a_quarter_of_what_was_seen_inside() {
        let y = [[5.0, 5.0], [0.0, 4.0], [4.0, 0.0], [-9.0, -9.0], [1.0, 1.0]];
        assert_eq!(wide_reference_point(&y).unwrap(), [4.0, 4.0]);
    }

    #[test]
    fn a_front_that_is_wider_than_the_rest_decides() {
        let y = [[0.0, 10.0], [10.0, 0.0], [5.0, 5.0]];
        assert_eq!(wide_reference_point(&y).unwrap(), [-1.0, -1.0]);
    }

    #[test]
    fn nothing_finite_is_an_error() {
        assert!(wide_reference_point(&[[f64::NAN, 1.0]]).is_err());
    }
}
