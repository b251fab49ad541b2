//! A block of either half.

use super::attention::{Attention, Spread};
use super::parts::Parts;
use crate::batch::Batch;
use crate::kernels::relative::Buckets;
use crate::models::Layer;
use crate::models::config::{Config, EncoderDecoder};
use crate::models::memory::Memory;
use crate::params::{Init, Layout, Param};
use crate::tape::{RelativeBias, Tape, Var, WindowRows};

/// One block's parameters.
#[derive(Debug)]
pub(super) struct T5Block {
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

impl T5Block {
    pub fn declare(
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
        let window = WindowRows::causal(parts.positions(rows, q_offsets), usize::MAX);
        let attending = own.attending(c, Some(window));
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
