//! Model stock: how far to go from the base model to the average of models fine-tuned from it.
//!
//! Fine-tuned models lie about equally far from their centre and at equal angles theta as seen
//! from the base. The point nearest to the centre on the line from the base `w_0` to the average
//! of n models is then
//!
//! ```text
//! t avg + (1 - t) w_0,   t = n cos(theta) / (1 + (n - 1) cos(theta))
//! ```
//!
//! Jang, Yun and Han, "Model Stock: all we need is just a few fine-tuned models", ECCV 2024, arXiv
//! 2403.19522. `cos(theta)` is the mean over all pairs of models.

use multiversion::multiversion;

use super::common::declare::flag;
use super::common::kernels;
use super::common::products::Products;
use super::common::rows::{PerRow, Statistic};
use crate::error::Result;
use crate::method::{Base, Block, Fuser, Inputs, Method, MethodSpec, Params};

/// A product of two norms counts as no smaller than this. As in mergekit.
const LEAST_NORMS: f64 = 1e-6;

/// Where `1 + (n - 1) cos(theta)` is as near to zero as this, the models cancel out and the base
/// model stays. As in mergekit.
const SINGULAR: f64 = 1e-6;

/// The average of the models, drawn back to the base by as much as they disagree.
///
/// With `filter_wise`, each row (along the last axis) has its own angle. A NaN anywhere makes the
/// tensor, or its row, NaN.
pub struct ModelStock;

static SPEC: MethodSpec = MethodSpec {
    name: "model_stock",
    summary: "the average, drawn to the base model by as much as the models disagree",
    paper: "Jang, Yun and Han, Model Stock, ECCV 2024, arXiv 2403.19522",
    base: Base::Required,
    models: (2, usize::MAX),
    params: &[flag(
        "filter_wise",
        "an angle for each row instead of one for the tensor",
        false,
    )],
};

impl Method for ModelStock {
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
        if params.flag("filter_wise") {
            let row = inputs.shape.last().copied().unwrap_or(1);
            return Ok(Box::new(ByRow(PerRow::new(inputs, row, Ratio))));
        }
        Ok(Box::new(Whole(Ratio.of_long(inputs))))
    }
}

/// `t`, from the differences from the base.
struct Ratio;

impl Statistic for Ratio {
    type Value = f32;

    fn of(&self, row: &Block<'_>) -> f32 {
        ratio(row.models.len(), &Products::of_slices(row.models, row.base))
    }

    fn of_long(&self, row: &Inputs<'_>) -> f32 {
        ratio(row.models.len(), &Products::of(&row.models, row.base))
    }
}

fn ratio(n: usize, products: &Products) -> f32 {
    let mut cosines = 0.0;
    for j in 0..n {
        for i in 0..j {
            let norms = products.norm(i) * products.norm(j);
            // NaN stays NaN.
            let norms = if norms < LEAST_NORMS {
                LEAST_NORMS
            } else {
                norms
            };
            cosines += (products.get(i, j) / norms).clamp(-1.0, 1.0);
        }
    }
    let n = n as f64;
    let cos = cosines / (n * (n - 1.0) / 2.0);
    let divisor = 1.0 + (n - 1.0) * cos;
    if divisor.abs() < SINGULAR {
        return 0.0;
    }
    (n * cos / divisor) as f32
}

struct Whole(f32);

impl Fuser for Whole {
    fn fuse(&self, block: &Block<'_>, out: &mut [f32]) {
        draw_back(self.0, block, 0, out);
    }
}

struct ByRow<'a>(PerRow<'a, Ratio>);

impl Fuser for ByRow<'_> {
    fn fuse(&self, block: &Block<'_>, out: &mut [f32]) {
        self.0.for_rows(block, |range, t| {
            draw_back(t, block, range.start, &mut out[range]);
        });
    }
}

/// Elements at a time, so that the sum stays in the first-level cache.
const RUN: usize = 4096;

/// The elements of the block from `offset` on.
fn draw_back(t: f32, block: &Block<'_>, offset: usize, out: &mut [f32]) {
    let base = block.base.unwrap_or_default();
    for (i, out) in out.chunks_mut(RUN).enumerate() {
        let part = offset + i * RUN..offset + i * RUN + out.len();
        out.copy_from_slice(&block.models[0][part.clone()]);
        for model in &block.models[1..] {
            kernels::add(&model[part.clone()], out);
        }
        mix(t, block.models.len() as f32, &base[part], out);
    }
}

#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
fn mix(t: f32, n: f32, base: &[f32], sum: &mut [f32]) {
    for (sum, base) in sum.iter_mut().zip(base) {
        *sum = t * (*sum / n) + (1.0 - t) * base;
    }
}
