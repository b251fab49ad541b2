//! Points by coordinate, for squared distances that vectorise over the points.
//!
//! `r2_i = sum_c w_c (x_ic - q_c)^2`. Differences are taken before they are
//! squared, so that near points are as exact as far ones, and nothing is stored
//! a pair: with `n` points and `k` coordinates the memory is `n k`.

use multiversion::multiversion;

use crate::linalg::dot_inline;

/// `n` points of `k` coordinates, by coordinate.
#[derive(Debug, Clone)]
pub(super) struct Coordinates {
    n: usize,
    k: usize,
    /// `values[c * n + i]`: coordinate `c` of point `i`.
    values: Vec<f64>,
}

impl Coordinates {
    /// `rows`: shape `n x k`.
    pub(super) fn new(rows: &[Vec<f64>]) -> Self {
        let n = rows.len();
        let k = rows.first().map_or(0, Vec::len);
        let values = (0..k)
            .flat_map(|c| rows.iter().map(move |r| r[c]))
            .collect();
        Self { n, k, values }
    }

    pub(super) fn len(&self) -> usize {
        self.n
    }

    pub(super) fn point(&self, i: usize) -> Vec<f64> {
        (0..self.k).map(|c| self.values[c * self.n + i]).collect()
    }

    /// Further points of as many coordinates.
    pub(super) fn append(&mut self, other: &Self) {
        let values = (0..self.k).flat_map(|c| {
            let own = &self.values[c * self.n..(c + 1) * self.n];
            let new = &other.values[c * other.n..(c + 1) * other.n];
            own.iter().chain(new).copied()
        });
        self.values = values.collect();
        self.n += other.n;
    }

    /// `r2` of the points from `from` on to `query` (shape `k`), with `weights`
    /// (shape `k`), written to `out` (shape `n - from`).
    pub(super) fn squared_distances(
        &self,
        weights: &[f64],
        query: &[f64],
        from: usize,
        out: &mut [f64],
    ) {
        squared_distances(&self.values, self.n, weights, query, from, out);
    }

    /// `sums_c += sum_i a_i (x_ic - q_c)^2` over the points from `from` on; `a`
    /// has shape `n - from`.
    pub(super) fn add_weighted_squares(
        &self,
        a: &[f64],
        query: &[f64],
        from: usize,
        sums: &mut [f64],
    ) {
        add_weighted_squares(&self.values, self.n, a, query, from, sums);
    }

    /// `sums_c = sum_i a_i (q_c - x_ic)`; `a` has shape `n`.
    pub(super) fn weighted_differences(&self, a: &[f64], query: &[f64], sums: &mut [f64]) {
        weighted_differences(&self.values, self.n, a, query, sums);
    }
}

// Compiled once for each instruction set; the arithmetic is the same in all of
// them.

#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
fn squared_distances(
    values: &[f64],
    n: usize,
    weights: &[f64],
    query: &[f64],
    from: usize,
    out: &mut [f64],
) {
    out.fill(0.0);
    for (c, (w, q)) in weights.iter().zip(query).enumerate() {
        let own = &values[c * n + from..(c + 1) * n];
        for (r2, x) in out.iter_mut().zip(own) {
            let difference = x - q;
            *r2 += w * (difference * difference);
        }
    }
}

#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
fn add_weighted_squares(
    values: &[f64],
    n: usize,
    a: &[f64],
    query: &[f64],
    from: usize,
    sums: &mut [f64],
) {
    for (c, (sum, q)) in sums.iter_mut().zip(query).enumerate() {
        let own = &values[c * n + from..(c + 1) * n];
        let mut lanes = [0.0; 8];
        let (a8, a_rest) = a.as_chunks::<8>();
        let (x8, x_rest) = own.as_chunks::<8>();
        for (a, x) in a8.iter().zip(x8) {
            for k in 0..8 {
                let difference = x[k] - q;
                lanes[k] += a[k] * (difference * difference);
            }
        }
        let tail = a_rest.iter().zip(x_rest).map(|(a, x)| {
            let difference = x - q;
            a * (difference * difference)
        });
        *sum += lanes.iter().sum::<f64>() + tail.sum::<f64>();
    }
}

#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
fn weighted_differences(values: &[f64], n: usize, a: &[f64], query: &[f64], sums: &mut [f64]) {
    let total: f64 = a.iter().sum();
    for (c, (sum, q)) in sums.iter_mut().zip(query).enumerate() {
        *sum = total * q - dot_inline(a, &values[c * n..(c + 1) * n]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_as_written() {
        let rows: Vec<Vec<f64>> = (0..21)
            .map(|i| vec![f64::from(i) * 0.1, f64::from(i * i % 7), 1.0])
            .collect();
        let points = Coordinates::new(&rows);
        let (weights, query) = ([0.5, 2.0, 3.0], [0.7, 2.5, -1.0]);
        let a: Vec<f64> = (0..21).map(|i| f64::from(i % 5) - 1.7).collect();
        let mut halves = Coordinates::new(&rows[..10]);
        halves.append(&Coordinates::new(&rows[10..]));
        assert_eq!((halves.len(), &halves.values), (21, &points.values));
        assert_eq!(points.point(7), rows[7]);
        for from in [0, 4, 20, 21] {
            let square = |i: usize, c: usize| (rows[i][c] - query[c]).powi(2);
            let mut out = vec![f64::NAN; 21 - from];
            points.squared_distances(&weights, &query, from, &mut out);
            let mut sums = [1.0, 2.0, 3.0];
            points.add_weighted_squares(&a[from..], &query, from, &mut sums);
            for (r2, i) in out.iter().zip(from..) {
                let expected: f64 = (0..3).map(|c| weights[c] * square(i, c)).sum();
                assert!((r2 - expected).abs() < 1e-13 * (1.0 + expected));
            }
            for (c, sum) in sums.iter().enumerate() {
                let expected: f64 = (from..21).map(|i| a[i] * square(i, c)).sum();
                assert!((sum - (c as f64 + 1.0) - expected).abs() < 1e-12);
            }
        }
        let mut sums = [0.0; 3];
        points.weighted_differences(&a, &query, &mut sums);
        for (c, sum) in sums.iter().enumerate() {
            let expected: f64 = (0..21).map(|i| a[i] * (query[c] - rows[i][c])).sum();
            assert!((sum - expected).abs() < 1e-12);
        }
    }
}
