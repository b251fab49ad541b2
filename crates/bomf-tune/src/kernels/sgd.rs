//! One step of stochastic gradient descent, as `torch.optim.SGD` makes it:
//!
//! ```text
//! g ← g + λ p,   b ← μ b + g,   p ← p - η b        (Nesterov: p ← p - η (g + μ b))
//! ```
//!
//! The weight decay is coupled: it goes through the momentum. Dampening is 0.

use super::BLOCK;
use rayon::prelude::*;

/// The numbers of one step, the same for every parameter.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// Learning rate at this step.
    pub learning_rate: f32,
    /// What is kept of the last steps' direction.
    pub momentum: f32,
    /// Whether the gradient is added once more, beside the direction (Nesterov 1983).
    pub nesterov: bool,
    /// Coupled weight decay; 0 for biases and norms.
    pub weight_decay: f32,
    /// Factor on the gradient: clipping and accumulation.
    pub gradient_scale: f32,
}

#[multiversion::multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma",
    "x86_64+avx2+fma"
))]
fn update_block(p: &mut [f32], g: &[f32], b: &mut [f32], step: Step) {
    let again: f32 = if step.nesterov { 1.0 } else { 0.0 };
    let kept = if step.nesterov { step.momentum } else { 1.0 };
    for ((p, &g), b) in p.iter_mut().zip(g).zip(b) {
        let g = step.weight_decay.mul_add(*p, g * step.gradient_scale);
        *b = step.momentum.mul_add(*b, g);
        *p -= step.learning_rate * again.mul_add(g, kept * *b);
    }
}

#[multiversion::multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma",
    "x86_64+avx2+fma"
))]
fn plain_block(p: &mut [f32], g: &[f32], step: Step) {
    for (p, &g) in p.iter_mut().zip(g) {
        let g = step.weight_decay.mul_add(*p, g * step.gradient_scale);
        *p -= step.learning_rate * g;
    }
}

/// Updates parameters `p` and directions `b` with gradient `g`, all of one length; `b` is empty
/// where there is no momentum, and zero before the first step.
pub fn update(p: &mut [f32], g: &[f32], b: &mut [f32], step: Step) {
    let pieces = p.par_chunks_mut(BLOCK).zip(g.par_chunks(BLOCK));
    if b.is_empty() {
        pieces.for_each(|(p, g)| plain_block(p, g, step));
    } else {
        pieces
            .zip(b.par_chunks_mut(BLOCK))
            .for_each(|((p, g), b)| update_block(p, g, b, step));
    }
}
