//! Attention of single queries to keys and values that were kept from earlier steps.
//!
//! All rows of keys and values of a block lie in one array, a row a token, in the order in
//! which they were computed. A query names those that it sees by their numbers, so that
//! hypotheses of a beam search share what they have in common, and a new order of the beams
//! moves numbers and not keys.

use super::attention::Heads;
use super::math::exp;
use super::{lane_max, lane_sum};
use rayon::prelude::*;

/// What one query sees.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// Rows of its keys and values, at least one.
    pub rows: &'a [u32],
    /// What is added to the scores of one head, and where those of the next begin; empty
    /// for nothing. As many as `rows` each.
    pub bias: (&'a [f32], usize),
}

#[multiversion::multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma",
    "x86_64+avx2+fma"
))]
fn row<'a>(out: &mut [f32], q: &[f32], kv: &[f32], seen: Seen<'a>, heads: Heads, p: &mut Vec<f32>) {
    let (d, width) = (heads.size, 2 * heads.kv_count * heads.size);
    let group = heads.count / heads.kv_count;
    p.resize(seen.rows.len(), 0.0);
    for head in 0..heads.count {
        let (at, col) = (head * d, head / group * d);
        let q = &q[at..at + d];
        for (p, &row) in p.iter_mut().zip(seen.rows) {
            let k = &kv[row as usize * width + col..][..d];
            *p = lane_sum(d, |i| q[i] * k[i]) * heads.scale;
        }
        let (bias, stride) = seen.bias;
        if !bias.is_empty() {
            let bias = &bias[head * stride..][..p.len()];
            p.iter_mut().zip(bias).for_each(|(p, b)| *p += b);
        }
        let max = lane_max(p);
        p.iter_mut().for_each(|p| *p = exp(*p - max));
        let inv = 1.0 / lane_sum(p.len(), |j| p[j]);
        let out = &mut out[at..at + d];
        out.fill(0.0);
        for (p, &row) in p.iter().zip(seen.rows) {
            let (weight, start) = (p * inv, row as usize * width + width / 2 + col);
            for (o, v) in out.iter_mut().zip(&kv[start..start + d]) {
                *o += weight * v;
            }
        }
    }
}

/// Writes the attention's output, a row a query.
///
/// Shapes: `out`, `q` `[queries, heads * d]`; `kv` `[rows, 2 * kv_heads * d]`, keys before
/// values; `seen` one a query.
pub fn forward(out: &mut [f32], q: &[f32], kv: &[f32], seen: &[Seen<'_>], heads: Heads) {
    let width = heads.count * heads.size;
    out.par_chunks_mut(width)
        .zip(q.par_chunks(width))
        .zip(seen)
        .for_each_init(Vec::new, |p, ((out, q), &seen)| {
            row(out, q, kv, seen, heads, p)
        });
}
