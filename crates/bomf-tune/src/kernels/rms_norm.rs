//! Root-mean-square normalisation (Zhang and Sennrich 2019), of rows or of the heads
//! within them, forward and backward.
//!
//! `y = γ x̂` with `x̂ = x / √(mean(x²) + ε)`. The forward pass keeps `1/√(mean + ε)`;
//! with `g = γ dy` the backward pass is `dx = (g - x̂ mean(g x̂)) / √(mean + ε)`.

use super::{LANES, lane_sum, rows_per_block};
use rayon::prelude::*;

/// Which columns are normalised: the first `cols` of `width`, in groups as long as `γ`;
/// the others pass as they are.
#[derive(Debug, Clone, Copy)]
pub struct Groups {
    /// Columns that are normalised, a multiple of `γ`'s length.
    pub cols: usize,
    /// Columns of a row.
    pub width: usize,
}

impl Groups {
    /// Groups in a row.
    pub fn count(self, gamma: &[f32]) -> usize {
        self.cols / gamma.len()
    }
}

#[multiversion::multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma",
    "x86_64+avx2+fma"
))]
fn forward_rows(
    y: &mut [f32],
    inv: &mut [f32],
    x: &[f32],
    gamma: &[f32],
    eps: f32,
    groups: Groups,
) {
    let (d, per_row) = (gamma.len(), groups.count(gamma));
    let rows = y
        .chunks_exact_mut(groups.width)
        .zip(x.chunks_exact(groups.width));
    for ((y, x), inv) in rows.zip(inv.chunks_exact_mut(per_row)) {
        y[groups.cols..].copy_from_slice(&x[groups.cols..]);
        let pairs = y.chunks_exact_mut(d).zip(x.chunks_exact(d));
        for ((y, x), inv) in pairs.zip(inv) {
            let mean = lane_sum(d, |i| x[i] * x[i]) / d as f32;
            *inv = 1.0 / (mean + eps).sqrt();
            for i in 0..d {
                y[i] = gamma[i] * (x[i] * *inv);
            }
        }
    }
}

/// Writes `y = γ x̂` and `inv`.
///
/// Shapes: `y`, `x` `[rows, width]`; `inv` `[rows, groups]`; `gamma` `[d]`.
pub fn forward(y: &mut [f32], inv: &mut [f32], x: &[f32], gamma: &[f32], eps: f32, groups: Groups) {
    let rows = rows_per_block(groups.width);
    let block = rows * groups.width;
    y.par_chunks_mut(block)
        .zip(inv.par_chunks_mut(rows * groups.count(gamma)))
        .zip(x.par_chunks(block))
        .for_each(|((y, inv), x)| forward_rows(y, inv, x, gamma, eps, groups));
}

#[multiversion::multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma",
    "x86_64+avx2+fma"
))]
fn backward_rows(
    dy: &mut [f32],
    x: &[f32],
    inv: &[f32],
    gamma: &[f32],
    groups: Groups,
    mut d_gamma: Option<&mut [f32]>,
) {
    let (d, per_row) = (gamma.len(), groups.count(gamma));
    let rows = dy
        .chunks_exact_mut(groups.width)
        .zip(x.chunks_exact(groups.width));
    for ((dy, x), inv) in rows.zip(inv.chunks_exact(per_row)) {
        let pairs = dy.chunks_exact_mut(d).zip(x.chunks_exact(d));
        for ((dy, x), &inv) in pairs.zip(inv) {
            if let Some(d_gamma) = &mut d_gamma {
                for i in 0..d {
                    d_gamma[i] += dy[i] * (x[i] * inv);
                }
            }
            let mean = lane_sum(d, |i| dy[i] * gamma[i] * x[i]) * inv / d as f32;
            for i in 0..d {
                dy[i] = (dy[i] * gamma[i] - x[i] * inv * mean) * inv;
            }
        }
    }
}

/// Turns `dy` into the gradient of `x`, in place, and adds to `d_gamma` where it is given.
pub fn backward(
    dy: &mut [f32],
    x: &[f32],
    inv: &[f32],
    gamma: &[f32],
    groups: Groups,
    d_gamma: Option<&mut [f32]>,
) {
    let rows = rows_per_block(groups.width).max(LANES);
    let block = rows * groups.width;
    let blocks = dy
        .par_chunks_mut(block)
        .zip(x.par_chunks(block))
        .zip(inv.par_chunks(rows * groups.count(gamma)));
    let Some(d_gamma) = d_gamma else {
        blocks.for_each(|((dy, x), inv)| backward_rows(dy, x, inv, gamma, groups, None));
        return;
    };
    // Partial sums a block, added in order: the same for any number of threads.
    let partial: Vec<Vec<f32>> = blocks
        .map(|((dy, x), inv)| {
            let mut sums = vec![0.0; gamma.len()];
            backward_rows(dy, x, inv, gamma, groups, Some(&mut sums));
            sums
        })
        .collect();
    for sums in partial {
        d_gamma.iter_mut().zip(sums).for_each(|(d, sum)| *d += sum);
    }
}
