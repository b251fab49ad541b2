//! The few factorisations that are needed, always on one thread: layers are what runs in
//! parallel, so that results do not depend on the number of threads.

use faer::diag::Diag;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::householder::{
    apply_block_householder_sequence_on_the_left_in_place_scratch as apply_scratch,
    apply_block_householder_sequence_on_the_left_in_place_with_conj as apply,
};
use faer::linalg::matmul::matmul;
use faer::linalg::qr::no_pivoting::factor;
use faer::linalg::svd::{ComputeSvdVectors, svd, svd_scratch};
use faer::{Accum, Conj, Mat, MatMut, MatRef, Par};
use rayon::prelude::*;

/// Rows of the output that are one piece of work.
const ROWS: usize = 64;

/// A matrix stored row by row.
pub(super) fn rows(values: &[f32], nrows: usize, ncols: usize) -> MatRef<'_, f32> {
    MatRef::from_row_major_slice(values, nrows, ncols)
}

/// `out += c x y` for `out` stored row by row, `[rows of x, columns of y]`.
pub(super) fn add_product(out: &mut [f32], c: f32, x: MatRef<'_, f32>, y: MatRef<'_, f32>) {
    let ncols = y.ncols();
    if ncols == 0 {
        return;
    }
    let pieces = out.par_chunks_mut(ROWS * ncols).enumerate();
    pieces.for_each(|(i, piece)| {
        let nrows = piece.len() / ncols;
        let x = x.subrows(i * ROWS, nrows);
        let out = MatMut::from_row_major_slice_mut(piece, nrows, ncols);
        matmul(out, Accum::Add, x, y, c, Par::Seq);
    });
}

/// `x y` in `f64`.
pub(super) fn product(x: MatRef<'_, f64>, y: MatRef<'_, f64>) -> Mat<f64> {
    let mut out = Mat::zeros(x.nrows(), y.ncols());
    matmul(out.as_mut(), Accum::Replace, x, y, 1.0, Par::Seq);
    out
}

/// `x = q r` with `k = min(m, n)` orthonormal columns in q; x is `[m, n]`, r is `[k, n]`.
pub(super) fn thin_qr(mut x: Mat<f64>) -> (Mat<f64>, Mat<f64>) {
    let (m, n) = x.shape();
    let k = m.min(n);
    let block = factor::recommended_block_size::<f64>(m, n);
    let mut coefficients = Mat::zeros(block, k);
    let scratch = factor::qr_in_place_scratch::<f64>(m, n, block, Par::Seq, Default::default());
    factor::qr_in_place(
        x.as_mut(),
        coefficients.as_mut(),
        Par::Seq,
        MemStack::new(&mut MemBuffer::new(scratch)),
        Default::default(),
    );
    let r = Mat::from_fn(k, n, |i, j| if i <= j { x[(i, j)] } else { 0.0 });
    // The reflections' vectors lie below the diagonal, which is one.
    let basis = Mat::from_fn(m, k, |i, j| match i.cmp(&j) {
        std::cmp::Ordering::Less => 0.0,
        std::cmp::Ordering::Equal => 1.0,
        std::cmp::Ordering::Greater => x[(i, j)],
    });
    let mut q = Mat::identity(m, k);
    let scratch = apply_scratch::<f64>(m, block, k);
    apply(
        basis.as_ref(),
        coefficients.as_ref(),
        Conj::No,
        q.as_mut(),
        Par::Seq,
        MemStack::new(&mut MemBuffer::new(scratch)),
    );
    (q, r)
}

/// `x = u diag(s) v'` with falling s; `None` if the iteration does not converge, as with values
/// that are not finite.
pub(super) fn thin_svd(x: MatRef<'_, f64>) -> Option<(Mat<f64>, Vec<f64>, Mat<f64>)> {
    let (m, n) = x.shape();
    let k = m.min(n);
    let (mut u, mut v) = (Mat::zeros(m, k), Mat::zeros(n, k));
    let mut s = Diag::zeros(k);
    let thin = ComputeSvdVectors::Thin;
    let scratch = svd_scratch::<f64>(m, n, thin, thin, Par::Seq, Default::default());
    svd(
        x,
        s.as_mut(),
        Some(u.as_mut()),
        Some(v.as_mut()),
        Par::Seq,
        MemStack::new(&mut MemBuffer::new(scratch)),
        Default::default(),
    )
    .ok()?;
    let s: Vec<f64> = s.column_vector().iter().copied().collect();
    s.iter().all(|v| v.is_finite()).then_some((u, s, v))
}
