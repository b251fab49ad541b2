//! Layer normalisation (Ba et al. 2016) over rows, forward and backward.
//!
//! `y = γ x̂ + β` with `x̂ = (x - mean(x)) / √(var(x) + ε)`. The forward pass keeps
//! `x̂` and `1/√(var + ε)`; with `g = γ dy` the backward pass is
//! `dx = (g - mean(g) - x̂ mean(g x̂)) / √(var + ε)`. Some norms have no `β`.

use super::{LANES, lane_sum, rows_per_block};
use rayon::prelude::*;

#[multiversion::multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma",
    "x86_64+avx2+fma"
))]
fn forward_rows(
    y: &mut [f32],
    x_hat: &mut [f32],
    inv_std: &mut [f32],
    gamma: &[f32],
    beta: Option<&[f32]>,
    eps: f32,
) {
    let cols = gamma.len();
    let n = cols as f32;
    for ((y, x), inv) in y
        .chunks_exact_mut(cols)
        .zip(x_hat.chunks_exact_mut(cols))
        .zip(inv_std)
    {
        let mean = lane_sum(cols, |i| x[i]) / n;
        let variance = lane_sum(cols, |i| (x[i] - mean) * (x[i] - mean)) / n;
        *inv = 1.0 / (variance + eps).sqrt();
        for x in x.iter_mut() {
            *x = (*x - mean) * *inv;
        }
        match beta {
            Some(beta) => (0..cols).for_each(|i| y[i] = gamma[i].mul_add(x[i], beta[i])),
            None => (0..cols).for_each(|i| y[i] = gamma[i] * x[i]),
        }
    }
}

/// Normalises the rows of `x_hat` in place and writes `y = γ x̂ + β`, or `γ x̂` without `β`.
///
/// Shapes: `y`, `x_hat` `[rows, cols]`; `inv_std` `[rows]`; `gamma`, `beta` `[cols]`.
pub fn forward(
    y: &mut [f32],
    x_hat: &mut [f32],
    inv_std: &mut [f32],
    gamma: &[f32],
    beta: Option<&[f32]>,
    eps: f32,
) {
    let rows = rows_per_block(gamma.len());
    let block = rows * gamma.len();
    y.par_chunks_mut(block)
        .zip(x_hat.par_chunks_mut(block))
        .zip(inv_std.par_chunks_mut(rows))
        .for_each(|((y, x), inv)| forward_rows(y, x, inv, gamma, beta, eps));
}

#[multiversion::multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma",
    "x86_64+avx2+fma"
))]
fn backward_rows(
    dy: &mut [f32],
    x_hat: &[f32],
    inv_std: &[f32],
    gamma: &[f32],
    mut d_affine: Option<(&mut [f32], &mut [f32])>,
) {
    let cols = gamma.len();
    let n = cols as f32;
    for ((dy, x), inv) in dy
        .chunks_exact_mut(cols)
        .zip(x_hat.chunks_exact(cols))
        .zip(inv_std)
    {
        if let Some((d_gamma, d_beta)) = &mut d_affine {
            for i in 0..cols {
                d_gamma[i] = dy[i].mul_add(x[i], d_gamma[i]);
            }
            d_beta.iter_mut().zip(&*dy).for_each(|(d, dy)| *d += dy);
        }
        let mean = lane_sum(cols, |i| dy[i] * gamma[i]) / n;
        let mean_x = lane_sum(cols, |i| dy[i] * gamma[i] * x[i]) / n;
        for i in 0..cols {
            dy[i] = (dy[i].mul_add(gamma[i], -mean) - x[i] * mean_x) * inv;
        }
    }
}

/// Turns `dy` into the gradient of the rows before normalisation, in place, and
/// adds to `d_gamma` and `d_beta` where they are given, the latter empty without a `β`.
pub fn backward(
    dy: &mut [f32],
    x_hat: &[f32],
    inv_std: &[f32],
    gamma: &[f32],
    d_affine: Option<(&mut [f32], &mut [f32])>,
) {
    let cols = gamma.len();
    let rows = rows_per_block(cols).max(LANES);
    let block = rows * cols;
    let blocks = dy
        .par_chunks_mut(block)
        .zip(x_hat.par_chunks(block))
        .zip(inv_std.par_chunks(rows));
    let Some((d_gamma, d_beta)) = d_affine else {
        blocks.for_each(|((dy, x), inv)| backward_rows(dy, x, inv, gamma, None));
        return;
    };
    // Partial sums a block, added in order: the same for any number of threads.
    let partial: Vec<Vec<f32>> = blocks
        .map(|((dy, x), inv)| {
            let mut sums = vec![0.0; cols + d_beta.len()];
            let (d_gamma, d_beta) = sums.split_at_mut(cols);
            backward_rows(dy, x, inv, gamma, Some((d_gamma, d_beta)));
            sums
        })
        .collect();
    for sums in partial {
        let (of_gamma, of_beta) = sums.split_at(cols);
        d_gamma.iter_mut().zip(of_gamma).for_each(|(d, s)| *d += s);
        d_beta.iter_mut().zip(of_beta).for_each(|(d, s)| *d += s);
    }
}
