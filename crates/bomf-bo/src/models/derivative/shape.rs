//! Higher derivatives of the kernels' shapes in the squared distance.

use crate::models::Kernel;

/// The value at squared distance `r2 >= 0` and its first, second and third
/// derivative in it.
///
/// The third of Matérn-5/2 grows as `1 / r` towards zero, where it is given as
/// 0: in the kernel's derivatives it meets a product of three differences, so
/// that the term vanishes.
pub(super) fn derivatives(kernel: Kernel, r2: f64) -> [f64; 4] {
    let (value, first) = kernel.value_and_derivative(r2);
    match kernel {
        // -5/6 (1 + s) e^-s, 25/12 e^-s and -125/24 e^-s / s, s = sqrt(5 r2).
        Kernel::Matern52 => {
            let s = (5.0 * r2).sqrt();
            let second = -2.5 * first / (1.0 + s);
            let third = if s > 0.0 { -2.5 * second / s } else { 0.0 };
            [value, first, second, third]
        }
        Kernel::Rbf => [value, first, 0.25 * value, -0.125 * value],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_the_derivative_of_the_one_before() {
        for kernel in [Kernel::Matern52, Kernel::Rbf] {
            for r2 in [1e-3, 0.1, 1.0, 7.0, 60.0] {
                let h = 1e-5 * r2;
                let here = derivatives(kernel, r2);
                let (above, below) = (derivatives(kernel, r2 + h), derivatives(kernel, r2 - h));
                for order in 0..3 {
                    let numeric = (above[order] - below[order]) / (2.0 * h);
                    let analytic = here[order + 1];
                    assert!(
                        (numeric - analytic).abs() < 1e-8 * analytic.abs() + 1e-12,
                        "{kernel:?} {r2} order {order}: {numeric} {analytic}"
                    );
                }
            }
            assert!(derivatives(kernel, 0.0).iter().all(|v| v.is_finite()));
        }
    }
}
