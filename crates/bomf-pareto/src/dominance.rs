//! Pareto dominance, all objectives maximised.
//!
//! `a` *weakly dominates* `b` if `a_j >= b_j` for every objective `j`; it
//! *dominates* `b` if moreover `a_j > b_j` for at least one.

use crate::{ParetoError, Result};

/// Whether `a` is at least as good as `b` in every objective (each of shape
/// `m`). False if either has a NaN.
#[must_use]
pub fn weakly_dominates(a: &[f64], b: &[f64]) -> bool {
    debug_assert_eq!(a.len(), b.len());
    a.iter().zip(b).all(|(a, b)| a >= b)
}

/// Whether `a` is at least as good as `b` everywhere and better somewhere (each
/// of shape `m`). False if either has a NaN; a point does not dominate its
/// equal.
#[must_use]
pub fn dominates(a: &[f64], b: &[f64]) -> bool {
    weakly_dominates(a, b) && a.iter().zip(b).any(|(a, b)| a > b)
}

/// The indices, ascending, of the points (`n x m`) that no other one dominates.
///
/// Of equal points only the first is returned; a point with a NaN never is.
/// An empty set has an empty front.
///
/// # Errors
/// [`ParetoError::Dimension`] if the rows differ in length.
pub fn non_dominated<P: AsRef<[f64]>>(points: &[P]) -> Result<Vec<usize>> {
    let Some(first) = points.first() else {
        return Ok(Vec::new());
    };
    check_rows(points, first.as_ref().len())?;

    // In descending lexicographic order a point can be dominated only by one
    // that comes before it, so one pass over the growing front is enough.
    let mut order: Vec<usize> = (0..points.len())
        .filter(|&i| !points[i].as_ref().iter().any(|v| v.is_nan()))
        .collect();
    order.sort_by(|&i, &j| descending(points[i].as_ref(), points[j].as_ref()));
    let mut front: Vec<usize> = Vec::new();
    for i in order {
        let y = points[i].as_ref();
        if !front
            .iter()
            .any(|&k| weakly_dominates(points[k].as_ref(), y))
        {
            front.push(i);
        }
    }
    front.sort_unstable();
    Ok(front)
}

/// Descending lexicographic order of rows without NaN; `0.0` and `-0.0` tie.
pub(crate) fn descending(a: &[f64], b: &[f64]) -> std::cmp::Ordering {
    b.partial_cmp(a).unwrap_or(std::cmp::Ordering::Equal)
}

/// Refuses rows whose length is not `m`.
pub(crate) fn check_rows<P: AsRef<[f64]>>(points: &[P], m: usize) -> Result<()> {
    match points.iter().position(|p| p.as_ref().len() != m) {
        Some(index) => Err(ParetoError::Dimension {
            index,
            found: points[index].as_ref().len(),
            expected: m,
        }),
        None => Ok(()),
    }
}

/// Refuses a reference point that is empty or not finite.
pub(crate) fn check_reference(ref_point: &[f64]) -> Result<()> {
    if ref_point.is_empty() || ref_point.iter().any(|v| !v.is_finite()) {
        return Err(ParetoError::ReferencePoint {
            ref_point: ref_point.to_vec(),
        });
    }
    Ok(())
}

/// The non-dominated rows that exceed `ref_point` in every objective: all that
/// matters to a hypervolume.
pub(crate) fn front_above(
    points: &[impl AsRef<[f64]>],
    ref_point: &[f64],
) -> Result<Vec<Vec<f64>>> {
    check_reference(ref_point)?;
    check_rows(points, ref_point.len())?;
    let above: Vec<&[f64]> = points
        .iter()
        .map(AsRef::as_ref)
        .filter(|y| y.iter().zip(ref_point).all(|(y, r)| y > r))
        .collect();
    Ok(non_dominated(&above)?
        .into_iter()
        .map(|i| above[i].to_vec())
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_points_do_not_dominate_each_other() {
        assert!(weakly_dominates(&[1.0, 2.0], &[1.0, 2.0]));
        assert!(!dominates(&[1.0, 2.0], &[1.0, 2.0]));
        assert!(dominates(&[1.0, 2.1], &[1.0, 2.0]));
    }

    #[test]
    fn nan_is_never_on_the_front_and_dominates_nothing() {
        let y = [vec![f64::NAN, 9.0], vec![1.0, 1.0], vec![9.0, f64::NAN]];
        assert_eq!(non_dominated(&y).unwrap(), [1]);
        assert!(!weakly_dominates(&[f64::NAN], &[f64::NAN]));
    }

    #[test]
    fn the_first_of_equals_stands() {
        let y = [vec![0.0, 1.0], vec![1.0, 0.0], vec![-0.0, 1.0]];
        assert_eq!(non_dominated(&y).unwrap(), [0, 1]);
    }

    #[test]
    fn ties_in_one_objective_are_dominated() {
        let y = [vec![1.0, 1.0], vec![1.0, 2.0], vec![0.5, 2.0]];
        assert_eq!(non_dominated(&y).unwrap(), [1]);
    }

    #[test]
    fn empty_and_ragged() {
        assert_eq!(non_dominated::<Vec<f64>>(&[]).unwrap(), [0usize; 0]);
        assert_eq!(
            non_dominated(&[vec![1.0], vec![1.0, 2.0]]),
            Err(ParetoError::Dimension {
                index: 1,
                found: 2,
                expected: 1
            })
        );
    }
}
