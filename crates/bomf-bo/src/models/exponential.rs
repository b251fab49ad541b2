//! An exponential function that compilers vectorise.
//!
//! A kernel matrix is mostly exponentials, and a call into the C library for
//! each keeps the loop from vector registers. Here `exp(x) = 2^k exp(r)` with
//! `k = round(x / ln 2)` and `r = x - k ln 2`, `|r| <= ln 2 / 2`, in two parts of
//! `ln 2` (Cody and Waite 1980, chapter 6), and a Taylor polynomial for
//! `exp(r)`, whose remainder after `r^13` is below `5e-18`; there is no branch
//! and no table. The result is within two units in the last place.

/// `1.5 * 2^52`: added to a small number it leaves the nearest integer in the
/// low bits of the sum.
const SHIFT: f64 = 6_755_399_441_055_744.0;

/// The high bits of `ln 2`, few enough that their product with `k` is exact.
const LN_2_HIGH: f64 = f64::from_bits(0x3fe6_2e42_fee0_0000);

/// `ln 2 - LN_2_HIGH`.
const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;

/// Smaller arguments count as this one, whose exponential is about `3e-308`:
/// nothing beside a kernel's other values, and no denormal.
const LOWEST: f64 = -708.0;

/// Larger arguments count as this one: beyond it the result overflows.
const HIGHEST: f64 = 709.0;

/// `1 / i!`.
const INVERSE_FACTORIALS: [f64; 14] = {
    let mut all = [1.0; 14];
    let mut product = 1.0;
    let mut i = 2;
    while i < 14 {
        product *= i as f64;
        all[i] = 1.0 / product;
        i += 1;
    }
    all
};

/// `exp(x)`, with `x` taken to the nearest number in `[-708, 709]`; NaN of
/// NaN.
#[inline(always)]
pub(crate) fn exp(x: f64) -> f64 {
    let x = x.clamp(LOWEST, HIGHEST);
    let shifted = x * std::f64::consts::LOG2_E + SHIFT;
    let k = shifted - SHIFT;
    let r = (x - k * LN_2_HIGH) - k * LN_2_LOW;
    // In pairs and pairs of pairs (Estrin 1960): few steps wait for each other.
    const C: [f64; 14] = INVERSE_FACTORIALS;
    let r2 = r * r;
    let r4 = r2 * r2;
    let low = (C[4] + C[5] * r) + (C[6] + C[7] * r) * r2;
    let high = (C[8] + C[9] * r) + (C[10] + C[11] * r) * r2 + (C[12] + C[13] * r) * r4;
    // The leading terms are added last and smallest first, for the last bit.
    let rest = C[2] * r2 + (C[3] * r2) * r + r4 * (low + high * r4);
    let polynomial = 1.0 + (r + rest);
    let power = f64::from_bits(shifted.to_bits().wrapping_add(1023) << 52);
    polynomial * power
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two units in the last place of a number just above a power of two.
    const TWO_ULPS: f64 = 2.0 * f64::EPSILON;

    #[test]
    fn as_the_library_within_two_units() {
        let mut worst = 0.0_f64;
        // Steps that share no factor with ln 2 or with each other.
        for i in 0..200_000 {
            for x in [
                -708.0 + f64::from(i) * 0.007_084_123,
                -1.0 + f64::from(i) * 1.000_3e-5,
                f64::from(i) * -1.37e-9,
            ] {
                worst = worst.max((exp(x) / x.exp() - 1.0).abs());
            }
        }
        assert!(worst <= TWO_ULPS, "{worst:e}");
    }

    #[test]
    fn exact_at_zero_and_clipped_beyond_its_range() {
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(-0.0), 1.0);
        for x in [-708.5, -1e3, -1e300, f64::NEG_INFINITY] {
            assert_eq!(exp(x), exp(LOWEST));
        }
        assert!(exp(LOWEST) > 0.0 && exp(LOWEST) < 1e-307);
        assert!(exp(f64::NAN).is_nan());
        assert!(exp(f64::INFINITY).is_finite() && exp(HIGHEST) > 1e307);
    }
}
