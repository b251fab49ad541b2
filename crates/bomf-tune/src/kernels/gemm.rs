//! Matrix products on row-major slices, through `faer`.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};

/// Products with fewer multiplications than this stay on one thread: splitting
/// costs some ten microseconds.
const PARALLEL_FROM: usize = 1 << 18;

fn par(m: usize, n: usize, k: usize) -> Par {
    let threads = rayon::current_num_threads();
    if threads > 1 && m * n * k >= PARALLEL_FROM {
        Par::rayon(threads)
    } else {
        Par::Seq
    }
}

/// Whether a product replaces or adds to its destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Into {
    /// `C = A B`
    Replace,
    /// `C += A B`
    Add,
}

impl From<Into> for Accum {
    fn from(into: Into) -> Accum {
        match into {
            Into::Replace => Accum::Replace,
            Into::Add => Accum::Add,
        }
    }
}

/// `C[m, n] (+)= A[m, k] B[n, k]ᵀ`
///
/// # Panics
/// If a slice is not of the size its shape says.
pub fn a_bt(c: &mut [f32], into: Into, a: &[f32], b: &[f32], (m, n, k): (usize, usize, usize)) {
    matmul(
        MatMut::from_row_major_slice_mut(c, m, n),
        into.into(),
        MatRef::from_row_major_slice(a, m, k),
        MatRef::from_row_major_slice(b, n, k).transpose(),
        1.0f32,
        par(m, n, k),
    );
}

/// `C[m, n] (+)= A[m, k] B[k, n]`
///
/// # Panics
/// If a slice is not of the size its shape says.
pub fn a_b(c: &mut [f32], into: Into, a: &[f32], b: &[f32], (m, n, k): (usize, usize, usize)) {
    matmul(
        MatMut::from_row_major_slice_mut(c, m, n),
        into.into(),
        MatRef::from_row_major_slice(a, m, k),
        MatRef::from_row_major_slice(b, k, n),
        1.0f32,
        par(m, n, k),
    );
}

/// `C[m, n] (+)= A[k, m]ᵀ B[k, n]`
///
/// # Panics
/// If a slice is not of the size its shape says.
pub fn at_b(c: &mut [f32], into: Into, a: &[f32], b: &[f32], (m, n, k): (usize, usize, usize)) {
    matmul(
        MatMut::from_row_major_slice_mut(c, m, n),
        into.into(),
        MatRef::from_row_major_slice(a, k, m).transpose(),
        MatRef::from_row_major_slice(b, k, n),
        1.0f32,
        par(m, n, k),
    );
}
