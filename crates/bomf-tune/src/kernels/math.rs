//! Elementary functions that the compiler can vectorise.
//!
//! The standard library's `exp` is a call a number; these are straight-line
//! arithmetic and become one SIMD instruction an operation inside a
//! `multiversion` kernel.

/// `e^x`, to 2 units in the last place; 0 below -87.3, infinity above 88.7.
///
/// `x = n ln 2 + r` with `|r| <= ln 2 / 2` (Cody and Waite's two-part `ln 2`), and
/// a least-squares polynomial of degree 6 for `e^r`, relative error 4.2e-9.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    // Rounds to the nearest integer: the sum has no bits left for fractions.
    const ROUND: f32 = 12_582_912.0; // 1.5 * 2^23
    let clamped = x.clamp(-87.336_54, 88.722_83);
    let shifted = clamped.mul_add(std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = n.mul_add(-LN2_LOW, n.mul_add(-LN2_HIGH, clamped));
    let p = 0.001_394_644_6f32;
    let p = p.mul_add(r, 0.008_369_152);
    let p = p.mul_add(r, 0.041_666_26);
    let p = p.mul_add(r, 0.166_665_17);
    let p = p.mul_add(r, 0.5);
    let p = (p * r).mul_add(r, r) + 1.0;
    // 2^n in two halves, so that n = 128 and n = -126 stay in range.
    let n = n as i32;
    let half = n >> 1;
    let scale = |k: i32| f32::from_bits(((k + 127) as u32) << 23);
    let y = p * scale(half) * scale(n - half);
    if x < -87.336_54 {
        0.0
    } else if x > 88.722_83 {
        f32::INFINITY
    } else {
        y
    }
}

/// The standard normal distribution function `Φ(x)` and density `φ(x)` at once,
/// absolute error below 2e-7.
///
/// Both need `e^{-x²/2}`; the tail is a polynomial of degree 5 in
/// `t = 1 / (1 + p |x|/√2)` (Abramowitz and Stegun 1964, 7.1.26).
#[inline(always)]
pub fn normal_cdf_pdf(x: f32) -> (f32, f32) {
    const INV_SQRT_2PI: f32 = 0.398_942_3;
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let e = exp(-z * z);
    let t = 1.0 / z.mul_add(0.327_591_1, 1.0);
    let p = 1.061_405_4f32;
    let p = p.mul_add(t, -1.453_152);
    let p = p.mul_add(t, 1.421_413_7);
    let p = p.mul_add(t, -0.284_496_72);
    let p = p.mul_add(t, 0.254_829_6);
    let tail = 0.5 * p * t * e;
    let cdf = if x < 0.0 { tail } else { 1.0 - tail };
    (cdf, INV_SQRT_2PI * e)
}

/// Hyperbolic tangent, to 3e-7 of its value or 3e-7 absolute near zero.
#[inline(always)]
pub fn tanh(x: f32) -> f32 {
    let e = exp(-2.0 * x.abs());
    let y = (1.0 - e) / (1.0 + e);
    if x < 0.0 { -y } else { y }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_agrees_with_double_precision_over_its_whole_range() {
        for i in -87_000..88_000 {
            let x = i as f32 / 1000.0;
            let (got, want) = (exp(x) as f64, (x as f64).exp());
            assert!((got / want - 1.0).abs() < 3e-7, "exp({x}) = {got}, {want}");
        }
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(-200.0), 0.0);
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp(200.0), f32::INFINITY);
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn the_normal_cdf_and_tanh_are_monotone_bounded_and_symmetric() {
        let mut last = 0.0;
        for i in -8000..=8000 {
            let x = i as f32 / 1000.0;
            let (cdf, pdf) = normal_cdf_pdf(x);
            assert!(cdf >= last - 2e-7 && (0.0..=1.0).contains(&cdf) && pdf >= 0.0);
            assert!((cdf + normal_cdf_pdf(-x).0 - 1.0).abs() < 1e-6);
            assert!((tanh(x) - (x as f64).tanh() as f32).abs() < 4e-7);
            last = cdf;
        }
    }
}
