//! What surrounds the product in a linear layer: the bias and its gradient.

use super::rows_per_block;
use rayon::prelude::*;

/// Sets every row of `y` to `bias`.
pub fn fill_rows(y: &mut [f32], bias: &[f32]) {
    y.par_chunks_mut(rows_per_block(bias.len()) * bias.len())
        .for_each(|block| {
            for row in block.chunks_exact_mut(bias.len()) {
                row.copy_from_slice(bias);
            }
        });
}

/// `sums[c] += Σ_r dy[r, c]`, block by block in order.
pub fn add_column_sums(sums: &mut [f32], dy: &[f32]) {
    let cols = sums.len();
    let partial: Vec<Vec<f32>> = dy
        .par_chunks(rows_per_block(cols).max(16) * cols)
        .map(|block| {
            let mut sums = vec![0.0; cols];
            for row in block.chunks_exact(cols) {
                sums.iter_mut().zip(row).for_each(|(s, d)| *s += d);
            }
            sums
        })
        .collect();
    for block in partial {
        sums.iter_mut().zip(block).for_each(|(s, d)| *s += d);
    }
}

/// `a += b`
pub fn add(a: &mut [f32], b: &[f32]) {
    a.par_chunks_mut(super::BLOCK)
        .zip(b.par_chunks(super::BLOCK))
        .for_each(|(a, b)| a.iter_mut().zip(b).for_each(|(a, b)| *a += b));
}

/// `Σ x²` in `f64`.
pub fn sum_of_squares(x: &[f32]) -> f64 {
    let sums: Vec<f64> = x
        .par_chunks(super::BLOCK)
        .map(|x| super::lane_sum(x.len(), |i| x[i] * x[i]) as f64)
        .collect();
    sums.iter().sum()
}
