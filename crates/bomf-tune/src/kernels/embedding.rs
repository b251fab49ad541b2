//! Embedding look-up and its gradient.

use super::rows_per_block;
use rayon::prelude::*;

/// One table of an embedding sum, and the row of it that each token takes.
#[derive(Clone, Copy)]
pub struct Lookup<'a> {
    /// `[entries, cols]`
    pub table: &'a [f32],
    /// `[rows]`
    pub ids: &'a [u32],
}

/// `y[r] = Σ_t table_t[ids_t[r]]`
///
/// # Panics
/// If an id lies outside its table; callers check ids against the vocabulary.
pub fn forward(y: &mut [f32], lookups: &[Lookup<'_>], cols: usize) {
    let rows = rows_per_block(cols);
    y.par_chunks_mut(rows * cols)
        .enumerate()
        .for_each(|(block, y)| {
            for (r, y) in y.chunks_exact_mut(cols).enumerate() {
                for (t, lookup) in lookups.iter().enumerate() {
                    let id = lookup.ids[block * rows + r] as usize;
                    let entry = &lookup.table[id * cols..][..cols];
                    if t == 0 {
                        y.copy_from_slice(entry);
                    } else {
                        y.iter_mut().zip(entry).for_each(|(y, e)| *y += e);
                    }
                }
            }
        });
}

/// `d_table[ids[r]] += dy[r]`, in the order of the rows.
pub fn backward(d_table: &mut [f32], ids: &[u32], dy: &[f32], cols: usize) {
    for (&id, dy) in ids.iter().zip(dy.chunks_exact(cols)) {
        let entry = &mut d_table[id as usize * cols..][..cols];
        entry.iter_mut().zip(dy).for_each(|(e, d)| *e += d);
    }
}
