//! Spherical linear interpolation between two models by their weights.
//!
//! As [`slerp`](super::slerp), with `t = w_2 / (w_1 + w_2)`, between differences from a base model
//! where there is one, and if wanted with an angle for each row or each column instead of one for
//! the tensor. After mergekit's method of this name.

use rayon::prelude::*;

use super::common::declare::{WEIGHT, flag};
use super::common::kernels;
use super::common::mixture::Mixture;
use super::common::pieces::view;
use super::common::products::Products;
use super::common::rows::{PerRow, Statistic};
use crate::error::Result;
use crate::method::{Base, Block, Fuser, Inputs, Method, MethodSpec, Params};

/// Where `1 - cos^2` is no more than this, the directions cannot be told from parallel or opposite
/// ones in `f32`, and interpolation is linear.
const PARALLEL: f64 = f32::EPSILON as f64;

/// Norms count as no smaller than this. As in mergekit.
const LEAST_NORM: f64 = 1e-7;

/// Weights whose sum is smaller than this say nothing: t is one half. As in mergekit.
const NO_WEIGHT: f64 = 1e-6;

/// Interpolation on the sphere between two models.
///
/// With `nuslerp_flatten: false`, each row along the last axis is interpolated by itself; with
/// `nuslerp_row_wise` too, each column along the first axis (then two numbers a column are held in
/// memory). A NaN anywhere makes the tensor, the row or the column NaN.
pub struct NuSlerp;

static SPEC: MethodSpec = MethodSpec {
    name: "nuslerp",
    summary: "spherical interpolation between two models by their weights",
    paper: "",
    base: Base::Optional,
    models: (2, 2),
    params: &[
        WEIGHT,
        flag(
            "nuslerp_row_wise",
            "with nuslerp_flatten: false, along the first axis instead of the last",
            false,
        ),
        flag(
            "nuslerp_flatten",
            "one angle for the tensor, instead of one for each row",
            true,
        ),
    ],
};

impl Method for NuSlerp {
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
        let weights = params.numbers("weight");
        let sum = weights[0] + weights[1];
        let t = if sum.abs() < NO_WEIGHT {
            0.5
        } else {
            weights[1] / sum
        };
        let angle = Angle { t };
        if params.flag("nuslerp_flatten") {
            let (a, b) = angle.of_long(inputs);
            return Ok(Box::new(Mixture {
                coefficients: vec![a, b],
                on_base: true,
            }));
        }
        if params.flag("nuslerp_row_wise") {
            return Ok(Box::new(ByColumn::new(inputs, &angle)));
        }
        let row = inputs.shape.last().copied().unwrap_or(1);
        Ok(Box::new(ByRow(PerRow::new(inputs, row, angle))))
    }
}

/// The coefficients of the two models.
struct Angle {
    t: f64,
}

impl Angle {
    /// From squared norms and the inner product.
    fn coefficients(&self, aa: f64, bb: f64, ab: f64) -> (f32, f32) {
        let t = self.t;
        let norm = |square: f64| {
            let norm = square.sqrt();
            // NaN stays NaN.
            if norm < LEAST_NORM { LEAST_NORM } else { norm }
        };
        let cos = (ab / norm(aa) / norm(bb)).clamp(-1.0, 1.0);
        if 1.0 - cos * cos <= PARALLEL {
            return ((1.0 - t) as f32, t as f32);
        }
        let theta = cos.acos();
        let sin = theta.sin();
        let a = ((1.0 - t) * theta).sin() / sin;
        let b = (t * theta).sin() / sin;
        (a as f32, b as f32)
    }

    fn of_products(&self, products: &Products) -> (f32, f32) {
        self.coefficients(products.get(0, 0), products.get(1, 1), products.get(0, 1))
    }
}

impl Statistic for Angle {
    type Value = (f32, f32);

    fn of(&self, row: &Block<'_>) -> (f32, f32) {
        self.of_products(&Products::of_slices(row.models, row.base))
    }

    fn of_long(&self, row: &Inputs<'_>) -> (f32, f32) {
        self.of_products(&Products::of(&row.models, row.base))
    }
}

struct ByRow<'a>(PerRow<'a, Angle>);

impl Fuser for ByRow<'_> {
    fn fuse(&self, block: &Block<'_>, out: &mut [f32]) {
        self.0.for_rows(block, |range, (a, b)| {
            let models = [
                &block.models[0][range.clone()],
                &block.models[1][range.clone()],
            ];
            let part = Block {
                start: block.start + range.start,
                models: &models,
                base: block.base.map(|base| &base[range.clone()]),
            };
            let mixture = Mixture {
                coefficients: vec![a, b],
                on_base: true,
            };
            mixture.fuse(&part, &mut out[range]);
        });
    }
}

/// Columns are looked at so many at a time.
const GROUP: usize = 1024;

struct ByColumn {
    a: Vec<f32>,
    b: Vec<f32>,
}

impl ByColumn {
    fn new(inputs: &Inputs<'_>, angle: &Angle) -> Self {
        let rows = inputs.shape.first().copied().unwrap_or(1);
        let columns = inputs.len().checked_div(rows).unwrap_or(0);
        let groups = (0..columns.div_ceil(GROUP)).into_par_iter();
        let coefficients: Vec<(f32, f32)> = groups
            .flat_map_iter(|group| {
                let first = group * GROUP;
                let len = GROUP.min(columns - first);
                let sums = column_sums(inputs, rows, columns, first, len);
                sums.into_iter()
                    .map(|[aa, bb, ab]| angle.coefficients(aa, bb, ab))
            })
            .collect();
        let (a, b) = coefficients.into_iter().unzip();
        Self { a, b }
    }
}

/// Squared norms and inner products of `len` columns from `first` on, summed down the rows.
fn column_sums(
    inputs: &Inputs<'_>,
    rows: usize,
    columns: usize,
    first: usize,
    len: usize,
) -> Vec<[f64; 3]> {
    let mut sums = vec![[0.0; 3]; len];
    let mut buffers = [Vec::new(), Vec::new(), Vec::new()];
    let zeros = vec![0.0f32; len];
    for row in 0..rows {
        let start = row * columns + first;
        let [for_a, for_b, for_base] = &mut buffers;
        let of = |source, buffer| view(source, start, len, buffer);
        let a = of(inputs.models[0], for_a);
        let b = of(inputs.models[1], for_b);
        let base = inputs.base.map_or(&zeros[..], |base| of(base, for_base));
        for (((sums, a), b), base) in sums.iter_mut().zip(a).zip(b).zip(base) {
            let (a, b) = (f64::from(a - base), f64::from(b - base));
            sums[0] += a * a;
            sums[1] += b * b;
            sums[2] += a * b;
        }
    }
    sums
}

impl Fuser for ByColumn {
    fn fuse(&self, block: &Block<'_>, out: &mut [f32]) {
        let columns = self.a.len().max(1);
        let mut at = 0;
        while at < out.len() {
            let column = (block.start + at) % columns;
            let end = out.len().min(at + columns - column);
            let part = at..end;
            let columns = column..column + part.len();
            let of = |i: usize| &block.models[i][part.clone()];
            let coefficients = self.a[columns.clone()].iter().zip(&self.b[columns]);
            let out = &mut out[part.clone()];
            match block.base {
                Some(base) => {
                    let base = &base[part.clone()];
                    let values = of(0).iter().zip(of(1)).zip(base).zip(coefficients);
                    for (out, (((x, y), base), (a, b))) in out.iter_mut().zip(values) {
                        *out = a * (x - base) + b * (y - base);
                    }
                    kernels::add(base, out);
                }
                None => {
                    let values = of(0).iter().zip(of(1)).zip(coefficients);
                    for (out, ((x, y), (a, b))) in out.iter_mut().zip(values) {
                        *out = a * x + b * y;
                    }
                }
            }
            at = end;
        }
    }
}
