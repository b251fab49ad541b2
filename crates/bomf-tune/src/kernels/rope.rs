//! Rotary position embeddings (Su et al. 2021): pairs of a head's columns are turned by an
//! angle that grows with the position.
//!
//! Column `i` of the first half of a head is paired with column `i` of the second half,
//! as in Llama's checkpoints: `y₁ = x₁ cos - x₂ sin`, `y₂ = x₂ cos + x₁ sin`. The backward
//! pass turns by the opposite angle.

use super::rows_per_block;
use rayon::prelude::*;

/// The angles of a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Rotation {
    /// Position of each row.
    positions: Vec<u32>,
    /// Cosines and then sines of each position, `[positions, d]`.
    table: Vec<f32>,
    /// Columns of a head.
    size: usize,
}

impl Rotation {
    /// Rotations of the rows with these positions by `position * frequency`, for each pair
    /// of columns; cosines and sines are multiplied by `factor`.
    pub fn new(positions: &[u32], frequencies: &[f32], factor: f32) -> Self {
        let count = positions.iter().max().map_or(0, |&last| last as usize + 1);
        let mut table = Vec::with_capacity(count * 2 * frequencies.len());
        for position in 0..count {
            // Products in `f32`, as in the reference; what follows is exact to `f32`.
            let angles = frequencies.iter().map(|f| f64::from(position as f32 * f));
            table.extend(angles.clone().map(|angle| angle.cos() as f32 * factor));
            table.extend(angles.map(|angle| angle.sin() as f32 * factor));
        }
        Rotation {
            positions: positions.to_vec(),
            table,
            size: 2 * frequencies.len(),
        }
    }
}

#[multiversion::multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma",
    "x86_64+avx2+fma"
))]
fn rotate_rows(
    x: &mut [f32],
    positions: &[u32],
    table: &[f32],
    size: usize,
    (cols, width): (usize, usize),
    sign: f32,
) {
    let half = size / 2;
    for (x, &position) in x.chunks_exact_mut(width).zip(positions) {
        let (cos, sin) = table[position as usize * size..][..size].split_at(half);
        for head in x[..cols].chunks_exact_mut(size) {
            let (first, second) = head.split_at_mut(half);
            for i in 0..half {
                let (a, b, s) = (first[i], second[i], sign * sin[i]);
                first[i] = a * cos[i] - b * s;
                second[i] = b * cos[i] + a * s;
            }
        }
    }
}

/// Turns the heads in the first `cols` columns of `x` `[rows, width]`, in place; `back`
/// by the opposite angle, which turns a gradient of the outcome into one of `x`.
pub fn rotate(x: &mut [f32], rotation: &Rotation, (cols, width): (usize, usize), back: bool) {
    let rows = rows_per_block(width);
    let sign = if back { -1.0 } else { 1.0 };
    x.par_chunks_mut(rows * width)
        .zip(rotation.positions.par_chunks(rows))
        .for_each(|(x, positions)| {
            let (table, size) = (&rotation.table, rotation.size);
            rotate_rows(x, positions, table, size, (cols, width), sign);
        });
}
