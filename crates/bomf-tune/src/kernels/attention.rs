//! Scaled dot-product attention over packed sequences, forward and backward.
//!
//! Sequences of any lengths lie one behind another without padding. A sequence's
//! queries may be fewer than its keys (a classifier's last layer needs the first
//! token's only). With `S = Q Kᵀ / √d`, `P = softmax(S)`, `M` the dropout mask:
//! `O = (P ∘ M) V`. The forward pass keeps `log Σ exp(S)` a row and not `P`, which
//! the backward pass computes again:
//! `dV = (P ∘ M)ᵀ dO`, `dP = (dO Vᵀ) ∘ M`, `dS = P ∘ (dP - rowsum(P ∘ dP))`,
//! `dQ = dS K / √d`, `dK = dSᵀ Q / √d`.

use super::dropout::Mask;
use super::math::exp;
use super::tile::{Strided, padded, product};
use super::{lane_max, lane_sum};
use rayon::prelude::*;

/// Which rows belong to which sequence: sequence `s` has the query rows
/// `q[s]..q[s + 1]` and the key rows `k[s]..k[s + 1]`.
#[derive(Debug, Clone, Copy)]
pub struct Segments<'a> {
    /// Offsets into the rows of the queries, one more than there are sequences.
    pub q: &'a [usize],
    /// Offsets into the rows of the keys and values.
    pub k: &'a [usize],
}

/// Shape of the heads, and what is dropped.
#[derive(Debug, Clone, Copy)]
pub struct Heads {
    /// Number of heads.
    pub count: usize,
    /// Columns a head (d).
    pub size: usize,
    /// Dropout on the probabilities.
    pub dropout: Option<Mask>,
}

impl Heads {
    fn width(self) -> usize {
        self.count * self.size
    }

    fn scale(self) -> f32 {
        1.0 / (self.size as f32).sqrt()
    }

    /// The mask of one row of one head's probabilities.
    #[inline(always)]
    fn row_mask(self, q_row: usize, head: usize) -> Option<Mask> {
        self.dropout
            .map(|mask| mask.stream(q_row * self.count + head))
    }
}

/// Padded copies of one head's matrices, reused from head to head.
#[derive(Default)]
struct Scratch {
    q: Vec<f32>,
    k: Vec<f32>,
    k_t: Vec<f32>,
    v: Vec<f32>,
    v_t: Vec<f32>,
    d_out: Vec<f32>,
    p: Vec<f32>,
    d_p: Vec<f32>,
    out: Vec<f32>,
}

/// `count` numbers of scratch, what they hold left open.
#[inline(always)]
fn sized(buffer: &mut Vec<f32>, count: usize) -> &mut [f32] {
    if buffer.len() < count {
        buffer.resize(count, 0.0);
    }
    &mut buffer[..count]
}

/// Columns `col..col + d` of `rows` rows, times `scale`, as rows padded with zeros.
#[inline(always)]
fn pack<'a>(
    to: &'a mut Vec<f32>,
    from: &[f32],
    (rows, stride, col, d): (usize, usize, usize, usize),
    scale: f32,
) -> &'a [f32] {
    let wide = padded(d);
    let to = sized(to, rows * wide);
    for (r, to) in to.chunks_exact_mut(wide).enumerate() {
        let from = &from[r * stride + col..][..d];
        for (to, from) in to.iter_mut().zip(from) {
            *to = from * scale;
        }
        to[d..].fill(0.0);
    }
    to
}

/// The same columns transposed, `[d, padded(rows)]`, padded with zeros.
#[inline(always)]
fn pack_transposed<'a>(
    to: &'a mut Vec<f32>,
    from: &[f32],
    (rows, stride, col, d): (usize, usize, usize, usize),
) -> &'a [f32] {
    let wide = padded(rows);
    let to = sized(to, d * wide);
    for (c, to) in to.chunks_exact_mut(wide).enumerate() {
        for (r, to) in to[..rows].iter_mut().enumerate() {
            *to = from[r * stride + col + c];
        }
        to[rows..].fill(0.0);
    }
    to
}

#[inline(always)]
fn by_rows(data: &[f32], wide: usize) -> Strided<'_> {
    Strided {
        data,
        row: wide,
        col: 1,
    }
}

#[inline(always)]
fn transposed(data: &[f32], wide: usize) -> Strided<'_> {
    Strided {
        data,
        row: 1,
        col: wide,
    }
}

#[multiversion::multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma",
    "x86_64+avx2+fma"
))]
fn forward_sequence(
    out: &mut [f32],
    lse: &mut [f32],
    q: &[f32],
    kv: &[f32],
    first_q: usize,
    heads: Heads,
    scratch: &mut Scratch,
) {
    let (d, width) = (heads.size, heads.width());
    let (n_q, n_k) = (q.len() / width, kv.len() / (2 * width));
    let (wide_k, wide_d) = (padded(n_k), padded(d));
    for head in 0..heads.count {
        let col = head * d;
        let q = pack(&mut scratch.q, q, (n_q, width, col, d), heads.scale());
        let k_t = pack_transposed(&mut scratch.k_t, kv, (n_k, 2 * width, col, d));
        let v = pack(&mut scratch.v, kv, (n_k, 2 * width, width + col, d), 1.0);
        let p = sized(&mut scratch.p, n_q * wide_k);
        product(p, wide_k, by_rows(q, wide_d), k_t, wide_k, (n_q, wide_k, d));
        for (i, p) in p.chunks_exact_mut(wide_k).enumerate() {
            let p = &mut p[..n_k];
            let max = lane_max(p);
            for s in p.iter_mut() {
                *s = exp(*s - max);
            }
            let sum = lane_sum(n_k, |j| p[j]);
            lse[i * heads.count + head] = max + sum.ln();
            let inv = 1.0 / sum;
            match heads.row_mask(first_q + i, head) {
                None => p.iter_mut().for_each(|p| *p *= inv),
                Some(mask) => {
                    for (j, p) in p.iter_mut().enumerate() {
                        *p *= inv * mask.factor(j);
                    }
                }
            }
        }
        let o = sized(&mut scratch.out, n_q * wide_d);
        product(o, wide_d, by_rows(p, wide_k), v, wide_d, (n_q, wide_d, n_k));
        for (out, o) in out.chunks_exact_mut(width).zip(o.chunks_exact(wide_d)) {
            out[col..col + d].copy_from_slice(&o[..d]);
        }
    }
}

#[multiversion::multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma",
    "x86_64+avx2+fma"
))]
fn backward_sequence(
    (d_q, d_kv): (&mut [f32], &mut [f32]),
    d_out: &[f32],
    (q, kv, lse): (&[f32], &[f32], &[f32]),
    first_q: usize,
    heads: Heads,
    scratch: &mut Scratch,
) {
    let (d, width) = (heads.size, heads.width());
    let (n_q, n_k) = (q.len() / width, kv.len() / (2 * width));
    let (wide_k, wide_d) = (padded(n_k), padded(d));
    for head in 0..heads.count {
        let col = head * d;
        let q = pack(&mut scratch.q, q, (n_q, width, col, d), heads.scale());
        let k = pack(&mut scratch.k, kv, (n_k, 2 * width, col, d), heads.scale());
        let k_t = pack_transposed(&mut scratch.k_t, kv, (n_k, 2 * width, col, d));
        let v_t = pack_transposed(&mut scratch.v_t, kv, (n_k, 2 * width, width + col, d));
        let d_out = pack(&mut scratch.d_out, d_out, (n_q, width, col, d), 1.0);
        let p = sized(&mut scratch.p, n_q * wide_k);
        let d_p = sized(&mut scratch.d_p, n_q * wide_k);
        product(p, wide_k, by_rows(q, wide_d), k_t, wide_k, (n_q, wide_k, d));
        product(
            d_p,
            wide_k,
            by_rows(d_out, wide_d),
            v_t,
            wide_k,
            (n_q, wide_k, d),
        );
        // From here `d_p` becomes dS, and `p` the dropped probabilities P ∘ M.
        let rows = p.chunks_exact_mut(wide_k).zip(d_p.chunks_exact_mut(wide_k));
        for (i, (p, d_p)) in rows.enumerate() {
            let lse = lse[i * heads.count + head];
            let (p, d_p) = (&mut p[..n_k], &mut d_p[..n_k]);
            for p in p.iter_mut() {
                *p = exp(*p - lse);
            }
            match heads.row_mask(first_q + i, head) {
                None => {
                    let dot = lane_sum(n_k, |j| p[j] * d_p[j]);
                    for (d_p, p) in d_p.iter_mut().zip(p.iter()) {
                        *d_p = p * (*d_p - dot);
                    }
                }
                Some(mask) => {
                    let dot = lane_sum(n_k, |j| p[j] * d_p[j] * mask.factor(j));
                    for (j, (d_p, p)) in d_p.iter_mut().zip(p.iter_mut()).enumerate() {
                        let factor = mask.factor(j);
                        *d_p = *p * (*d_p * factor - dot);
                        *p *= factor;
                    }
                }
            }
        }
        let out = sized(&mut scratch.out, n_q.max(n_k) * wide_d);
        product(
            out,
            wide_d,
            by_rows(d_p, wide_k),
            k,
            wide_d,
            (n_q, wide_d, n_k),
        );
        unpack(d_q, out, (n_q, width, col, d));
        product(
            out,
            wide_d,
            transposed(d_p, wide_k),
            q,
            wide_d,
            (n_k, wide_d, n_q),
        );
        unpack(d_kv, out, (n_k, 2 * width, col, d));
        product(
            out,
            wide_d,
            transposed(p, wide_k),
            d_out,
            wide_d,
            (n_k, wide_d, n_q),
        );
        unpack(d_kv, out, (n_k, 2 * width, width + col, d));
    }
}

#[inline(always)]
fn unpack(to: &mut [f32], from: &[f32], (rows, stride, col, d): (usize, usize, usize, usize)) {
    for r in 0..rows {
        to[r * stride + col..][..d].copy_from_slice(&from[r * padded(d)..][..d]);
    }
}

/// Cuts `data` into the rows of each sequence.
fn split<'a>(mut data: &'a mut [f32], offsets: &[usize], cols: usize) -> Vec<&'a mut [f32]> {
    offsets
        .windows(2)
        .map(|w| {
            let (head, tail) = std::mem::take(&mut data).split_at_mut((w[1] - w[0]) * cols);
            data = tail;
            head
        })
        .collect()
}

fn rows<'a>(data: &'a [f32], offsets: &[usize], s: usize, cols: usize) -> &'a [f32] {
    &data[offsets[s] * cols..offsets[s + 1] * cols]
}

/// Writes the attention's output and its log-sum-exp a query row and head.
///
/// Shapes: `out`, `q` `[q rows, heads * d]`; `lse` `[q rows, heads]`; `kv`
/// `[k rows, 2 * heads * d]`, keys before values.
pub fn forward(
    out: &mut [f32],
    lse: &mut [f32],
    (q, kv): (&[f32], &[f32]),
    segments: Segments<'_>,
    heads: Heads,
) {
    let width = heads.width();
    split(out, segments.q, width)
        .into_par_iter()
        .zip(split(lse, segments.q, heads.count))
        .enumerate()
        .for_each_init(Scratch::default, |scratch, (s, (out, lse))| {
            let q = rows(q, segments.q, s, width);
            let kv = rows(kv, segments.k, s, 2 * width);
            forward_sequence(out, lse, q, kv, segments.q[s], heads, scratch);
        });
}

/// Writes the gradients of `q` and `kv`; shapes as in [`forward`].
pub fn backward(
    (d_q, d_kv): (&mut [f32], &mut [f32]),
    d_out: &[f32],
    (q, kv, lse): (&[f32], &[f32], &[f32]),
    segments: Segments<'_>,
    heads: Heads,
) {
    let width = heads.width();
    split(d_q, segments.q, width)
        .into_par_iter()
        .zip(split(d_kv, segments.k, 2 * width))
        .enumerate()
        .for_each_init(Scratch::default, |scratch, (s, (d_q, d_kv))| {
            let saved = (
                rows(q, segments.q, s, width),
                rows(kv, segments.k, s, 2 * width),
                rows(lse, segments.q, s, heads.count),
            );
            let d_out = rows(d_out, segments.q, s, width);
            backward_sequence((d_q, d_kv), d_out, saved, segments.q[s], heads, scratch);
        });
}
