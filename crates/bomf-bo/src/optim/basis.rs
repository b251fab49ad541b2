//! Orthonormal bases of a few vectors.

use crate::linalg::{axpy, dot};

/// A normal of length one depends on the active ones if what is left of it is
/// shorter than this.
pub(super) const DEPENDENT: f64 = 1e-10;

/// Rows `A = L Q` with orthonormal `Q`, by the modified Gram-Schmidt method,
/// done twice for the orthogonality that once may lose.
pub(super) struct Basis {
    /// `Q`; a row that depends on those before it is zero.
    pub(super) q: Vec<Vec<f64>>,
    /// The lower triangle `L`, by rows.
    l: Vec<Vec<f64>>,
}

impl Basis {
    pub(super) fn new(rows: Vec<Vec<f64>>) -> Self {
        let mut q: Vec<Vec<f64>> = Vec::with_capacity(rows.len());
        let mut l: Vec<Vec<f64>> = Vec::with_capacity(rows.len());
        for mut row in rows {
            let length = dot(&row, &row).sqrt();
            let mut own = vec![0.0; q.len() + 1];
            for _ in 0..2 {
                for (q, own) in q.iter().zip(&mut own) {
                    let c = dot(q, &row);
                    axpy(-c, q, &mut row);
                    *own += c;
                }
            }
            let left = dot(&row, &row).sqrt();
            if left > DEPENDENT * length {
                row.iter_mut().for_each(|v| *v /= left);
                own[q.len()] = left;
            } else {
                row.fill(0.0);
            }
            q.push(row);
            l.push(own);
        }
        Self { q, l }
    }

    /// Takes the rows' span out of `v` and returns the rows' coefficients in
    /// what was taken (zero for dependent rows).
    pub(super) fn remove(&self, v: &mut [f64]) -> Vec<f64> {
        let n = self.q.len();
        let mut c = vec![0.0; n];
        for _ in 0..2 {
            for (q, c) in self.q.iter().zip(&mut c) {
                let part = dot(q, v);
                axpy(-part, q, v);
                *c += part;
            }
        }
        // A' r = Q' L' r = Q' c.
        for i in (0..n).rev() {
            let pivot = self.l[i][i];
            c[i] = if pivot > 0.0 { c[i] / pivot } else { 0.0 };
            for j in 0..i {
                c[j] -= self.l[i][j] * c[i];
            }
        }
        c
    }

    /// Adds to `x` the shortest vector `v` with `A v = missing`.
    pub(super) fn restore(&self, missing: &[f64], x: &mut [f64]) {
        let mut y: Vec<f64> = Vec::with_capacity(missing.len());
        for (i, m) in missing.iter().enumerate() {
            let pivot = self.l[i][i];
            let rest = m - dot(&self.l[i][..i], &y);
            y.push(if pivot > 0.0 { rest / pivot } else { 0.0 });
        }
        for (q, y) in self.q.iter().zip(&y) {
            axpy(*y, q, x);
        }
    }
}
