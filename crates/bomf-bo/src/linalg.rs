//! The few dense factorisations that the models need, on `faer`, always on the
//! calling thread: a result must not depend on the number of threads.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt::{factor, inverse};
use faer::linalg::matmul::matmul;
use faer::linalg::triangular_solve::{
    solve_lower_triangular_in_place, solve_upper_triangular_in_place,
};
use faer::{Accum, Mat, MatMut, MatRef, Par, Side};
use multiversion::multiversion;

use crate::{BoError, Result};

/// Jitter is added to the diagonal in these steps, relative to its mean, until
/// the factorisation succeeds. Rounding in a kernel matrix of some hundreds of
/// rows is about `1e-14`.
const JITTERS: [f64; 5] = [0.0, 1e-12, 1e-10, 1e-8, 1e-6];

/// `sum_i a_i b_i`, in eight partial sums that the compiler can keep in vector
/// registers.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    dot_inline(a, b)
}

/// [`dot`], to be compiled for its caller's instruction set.
#[inline(always)]
pub(crate) fn dot_inline(a: &[f64], b: &[f64]) -> f64 {
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
#[inline]
pub(crate) fn axpy(c: f64, x: &[f64], y: &mut [f64]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y += c * x;
    }
}

/// `dst += c A B`.
pub(crate) fn add_product(dst: MatMut<'_, f64>, c: f64, a: MatRef<'_, f64>, b: MatRef<'_, f64>) {
    matmul(dst, Accum::Add, a, b, c, Par::Seq);
}

/// `K = L L'` of a symmetric positive definite `n x n` matrix.
#[derive(Debug, Clone)]
pub(crate) struct Cholesky {
    /// Lower triangle by columns; above it there is nothing to be relied on.
    lower: Mat<f64>,
    /// What was added to the diagonal.
    jitter: f64,
}

impl Cholesky {
    /// Room for the factor of an `n x n` matrix.
    pub(crate) fn of_size(n: usize) -> Self {
        Self {
            lower: Mat::zeros(n, n),
            jitter: 0.0,
        }
    }

    /// Factorises `k` (its lower triangle is read), with as little jitter on
    /// the diagonal as it takes.
    pub(crate) fn new(k: &Mat<f64>) -> Result<Self> {
        let mut this = Self::of_size(k.nrows());
        this.refactorise(k, &mut Workspace::default())?;
        Ok(this)
    }

    /// As [`Self::new`], in this factor's memory; `k` has its size. After an
    /// error the factor is of no use.
    pub(crate) fn refactorise(&mut self, k: &Mat<f64>, workspace: &mut Workspace) -> Result<()> {
        let n = self.dim();
        let mean = (0..n).map(|i| k[(i, i)]).sum::<f64>() / n.max(1) as f64;
        let params = Default::default();
        let scratch = factor::cholesky_in_place_scratch::<f64>(n, Par::Seq, params);
        for relative in JITTERS {
            self.jitter = relative * mean;
            for j in 0..n {
                let own = &mut self.lower.col_as_slice_mut(j)[j..];
                own.copy_from_slice(&k.col_as_slice(j)[j..]);
            }
            if relative > 0.0 {
                for i in 0..n {
                    self.lower[(i, i)] += self.jitter;
                }
            }
            let done = factor::cholesky_in_place(
                self.lower.as_mut(),
                Default::default(),
                Par::Seq,
                workspace.stack(scratch),
                params,
            );
            let usable = |v: f64| v.is_finite() && v > 0.0;
            if done.is_ok() && (0..n).all(|i| usable(self.lower[(i, i)])) {
                return Ok(());
            }
        }
        Err(BoError::NotPositiveDefinite {
            n,
            jitter: self.jitter,
        })
    }

    /// The factor of the matrix with further rows: `cross` (`n x q`) between
    /// old and new, `corner` (`q x q`, its lower triangle is read) among the
    /// new. Takes `n^2 q` operations where a new factorisation takes `n^3`.
    /// `None` if what is left of the corner is not positive definite: then
    /// jitter is needed everywhere.
    pub(crate) fn extended(&self, cross: &Mat<f64>, corner: &Mat<f64>) -> Option<Self> {
        let (n, q) = (self.dim(), corner.nrows());
        // [L 0; M N] with M' = L^-1 cross and N N' = corner - M M'.
        let mut solved = cross.clone();
        self.forward_columns(solved.as_mut());
        let mut rest = Mat::from_fn(q, q, |i, j| {
            corner[(i, j)] - dot(solved.col_as_slice(i), solved.col_as_slice(j))
        });
        for i in 0..q {
            rest[(i, i)] += self.jitter;
        }
        let new = Self::new(&rest).ok().filter(|new| new.jitter == 0.0)?;
        let mut lower = Mat::zeros(n + q, n + q);
        for j in 0..n {
            let column = lower.col_as_slice_mut(j);
            column[j..n].copy_from_slice(&self.lower.col_as_slice(j)[j..]);
            for (i, v) in column[n..].iter_mut().enumerate() {
                *v = solved[(j, i)];
            }
        }
        for j in 0..q {
            let own = &new.lower.col_as_slice(j)[j..];
            lower.col_as_slice_mut(n + j)[n + j..].copy_from_slice(own);
        }
        Some(Self {
            lower,
            jitter: self.jitter,
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
        forward(&self.lower, b);
    }

    /// `b <- L^-T b`.
    pub(crate) fn backward(&self, b: &mut [f64]) {
        backward(&self.lower, b);
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

    /// `B <- L^-T B` for many columns at once.
    pub(crate) fn backward_columns(&self, b: MatMut<'_, f64>) {
        solve_upper_triangular_in_place(self.lower.as_ref().transpose(), b, Par::Seq);
    }

    /// `L`; what is above the diagonal does not matter.
    pub(crate) fn lower(&self) -> &Mat<f64> {
        &self.lower
    }

    /// `K^-1`; only the lower triangle is filled.
    pub(crate) fn inverse_into(&self, out: &mut Mat<f64>, workspace: &mut Workspace) {
        let scratch = inverse::inverse_scratch::<f64>(self.dim(), Par::Seq);
        inverse::inverse(
            out.as_mut(),
            self.lower.as_ref(),
            Par::Seq,
            workspace.stack(scratch),
        );
    }

    /// `K^-1`; only the lower triangle is filled.
    pub(crate) fn inverse(&self) -> Mat<f64> {
        let mut out = Mat::zeros(self.dim(), self.dim());
        self.inverse_into(&mut out, &mut Workspace::default());
        out
    }
}

/// Memory that factorisations of one size share.
#[derive(Default)]
pub(crate) struct Workspace {
    buffer: Option<(usize, MemBuffer)>,
}

impl Workspace {
    fn stack(&mut self, required: faer::dyn_stack::StackReq) -> &mut MemStack {
        let bytes = required.unaligned_bytes_required();
        let (_, buffer) = match self.buffer.take() {
            Some((size, buffer)) if size >= bytes => self.buffer.insert((size, buffer)),
            _ => self.buffer.insert((bytes, MemBuffer::new(required))),
        };
        MemStack::new(buffer)
    }
}

// Compiled once for each instruction set; the arithmetic is the same in all of
// them.

#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
fn forward(lower: &Mat<f64>, b: &mut [f64]) {
    for j in 0..b.len() {
        let column = &lower.col_as_slice(j)[j..];
        let (head, tail) = b[j..].split_at_mut(1);
        head[0] /= column[0];
        let c = head[0];
        for (b, l) in tail.iter_mut().zip(&column[1..]) {
            *b -= c * l;
        }
    }
}

#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
fn backward(lower: &Mat<f64>, b: &mut [f64]) {
    for j in (0..b.len()).rev() {
        let column = &lower.col_as_slice(j)[j..];
        let own = dot_inline(&column[1..], &b[j + 1..]);
        b[j] = (b[j] - own) / column[0];
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

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(n: usize) -> Mat<f64> {
        Mat::from_fn(n, n, |i, j| {
            let d = (i as f64 - j as f64) / 3.0;
            (-d * d).exp() + if i == j { 0.1 } else { 0.0 }
        })
    }

    #[test]
    fn solves_invert_and_extensions_are_factorisations() {
        for (n, q) in [(1, 1), (9, 1), (20, 7), (40, 3)] {
            let whole = matrix(n + q);
            let factor = Cholesky::new(&whole).unwrap();
            let b: Vec<f64> = (0..n + q).map(|i| (i as f64).sin()).collect();
            let mut x = b.clone();
            factor.solve(&mut x);
            for i in 0..n + q {
                let product: f64 = (0..n + q).map(|j| whole[(i, j)] * x[j]).sum();
                assert!((product - b[i]).abs() < 1e-12);
            }
            let part = Cholesky::new(&matrix(n)).unwrap();
            let cross = Mat::from_fn(n, q, |i, j| whole[(i, n + j)]);
            let corner = Mat::from_fn(q, q, |i, j| whole[(n + i, n + j)]);
            let extended = part.extended(&cross, &corner).unwrap();
            for j in 0..n + q {
                for i in j..n + q {
                    assert!((extended.lower[(i, j)] - factor.lower[(i, j)]).abs() < 1e-12);
                }
            }
        }
    }

    #[test]
    fn no_extension_by_a_copy_of_a_row() {
        let part = Cholesky::new(&matrix(5)).unwrap();
        let cross = Mat::from_fn(5, 1, |i, _| matrix(5)[(i, 2)]);
        let corner = Mat::from_fn(1, 1, |_, _| matrix(5)[(2, 2)] - 1e-9);
        assert!(part.extended(&cross, &corner).is_none());
    }
}
