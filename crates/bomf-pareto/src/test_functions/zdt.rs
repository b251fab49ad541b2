//! Two objectives, `f_1 = x_1` and `f_2 = g h(f_1, g)` with
//! `g = 1 + 9 mean(x_2, .., x_d)`; the front has `g = 1`.
//!
//! Zitzler, Deb and Thiele, "Comparison of multiobjective evolutionary
//! algorithms: empirical results", Evolutionary Computation 8 (2000). The best
//! hypervolume above `(-11, -11)` is `11^2` less the area below the front
//! (minimised), `integral of h(t, 1)` over `t` in `[0, 1]` and 0 beyond, where
//! the front has ended in `h = 0`.

use super::TestFunction;
use std::f64::consts::PI;

/// `11^2`, the square between the ideal point and the reference point.
const SQUARE: f64 = 121.0;

/// ZDT1 with `d` inputs, at least 2: `h = 1 - sqrt(f_1 / g)`, area `1/3`, best
/// hypervolume `120 + 2/3`.
#[must_use]
pub fn zdt1(d: usize) -> TestFunction {
    problem("ZDT1", d, SQUARE - 1.0 / 3.0, |x, _| {
        evaluate(x, |f, g| 1.0 - (f / g).sqrt())
    })
}

/// ZDT2 with `d` inputs, at least 2: `h = 1 - (f_1 / g)^2`, area `2/3`, best
/// hypervolume `120 + 1/3`.
#[must_use]
pub fn zdt2(d: usize) -> TestFunction {
    problem("ZDT2", d, SQUARE - 2.0 / 3.0, |x, _| {
        evaluate(x, |f, g| 1.0 - (f / g).powi(2))
    })
}

/// ZDT3 with `d` inputs, at least 2:
/// `h = 1 - sqrt(f_1 / g) - f_1 / g sin(10 pi f_1)`, whose front is five pieces.
///
/// Each piece ends in a local minimum of `h(t, 1)` and the next begins where `h`
/// falls to that value again; between them the region below is bounded by the
/// minimum. The antiderivative of `h` is elementary
/// (`t - 2/3 t^1.5 - sin(a t) / a^2 + t cos(a t) / a`, `a = 10 pi`); with the
/// nine ends to 40 digits the best hypervolume is 128.77811613069076.
#[must_use]
pub fn zdt3(d: usize) -> TestFunction {
    problem("ZDT3", d, 128.778_116_130_690_76, |x, _| {
        evaluate(x, |f, g| {
            1.0 - (f / g).sqrt() - f / g * (10.0 * PI * f).sin()
        })
    })
}

fn problem(
    name: &'static str,
    d: usize,
    max_hypervolume: f64,
    evaluate: fn(&[f64], usize) -> Vec<f64>,
) -> TestFunction {
    TestFunction {
        name,
        dim: d.max(2),
        ref_point: vec![-11.0, -11.0],
        max_hypervolume,
        evaluate,
    }
}

fn evaluate(x: &[f64], h: impl Fn(f64, f64) -> f64) -> Vec<f64> {
    let rest = &x[1..];
    let g = 1.0 + 9.0 * rest.iter().sum::<f64>() / rest.len() as f64;
    vec![-x[0], -g * h(x[0], g)]
}
