//! The log posterior density of the hyperparameters, with its gradient.
//!
//! Rasmussen and Williams (2006), equations 5.8 and 5.9, with
//! `K = s k(r2) + noise I`, `e = z - mean`, `alpha = K^-1 e`:
//!
//! `log p = -1/2 e' alpha - 1/2 log det K - n/2 log 2 pi + log prior`,
//! `d log p / d theta = 1/2 tr((alpha alpha' - K^-1) dK/d theta) + ...`.
//!
//! Squared differences are kept once for each pair and lengthscale, the pairs
//! of the strict lower triangle in a row, so that distances and gradients are
//! plain sums over contiguous numbers.

use std::f64::consts::PI;

use faer::Mat;

use super::{Kernel, Priors};
use crate::linalg::{Cholesky, axpy, dot};

/// A data set with everything that does not depend on the hyperparameters.
pub(super) struct Evidence<'a> {
    /// `squares[l]`: squared differences for lengthscale `l`, one a pair.
    squares: Vec<Vec<f64>>,
    /// Standardised outcomes, shape `n`.
    z: &'a [f64],
    kernel: Kernel,
    priors: Priors,
}

impl<'a> Evidence<'a> {
    /// `features`: shape `n x k`; `per_dimension`: whether each has its own
    /// lengthscale.
    pub(super) fn new(
        features: &[Vec<f64>],
        z: &'a [f64],
        kernel: Kernel,
        priors: Priors,
        per_dimension: bool,
    ) -> Self {
        let n = features.len();
        let k = features.first().map_or(0, Vec::len);
        let groups = if per_dimension { k } else { 1 };
        let mut squares = vec![Vec::with_capacity(n * n.saturating_sub(1) / 2); groups];
        for i in 0..n {
            for j in 0..i {
                let difference = |c: usize| (features[i][c] - features[j][c]).powi(2);
                if per_dimension {
                    for (c, list) in squares.iter_mut().enumerate() {
                        list.push(difference(c));
                    }
                } else {
                    squares[0].push((0..k).map(difference).sum());
                }
            }
        }
        Self {
            squares,
            z,
            kernel,
            priors,
        }
    }

    /// Number of lengthscales.
    pub(super) fn lengthscales(&self) -> usize {
        self.squares.len()
    }

    /// The negative log posterior density at `v` (log lengthscales, log
    /// outputscale, log noise, mean) and its gradient; infinite where the
    /// kernel matrix cannot be factorised.
    pub(super) fn negative_log_posterior(&self, v: &[f64], gradient: &mut [f64]) -> f64 {
        let n = self.z.len();
        let p = self.lengthscales();
        let outputscale = v[p].exp();
        let noise = v[p + 1].exp();
        let mean = v[p + 2];
        let weights: Vec<f64> = v[..p].iter().map(|l| (-2.0 * l).exp()).collect();

        let pairs = n * n.saturating_sub(1) / 2;
        let mut r2 = vec![0.0; pairs];
        for (w, squares) in weights.iter().zip(&self.squares) {
            axpy(*w, squares, &mut r2);
        }
        let mut slope = vec![0.0; pairs];
        let mut k = Mat::zeros(n, n);
        let mut at = 0;
        for i in 0..n {
            for j in 0..i {
                let (value, derivative) = self.kernel.value_and_derivative(r2[at]);
                k[(i, j)] = outputscale * value;
                slope[at] = outputscale * derivative;
                at += 1;
            }
            k[(i, i)] = outputscale + noise;
        }
        let Ok(factor) = Cholesky::new(&k) else {
            return f64::INFINITY;
        };
        let error: Vec<f64> = self.z.iter().map(|z| z - mean).collect();
        let mut alpha = error.clone();
        factor.solve(&mut alpha);
        let inverse = factor.inverse();
        let log_likelihood =
            -0.5 * (dot(&error, &alpha) + factor.log_det() + n as f64 * (2.0 * PI).ln());

        // With A = alpha alpha' - K^-1: the trace over a symmetric dK is twice
        // the sum over the strict lower triangle plus the diagonal.
        let mut trace_k = 0.0;
        let mut trace = 0.0;
        at = 0;
        for i in 0..n {
            for j in 0..i {
                let a = alpha[i] * alpha[j] - inverse[(i, j)];
                trace_k += a * k[(i, j)];
                slope[at] *= a;
                at += 1;
            }
            trace += alpha[i] * alpha[i] - inverse[(i, i)];
        }
        for l in 0..p {
            // d r2 / d log l = -2 square / l^2.
            gradient[l] = -2.0 * weights[l] * dot(&slope, &self.squares[l]);
        }
        gradient[p] = trace_k + 0.5 * outputscale * trace;
        gradient[p + 1] = 0.5 * noise * trace;
        gradient[p + 2] = alpha.iter().sum();

        let mut log_prior = 0.0;
        let mut add = |at: usize, (value, derivative): (f64, f64)| {
            log_prior += value;
            gradient[at] += derivative;
        };
        for (l, log_length) in v[..p].iter().enumerate() {
            add(l, self.priors.lengthscale.log_density(*log_length));
        }
        if let Some(prior) = self.priors.outputscale {
            add(p, prior.log_density(v[p]));
        }
        add(p + 1, self.priors.noise.log_density(v[p + 1]));
        let scaled = mean / self.priors.mean_scale;
        add(
            p + 2,
            (-0.5 * scaled * scaled, -scaled / self.priors.mean_scale),
        );

        gradient.iter_mut().for_each(|g| *g = -*g);
        -(log_likelihood + log_prior)
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};

    use super::*;

    #[test]
    fn gradient_against_differences() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(3);
        let x: Vec<Vec<f64>> = (0..12)
            .map(|_| (0..3).map(|_| rng.random()).collect())
            .collect();
        let z: Vec<f64> = x.iter().map(|x| (5.0 * x[0]).sin() + x[1]).collect();
        for kernel in [Kernel::Matern52, Kernel::Rbf] {
            for per_dimension in [true, false] {
                let e = Evidence::new(&x, &z, kernel, Priors::scaled(3.0), per_dimension);
                let p = e.lengthscales();
                let mut v: Vec<f64> = (0..p).map(|i| -0.5 + 0.3 * i as f64).collect();
                v.extend([0.2, -4.0, 0.3]);
                let mut gradient = vec![0.0; v.len()];
                e.negative_log_posterior(&v, &mut gradient);
                let mut unused = gradient.clone();
                for i in 0..v.len() {
                    let h = 1e-5;
                    let mut at = |step: f64| {
                        let mut v = v.clone();
                        v[i] += step;
                        e.negative_log_posterior(&v, &mut unused)
                    };
                    let numeric = (at(h) - at(-h)) / (2.0 * h);
                    assert!(
                        (numeric - gradient[i]).abs() < 1e-6 * (1.0 + numeric.abs()),
                        "{kernel:?} {per_dimension} {i}: {numeric} {}",
                        gradient[i]
                    );
                }
            }
        }
    }
}
