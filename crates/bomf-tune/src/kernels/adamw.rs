//! One AdamW step (Loshchilov and Hutter 2019, algorithm 2).

use super::BLOCK;
use rayon::prelude::*;

/// The numbers of one step, the same for every parameter.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// Learning rate at this step.
    pub learning_rate: f32,
    /// Decay rate of the first moment.
    pub beta1: f32,
    /// Decay rate of the second moment.
    pub beta2: f32,
    /// Added to the root of the second moment.
    pub epsilon: f32,
    /// Decoupled weight decay; 0 for biases and norms.
    pub weight_decay: f32,
    /// `1 - beta1^t`, with `t` from 1.
    pub bias_correction1: f32,
    /// `1 - beta2^t`
    pub bias_correction2: f32,
    /// Factor on the gradient: clipping and accumulation.
    pub gradient_scale: f32,
}

#[multiversion::multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma",
    "x86_64+avx2+fma"
))]
fn update_block(p: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32], step: Step) {
    let step_size = step.learning_rate / step.bias_correction1;
    let inv_root = 1.0 / step.bias_correction2.sqrt();
    let keep = 1.0 - step.learning_rate * step.weight_decay;
    for (((p, &g), m), v) in p.iter_mut().zip(g).zip(m).zip(v) {
        let g = g * step.gradient_scale;
        *m = step.beta1.mul_add(*m - g, g);
        *v = step.beta2.mul_add(*v, (1.0 - step.beta2) * g * g);
        let denominator = v.sqrt().mul_add(inv_root, step.epsilon);
        *p = keep.mul_add(*p, -step_size * *m / denominator);
    }
}

/// Updates parameters `p` and moments `m`, `v` with gradient `g`, all of one length.
pub fn update(p: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32], step: Step) {
    p.par_chunks_mut(BLOCK)
        .zip(g.par_chunks(BLOCK))
        .zip(m.par_chunks_mut(BLOCK))
        .zip(v.par_chunks_mut(BLOCK))
        .for_each(|(((p, g), m), v)| update_block(p, g, m, v, step));
}
