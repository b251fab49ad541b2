//! The losses, and the walk back over the tape.

use super::{Buffer, Factors, Input, Op, Slot, Tape, Var, WindowRows};
use crate::kernels::attention::{Bias, Segments};
use crate::kernels::dropout::Mask;
use crate::kernels::gemm::{self, Into};
use crate::kernels::{
    activation, attention, cross_entropy, dropout, embedding, layer_norm, linear, mean, rms_norm,
    rope,
};
use crate::params::Param;

/// Numbers of a part of a language model's logits: 4 MiB.
const VOCABULARY_PART: usize = 1 << 20;

/// Rows of logits with so many entries that are computed at a time.
pub(crate) fn vocabulary_rows(entries: usize) -> usize {
    (VOCABULARY_PART / entries.max(1)).max(16)
}

impl Tape<'_> {
    /// Sum of the cross-entropies of `logits` `[rows, classes]` with `labels`
    /// `[rows]`; sets the gradient of `scale` times that sum as the start of
    /// [`backward`](Tape::backward).
    pub fn cross_entropy(&mut self, logits: &Var, labels: &[u32], scale: f32) -> f64 {
        let smoothing = self.label_smoothing;
        self.loss(logits, |d| {
            cross_entropy::smoothed(d, labels, smoothing, scale)
        })
    }

    /// Sum over sequences of half the cross-entropies of a span's first and last token
    /// ([`cross_entropy::spans`]), likewise; `logits` is `[tokens, 2]`.
    pub fn span_loss(
        &mut self,
        logits: &Var,
        offsets: &[usize],
        targets: &[[u32; 2]],
        scale: f32,
    ) -> f64 {
        self.loss(logits, |d| cross_entropy::spans(d, offsets, targets, scale))
    }

    /// Sum of the squared errors of `predictions`, of any shape, likewise.
    pub fn squared_error(&mut self, predictions: &Var, targets: &[f32], scale: f32) -> f64 {
        self.loss(predictions, |d| {
            cross_entropy::squared_error(d, targets, scale)
        })
    }

    /// Sum of the cross-entropies of `x Wᵀ` `[rows, entries]` with `labels` `[rows]`, as
    /// [`cross_entropy`](Tape::cross_entropy), with the logits of a few rows in memory at
    /// a time: for a language model they would be its largest matrix by far.
    ///
    /// It must be the last thing that the tape does before [`backward`](Tape::backward).
    pub fn vocabulary_loss(&mut self, x: &Var, weight: Param, labels: &[u32], scale: f32) -> f64 {
        let (hidden, entries) = (weight.cols, weight.rows);
        let mut d_x = self.pool.take(x.len());
        let params = weight.of(self.params);
        let mut sum = 0.0;
        let rows = vocabulary_rows(entries);
        let parts = x.chunks(rows * hidden).zip(d_x.chunks_mut(rows * hidden));
        for ((x, d_x), labels) in parts.zip(labels.chunks(rows)) {
            let n = labels.len();
            let mut d = self.pool.take(n * entries);
            gemm::a_bt(&mut d, Into::Replace, x, params, (n, entries, hidden));
            sum += cross_entropy::smoothed(&mut d, labels, self.label_smoothing, scale);
            if let Some(gradients) = self.gradients.as_mut()
                && let Some(d_weight) = gradients.of(weight)
            {
                gemm::at_b(d_weight, Into::Add, &d, x, (entries, hidden, n));
            }
            gemm::a_b(d_x, Into::Replace, &d, params, (n, hidden, entries));
        }
        self.give(x, d_x);
        sum
    }

    /// The log-probability and the lead of each label among `x Wᵀ`, `[rows, 2]`
    /// ([`cross_entropy::scores`]), a few rows at a time.
    pub fn vocabulary_scores(&self, x: &Var, weight: Param, labels: &[u32]) -> Vec<f32> {
        let (hidden, entries) = (weight.cols, weight.rows);
        let params = weight.of(self.params);
        let rows = vocabulary_rows(entries);
        let mut scores = Vec::with_capacity(2 * labels.len());
        for (x, labels) in x.chunks(rows * hidden).zip(labels.chunks(rows)) {
            let n = labels.len();
            let mut logits = self.pool.take(n * entries);
            gemm::a_bt(&mut logits, Into::Replace, x, params, (n, entries, hidden));
            scores.extend(cross_entropy::scores(&logits, labels));
        }
        scores
    }

    fn loss(&mut self, output: &Var, loss: impl FnOnce(&mut [f32]) -> f64) -> f64 {
        let mut d = self.pool.take(output.len());
        d.copy_from_slice(output);
        let sum = loss(&mut d);
        self.give(output, d);
        sum
    }

    /// Hands the gradient `d` to `var`, adding to what it has.
    fn give(&mut self, var: &Var, d: Buffer) {
        self.give_slot(var.0.grad, d);
    }

    fn give_slot(&mut self, slot: Slot, d: Buffer) {
        let Some(slot) = slot else { return };
        match &mut self.grads[slot] {
            Some(sum) => linear::add(sum, &d),
            empty => *empty = Some(d),
        }
    }

    /// Adds the gradient of every trainable parameter, last operation first, and
    /// empties the tape.
    pub fn backward(mut self) {
        while let Some((op, slot)) = self.ops.pop() {
            if let Some(d) = self.grads[slot].take() {
                self.step_back(op, d);
            }
        }
    }

    fn step_back(&mut self, op: Op, mut d: Buffer) {
        match op {
            Op::Embedding { tables } => {
                for (table, ids) in tables {
                    if let Some(d_table) = self.gradient(table) {
                        embedding::backward(d_table, &ids, &d, table.cols);
                    }
                }
            }
            Op::LayerNorm {
                x,
                residual,
                dropout,
                x_hat,
                inv_std,
                gamma,
                beta,
            } => {
                let params = self.params;
                let both = beta.map_or(gamma, |beta| gamma.stacked_with(beta));
                let affine = self.gradient(both);
                let affine = affine.map(|d| d.split_at_mut(gamma.len()));
                layer_norm::backward(&mut d, &x_hat, &inv_std, gamma.of(params), affine);
                if residual.is_some() {
                    let mut copy = x_hat;
                    copy.copy_from_slice(&d);
                    self.give_slot(residual, copy);
                }
                if let Some(mask) = dropout {
                    dropout::apply(&mut d, mask);
                }
                self.give_slot(x, d);
            }
            Op::Linear {
                x,
                kept,
                input,
                weight,
                bias,
            } => {
                let (out, inp) = (weight.outputs(), weight.inputs());
                let rows = d.len() / out;
                if let Some(d_bias) = bias.and_then(|bias| self.gradient(bias)) {
                    linear::add_column_sums(d_bias, &d);
                }
                if let Some(kept) = kept.as_ref().filter(|_| self.trains(weight)) {
                    let transformed = self.transformed(kept, input);
                    let input = transformed.as_deref().unwrap_or(kept);
                    if let Some(d_weight) = self.gradient(weight) {
                        if weight.transposed {
                            gemm::at_b(d_weight, Into::Add, input, &d, (inp, out, rows));
                        } else {
                            gemm::at_b(d_weight, Into::Add, &d, input, (out, inp, rows));
                        }
                    }
                }
                if x.is_some() {
                    let mut d_x = self.pool.take(rows * inp);
                    let product = if weight.transposed {
                        gemm::a_bt
                    } else {
                        gemm::a_b
                    };
                    let weight = weight.of(self.params);
                    product(&mut d_x, Into::Replace, &d, weight, (rows, inp, out));
                    match kept {
                        Some(kept) => self.activation_back(&kept, input, d_x),
                        None => self.give_slot(x, d_x),
                    }
                }
            }
            Op::Activation { x, input } => self.activation_back(&x, input, d),
            Op::RmsNorm {
                x,
                inv,
                gamma,
                groups,
            } => {
                let scale = gamma.of(self.params);
                rms_norm::backward(&mut d, &x, &inv, scale, groups, self.gradient(gamma));
                self.give(&x, d);
            }
            Op::Rope {
                base,
                rotation,
                shape,
            } => {
                rope::rotate(&mut d, &rotation, shape, true);
                self.give_slot(base, d);
            }
            Op::Add {
                base,
                residual,
                mask,
            } => {
                if residual.is_some() {
                    let mut copy = self.pool.take(d.len());
                    copy.copy_from_slice(&d);
                    self.give_slot(residual, copy);
                }
                if let Some(mask) = mask {
                    dropout::apply(&mut d, mask);
                }
                self.give_slot(base, d);
            }
            Op::Dropout { x, mask } => {
                dropout::apply(&mut d, mask);
                self.give_slot(x, d);
            }
            Op::Attention {
                q,
                kv,
                lse,
                q_offsets,
                k_offsets,
                heads,
                window,
                bias,
            } => {
                let mut d_q = self.pool.take(q.len());
                let mut d_kv = self.pool.take(kv.len());
                let segments = Segments {
                    q: &q_offsets,
                    k: &k_offsets,
                    window: window.as_ref().map(WindowRows::view),
                    bias: bias.as_ref().map(|(_, by_distance, span)| Bias {
                        by_distance,
                        span: *span,
                    }),
                };
                let mut d_bias = self
                    .pool
                    .take(bias.as_ref().map_or(0, |(_, all, _)| all.len()));
                d_bias.fill(0.0);
                let (grads, saved) = ((&mut *d_q, &mut *d_kv), (&*q, &*kv, &*lse));
                attention::backward(grads, &mut d_bias, &d, saved, segments, heads);
                if let Some((bias, _, span)) = bias
                    && let Some(d_table) = self.gradient(bias.table)
                {
                    bias.buckets.gather(d_table, &d_bias, span);
                }
                self.give(&q, d_q);
                self.give(&kv, d_kv);
            }
            Op::LowRank {
                base,
                x,
                mask,
                low,
                factors,
            } => {
                self.low_rank_back(&d, &x, mask, &low, factors);
                self.give_slot(base, d);
            }
            Op::Scale { base, factor } => {
                d.iter_mut().for_each(|d| *d *= factor);
                self.give_slot(base, d);
            }
            Op::Scatter {
                base,
                x,
                cols,
                rows,
            } => {
                if x.is_some() {
                    let mut d_x = self.pool.take(rows.len() * cols);
                    for (d_x, &row) in d_x.chunks_exact_mut(cols).zip(rows.iter()) {
                        d_x.copy_from_slice(&d[row as usize * cols..][..cols]);
                    }
                    self.give_slot(x, d_x);
                }
                for &row in rows.iter() {
                    d[row as usize * cols..][..cols].fill(0.0);
                }
                self.give_slot(base, d);
            }
            Op::Again { x, run, dropouts } => {
                self.dropouts = dropouts;
                let y = (run.0)(self, &x);
                self.give(&y, d);
            }
            Op::Mean { x, cols, offsets } => {
                let rows = offsets.last().copied().unwrap_or(0);
                let mut d_x = self.pool.take(rows * cols);
                mean::backward(&mut d_x, &d, &offsets, cols);
                self.give_slot(x, d_x);
            }
            Op::Columns { x, shape, first } => {
                let (cols, part) = (shape.1, d.len() / shape.0.max(1));
                let mut d_x = self.pool.take(shape.0 * cols);
                d_x.fill(0.0);
                let rows = d_x.chunks_exact_mut(cols);
                for (d_x, d) in rows.zip(d.chunks_exact(part.max(1))) {
                    d_x[first..first + part].copy_from_slice(d);
                }
                self.give_slot(x, d_x);
            }
            Op::Gather { x, shape, rows } => {
                let cols = shape.1;
                let mut d_x = self.pool.take(shape.0 * cols);
                d_x.fill(0.0);
                for (d, &row) in d.chunks_exact(cols).zip(rows.iter()) {
                    d_x[row as usize * cols..][..cols].copy_from_slice(d);
                }
                self.give_slot(x, d_x);
            }
        }
    }

    /// Hands on the gradient `d` of `f(x)` or `f(g) u`.
    fn activation_back(&mut self, x: &Var, input: Input, mut d: Buffer) {
        match input {
            Input::Plain => self.give(x, d),
            Input::Activated(activation) => {
                activation::backward(&mut d, x, activation);
                self.give(x, d);
            }
            Input::Gated(activation) => {
                let mut d_x = self.pool.take(x.len());
                activation::gated_backward(&mut d_x, &d, x, activation, x.cols() / 2);
                self.give(x, d_x);
            }
        }
    }

    fn low_rank_back(
        &mut self,
        d: &[f32],
        x: &Var,
        mask: Option<Mask>,
        low: &[f32],
        Factors {
            a,
            b,
            scale,
            first_column,
        }: Factors,
    ) {
        let (rows, params) = (x.rows(), self.params);
        let columns = gemm::Columns {
            first: first_column,
            width: d.len() / rows.max(1),
        };
        if let Some(d_b) = self.gradient(b) {
            gemm::add_columns_at_b(d_b, columns, scale, (d, low), (b.rows, b.cols, rows));
        }
        let mut d_low = self.pool.take(low.len());
        let operands = (d, b.of(params));
        gemm::columns_a_b(&mut d_low, columns, scale, operands, (rows, b.cols, b.rows));
        if self.trains(a) {
            let dropped = self.dropped(x, mask);
            let input = dropped.as_deref().unwrap_or(x);
            if let Some(d_a) = self.gradient(a) {
                gemm::at_b(d_a, Into::Add, &d_low, input, (a.rows, a.cols, rows));
            }
        }
        if x.0.grad.is_some() {
            let mut d_x = self.pool.take(x.len());
            let sizes = (rows, a.cols, a.rows);
            gemm::a_b(&mut d_x, Into::Replace, &d_low, a.of(params), sizes);
            if let Some(mask) = mask {
                dropout::apply(&mut d_x, mask);
            }
            self.give(x, d_x);
        }
    }

    fn gradient(&mut self, param: crate::params::Param) -> Option<&mut [f32]> {
        self.gradients.as_mut()?.of(param)
    }
}
