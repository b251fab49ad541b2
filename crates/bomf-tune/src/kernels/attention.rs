//! Scaled dot-product attention over packed sequences, forward and backward.
//!
//! Sequences of any lengths lie one behind another without padding. A sequence's
//! queries may be fewer than its keys (a classifier's last layer needs the first
//! token's only). With `S = Q Kᵀ / √d`, `P = softmax(S)`, `M` the dropout mask:
//! `O = (P ∘ M) V`. The forward pass keeps `log Σ exp(S)` a row and not `P`, which
//! the backward pass computes again:
//! `dV = (P ∘ M)ᵀ dO`, `dP = (dO Vᵀ) ∘ M`, `dS = P ∘ (dP - rowsum(P ∘ dP))`,
//! `dQ = dS K / √d`, `dK = dSᵀ Q / √d`.
//!
//! Queries are taken some at a time, and of their scores only those with keys that one of them
//! sees are computed: what lies outside a window costs nothing, and a long sequence little
//! memory.
//!
//! A decoder's query sees the keys up to its own position, or a window of them; one of a local
//! encoder a window on both sides. Heads
//! may share keys and values in groups (Ainslie et al. 2023), whose gradients then add up.
//! T5 adds to `S` a bias by head and distance (Raffel et al. 2020, section 2.1), and scales
//! by 1 rather than `1/√d`.

use super::dropout::Mask;
use super::math::exp;
use super::tile::{PAD, Strided, add_product, padded, product};
use super::{lane_max, lane_sum};
use rayon::prelude::*;
use std::ops::Range;

/// Which rows belong to which sequence: sequence `s` has the query rows
/// `q[s]..q[s + 1]` and the key rows `k[s]..k[s + 1]`.
#[derive(Debug, Clone, Copy)]
pub struct Segments<'a> {
    /// Offsets into the rows of the queries, one more than there are sequences.
    pub q: &'a [usize],
    /// Offsets into the rows of the keys and values.
    pub k: &'a [usize],
    /// What a query sees of its sequence; `None` for all of it.
    pub window: Option<Window<'a>>,
    /// What is added to the scores.
    pub bias: Option<Bias<'a>>,
}

/// Numbers that are added to the scores by head and distance. Where queries have no
/// positions ([`Segments::window`]), they are those of the keys.
#[derive(Debug, Clone, Copy)]
pub struct Bias<'a> {
    /// `[heads, 2 span - 1]`: of a key `distance` behind its query at
    /// `span - 1 + distance`, which is negative for keys before it.
    pub by_distance: &'a [f32],
    /// One more than the largest distance, at least 1.
    pub span: usize,
}

impl<'a> Bias<'a> {
    /// Where the numbers for the keys of a query at `position` of a sequence begin, for
    /// one head: those of all keys follow.
    #[inline(always)]
    fn start(self, head: usize, position: usize) -> usize {
        head * (2 * self.span - 1) + self.span - 1 - position
    }
}

/// The place of query row `i` of a sequence among its keys.
#[inline(always)]
fn place(window: Option<Window<'_>>, i: usize) -> usize {
    window.map_or(i, |window| window.positions[i] as usize)
}

/// Queries that see the keys from `behind` places before their own to `ahead` after it.
#[derive(Debug, Clone, Copy)]
pub struct Window<'a> {
    /// The place of each query row in its sequence, from 0.
    pub positions: &'a [u32],
    /// How many keys before its own a query sees at most.
    pub behind: usize,
    /// How many after its own; 0 for a decoder.
    pub ahead: usize,
}

impl<'a> Window<'a> {
    fn of(self, rows: Range<usize>) -> Self {
        Window {
            positions: &self.positions[rows],
            ..self
        }
    }
}

/// The keys that query row `i` of a sequence sees, of `n_k`.
#[inline(always)]
fn seen(window: Option<Window<'_>>, i: usize, n_k: usize) -> Range<usize> {
    match window {
        None => 0..n_k,
        Some(window) => {
            let place = window.positions[i] as usize;
            let end = place
                .saturating_add(window.ahead)
                .saturating_add(1)
                .min(n_k);
            place.saturating_sub(window.behind)..end
        }
    }
}

/// Queries that are taken together: few enough for their scores to stay in a core's caches,
/// enough for keys and values to be read seldom. A multiple of the rows of a register tile.
const ROWS: usize = 64;

/// The keys that one of the query rows sees, of `n_k`, from a multiple of [`PAD`] on.
#[inline(always)]
fn seen_by(window: Option<Window<'_>>, rows: Range<usize>, n_k: usize) -> Range<usize> {
    let (mut start, mut end) = (n_k, 0);
    for i in rows {
        let seen = seen(window, i, n_k);
        (start, end) = (start.min(seen.start), end.max(seen.end));
    }
    start / PAD * PAD..end
}

/// Shape of the heads, and what is dropped.
#[derive(Debug, Clone, Copy)]
pub struct Heads {
    /// Number of heads.
    pub count: usize,
    /// Number of heads of the keys and values, a divisor of `count`.
    pub kv_count: usize,
    /// Columns a head (d).
    pub size: usize,
    /// On the products of queries and keys, `1/√d` in most models.
    pub scale: f32,
    /// Dropout on the probabilities.
    pub dropout: Option<Mask>,
}

impl Heads {
    fn width(self) -> usize {
        self.count * self.size
    }

    fn kv_width(self) -> usize {
        self.kv_count * self.size
    }

    /// The query heads that share the keys and values of head `kv`.
    fn group(self, kv: usize) -> Range<usize> {
        let size = self.count / self.kv_count;
        kv * size..(kv + 1) * size
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
    d_k: Vec<f32>,
    d_v: Vec<f32>,
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
fn forward_sequence<'a>(
    out: &mut [f32],
    lse: &mut [f32],
    (q, kv): (&[f32], &[f32]),
    (window, bias): (Option<Window<'a>>, Option<Bias<'a>>),
    first_q: usize,
    heads: Heads,
    scratch: &mut Scratch,
) {
    let (d, width, kv_width) = (heads.size, heads.width(), heads.kv_width());
    let (n_q, n_k) = (q.len() / width, kv.len() / (2 * kv_width));
    let (wide_k, wide_d) = (padded(n_k), padded(d));
    for kv_head in 0..heads.kv_count {
        let (stride, col) = (2 * kv_width, kv_head * d);
        let k_t = pack_transposed(&mut scratch.k_t, kv, (n_k, stride, col, d));
        let v = pack(&mut scratch.v, kv, (n_k, stride, kv_width + col, d), 1.0);
        for head in heads.group(kv_head) {
            let col = head * d;
            let q = pack(&mut scratch.q, q, (n_q, width, col, d), heads.scale);
            for i0 in (0..n_q).step_by(ROWS) {
                let rows = i0..(i0 + ROWS).min(n_q);
                let keys = seen_by(window, rows.clone(), n_k);
                let (m, wide) = (rows.len(), padded(keys.len()));
                let p = sized(&mut scratch.p, m * wide);
                let q = by_rows(&q[i0 * wide_d..], wide_d);
                product(p, wide, q, &k_t[keys.start..], wide_k, (m, wide, d));
                for (i, p) in rows.zip(p.chunks_exact_mut(wide)) {
                    let seen = seen(window, i, n_k);
                    let local = seen.start - keys.start..seen.end - keys.start;
                    p[..local.start].fill(0.0);
                    p[local.end..keys.len()].fill(0.0);
                    let (first, p) = (seen.start, &mut p[local]);
                    if let Some(bias) = bias {
                        let start = bias.start(head, place(window, i));
                        let bias = &bias.by_distance[start..][seen];
                        p.iter_mut().zip(bias).for_each(|(p, b)| *p += b);
                    }
                    let max = lane_max(p);
                    for s in p.iter_mut() {
                        *s = exp(*s - max);
                    }
                    let sum = lane_sum(p.len(), |j| p[j]);
                    lse[i * heads.count + head] = max + sum.ln();
                    let inv = 1.0 / sum;
                    match heads.row_mask(first_q + i, head) {
                        None => p.iter_mut().for_each(|p| *p *= inv),
                        Some(mask) => {
                            for (j, p) in p.iter_mut().enumerate() {
                                *p *= inv * mask.factor(first + j);
                            }
                        }
                    }
                }
                let o = sized(&mut scratch.out, m * wide_d);
                let v = &v[keys.start * wide_d..];
                product(
                    o,
                    wide_d,
                    by_rows(p, wide),
                    v,
                    wide_d,
                    (m, wide_d, keys.len()),
                );
                let out = out[i0 * width..].chunks_exact_mut(width);
                for (out, o) in out.zip(o.chunks_exact(wide_d)) {
                    out[col..col + d].copy_from_slice(&o[..d]);
                }
            }
        }
    }
}

#[multiversion::multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma",
    "x86_64+avx2+fma"
))]
#[allow(
    clippy::too_many_arguments,
    reason = "a kernel: what it reads, what it writes, and scratch"
)]
fn backward_sequence<'a>(
    (d_q, d_kv): (&mut [f32], &mut [f32]),
    d_out: &[f32],
    (q, kv, lse): (&[f32], &[f32], &[f32]),
    (window, bias): (Option<Window<'a>>, Option<Bias<'a>>),
    first_q: usize,
    heads: Heads,
    d_bias: &mut [f32],
    scratch: &mut Scratch,
) {
    let (d, width, kv_width) = (heads.size, heads.width(), heads.kv_width());
    let (n_q, n_k) = (q.len() / width, kv.len() / (2 * kv_width));
    let (wide_k, wide_d) = (padded(n_k), padded(d));
    for kv_head in 0..heads.kv_count {
        let (stride, kv_col) = (2 * kv_width, kv_head * d);
        let k = pack(&mut scratch.k, kv, (n_k, stride, kv_col, d), heads.scale);
        let k_t = pack_transposed(&mut scratch.k_t, kv, (n_k, stride, kv_col, d));
        let values = (n_k, stride, kv_width + kv_col, d);
        let v_t = pack_transposed(&mut scratch.v_t, kv, values);
        for head in heads.group(kv_head) {
            let adds = head != heads.group(kv_head).start;
            let col = head * d;
            let q = pack(&mut scratch.q, q, (n_q, width, col, d), heads.scale);
            let d_out = pack(&mut scratch.d_out, d_out, (n_q, width, col, d), 1.0);
            let d_k = sized(&mut scratch.d_k, n_k * wide_d);
            let d_v = sized(&mut scratch.d_v, n_k * wide_d);
            d_k.fill(0.0);
            d_v.fill(0.0);
            for i0 in (0..n_q).step_by(ROWS) {
                let rows = i0..(i0 + ROWS).min(n_q);
                let keys = seen_by(window, rows.clone(), n_k);
                let (m, wide) = (rows.len(), padded(keys.len()));
                let p = sized(&mut scratch.p, m * wide);
                let d_p = sized(&mut scratch.d_p, m * wide);
                let (q, d_out) = (&q[i0 * wide_d..], &d_out[i0 * wide_d..]);
                let sizes = (m, wide, d);
                let (k_t, v_t) = (&k_t[keys.start..], &v_t[keys.start..]);
                product(p, wide, by_rows(q, wide_d), k_t, wide_k, sizes);
                product(d_p, wide, by_rows(d_out, wide_d), v_t, wide_k, sizes);
                // From here `d_p` becomes dS, and `p` the dropped probabilities P ∘ M.
                let both = p.chunks_exact_mut(wide).zip(d_p.chunks_exact_mut(wide));
                for (i, (p, d_p)) in rows.zip(both) {
                    let lse = lse[i * heads.count + head];
                    let seen = seen(window, i, n_k);
                    let local = seen.start - keys.start..seen.end - keys.start;
                    for unseen in [0..local.start, local.end..keys.len()] {
                        p[unseen.clone()].fill(0.0);
                        d_p[unseen].fill(0.0);
                    }
                    let first = seen.start;
                    let (p, d_p) = (&mut p[local.clone()], &mut d_p[local]);
                    if let Some(bias) = bias {
                        let start = bias.start(head, place(window, i));
                        let bias = &bias.by_distance[start..][seen.clone()];
                        p.iter_mut().zip(bias).for_each(|(p, b)| *p += b);
                    }
                    for p in p.iter_mut() {
                        *p = exp(*p - lse);
                    }
                    match heads.row_mask(first_q + i, head) {
                        None => {
                            let dot = lane_sum(p.len(), |j| p[j] * d_p[j]);
                            for (d_p, p) in d_p.iter_mut().zip(p.iter()) {
                                *d_p = p * (*d_p - dot);
                            }
                        }
                        Some(mask) => {
                            let factor = |j| mask.factor(first + j);
                            let dot = lane_sum(p.len(), |j| p[j] * d_p[j] * factor(j));
                            for (j, (d_p, p)) in d_p.iter_mut().zip(p.iter_mut()).enumerate() {
                                let factor = factor(j);
                                *d_p = *p * (*d_p * factor - dot);
                                *p *= factor;
                            }
                        }
                    }
                    if let Some(bias) = bias {
                        let start = bias.start(head, place(window, i));
                        let sums = &mut d_bias[start..][seen];
                        sums.iter_mut().zip(d_p.iter()).for_each(|(s, d)| *s += d);
                    }
                }
                let out = sized(&mut scratch.out, m * wide_d);
                let begin = keys.start * wide_d;
                let by_queries = (m, wide_d, keys.len());
                product(
                    out,
                    wide_d,
                    by_rows(d_p, wide),
                    &k[begin..],
                    wide_d,
                    by_queries,
                );
                unpack(&mut d_q[i0 * width..], out, (m, width, col, d), false);
                let by_keys = (keys.len(), wide_d, m);
                let (d_k, d_v) = (&mut d_k[begin..], &mut d_v[begin..]);
                add_product(d_k, wide_d, transposed(d_p, wide), q, wide_d, by_keys);
                add_product(d_v, wide_d, transposed(p, wide), d_out, wide_d, by_keys);
            }
            unpack(d_kv, d_k, (n_k, stride, kv_col, d), adds);
            unpack(d_kv, d_v, values, adds);
        }
    }
}

/// Writes padded rows back to their columns, or adds them to what is there.
#[inline(always)]
fn unpack(
    to: &mut [f32],
    from: &[f32],
    (rows, stride, col, d): (usize, usize, usize, usize),
    adds: bool,
) {
    for r in 0..rows {
        let (to, from) = (
            &mut to[r * stride + col..][..d],
            &from[r * padded(d)..][..d],
        );
        if adds {
            to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
        } else {
            to.copy_from_slice(from);
        }
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
/// `[k rows, 2 * kv_heads * d]`, keys before values.
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
            let kv = rows(kv, segments.k, s, 2 * heads.kv_width());
            let window = segments
                .window
                .map(|w| w.of(segments.q[s]..segments.q[s + 1]));
            let masks = (window, segments.bias);
            forward_sequence(out, lse, (q, kv), masks, segments.q[s], heads, scratch);
        });
}

/// Writes the gradients of `q` and `kv`, and adds those of the bias to `d_bias`, which is
/// empty where there is none; shapes as in [`forward`].
pub fn backward(
    (d_q, d_kv): (&mut [f32], &mut [f32]),
    d_bias: &mut [f32],
    d_out: &[f32],
    (q, kv, lse): (&[f32], &[f32], &[f32]),
    segments: Segments<'_>,
    heads: Heads,
) {
    let width = heads.width();
    let biases = d_bias.len();
    // A sum a sequence, added in order: the same for any number of threads.
    let sums: Vec<Vec<f32>> = split(d_q, segments.q, width)
        .into_par_iter()
        .zip(split(d_kv, segments.k, 2 * heads.kv_width()))
        .enumerate()
        .map_init(Scratch::default, |scratch, (s, (d_q, d_kv))| {
            let saved = (
                rows(q, segments.q, s, width),
                rows(kv, segments.k, s, 2 * heads.kv_width()),
                rows(lse, segments.q, s, heads.count),
            );
            let d_out = rows(d_out, segments.q, s, width);
            let first = segments.q[s];
            let window = segments.window.map(|w| w.of(first..segments.q[s + 1]));
            let masks = (window, segments.bias);
            let mut sums = vec![0.0; biases];
            let grads = (d_q, d_kv);
            backward_sequence(grads, d_out, saved, masks, first, heads, &mut sums, scratch);
            sums
        })
        .collect();
    for sums in sums.iter().filter(|sums| !sums.is_empty()) {
        d_bias.iter_mut().zip(sums).for_each(|(d, sum)| *d += sum);
    }
}
