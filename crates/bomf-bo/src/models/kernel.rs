//! Stationary kernels as functions of the squared scaled distance.
//!
//! Rasmussen and Williams (2006), equations 4.9 and 4.17, with
//! `r2 = sum_i (x_i - x'_i)^2 / l_i^2` and unit variance. The derivative is
//! taken in `r2`, not in `r`: that of Matérn-5/2 has no singularity at zero.

use multiversion::multiversion;
use serde::{Deserialize, Serialize};

use super::exponential::exp;

/// The shape of a stationary kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kernel {
    /// `(1 + s + s^2 / 3) exp(-s)`, `s = sqrt(5 r2)`: twice differentiable.
    Matern52,
    /// `exp(-r2 / 2)`: smooth without end.
    Rbf,
}

impl Kernel {
    /// The kernel's value at squared distance `r2 >= 0`.
    #[must_use]
    pub fn value(self, r2: f64) -> f64 {
        self.value_and_derivative(r2).0
    }

    /// The value and its derivative in `r2`.
    #[must_use]
    pub fn value_and_derivative(self, r2: f64) -> (f64, f64) {
        match self {
            Self::Matern52 => matern52(r2),
            Self::Rbf => rbf(r2),
        }
    }

    /// Replaces squared distances by `scale` times the kernel's values.
    pub(super) fn values(self, scale: f64, r2: &mut [f64]) {
        match self {
            Self::Matern52 => matern52_values(scale, r2),
            Self::Rbf => rbf_values(scale, r2),
        }
    }

    /// Replaces squared distances by `scale` times the derivatives in them, and
    /// writes `scale` times the values to `values` (as many).
    pub(super) fn values_and_derivatives(self, scale: f64, r2: &mut [f64], values: &mut [f64]) {
        match self {
            Self::Matern52 => matern52_both(scale, r2, values),
            Self::Rbf => rbf_both(scale, r2, values),
        }
    }
}

/// Squared distances beyond this count as this: the exponential is not let below
/// `3e-308`, which a polynomial of still larger distances would outweigh.
const FAR: f64 = 1e100;

#[inline(always)]
fn matern52(r2: f64) -> (f64, f64) {
    // (NaN stays NaN.)
    let r2 = if r2 > FAR { FAR } else { r2 };
    let s = (5.0 * r2).sqrt();
    let decay = exp(-s);
    (
        (1.0 + s + (5.0 / 3.0) * r2) * decay,
        -(5.0 / 6.0) * (1.0 + s) * decay,
    )
}

#[inline(always)]
fn rbf(r2: f64) -> (f64, f64) {
    let value = exp(-0.5 * r2);
    (value, -0.5 * value)
}

// Compiled once for each instruction set; the arithmetic is the same in all of
// them.

#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
fn matern52_values(scale: f64, r2: &mut [f64]) {
    for v in r2 {
        *v = scale * matern52(*v).0;
    }
}

#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
fn rbf_values(scale: f64, r2: &mut [f64]) {
    for v in r2 {
        *v = scale * rbf(*v).0;
    }
}

#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
fn matern52_both(scale: f64, r2: &mut [f64], values: &mut [f64]) {
    for (r2, value) in r2.iter_mut().zip(values) {
        let (v, d) = matern52(*r2);
        *value = scale * v;
        *r2 = scale * d;
    }
}

#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
fn rbf_both(scale: f64, r2: &mut [f64], values: &mut [f64]) {
    for (r2, value) in r2.iter_mut().zip(values) {
        let (v, d) = rbf(*r2);
        *value = scale * v;
        *r2 = scale * d;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derivative_against_differences() {
        for kernel in [Kernel::Matern52, Kernel::Rbf] {
            assert_eq!(kernel.value(0.0), 1.0);
            for r2 in [1e-3, 0.1, 1.0, 7.0, 60.0] {
                let h = 1e-5 * r2;
                let numeric = (kernel.value(r2 + h) - kernel.value(r2 - h)) / (2.0 * h);
                let (_, analytic) = kernel.value_and_derivative(r2);
                assert!(
                    (numeric - analytic).abs() < 1e-8 * analytic.abs() + 1e-12,
                    "{kernel:?} {r2}"
                );
            }
        }
    }

    #[test]
    fn slices_are_their_elements() {
        // Lengths around the widths of vector registers; far distances too.
        for n in [0, 1, 3, 8, 9, 31] {
            let r2: Vec<f64> = (0..n).map(|i| 0.3 * f64::from(i).powi(3)).collect();
            for kernel in [Kernel::Matern52, Kernel::Rbf] {
                let mut values = r2.clone();
                kernel.values(1.7, &mut values);
                let mut derivatives = r2.clone();
                let mut same = vec![0.0; r2.len()];
                kernel.values_and_derivatives(1.7, &mut derivatives, &mut same);
                assert_eq!(values, same);
                for (i, r2) in r2.iter().enumerate() {
                    let (v, d) = kernel.value_and_derivative(*r2);
                    assert_eq!((values[i], derivatives[i]), (1.7 * v, 1.7 * d));
                }
            }
        }
    }

    #[test]
    fn far_away_is_nothing_and_nan_stays_nan() {
        for kernel in [Kernel::Matern52, Kernel::Rbf] {
            for r2 in [1e40, 1e300, f64::INFINITY] {
                let (value, derivative) = kernel.value_and_derivative(r2);
                assert!(value.abs() < 1e-200 && derivative.abs() < 1e-200);
            }
            assert!(kernel.value(f64::NAN).is_nan());
        }
    }
}
