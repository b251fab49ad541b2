//! Optimisers and learning-rate schedules.
//!
//! State beside parameters and gradients, in numbers a trained parameter: two for AdamW, one for
//! stochastic gradient descent with momentum, none without; for Adafactor one a row and column
//! of each matrix.

mod adafactor;
mod adamw;
mod schedule;
mod sgd;

pub use adafactor::{Adafactor, AdafactorOptions};
pub use adamw::{AdamW, AdamWOptions};
pub use schedule::Schedule;
pub use sgd::{Sgd, SgdOptions};

use crate::kernels::linear;
use crate::params::Layout;
use crate::tape::Gradients;
use std::collections::BTreeMap;
use std::ops::Range;

/// Which optimiser, and its rates.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum OptimizerOptions {
    /// AdamW (Loshchilov and Hutter 2019).
    AdamW(AdamWOptions),
    /// Adafactor (Shazeer and Stern 2018).
    Adafactor(AdafactorOptions),
    /// Stochastic gradient descent.
    Sgd(SgdOptions),
}

impl Default for OptimizerOptions {
    /// AdamW.
    fn default() -> Self {
        OptimizerOptions::AdamW(AdamWOptions::default())
    }
}

impl From<AdamWOptions> for OptimizerOptions {
    fn from(options: AdamWOptions) -> Self {
        OptimizerOptions::AdamW(options)
    }
}

impl From<AdafactorOptions> for OptimizerOptions {
    fn from(options: AdafactorOptions) -> Self {
        OptimizerOptions::Adafactor(options)
    }
}

impl From<SgdOptions> for OptimizerOptions {
    fn from(options: SgdOptions) -> Self {
        OptimizerOptions::Sgd(options)
    }
}

/// An optimiser with its state.
#[derive(Debug)]
pub enum Optimizer {
    /// AdamW.
    AdamW(AdamW),
    /// Adafactor.
    Adafactor(Adafactor),
    /// Stochastic gradient descent.
    Sgd(Sgd),
}

impl Optimizer {
    /// State for the parameters of `layout` from `first` on.
    pub fn new(layout: &Layout, first: usize, options: OptimizerOptions) -> Self {
        match options {
            OptimizerOptions::AdamW(o) => Optimizer::AdamW(AdamW::new(layout, first, o)),
            OptimizerOptions::Adafactor(o) => {
                Optimizer::Adafactor(Adafactor::new(layout, first, o))
            }
            OptimizerOptions::Sgd(o) => Optimizer::Sgd(Sgd::new(layout, first, o)),
        }
    }

    /// One step with the gradients of a loss summed over `1 / scale` parts, and the learning
    /// rate `lr`. Returns the norm of the gradient before clipping; where it is not finite,
    /// nothing is changed.
    pub fn step(&mut self, params: &mut [f32], gradients: &Gradients, scale: f64, lr: f64) -> f64 {
        match self {
            Optimizer::AdamW(o) => o.step(params, gradients, scale, lr),
            Optimizer::Adafactor(o) => o.step(params, gradients, scale, lr),
            Optimizer::Sgd(o) => o.step(params, gradients, scale, lr),
        }
    }

    /// What there is to be saved.
    pub(crate) fn parts(&self) -> Parts<'_> {
        match self {
            Optimizer::AdamW(o) => o.parts(),
            Optimizer::Adafactor(o) => o.parts(),
            Optimizer::Sgd(o) => o.parts(),
        }
    }

    /// Takes back what was saved; `false`, and nothing is changed, where that was of another
    /// optimiser or other parameters.
    pub(crate) fn restore(&mut self, state: &Restored<'_>) -> bool {
        match self {
            Optimizer::AdamW(o) => o.restore(state),
            Optimizer::Adafactor(o) => o.restore(state),
            Optimizer::Sgd(o) => o.restore(state),
        }
    }
}

/// What an optimiser keeps between steps.
#[derive(Debug)]
pub(crate) struct Parts<'a> {
    /// Steps made.
    pub steps: u64,
    /// Its arrays under their names; no two optimisers have the same ones.
    pub arrays: Vec<(&'static str, &'a [f32])>,
    /// Which units of AdamW are awake, run by run.
    pub awake: Vec<bool>,
}

/// The same, read again.
#[derive(Debug)]
pub(crate) struct Restored<'a> {
    pub steps: u64,
    pub arrays: &'a BTreeMap<String, Vec<f32>>,
    pub awake: &'a [bool],
}

impl Restored<'_> {
    /// Copies the arrays to `own`; `false`, and nothing is changed, where they are others.
    fn copy_to(&self, own: &mut [(&str, &mut [f32])]) -> bool {
        let fits = |(name, values): &(&str, &mut [f32])| {
            let saved = self.arrays.get(*name);
            saved.is_some_and(|saved| saved.len() == values.len())
        };
        if own.len() != self.arrays.len() || !own.iter().all(fits) {
            return false;
        }
        for (name, values) in own {
            if let Some(saved) = self.arrays.get(*name) {
                values.copy_from_slice(saved);
            }
        }
        true
    }
}

/// As in `torch.nn.utils.clip_grad_norm_`: keeps the quotient finite at norm 0.
const CLIP_EPSILON: f64 = 1e-6;

/// The norm of the gradient times `scale`, and what the gradient is to be multiplied with for a
/// norm of at most `max_norm`; `None` where it is not finite.
fn clip(gradients: &Gradients, scale: f64, max_norm: f64) -> (f64, Option<f64>) {
    let norm = linear::sum_of_squares(&gradients.values).sqrt() * scale;
    let factor = scale * (max_norm / (norm + CLIP_EPSILON)).min(1.0);
    (norm, norm.is_finite().then_some(factor))
}

/// Neighbouring parameters from `first` on that share whether they decay, and whether they do;
/// places are relative to `first`.
fn runs(layout: &Layout, first: usize) -> Vec<(Range<usize>, bool)> {
    let mut runs: Vec<(Range<usize>, bool)> = Vec::new();
    for (_, entry) in layout.entries() {
        let Some(start) = entry.param.offset.checked_sub(first) else {
            continue;
        };
        let (end, decays) = (start + entry.param.len(), entry.decays());
        match runs.last_mut() {
            Some((range, same)) if *same == decays => range.end = end,
            _ => runs.push((start..end, decays)),
        }
    }
    runs
}
