//! The base model, pulled towards another where the two are near.
//!
//! `w = min(1, t / |a - b|)` and `w b + (1 - w) a`, element by element, with a of the base model:
//! elements that differ by up to t are swapped, the others moved by t. From the recipe of
//! `alchemonaut/QuartetAnemoi-70B-t0.0001`.

use multiversion::multiversion;

use super::common::declare::number;
use crate::error::Result;
use crate::method::{Base, Block, Fuser, Inputs, Method, MethodSpec, Params, Scope};

/// Differences count as no smaller than this. As in mergekit.
const LEAST: f32 = 1e-6;

/// Moves each element of the base model by up to `t` towards the other model.
pub struct NearSwap;

static SPEC: MethodSpec = MethodSpec {
    name: "nearswap",
    summary: "the base model, moved towards another where the two are near",
    paper: "",
    base: Base::Required,
    models: (1, 1),
    params: &[number(
        "t",
        "differences up to this are taken over",
        Scope::Method,
        (0.0, f64::MAX),
        None,
    )],
};

impl Method for NearSwap {
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
        Ok(Box::new(Swap(params.number("t") as f32)))
    }
}

struct Swap(f32);

impl Fuser for Swap {
    fn fuse(&self, block: &Block<'_>, out: &mut [f32]) {
        swap(self.0, block.base.unwrap_or_default(), block.models[0], out);
    }
}

#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
fn swap(t: f32, base: &[f32], model: &[f32], out: &mut [f32]) {
    for ((out, a), b) in out.iter_mut().zip(base).zip(model) {
        let weight = (t / (a - b).abs().max(LEAST)).min(1.0);
        *out = weight * b + (1.0 - weight) * a;
    }
}
