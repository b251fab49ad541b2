//! The standard normal distribution in logarithms, accurate into its tails.
//!
//! `phi` and `Phi` are density and distribution function;
//! `h(z) = phi(z) + z Phi(z)` is the expected improvement of a unit normal (Ament
//! et al. 2023, equation 8), whose logarithm they compute by cases (equation
//! 9). Here the far tail uses Laplace's continued fraction of Mills' ratio
//! (Abramowitz and Stegun 26.2.14), `Phi(-x) / phi(x) = 1 / (x + t)` with
//! `t = 1 / (x + 2 / (x + 3 / (x + ..)))`, because then
//! `h(-x) / phi(x) = t / (x + t)` without cancellation.

use std::f64::consts::SQRT_2;

/// `ln(2 pi) / 2`.
const HALF_LN_2PI: f64 = 0.918_938_533_204_672_8;

/// Below this the continued fraction is used: there its terms (see [`tail`])
/// give full precision, and above it `erfc` loses at most a digit and a half.
const TAIL: f64 = -5.0;

/// `ln phi(z)`.
#[must_use]
pub fn log_density(z: f64) -> f64 {
    -0.5 * z * z - HALF_LN_2PI
}

/// `Phi(z)`.
#[must_use]
pub fn cumulative(z: f64) -> f64 {
    0.5 * libm::erfc(-z / SQRT_2)
}

/// `ln Phi(z)`.
#[must_use]
pub fn log_cumulative(z: f64) -> f64 {
    if z < TAIL {
        let x = -z;
        log_density(z) - (x + tail(x)).ln()
    } else if z < 0.0 {
        cumulative(z).ln()
    } else {
        (-cumulative(-z)).ln_1p()
    }
}

/// `ln h(z)`, `h(z) = phi(z) + z Phi(z)`.
#[must_use]
pub fn log_h(z: f64) -> f64 {
    if z < TAIL {
        let x = -z;
        let t = tail(x);
        log_density(z) + (t / (x + t)).ln()
    } else {
        h(z).ln()
    }
}

/// `ln h(z)` and the ratios `Phi(z) / h(z)` and `phi(z) / h(z)`: the
/// derivatives of `ln (sigma h((mu - a) / sigma))` in `mu` and `sigma`, times
/// `sigma`.
#[must_use]
pub fn log_h_with_ratios(z: f64) -> (f64, f64, f64) {
    if z < TAIL {
        let x = -z;
        let t = tail(x);
        let log = log_density(z) + (t / (x + t)).ln();
        (log, 1.0 / t, (x + t) / t)
    } else {
        let h = h(z);
        (h.ln(), cumulative(z) / h, log_density(z).exp() / h)
    }
}

/// `h(z)` for `z >= -5`.
fn h(z: f64) -> f64 {
    log_density(z).exp() + z * cumulative(z)
}

/// `t` of the module's head for `x > 5`, backwards from a fixed term; the
/// number of terms that reach full precision falls with `x^2`.
fn tail(x: f64) -> f64 {
    let terms = if x < 7.0 {
        40
    } else if x < 12.0 {
        24
    } else {
        12
    };
    let mut t = x;
    for k in (2..=terms).rev() {
        t = x + f64::from(k) / t;
    }
    1.0 / t
}

/// `ln(exp(a) + exp(b) + ..)`; minus infinity for nothing.
#[must_use]
pub fn log_sum_exp(values: &[f64]) -> f64 {
    let top = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if !top.is_finite() {
        return top;
    }
    top + values.iter().map(|v| (v - top).exp()).sum::<f64>().ln()
}
