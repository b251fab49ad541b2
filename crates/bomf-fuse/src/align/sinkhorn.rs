//! Optimal transport with entropy between two sets of equally many units of equal weight.
//!
//! Cuturi, "Sinkhorn distances", NeurIPS 2013, arXiv 1306.0895, in logarithms, so that a small
//! regularisation neither over- nor underflows:
//!
//! ```text
//! min_T sum T C + epsilon sum T (log T - 1),   rows and columns of T sum to one
//! T[u,v] = exp((f[u] + g[v] - C[u,v]) / epsilon)
//! ```

use rayon::prelude::*;

/// Sums of columns may be as far from one as this at the end; those of rows are one.
const TOLERANCE: f64 = 1e-6;

/// The most iterations; with little regularisation many are needed, and what is not yet balanced
/// then differs in units that are nearly alike.
const ITERATIONS: usize = 2000;

/// The plan `[n, n]`, row-major, whose rows sum to one, for finite costs `[n, n]`. `regularisation`
/// is in units of the mean cost; it is above zero.
///
/// # Panics
/// If there are not n by n costs.
pub fn transport(costs: &[f64], n: usize, regularisation: f64) -> Vec<f64> {
    assert_eq!(costs.len(), n * n, "a square matrix");
    let mean = costs.iter().sum::<f64>() / costs.len().max(1) as f64;
    let epsilon = regularisation * mean;
    if !(epsilon > 0.0 && epsilon.is_finite()) {
        // All units alike: there is nothing to choose.
        let at = |k: usize| f64::from(u8::from(k / n == k % n));
        return (0..n * n).map(at).collect();
    }
    let turned: Vec<f64> = (0..n * n).map(|k| costs[(k % n) * n + k / n]).collect();
    let (mut f, mut g) = (vec![0.0; n], vec![0.0; n]);
    for _ in 0..ITERATIONS {
        balance(costs, &g, epsilon, &mut f);
        let before = g.clone();
        balance(&turned, &f, epsilon, &mut g);
        // What a column's sum was before: exp((g_before - g) / epsilon).
        let off = |(before, g): (&f64, &f64)| (((before - g) / epsilon).exp() - 1.0).abs();
        let worst = before.iter().zip(&g).map(off).fold(0.0, f64::max);
        if worst <= TOLERANCE {
            break;
        }
    }
    balance(costs, &g, epsilon, &mut f);
    let mut plan = vec![0.0; n * n];
    plan.par_chunks_mut(n).enumerate().for_each(|(u, row)| {
        for (v, (t, g)) in row.iter_mut().zip(&g).enumerate() {
            *t = ((f[u] + g - costs[u * n + v]) / epsilon).exp();
        }
        let sum: f64 = row.iter().sum();
        row.iter_mut().for_each(|t| *t /= sum);
    });
    plan
}

/// `f[u] = -epsilon log sum_v exp((g[v] - C[u,v]) / epsilon)`: every row sums to one.
fn balance(costs: &[f64], g: &[f64], epsilon: f64, f: &mut [f64]) {
    let n = f.len();
    f.par_iter_mut().enumerate().for_each(|(u, f)| {
        let row = &costs[u * n..(u + 1) * n];
        let terms = || row.iter().zip(g).map(|(c, g)| (g - c) / epsilon);
        let greatest = terms().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = terms().map(|t| (t - greatest).exp()).sum();
        *f = -epsilon * (greatest + sum.ln());
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rows_and_columns_sum_to_one(
            n in 1usize..8,
            costs in prop::collection::vec(0.0f64..10.0, 49),
            regularisation in 0.05f64..2.0,
        ) {
            let plan = transport(&costs[..n * n], n, regularisation);
            for u in 0..n {
                let row: f64 = plan[u * n..(u + 1) * n].iter().sum();
                prop_assert!((row - 1.0).abs() < 1e-12);
                let column: f64 = (0..n).map(|v| plan[v * n + u]).sum();
                // Slow where two permutations cost nearly the same.
                prop_assert!((column - 1.0).abs() < 1e-2, "{}", column);
            }
        }
    }

    #[test]
    fn little_entropy_is_the_assignment_and_much_is_the_mean() {
        let costs = [0.0, 5.0, 9.0, 7.0, 8.0, 1.0, 6.0, 0.5, 9.0];
        let sharp = transport(&costs, 3, 0.01);
        let columns = super::super::assignment(&costs, 3);
        for (u, v) in columns.into_iter().enumerate() {
            assert!(sharp[u * 3 + v] > 1.0 - 1e-6);
        }
        let flat = transport(&costs, 3, 1e6);
        assert!(flat.iter().all(|t| (t - 1.0 / 3.0).abs() < 1e-5));
    }

    #[test]
    fn units_that_are_all_alike_stay_where_they_are() {
        assert_eq!(transport(&[0.0; 4], 2, 0.1), [1.0, 0.0, 0.0, 1.0]);
        assert!(transport(&[], 0, 0.1).is_empty());
    }
}
