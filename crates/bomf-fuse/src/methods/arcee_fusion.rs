//! The base model, with the elements of another where it matters most.
//!
//! An element's importance is `|b_j - a_j| KL(softmax(b) || softmax(a))`, with the divergence over
//! its row (along the last axis), a of the base model and b of the other. Elements of an importance
//! of at least `median + 1.5 (q_3 - q_1)` are taken over, with the tensor's quartiles of the
//! importance. After Arcee's method (arcee.ai) as mergekit has it.
//!
//! Which elements lie beyond the bound is decided by the divergence, a sum of terms of both signs
//! that nearly cancel: for models that differ by a tenth, mergekit's sum in `f32` is off by 2 % of
//! it (in a row of 1000), and 0.7 % of the elements fall on the other side of the bound than with
//! the sum in `f64` here. (mergekit also takes the quartiles of a random sample where there are more
//! than a million elements, which moves 0.02 %; they are exact here.)

use super::common::kernels;
use super::common::pieces::{Buffers, PIECE};
use super::common::rows::{PerRow, Statistic};
use super::common::select::{self, Keys, Wanted};
use crate::error::Result;
use crate::method::{Base, Block, Fuser, Inputs, Method, MethodSpec, Params};

/// Added to probabilities. As in mergekit.
const EPS: f64 = 1e-8;

/// Quartiles lie this many interquartile ranges below the bound.
const RANGES: f32 = 1.5;

/// Elements of outlying importance from the other model, all others from the base.
///
/// A row with a NaN in it keeps the base, and the NaN.
pub struct ArceeFusion;

static SPEC: MethodSpec = MethodSpec {
    name: "arcee_fusion",
    summary: "the base model with the most important differences of another",
    paper: "",
    base: Base::Required,
    models: (1, 1),
    params: &[],
};

impl Method for ArceeFusion {
    fn spec(&self) -> &'static MethodSpec {
        &SPEC
    }

    fn prepare<'a>(
        &self,
        inputs: &Inputs<'a>,
        _params: &Params,
        _seed: u64,
    ) -> Result<Box<dyn Fuser + 'a>> {
        inputs.check(&SPEC)?;
        let row = inputs.shape.last().copied().unwrap_or(1);
        let importance = Importance(PerRow::new(inputs, row, Divergence));
        let threshold = threshold(inputs, &importance);
        Ok(Box::new(TakeOver {
            importance,
            threshold,
        }))
    }
}

fn threshold(inputs: &Inputs<'_>, importance: &Importance<'_>) -> f32 {
    let len = inputs.len();
    if len == 0 {
        return 0.0;
    }
    let wanted = [0.25, 0.5, 0.75].map(|q| Wanted {
        stream: 0,
        // Quantiles count from the smallest on, from zero.
        count: len - (q * (len - 1) as f64) as usize,
    });
    let keys = select::keys_at(inputs, importance, &wanted);
    let [q1, median, q3] = [keys[0], keys[1], keys[2]].map(value_of);
    median + RANGES * (q3 - q1)
}

/// Bits in the order of the numbers.
fn key_of(x: f32) -> u32 {
    let bits = x.to_bits();
    bits ^ ((bits as i32 >> 31) as u32 | 1 << 31)
}

/// The number of a key.
fn value_of(key: u32) -> f32 {
    let sign = !(key as i32 >> 31) as u32 | 1 << 31;
    f32::from_bits(key ^ sign)
}

struct Importance<'a>(PerRow<'a, Divergence>);

impl Importance<'_> {
    /// Of the block's elements from `offset` on.
    fn write(&self, block: &Block<'_>, offset: usize, out: &mut [f32]) {
        let part = offset..offset + out.len();
        let models = [&block.models[0][part.clone()]];
        let base = &block.base.unwrap_or_default()[part];
        kernels::differences(models[0], base, out);
        let part = Block {
            start: block.start + offset,
            models: &models,
            base: Some(base),
        };
        self.0.for_rows(&part, |range, divergence| {
            for out in &mut out[range] {
                *out = out.abs() * divergence;
            }
        });
    }
}

impl Keys for Importance<'_> {
    fn write(&self, _stream: usize, block: &Block<'_>, offset: usize, keys: &mut [u32]) {
        let mut importance = [0.0; select::RUN];
        let importance = &mut importance[..keys.len()];
        self.write(block, offset, importance);
        for (key, importance) in keys.iter_mut().zip(importance) {
            *key = key_of(*importance);
        }
    }
}

struct TakeOver<'a> {
    importance: Importance<'a>,
    threshold: f32,
}

impl Fuser for TakeOver<'_> {
    fn fuse(&self, block: &Block<'_>, out: &mut [f32]) {
        self.importance.write(block, 0, out);
        let base = block.base.unwrap_or_default();
        let inputs = block.models[0].iter().zip(base);
        for (out, (model, base)) in out.iter_mut().zip(inputs) {
            let taken = if *out >= self.threshold { 1.0 } else { 0.0 };
            *out = base + (model - base) * taken;
        }
    }
}

/// The divergence of a row's softmax from the base's.
struct Divergence;

impl Statistic for Divergence {
    type Value = f32;

    fn of(&self, row: &Block<'_>) -> f32 {
        divergence(|visit| visit(row))
    }

    fn of_long(&self, row: &Inputs<'_>) -> f32 {
        let mut buffers = Buffers::default();
        divergence(|visit| {
            for start in (0..row.len()).step_by(PIECE) {
                let len = PIECE.min(row.len() - start);
                buffers.with_block(row, start, len, &mut *visit);
            }
        })
    }
}

/// In three passes over the row, of which `each_part` makes one: maxima, sums, divergence.
fn divergence(mut each_part: impl FnMut(&mut dyn FnMut(&Block<'_>))) -> f32 {
    let greatest = |x: &[f32]| x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let (mut max_b, mut max_a) = (f32::NEG_INFINITY, f32::NEG_INFINITY);
    each_part(&mut |part| {
        max_b = max_b.max(greatest(part.models[0]));
        max_a = max_a.max(greatest(part.base.unwrap_or_default()));
    });
    let exp = |x: f32, max: f32| libm::exp(f64::from(x) - f64::from(max));
    let (mut sum_b, mut sum_a) = (0.0, 0.0);
    each_part(&mut |part| {
        sum_b += part.models[0].iter().map(|x| exp(*x, max_b)).sum::<f64>();
        let base = part.base.unwrap_or_default();
        sum_a += base.iter().map(|x| exp(*x, max_a)).sum::<f64>();
    });
    let mut divergence = 0.0;
    each_part(&mut |part| {
        let pairs = part.models[0].iter().zip(part.base.unwrap_or_default());
        for (b, a) in pairs {
            let p = exp(*b, max_b) / sum_b + EPS;
            let q = exp(*a, max_a) / sum_a + EPS;
            divergence += p * libm::log(p / q);
        }
    });
    divergence as f32
}

#[cfg(test)]
mod tests {
    use super::{key_of, value_of};

    #[test]
    fn keys_are_in_the_order_of_numbers_and_lead_back() {
        let numbers = [
            f32::NEG_INFINITY,
            -2.5,
            -1e-40,
            -0.0,
            0.0,
            1e-40,
            1.0,
            f32::MAX,
        ];
        let keys = numbers.map(key_of);
        assert!(keys.is_sorted());
        for (x, key) in numbers.iter().zip(keys) {
            assert_eq!(value_of(key).to_bits(), x.to_bits());
        }
    }
}
