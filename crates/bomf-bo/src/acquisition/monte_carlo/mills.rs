//! `h(z) = phi(z) + z Phi(z)` with `Phi` and `phi`, for many `z` at a time.
//!
//! Sums over many boxes and samples need millions of these. With Mills' ratio
//! `M(x) = Phi(-x) / phi(x)`, `x = |z|`, all three follow from one exponential:
//! `h(-x) = phi(x) (1 - x M(x))` and `h(x) = x + h(-x)`. `M` is `s` times a
//! polynomial in `s = 1 / (x + 4.5)` (the variable of Shepherd and Laframboise,
//! "Chebyshev approximation of (1 + 2x) exp(x^2) erfc x", Math. Comp. 36, 1981;
//! coefficients: `tests/golden/mills.py`): no table and no branch, so that the loops
//! run in vector registers. The arithmetic is the same on every instruction set.
//!
//! These are no logarithms: beyond `x = 37.4`, where `phi` nears the end of the
//! floats, it counts as zero, and the caller turns to
//! [`crate::acquisition::normal`].

use multiversion::multiversion;

use crate::models::exp;

/// From here on `phi` counts as zero; `exp(-x^2 / 2)` is `1e-304` there, still a
/// float with all its digits.
const LAST: f64 = 37.4;

/// `1 / sqrt(2 pi)`.
const DENSITY_AT_ZERO: f64 = 0.398_942_280_401_432_7;

/// `s = 1 / (x + SHIFT)`.
const SHIFT: f64 = 4.5;

/// The polynomial's variable is `SLOPE s + OFFSET`, in [-1, 1].
const SLOPE: f64 = 10.065_789_473_684_21;
const OFFSET: f64 = -1.236_842_105_263_158;

/// What is left out is a part of `1e-13` of `M`.
const MILLS: [f64; 18] = [
    2.096_400_228_557_494_7,
    1.667_165_752_659_863_8,
    1.071_621_699_721_010_8,
    0.545_054_658_744_335_3,
    0.208_173_261_037_062_5,
    0.051_683_886_034_015_046,
    0.003_383_343_260_768_048,
    -0.002_876_924_924_927_387,
    -0.000_885_747_016_539_628_9,
    0.000_108_139_428_419_880_71,
    9.756_529_139_248_045e-5,
    -2.877_627_029_846_831e-6,
    -1.053_548_115_461_161_8e-5,
    1.548_107_474_871_664e-7,
    1.148_349_919_549_645_2e-6,
    -5.132_203_165_796_124e-8,
    -9.155_728_384_078_448e-8,
    7.953_615_171_020_124e-9,
];

/// `M(x)` for `0 <= x <= 38`.
#[inline(always)]
fn mills(x: f64) -> f64 {
    let s = 1.0 / (x + SHIFT);
    let u = SLOPE * s + OFFSET;
    s * MILLS.iter().rev().fold(0.0, |sum, c| sum * u + c)
}

/// `x = min(|z|, 37.4)`, `M(x)` and `phi(z)`.
#[inline(always)]
fn parts(z: f64) -> (f64, f64, f64) {
    let x = z.abs().min(LAST);
    let density = DENSITY_AT_ZERO * exp(-0.5 * x * x);
    (x, mills(x), if x < LAST { density } else { 0.0 })
}

/// `z <- h(z)`.
// Compiled once for each instruction set; the arithmetic is the same in all.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
pub(super) fn h(z: &mut [f64]) {
    for z in z {
        let (x, ratio, density) = parts(*z);
        *z = z.max(0.0) + density * (1.0 - x * ratio);
    }
}

/// `z <- h(z)`, with `Phi(z)` and `phi(z)` in slices of the same length.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
pub(super) fn h_with_derivatives(z: &mut [f64], cumulative: &mut [f64], density: &mut [f64]) {
    for ((z, cumulative), phi) in z.iter_mut().zip(cumulative).zip(density) {
        let (x, ratio, density) = parts(*z);
        let tail = density * ratio;
        *cumulative = if *z > 0.0 { 1.0 - tail } else { tail };
        *phi = density;
        *z = z.max(0.0) + density * (1.0 - x * ratio);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acquisition::normal::{cumulative, log_cumulative, log_density, log_h};

    /// `1 - x M` multiplies the error of `M` by `x^2`, to `1e-10` at 37; up to 8,
    /// where all that matters is, it is below `1e-11`.
    const TOLERANCE: f64 = 2e-10;

    #[test]
    fn agrees_with_the_logarithms() {
        let grid: Vec<f64> = (-3700..=3700)
            .map(|k| f64::from(k) / 100.0 + 0.003)
            .collect();
        let mut of = grid.clone();
        let mut alone = grid.clone();
        let (mut below, mut density) = (vec![0.0; grid.len()], vec![0.0; grid.len()]);
        h_with_derivatives(&mut of, &mut below, &mut density);
        h(&mut alone);
        assert_eq!(of, alone);
        for (i, z) in grid.iter().enumerate() {
            let tolerance = if z.abs() < 8.0 { 1e-11 } else { TOLERANCE };
            assert!((of[i].ln() - log_h(*z)).abs() < tolerance, "{z}");
            assert!((below[i].ln() - log_cumulative(*z)).abs() < 2e-12, "{z}");
            assert!((below[i] - cumulative(*z)).abs() < 1e-13);
            assert!((density[i].ln() - log_density(*z)).abs() < 2e-12, "{z}");
        }
    }

    #[test]
    fn ends() {
        let mut z = [f64::INFINITY, f64::NEG_INFINITY, 1e9, -39.0, 0.0];
        let (mut below, mut density) = ([0.0; 5], [0.0; 5]);
        h_with_derivatives(&mut z, &mut below, &mut density);
        assert_eq!(z[..4], [f64::INFINITY, 0.0, 1e9, 0.0]);
        assert_eq!(below[..4], [1.0, 0.0, 1.0, 0.0]);
        assert_eq!(density[..4], [0.0; 4]);
        assert!((z[4] - DENSITY_AT_ZERO).abs() < 1e-16 && (below[4] - 0.5).abs() < 1e-13);
    }
}
