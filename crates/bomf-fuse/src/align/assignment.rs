//! The linear assignment problem: a permutation of the least cost, exactly.
//!
//! One row after another is assigned along the shortest augmenting path under reduced costs, with
//! dual prices that keep these non-negative; Jonker and Volgenant, Computing 38 (1987), in the form
//! of Crouse, IEEE Transactions on Aerospace and Electronic Systems 52 (2016). `O(n^3)` at worst,
//! near `O(n^2)` where the minima of the rows hardly collide.

/// No row or column.
const NONE: usize = usize::MAX;

/// The column of each row of a square matrix of costs `[n, n]`, row-major: the permutation whose
/// sum of costs is least. Costs that are no numbers, or infinite, count as greater than all others.
///
/// ```
/// let costs = [4.0, 1.0, 3.0, 2.0, 0.0, 5.0, 3.0, 2.0, 2.0];
/// assert_eq!(bomf_fuse::align::assignment(&costs, 3), [1, 0, 2]);
/// ```
///
/// # Panics
/// If there are not n by n costs.
pub fn assignment(costs: &[f64], n: usize) -> Vec<usize> {
    assert_eq!(costs.len(), n * n, "a square matrix");
    let finite = costs.iter().filter(|c| c.is_finite());
    let greatest = finite.fold(0.0f64, |m, c| m.max(c.abs()));
    // So far beyond the others that any permutation without them is better, and still a number.
    let beyond = (4.0 * (n as f64 + 1.0) * greatest + 1.0).min(f64::MAX / (4.0 * (n as f64 + 1.0)));
    let cost = |row: usize, column: usize| {
        let cost = costs[row * n + column];
        if cost.is_finite() { cost } else { beyond }
    };
    let (mut of_row, mut of_column) = (vec![NONE; n], vec![NONE; n]);
    let (mut row_price, mut column_price) = (vec![0.0; n], vec![0.0; n]);
    let mut shortest = vec![f64::INFINITY; n];
    let mut from = vec![NONE; n];
    for first in 0..n {
        shortest.fill(f64::INFINITY);
        // In falling order, so that equal costs give the identity.
        let mut open: Vec<usize> = (0..n).rev().collect();
        let mut rows = vec![first];
        let mut closed = Vec::new();
        let (mut row, mut reached) = (first, 0.0);
        let last = loop {
            let (mut nearest, mut least) = (0, f64::INFINITY);
            for (i, &column) in open.iter().enumerate() {
                let length = reached + cost(row, column) - row_price[row] - column_price[column];
                if length < shortest[column] {
                    shortest[column] = length;
                    from[column] = row;
                }
                let is_free = of_column[column] == NONE;
                if shortest[column] < least || (shortest[column] == least && is_free) {
                    (nearest, least) = (i, shortest[column]);
                }
            }
            reached = least;
            let column = open.swap_remove(nearest);
            closed.push(column);
            if of_column[column] == NONE {
                break column;
            }
            row = of_column[column];
            rows.push(row);
        };
        row_price[first] += reached;
        for &row in &rows[1..] {
            row_price[row] += reached - shortest[of_row[row]];
        }
        for &column in &closed {
            column_price[column] -= reached - shortest[column];
        }
        let mut column = last;
        loop {
            let row = from[column];
            of_column[column] = row;
            std::mem::swap(&mut of_row[row], &mut column);
            if row == first {
                break;
            }
        }
    }
    of_row
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn least_by_trying(costs: &[f64], n: usize, row: usize, taken: &mut Vec<bool>) -> f64 {
        if row == n {
            return 0.0;
        }
        let mut least = f64::INFINITY;
        for column in 0..n {
            if !taken[column] {
                taken[column] = true;
                let rest = least_by_trying(costs, n, row + 1, taken);
                least = least.min(costs[row * n + column] + rest);
                taken[column] = false;
            }
        }
        least
    }

    proptest! {
        #[test]
        fn no_permutation_costs_less(
            n in 1usize..7,
            values in prop::collection::vec(-8i32..8, 36),
        ) {
            let costs: Vec<f64> = values[..n * n].iter().map(|v| f64::from(*v)).collect();
            let found = assignment(&costs, n);
            let mut seen = found.clone();
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..n).collect::<Vec<_>>());
            let cost: f64 = found.iter().enumerate().map(|(i, j)| costs[i * n + j]).sum();
            // Sums of small whole numbers are exact.
            prop_assert_eq!(cost, least_by_trying(&costs, n, 0, &mut vec![false; n]));
        }
    }

    #[test]
    fn equal_costs_give_the_identity() {
        assert_eq!(assignment(&[2.0; 25], 5), [0, 1, 2, 3, 4]);
        assert!(assignment(&[], 0).is_empty());
    }

    #[test]
    fn what_is_no_number_is_avoided_and_no_harm() {
        let costs = [f64::NAN, 1.0, 1.0, f64::INFINITY];
        assert_eq!(assignment(&costs, 2), [1, 0]);
        let mut all = assignment(&[f64::NAN; 9], 3);
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2]);
        let hard = [f64::MAX, -f64::MAX, f64::MIN_POSITIVE, f64::NEG_INFINITY];
        let mut all = assignment(&hard, 2);
        all.sort_unstable();
        assert_eq!(all, [0, 1]);
    }
}
