//! Weighted average: `theta(w) = sum_i w_i theta_i`.
//!
//! The method behind all the others here. It is bound by memory: for n members it reads n numbers
//! and writes one for each parameter. The output is worked on in blocks that stay in the
//! cache while the members stream by.
//!
//! [`MemberSet::fuse_into`](crate::MemberSet::fuse_into) applies it to whole models, in parallel;
//! [`Linear`] is the method for recipes, "model soups" of Wortsman et al. (ICML 2022, arXiv
//! 2203.05482) where the weights are equal.

use multiversion::multiversion;

use super::common::declare::{WEIGHT, flag};
use super::common::kernels;
use crate::error::{FuseError, Result};
use crate::method::{Base, Block, Fuser, Inputs, Method, MethodSpec, Params};

/// The weighted average, or the weighted sum with `normalize: false`.
///
/// Weights are rounded to `f32`, negative ones too; the sum runs in the models' order and is
/// divided by the sum of the weights. A NaN stays in its element. A single model is copied when
/// its weight is normalised.
pub struct Linear;

static SPEC: MethodSpec = MethodSpec {
    name: "linear",
    summary: "weighted average of the models",
    paper: "Wortsman et al., Model soups, ICML 2022, arXiv 2203.05482",
    base: Base::Unused,
    models: (1, usize::MAX),
    params: &[
        WEIGHT,
        flag("normalize", "divide by the sum of the weights", true),
    ],
};

impl Method for Linear {
    fn spec(&self) -> &'static MethodSpec {
        &SPEC
    }

    /// # Errors
    /// [`FuseError::ZeroWeights`] if they are to be normalised; those of [`Inputs::check`].
    fn prepare<'a>(
        &self,
        inputs: &Inputs<'a>,
        params: &Params,
        _seed: u64,
    ) -> Result<Box<dyn Fuser + 'a>> {
        inputs.check(&SPEC)?;
        let mut weights: Vec<f32> = params.numbers("weight").iter().map(|w| *w as f32).collect();
        let mut divisor = 1.0;
        if params.flag("normalize") {
            divisor = weights.iter().map(|w| f64::from(*w)).sum::<f64>() as f32;
            if divisor == 0.0 {
                return Err(FuseError::ZeroWeights {
                    tensor: inputs.name.to_owned(),
                });
            }
            if let [weight] = &mut weights[..] {
                (*weight, divisor) = (1.0, 1.0);
            }
        }
        Ok(Box::new(WeightedSum { weights, divisor }))
    }
}

struct WeightedSum {
    weights: Vec<f32>,
    divisor: f32,
}

impl Fuser for WeightedSum {
    fn fuse(&self, block: &Block<'_>, out: &mut [f32]) {
        let weights = self.weights.iter().copied();
        let inputs: Vec<(f32, &[f32])> = weights.zip(block.models.iter().copied()).collect();
        // In parts that stay in the cache until they are divided.
        for (i, out) in out.chunks_mut(BLOCK).enumerate() {
            let start = i * BLOCK;
            let parts: Vec<(f32, &[f32])> = inputs
                .iter()
                .map(|(w, x)| (*w, &x[start..start + out.len()]))
                .collect();
            weighted_sum(&parts, out);
            if self.divisor != 1.0 {
                kernels::divide(self.divisor, out);
            }
        }
    }
}

/// The block of the output that stays in the second-level cache (128 KiB) while the members
/// stream by. Shorter ones are slower, although they would fit the first-level cache: each stream
/// is then left after a few pages, and the processor's prefetching starts anew (8 KiB blocks ran
/// at half the speed).
const BLOCK: usize = 1 << 15;

/// Writes `sum_i w_i x_i` to `out`, for inputs `(w_i, x_i)` as long as `out`.
///
/// Each element is `((w_1 x_1) + w_2 x_2) + ...`, every operation rounded to `f32`, without fused
/// multiply-add: the same bits on every machine. A single input of weight one is copied byte for
/// byte, NaNs included; without inputs, `out` is set to zero.
///
/// # Panics
/// If an input is shorter than `out`.
pub fn weighted_sum(inputs: &[(f32, &[f32])], out: &mut [f32]) {
    let (first, rest) = match inputs {
        [] => return out.fill(0.0),
        [(weight, x)] if *weight == 1.0 => return out.copy_from_slice(&x[..out.len()]),
        [first, rest @ ..] => (first, rest),
    };
    add_up(*first, rest, out);
}

// Compiled once for each instruction set; the arithmetic is the same in all of them.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
fn add_up(first: (f32, &[f32]), rest: &[(f32, &[f32])], out: &mut [f32]) {
    let mut start = 0;
    for block in out.chunks_mut(BLOCK) {
        let end = start + block.len();
        scale(first.0, &first.1[start..end], block);
        // Four members at a time, so that the block is loaded and stored less often.
        for group in rest.chunks(4) {
            add_group(group, start, block);
        }
        start = end;
    }
}

#[inline(always)]
fn scale(w: f32, x: &[f32], out: &mut [f32]) {
    for (o, x) in out.iter_mut().zip(x) {
        *o = w * x;
    }
}

#[inline(always)]
fn add_group(group: &[(f32, &[f32])], start: usize, out: &mut [f32]) {
    let end = start + out.len();
    match *group {
        [(wa, a), (wb, b), (wc, c), (wd, d)] => {
            let (a, b) = (&a[start..end], &b[start..end]);
            let (c, d) = (&c[start..end], &d[start..end]);
            for ((((o, a), b), c), d) in out.iter_mut().zip(a).zip(b).zip(c).zip(d) {
                *o = *o + wa * a + wb * b + wc * c + wd * d;
            }
        }
        _ => {
            for &(w, x) in group {
                for (o, x) in out.iter_mut().zip(&x[start..end]) {
                    *o += w * x;
                }
            }
        }
    }
}
