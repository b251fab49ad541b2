//! Spherical linear interpolation between the base model and another.
//!
//! With the angle `omega` between the tensors as vectors a (base) and b,
//! `slerp(t) = (sin((1 - t) omega) a + sin(t omega) b) / sin(omega)`: the path of equal speed along
//! the great circle where both have one norm. Shoemake, "Animating rotation with quaternion
//! curves", SIGGRAPH 1985.

use super::common::declare::{FINITE, number};
use super::common::kernels;
use super::common::products::Products;
use crate::error::Result;
use crate::method::{Base, Block, Fuser, Inputs, Method, MethodSpec, Params, Scope};

/// Vectors of a cosine beyond this (angles below 1.8 degrees, or as near to opposite) are
/// interpolated linearly: there the sines are all but linear, or without a meaning. As in
/// mergekit.
const PARALLEL: f64 = 0.9995;

/// A norm up to this counts as zero, and the vector as orthogonal to any other. As in mergekit.
const NO_NORM: f64 = 1e-8;

/// Interpolation on the sphere: the base at `t = 0`, the model at `t = 1`, beyond them outside.
///
/// A NaN or infinity anywhere makes the angle, and so the whole tensor, NaN.
pub struct Slerp;

static SPEC: MethodSpec = MethodSpec {
    name: "slerp",
    summary: "spherical interpolation between the base model and another",
    paper: "Shoemake, Animating rotation with quaternion curves, SIGGRAPH 1985",
    base: Base::Required,
    models: (1, 1),
    params: &[number(
        "t",
        "how far to go from the base model (0) to the other (1)",
        Scope::Method,
        FINITE,
        None,
    )],
};

impl Method for Slerp {
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
        let tensors: Vec<_> = inputs
            .base
            .into_iter()
            .chain(inputs.models.iter().copied())
            .collect();
        let products = Products::of(&tensors, None);
        let norm = |i| {
            let norm = products.norm(i);
            // NaN stays NaN.
            if norm <= NO_NORM { 1.0 } else { norm }
        };
        let cos = products.get(0, 1) / norm(0) / norm(1);
        let (a, b) = coefficients(params.number("t"), cos.clamp(-1.0, 1.0));
        Ok(Box::new(Pair(a as f32, b as f32)))
    }
}

/// What to multiply a and b with, given the cosine of their angle.
fn coefficients(t: f64, cos: f64) -> (f64, f64) {
    if cos.abs() > PARALLEL {
        return (1.0 - t, t);
    }
    let omega = cos.acos();
    let sin = omega.sin();
    (((1.0 - t) * omega).sin() / sin, (t * omega).sin() / sin)
}

/// `a base + b model`.
struct Pair(f32, f32);

impl Fuser for Pair {
    fn fuse(&self, block: &Block<'_>, out: &mut [f32]) {
        out.fill(0.0);
        for (c, x) in [(self.0, block.base), (self.1, Some(block.models[0]))] {
            kernels::add_scaled(c, x.unwrap_or_default(), out);
        }
    }
}
