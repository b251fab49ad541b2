//! Ranks: the front, the front of the rest, and so on.
//!
//! Zhang, Tian, Cheng and Jin, "An efficient approach to nondominated sorting
//! for evolutionary multiobjective optimization", IEEE TEC 19 (2015), ENS-BS:
//! in descending lexicographic order a point can be dominated only by one that
//! comes before it, and one that front `k` dominates is dominated by every
//! front above `k`; so each point's front is found by bisection. With two
//! objectives a front dominates a point if its largest second value does, which
//! makes the whole `O(n log n)` (Jensen, IEEE TEC 7, 2003).

use crate::Result;
use crate::dominance::{check_rows, descending};

/// The indices of `points` (`n x m`, all maximised) by fronts: first those that
/// no point dominates, then those that only points of the first front dominate,
/// and so on. Ascending within a front.
///
/// Equal points do not dominate each other and share a front (where
/// [`crate::non_dominated`] keeps the first of them). A point with a NaN is on
/// none. `O(n log n)` for up to two objectives, beyond that `O(n^2 m)` at worst.
///
/// # Errors
/// [`crate::ParetoError::Dimension`] if the rows differ in length.
///
/// ```
/// use bomf_pareto::non_dominated_sort;
///
/// let y = [[1.0, 1.0], [2.0, 2.0], [3.0, 0.0], [0.5, 0.5]];
/// assert_eq!(non_dominated_sort(&y)?, [vec![1, 2], vec![0], vec![3]]);
/// # Ok::<(), bomf_pareto::ParetoError>(())
/// ```
pub fn non_dominated_sort<P: AsRef<[f64]>>(points: &[P]) -> Result<Vec<Vec<usize>>> {
    let m = points.first().map_or(0, |p| p.as_ref().len());
    check_rows(points, m)?;
    let row = |i: usize| points[i].as_ref();
    let mut order: Vec<usize> = (0..points.len())
        .filter(|&i| !row(i).iter().any(|v| v.is_nan()))
        .collect();
    order.sort_by(|&i, &j| descending(row(i), row(j)));

    let mut fronts: Vec<Vec<usize>> = Vec::new();
    if m <= 2 {
        // Of each front its largest last value; these descend.
        let mut tops: Vec<f64> = Vec::new();
        assign(&order, row, &mut fronts, |y| {
            let last = y.last().copied().unwrap_or(0.0);
            let rank = tops.partition_point(|top| *top >= last);
            if rank == tops.len() {
                tops.push(last);
            } else {
                tops[rank] = last;
            }
            rank
        });
    } else {
        // The first value decides nothing any more; the others by front, the
        // latest point last: it is the nearest, so it is asked first.
        let width = m - 1;
        let mut rows: Vec<Vec<f64>> = Vec::new();
        assign(&order, row, &mut fronts, |y| {
            let rank = rows.partition_point(|front| {
                front
                    .rchunks_exact(width)
                    .any(|p| p.iter().zip(&y[1..]).all(|(p, y)| p >= y))
            });
            if rank == rows.len() {
                rows.push(Vec::new());
            }
            rows[rank].extend_from_slice(&y[1..]);
            rank
        });
    }
    for front in &mut fronts {
        front.sort_unstable();
    }
    Ok(fronts)
}

/// Puts the points in `order` on the fronts that `rank` says; equal points,
/// neighbours in this order, on one.
fn assign<'a>(
    order: &[usize],
    row: impl Fn(usize) -> &'a [f64],
    fronts: &mut Vec<Vec<usize>>,
    mut rank: impl FnMut(&[f64]) -> usize,
) {
    let mut before: Option<(usize, usize)> = None;
    for &i in order {
        let at = match before {
            Some((k, at)) if row(k) == row(i) => at,
            _ => rank(row(i)),
        };
        if at == fronts.len() {
            fronts.push(Vec::new());
        }
        fronts[at].push(i);
        before = Some((i, at));
    }
}
