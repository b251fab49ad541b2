//! ModernBERT (Warner et al. 2024, arXiv 2412.13663), with the heads of its tasks; as
//! `transformers/models/modernbert/modeling_modernbert.py` computes it.
//!
//! `h = x + Wₒ Attention(N₁(x))`, `y = h + W₃ (f(W₁ n) ∘ W₂ n)` with `n = N₂(h)`, layer norms
//! mostly without biases, and none before the first block's attention, whose input is normed
//! already. Positions turn queries and keys. Most blocks are local: a token sees
//! `local_attention / 2` neighbours on either side; the others see the whole sequence, and
//! their positions turn more slowly.
//!
//! Every head is the same dense layer with its activation and norm, dropout, and a linear
//! layer: on the first token, or the mean of all, or on each token.

mod config;

pub use config::{ModernBertConfig, Pooling};

use super::config::Config;
use super::{Architecture, Head, Layer};
use crate::TuneError;
use crate::batch::Batch;
use crate::kernels::rope::Rotation;
use crate::params::{Init, Layout, Param};
use crate::tape::{Attending, Tape, Var, WindowRows};
use std::rc::Rc;

type Affine = (Param, Option<Param>);

fn linear(
    layout: &mut Layout,
    name: &str,
    (out, inp): (usize, usize),
    std: f32,
    bias: bool,
) -> Affine {
    let weight = layout.matrix(format!("{name}.weight"), out, inp, std);
    let bias = bias.then(|| layout.vector(format!("{name}.bias"), out, Init::Zeros));
    (weight, bias)
}

fn norm(layout: &mut Layout, name: &str, c: &Config, m: &ModernBertConfig) -> Affine {
    let weight = layout.vector(format!("{name}.weight"), c.hidden_size, Init::Ones);
    let bias = m.norm_bias;
    let bias = bias.then(|| layout.vector(format!("{name}.bias"), c.hidden_size, Init::Zeros));
    (weight, bias)
}

/// The standard deviation of a new layer that writes to the residual stream.
fn out_std(c: &Config) -> f32 {
    c.initializer_range / (2.0 * c.num_layers as f32).sqrt()
}

/// One block's parameters.
#[derive(Debug)]
struct ModernBertBlock {
    first: usize,
    is_local: bool,
    /// None in the first block.
    attention_norm: Option<Affine>,
    query_key_value: Affine,
    output: Affine,
    norm: Affine,
    /// The gate above what it lets through.
    gate_up: Affine,
    down: Affine,
}

impl ModernBertBlock {
    fn declare(layout: &mut Layout, i: usize, c: &Config, m: &ModernBertConfig) -> Self {
        let name = |n: &str| format!("model.layers.{i}.{n}");
        let (h, wide) = (c.hidden_size, c.intermediate_size);
        let (std, out_std) = (c.initializer_range, out_std(c));
        let first = layout.len();
        let attention_norm = (i > 0).then(|| norm(layout, &name("attn_norm"), c, m));
        let bias = m.attention_bias;
        let query_key_value = linear(layout, &name("attn.Wqkv"), (3 * h, h), std, bias);
        let output = linear(layout, &name("attn.Wo"), (h, h), out_std, bias);
        let norm = norm(layout, &name("mlp_norm"), c, m);
        let bias = m.mlp_bias;
        ModernBertBlock {
            first,
            is_local: m.local.get(i).copied().unwrap_or(false),
            attention_norm,
            query_key_value,
            output,
            norm,
            gate_up: linear(layout, &name("mlp.Wi"), (2 * wide, h), std, bias),
            down: linear(layout, &name("mlp.Wo"), (h, wide), out_std, bias),
        }
    }
}

impl Layer for ModernBertBlock {
    fn first(&self) -> usize {
        self.first
    }

    fn forward(&self, tape: &mut Tape, x: &Var, batch: &Batch, last: bool, c: &Config) -> Var {
        let Some(m) = &c.modern_bert else {
            return x.clone();
        };
        let (h, eps) = (c.hidden_size, c.layer_norm_eps);
        let normed = match self.attention_norm {
            Some(norm) => tape.layer_norm(x, None, 0.0, norm, eps),
            None => x.clone(),
        };
        let qkv = tape.linear(&normed, self.query_key_value.0, self.query_key_value.1);
        drop(normed);
        let rope = match self.is_local {
            true => &m.local_rope,
            false => &m.global_rope,
        };
        let rotation = Rotation::new(&batch.positions, &rope.frequencies, rope.factor);
        let qkv = tape.rope(qkv, 2 * h, &Rc::new(rotation));
        let (mut q, kv) = (tape.columns(&qkv, 0..h), tape.columns(&qkv, h..3 * h));
        drop(qkv);
        let (mut x, mut q_offsets) = (x.clone(), &batch.offsets);
        let mut positions = batch.positions.clone();
        if last {
            let at = batch.outputs.iter();
            positions = at.map(|&row| batch.positions[row as usize]).collect();
            (x, q) = (
                tape.gather(&x, &batch.outputs),
                tape.gather(&q, &batch.outputs),
            );
            q_offsets = &batch.output_offsets;
        }
        let attending = Attending {
            heads: (c.num_heads, c.num_heads),
            scale: None,
            window: self.is_local.then_some(WindowRows {
                positions,
                behind: m.side,
                ahead: m.side,
            }),
            bias: None,
            dropout: c.dropout.attention,
        };
        let context = tape.any_attention(&q, &kv, (q_offsets, &batch.offsets), attending);
        drop((q, kv));
        let attended = tape.linear(&context, self.output.0, self.output.1);
        drop(context);
        let a = tape.add(attended, &x, c.dropout.attention);
        drop(x);
        let normed = tape.layer_norm(&a, None, 0.0, self.norm, eps);
        let gate_up = tape.linear(&normed, self.gate_up.0, self.gate_up.1);
        drop(normed);
        let (rate, activation) = (c.dropout.hidden, c.activation);
        let y = match tape.drops(rate) {
            false => tape.gated_linear(&gate_up, activation, self.down.0, self.down.1),
            true => {
                let gated = tape.gated(&gate_up, activation);
                let gated = tape.dropout(&gated, rate);
                tape.linear(&gated, self.down.0, self.down.1)
            }
        };
        drop(gate_up);
        tape.add(y, &a, 0.0)
    }
}

/// What stands on top, whatever the task.
#[derive(Debug)]
struct PredictionHead {
    /// Whether it sees one row a sequence, the mean of all.
    is_mean: bool,
    dense: Affine,
    norm: Affine,
    classifier: Affine,
}

/// ModernBERT.
#[derive(Debug)]
pub struct ModernBert {
    words: Param,
    norm: Affine,
    blocks: Vec<ModernBertBlock>,
    final_norm: Affine,
    head: PredictionHead,
}

impl ModernBert {
    /// Adds ModernBERT's parameters to `layout`.
    ///
    /// # Errors
    /// Where adapters are wanted on layers that it does not have.
    pub fn declare(
        layout: &mut Layout,
        c: &Config,
        m: &ModernBertConfig,
        head: Head,
    ) -> Result<Self, TuneError> {
        let (h, std) = (c.hidden_size, c.initializer_range);
        let words = "model.embeddings.tok_embeddings.weight";
        let words = layout.table(words, c.vocab_size, h, std);
        let embedding_norm = norm(layout, "model.embeddings.norm", c, m);
        let blocks = (0..c.num_layers)
            .map(|i| ModernBertBlock::declare(layout, i, c, m))
            .collect();
        let final_norm = norm(layout, "model.final_norm", c, m);
        layout.begin_head()?;
        let (outputs, is_pooled) = match head {
            Head::Classifier { outputs } => (outputs, true),
            Head::TokenClassifier { outputs } => (outputs, false),
            Head::QuestionAnswering => (2, false),
            _ => (1, true),
        };
        let head = PredictionHead {
            is_mean: is_pooled && m.pooling == Pooling::Mean,
            dense: linear(layout, "head.dense", (h, h), out_std(c), m.classifier_bias),
            norm: norm(layout, "head.norm", c, m),
            classifier: linear(
                layout,
                "classifier",
                (outputs, h),
                1.0 / (h as f32).sqrt(),
                true,
            ),
        };
        Ok(ModernBert {
            words,
            norm: embedding_norm,
            blocks,
            final_norm,
            head,
        })
    }
}

impl Architecture for ModernBert {
    fn embed(&self, tape: &mut Tape, batch: &Batch, c: &Config) -> Var {
        let words = tape.embedding(vec![(self.words, batch.ids.clone())]);
        let normed = tape.layer_norm(&words, None, 0.0, self.norm, c.layer_norm_eps);
        tape.dropout(&normed, c.dropout.hidden)
    }

    fn num_blocks(&self) -> usize {
        self.blocks.len()
    }

    fn block(&self, i: usize) -> &dyn Layer {
        &self.blocks[i]
    }

    fn head(&self, tape: &mut Tape, x: &Var, batch: &Batch, c: &Config) -> Var {
        let Some(m) = &c.modern_bert else {
            return x.clone();
        };
        let (head, eps) = (&self.head, c.layer_norm_eps);
        let mut x = tape.layer_norm(x, None, 0.0, self.final_norm, eps);
        if head.is_mean {
            x = tape.mean(&x, &batch.output_offsets);
        }
        let dense = tape.linear(&x, head.dense.0, head.dense.1);
        let dense = tape.activation(&dense, m.classifier_activation);
        let normed = tape.layer_norm(&dense, None, 0.0, head.norm, eps);
        let dropped = tape.dropout(&normed, c.dropout.classifier);
        tape.linear(&dropped, head.classifier.0, head.classifier.1)
    }
}
