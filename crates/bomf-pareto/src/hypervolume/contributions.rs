//! What each point adds to the hypervolume.
//!
//! `HVC(i) = HV(Y) - HV(Y without i)`: the volume that only point `i`
//! dominates. With two objectives it is a rectangle for a point of a front; in
//! three each is one pass over the others ([`slices::exclusive`]); beyond that
//! it is the box less the hypervolume of the others clipped to it ([`wfg`]).

use super::slices;
use super::sweep::Staircase;
use super::wfg::{SWEPT, Set, Wfg};
use super::{exceeds, has_infinity};
use crate::Result;
use crate::dominance::{check_reference, check_rows, descending, weakly_dominates};

/// Of each point (`n x m`) the hypervolume above `ref_point` (`m`) that would
/// be lost without it, shape `n`.
///
/// The definition is taken at its word: each of several equal points
/// contributes nothing, and a dominated point takes from the contribution of
/// the only one that dominates it. So do a point at or below the reference
/// point in some objective and one with a NaN contribute nothing. A point with
/// an infinity above the reference point contributes infinity unless another
/// one is at least as good everywhere.
///
/// # Errors
/// As [`crate::hypervolume`].
///
/// ```
/// use bomf_pareto::hypervolume_contributions;
///
/// let y = [[3.0, 1.0], [2.0, 2.0], [1.0, 1.0], [3.0, 1.0]];
/// assert_eq!(hypervolume_contributions(&y, &[0.0, 0.0])?, [0.0, 2.0, 0.0, 0.0]);
/// # Ok::<(), bomf_pareto::ParetoError>(())
/// ```
pub fn hypervolume_contributions<P: AsRef<[f64]>>(
    points: &[P],
    ref_point: &[f64],
) -> Result<Vec<f64>> {
    check_reference(ref_point)?;
    let m = ref_point.len();
    check_rows(points, m)?;
    let above: Vec<usize> = (0..points.len())
        .filter(|i| exceeds(points[*i].as_ref(), ref_point))
        .collect();
    let rows: Vec<Vec<f64>> = above
        .iter()
        .map(|i| {
            points[*i]
                .as_ref()
                .iter()
                .zip(ref_point)
                .map(|(y, r)| y - r)
                .collect()
        })
        .collect();
    let own = match m {
        1 => line(&rows),
        2 => staircase(&rows),
        3 => passes(&rows),
        _ => clipped(&rows, m),
    };
    let mut all = vec![0.0; points.len()];
    for (&i, own) in above.iter().zip(own) {
        let y = points[i].as_ref();
        all[i] = if has_infinity(y) {
            let covered = above
                .iter()
                .any(|&k| k != i && weakly_dominates(points[k].as_ref(), y));
            if covered { 0.0 } else { f64::INFINITY }
        } else {
            own
        };
    }
    Ok(all)
}

/// One objective: what the largest is larger than the second.
fn line(rows: &[Vec<f64>]) -> Vec<f64> {
    let (mut best, mut second) = (0.0, 0.0);
    for y in rows {
        if y[0] > best {
            (best, second) = (y[0], best);
        } else if y[0] > second {
            second = y[0];
        }
    }
    rows.iter()
        .map(|y| if y[0] == best { best - second } else { 0.0 })
        .collect()
}

/// Two objectives: the rectangle between a point's neighbours on the front,
/// less what points dominated by it alone dominate of it.
fn staircase(rows: &[Vec<f64>]) -> Vec<f64> {
    let order = descending_in(rows, 0);
    let mut contributions = vec![0.0; rows.len()];
    let mut floor = 0.0;
    let mut at = 0;
    while at < order.len() {
        // From one point of the front up to the next.
        let own = &rows[order[at]];
        let next = (at + 1..order.len())
            .find(|k| rows[order[*k]][1] > own[1])
            .unwrap_or(order.len());
        let wall = order.get(next).map_or(0.0, |k| rows[*k][0]);
        let mut covered = 0.0;
        let mut top = floor;
        for k in &order[at + 1..next] {
            let (x, y) = (rows[*k][0], rows[*k][1]);
            if y > top {
                covered += (x - wall) * (y - top);
                top = y;
            }
        }
        let rectangle = (own[0] - wall) * (own[1] - floor);
        contributions[order[at]] = (rectangle - covered).max(0.0);
        floor = own[1];
        at = next;
    }
    contributions
}

/// Three objectives: one pass over all others for each point.
fn passes(rows: &[Vec<f64>]) -> Vec<f64> {
    let order = descending_in(rows, 2);
    let sorted: Vec<[f64; 3]> = order
        .iter()
        .map(|k| std::array::from_fn(|j| rows[*k][j]))
        .collect();
    let mut contributions = vec![0.0; rows.len()];
    let mut stairs = Staircase::default();
    for (i, k) in order.iter().enumerate() {
        let (above, below) = (&sorted[..i], &sorted[i + 1..]);
        contributions[*k] = slices::exclusive(sorted[i], above, below, &mut stairs)
            .unwrap_or(0.0)
            .max(0.0);
    }
    contributions
}

/// Four and more: the box less what the others, clipped to it, dominate.
fn clipped(rows: &[Vec<f64>], m: usize) -> Vec<f64> {
    debug_assert!(m >= SWEPT);
    let set = Set::new(&rows.concat(), m);
    let mut wfg = Wfg::new(m);
    (0..rows.len())
        .map(|i| wfg.exclusive(&set, i, 0, m).max(0.0))
        .collect()
}

/// Positions in descending order of objective `j`, then of the other ones.
fn descending_in(rows: &[Vec<f64>], j: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by(|a, b| {
        rows[*b][j]
            .total_cmp(&rows[*a][j])
            .then_with(|| descending(&rows[*a], &rows[*b]))
    });
    order
}
