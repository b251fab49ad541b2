//! The operations, as models call them.

use super::pool::Buffer;
use super::{Factors, Op, Tape, Value, Var};
use crate::kernels::activation::{self, Activation};
use crate::kernels::attention::{self, Heads, Segments};
use crate::kernels::dropout::Mask;
use crate::kernels::gemm::{self, Into};
use crate::kernels::{dropout, embedding, layer_norm, linear};
use crate::lora::Adapters;
use crate::params::Param;
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
    /// residual, `LayerNorm(x)`.
    pub fn layer_norm(
        &mut self,
        x: &Var,
        residual: Option<&Var>,
        p: f32,
        (gamma, beta): (Param, Param),
        eps: f32,
    ) -> Var {
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
            beta.of(self.params),
            eps,
        );
        let wanted = self.trains(gamma)
            || x.0.grad.is_some()
            || residual.is_some_and(|r| r.0.grad.is_some());
        let (x, residual) = (x.clone(), residual.cloned());
        self.push((x.rows(), x.cols()), y, wanted, || Op::LayerNorm {
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
    pub fn linear(&mut self, x: &Var, weight: Param, bias: Param) -> Var {
        self.activated_linear(x, None, weight, bias)
    }

    /// `f(x) Wᵀ + b`: the second half of a feed-forward block. `f(x)` is not kept.
    pub fn activated_linear(
        &mut self,
        x: &Var,
        activation: Option<Activation>,
        weight: Param,
        bias: Param,
    ) -> Var {
        if let Some(adapters) = self.adapters.clone()
            && !adapters.within(weight).is_empty()
        {
            return self.adapted_linear(x, activation, weight, bias, &adapters);
        }
        self.plain_linear(x, activation, weight, bias)
    }

    fn adapted_linear(
        &mut self,
        x: &Var,
        activation: Option<Activation>,
        weight: Param,
        bias: Param,
        adapters: &Adapters,
    ) -> Var {
        // The adapter's input is the activated one, which is then kept.
        let activated = activation.map(|activation| self.activation(x, activation));
        let x = activated.as_ref().unwrap_or(x);
        let mut y = self.plain_linear(x, None, weight, bias);
        let options = adapters.options();
        for adapter in adapters.within(weight) {
            let factors = Factors {
                a: adapter.a,
                b: adapter.b,
                scale: options.scale() as f32,
                first_column: (adapter.weight.offset - weight.offset) / weight.cols,
            };
            y = self.low_rank(y, x, options.dropout as f32, factors);
        }
        y
    }

    /// `y + s (dropout(x) Aᵀ) Bᵀ` on some columns, in the place of `y`.
    fn low_rank(&mut self, y: Var, x: &Var, p: f32, factors: Factors) -> Var {
        let (rows, cols, base) = (y.rows(), y.cols(), y.0.grad);
        let mut data = match Rc::try_unwrap(y.0) {
            Ok(value) => value.data,
            Err(shared) => {
                let mut copy = self.pool.take(rows * cols);
                copy.copy_from_slice(&shared.data);
                copy
            }
        };
        let (a, b) = (factors.a, factors.b);
        let mask = self.mask(p);
        let mut low = self.pool.take(rows * a.rows);
        let dropped = self.dropped(x, mask);
        let input = dropped.as_deref().unwrap_or(x);
        let sizes = (rows, a.rows, a.cols);
        gemm::a_bt(&mut low, Into::Replace, input, a.of(self.params), sizes);
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

    /// `x` with what `mask` drops; `None` where it drops nothing.
    pub(super) fn dropped(&self, x: &Var, mask: Option<Mask>) -> Option<Buffer> {
        let mask = mask?;
        let mut dropped = self.pool.take(x.len());
        dropped.copy_from_slice(x);
        dropout::apply(&mut dropped, mask);
        Some(dropped)
    }

    fn plain_linear(
        &mut self,
        x: &Var,
        activation: Option<Activation>,
        weight: Param,
        bias: Param,
    ) -> Var {
        let shape = (x.rows(), weight.rows);
        let mut y = self.pool.take(shape.0 * shape.1);
        linear::fill_rows(&mut y, bias.of(self.params));
        let product = |y: &mut [f32], x: &[f32]| {
            let sizes = (shape.0, weight.rows, weight.cols);
            gemm::a_bt(y, Into::Add, x, weight.of(self.params), sizes);
        };
        match activation {
            None => product(&mut y, x),
            Some(activation) => {
                let mut activated = self.pool.take(x.len());
                activation::forward(&mut activated, x, activation);
                product(&mut y, &activated);
            }
        }
        let wanted = self.trains(weight) || x.0.grad.is_some();
        let x = x.clone();
        self.push(shape, y, wanted, || Op::Linear {
            x,
            activation,
            weight,
            bias,
        })
    }

    /// `f(x)`
    pub fn activation(&mut self, x: &Var, activation: Activation) -> Var {
        let mut y = self.pool.take(x.len());
        activation::forward(&mut y, x, activation);
        let x = x.clone();
        self.push((x.rows(), x.cols()), y, x.0.grad.is_some(), || {
            Op::Activation { x, activation }
        })
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
        let x = x.clone();
        self.push((x.rows(), x.cols()), y, x.0.grad.is_some(), || {
            Op::Dropout { x, mask }
        })
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
        let heads = Heads {
            count: heads,
            size: q.cols() / heads,
            dropout: self.mask(p),
        };
        let mut out = self.pool.take(q.len());
        let mut lse = self.pool.take(q.rows() * heads.count);
        let segments = Segments {
            q: q_offsets,
            k: k_offsets,
        };
        attention::forward(&mut out, &mut lse, (q, kv), segments, heads);
        let wanted = q.0.grad.is_some() || kv.0.grad.is_some();
        let (q, kv) = (q.clone(), kv.clone());
        self.push((q.rows(), q.cols()), out, wanted, || Op::Attention {
            q,
            kv,
            lse,
            q_offsets: q_offsets.clone(),
            k_offsets: k_offsets.clone(),
            heads,
        })
    }

    /// Rows `rows` of `x`, each at most once.
    pub fn gather(&mut self, x: &Var, rows: &Rc<[u32]>) -> Var {
        let cols = x.cols();
        let mut y = self.pool.take(rows.len() * cols);
        for (y, &row) in y.chunks_exact_mut(cols).zip(rows.iter()) {
            y.copy_from_slice(&x[row as usize * cols..][..cols]);
        }
        let x = x.clone();
        self.push((rows.len(), cols), y, x.0.grad.is_some(), || Op::Gather {
            x,
            rows: rows.clone(),
        })
    }
}
