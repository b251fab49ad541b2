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

/// `C[m, n] += alpha A[m, k] B[k, n]`
///
/// # Panics
/// If a slice is not of the size its shape says.
pub fn add_a_b(c: &mut [f32], alpha: f32, a: &[f32], b: &[f32], (m, n, k): (usize, usize, usize)) {
    matmul(
        MatMut::from_row_major_slice_mut(c, m, n),
        Accum::Add,
        MatRef::from_row_major_slice(a, m, k),
        MatRef::from_row_major_slice(b, k, n),
        alpha,
        par(m, n, k),
    );
}

/// `C[m, n] += alpha A[k, m]ᵀ B[n, k]ᵀ`
///
/// # Panics
/// If a slice is not of the size its shape says.
pub fn add_at_bt(
    c: &mut [f32],
    alpha: f32,
    a: &[f32],
    b: &[f32],
    (m, n, k): (usize, usize, usize),
) {
    matmul(
        MatMut::from_row_major_slice_mut(c, m, n),
        Accum::Add,
        MatRef::from_row_major_slice(a, k, m).transpose(),
        MatRef::from_row_major_slice(b, n, k).transpose(),
        alpha,
        par(m, n, k),
    );
}

/// Columns `first..` of a row-major matrix of `width` columns.
#[derive(Debug, Clone, Copy)]
pub struct Columns {
    /// The first of them.
    pub first: usize,
    /// Columns of the whole matrix.
    pub width: usize,
}

/// `C[m, n] += alpha A[m, k] B[n, k]ᵀ`, `C` being some columns of a wider matrix.
///
/// # Panics
/// If a slice is not of the size its shape says.
pub fn add_a_bt_to_columns(
    c: &mut [f32],
    columns: Columns,
    alpha: f32,
    (a, b): (&[f32], &[f32]),
    (m, n, k): (usize, usize, usize),
) {
    if m == 0 {
        return;
    }
    let c = &mut c[columns.first..];
    matmul(
        // By columns and transposed: faer 0.24's constructor of a mutable matrix by rows with a
        // stride mixes its strides up.
        MatMut::from_column_major_slice_with_stride_mut(c, n, m, columns.width).transpose_mut(),
        Accum::Add,
        MatRef::from_row_major_slice(a, m, k),
        MatRef::from_row_major_slice(b, n, k).transpose(),
        alpha,
        par(m, n, k),
    );
}

/// `C[m, n] = alpha A[m, k] B[k, n]`, `A` being some columns of a wider matrix.
///
/// # Panics
/// If a slice is not of the size its shape says.
pub fn columns_a_b(
    c: &mut [f32],
    columns: Columns,
    alpha: f32,
    (a, b): (&[f32], &[f32]),
    (m, n, k): (usize, usize, usize),
) {
    if m == 0 {
        return;
    }
    matmul(
        MatMut::from_row_major_slice_mut(c, m, n),
        Accum::Replace,
        MatRef::from_row_major_slice_with_stride(&a[columns.first..], m, k, columns.width),
        MatRef::from_row_major_slice(b, k, n),
        alpha,
        par(m, n, k),
    );
}

/// `C[m, n] += alpha A[k, m]ᵀ B[k, n]`, `A` being some columns of a wider matrix.
///
/// # Panics
/// If a slice is not of the size its shape says.
pub fn add_columns_at_b(
    c: &mut [f32],
    columns: Columns,
    alpha: f32,
    (a, b): (&[f32], &[f32]),
    (m, n, k): (usize, usize, usize),
) {
    if k == 0 {
        return;
    }
    matmul(
        MatMut::from_row_major_slice_mut(c, m, n),
        Accum::Add,
        MatRef::from_row_major_slice_with_stride(&a[columns.first..], k, m, columns.width)
            .transpose(),
        MatRef::from_row_major_slice(b, k, n),
        alpha,
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
