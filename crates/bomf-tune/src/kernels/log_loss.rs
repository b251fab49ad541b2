//! Sums of logarithms over many examples, for losses without their gradients.
//!
//! A logarithm an example is most of what a cross-entropy costs. So the numbers are
//! multiplied first, as many as the range of the product holds, and one logarithm is
//! taken for all of them.

use super::math::exp;
use super::{LANES, lane_max, lane_sum};

/// Elements whose factors `1 + e^-|x| <= 2` are multiplied: `2^16` a lane and `2^256`
/// over all lanes.
const SOFTPLUS_BLOCK: usize = 16 * LANES;

/// A product is turned into its logarithm beyond this; a factor is at most the number
/// of classes.
const LARGE: f64 = 1e250;

/// Sum of `ln(1 + e^x)`: with `x` the margin by which the wrong one of two classes leads,
/// the sum of cross-entropies. Relative error `1e-6` or so.
#[multiversion::multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma",
    "x86_64+avx2+fma"
))]
pub fn sum_softplus(x: &[f32]) -> f64 {
    let mut sum = 0.0;
    for block in x.chunks(SOFTPLUS_BLOCK) {
        // ln(1 + e^x) = max(x, 0) + ln(1 + e^-|x|).
        sum += f64::from(lane_sum(block.len(), |i| block[i].max(0.0)));
        let mut lanes = [1.0f32; LANES];
        let rows = block.chunks_exact(LANES);
        let rest = rows.remainder();
        for row in rows {
            for (lane, x) in lanes.iter_mut().zip(row) {
                *lane *= 1.0 + exp(-x.abs());
            }
        }
        for (lane, x) in lanes.iter_mut().zip(rest) {
            *lane *= 1.0 + exp(-x.abs());
        }
        sum += lanes.iter().map(|l| f64::from(*l)).product::<f64>().ln();
    }
    sum
}

/// Sum over the rows of `ln sum_k e^z_k`; `logits` has shape `[rows, classes]`. Relative
/// error `1e-6` or so.
#[multiversion::multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma",
    "x86_64+avx2+fma"
))]
pub fn sum_log_sum_exp(logits: &[f32], classes: usize) -> f64 {
    let (mut sum, mut product) = (0.0, 1.0f64);
    for row in logits.chunks_exact(classes.max(1)) {
        let max = lane_max(row);
        sum += f64::from(max);
        product *= f64::from(lane_sum(row.len(), |i| exp(row[i] - max)));
        if product > LARGE {
            sum += product.ln();
            product = 1.0;
        }
    }
    sum + product.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of either sign over the range that logits have, and some beyond it.
    fn values(n: usize) -> Vec<f32> {
        let wave = |i: usize| (i as f32 * 0.7).sin() * 12.0;
        (0..n)
            .map(|i| if i % 97 == 5 { 200.0 } else { wave(i) })
            .collect()
    }

    #[test]
    fn sums_of_softplus_agree_with_double_precision_at_any_length() {
        for n in [0, 1, 15, 16, 17, 255, 256, 257, 1000] {
            let x = values(n);
            let expected: f64 = x
                .iter()
                .map(|&x| {
                    let x = f64::from(x);
                    x.max(0.0) + (-x.abs()).exp().ln_1p()
                })
                .sum();
            let got = sum_softplus(&x);
            assert!(
                (got - expected).abs() <= 2e-6 * expected.abs(),
                "{n}: {got} {expected}"
            );
        }
    }

    #[test]
    fn sums_over_rows_agree_with_double_precision_for_any_number_of_classes() {
        for (rows, classes) in [(1, 1), (3, 2), (700, 3), (400, 77), (2000, 150)] {
            let z = values(rows * classes);
            let expected: f64 = z
                .chunks(classes)
                .map(|row| {
                    let max = row.iter().copied().fold(f32::MIN, f32::max);
                    let sum: f64 = row.iter().map(|&z| f64::from(z - max).exp()).sum();
                    f64::from(max) + sum.ln()
                })
                .sum();
            let got = sum_log_sum_exp(&z, classes);
            let tolerance = 2e-6 * expected.abs().max(1.0);
            assert!(
                (got - expected).abs() <= tolerance,
                "{rows} {classes}: {got} {expected}"
            );
        }
    }
}
