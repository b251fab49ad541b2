//! The Llama family (Touvron et al. 2023): Llama, Mistral, Qwen2 and Qwen3 as
//! configurations of one pre-norm decoder; as
//! `transformers/models/llama/modeling_llama.py` and its kin compute it.
//!
//! `h = x + Attention(RMSNorm(x))`, `y = h + W₃ (f(W₁ n) ∘ W₂ n)` with `n = RMSNorm(h)`.
//! Queries and keys are turned by their positions, heads may share keys and values, and a
//! query sees no key behind its own.

use super::config::{Config, Decoder};
use super::memory::Memory;
use super::{Architecture, Head, Layer};
use crate::TuneError;
use crate::batch::Batch;
use crate::kernels::rope::Rotation;
use crate::params::{Init, Layout, Param};
use crate::tape::{Attending, Tape, Var, WindowRows};
use std::rc::Rc;

#[derive(Debug, Clone, Copy)]
struct Affine {
    weight: Param,
    bias: Option<Param>,
}

/// One block's parameters.
#[derive(Debug)]
struct DecoderBlock {
    first: usize,
    /// Whether its queries see a window only.
    sliding: bool,
    input_norm: Param,
    query: Affine,
    key_value: Affine,
    /// Norms of the heads of queries and keys.
    head_norms: Option<(Param, Param)>,
    output: Affine,
    norm: Param,
    gate_up: Affine,
    down: Affine,
}

/// Weights, and then biases, of layers that are computed as one.
fn stacked<const N: usize>(
    layout: &mut Layout,
    names: [String; N],
    rows: [usize; N],
    cols: usize,
    (std, bias): (f32, bool),
) -> [Affine; N] {
    let mut i = 0;
    let weights = names.each_ref().map(|name| {
        i += 1;
        layout.matrix(format!("{name}.weight"), rows[i - 1], cols, std)
    });
    i = 0;
    let biases = names.map(|name| {
        i += 1;
        bias.then(|| layout.vector(format!("{name}.bias"), rows[i - 1], Init::Zeros))
    });
    std::array::from_fn(|i| Affine {
        weight: weights[i],
        bias: biases[i],
    })
}

impl Affine {
    fn with(self, next: Affine) -> Affine {
        let bias = self.bias.zip(next.bias);
        Affine {
            weight: self.weight.stacked_with(next.weight),
            bias: bias.map(|(a, b)| a.stacked_with(b)),
        }
    }

    fn apply(self, tape: &mut Tape, x: &Var) -> Var {
        tape.linear(x, self.weight, self.bias)
    }
}

impl DecoderBlock {
    fn declare(layout: &mut Layout, i: usize, c: &Config, d: &Decoder) -> Self {
        let prefix = format!("model.layers.{i}.");
        let name = |n: &str| format!("{prefix}{n}");
        let (h, std) = (c.hidden_size, c.initializer_range);
        let (q, kv) = (c.num_heads * d.head_dim, d.kv_heads * d.head_dim);
        let first = layout.len();
        let input_norm = layout.vector(name("input_layernorm.weight"), h, Init::Ones);
        let names = ["q", "k", "v"].map(|n| format!("{prefix}self_attn.{n}_proj"));
        let [query, key, value] = stacked(layout, names, [q, kv, kv], h, (std, d.qkv_bias));
        let head_norms = d.head_norms.then(|| {
            let norm = |layout: &mut Layout, n: &str| {
                let name = format!("{prefix}self_attn.{n}_norm.weight");
                layout.vector(name, d.head_dim, Init::Ones)
            };
            (norm(layout, "q"), norm(layout, "k"))
        });
        let [output] = stacked(
            layout,
            [name("self_attn.o_proj")],
            [h],
            q,
            (std, d.output_bias),
        );
        let norm = layout.vector(name("post_attention_layernorm.weight"), h, Init::Ones);
        let names = [name("mlp.gate_proj"), name("mlp.up_proj")];
        let wide = c.intermediate_size;
        let [gate, up] = stacked(layout, names, [wide, wide], h, (std, d.mlp_bias));
        let [down] = stacked(
            layout,
            [name("mlp.down_proj")],
            [h],
            wide,
            (std, d.mlp_bias),
        );
        DecoderBlock {
            first,
            sliding: d.sliding.get(i).copied().unwrap_or(false),
            input_norm,
            query,
            key_value: key.with(value),
            head_norms,
            output,
            norm,
            gate_up: gate.with(up),
            down,
        }
    }
}

impl Layer for DecoderBlock {
    fn first(&self) -> usize {
        self.first
    }

    fn forward(&self, tape: &mut Tape, x: &Var, batch: &Batch, last: bool, c: &Config) -> Var {
        self.run(tape, x, batch, last, c, None)
    }

    fn recall(
        &self,
        tape: &mut Tape,
        x: &Var,
        batch: &Batch,
        last: bool,
        c: &Config,
        memory: (&mut Memory, usize),
    ) -> Var {
        self.run(tape, x, batch, last, c, Some(memory))
    }
}

impl DecoderBlock {
    /// The block, with what is kept of earlier tokens and its own number where there is any.
    fn run(
        &self,
        tape: &mut Tape,
        x: &Var,
        batch: &Batch,
        last: bool,
        c: &Config,
        memory: Option<(&mut Memory, usize)>,
    ) -> Var {
        let Some(d) = &c.decoder else {
            return x.clone();
        };
        let eps = c.layer_norm_eps;
        let normed = tape.rms_norm(x, c.hidden_size, self.input_norm, eps);
        let positions = if last {
            let at = batch.outputs.iter();
            at.map(|&row| batch.positions[row as usize]).collect()
        } else {
            batch.positions.clone()
        };
        let (x_out, n_out, q_offsets) = if last {
            let (x, n) = (
                tape.gather(x, &batch.outputs),
                tape.gather(&normed, &batch.outputs),
            );
            (x, n, &batch.output_offsets)
        } else {
            (x.clone(), normed.clone(), &batch.offsets)
        };
        let mut q = self.query.apply(tape, &n_out);
        let mut kv = self.key_value.apply(tape, &normed);
        drop((normed, n_out));
        let (q_cols, k_cols) = (q.cols(), d.kv_heads * d.head_dim);
        if let Some((q_norm, k_norm)) = self.head_norms {
            q = tape.rms_norm(&q, q_cols, q_norm, eps);
            kv = tape.rms_norm(&kv, k_cols, k_norm, eps);
        }
        let turn = |positions: &[u32]| {
            Rc::new(Rotation::new(positions, &d.rope.frequencies, d.rope.factor))
        };
        let of_keys = turn(&batch.positions);
        let of_queries = if last {
            turn(&positions)
        } else {
            of_keys.clone()
        };
        let q = tape.rope(q, q_cols, &of_queries);
        let kv = tape.rope(kv, k_cols, &of_keys);
        let window = d.window.filter(|_| self.sliding).unwrap_or(usize::MAX);
        let attending = Attending {
            heads: (c.num_heads, d.kv_heads),
            scale: None,
            window: Some(WindowRows::causal(positions, window)),
            bias: None,
            dropout: c.dropout.attention,
        };
        let offsets = (q_offsets, &batch.offsets);
        let context = match memory {
            Some((memory, i)) => memory.attend(i, tape, (&q, &kv), offsets, attending),
            None => tape.any_attention(&q, &kv, offsets, attending),
        };
        drop((q, kv));
        let attended = self.output.apply(tape, &context);
        drop(context);
        let h = tape.add(attended, &x_out, c.dropout.hidden);
        drop(x_out);
        let normed = tape.rms_norm(&h, c.hidden_size, self.norm, eps);
        let gate_up = self.gate_up.apply(tape, &normed);
        drop(normed);
        let y = tape.gated_linear(&gate_up, c.activation, self.down.weight, self.down.bias);
        drop(gate_up);
        tape.add(y, &h, c.dropout.hidden)
    }
}

/// A decoder with a classifier or the vocabulary on top.
#[derive(Debug)]
pub struct DecoderModel {
    words: Param,
    blocks: Vec<DecoderBlock>,
    norm: Param,
    /// `score` of a classifier.
    score: Option<Param>,
    /// The matrix that gives a language model's logits.
    vocabulary: Option<Param>,
}

impl DecoderModel {
    /// Adds the parameters to `layout`.
    ///
    /// # Errors
    /// Where adapters are wanted on layers that it does not have.
    pub fn declare(
        layout: &mut Layout,
        c: &Config,
        d: &Decoder,
        head: Head,
    ) -> Result<Self, TuneError> {
        let (h, std) = (c.hidden_size, c.initializer_range);
        let words = layout.table("model.embed_tokens.weight", c.vocab_size, h, std);
        let blocks = (0..c.num_layers)
            .map(|i| DecoderBlock::declare(layout, i, c, d))
            .collect();
        let norm = layout.vector("model.norm.weight", h, Init::Ones);
        let vocabulary = (head == Head::CausalLm).then(|| match d.tied {
            true => words,
            false => layout.table("lm_head.weight", c.vocab_size, h, std),
        });
        layout.begin_head()?;
        let score = match head {
            Head::Classifier { outputs } => Some(layout.matrix("score.weight", outputs, h, std)),
            _ => None,
        };
        Ok(DecoderModel {
            words,
            blocks,
            norm,
            score,
            vocabulary,
        })
    }
}

impl Architecture for DecoderModel {
    fn embed(&self, tape: &mut Tape, batch: &Batch, _: &Config) -> Var {
        tape.embedding(vec![(self.words, batch.ids.clone())])
    }

    fn num_blocks(&self) -> usize {
        self.blocks.len()
    }

    fn block(&self, i: usize) -> &dyn Layer {
        &self.blocks[i]
    }

    fn head(&self, tape: &mut Tape, x: &Var, _: &Batch, c: &Config) -> Var {
        let normed = tape.rms_norm(x, c.hidden_size, self.norm, c.layer_norm_eps);
        match self.score {
            Some(score) => {
                let dropped = tape.dropout(&normed, c.dropout.classifier);
                tape.linear(&dropped, score, None)
            }
            None => normed,
        }
    }

    fn vocabulary(&self) -> Option<Param> {
        self.vocabulary
    }
}
