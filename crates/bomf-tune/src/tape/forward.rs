//! The operations, as models call them.

use super::pool::Buffer;
use super::{Again, Attending, Factors, Input, Op, Tape, Value, Var, WindowRows};
use crate::kernels::activation::{self, Activation};
use crate::kernels::attention::{self, Bias, Heads, Segments, Window};
use crate::kernels::dropout::Mask;
use crate::kernels::gemm::{self, Into as Replace};
use crate::kernels::rms_norm::Groups;
use crate::kernels::rope::Rotation;
use crate::kernels::{cached, dropout, embedding, layer_norm, linear, mean, rms_norm, rope};
use crate::lora::Adapters;
use crate::params::Param;
use std::ops::Range;
use std::rc::Rc;

impl Tape<'_> {
    /// A matrix `[rows, cols]` from outside, for which no gradient is wanted.
    ///
    /// # Panics
    /// If `values` is not a whole number of rows.
    pub fn constant(&mut self, values: &[f32], cols: usize) -> Var {
        assert_eq!(values.len() % cols, 0, "a whole number of rows");
        let mut data = self.pool.take(values.len());
        data.copy_from_slice(values);
        Var(Rc::new(Value {
            grad: None,
            rows: values.len() / cols,
            cols,
            data,
        }))
    }

    /// Sum of look-ups: `y[t] = Σ table[ids[t]]`, `[tokens, cols]`.
    pub fn embedding(&mut self, tables: Vec<(Param, Rc<[u32]>)>) -> Var {
        let (cols, rows) = (tables[0].0.cols, tables[0].1.len());
        let mut y = self.pool.take(rows * cols);
        let lookups: Vec<embedding::Lookup<'_>> = tables
            .iter()
            .map(|(table, ids)| embedding::Lookup {
                table: table.of(self.params),
                ids,
            })
            .collect();
        embedding::forward(&mut y, &lookups, cols);
        let wanted = tables.iter().any(|(table, _)| self.trains(*table));
        self.push((rows, cols), y, wanted, || Op::Embedding { tables })
    }

    /// `LayerNorm(dropout(x) + residual)`, the end of a post-norm block; without a
    /// residual, `LayerNorm(x)`. The norm's weight lies right before its bias, where it has
    /// one.
    pub fn layer_norm(
        &mut self,
        x: &Var,
        residual: Option<&Var>,
        p: f32,
        (gamma, beta): (Param, impl Into<Option<Param>>),
        eps: f32,
    ) -> Var {
        let beta: Option<Param> = beta.into();
        let dropout = residual.and_then(|_| self.mask(p));
        let mut x_hat = self.pool.take(x.len());
        x_hat.copy_from_slice(x);
        if let Some(mask) = dropout {
            dropout::apply(&mut x_hat, mask);
        }
        if let Some(residual) = residual {
            linear::add(&mut x_hat, residual);
        }
        let mut y = self.pool.take(x.len());
        let mut inv_std = self.pool.take(x.rows());
        layer_norm::forward(
            &mut y,
            &mut x_hat,
            &mut inv_std,
            gamma.of(self.params),
            beta.map(|beta| beta.of(self.params)),
            eps,
        );
        let wanted = self.trains(gamma)
            || x.0.grad.is_some()
            || residual.is_some_and(|r| r.0.grad.is_some());
        let (shape, x) = ((x.rows(), x.cols()), x.0.grad);
        let residual = residual.and_then(|residual| residual.0.grad);
        self.push(shape, y, wanted, || Op::LayerNorm {
            x,
            residual,
            dropout,
            x_hat,
            inv_std,
            gamma,
            beta,
        })
    }

    /// `x Wᵀ + b`; `weight` is `[out, in]`.
    pub fn linear(&mut self, x: &Var, weight: Param, bias: impl Into<Option<Param>>) -> Var {
        self.any_linear(x, Input::Plain, weight, bias.into())
    }

    /// `(f(g) u) Wᵀ + b` where `x` is `[g, u]`: the second half of a gated feed-forward
    /// block (Shazeer 2020). `f(g) u` is not kept.
    pub fn gated_linear(
        &mut self,
        x: &Var,
        activation: Activation,
        weight: Param,
        bias: Option<Param>,
    ) -> Var {
        self.any_linear(x, Input::Gated(activation), weight, bias)
    }

    /// `f(x) Wᵀ + b`: the second half of a feed-forward block. `f(x)` is not kept.
    pub fn activated_linear(
        &mut self,
        x: &Var,
        activation: Option<Activation>,
        weight: Param,
        bias: impl Into<Option<Param>>,
    ) -> Var {
        let input = activation.map_or(Input::Plain, Input::Activated);
        self.any_linear(x, input, weight, bias.into())
    }

    fn any_linear(&mut self, x: &Var, input: Input, weight: Param, bias: Option<Param>) -> Var {
        if self.watched.is_some() {
            let given = self.transformed(x, input);
            if let Some(watched) = self.watched.as_deref_mut() {
                watched.add(weight, given.as_deref().unwrap_or(x));
            }
        }
        if let Some(adapters) = self.adapters.clone()
            && !adapters.within(weight).is_empty()
        {
            return self.adapted_linear(x, input, weight, bias, &adapters);
        }
        self.plain_linear(x, input, weight, bias)
    }

    fn adapted_linear(
        &mut self,
        x: &Var,
        input: Input,
        weight: Param,
        bias: Option<Param>,
        adapters: &Adapters,
    ) -> Var {
        // The adapter's input is the activated one, which is then kept.
        let x = match input {
            Input::Plain => x.clone(),
            _ => self.activated(x, input),
        };
        let mut y = self.plain_linear(&x, Input::Plain, weight, bias);
        let options = adapters.options();
        for adapter in adapters.within(weight) {
            let factors = Factors {
                a: adapter.a,
                b: adapter.b,
                scale: options.scale() as f32,
                first_column: (adapter.weight.offset - weight.offset) / weight.cols,
            };
            y = self.low_rank(y, &x, options.dropout as f32, factors);
        }
        y
    }

    /// `y + s (dropout(x) Aᵀ) Bᵀ` on some columns, in the place of `y`.
    fn low_rank(&mut self, y: Var, x: &Var, p: f32, factors: Factors) -> Var {
        let (rows, cols, base) = (y.rows(), y.cols(), y.0.grad);
        let mut data = self.data_of(y);
        let (a, b) = (factors.a, factors.b);
        let mask = self.mask(p);
        let mut low = self.pool.take(rows * a.rows);
        let dropped = self.dropped(x, mask);
        let input = dropped.as_deref().unwrap_or(x);
        let sizes = (rows, a.rows, a.cols);
        gemm::a_bt(&mut low, Replace::Replace, input, a.of(self.params), sizes);
        let columns = gemm::Columns {
            first: factors.first_column,
            width: cols,
        };
        let operands = (&*low, b.of(self.params));
        let sizes = (rows, b.rows, b.cols);
        gemm::add_a_bt_to_columns(&mut data, columns, factors.scale, operands, sizes);
        let wanted = base.is_some() || self.trains(a) || x.0.grad.is_some();
        let x = x.clone();
        self.push((rows, cols), data, wanted, || Op::LowRank {
            base,
            x,
            mask,
            low,
            factors,
        })
    }

    /// The numbers of `x` to be changed: its own where nothing else needs them.
    fn data_of(&self, x: Var) -> Buffer {
        match Rc::try_unwrap(x.0) {
            Ok(value) => value.data,
            Err(shared) => {
                let mut copy = self.pool.take(shared.data.len());
                copy.copy_from_slice(&shared.data);
                copy
            }
        }
    }

    /// Root-mean-square norm of the first `cols` columns of `x`, in groups as long as
    /// `gamma`; the other columns as they are.
    ///
    /// # Panics
    /// If `gamma` does not divide `cols`, or there are fewer columns.
    pub fn rms_norm(&mut self, x: &Var, cols: usize, gamma: Param, eps: f32) -> Var {
        assert!(cols.is_multiple_of(gamma.len()) && cols <= x.cols());
        let groups = Groups {
            cols,
            width: x.cols(),
        };
        let scale = gamma.of(self.params);
        let mut y = self.pool.take(x.len());
        let mut inv = self.pool.take(x.rows() * groups.count(scale));
        rms_norm::forward(&mut y, &mut inv, x, scale, eps, groups);
        let wanted = self.trains(gamma) || x.0.grad.is_some();
        let x = x.clone();
        self.push((x.rows(), x.cols()), y, wanted, || Op::RmsNorm {
            x,
            inv,
            gamma,
            groups,
        })
    }

    /// The heads in the first `cols` columns of `x` turned by their positions.
    pub fn rope(&mut self, x: Var, cols: usize, rotation: &Rc<Rotation>) -> Var {
        let (rows, width, base) = (x.rows(), x.cols(), x.0.grad);
        let mut data = self.data_of(x);
        let shape = (cols, width);
        rope::rotate(&mut data, rotation, shape, false);
        self.push((rows, width), data, base.is_some(), || Op::Rope {
            base,
            rotation: rotation.clone(),
            shape,
        })
    }

    /// `dropout(x) + residual`
    pub fn add(&mut self, x: Var, residual: &Var, p: f32) -> Var {
        let (rows, cols, base) = (x.rows(), x.cols(), x.0.grad);
        let mask = self.mask(p);
        let mut data = self.data_of(x);
        if let Some(mask) = mask {
            dropout::apply(&mut data, mask);
        }
        linear::add(&mut data, residual);
        let wanted = base.is_some() || residual.0.grad.is_some();
        let residual = residual.0.grad;
        self.push((rows, cols), data, wanted, || Op::Add {
            base,
            residual,
            mask,
        })
    }

    /// What a linear layer with so many inputs is given in the place of `x`; `None` for
    /// `x` itself.
    pub(super) fn transformed(&self, x: &Var, input: Input) -> Option<Buffer> {
        match input {
            Input::Plain => None,
            Input::Activated(activation) => {
                let mut y = self.pool.take(x.len());
                activation::forward(&mut y, x, activation);
                Some(y)
            }
            Input::Gated(activation) => {
                let mut y = self.pool.take(x.len() / 2);
                activation::gated_forward(&mut y, x, activation, x.cols() / 2);
                Some(y)
            }
        }
    }

    /// `f(x)` or `f(g) u` on the tape.
    fn activated(&mut self, x: &Var, input: Input) -> Var {
        let Some(y) = self.transformed(x, input) else {
            return x.clone();
        };
        let x = x.clone();
        let cols = match input {
            Input::Gated(_) => x.cols() / 2,
            _ => x.cols(),
        };
        self.push((x.rows(), cols), y, x.0.grad.is_some(), || Op::Activation {
            x,
            input,
        })
    }

    /// `x` with what `mask` drops; `None` where it drops nothing.
    pub(super) fn dropped(&self, x: &Var, mask: Option<Mask>) -> Option<Buffer> {
        let mask = mask?;
        let mut dropped = self.pool.take(x.len());
        dropped.copy_from_slice(x);
        dropout::apply(&mut dropped, mask);
        Some(dropped)
    }

    fn plain_linear(&mut self, x: &Var, input: Input, weight: Param, bias: Option<Param>) -> Var {
        let shape = (x.rows(), weight.outputs());
        let mut y = self.pool.take(shape.0 * shape.1);
        let into = match bias {
            None => Replace::Replace,
            Some(bias) => {
                linear::fill_rows(&mut y, bias.of(self.params));
                Replace::Add
            }
        };
        let transformed = self.transformed(x, input);
        let sizes = (shape.0, weight.outputs(), weight.inputs());
        let operand = transformed.as_deref().unwrap_or(x);
        let product = if weight.transposed {
            gemm::a_b
        } else {
            gemm::a_bt
        };
        product(&mut y, into, operand, weight.of(self.params), sizes);
        drop(transformed);
        let wanted = self.trains(weight) || x.0.grad.is_some();
        let kept = (self.trains(weight) || input != Input::Plain).then(|| x.clone());
        let x = x.0.grad;
        self.push(shape, y, wanted, || Op::Linear {
            x,
            kept,
            input,
            weight,
            bias,
        })
    }

    /// `f(x)`
    pub fn activation(&mut self, x: &Var, activation: Activation) -> Var {
        self.activated(x, Input::Activated(activation))
    }

    /// Zeros a share `p` of `x` and scales the rest by `1 / (1 - p)`; `x` itself
    /// where dropout is not active.
    pub fn dropout(&mut self, x: &Var, p: f32) -> Var {
        let Some(mask) = self.mask(p) else {
            return x.clone();
        };
        let mut y = self.pool.take(x.len());
        y.copy_from_slice(x);
        dropout::apply(&mut y, mask);
        let (shape, x) = ((x.rows(), x.cols()), x.0.grad);
        self.push(shape, y, x.is_some(), || Op::Dropout { x, mask })
    }

    /// Multi-head attention within each sequence, `[q rows, heads * d]`.
    ///
    /// `q` is `[q rows, heads * d]` and `kv` `[k rows, 2 * heads * d]`, keys before
    /// values; the offsets say which rows belong to which sequence.
    pub fn attention(
        &mut self,
        q: &Var,
        kv: &Var,
        (q_offsets, k_offsets): (&Rc<[usize]>, &Rc<[usize]>),
        heads: usize,
        p: f32,
    ) -> Var {
        self.windowed_attention(q, kv, (q_offsets, k_offsets), (heads, heads), None, p)
    }

    /// As [`attention`](Tape::attention), with fewer heads of the keys and values,
    /// `[k rows, 2 * kv_heads * d]`, and queries that may not see all of them.
    pub fn windowed_attention(
        &mut self,
        q: &Var,
        kv: &Var,
        (q_offsets, k_offsets): (&Rc<[usize]>, &Rc<[usize]>),
        (heads, kv_heads): (usize, usize),
        window: Option<WindowRows>,
        p: f32,
    ) -> Var {
        let attending = Attending {
            heads: (heads, kv_heads),
            scale: None,
            window,
            bias: None,
            dropout: p,
        };
        self.any_attention(q, kv, (q_offsets, k_offsets), attending)
    }

    /// As [`windowed_attention`](Tape::windowed_attention), in every respect as told.
    pub fn any_attention(
        &mut self,
        q: &Var,
        kv: &Var,
        (q_offsets, k_offsets): (&Rc<[usize]>, &Rc<[usize]>),
        attending: Attending,
    ) -> Var {
        let Attending { window, .. } = &attending;
        let heads = attending.of(q.cols(), self.mask(attending.dropout));
        let bias = attending.bias.map(|bias| {
            let lengths = k_offsets.windows(2).map(|w| w[1] - w[0]);
            let span = lengths.max().unwrap_or(0).max(1);
            let mut by_distance = self.pool.take(heads.count * (2 * span - 1));
            let table = bias.table.of(self.params);
            bias.buckets.spread(&mut by_distance, table, span);
            (bias, by_distance, span)
        });
        let mut out = self.pool.take(q.len());
        let mut lse = self.pool.take(q.rows() * heads.count);
        let segments = Segments {
            q: q_offsets,
            k: k_offsets,
            window: window.as_ref().map(WindowRows::view),
            bias: bias.as_ref().map(|(_, by_distance, span)| Bias {
                by_distance,
                span: *span,
            }),
        };
        attention::forward(&mut out, &mut lse, (q, kv), segments, heads);
        let wanted = q.0.grad.is_some()
            || kv.0.grad.is_some()
            || attending.bias.is_some_and(|bias| self.trains(bias.table));
        let (q, kv) = (q.clone(), kv.clone());
        self.push((q.rows(), q.cols()), out, wanted, || Op::Attention {
            q,
            kv,
            lse,
            q_offsets: q_offsets.clone(),
            k_offsets: k_offsets.clone(),
            heads,
            window: attending.window,
            bias,
        })
    }

    /// `factor x`
    pub fn scale(&mut self, x: Var, factor: f32) -> Var {
        let (rows, cols, base) = (x.rows(), x.cols(), x.0.grad);
        let mut data = self.data_of(x);
        data.iter_mut().for_each(|v| *v *= factor);
        self.push((rows, cols), data, base.is_some(), || Op::Scale {
            base,
            factor,
        })
    }

    /// `base` with `x` in the place of its rows `rows`, each at most once.
    pub fn scatter(&mut self, base: Var, x: &Var, rows: &Rc<[u32]>) -> Var {
        let (shape, slot) = ((base.rows(), base.cols()), base.0.grad);
        let mut data = self.data_of(base);
        let cols = shape.1;
        for (x, &row) in x.chunks_exact(cols).zip(rows.iter()) {
            data[row as usize * cols..][..cols].copy_from_slice(x);
        }
        let wanted = slot.is_some() || x.0.grad.is_some();
        let x = x.0.grad;
        self.push(shape, data, wanted, || Op::Scatter {
            base: slot,
            x,
            cols,
            rows: rows.clone(),
        })
    }

    /// `f(g) u` where `x` is `[g, u]`.
    pub fn gated(&mut self, x: &Var, activation: Activation) -> Var {
        self.activated(x, Input::Gated(activation))
    }

    /// Whether something of rate `p` is dropped.
    pub fn drops(&self, p: f32) -> bool {
        self.dropout_seed.is_some() && p > 0.0
    }

    /// What single queries `q` `[queries, heads * d]` give on keys and values that were
    /// kept, as [`cached::forward`] says; nothing is recorded.
    pub(crate) fn recall(
        &mut self,
        q: &Var,
        kv: &[f32],
        seen: &[cached::Seen<'_>],
        attending: &Attending,
    ) -> Var {
        let mut out = self.pool.take(q.len());
        cached::forward(&mut out, q, kv, seen, attending.of(q.cols(), None));
        self.push((q.rows(), q.cols()), out, false, || {
            unreachable!("nothing is wanted")
        })
    }

    /// `run(x)`, of which `x` alone is kept: the backward pass runs it again, with the same
    /// masks (Chen et al. 2016). Less memory, the same gradients.
    pub fn again(&mut self, x: &Var, run: impl Fn(&mut Tape<'_>, &Var) -> Var + 'static) -> Var {
        if self.gradients.is_none() {
            return run(self, x);
        }
        let (dropouts, records) = (self.dropouts, self.records);
        let skipped = std::mem::replace(&mut self.skipped, false);
        self.records = false;
        let y = run(self, x);
        self.records = records;
        // Where nothing in it has a gradient, there is nothing to come back for.
        let wanted = std::mem::replace(&mut self.skipped, skipped);
        let shape = (y.rows(), y.cols());
        let data = self.data_of(y);
        let x = x.clone();
        self.push(shape, data, wanted, || Op::Again {
            x,
            run: Again(Box::new(run)),
            dropouts,
        })
    }

    /// The mean of the rows of each sequence, `[sequences, cols]`; zeros for one without rows.
    pub fn mean(&mut self, x: &Var, offsets: &Rc<[usize]>) -> Var {
        let cols = x.cols();
        let sequences = offsets.len().saturating_sub(1);
        let mut y = self.pool.take(sequences * cols);
        mean::forward(&mut y, x, offsets, cols);
        let x = x.0.grad;
        self.push((sequences, cols), y, x.is_some(), || Op::Mean {
            x,
            cols,
            offsets: offsets.clone(),
        })
    }

    /// Columns `range` of `x`.
    pub fn columns(&mut self, x: &Var, range: Range<usize>) -> Var {
        let mut y = self.pool.take(x.rows() * range.len());
        let rows = y.chunks_exact_mut(range.len().max(1));
        for (y, x) in rows.zip(x.chunks_exact(x.cols())) {
            y.copy_from_slice(&x[range.clone()]);
        }
        let (shape, x) = ((x.rows(), x.cols()), x.0.grad);
        self.push((shape.0, range.len()), y, x.is_some(), || Op::Columns {
            x,
            shape,
            first: range.start,
        })
    }

    /// Rows `rows` of `x`, each at most once.
    pub fn gather(&mut self, x: &Var, rows: &Rc<[u32]>) -> Var {
        let cols = x.cols();
        let mut y = self.pool.take(rows.len() * cols);
        for (y, &row) in y.chunks_exact_mut(cols).zip(rows.iter()) {
            y.copy_from_slice(&x[row as usize * cols..][..cols]);
        }
        let (shape, x) = ((x.rows(), cols), x.0.grad);
        self.push((rows.len(), cols), y, x.is_some(), || Op::Gather {
            x,
            shape,
            rows: rows.clone(),
        })
    }
}

impl Attending {
    fn of(&self, width: usize, dropout: Option<Mask>) -> Heads {
        let (count, kv_count) = self.heads;
        let size = width / count;
        Heads {
            count,
            kv_count,
            size,
            scale: self.scale.unwrap_or(1.0 / (size as f32).sqrt()),
            dropout,
        }
    }
}

impl WindowRows {
    pub(super) fn view(&self) -> Window<'_> {
        Window {
            positions: &self.positions,
            behind: self.behind,
            ahead: self.ahead,
        }
    }
}
