//! Monotone transforms of outcomes that are far from normal.
//!
//! A stationary process with normal errors suits outcomes without long tails. A
//! [`Warp`] is fitted to the outcomes of one objective and applied *before* the
//! model: the model, its prior mean, known errors and the incumbent are then all
//! in the warped unit, where the posterior is normal and every acquisition
//! function is exact. Order is kept, so the best observation stays the best; but
//! the expected improvement of a warped outcome is not the warped expected
//! improvement, and the two need not have the same maximum: a warp changes how
//! much a large gain counts beside a likely one. Do not warp objectives of which
//! sums or hypervolumes are to mean something. [`Warp::undo`] gives mean and
//! variance in the outcomes' unit.
//!
//! With `u = (y - centre) / scale` (median, and half the distance between the
//! quartiles; outliers do not move them):
//!
//! - bilog (Eriksson and Poloczek, "Scalable constrained Bayesian optimization",
//!   AISTATS 2021, section 3): `sign(u) ln(1 + |u|)`;
//! - Yeo and Johnson, "A new family of power transformations to improve normality
//!   or symmetry", Biometrika 87 (2000), equation 2.1:
//!   `((1 + u)^a - 1) / a` for `u >= 0` and `-((1 - u)^b - 1) / b` below, with
//!   `a = lambda` and `b = 2 - lambda` (logarithms where these are zero), and
//!   `lambda` of the largest likelihood (their equation 3.1). Only `lambda` in
//!   `[0, 2]` maps the line onto the whole line, so only these are taken.

use super::Posterior;

/// A monotone map of outcomes to outcomes nearer to normal ones.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Warp {
    centre: f64,
    scale: f64,
    shape: Shape,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Shape {
    Linear,
    Bilog,
    YeoJohnson(f64),
}

/// Width at which the search for `lambda` stops: the likelihood is flat there to
/// far below what a change of model would show.
const LAMBDA_WIDTH: f64 = 1e-6;

/// Exponents nearer to zero than this are taken for the logarithm.
const LOGARITHMIC: f64 = 1e-9;

/// [`Warp::likeliest`] takes a warp only if it makes the outcomes likelier by
/// this factor (as a logarithm) than a normal density does: about the odds at
/// which a parameter more is worth it for the sample sizes of this trade.
const WORTH: f64 = 3.0;

/// The integral over a standard normal density is a sum over points so far
/// apart, up to so many deviations: exact to rounding for smooth functions.
const STEP: f64 = 0.125;

/// See [`STEP`].
const REACH: i32 = 72;

impl Warp {
    /// Outcomes as they are.
    #[must_use]
    pub fn none() -> Self {
        Self {
            centre: 0.0,
            scale: 1.0,
            shape: Shape::Linear,
        }
    }

    /// The bilog transform about the median of `y` (finite; any number of them).
    #[must_use]
    pub fn bilog(y: &[f64]) -> Self {
        let (centre, scale) = middle(y);
        Self {
            centre,
            scale,
            shape: Shape::Bilog,
        }
    }

    /// The Yeo-Johnson transform under which `y` (finite; any number of them) is
    /// most likely normal.
    #[must_use]
    pub fn yeo_johnson(y: &[f64]) -> Self {
        let (centre, scale) = middle(y);
        let with = |lambda: f64| Self {
            centre,
            scale,
            shape: Shape::YeoJohnson(lambda),
        };
        // Golden section on a likelihood with one maximum.
        let ratio = 0.5 * (5.0_f64.sqrt() - 1.0);
        let (mut low, mut high) = (0.0, 2.0);
        let mut inner = (high - ratio * (high - low), low + ratio * (high - low));
        let value = |lambda: f64| with(lambda).normal_log_likelihood(y);
        let mut values = (value(inner.0), value(inner.1));
        while high - low > LAMBDA_WIDTH {
            if values.0 >= values.1 {
                high = inner.1;
                inner = (high - ratio * (high - low), inner.0);
                values = (value(inner.0), values.0);
            } else {
                low = inner.0;
                inner = (inner.1, low + ratio * (high - low));
                values = (values.1, value(inner.1));
            }
        }
        with(0.5 * (low + high))
    }

    /// The one of the three under which `y` is most likely normal, where that
    /// makes a difference; [`Self::none`] for few or constant outcomes.
    #[must_use]
    pub fn likeliest(y: &[f64]) -> Self {
        let mut best = Self::none();
        let mut value = best.normal_log_likelihood(y) + WORTH;
        for warp in [Self::yeo_johnson(y), Self::bilog(y)] {
            let own = warp.normal_log_likelihood(y);
            if own > value {
                (best, value) = (warp, own);
            }
        }
        best
    }

    /// The warped outcome.
    #[must_use]
    pub fn apply(&self, y: f64) -> f64 {
        let u = (y - self.centre) / self.scale;
        let size = u.abs().ln_1p();
        match self.shape {
            Shape::Linear => u,
            Shape::Bilog => size.copysign(u),
            Shape::YeoJohnson(lambda) => {
                let exponent = if u < 0.0 { 2.0 - lambda } else { lambda };
                if exponent < LOGARITHMIC {
                    size.copysign(u)
                } else {
                    ((exponent * size).exp_m1() / exponent).copysign(u)
                }
            }
        }
    }

    /// The outcome whose warped value is `z`; the median of an outcome is that
    /// of its warped mean.
    #[must_use]
    pub fn invert(&self, z: f64) -> f64 {
        let u = match self.shape {
            Shape::Linear => z,
            Shape::Bilog => z.abs().exp_m1().copysign(z),
            Shape::YeoJohnson(lambda) => {
                let exponent = if z < 0.0 { 2.0 - lambda } else { lambda };
                if exponent < LOGARITHMIC {
                    z.abs().exp_m1().copysign(z)
                } else {
                    ((exponent * z.abs()).ln_1p() / exponent)
                        .exp_m1()
                        .copysign(z)
                }
            }
        };
        self.centre + self.scale * u
    }

    /// Sum over `y` of the logarithm of the map's derivative: what to add to a
    /// model's [`log_evidence`](super::GaussianProcess::log_evidence) of warped
    /// outcomes, to compare it with that of others.
    #[must_use]
    pub fn log_jacobian(&self, y: &[f64]) -> f64 {
        let derivative = |y: &f64| {
            let u = (y - self.centre) / self.scale;
            let size = u.abs().ln_1p();
            match self.shape {
                Shape::Linear => 0.0,
                Shape::Bilog => -size,
                Shape::YeoJohnson(lambda) => (lambda - 1.0) * size.copysign(u),
            }
        };
        y.iter().map(derivative).sum::<f64>() - y.len() as f64 * self.scale.ln()
    }

    /// Mean and variance of an outcome whose warped value is normal with those
    /// of `warped`.
    #[must_use]
    pub fn undo(&self, warped: Posterior) -> Posterior {
        let deviation = warped.variance.sqrt();
        let median = self.invert(warped.mean);
        let (mut weights, mut first, mut second) = (0.0, 0.0, 0.0);
        for i in -REACH..=REACH {
            let t = STEP * f64::from(i);
            let weight = (-0.5 * t * t).exp();
            let difference = self.invert(warped.mean + deviation * t) - median;
            weights += weight;
            first += weight * difference;
            second += weight * difference * difference;
        }
        let shift = first / weights;
        Posterior {
            mean: median + shift,
            variance: second / weights - shift * shift,
        }
    }

    /// `lambda` of a Yeo-Johnson transform.
    #[must_use]
    pub fn lambda(&self) -> Option<f64> {
        match self.shape {
            Shape::YeoJohnson(lambda) => Some(lambda),
            _ => None,
        }
    }

    /// Log likelihood of `y` if the warped outcomes are normal with the mean and
    /// variance that suit them best.
    fn normal_log_likelihood(&self, y: &[f64]) -> f64 {
        let n = y.len() as f64;
        let z: Vec<f64> = y.iter().map(|y| self.apply(*y)).collect();
        let mean = z.iter().sum::<f64>() / n;
        let variance = z.iter().map(|z| (z - mean).powi(2)).sum::<f64>() / n;
        if variance > 0.0 {
            self.log_jacobian(y) - 0.5 * n * (variance.ln() + 1.0)
        } else {
            f64::NEG_INFINITY
        }
    }
}

/// Median and half the distance between the quartiles; where that is zero, the
/// mean distance from the median; where that is too, 1.
fn middle(y: &[f64]) -> (f64, f64) {
    if y.is_empty() {
        return (0.0, 1.0);
    }
    let mut sorted = y.to_vec();
    sorted.sort_by(f64::total_cmp);
    let quantile = |q: f64| {
        let at = q * (sorted.len() - 1) as f64;
        let low = sorted[at.floor() as usize];
        low + (at - at.floor()) * (sorted[at.ceil() as usize] - low)
    };
    let median = quantile(0.5);
    let spread = 0.5 * (quantile(0.75) - quantile(0.25));
    let mean = y.iter().map(|y| (y - median).abs()).sum::<f64>() / y.len() as f64;
    let scale = [spread, mean]
        .into_iter()
        .find(|s| *s > 0.0 && s.is_finite())
        .unwrap_or(1.0);
    (median, scale)
}
