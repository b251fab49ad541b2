//! The sum of what was kept of the task vectors, block by block.

use std::ops::Range;

use super::ranked::Rows;
use super::sparsify::{Kept, RUN, Scratch};
use crate::method::{Block, Fuser, Params};
use crate::methods::common::{consensus, kernels};

/// A sum of weights below this is none (without consensus). As in mergekit.
const NO_WEIGHT: f32 = 1e-8;

/// `b + lambda (sum_i m_i w_i s_i S_i(d_i)) / W`, in the notation of the module.
pub(super) struct Sum<'a> {
    kept: Vec<Kept<'a>>,
    weights: Vec<f32>,
    consensus: bool,
    normalize: bool,
    lambda: f32,
    /// The block is fused in parts that end where multiples of this many elements of the tensor
    /// do, so that few rows are cut.
    part: usize,
}

impl<'a> Sum<'a> {
    pub(super) fn new(
        kept: Vec<Kept<'a>>,
        shape: &[usize],
        consensus: bool,
        params: &Params,
    ) -> Self {
        Self {
            kept,
            weights: params.numbers("weight").iter().map(|w| *w as f32).collect(),
            consensus,
            normalize: params.flag("normalize"),
            lambda: params.number("lambda") as f32,
            part: Rows::of_shape(shape).piece(),
        }
    }

    /// The models that are not left out, with their places.
    fn active(&self) -> impl Iterator<Item = (usize, &Kept<'a>, f32)> {
        let models = self.kept.iter().zip(&self.weights).enumerate();
        models
            .map(|(i, (kept, weight))| (i, kept, *weight))
            .filter(|(_, kept, _)| !kept.is_nothing())
    }

    /// Runs of a part of the block: all models are added.
    fn add_all(&self, block: &Block<'_>, part: Range<usize>, run: &mut Run, out: &mut [f32]) {
        let base = block.base.unwrap_or_default();
        for (at, out) in part.step_by(RUN).zip(out.chunks_mut(RUN)) {
            let elements = at..at + out.len();
            let d = &mut run.weighted[..out.len()];
            out.fill(0.0);
            for (i, kept, weight) in self.active() {
                kept.write(block, i, elements.clone(), &mut run.scratch, d);
                kernels::add_scaled(weight, d, out);
            }
            if self.normalize {
                // Of all models: one of density zero counts, as in mergekit.
                let divisor: f32 = self.weights.iter().sum();
                if divisor.abs() >= NO_WEIGHT {
                    kernels::divide(divisor, out);
                }
            }
            consensus::apply(self.lambda, &base[elements], out);
        }
    }

    /// Runs of a part of the block: those that agree in sign are added.
    fn add_agreeing(&self, block: &Block<'_>, part: Range<usize>, run: &mut Run, out: &mut [f32]) {
        let base = block.base.unwrap_or_default();
        for (at, out) in part.step_by(RUN).zip(out.chunks_mut(RUN)) {
            let elements = at..at + out.len();
            let total = &mut run.total[..out.len()];
            let divisor = &mut run.divisor[..out.len()];
            total.fill(0.0);
            divisor.fill(0.0);
            out.fill(0.0);
            for (i, kept, weight) in self.active() {
                let d = &mut run.weighted[i * RUN..i * RUN + out.len()];
                kept.write(block, i, elements.clone(), &mut run.scratch, d);
                kernels::scale(weight, d);
                kernels::add(d, total);
            }
            for (i, _, weight) in self.active() {
                let d = &run.weighted[i * RUN..i * RUN + out.len()];
                consensus::add_agreeing(weight, d, total, out, divisor);
            }
            if self.normalize {
                consensus::divide(divisor, out);
            }
            consensus::apply(self.lambda, &base[elements], out);
        }
    }
}

/// Memory for a run of elements.
struct Run {
    scratch: Scratch,
    /// The weighted task vectors, one model behind another.
    weighted: Vec<f32>,
    total: [f32; RUN],
    divisor: [f32; RUN],
}

impl Fuser for Sum<'_> {
    fn fuse(&self, block: &Block<'_>, out: &mut [f32]) {
        let mut run = Run {
            scratch: Scratch::new(self.kept.len()),
            weighted: vec![0.0; self.kept.len() * RUN],
            total: [0.0; RUN],
            divisor: [0.0; RUN],
        };
        let mut at = 0;
        while at < out.len() {
            let end = (block.start + at) / self.part * self.part + self.part - block.start;
            let part = at..end.min(out.len());
            at = part.end;
            let out = &mut out[part.clone()];
            run.scratch.load(&self.kept, block, &part);
            if self.consensus {
                self.add_agreeing(block, part, &mut run, out);
            } else {
                self.add_all(block, part, &mut run, out);
            }
        }
    }
}
