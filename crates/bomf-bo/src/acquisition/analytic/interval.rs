//! The expected part of an interval that a normal variable covers.
//!
//! For `Y ~ N(mu, sigma^2)` and an interval `[l, u]`, `u` possibly infinite,
//! `D = E[max(0, min(Y, u) - l)] = psi(l) - psi(u)` with
//! `psi(a) = E[max(0, Y - a)] = sigma h((mu - a) / sigma)`: one factor of the
//! expected hypervolume improvement (Yang, Emmerich, Deutz and Bäck 2019,
//! equations 18 and 19). Derivatives: `dD/dmu = Phi(z_l) - Phi(z_u)`,
//! `dD/dsigma = phi(z_l) - phi(z_u)`, with `z_a = (mu - a) / sigma`.

use crate::acquisition::normal::{
    cumulative, log_cumulative, log_density, log_h, log_h_with_ratios,
};

/// An interval this narrow, relative to `sigma / (1 + |z|)`, is replaced by its
/// midpoint: the error is a 24th of the square of that, and the difference of
/// two `psi` would lose as many digits as it is narrow.
const NARROW: f64 = 1e-4;

/// `ln D` with its derivatives.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::acquisition) struct LogCover {
    pub(in crate::acquisition) value: f64,
    /// `d ln D / d mu`.
    pub(in crate::acquisition) by_mean: f64,
    /// `d ln D / d sigma`.
    pub(in crate::acquisition) by_sigma: f64,
}

/// `ln D` alone.
pub(super) fn log_cover_value(mean: f64, sigma: f64, lower: f64, upper: f64) -> f64 {
    let zl = (mean - lower) / sigma;
    if upper == f64::INFINITY {
        return sigma.ln() + log_h(zl);
    }
    let zu = (mean - upper) / sigma;
    let width = upper - lower;
    let middle = 0.5 * (zl + zu);
    if (zl - zu) * (1.0 + middle.abs()) < NARROW {
        return width.ln() + log_cumulative(middle);
    }
    if zu > 0.0 {
        return (width + sigma * (log_h(-zl).exp() - log_h(-zu).exp())).ln();
    }
    let (a, b) = (log_h(zl), log_h(zu));
    sigma.ln() + a + (-(b - a).exp()).ln_1p()
}

/// `ln D` with its derivatives in `mu` and `sigma`.
pub(in crate::acquisition) fn log_cover(mean: f64, sigma: f64, lower: f64, upper: f64) -> LogCover {
    let zl = (mean - lower) / sigma;
    if upper == f64::INFINITY {
        let (log, by_mean, by_sigma) = log_h_with_ratios(zl);
        return LogCover {
            value: sigma.ln() + log,
            by_mean: by_mean / sigma,
            by_sigma: by_sigma / sigma,
        };
    }
    let zu = (mean - upper) / sigma;
    let width = upper - lower;
    let middle = 0.5 * (zl + zu);
    if (zl - zu) * (1.0 + middle.abs()) < NARROW {
        // D = integral over [l, u] of Phi((mu - a) / sigma).
        let log = log_cumulative(middle);
        let ratio = (log_density(middle) - log).exp() / sigma;
        return LogCover {
            value: width.ln() + log,
            by_mean: ratio,
            by_sigma: -middle * ratio,
        };
    }
    if zu > 0.0 {
        // Nearly all is covered: count what is not.
        let cover = width + sigma * (log_h(-zl).exp() - log_h(-zu).exp());
        let by_mean = cumulative(-zu) - cumulative(-zl);
        let by_sigma = log_density(zl).exp() - log_density(zu).exp();
        return LogCover {
            value: cover.ln(),
            by_mean: by_mean / cover,
            by_sigma: by_sigma / cover,
        };
    }
    let (a, cumulative_l, density_l) = log_h_with_ratios(zl);
    let (b, cumulative_u, density_u) = log_h_with_ratios(zu);
    // D = sigma h_l (1 - r), r = h_u / h_l.
    let r = (b - a).exp();
    let rest = -(b - a).exp_m1();
    LogCover {
        value: sigma.ln() + a + (-r).ln_1p(),
        by_mean: (cumulative_l - r * cumulative_u) / (rest * sigma),
        by_sigma: (density_l - r * density_u) / (rest * sigma),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `D` by the trapezoid rule on the survival function.
    fn numeric(mean: f64, sigma: f64, lower: f64, upper: f64) -> f64 {
        let n = 20_000;
        let h = (upper - lower) / f64::from(n);
        (0..=n)
            .map(|i| {
                let weight = if i == 0 || i == n { 0.5 } else { 1.0 };
                weight * h * cumulative((mean - (lower + h * f64::from(i))) / sigma)
            })
            .sum()
    }

    #[test]
    fn value_against_quadrature() {
        for (mean, sigma, lower, upper) in [
            (0.0, 1.0, -1.0, 2.0),
            (5.0, 0.7, 0.0, 1.0),
            (0.3, 2.0, 0.5, 0.6),
            (-2.0, 0.5, -1.0, 1.0),
            (0.2, 0.1, 0.0, 0.5),
        ] {
            let expected = numeric(mean, sigma, lower, upper).ln();
            let found = log_cover(mean, sigma, lower, upper).value;
            assert!(
                (found - expected).abs() < 1e-6,
                "{mean} {sigma} {lower} {upper}: {found} {expected}"
            );
        }
    }

    #[test]
    fn derivatives_against_differences() {
        let infinite = f64::INFINITY;
        for (mean, sigma, lower, upper) in [
            (0.0, 1.0, -1.0, 2.0),
            (0.0, 1.0, 1.0, infinite),
            (5.0, 0.7, 0.0, 1.0),
            (50.0, 0.7, 0.0, 1.0),
            (0.3, 2.0, 0.5, 0.500_01),
            (-8.0, 0.5, -1.0, 1.0),
            (-40.0, 0.5, -1.0, infinite),
            (-40.0, 0.5, -1.0, -0.9),
            (0.2, 0.1, 0.0, 0.5),
        ] {
            let c = log_cover(mean, sigma, lower, upper);
            assert!((c.value - log_cover_value(mean, sigma, lower, upper)).abs() < 1e-12);
            let step = 1e-6 * sigma;
            let at = |dm: f64, ds: f64| log_cover_value(mean + dm, sigma + ds, lower, upper);
            let by_mean = (at(step, 0.0) - at(-step, 0.0)) / (2.0 * step);
            let by_sigma = (at(0.0, step) - at(0.0, -step)) / (2.0 * step);
            // Differences of values near 3,000 are good to some 1e-7 of that.
            let tolerance = 1e-6 * (1.0 + c.value.abs());
            assert!((c.by_mean - by_mean).abs() < tolerance * (1.0 + by_mean.abs()));
            assert!((c.by_sigma - by_sigma).abs() < tolerance * (1.0 + by_sigma.abs()));
        }
    }

    #[test]
    fn branches_meet() {
        // Just narrow enough for the midpoint, and just not.
        for z in [-30.0_f64, -3.0, 0.0, 2.0] {
            let width = NARROW / (1.0 + z.abs());
            let a = log_cover(z, 1.0, -width * 0.4999, width * 0.4999);
            let b = log_cover(z, 1.0, -width * 0.5001, width * 0.5001);
            let scale = (0.5001_f64 / 0.4999).ln();
            assert!((b.value - a.value - scale).abs() < 1e-8, "{z}");
            assert!((b.by_mean - a.by_mean).abs() < 1e-6 * (1.0 + a.by_mean.abs()));
            assert!((b.by_sigma - a.by_sigma).abs() < 1e-6 * (1.0 + a.by_sigma.abs()));
        }
    }
}
