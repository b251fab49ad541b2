//! Weighted average: `theta(w) = sum_i w_i theta_i`.
//!
//! The method behind all the others here. It is bound by memory: for n members it reads n numbers
//! and writes one for each parameter. The output is worked on in blocks that stay in the
//! cache while the members stream by.
//!
//! [`MemberSet::fuse_into`](crate::MemberSet::fuse_into) applies it to whole models, in parallel;
//! [`Linear`] is the method for recipes, "model soups" of Wortsman et al. (ICML 2022, arXiv
//! 2203.05482) where the weights are equal.

use super::common::declare::{WEIGHT, flag};
use super::common::kernels;
use crate::error::{FuseError, Result};
use crate::method::{Base, Block, Fuser, Inputs, Method, MethodSpec, Params};
use crate::stream::Stream;
use crate::sum::{self, BLOCK};

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

    fn is_wide(&self) -> bool {
        true
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
        let weights = params.numbers("weight");
        if params.flag("normalize") {
            return Ok(Box::new(average(inputs, &weights)?));
        }
        Ok(Box::new(WeightedSum::new(&weights, 1.0, 1.0)))
    }
}

/// The average of the models by these weights.
///
/// # Errors
/// [`FuseError::ZeroWeights`].
pub(super) fn average(inputs: &Inputs<'_>, weights: &[f64]) -> Result<WeightedSum> {
    let divisor = weights.iter().map(|w| f64::from(*w as f32)).sum::<f64>() as f32;
    if divisor == 0.0 {
        return Err(FuseError::ZeroWeights {
            tensor: inputs.name.to_owned(),
        });
    }
    Ok(match weights {
        [_] => WeightedSum::new(&[1.0], 1.0, 1.0),
        _ => WeightedSum::new(weights, divisor, weights.iter().sum()),
    })
}

pub(super) struct WeightedSum {
    weights: Vec<f32>,
    divisor: f32,
    /// The same, not rounded to `f32`.
    wide: (Vec<f64>, f64),
}

impl WeightedSum {
    fn new(weights: &[f64], divisor: f32, wide: f64) -> Self {
        Self {
            weights: weights.iter().map(|w| *w as f32).collect(),
            divisor,
            wide: (weights.to_vec(), wide),
        }
    }
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

    fn fuse_wide(&self, models: &[&[f64]], out: &mut [f64]) -> bool {
        let (weights, divisor) = &self.wide;
        out.fill(0.0);
        for (weight, x) in weights.iter().zip(models) {
            for (out, x) in out.iter_mut().zip(*x) {
                *out += weight * x;
            }
        }
        if *divisor != 1.0 {
            out.iter_mut().for_each(|out| *out /= divisor);
        }
        true
    }
}

/// Writes `sum_i w_i x_i` to `out`, for inputs `(w_i, x_i)` as long as `out`.
///
/// Each element is `((w_1 x_1) + w_2 x_2) + ...`, every operation rounded to `f32`, without fused
/// multiply-add: the same bits on every machine. A single input of weight one is copied byte for
/// byte, NaNs included; without inputs, `out` is set to zero.
///
/// # Panics
/// If an input is shorter than `out`.
pub fn weighted_sum(inputs: &[(f32, &[f32])], out: &mut [f32]) {
    let terms = inputs.iter().map(|(w, x)| (*w, Stream::Plain(x)));
    let inputs: Vec<_> = terms.collect();
    sum::weighted_sum(&inputs, out);
}
