//! The few dense factorisations that the models need, on `faer`, always on the
//! calling thread: a result must not depend on the number of threads.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt::{factor, inverse};
use faer::linalg::triangular_solve::solve_lower_triangular_in_place;
use faer::{Mat, MatMut, Par, Side};

use crate::{BoError, Result};

/// Jitter is added to the diagonal in these steps, relative to its mean, until
/// the factorisation succeeds. Rounding in a kernel matrix of some hundreds of
/// rows is about `1e-14`.
const JITTERS: [f64; 5] = [0.0, 1e-12, 1e-10, 1e-8, 1e-6];

/// `sum_i a_i b_i`, in eight partial sums that the compiler can keep in vector
/// registers.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut lanes = [0.0; 8];
    let (a8, a_rest) = a.as_chunks::<8>();
    let (b8, b_rest) = b.as_chunks::<8>();
    for (a, b) in a8.iter().zip(b8) {
        for k in 0..8 {
            lanes[k] += a[k] * b[k];
        }
    }
    let tail: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    lanes.iter().sum::<f64>() + tail
}

/// `y += c x`.
pub(crate) fn axpy(c: f64, x: &[f64], y: &mut [f64]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y += c * x;
    }
}

/// `K = L L'` of a symmetric positive definite `n x n` matrix.
#[derive(Debug, Clone)]
pub(crate) struct Cholesky {
    /// Lower triangle by columns, for `faer`.
    lower: Mat<f64>,
    /// The same by rows, for solves with one right-hand side.
    rows: Vec<f64>,
}

impl Cholesky {
    /// Factorises `k` (its lower triangle is read), with as little jitter on
    /// the diagonal as it takes.
    pub(crate) fn new(k: &Mat<f64>) -> Result<Self> {
        let n = k.nrows();
        let mean = (0..n).map(|i| k[(i, i)]).sum::<f64>() / n.max(1) as f64;
        let params = Default::default();
        let scratch = factor::cholesky_in_place_scratch::<f64>(n, Par::Seq, params);
        let mut buffer = MemBuffer::new(scratch);
        for relative in JITTERS {
            let mut lower = k.clone();
            if relative > 0.0 {
                for i in 0..n {
                    lower[(i, i)] += relative * mean;
                }
            }
            let done = factor::cholesky_in_place(
                lower.as_mut(),
                Default::default(),
                Par::Seq,
                MemStack::new(&mut buffer),
                params,
            );
            let finite = (0..n).all(|i| lower[(i, i)].is_finite() && lower[(i, i)] > 0.0);
            if done.is_ok() && finite {
                let mut rows = vec![0.0; n * n];
                for j in 0..n {
                    for i in j..n {
                        rows[i * n + j] = lower[(i, j)];
                    }
                }
                return Ok(Self { lower, rows });
            }
        }
        Err(BoError::NotPositiveDefinite {
            n,
            jitter: JITTERS[JITTERS.len() - 1] * mean,
        })
    }

    pub(crate) fn dim(&self) -> usize {
        self.lower.nrows()
    }

    /// `log det K`.
    pub(crate) fn log_det(&self) -> f64 {
        2.0 * (0..self.dim())
            .map(|i| self.lower[(i, i)].ln())
            .sum::<f64>()
    }

    /// `b <- L^-1 b`.
    pub(crate) fn forward(&self, b: &mut [f64]) {
        let n = self.dim();
        for i in 0..n {
            let row = &self.rows[i * n..i * n + i + 1];
            b[i] = (b[i] - dot(&row[..i], &b[..i])) / row[i];
        }
    }

    /// `b <- L^-T b`.
    pub(crate) fn backward(&self, b: &mut [f64]) {
        let n = self.dim();
        for i in (0..n).rev() {
            let row = &self.rows[i * n..i * n + i + 1];
            b[i] /= row[i];
            let c = -b[i];
            axpy(c, &row[..i], &mut b[..i]);
        }
    }

    /// `b <- K^-1 b`.
    pub(crate) fn solve(&self, b: &mut [f64]) {
        self.forward(b);
        self.backward(b);
    }

    /// `B <- L^-1 B` for many columns at once.
    pub(crate) fn forward_columns(&self, b: MatMut<'_, f64>) {
        solve_lower_triangular_in_place(self.lower.as_ref(), b, Par::Seq);
    }

    /// `K^-1`; only the lower triangle is filled.
    pub(crate) fn inverse(&self) -> Mat<f64> {
        let n = self.dim();
        let mut out = Mat::zeros(n, n);
        let mut buffer = MemBuffer::new(inverse::inverse_scratch::<f64>(n, Par::Seq));
        inverse::inverse(
            out.as_mut(),
            self.lower.as_ref(),
            Par::Seq,
            MemStack::new(&mut buffer),
        );
        out
    }
}

/// Eigenvalues (ascending) and eigenvectors (by rows) of a symmetric matrix;
/// `None` if the iteration does not converge.
pub(crate) fn symmetric_eigen(a: &Mat<f64>) -> Option<(Vec<f64>, Vec<Vec<f64>>)> {
    let n = a.nrows();
    let evd = a.self_adjoint_eigen(Side::Lower).ok()?;
    let values = (0..n).map(|i| evd.S()[i]).collect();
    let vectors = (0..n)
        .map(|i| (0..n).map(|k| evd.U()[(k, i)]).collect())
        .collect();
    Some((values, vectors))
}
