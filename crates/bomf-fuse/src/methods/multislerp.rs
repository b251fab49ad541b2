//! Barycentric interpolation of several models on a sphere.
//!
//! Each tensor (its difference from the base model, where there is one) is a direction
//! `u_i = x_i / (|x_i| + eps)` and a norm. The method, of mergekit (C. Goddard, "Multi-SLERP",
//! 2024), takes the weighted mean `m = sum_i w_i u_i`, goes to the tangent space at `m / |m|`,
//! averages there and comes back. But the tangent parts of the directions average to zero at their
//! own mean: `sum_i w_i (u_i - <u_i, m> m / |m|^2) = m - m = 0`. So what the method computes, apart
//! from rounding, is
//!
//! ```text
//! (sum_i w_i |x_i|) m / |m|
//! ```
//!
//! the mean direction with the mean norm, and this is how it is computed here. `karcher` iterates to the true
//! mean on the sphere.

use super::common::declare::{WEIGHT, flag, number};
use super::common::mixture::Mixture;
use super::common::products::Products;
use super::passthrough::Scaled;
use crate::error::{FuseError, Result};
use crate::method::{Base, Fuser, Inputs, Method, MethodSpec, Params, Scope};

/// The mean direction with the mean norm.
///
/// A single model is copied. Two models whose directions cancel out are averaged linearly, more
/// are an error. A NaN anywhere makes the whole tensor NaN.
pub struct MultiSlerp;

static SPEC: MethodSpec = MethodSpec {
    name: "multislerp",
    summary: "the weighted mean direction of several models, with their mean norm",
    paper: "Goddard, Multi-SLERP, goddard.blog 2024",
    base: Base::Optional,
    models: (1, usize::MAX),
    params: &[
        WEIGHT,
        flag("normalize_weights", "divide the weights by their sum", true),
        number(
            "eps",
            "added to norms; a mean direction shorter than this is none",
            Scope::Method,
            (0.0, f64::MAX),
            Some(1e-8),
        ),
    ],
};

impl Method for MultiSlerp {
    fn spec(&self) -> &'static MethodSpec {
        &SPEC
    }

    /// # Errors
    /// [`FuseError::ZeroWeights`], [`FuseError::OpposedModels`]; those of [`Inputs::check`].
    fn prepare<'a>(
        &self,
        inputs: &Inputs<'a>,
        params: &Params,
        _seed: u64,
    ) -> Result<Box<dyn Fuser + 'a>> {
        inputs.check(&SPEC)?;
        let tensor = || inputs.name.to_owned();
        let mut weights = params.numbers("weight");
        if weights.len() == 1 {
            return Ok(Box::new(Scaled(1.0)));
        }
        if params.flag("normalize_weights") {
            let sum: f64 = weights.iter().sum();
            if sum == 0.0 {
                return Err(FuseError::ZeroWeights { tensor: tensor() });
            }
            weights.iter_mut().for_each(|w| *w /= sum);
        }
        let eps = params.number("eps");
        let products = Products::of(&inputs.models, inputs.base);
        let norms: Vec<f64> = (0..weights.len()).map(|i| products.norm(i)).collect();
        // In terms of the tensors: m = sum_i c_i x_i. A zero tensor has no direction.
        let mean: Vec<f64> = weights
            .iter()
            .zip(&norms)
            .map(|(w, norm)| if *norm == 0.0 { 0.0 } else { w / (norm + eps) })
            .collect();
        let length = products.of_mixtures(&mean, &mean).max(0.0).sqrt();
        let length = if norms.iter().any(|n| n.is_nan()) {
            f64::NAN
        } else {
            length
        };
        let average: f64 = weights.iter().zip(&norms).map(|(w, n)| w * n).sum();
        let coefficients: Vec<f64> = if average == 0.0 && norms.iter().all(|n| *n == 0.0) {
            // Nothing but zeros, which average to zero.
            weights
        } else if length < eps {
            if weights.len() > 2 {
                return Err(FuseError::OpposedModels { tensor: tensor() });
            }
            weights
        } else {
            mean.iter().map(|c| c * (average / length)).collect()
        };
        Ok(Box::new(Mixture {
            coefficients: coefficients.iter().map(|c| *c as f32).collect(),
            on_base: inputs.base.is_some(),
        }))
    }
}
