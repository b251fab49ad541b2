//! Quasi-random standard normal numbers.
//!
//! Scrambled Sobol points through the inverse of the normal distribution
//! function: integrals of smooth functions converge nearly like `1 / S` instead
//! of `1 / sqrt(S)` (Owen, "Scrambling Sobol' and Niederreiter-Xing points",
//! J. Complexity 14, 1998; in Bayesian optimisation: Balandat et al., "BoTorch",
//! NeurIPS 2020, section 3). The inverse is algorithm PPND16 of Wichura, "The
//! percentage points of the normal distribution", Applied Statistics 37 (1988),
//! AS 241.

use rand::Rng;

use super::ScrambledSobol;

/// Half the spacing of the 24-bit Sobol coordinates: moves zero off the end.
const HALF_STEP: f64 = 1.0 / (1 << 25) as f64;

/// `count x dim` numbers by rows, each column standard normal, from a Sobol
/// sequence scrambled by `rng`.
pub fn sobol_normals<R: Rng + ?Sized>(count: usize, dim: usize, rng: &mut R) -> Vec<f64> {
    let mut sobol = ScrambledSobol::new(dim, rng);
    (0..count)
        .flat_map(|_| sobol.next_point())
        .map(|u| normal_quantile(u + HALF_STEP))
        .collect()
}

/// Below this distance from one half the central approximation holds.
const CENTRE: f64 = 0.425;

/// Where the two approximations of the tail meet, in `sqrt(-ln p)`.
const FAR: f64 = 5.0;

/// The `z` with `Phi(z) = p`, to about 16 digits; infinite at 0 and 1, NaN
/// outside `[0, 1]`.
#[must_use]
pub fn normal_quantile(p: f64) -> f64 {
    let q = p - 0.5;
    if q.abs() <= CENTRE {
        let r = CENTRE * CENTRE - q * q;
        return q * polynomial(&A, r) / polynomial(&B, r);
    }
    let tail = if q < 0.0 { p } else { 1.0 - p };
    if tail == 0.0 {
        return f64::INFINITY.copysign(q);
    }
    let r = (-tail.ln()).sqrt();
    let z = if r <= FAR {
        polynomial(&C, r - 1.6) / polynomial(&D, r - 1.6)
    } else {
        polynomial(&E, r - FAR) / polynomial(&F, r - FAR)
    };
    z.copysign(q)
}

/// `c_0 + c_1 x + ..`.
fn polynomial(c: &[f64; 8], x: f64) -> f64 {
    c.iter().rev().fold(0.0, |sum, c| sum * x + c)
}

// The coefficients of AS 241, numerators and denominators of the centre, the
// tail and the far tail.
const A: [f64; 8] = [
    3.387_132_872_796_366_5,
    1.331_416_678_917_843_8e2,
    1.971_590_950_306_551_3e3,
    1.373_169_376_550_946e4,
    4.592_195_393_154_987e4,
    6.726_577_092_700_87e4,
    3.343_057_558_358_813e4,
    2.509_080_928_730_122_7e3,
];
const B: [f64; 8] = [
    1.0,
    4.231_333_070_160_091e1,
    6.871_870_074_920_579e2,
    5.394_196_021_424_751e3,
    2.121_379_430_158_659_7e4,
    3.930_789_580_009_271e4,
    2.872_908_573_572_194_3e4,
    5.226_495_278_852_854e3,
];
const C: [f64; 8] = [
    1.423_437_110_749_683_5,
    4.630_337_846_156_546,
    5.769_497_221_460_691,
    3.647_848_324_763_204_5,
    1.270_458_252_452_368_4,
    2.417_807_251_774_506e-1,
    2.272_384_498_926_918_4e-2,
    7.745_450_142_783_414e-4,
];
const D: [f64; 8] = [
    1.0,
    2.053_191_626_637_759,
    1.676_384_830_183_803_8,
    6.897_673_349_851e-1,
    1.481_039_764_274_800_8e-1,
    1.519_866_656_361_645_7e-2,
    5.475_938_084_995_345e-4,
    1.050_750_071_644_416_9e-9,
];
const E: [f64; 8] = [
    6.657_904_643_501_103,
    5.463_784_911_164_114,
    1.784_826_539_917_291_3,
    2.965_605_718_285_048_7e-1,
    2.653_218_952_657_612_4e-2,
    1.242_660_947_388_078_4e-3,
    2.711_555_568_743_487_6e-5,
    2.010_334_399_292_288_1e-7,
];
const F: [f64; 8] = [
    1.0,
    5.998_322_065_558_88e-1,
    1.369_298_809_227_358e-1,
    1.487_536_129_085_061_5e-2,
    7.868_691_311_456_133e-4,
    1.846_318_317_510_054_8e-5,
    1.421_511_758_316_446e-7,
    2.044_263_103_389_939_8e-15,
];

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;
    use crate::acquisition::normal::{cumulative, log_cumulative};

    #[test]
    fn quantile_is_the_inverse_of_the_distribution_function() {
        for k in 1..200 {
            let p = f64::from(k) / 200.0;
            assert!((cumulative(normal_quantile(p)) - p).abs() < 1e-15, "{p}");
        }
        // In the tail the logarithm has a slope of |z| <= 27: 16 digits of z.
        for log_p in [-3.0_f64, -8.0, -20.0, -30.0, -100.0, -300.0] {
            let z = normal_quantile(log_p.exp());
            assert!((log_cumulative(z) - log_p).abs() < 1e-13 * log_p.abs());
        }
        assert_eq!(normal_quantile(0.5), 0.0);
        assert_eq!(normal_quantile(0.0), f64::NEG_INFINITY);
        assert_eq!(normal_quantile(1.0), f64::INFINITY);
        assert!(normal_quantile(1.5).is_nan());
    }

    #[test]
    fn few_quasi_random_normals_have_the_moments_of_many_random_ones() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        let (count, dim) = (256, 5);
        let z = sobol_normals(count, dim, &mut rng);
        for j in 0..dim {
            let column = || z.iter().skip(j).step_by(dim);
            let mean = column().sum::<f64>() / count as f64;
            let square = column().map(|v| v * v).sum::<f64>() / count as f64;
            // Of 256 random normals, 0.06 and 0.09 would be one standard error.
            assert!(mean.abs() < 0.01, "{mean}");
            assert!((square - 1.0).abs() < 0.03, "{square}");
        }
    }
}
