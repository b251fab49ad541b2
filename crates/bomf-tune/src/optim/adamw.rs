//! AdamW over the trainable tail of a model (Loshchilov and Hutter 2019), with
//! gradient clipping by the global norm.

use super::{Parts, Restored, clip};
use crate::kernels::adamw;
use crate::params::Layout;
use crate::tape::Gradients;
use std::ops::Range;

/// Rates of AdamW.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamWOptions {
    /// Decay rate of the first moment.
    pub beta1: f64,
    /// Decay rate of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Decoupled weight decay of matrices; biases and norms have none.
    pub weight_decay: f64,
    /// Gradients are scaled down to this norm; infinite for no clipping.
    pub max_grad_norm: f64,
}

impl Default for AdamWOptions {
    /// The constants of the paper's released code.
    fn default() -> Self {
        AdamWOptions {
            beta1: 0.9,
            beta2: 0.98,
            epsilon: 1e-6,
            weight_decay: 0.1,
            max_grad_norm: 1.0,
        }
    }
}

/// The optimiser's state.
#[derive(Debug)]
pub struct AdamW {
    options: AdamWOptions,
    first: usize,
    step: u64,
    m: Vec<f32>,
    v: Vec<f32>,
    runs: Vec<Run>,
}

/// Neighbouring parameters that share whether they decay.
#[derive(Debug)]
struct Run {
    /// Relative to the first trainable parameter.
    range: Range<usize>,
    decays: bool,
    /// Which units of it have seen a gradient, as [`adamw::update`] keeps it.
    awake: Vec<bool>,
}

impl AdamW {
    /// State for the parameters of `layout` from `first` on.
    pub fn new(layout: &Layout, first: usize, options: AdamWOptions) -> Self {
        let runs = super::runs(layout, first)
            .into_iter()
            .map(|(range, decays)| Run {
                awake: vec![false; range.len().div_ceil(adamw::UNIT)],
                range,
                decays,
            })
            .collect();
        let len = layout.len() - first;
        AdamW {
            options,
            first,
            step: 0,
            m: vec![0.0; len],
            v: vec![0.0; len],
            runs,
        }
    }

    pub(super) fn parts(&self) -> Parts<'_> {
        let awake = self.runs.iter().flat_map(|run| &run.awake);
        Parts {
            steps: self.step,
            arrays: vec![("m", &self.m), ("v", &self.v)],
            awake: awake.copied().collect(),
        }
    }

    pub(super) fn restore(&mut self, state: &Restored<'_>) -> bool {
        let units: usize = self.runs.iter().map(|run| run.awake.len()).sum();
        let own = &mut [("m", &mut *self.m), ("v", &mut *self.v)];
        if state.awake.len() != units || !state.copy_to(own) {
            return false;
        }
        self.step = state.steps;
        let mut rest = state.awake;
        for run in &mut self.runs {
            let (own, others) = rest.split_at(run.awake.len());
            run.awake.copy_from_slice(own);
            rest = others;
        }
        true
    }

    /// One step with the gradients of a loss summed over `1 / scale` parts, and the
    /// learning rate `lr`. Returns the norm of the gradient before clipping; where
    /// it is not finite, nothing is changed.
    pub fn step(&mut self, params: &mut [f32], gradients: &Gradients, scale: f64, lr: f64) -> f64 {
        let (norm, factor) = clip(gradients, scale, self.options.max_grad_norm);
        let Some(factor) = factor else { return norm };
        self.step += 1;
        let options = &self.options;
        let params = &mut params[self.first..];
        for run in &mut self.runs {
            let step = adamw::Step {
                learning_rate: lr as f32,
                beta1: options.beta1 as f32,
                beta2: options.beta2 as f32,
                epsilon: options.epsilon as f32,
                weight_decay: if run.decays {
                    options.weight_decay as f32
                } else {
                    0.0
                },
                bias_correction1: (1.0 - options.beta1.powi(self.step as i32)) as f32,
                bias_correction2: (1.0 - options.beta2.powi(self.step as i32)) as f32,
                gradient_scale: factor as f32,
            };
            let range = run.range.clone();
            adamw::update(
                &mut params[range.clone()],
                &gradients.values[range.clone()],
                &mut self.m[range.clone()],
                &mut self.v[range],
                &mut run.awake,
                step,
            );
        }
        norm
    }
}
