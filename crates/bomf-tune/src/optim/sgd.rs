//! Stochastic gradient descent over the trainable tail of a model, with momentum (Polyak 1964;
//! Sutskever et al. 2013), as `torch.optim.SGD` has it.

use super::{Parts, Restored, clip};
use crate::kernels::sgd;
use crate::params::Layout;
use crate::tape::Gradients;
use std::ops::Range;

/// Rates of stochastic gradient descent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SgdOptions {
    /// What is kept of the last steps' direction, from 0 to below 1; 0 keeps none.
    pub momentum: f64,
    /// Whether the momentum is Nesterov's.
    pub nesterov: bool,
    /// Weight decay of matrices, *coupled*: added to the gradient, as in torch, so that it goes
    /// through the momentum; biases and norms have none.
    pub weight_decay: f64,
    /// Gradients are scaled down to this norm; infinite for no clipping.
    pub max_grad_norm: f64,
}

impl Default for SgdOptions {
    /// The momentum of most papers, no decay.
    fn default() -> Self {
        SgdOptions {
            momentum: 0.9,
            nesterov: false,
            weight_decay: 0.0,
            max_grad_norm: 1.0,
        }
    }
}

/// The name of the directions in a saved state.
const MOMENTUM: &str = "momentum";

/// The optimiser's state: one number a parameter, or none without momentum.
#[derive(Debug)]
pub struct Sgd {
    options: SgdOptions,
    first: usize,
    step: u64,
    directions: Vec<f32>,
    /// Neighbours that share whether they decay, relative to the first trainable parameter.
    runs: Vec<(Range<usize>, bool)>,
}

impl Sgd {
    /// State for the parameters of `layout` from `first` on.
    pub fn new(layout: &Layout, first: usize, options: SgdOptions) -> Self {
        let len = match options.momentum == 0.0 {
            true => 0,
            false => layout.len() - first,
        };
        Sgd {
            options,
            first,
            step: 0,
            directions: vec![0.0; len],
            runs: super::runs(layout, first),
        }
    }

    /// As [`AdamW::step`](super::AdamW::step).
    pub fn step(&mut self, params: &mut [f32], gradients: &Gradients, scale: f64, lr: f64) -> f64 {
        let (norm, factor) = clip(gradients, scale, self.options.max_grad_norm);
        let Some(factor) = factor else { return norm };
        self.step += 1;
        let options = &self.options;
        let params = &mut params[self.first..];
        for (range, decays) in &self.runs {
            let step = sgd::Step {
                learning_rate: lr as f32,
                momentum: options.momentum as f32,
                nesterov: options.nesterov,
                weight_decay: if *decays { options.weight_decay } else { 0.0 } as f32,
                gradient_scale: factor as f32,
            };
            let directions = self.directions.get_mut(range.clone()).unwrap_or_default();
            let gradients = &gradients.values[range.clone()];
            sgd::update(&mut params[range.clone()], gradients, directions, step);
        }
        norm
    }

    pub(super) fn parts(&self) -> Parts<'_> {
        let directions = Some((MOMENTUM, &*self.directions));
        Parts {
            steps: self.step,
            arrays: directions
                .filter(|(_, d)| !d.is_empty())
                .into_iter()
                .collect(),
            awake: Vec::new(),
        }
    }

    pub(super) fn restore(&mut self, state: &Restored<'_>) -> bool {
        let mut own: Vec<(&str, &mut [f32])> = Vec::new();
        if !self.directions.is_empty() {
            own.push((MOMENTUM, &mut self.directions));
        }
        let fits = state.awake.is_empty() && state.copy_to(&mut own);
        if fits {
            self.step = state.steps;
        }
        fits
    }
}
