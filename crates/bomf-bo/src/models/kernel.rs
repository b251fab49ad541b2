//! Stationary kernels as functions of the squared scaled distance.
//!
//! Rasmussen and Williams (2006), equations 4.9 and 4.17, with
//! `r2 = sum_i (x_i - x'_i)^2 / l_i^2` and unit variance. The derivative is
//! taken in `r2`, not in `r`: that of Matérn-5/2 has no singularity at zero.

use serde::{Deserialize, Serialize};

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
            Self::Matern52 => {
                let s = (5.0 * r2).sqrt();
                let decay = (-s).exp();
                (
                    (1.0 + s + (5.0 / 3.0) * r2) * decay,
                    -(5.0 / 6.0) * (1.0 + s) * decay,
                )
            }
            Self::Rbf => {
                let value = (-0.5 * r2).exp();
                (value, -0.5 * value)
            }
        }
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
}
