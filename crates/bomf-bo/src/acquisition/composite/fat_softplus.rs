//! A smooth `max(0, y)` whose logarithm never falls off a cliff.
//!
//! `tau (ln(1 + e^t) + c / (1 + t^2))`, `t = y / tau`: the softplus with a tail
//! that falls as `1 / t^2` (Ament et al., "Unexpected improvements to expected
//! improvement for Bayesian optimization", NeurIPS 2023, appendix A.4), so that
//! draws without improvement still tell which of them is nearer to one.

/// Weight of the tail, as in that paper: below 0.11 the sum is increasing.
const TAIL: f64 = 0.1;

/// From here on `e^-t` is nothing against `t`.
const LINEAR: f64 = 40.0;

/// `ln` of the function at `y`, and the derivative of that in `y`; `tau > 0`.
pub(in crate::acquisition) fn log_fat_softplus(y: f64, tau: f64) -> (f64, f64) {
    let t = y / tau;
    let (soft, slope) = if t > LINEAR {
        (t, 1.0)
    } else {
        let e = t.exp();
        (e.ln_1p(), e / (1.0 + e))
    };
    let width = (1.0 + t * t).recip();
    let value = soft + TAIL * width;
    let derivative = slope - 2.0 * TAIL * t * width * width;
    ((tau * value).ln(), derivative / (value * tau))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derivative_against_differences_and_increasing() {
        let mut last = f64::NEG_INFINITY;
        for i in -4000..4000 {
            let y = f64::from(i) * 0.005;
            let (value, derivative) = log_fat_softplus(y, 0.3);
            assert!(value > last, "{y}");
            last = value;
            let h = 1e-6;
            let numeric =
                (log_fat_softplus(y + h, 0.3).0 - log_fat_softplus(y - h, 0.3).0) / (2.0 * h);
            assert!((numeric - derivative).abs() < 1e-6, "{y}");
        }
    }

    #[test]
    fn far_values_are_the_plain_positive_part() {
        assert!((log_fat_softplus(2.0, 1e-3).0 - 2.0_f64.ln()).abs() < 1e-6);
        let (value, derivative) = log_fat_softplus(-1e3, 1e-3);
        assert!(value.is_finite() && value < -30.0 && derivative > 0.0);
    }
}
