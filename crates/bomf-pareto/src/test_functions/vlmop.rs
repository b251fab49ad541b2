//! Two Gaussian wells, after Fonseca and Fleming (1995).
//!
//! Van Veldhuizen and Lamont, "Multiobjective evolutionary algorithm test
//! suites", SAC 1999, problem MOP2:
//! `f_1 = 1 - exp(-sum_i (x_i - 1/sqrt(d))^2)`,
//! `f_2 = 1 - exp(-sum_i (x_i + 1/sqrt(d))^2)`. The best inputs are
//! `x_i = s / sqrt(d)` with `s` in `[-1, 1]`, where
//! `f_1 = 1 - exp(-(s - 1)^2)` and `f_2 = 1 - exp(-(s + 1)^2)` in any dimension.

use super::TestFunction;

/// `erf(sqrt(2))`, the part of a normal variable within two deviations.
const TWO_DEVIATIONS: f64 = 0.954_499_736_103_641_6;

/// VLMOP2 with `d` inputs (at least 1), which run from -2 to 2 before they are
/// scaled to the unit cube.
///
/// Above `(-1, -1)` the best hypervolume is, with `df_1 = -2 (1 - s)
/// exp(-(s - 1)^2) ds` along the front, `integral of (1 - f_2) df_1` over `f_1`
/// from 0 to `1 - exp(-4)`, and `exp(-4)` beyond it, where `f_2 = 0`:
/// `2 exp(-2) sqrt(pi / 2) erf(sqrt(2)) + exp(-4)`, since
/// `exp(-(s - 1)^2 - (s + 1)^2) = exp(-2 s^2 - 2)` is even in `s`.
#[must_use]
pub fn vlmop2(d: usize) -> TestFunction {
    let gauss = (std::f64::consts::PI / 2.0).sqrt() * TWO_DEVIATIONS;
    TestFunction {
        name: "VLMOP2",
        dim: d.max(1),
        ref_point: vec![-1.0, -1.0],
        max_hypervolume: 2.0 * (-2.0_f64).exp() * gauss + (-4.0_f64).exp(),
        evaluate: |x, _| {
            let centre = 1.0 / (x.len() as f64).sqrt();
            let well = |at: f64| {
                let squares: f64 = x.iter().map(|v| (4.0 * v - 2.0 - at).powi(2)).sum();
                (-squares).exp() - 1.0
            };
            vec![well(centre), well(-centre)]
        },
    }
}
