//! Adafactor over the trainable tail of a model (Shazeer and Stern 2018), with the learning rate
//! given, as the Hugging Face `Trainer` sets transformers' `Adafactor`: no momentum, no
//! scale by the parameters.

use super::{Parts, Restored, clip};
use crate::kernels::adafactor;
use crate::params::Layout;
use crate::tape::Gradients;
use std::ops::Range;

/// Rates of Adafactor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdafactorOptions {
    /// The second moments decay by `1 - t^-rate` at step `t`.
    pub decay_rate: f64,
    /// Added to the squares of the gradient.
    pub epsilon: f64,
    /// The root mean square that the update of one tensor has at most, before the learning rate.
    pub clip_threshold: f64,
    /// Decoupled weight decay of matrices; biases and norms have none.
    pub weight_decay: f64,
    /// Gradients are scaled down to this norm; infinite for no clipping.
    pub max_grad_norm: f64,
}

impl Default for AdafactorOptions {
    /// Those of the paper and of transformers, no decay.
    fn default() -> Self {
        AdafactorOptions {
            decay_rate: 0.8,
            epsilon: 1e-30,
            clip_threshold: 1.0,
            weight_decay: 0.0,
            max_grad_norm: 1.0,
        }
    }
}

/// The name of the second moments in a saved state.
const MOMENTS: &str = "factored";

/// The optimiser's state: one number a row and one a column of each matrix, one an entry of
/// each vector.
#[derive(Debug)]
pub struct Adafactor {
    options: AdafactorOptions,
    first: usize,
    step: u64,
    moments: Vec<f32>,
    tensors: Vec<Tensor>,
}

#[derive(Debug)]
struct Tensor {
    /// Relative to the first trainable parameter.
    range: Range<usize>,
    /// Rows and columns; `None` for a vector, whose moments are not factored.
    shape: Option<(usize, usize)>,
    /// Where its moments begin.
    place: usize,
}

impl Tensor {
    fn moments(&self) -> usize {
        self.shape
            .map_or(self.range.len(), |(rows, cols)| rows + cols)
    }
}

impl Adafactor {
    /// State for the parameters of `layout` from `first` on.
    pub fn new(layout: &Layout, first: usize, options: AdafactorOptions) -> Self {
        let (mut tensors, mut place) = (Vec::new(), 0);
        for (_, entry) in layout.entries() {
            let Some(start) = entry.param.offset.checked_sub(first) else {
                continue;
            };
            let tensor = Tensor {
                range: start..start + entry.param.len(),
                shape: entry
                    .decays()
                    .then_some((entry.param.rows, entry.param.cols)),
                place,
            };
            place += tensor.moments();
            tensors.push(tensor);
        }
        Adafactor {
            options,
            first,
            step: 0,
            moments: vec![0.0; place],
            tensors,
        }
    }

    /// As [`AdamW::step`](super::AdamW::step).
    pub fn step(&mut self, params: &mut [f32], gradients: &Gradients, scale: f64, lr: f64) -> f64 {
        let (norm, factor) = clip(gradients, scale, self.options.max_grad_norm);
        let Some(factor) = factor else { return norm };
        self.step += 1;
        let options = &self.options;
        let params = &mut params[self.first..];
        let step = adafactor::Step {
            learning_rate: lr as f32,
            beta2: (1.0 - (self.step as f64).powf(-options.decay_rate)) as f32,
            epsilon: options.epsilon as f32,
            clip_threshold: options.clip_threshold as f32,
            weight_decay: options.weight_decay as f32,
            gradient_scale: factor as f32,
        };
        for tensor in &self.tensors {
            let moments = &mut self.moments[tensor.place..][..tensor.moments()];
            let p = &mut params[tensor.range.clone()];
            let g = &gradients.values[tensor.range.clone()];
            match tensor.shape {
                Some((rows, _)) => {
                    adafactor::update_matrix(p, g, moments.split_at_mut(rows), step);
                }
                None => {
                    let weight_decay = 0.0;
                    let step = adafactor::Step {
                        weight_decay,
                        ..step
                    };
                    adafactor::update_vector(p, g, moments, step);
                }
            }
        }
        norm
    }

    pub(super) fn parts(&self) -> Parts<'_> {
        Parts {
            steps: self.step,
            arrays: vec![(MOMENTS, &self.moments)],
            awake: Vec::new(),
        }
    }

    pub(super) fn restore(&mut self, state: &Restored<'_>) -> bool {
        let fits = state.awake.is_empty() && state.copy_to(&mut [(MOMENTS, &mut self.moments)]);
        if fits {
            self.step = state.steps;
        }
        fits
    }
}
