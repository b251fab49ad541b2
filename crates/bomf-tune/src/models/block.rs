//! The post-norm transformer block that the BERT family shares.
//!
//! `a = LayerNorm(x + Attention(x))`, `y = LayerNorm(a + W₂ f(W₁ a))` (Vaswani et
//! al. 2017, section 3.1).

use super::Layer;
use super::config::Config;
use crate::batch::Batch;
use crate::params::{Init, Layout, Param};
use crate::tape::{Tape, Var};

/// How an architecture names a block's parameters, without `.weight` and `.bias`.
pub struct BlockNames {
    /// Query, key and value projections.
    pub qkv: [&'static str; 3],
    /// Output projection of the attention, and the norm behind it.
    pub attention: [&'static str; 2],
    /// The two layers of the feed-forward part, and the norm behind them.
    pub feed_forward: [&'static str; 3],
}

#[derive(Debug, Clone, Copy)]
struct Affine {
    weight: Param,
    bias: Param,
}

/// One block's parameters.
#[derive(Debug)]
pub struct Block {
    /// Where the block's parameters begin in the flat array.
    first: usize,
    query: Affine,
    key_value: Affine,
    output: Affine,
    attention_norm: Affine,
    up: Affine,
    down: Affine,
    norm: Affine,
}

fn linear(layout: &mut Layout, name: &str, out: usize, inp: usize, std: f32) -> Affine {
    Affine {
        weight: layout.matrix(format!("{name}.weight"), out, inp, std),
        bias: layout.vector(format!("{name}.bias"), out, Init::Zeros),
    }
}

fn norm(layout: &mut Layout, name: &str, len: usize) -> Affine {
    Affine {
        weight: layout.vector(format!("{name}.weight"), len, Init::Ones),
        bias: layout.vector(format!("{name}.bias"), len, Init::Zeros),
    }
}

impl Block {
    /// Adds a block's parameters to `layout`, their names behind `prefix`.
    pub fn declare(layout: &mut Layout, prefix: &str, names: &BlockNames, c: &Config) -> Self {
        let first = layout.len();
        let (h, std) = (c.hidden_size, c.initializer_range);
        // Weights together and biases together, so that keys and values are one product.
        let weights = names
            .qkv
            .map(|n| layout.matrix(format!("{prefix}{n}.weight"), h, h, std));
        let biases = names
            .qkv
            .map(|n| layout.vector(format!("{prefix}{n}.bias"), h, Init::Zeros));
        let name = |n: &str| format!("{prefix}{n}");
        Block {
            first,
            query: Affine {
                weight: weights[0],
                bias: biases[0],
            },
            key_value: Affine {
                weight: weights[1].stacked_with(weights[2]),
                bias: biases[1].stacked_with(biases[2]),
            },
            output: linear(layout, &name(names.attention[0]), h, h, std),
            attention_norm: norm(layout, &name(names.attention[1]), h),
            up: linear(
                layout,
                &name(names.feed_forward[0]),
                c.intermediate_size,
                h,
                std,
            ),
            down: linear(
                layout,
                &name(names.feed_forward[1]),
                h,
                c.intermediate_size,
                std,
            ),
            norm: norm(layout, &name(names.feed_forward[2]), h),
        }
    }
}

impl Layer for Block {
    fn first(&self) -> usize {
        self.first
    }

    fn forward(&self, tape: &mut Tape, x: &Var, batch: &Batch, last: bool, c: &Config) -> Var {
        let (x_out, q_offsets) = if last {
            (tape.gather(x, &batch.outputs), &batch.output_offsets)
        } else {
            (x.clone(), &batch.offsets)
        };
        let q = tape.linear(&x_out, self.query.weight, self.query.bias);
        let kv = tape.linear(x, self.key_value.weight, self.key_value.bias);
        let offsets = (q_offsets, &batch.offsets);
        let context = tape.attention(&q, &kv, offsets, c.num_heads, c.dropout.attention);
        drop((q, kv));
        let attended = tape.linear(&context, self.output.weight, self.output.bias);
        drop(context);
        let affine = (self.attention_norm.weight, self.attention_norm.bias);
        let rate = c.dropout.hidden;
        let a = tape.layer_norm(&attended, Some(&x_out), rate, affine, c.layer_norm_eps);
        drop((attended, x_out));
        let u = tape.linear(&a, self.up.weight, self.up.bias);
        let activation = Some(c.activation);
        let y = tape.activated_linear(&u, activation, self.down.weight, self.down.bias);
        drop(u);
        let affine = (self.norm.weight, self.norm.bias);
        tape.layer_norm(&y, Some(&a), rate, affine, c.layer_norm_eps)
    }
}
