//! Activations and their derivatives.

use super::math::{exp, normal_cdf_pdf, tanh};
use super::{BLOCK, rows_per_block};
use rayon::prelude::*;

/// An elementwise function between two products.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// `x Φ(x)` (Hendrycks and Gimpel 2016), `gelu` in transformers.
    Gelu,
    /// Its approximation by tanh, `gelu_new` and `gelu_pytorch_tanh` in transformers.
    GeluTanh,
    /// `max(x, 0)`
    Relu,
    /// Hyperbolic tangent.
    Tanh,
    /// `x σ(x)` (Hendrycks and Gimpel 2016; Ramachandran et al. 2017).
    Silu,
}

impl Activation {
    /// The activation that transformers calls `name`.
    pub fn from_hf(name: &str) -> Option<Self> {
        match name {
            "gelu" => Some(Activation::Gelu),
            "gelu_new" | "gelu_pytorch_tanh" => Some(Activation::GeluTanh),
            "relu" => Some(Activation::Relu),
            "tanh" => Some(Activation::Tanh),
            "silu" | "swish" => Some(Activation::Silu),
            _ => None,
        }
    }
}

#[inline(always)]
fn gelu(x: f32) -> f32 {
    x * normal_cdf_pdf(x).0
}

#[inline(always)]
fn gelu_derivative(x: f32) -> f32 {
    let (cdf, pdf) = normal_cdf_pdf(x);
    x.mul_add(pdf, cdf)
}

/// `√(2/π)`
const GELU_TANH_SCALE: f32 = 0.797_884_6;
const GELU_TANH_CUBIC: f32 = 0.044_715;

#[inline(always)]
fn gelu_tanh(x: f32) -> f32 {
    let inner = GELU_TANH_SCALE * x * (GELU_TANH_CUBIC * x).mul_add(x, 1.0);
    0.5 * x * (1.0 + tanh(inner))
}

#[inline(always)]
fn gelu_tanh_derivative(x: f32) -> f32 {
    let inner = GELU_TANH_SCALE * x * (GELU_TANH_CUBIC * x).mul_add(x, 1.0);
    let t = tanh(inner);
    let slope = GELU_TANH_SCALE * (3.0 * GELU_TANH_CUBIC * x).mul_add(x, 1.0);
    0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * slope
}

#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

#[inline(always)]
fn silu_derivative(x: f32) -> f32 {
    let s = sigmoid(x);
    s * x.mul_add(1.0 - s, 1.0)
}

#[inline(always)]
fn map(y: &mut [f32], x: &[f32], f: impl Fn(f32) -> f32) {
    for (y, &x) in y.iter_mut().zip(x) {
        *y = f(x);
    }
}

#[inline(always)]
fn scale(dy: &mut [f32], x: &[f32], derivative: impl Fn(f32) -> f32) {
    for (dy, &x) in dy.iter_mut().zip(x) {
        *dy *= derivative(x);
    }
}

#[multiversion::multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma",
    "x86_64+avx2+fma"
))]
fn forward_block(y: &mut [f32], x: &[f32], activation: Activation) {
    match activation {
        Activation::Gelu => map(y, x, gelu),
        Activation::GeluTanh => map(y, x, gelu_tanh),
        Activation::Relu => map(y, x, |x| if x > 0.0 { x } else { 0.0 }),
        Activation::Tanh => map(y, x, tanh),
        Activation::Silu => map(y, x, |x| x * sigmoid(x)),
    }
}

#[multiversion::multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma",
    "x86_64+avx2+fma"
))]
fn backward_block(dy: &mut [f32], x: &[f32], activation: Activation) {
    match activation {
        Activation::Gelu => scale(dy, x, gelu_derivative),
        Activation::GeluTanh => scale(dy, x, gelu_tanh_derivative),
        Activation::Relu => scale(dy, x, |x| if x > 0.0 { 1.0 } else { 0.0 }),
        Activation::Tanh => scale(dy, x, |x| {
            let y = tanh(x);
            1.0 - y * y
        }),
        Activation::Silu => scale(dy, x, silu_derivative),
    }
}

/// `y = f(x)`
pub fn forward(y: &mut [f32], x: &[f32], activation: Activation) {
    y.par_chunks_mut(BLOCK)
        .zip(x.par_chunks(BLOCK))
        .for_each(|(y, x)| forward_block(y, x, activation));
}

/// `dy *= f'(x)`: turns the gradient of the output into that of the input.
pub fn backward(dy: &mut [f32], x: &[f32], activation: Activation) {
    dy.par_chunks_mut(BLOCK)
        .zip(x.par_chunks(BLOCK))
        .for_each(|(dy, x)| backward_block(dy, x, activation));
}

/// `y = f(g) u` for rows `[g, u]` of `x` (Shazeer 2020): `y` `[rows, cols]`, `x`
/// `[rows, 2 cols]`.
pub fn gated_forward(y: &mut [f32], x: &[f32], activation: Activation, cols: usize) {
    let rows = rows_per_block(2 * cols);
    y.par_chunks_mut(rows * cols)
        .zip(x.par_chunks(rows * 2 * cols))
        .for_each(|(y, x)| {
            for (y, x) in y.chunks_exact_mut(cols).zip(x.chunks_exact(2 * cols)) {
                let (gate, up) = x.split_at(cols);
                forward_block(y, gate, activation);
                y.iter_mut().zip(up).for_each(|(y, u)| *y *= u);
            }
        });
}

/// The gradient `dx` `[rows, 2 cols]` of what [`gated_forward`] took, from `dy`
/// `[rows, cols]`.
pub fn gated_backward(dx: &mut [f32], dy: &[f32], x: &[f32], activation: Activation, cols: usize) {
    let rows = rows_per_block(2 * cols);
    dx.par_chunks_mut(rows * 2 * cols)
        .zip(dy.par_chunks(rows * cols))
        .zip(x.par_chunks(rows * 2 * cols))
        .for_each(|((dx, dy), x)| {
            let rows = dx.chunks_exact_mut(2 * cols).zip(dy.chunks_exact(cols));
            for ((dx, dy), x) in rows.zip(x.chunks_exact(2 * cols)) {
                let (gate, up) = x.split_at(cols);
                let (d_gate, d_up) = dx.split_at_mut(cols);
                forward_block(d_up, gate, activation);
                d_up.iter_mut().zip(dy).for_each(|(u, d)| *u *= d);
                for ((g, d), u) in d_gate.iter_mut().zip(dy).zip(up) {
                    *g = d * u;
                }
                backward_block(d_gate, gate, activation);
            }
        });
}
