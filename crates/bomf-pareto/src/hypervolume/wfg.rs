//! Four and more objectives by exclusive hypervolumes.
//!
//! While, Bradstreet and Barone, "A fast way of calculating exact
//! hypervolumes", IEEE TEC 16 (2012), algorithms 1 to 3: the volume is the sum
//! over the points of what each adds to those after it,
//! `prod_j y_j - HV(limit set)`, where the limit set holds the later points
//! clipped to `y`. With the points in ascending order of the last objective
//! every clipped point has that of `y`, so the recursion drops one objective a
//! level and ends at the sweep of three.

use crate::dominance::weakly_dominates;

/// The volume above the origin dominated by positive rows, first `m >= 4`
/// values.
pub(super) fn volume(mut front: Vec<Vec<f64>>, m: usize) -> f64 {
    let last = m - 1;
    front.sort_by(|a, b| a[last].total_cmp(&b[last]));
    let mut total = 0.0;
    for (i, y) in front.iter().enumerate() {
        let inclusive: f64 = y[..last].iter().product();
        let limited = limit_set(&front[i + 1..], y, last);
        total += y[last] * (inclusive - super::volume(limited, last));
    }
    total
}

/// The non-dominated ones among `later` clipped to `y`, first `m` values.
fn limit_set(later: &[Vec<f64>], y: &[f64], m: usize) -> Vec<Vec<f64>> {
    let mut set: Vec<Vec<f64>> = Vec::with_capacity(later.len());
    for z in later {
        let clipped: Vec<f64> = z[..m].iter().zip(y).map(|(z, y)| z.min(*y)).collect();
        if set.iter().any(|s| weakly_dominates(s, &clipped)) {
            continue;
        }
        set.retain(|s| !weakly_dominates(&clipped, s));
        set.push(clipped);
    }
    set
}
