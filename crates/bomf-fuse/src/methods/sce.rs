//! Select, calculate, erase: task vectors where models differ most, weighted by their energy.
//!
//! With `d_i = x_i - b`: *select* the share `select_topk` of the elements (of those that are not
//! alike in all models) with the greatest variance over the models; *calculate* each model's weight,
//! its share of the sum of squares of what was selected; *erase*, element by element, the models
//! whose sign is not that of the sum. The rest is averaged by the weights and added to the base.
//! Wan et al., "FuseChat: knowledge fusion of chat models", arXiv 2408.07990.

use multiversion::multiversion;

use super::common::declare::{INT8_MASK, number};
use super::common::pieces::{self, PIECE};
use super::common::select::{self, Cut, Keys, Wanted};
use super::common::{consensus, kernels};
use crate::error::Result;
use crate::method::{Base, Block, Fuser, Inputs, Method, MethodSpec, Params, Scope};

/// Where mean squares sum to less than this, all models weigh alike. As in mergekit.
const NO_ENERGY: f64 = 1e-6;

/// Weights that sum to less count as this much. As in mergekit.
const LEAST_WEIGHT: f32 = 1e-6;

/// Elements at a time, as in selection.
const RUN: usize = select::RUN;

/// Selected, weighted and sign-consistent task vectors.
///
/// Of equal variances, the elements of the lowest numbers are selected. A NaN has the greatest
/// variance, and makes its model's weight and so the whole tensor NaN.
pub struct Sce;

static SPEC: MethodSpec = MethodSpec {
    name: "sce",
    summary: "task vectors where models differ most, weighted by their energy, where signs agree",
    paper: "Wan et al., FuseChat, arXiv 2408.07990",
    base: Base::Required,
    models: (1, usize::MAX),
    params: &[
        number(
            "select_topk",
            "the share of elements, of the greatest variance, that is kept",
            Scope::Method,
            (0.0, 1.0),
            Some(1.0),
        ),
        INT8_MASK,
    ],
};

impl Method for Sce {
    fn spec(&self) -> &'static MethodSpec {
        &SPEC
    }

    fn prepare<'a>(
        &self,
        inputs: &Inputs<'a>,
        params: &Params,
        _seed: u64,
    ) -> Result<Box<dyn Fuser + 'a>> {
        inputs.check(&SPEC)?;
        let share = params.number("select_topk");
        let selected = (share < 1.0).then(|| select(inputs, share));
        let weights = weights(inputs, selected);
        Ok(Box::new(Agreeing { selected, weights }))
    }
}

fn select(inputs: &Inputs<'_>, share: f64) -> Cut {
    let differing: usize = pieces::count(
        inputs,
        || 0,
        |count: &mut usize, block| {
            let mut keys = [0; RUN];
            for offset in (0..block.len()).step_by(RUN) {
                let keys = &mut keys[..RUN.min(block.len() - offset)];
                Variances.write(0, block, offset, keys);
                *count += keys.iter().filter(|key| **key != 0).count();
            }
        },
    )
    .into_iter()
    .sum();
    let wanted = Wanted {
        stream: 0,
        count: (share * differing as f64) as usize,
    };
    select::cuts(inputs, &Variances, &[wanted])[0]
}

/// The models' shares of the sum of squares.
fn weights(inputs: &Inputs<'_>, selected: Option<Cut>) -> Vec<f32> {
    let n = inputs.models.len();
    let squares = pieces::sum(inputs, PIECE, vec![0.0; n], |block| {
        let mut sums = vec![0.0; n];
        let mut run = Run::new(n);
        for offset in (0..block.len()).step_by(RUN) {
            let len = RUN.min(block.len() - offset);
            run.load(block, offset, len, selected);
            for (sum, d) in sums.iter_mut().zip(run.task_vectors(len)) {
                *sum += kernels::sum_of_squares(d);
            }
        }
        sums
    });
    let len = inputs.len().max(1) as f64;
    let total: f64 = squares.iter().sum();
    if total / len < NO_ENERGY {
        return vec![(1.0 / n as f64) as f32; n];
    }
    squares.iter().map(|s| (s / total) as f32).collect()
}

/// The variance over the models, as the bits of an `f32`.
struct Variances;

impl Keys for Variances {
    fn write(&self, _stream: usize, block: &Block<'_>, offset: usize, keys: &mut [u32]) {
        let part = offset..offset + keys.len();
        let base = &block.base.unwrap_or_default()[part.clone()];
        let (mut mean, mut sum) = ([0.0f64; RUN], [0.0f64; RUN]);
        let n = block.models.len() as f64;
        for model in block.models {
            add_difference(&model[part.clone()], base, &mut mean);
        }
        for mean in &mut mean[..keys.len()] {
            *mean /= n;
        }
        for model in block.models {
            add_deviation(&model[part.clone()], base, &mean, &mut sum);
        }
        for (key, sum) in keys.iter_mut().zip(sum) {
            *key = ((sum / n) as f32).abs().to_bits();
        }
    }
}

#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
fn add_difference(x: &[f32], base: &[f32], sum: &mut [f64; RUN]) {
    for ((sum, x), base) in sum.iter_mut().zip(x).zip(base) {
        *sum += f64::from(x - base);
    }
}

#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
fn add_deviation(x: &[f32], base: &[f32], mean: &[f64; RUN], sum: &mut [f64; RUN]) {
    for (((sum, mean), x), base) in sum.iter_mut().zip(mean).zip(x).zip(base) {
        let deviation = f64::from(x - base) - mean;
        *sum += deviation * deviation;
    }
}

/// The task vectors of a run of elements, zero where they are not selected.
struct Run {
    d: Vec<f32>,
    keys: [u32; RUN],
}

impl Run {
    fn new(models: usize) -> Self {
        Self {
            d: vec![0.0; models * RUN],
            keys: [0; RUN],
        }
    }

    fn load(&mut self, block: &Block<'_>, offset: usize, len: usize, selected: Option<Cut>) {
        let part = offset..offset + len;
        let base = &block.base.unwrap_or_default()[part.clone()];
        for (d, model) in self.d.chunks_exact_mut(RUN).zip(block.models) {
            kernels::differences(&model[part.clone()], base, &mut d[..len]);
        }
        let Some(cut) = selected else { return };
        Variances.write(0, block, offset, &mut self.keys[..len]);
        let start = block.start + offset;
        let mut at = 0;
        while at < len {
            let (least, end) = cut.least(start + at);
            let end = end.saturating_sub(start).min(len);
            for d in self.d.chunks_exact_mut(RUN) {
                kernels::keep_keyed(&self.keys[at..end], least, &mut d[at..end]);
            }
            at = end;
        }
    }

    fn task_vectors(&self, len: usize) -> impl Iterator<Item = &[f32]> {
        self.d.chunks_exact(RUN).map(move |d| &d[..len])
    }
}

struct Agreeing {
    selected: Option<Cut>,
    weights: Vec<f32>,
}

impl Fuser for Agreeing {
    fn fuse(&self, block: &Block<'_>, out: &mut [f32]) {
        let mut run = Run::new(self.weights.len());
        let (mut total, mut divisor) = ([0.0f32; RUN], [0.0f32; RUN]);
        let base = block.base.unwrap_or_default();
        for (i, out) in out.chunks_mut(RUN).enumerate() {
            let (offset, len) = (i * RUN, out.len());
            let (total, divisor) = (&mut total[..len], &mut divisor[..len]);
            run.load(block, offset, len, self.selected);
            total.fill(0.0);
            divisor.fill(0.0);
            out.fill(0.0);
            for d in run.task_vectors(len) {
                kernels::add(d, total);
            }
            for (weight, d) in self.weights.iter().zip(run.d.chunks_exact_mut(RUN)) {
                let d = &mut d[..len];
                kernels::scale(*weight, d);
                consensus::add_agreeing(*weight, d, total, out, divisor);
            }
            for divisor in &mut *divisor {
                *divisor = divisor.max(LEAST_WEIGHT);
            }
            consensus::divide(divisor, out);
            consensus::apply(1.0, &base[offset..offset + len], out);
        }
    }
}
