//! The knee of a front: a point to take when nobody states a preference.
//!
//! Das, "On characterizing the 'knee' of the Pareto curve based on
//! normal-boundary intersection", Structural Optimization 18 (1999): after each
//! objective is scaled to `[0, 1]` over the front, the point that bulges most
//! above the hyperplane through the extreme points. That plane is taken to be
//! `sum_j z_j = 1`, the one through the unit vectors, which it is exactly for
//! two objectives; the distance is then monotone in `sum_j z_j`.

use crate::dominance::check_rows;
use crate::{Result, non_dominated};

/// The index of the knee of `points` (`n x m`, all maximised): the
/// non-dominated point with the largest sum of objectives scaled to `[0, 1]`
/// over the front.
///
/// An objective without range over the front does not count. Of ties the first
/// index is returned; `None` if no point is finite.
///
/// # Errors
/// [`crate::ParetoError::Dimension`] if the rows differ in length.
pub fn knee<P: AsRef<[f64]>>(points: &[P]) -> Result<Option<usize>> {
    let m = points.first().map_or(0, |p| p.as_ref().len());
    check_rows(points, m)?;
    let finite: Vec<usize> = (0..points.len())
        .filter(|&i| points[i].as_ref().iter().all(|v| v.is_finite()))
        .collect();
    let rows: Vec<&[f64]> = finite.iter().map(|&i| points[i].as_ref()).collect();
    let front = non_dominated(&rows)?;

    let scale: Vec<(f64, f64)> = (0..m)
        .map(|j| {
            let values = front.iter().map(|&i| rows[i][j]);
            let nadir = values.clone().fold(f64::INFINITY, f64::min);
            let ideal = values.fold(f64::NEG_INFINITY, f64::max);
            // Halved, so that the range of the largest numbers is finite.
            (0.5 * nadir, 0.5 * ideal - 0.5 * nadir)
        })
        .collect();
    let mut best: Option<(usize, f64)> = None;
    for &i in &front {
        let h: f64 = rows[i]
            .iter()
            .zip(&scale)
            .filter(|(_, (_, range))| *range > 0.0)
            .map(|(y, (nadir, range))| (0.5 * y - nadir) / range)
            .sum();
        if best.is_none_or(|(_, b)| h > b) {
            best = Some((finite[i], h));
        }
    }
    Ok(best.map(|(i, _)| i))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bulging_point() {
        let y = [
            vec![f64::NAN, 0.0],
            vec![0.0, 100.0],
            vec![0.8, 80.0],
            vec![1.0, 0.0],
            vec![0.5, 50.0],
        ];
        assert_eq!(knee(&y).unwrap(), Some(2));
    }

    #[test]
    fn huge_and_flat_objectives() {
        let huge = [vec![-1e308, 1e308], vec![9e307, 8e307], vec![1e308, -1e308]];
        assert_eq!(knee(&huge).unwrap(), Some(1));
        // The first objective has no range over the front; infinities are out.
        let flat = [vec![1.0, 0.0], vec![1.0, 3.0], vec![f64::INFINITY, 9.0]];
        assert_eq!(knee(&flat).unwrap(), Some(1));
        let twins = [
            vec![0.0, 2.0],
            vec![1.5, 1.5],
            vec![2.0, 0.0],
            vec![1.5, 1.5],
        ];
        assert_eq!(knee(&twins).unwrap(), Some(1));
        assert!(knee(&[vec![1.0], vec![1.0, 2.0]]).is_err());
    }

    #[test]
    fn one_point_flat_front_and_none() {
        assert_eq!(knee(&[vec![3.0, 1.0]]).unwrap(), Some(0));
        assert_eq!(knee(&[vec![0.0, 1.0], vec![1.0, 0.0]]).unwrap(), Some(0));
        assert_eq!(knee(&[vec![f64::NAN]]).unwrap(), None);
        assert_eq!(knee::<Vec<f64>>(&[]).unwrap(), None);
    }
}
