//! One Adafactor step (Shazeer and Stern 2018, algorithms 4 and 5, without momentum and with the
//! learning rate given), as transformers' `Adafactor` makes it with `scale_parameter=False`,
//! `relative_step=False`.
//!
//! Of the second moments of a matrix's gradient only the means of rows and of columns are kept,
//! `R` and `C`:
//!
//! ```text
//! R ← β R + (1 - β) mean_cols(G² + ε₁),   C ← β C + (1 - β) mean_rows(G² + ε₁)
//! U = G / √(R C / mean(R)),   p ← (1 - η λ) p - η U / max(1, rms(U) / d)
//! ```
//!
//! Those of a vector are kept in full.

use super::{lane_sum, rows_per_block};
use rayon::prelude::*;

/// Pieces of a matrix are so many times the usual ones, so that the sums of the columns of each
/// are little beside it.
const WIDER: usize = 8;

/// The numbers of one step, the same for every parameter.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// Learning rate at this step.
    pub learning_rate: f32,
    /// Decay rate β of the second moments at this step.
    pub beta2: f32,
    /// Added to the squares, ε₁.
    pub epsilon: f32,
    /// The root mean square d that an update has at most before the learning rate.
    pub clip_threshold: f32,
    /// Decoupled weight decay; 0 for biases and norms.
    pub weight_decay: f32,
    /// Factor on the gradient: clipping and accumulation.
    pub gradient_scale: f32,
}

/// Means of the squares of each row of `g`, and sums of those of its columns.
#[multiversion::multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma",
    "x86_64+avx2+fma"
))]
fn squares(g: &[f32], rows: &mut [f32], columns: &mut [f32], step: Step) {
    let cols = columns.len();
    for (row, g) in rows.iter_mut().zip(g.chunks_exact(cols)) {
        let square = |i: usize| {
            let g = g[i] * step.gradient_scale;
            g.mul_add(g, step.epsilon)
        };
        let mean = lane_sum(cols, square) / cols as f32;
        *row = step.beta2.mul_add(*row, (1.0 - step.beta2) * mean);
        for (i, column) in columns.iter_mut().enumerate() {
            *column += square(i);
        }
    }
}

/// The sum of the squares of the updates of some rows.
#[multiversion::multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma",
    "x86_64+avx2+fma"
))]
fn update_squares(g: &[f32], rows: &[f32], columns: &[f32], scale: f32) -> f64 {
    let mut sum = 0.0;
    for (row, g) in rows.iter().zip(g.chunks_exact(columns.len())) {
        let update = |i: usize| g[i] * scale * (row * columns[i]);
        sum += f64::from(lane_sum(g.len(), |i| update(i) * update(i)));
    }
    sum
}

#[multiversion::multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma",
    "x86_64+avx2+fma"
))]
fn move_rows(
    p: &mut [f32],
    g: &[f32],
    rows: &[f32],
    columns: &[f32],
    (scale, rate, keep): (f32, f32, f32),
) {
    let cols = columns.len();
    let both = p.chunks_exact_mut(cols).zip(g.chunks_exact(cols));
    for (row, (p, g)) in rows.iter().zip(both) {
        for ((p, g), column) in p.iter_mut().zip(g).zip(columns) {
            *p = keep.mul_add(*p, -rate * (g * scale * (row * column)));
        }
    }
}

/// The learning rate of updates with this sum of squares.
fn clipped(step: Step, squares: f64, count: usize) -> f32 {
    let rms = (squares / count.max(1) as f64).sqrt();
    let excess = (rms / f64::from(step.clip_threshold)).max(1.0);
    (f64::from(step.learning_rate) / excess) as f32
}

/// Updates a matrix `p` `[rows, cols]` with gradient `g`, and the means of the rows and columns
/// of its squares, `[rows]` and `[cols]`, zero before the first step.
pub fn update_matrix(
    p: &mut [f32],
    g: &[f32],
    (row_means, column_means): (&mut [f32], &mut [f32]),
    step: Step,
) {
    let (rows, cols) = (row_means.len(), column_means.len());
    if rows * cols == 0 {
        return;
    }
    let piece = WIDER * rows_per_block(cols);
    // Sums of a piece, added in order: the same for any number of threads.
    let sums: Vec<Vec<f32>> = g
        .par_chunks(piece * cols)
        .zip(row_means.par_chunks_mut(piece))
        .map(|(g, rows)| {
            let mut columns = vec![0.0; cols];
            squares(g, rows, &mut columns, step);
            columns
        })
        .collect();
    for (i, mean) in column_means.iter_mut().enumerate() {
        let sum: f64 = sums.iter().map(|piece| f64::from(piece[i])).sum();
        let new = (sum / rows as f64) as f32;
        *mean = step.beta2.mul_add(*mean, (1.0 - step.beta2) * new);
    }
    let mean = (row_means.iter().map(|&r| f64::from(r)).sum::<f64>() / rows as f64) as f32;
    let row_factors: Vec<f32> = row_means.iter().map(|r| 1.0 / (r / mean).sqrt()).collect();
    let column_factors: Vec<f32> = column_means.iter().map(|c| 1.0 / c.sqrt()).collect();
    let squares: Vec<f64> = g
        .par_chunks(piece * cols)
        .zip(row_factors.par_chunks(piece))
        .map(|(g, rows)| update_squares(g, rows, &column_factors, step.gradient_scale))
        .collect();
    let rate = clipped(step, squares.iter().sum(), p.len());
    let keep = 1.0 - step.learning_rate * step.weight_decay;
    p.par_chunks_mut(piece * cols)
        .zip(g.par_chunks(piece * cols))
        .zip(row_factors.par_chunks(piece))
        .for_each(|((p, g), rows)| {
            let numbers = (step.gradient_scale, rate, keep);
            move_rows(p, g, rows, &column_factors, numbers);
        });
}

/// Updates a vector `p` with gradient `g` and the means `v` of its squares, zero before the
/// first step, all of one length. Vectors are short: one thread.
pub fn update_vector(p: &mut [f32], g: &[f32], v: &mut [f32], step: Step) {
    for (v, g) in v.iter_mut().zip(g) {
        let g = g * step.gradient_scale;
        let square = g.mul_add(g, step.epsilon);
        *v = step.beta2.mul_add(*v, (1.0 - step.beta2) * square);
    }
    let update = |g: f32, v: f32| g * step.gradient_scale / v.sqrt();
    let squares = g
        .iter()
        .zip(&*v)
        .map(|(&g, &v)| f64::from(update(g, v)).powi(2));
    let rate = clipped(step, squares.sum(), p.len());
    let keep = 1.0 - step.learning_rate * step.weight_decay;
    for ((p, &g), &v) in p.iter_mut().zip(g).zip(&*v) {
        *p = keep.mul_add(*p, -rate * update(g, v));
    }
}
