//! Small matrix products on padded scratch, for attention.
//!
//! A head's score matrix is some fifty rows square: too small for a general
//! product to pay for its packing, so these run on register tiles directly.

/// Columns are padded to a multiple of this.
pub const PAD: usize = 16;

/// Rows of the register tile.
const MR: usize = 4;
/// Columns of the register tile.
const NR: usize = 32;

/// `n` rounded up to a multiple of [`PAD`].
pub const fn padded(n: usize) -> usize {
    n.div_ceil(PAD) * PAD
}

/// A matrix read one number at a time, with any strides.
#[derive(Clone, Copy)]
pub struct Strided<'a> {
    /// Its numbers.
    pub data: &'a [f32],
    /// Distance between rows.
    pub row: usize,
    /// Distance between columns.
    pub col: usize,
}

#[inline(always)]
fn block<const M: usize, const N: usize, const ADDS: bool>(
    c: &mut [f32],
    ldc: usize,
    a: Strided<'_>,
    (i0, j0): (usize, usize),
    b: &[f32],
    ldb: usize,
    k: usize,
) {
    let mut acc = [[0.0f32; N]; M];
    if ADDS {
        for (i, acc) in acc.iter_mut().enumerate() {
            acc.copy_from_slice(&c[(i0 + i) * ldc + j0..][..N]);
        }
    }
    for p in 0..k {
        let b: &[f32; N] = b[p * ldb + j0..][..N].try_into().expect("N columns");
        for (i, acc) in acc.iter_mut().enumerate() {
            let a = a.data[(i0 + i) * a.row + p * a.col];
            for (acc, &b) in acc.iter_mut().zip(b) {
                *acc = a.mul_add(b, *acc);
            }
        }
    }
    for (i, acc) in acc.iter().enumerate() {
        c[(i0 + i) * ldc + j0..][..N].copy_from_slice(acc);
    }
}

#[inline(always)]
fn columns<const N: usize, const ADDS: bool>(
    c: &mut [f32],
    ldc: usize,
    a: Strided<'_>,
    j0: usize,
    b: &[f32],
    ldb: usize,
    (m, k): (usize, usize),
) {
    let mut i = 0;
    while i + MR <= m {
        block::<MR, N, ADDS>(c, ldc, a, (i, j0), b, ldb, k);
        i += MR;
    }
    while i < m {
        block::<1, N, ADDS>(c, ldc, a, (i, j0), b, ldb, k);
        i += 1;
    }
}

/// `C[m, n] = A[m, k] B[k, n]`, with `n`, `ldb` and `ldc` multiples of [`PAD`].
///
/// Always inlined, so that it takes on the instruction set of the kernel around it.
#[inline(always)]
pub fn product(
    c: &mut [f32],
    ldc: usize,
    a: Strided<'_>,
    b: &[f32],
    ldb: usize,
    (m, n, k): (usize, usize, usize),
) {
    run::<false>(c, ldc, a, b, ldb, (m, n, k));
}

/// `C[m, n] += A[m, k] B[k, n]`, likewise. Numbers are added one after another, so that a sum
/// in parts has the bits of one in a piece.
#[inline(always)]
pub fn add_product(
    c: &mut [f32],
    ldc: usize,
    a: Strided<'_>,
    b: &[f32],
    ldb: usize,
    (m, n, k): (usize, usize, usize),
) {
    run::<true>(c, ldc, a, b, ldb, (m, n, k));
}

#[inline(always)]
fn run<const ADDS: bool>(
    c: &mut [f32],
    ldc: usize,
    a: Strided<'_>,
    b: &[f32],
    ldb: usize,
    (m, n, k): (usize, usize, usize),
) {
    let mut j = 0;
    while j + NR <= n {
        columns::<NR, ADDS>(c, ldc, a, j, b, ldb, (m, k));
        j += NR;
    }
    if j < n {
        columns::<PAD, ADDS>(c, ldc, a, j, b, ldb, (m, k));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_of_any_row_count_equals_the_textbook_sum() {
        for (m, n, k) in [(1, 16, 1), (4, 32, 3), (7, 48, 5), (9, 80, 32)] {
            let a: Vec<f32> = (0..m * k).map(|i| (i % 7) as f32 - 3.0).collect();
            let b: Vec<f32> = (0..k * n).map(|i| (i % 5) as f32 - 2.0).collect();
            let mut c = vec![f32::NAN; m * n];
            let a = Strided {
                data: &a,
                row: k,
                col: 1,
            };
            product(&mut c, n, a, &b, n, (m, n, k));
            // In two parts, to the same bits.
            let mut parts = vec![0.0; m * n];
            let half = k / 2;
            let rest = Strided {
                data: &a.data[half..],
                ..a
            };
            add_product(&mut parts, n, a, &b, n, (m, n, half));
            add_product(&mut parts, n, rest, &b[half * n..], n, (m, n, k - half));
            assert_eq!(parts, c);
            for i in 0..m {
                for j in 0..n {
                    let sum: f32 = (0..k).map(|p| a.data[i * k + p] * b[p * n + j]).sum();
                    assert_eq!(c[i * n + j], sum);
                }
            }
        }
    }
}
