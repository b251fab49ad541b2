//! A prior under which most inputs do not matter.
//!
//! Eriksson and Jankowiak, "High-dimensional Bayesian optimization with sparse
//! axis-aligned subspaces", UAI 2021, section 4.1: the inverse squared
//! lengthscales `rho_i = 1 / l_i^2` are `HalfCauchy(tau)`, their common scale
//! `tau` is `HalfCauchy(alpha)`. There the posterior is sampled; here its
//! largest density is taken, in the *logarithms* of `rho` and `tau`: in these
//! the density is bounded (in `rho` and `tau` themselves it grows without end
//! as both go to zero), and with `t = ln(rho / tau)` it is
//! `1 / (pi cosh t)`, so that every derivative is a hyperbolic tangent.

use std::f64::consts::PI;

/// The half-Cauchy hierarchy over lengthscales.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Shrinkage {
    /// Scale `alpha` of the global scale `tau`: the smaller, the fewer inputs
    /// matter a priori.
    pub scale: f64,
}

impl Default for Shrinkage {
    /// `alpha = 0.1`, as in the paper.
    fn default() -> Self {
        Self { scale: 0.1 }
    }
}

impl Shrinkage {
    /// Log density of `ln rho_i` (given by `log_lengthscales`, `ln l_i`) and
    /// `ln tau` together.
    #[must_use]
    pub fn log_density(&self, log_lengthscales: &[f64], log_tau: f64) -> f64 {
        let mut unused = vec![0.0; log_lengthscales.len()];
        self.add_log_density(log_lengthscales, log_tau, &mut unused, &mut [0.0])
    }

    /// As [`Self::log_density`]; the gradient in `ln l` is added to `by_length`
    /// (as many) and that in `ln tau` to `by_tau` (one).
    pub(super) fn add_log_density(
        &self,
        log_lengthscales: &[f64],
        log_tau: f64,
        by_length: &mut [f64],
        by_tau: &mut [f64],
    ) -> f64 {
        let mut total = log_sech(log_tau - self.scale.ln());
        by_tau[0] -= (log_tau - self.scale.ln()).tanh();
        for (log_length, gradient) in log_lengthscales.iter().zip(by_length) {
            let t = -2.0 * log_length - log_tau;
            total += log_sech(t);
            *gradient += 2.0 * t.tanh();
            by_tau[0] += t.tanh();
        }
        total
    }
}

/// `ln(1 / (pi cosh t))`.
fn log_sech(t: f64) -> f64 {
    let size = t.abs();
    std::f64::consts::LN_2 - PI.ln() - size - (-2.0 * size).exp().ln_1p()
}
