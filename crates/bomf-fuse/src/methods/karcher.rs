//! The Karcher mean: the point of the sphere with the least sum of squared angles to the models.
//!
//! Tensors are taken as directions `u_i = x_i / |x_i|`. From their normalised mean m, each step
//! goes along the average of the directions' logarithms,
//!
//! ```text
//! v = (1/n) sum_i theta_i / sin(theta_i) (u_i - cos(theta_i) m),   cos(theta_i) = <u_i, m>
//! m <- cos(|v|) m + sin(|v|) v / |v|
//! ```
//!
//! until v is short; the result is m times the mean norm. Karcher, "Riemannian center of mass and
//! mollifier smoothing", CPAM 1977; for models Wang, Ye and Yin, "Functionality-oriented LLM merging on
//! the Fisher-Rao manifold", arXiv 2603.04972. m and v stay in the span of the models, so all of it
//! happens on their n x n inner products, in `f64`: one pass over the
//! tensors, whatever the number of steps.

use super::common::declare::number;
use super::common::mixture::Mixture;
use super::common::products::Products;
use super::passthrough::Scaled;
use crate::error::Result;
use crate::method::{
    Base, Fuser, Inputs, Kind, Method, MethodSpec, ParamSpec, Params, Scope, Value,
};

/// A direction whose angle to the mean has a sine below this is the mean itself, or opposite to
/// it; opposite, there is no one way towards it, and it does not pull.
const NO_WAY: f64 = 1e-7;

/// The mean on the sphere with the mean norm.
///
/// A single model is copied. Models with a norm up to `tol` have no direction, but count in the
/// mean norm; if there are no others, the result is zero. A NaN anywhere makes the whole tensor
/// NaN.
pub struct Karcher;

static SPEC: MethodSpec = MethodSpec {
    name: "karcher",
    summary: "the mean of the models on the sphere, with their mean norm",
    paper: "Wang, Ye and Yin, LLM merging on the Fisher-Rao manifold, arXiv 2603.04972",
    base: Base::Unused,
    models: (1, usize::MAX),
    params: &[
        ParamSpec {
            name: "max_iter",
            help: "the greatest number of steps",
            kind: Kind::Integer {
                low: 0,
                high: 1_000_000,
            },
            scope: Scope::Method,
            default: Some(Value::Number(10.0)),
        },
        number(
            "tol",
            "steps, angles and norms up to this are none",
            Scope::Method,
            (0.0, f64::MAX),
            Some(1e-5),
        ),
    ],
};

impl Method for Karcher {
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
        if inputs.models.len() == 1 {
            return Ok(Box::new(Scaled(1.0)));
        }
        let products = Products::of(&inputs.models, None);
        let max_iter = params.number("max_iter") as usize;
        let mean = mean(
            &products,
            inputs.models.len(),
            max_iter,
            params.number("tol"),
        );
        Ok(Box::new(Mixture {
            coefficients: mean.iter().map(|c| *c as f32).collect(),
            on_base: false,
        }))
    }
}

/// The mean as coefficients of the n tensors.
fn mean(products: &Products, n: usize, max_iter: usize, tol: f64) -> Vec<f64> {
    let norms: Vec<f64> = (0..n).map(|i| products.norm(i)).collect();
    let directed: Vec<usize> = (0..n).filter(|i| norms[*i] > tol).collect();
    let scale = norms.iter().sum::<f64>() / n as f64;
    // Throughout, a vector is its coefficients of the tensors that have a direction.
    let unit = |i: usize, c: f64| {
        let mut direction = vec![0.0; n];
        direction[i] = c / norms[i];
        direction
    };
    let length = |c: &[f64]| products.of_mixtures(c, c).max(0.0).sqrt();
    let scaled = |c: &[f64], factor: f64| c.iter().map(|c| c * factor).collect::<Vec<_>>();

    let Some(&first) = directed.first() else {
        return vec![0.0; n];
    };
    let share = 1.0 / directed.len() as f64;
    let mut mean = vec![0.0; n];
    for &i in &directed {
        mean[i] = share / norms[i];
    }
    let norm = length(&mean);
    mean = if norm < tol {
        unit(first, 1.0)
    } else {
        scaled(&mean, 1.0 / norm)
    };
    for _ in 0..max_iter {
        let mut tangent = vec![0.0; n];
        for &i in &directed {
            let cos = products.of_mixtures(&unit(i, 1.0), &mean).clamp(-1.0, 1.0);
            let theta = cos.acos();
            if theta < tol || theta.sin() < NO_WAY {
                continue;
            }
            let pull = share * theta / theta.sin();
            for (t, m) in tangent.iter_mut().zip(&mean) {
                *t -= pull * cos * m;
            }
            tangent[i] += pull / norms[i];
        }
        let step = length(&tangent);
        if step < tol || step == 0.0 {
            break;
        }
        for (m, t) in mean.iter_mut().zip(&tangent) {
            *m = step.cos() * *m + step.sin() / step * t;
        }
        let norm = length(&mean);
        if norm > tol {
            mean = scaled(&mean, 1.0 / norm);
        }
    }
    scaled(&mean, scale)
}
