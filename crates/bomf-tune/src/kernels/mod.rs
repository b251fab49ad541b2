//! CPU kernels: the arithmetic of every fused operation, on plain slices.
//!
//! Each kernel is an ordinary safe function over row-major `f32` slices; none needs
//! unsafe code. Kernels are compiled for several instruction sets and the best is
//! picked at run time (`multiversion`), products go through `faer`, which does the
//! same: a portable build loses nothing.
//!
//! Rows are split among the threads of the current rayon pool in blocks of fixed
//! size, and no sum crosses a block, so results do not depend on scheduling.

pub mod activation;
pub mod adafactor;
pub mod adamw;
pub mod attention;
pub mod cached;
pub mod cross_entropy;
pub mod dropout;
pub mod embedding;
pub mod gemm;
pub mod layer_norm;
pub mod linear;
pub mod log_loss;
pub mod math;
pub mod mean;
pub mod relative;
pub mod rms_norm;
pub mod rope;
pub mod sgd;
pub mod tile;

/// Elements a thread takes at once in elementwise kernels: 64 KiB of `f32`, which
/// stays in a core's second-level cache beside its operands.
pub(crate) const BLOCK: usize = 16 * 1024;

/// Rows a thread takes at once where a row has `cols` columns.
pub(crate) fn rows_per_block(cols: usize) -> usize {
    (BLOCK / cols.max(1)).max(1)
}

/// Lanes of the partial sums in reductions: one AVX-512 register of `f32`.
pub(crate) const LANES: usize = 16;

/// Sum of `f(0) + … + f(n - 1)` in [`LANES`] interleaved partial sums.
///
/// Rust keeps the order of float additions, so a plain loop cannot be vectorised;
/// this one can, and it is more accurate as well.
#[inline(always)]
pub(crate) fn lane_sum(n: usize, f: impl Fn(usize) -> f32) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let whole = n / LANES * LANES;
    for start in (0..whole).step_by(LANES) {
        for (lane, sum) in lanes.iter_mut().enumerate() {
            *sum += f(start + lane);
        }
    }
    let mut sum: f32 = lanes.iter().sum();
    for i in whole..n {
        sum += f(i);
    }
    sum
}

/// Largest of `x`, or minus infinity where it is empty.
#[inline(always)]
pub(crate) fn lane_max(x: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let chunks = x.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, max) in lanes.iter_mut().enumerate() {
            *max = if chunk[lane] > *max {
                chunk[lane]
            } else {
                *max
            };
        }
    }
    lanes
        .iter()
        .chain(rest)
        .fold(f32::NEG_INFINITY, |max, &v| if v > max { v } else { max })
}
