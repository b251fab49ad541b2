//! GPT-2 (Radford et al. 2019): a pre-norm decoder with learned positions, its weights
//! stored as `[in, out]`; as `transformers/models/gpt2/modeling_gpt2.py` computes it.

use super::config::Config;
use super::memory::Memory;
use super::{Architecture, Head, Layer};
use crate::TuneError;
use crate::batch::Batch;
use crate::params::{Init, Layout, Param};
use crate::tape::{Attending, Tape, Var, WindowRows};

/// Weight and bias, of a linear layer or a norm.
type Affine = (Param, Param);

/// One block's parameters.
#[derive(Debug)]
struct Gpt2Block {
    first: usize,
    input_norm: Affine,
    query_key_value: Affine,
    output: Affine,
    norm: Affine,
    up: Affine,
    down: Affine,
}

fn norm(layout: &mut Layout, name: &str, len: usize) -> Affine {
    (
        layout.vector(format!("{name}.weight"), len, Init::Ones),
        layout.vector(format!("{name}.bias"), len, Init::Zeros),
    )
}

fn linear(layout: &mut Layout, name: &str, (inputs, outputs): (usize, usize), std: f32) -> Affine {
    (
        layout.transposed_matrix(format!("{name}.weight"), inputs, outputs, std),
        layout.vector(format!("{name}.bias"), outputs, Init::Zeros),
    )
}

impl Gpt2Block {
    fn declare(layout: &mut Layout, i: usize, c: &Config) -> Self {
        let name = |n: &str| format!("transformer.h.{i}.{n}");
        let (h, wide, std) = (c.hidden_size, c.intermediate_size, c.initializer_range);
        Gpt2Block {
            first: layout.len(),
            input_norm: norm(layout, &name("ln_1"), h),
            query_key_value: linear(layout, &name("attn.c_attn"), (h, 3 * h), std),
            output: linear(layout, &name("attn.c_proj"), (h, h), std),
            norm: norm(layout, &name("ln_2"), h),
            up: linear(layout, &name("mlp.c_fc"), (h, wide), std),
            down: linear(layout, &name("mlp.c_proj"), (wide, h), std),
        }
    }
}

impl Layer for Gpt2Block {
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

impl Gpt2Block {
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
        let (h, eps) = (c.hidden_size, c.layer_norm_eps);
        let normed = tape.layer_norm(x, None, 0.0, self.input_norm, eps);
        let qkv = tape.linear(&normed, self.query_key_value.0, self.query_key_value.1);
        drop(normed);
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
            window: Some(WindowRows::causal(positions, usize::MAX)),
            bias: None,
            dropout: c.dropout.attention,
        };
        let offsets = (q_offsets, &batch.offsets);
        let context = match memory {
            Some((memory, i)) => memory.attend(i, tape, (&q, &kv), offsets, attending),
            None => tape.any_attention(&q, &kv, offsets, attending),
        };
        drop((q, kv));
        let attended = tape.linear(&context, self.output.0, self.output.1);
        drop(context);
        let a = tape.add(attended, &x, c.dropout.hidden);
        drop(x);
        let normed = tape.layer_norm(&a, None, 0.0, self.norm, eps);
        let u = tape.linear(&normed, self.up.0, self.up.1);
        drop(normed);
        let y = tape.activated_linear(&u, Some(c.activation), self.down.0, self.down.1);
        drop(u);
        tape.add(y, &a, c.dropout.hidden)
    }
}

/// GPT-2 with a classifier or the vocabulary on top.
#[derive(Debug)]
pub struct Gpt2 {
    words: Param,
    positions: Param,
    blocks: Vec<Gpt2Block>,
    norm: Affine,
    score: Option<Param>,
    vocabulary: Option<Param>,
}

impl Gpt2 {
    /// Adds the parameters to `layout`.
    ///
    /// # Errors
    /// Where adapters are wanted on layers that it does not have.
    pub fn declare(layout: &mut Layout, c: &Config, head: Head) -> Result<Self, TuneError> {
        let (h, std) = (c.hidden_size, c.initializer_range);
        let words = layout.table("transformer.wte.weight", c.vocab_size, h, std);
        let positions = layout.table("transformer.wpe.weight", c.max_positions, h, std);
        let blocks = (0..c.num_layers)
            .map(|i| Gpt2Block::declare(layout, i, c))
            .collect();
        let norm = norm(layout, "transformer.ln_f", h);
        layout.begin_head()?;
        let score = match head {
            Head::Classifier { outputs } => Some(layout.matrix("score.weight", outputs, h, std)),
            _ => None,
        };
        Ok(Gpt2 {
            words,
            positions,
            blocks,
            norm,
            score,
            // The table of words gives the logits too.
            vocabulary: (head == Head::CausalLm).then_some(words),
        })
    }
}

impl Architecture for Gpt2 {
    fn embed(&self, tape: &mut Tape, batch: &Batch, c: &Config) -> Var {
        let sum = tape.embedding(vec![
            (self.words, batch.ids.clone()),
            (self.positions, batch.positions.clone()),
        ]);
        tape.dropout(&sum, c.dropout.hidden)
    }

    fn num_blocks(&self) -> usize {
        self.blocks.len()
    }

    fn block(&self, i: usize) -> &dyn Layer {
        &self.blocks[i]
    }

    fn head(&self, tape: &mut Tape, x: &Var, _: &Batch, c: &Config) -> Var {
        let normed = tape.layer_norm(x, None, 0.0, self.norm, c.layer_norm_eps);
        match self.score {
            Some(score) => tape.linear(&normed, score, None),
            None => normed,
        }
    }

    fn vocabulary(&self) -> Option<Param> {
        self.vocabulary
    }
}
