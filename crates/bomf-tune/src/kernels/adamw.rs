//! One AdamW step (Loshchilov and Hutter 2019, algorithm 2).
//!
//! Of a table of word embeddings, most rows never see a gradient: the words are not
//! in the data. While a row's gradients have all been zero its moments are zero too,
//! and the step
//!
//! ```text
//! m ← β₁ m + (1 - β₁) g,  v ← β₂ v + (1 - β₂) g²,  p ← (1 - η λ) p - η m̂ / (√v̂ + ε)
//! ```
//!
//! leaves `p ← (1 - η λ) p`, with the same rounding. So a unit of parameters is
//! *awake* from its first gradient on that is not zero; the moments of those that are
//! not are neither read nor written.

use super::BLOCK;
use rayon::prelude::*;

/// Parameters that wake together. It divides the widths of common encoders (384, 768,
/// 1024), so that a unit lies within one row.
pub const UNIT: usize = 128;

const _: () = assert!(BLOCK.is_multiple_of(UNIT));

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
fn update_block(
    p: &mut [f32],
    g: &[f32],
    m: &mut [f32],
    v: &mut [f32],
    awake: &mut [bool],
    step: Step,
) {
    let step_size = step.learning_rate / step.bias_correction1;
    let inv_root = 1.0 / step.bias_correction2.sqrt();
    let keep = 1.0 - step.learning_rate * step.weight_decay;
    let units = p.chunks_mut(UNIT).zip(g.chunks(UNIT));
    let moments = m.chunks_mut(UNIT).zip(v.chunks_mut(UNIT));
    for (((p, g), (m, v)), awake) in units.zip(moments).zip(awake) {
        // Without a branch an entry, so that it is vectorised. NaN is not zero.
        *awake = *awake || g.iter().fold(0, |any, g| any | (g.to_bits() << 1)) != 0;
        if !*awake {
            if keep != 1.0 {
                p.iter_mut().for_each(|p| *p *= keep);
            }
            continue;
        }
        for (((p, &g), m), v) in p.iter_mut().zip(g).zip(m).zip(v) {
            let g = g * step.gradient_scale;
            *m = step.beta1.mul_add(*m - g, g);
            *v = step.beta2.mul_add(*v, (1.0 - step.beta2) * g * g);
            let denominator = v.sqrt().mul_add(inv_root, step.epsilon);
            *p = keep.mul_add(*p, -step_size * *m / denominator);
        }
    }
}

/// Updates parameters `p` and moments `m`, `v` with gradient `g`, all of one length.
///
/// `awake` has one entry a [`UNIT`] of them, all `false` before the first step, when
/// the moments are zero.
pub fn update(
    p: &mut [f32],
    g: &[f32],
    m: &mut [f32],
    v: &mut [f32],
    awake: &mut [bool],
    step: Step,
) {
    p.par_chunks_mut(BLOCK)
        .zip(g.par_chunks(BLOCK))
        .zip(m.par_chunks_mut(BLOCK))
        .zip(v.par_chunks_mut(BLOCK))
        .zip(awake.par_chunks_mut(BLOCK / UNIT))
        .for_each(|((((p, g), m), v), awake)| update_block(p, g, m, v, awake, step));
}
