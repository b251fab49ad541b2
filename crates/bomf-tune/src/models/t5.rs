//! T5 (Raffel et al. 2020), v1.0 and v1.1: an encoder, and a decoder that attends to it; as
//! `transformers/models/t5/modeling_t5.py` computes it.
//!
//! `h = x + Attention(RMSNorm(x))`, in the decoder then `h + Attention(RMSNorm(h), encoder)`,
//! and `y = h + W₃ f(W₁ n)`, or `W₃ (f(W₁ n) ∘ W₂ n)` in v1.1, with `n = RMSNorm(h)`. Scores are
//! not scaled; a bias by head and distance is added within each text, from the first block's
//! table.
//!
//! A sequence is its source, the token that the decoder begins with, and the tokens that it
//! is to write: the rows from the first at which an output is asked on are the decoder's.
//! Hidden states are those of all rows. The encoder's blocks change the rows of the source,
//! the decoder's blocks the others.

use super::config::{Config, EncoderDecoder};
use super::memory::Memory;
use super::{Architecture, Layer};
use crate::TuneError;
use crate::batch::Batch;
use crate::kernels::relative::Buckets;
use crate::params::{Init, Layout, Param};
use crate::tape::{Attending, CausalRows, RelativeBias, Tape, Var};
use std::rc::Rc;

/// Projections of an attention, and the norm before it.
#[derive(Debug, Clone, Copy)]
struct Attention {
    norm: Param,
    query: Param,
    key_value: Param,
    output: Param,
    /// The bias, of attention within a text.
    bias: Option<RelativeBias>,
}

/// One block's parameters.
#[derive(Debug)]
struct T5Block {
    first: usize,
    own: Attention,
    /// Attention of a decoder's block to the encoder.
    cross: Option<Attention>,
    norm: Param,
    up: Param,
    down: Param,
    /// The norm behind the encoder's last block.
    final_norm: Option<Param>,
}

/// The rows of source and target of a batch.
struct Parts {
    source: Rc<[u32]>,
    source_offsets: Rc<[usize]>,
    target: Rc<[u32]>,
    target_offsets: Rc<[usize]>,
    /// The first row of each sequence's target.
    starts: Vec<u32>,
}

impl Parts {
    fn of(batch: &Batch) -> Self {
        let (mut source, mut target, mut starts) = (Vec::new(), Vec::new(), Vec::new());
        let (mut source_offsets, mut target_offsets) = (vec![0], vec![0]);
        for (i, range) in batch.offsets.windows(2).enumerate() {
            let asked = &batch.outputs[batch.output_offsets[i]..batch.output_offsets[i + 1]];
            let start = asked.first().map_or(range[1] - 1, |&row| row as usize);
            source.extend(range[0] as u32..start as u32);
            target.extend(start as u32..range[1] as u32);
            starts.push(start as u32);
            source_offsets.push(source.len());
            target_offsets.push(target.len());
        }
        Parts {
            source: source.into(),
            source_offsets: source_offsets.into(),
            target: target.into(),
            target_offsets: target_offsets.into(),
            starts,
        }
    }

    /// Places of rows of targets in their sequences, from 0.
    fn positions(&self, rows: &[u32], offsets: &[usize]) -> Rc<[u32]> {
        let mut positions = Vec::with_capacity(rows.len());
        for (range, &start) in offsets.windows(2).zip(&self.starts) {
            positions.extend(rows[range[0]..range[1]].iter().map(|row| row - start));
        }
        positions.into()
    }
}

/// Standard deviations by which the reference initialises, before its factor.
struct Spread {
    query: f32,
    hidden: f32,
    inner: f32,
    wide: f32,
}

impl Spread {
    fn new(c: &Config, d: &EncoderDecoder) -> Self {
        let by = |size: usize| c.initializer_range / (size as f32).sqrt();
        Spread {
            query: by(c.hidden_size * d.head_dim),
            hidden: by(c.hidden_size),
            inner: by(c.num_heads * d.head_dim),
            wide: by(c.intermediate_size),
        }
    }
}

impl Attention {
    /// `table` is the first block's bias, declared here where `own_table` says so.
    fn declare(
        layout: &mut Layout,
        prefix: &str,
        name: &str,
        c: &Config,
        d: &EncoderDecoder,
        bias: &mut Option<RelativeBias>,
        buckets: Option<Buckets>,
    ) -> Self {
        let (h, inner) = (c.hidden_size, c.num_heads * d.head_dim);
        let spread = Spread::new(c, d);
        let matrix = |layout: &mut Layout, n: &str, rows, cols, std| {
            layout.matrix(format!("{prefix}{name}.{n}.weight"), rows, cols, std)
        };
        let norm = layout.vector(format!("{prefix}layer_norm.weight"), h, Init::Ones);
        let query = matrix(layout, "q", inner, h, spread.query);
        let key = matrix(layout, "k", inner, h, spread.hidden);
        let value = matrix(layout, "v", inner, h, spread.hidden);
        let output = matrix(layout, "o", h, inner, spread.inner);
        if let (None, Some(buckets)) = (&bias, buckets) {
            let name = format!("{prefix}{name}.relative_attention_bias.weight");
            let table = layout.table(name, d.buckets, c.num_heads, spread.hidden);
            *bias = Some(RelativeBias { table, buckets });
        }
        Attention {
            norm,
            query,
            key_value: key.stacked_with(value),
            output,
            bias: bias.filter(|_| buckets.is_some()),
        }
    }

    fn attending(&self, c: &Config, causal: Option<CausalRows>) -> Attending {
        Attending {
            heads: (c.num_heads, c.num_heads),
            scale: Some(1.0),
            causal,
            bias: self.bias,
            dropout: c.dropout.attention,
        }
    }
}

impl T5Block {
    fn declare(
        layout: &mut Layout,
        i: usize,
        c: &Config,
        d: &EncoderDecoder,
        bias: &mut Option<RelativeBias>,
        is_decoder: bool,
    ) -> Self {
        let stack = if is_decoder { "decoder" } else { "encoder" };
        let prefix = |layer: usize| format!("{stack}.block.{i}.layer.{layer}.");
        let buckets = Buckets {
            count: d.buckets,
            max_distance: d.max_distance,
            bidirectional: !is_decoder,
        };
        let first = layout.len();
        let own = Attention::declare(
            layout,
            &prefix(0),
            "SelfAttention",
            c,
            d,
            bias,
            Some(buckets),
        );
        let cross = is_decoder.then(|| {
            let name = "EncDecAttention";
            Attention::declare(layout, &prefix(1), name, c, d, &mut None, None)
        });
        let (h, wide, spread) = (c.hidden_size, c.intermediate_size, Spread::new(c, d));
        let prefix = prefix(if is_decoder { 2 } else { 1 });
        let norm = layout.vector(format!("{prefix}layer_norm.weight"), h, Init::Ones);
        let mut matrix = |n: &str, rows, cols, std| {
            let name = format!("{prefix}DenseReluDense.{n}.weight");
            layout.matrix(name, rows, cols, std)
        };
        let up = match d.gated {
            true => {
                let gate = matrix("wi_0", wide, h, spread.hidden);
                gate.stacked_with(matrix("wi_1", wide, h, spread.hidden))
            }
            false => matrix("wi", wide, h, spread.hidden),
        };
        let down = matrix("wo", h, wide, spread.wide);
        let is_last = !is_decoder && i + 1 == c.num_layers;
        let name = "encoder.final_layer_norm.weight";
        T5Block {
            first,
            own,
            cross,
            norm,
            up,
            down,
            final_norm: is_last.then(|| layout.vector(name, h, Init::Ones)),
        }
    }

    fn feed_forward(&self, tape: &mut Tape, x: &Var, c: &Config, gated: bool) -> Var {
        let normed = tape.rms_norm(x, c.hidden_size, self.norm, c.layer_norm_eps);
        let u = tape.linear(&normed, self.up, None);
        drop(normed);
        let (rate, f) = (c.dropout.hidden, c.activation);
        let y = match (tape.drops(rate), gated) {
            (false, true) => tape.gated_linear(&u, f, self.down, None),
            (false, false) => tape.activated_linear(&u, Some(f), self.down, None),
            // What is between the two layers is dropped too.
            (true, _) => {
                let activated = match gated {
                    true => tape.gated(&u, f),
                    false => tape.activation(&u, f),
                };
                let dropped = tape.dropout(&activated, rate);
                drop(activated);
                tape.linear(&dropped, self.down, None)
            }
        };
        drop(u);
        tape.add(y, x, rate)
    }

    /// A block of the encoder, on the rows of the sources.
    fn encode(&self, tape: &mut Tape, x: &Var, batch: &Batch, c: &Config, gated: bool) -> Var {
        let parts = Parts::of(batch);
        let source = tape.gather(x, &parts.source);
        let (own, eps, rate) = (&self.own, c.layer_norm_eps, c.dropout.hidden);
        let normed = tape.rms_norm(&source, c.hidden_size, own.norm, eps);
        let q = tape.linear(&normed, own.query, None);
        let kv = tape.linear(&normed, own.key_value, None);
        drop(normed);
        let offsets = (&parts.source_offsets, &parts.source_offsets);
        let context = tape.any_attention(&q, &kv, offsets, own.attending(c, None));
        drop((q, kv));
        let attended = tape.linear(&context, own.output, None);
        drop(context);
        let h = tape.add(attended, &source, rate);
        drop(source);
        let mut y = self.feed_forward(tape, &h, c, gated);
        if let Some(norm) = self.final_norm {
            let normed = tape.rms_norm(&y, c.hidden_size, norm, eps);
            y = tape.dropout(&normed, rate);
        }
        tape.scatter(x.clone(), &y, &parts.source)
    }

    /// A block of the decoder, on the rows of the targets.
    #[allow(
        clippy::too_many_arguments,
        reason = "what a layer is given, and the other half of the model"
    )]
    fn decode(
        &self,
        cross: &Attention,
        tape: &mut Tape,
        x: &Var,
        batch: &Batch,
        last: bool,
        c: &Config,
        gated: bool,
        mut memory: Option<(&mut Memory, usize)>,
    ) -> Var {
        let (own, eps, rate) = (&self.own, c.layer_norm_eps, c.dropout.hidden);
        let goes_on = memory.as_ref().is_some_and(|(memory, _)| !memory.begins());
        // Where the sequences go on, all rows are the decoder's.
        let parts = Parts::of(batch);
        let target = match goes_on {
            true => x.clone(),
            false => tape.gather(x, &parts.target),
        };
        let normed = tape.rms_norm(&target, c.hidden_size, own.norm, eps);
        let (rows, q_offsets) = match last {
            true => (&batch.outputs, &batch.output_offsets),
            false => (&parts.target, &parts.target_offsets),
        };
        let (target, normed_out) = match last && !goes_on {
            true => {
                let asked = tape.gather(x, rows);
                let normed = tape.rms_norm(&asked, c.hidden_size, own.norm, eps);
                (asked, normed)
            }
            false => (target, normed.clone()),
        };
        let q = tape.linear(&normed_out, own.query, None);
        let kv = tape.linear(&normed, own.key_value, None);
        drop((normed, normed_out));
        let causal = CausalRows {
            positions: parts.positions(rows, q_offsets),
            window: usize::MAX,
        };
        let attending = own.attending(c, Some(causal));
        let offsets = (q_offsets, &parts.target_offsets);
        let context = match &mut memory {
            Some((memory, i)) => memory.attend(*i, tape, (&q, &kv), offsets, attending),
            None => tape.any_attention(&q, &kv, offsets, attending),
        };
        drop((q, kv));
        let attended = tape.linear(&context, own.output, None);
        drop(context);
        let h = tape.add(attended, &target, rate);
        drop(target);

        let normed = tape.rms_norm(&h, c.hidden_size, cross.norm, eps);
        let q = tape.linear(&normed, cross.query, None);
        drop(normed);
        let attending = cross.attending(c, None);
        let context = match &mut memory {
            Some((memory, i)) if goes_on => memory.attend_to_source(*i, tape, &q, &attending),
            memory => {
                let source = tape.gather(x, &parts.source);
                let kv = tape.linear(&source, cross.key_value, None);
                if let Some((memory, i)) = memory {
                    memory.keep_source(*i, &kv);
                }
                let offsets = (q_offsets, &parts.source_offsets);
                tape.any_attention(&q, &kv, offsets, attending)
            }
        };
        drop(q);
        let attended = tape.linear(&context, cross.output, None);
        drop(context);
        let h = tape.add(attended, &h, rate);
        let y = self.feed_forward(tape, &h, c, gated);
        match last || goes_on {
            true => y,
            false => tape.scatter(x.clone(), &y, &parts.target),
        }
    }
}

impl Layer for T5Block {
    fn first(&self) -> usize {
        self.first
    }

    fn forward(&self, tape: &mut Tape, x: &Var, batch: &Batch, last: bool, c: &Config) -> Var {
        let gated = c.encoder_decoder.as_ref().is_some_and(|d| d.gated);
        match &self.cross {
            Some(cross) => self.decode(cross, tape, x, batch, last, c, gated, None),
            None => self.encode(tape, x, batch, c, gated),
        }
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
        let gated = c.encoder_decoder.as_ref().is_some_and(|d| d.gated);
        match &self.cross {
            Some(cross) => self.decode(cross, tape, x, batch, last, c, gated, Some(memory)),
            None if memory.0.begins() => self.encode(tape, x, batch, c, gated),
            // The sources have been read.
            None => x.clone(),
        }
    }
}

/// T5 with the vocabulary on top.
#[derive(Debug)]
pub struct T5 {
    words: Param,
    blocks: Vec<T5Block>,
    norm: Param,
    vocabulary: Param,
    /// On the decoder's states.
    scale: Option<f32>,
}

impl T5 {
    /// Adds the parameters to `layout`.
    ///
    /// # Errors
    /// Where adapters are wanted on layers that it does not have.
    pub fn declare(layout: &mut Layout, c: &Config, d: &EncoderDecoder) -> Result<Self, TuneError> {
        let (h, factor) = (c.hidden_size, c.initializer_range);
        let words = layout.table("shared.weight", c.vocab_size, h, factor);
        let mut blocks = Vec::new();
        for (count, is_decoder) in [(c.num_layers, false), (d.decoder_layers, true)] {
            let mut bias = None;
            for i in 0..count {
                blocks.push(T5Block::declare(layout, i, c, d, &mut bias, is_decoder));
            }
        }
        let norm = layout.vector("decoder.final_layer_norm.weight", h, Init::Ones);
        let vocabulary = match d.tied {
            true => words,
            false => layout.table("lm_head.weight", c.vocab_size, h, factor),
        };
        layout.begin_head()?;
        Ok(T5 {
            words,
            blocks,
            norm,
            vocabulary,
            scale: d.scaled.then(|| 1.0 / (h as f32).sqrt()),
        })
    }
}

impl Architecture for T5 {
    fn embed(&self, tape: &mut Tape, batch: &Batch, c: &Config) -> Var {
        let words = tape.embedding(vec![(self.words, batch.ids.clone())]);
        tape.dropout(&words, c.dropout.hidden)
    }

    fn num_blocks(&self) -> usize {
        self.blocks.len()
    }

    fn block(&self, i: usize) -> &dyn Layer {
        &self.blocks[i]
    }

    fn head(&self, tape: &mut Tape, x: &Var, c: &Config) -> Var {
        let normed = tape.rms_norm(x, c.hidden_size, self.norm, c.layer_norm_eps);
        let dropped = tape.dropout(&normed, c.dropout.hidden);
        drop(normed);
        match self.scale {
            Some(scale) => tape.scale(dropped, scale),
            None => dropped,
        }
    }

    fn vocabulary(&self) -> Option<Param> {
        Some(self.vocabulary)
    }
}
