//! The log posterior density of the hyperparameters, with its gradient.
//!
//! Rasmussen and Williams (2006), equations 5.8 and 5.9, with
//! `K = s k(r2) + noise U + V` (`U` is the identity on the observations whose
//! noise is learned, `V` the known variances), `e = z - mean`, `alpha = K^-1 e`:
//!
//! `log p = -1/2 e' alpha - 1/2 log det K - n/2 log 2 pi + log prior`,
//! `d log p / d theta = 1/2 tr((alpha alpha' - K^-1) dK/d theta) + ...`.
//!
//! Pairs are the strict lower triangles of matrices by columns, so that every
//! loop runs over contiguous numbers; their memory is kept from one evaluation
//! to the next.

use std::f64::consts::PI;

use faer::Mat;

use super::data::Observed;
use super::{Kernel, Priors};
use crate::linalg::{Cholesky, Workspace, dot};

/// A data set with everything that does not depend on the hyperparameters, and
/// room for what does.
pub(super) struct Evidence<'a> {
    data: &'a Observed,
    /// Which lengthscale each coordinate has.
    groups: &'a [usize],
    kernel: Kernel,
    priors: &'a Priors,
    /// Squared distances without lengthscale, where there is only one.
    squares: Option<Mat<f64>>,
    k: Mat<f64>,
    /// Squared distances, then derivatives in them.
    slopes: Mat<f64>,
    inverse: Mat<f64>,
    factor: Cholesky,
    workspace: Workspace,
    /// Sums over pairs, one a coordinate.
    sums: Vec<f64>,
}

impl<'a> Evidence<'a> {
    /// `groups`: of each coordinate, from 0, without gaps.
    pub(super) fn new(
        data: &'a Observed,
        groups: &'a [usize],
        kernel: Kernel,
        priors: &'a Priors,
    ) -> Self {
        let n = data.z.len();
        let mut this = Self {
            data,
            groups,
            kernel,
            priors,
            squares: None,
            k: Mat::zeros(n, n),
            slopes: Mat::zeros(n, n),
            inverse: Mat::zeros(n, n),
            factor: Cholesky::of_size(n),
            workspace: Workspace::default(),
            sums: vec![0.0; groups.len()],
        };
        if this.lengthscales() == 1 {
            this.fill_distances(&vec![1.0; groups.len()]);
            this.squares = Some(this.slopes.clone());
        }
        this
    }

    /// Number of lengthscales.
    pub(super) fn lengthscales(&self) -> usize {
        self.groups.iter().max().map_or(0, |g| g + 1)
    }

    /// Squared distances with `weights` (one a coordinate) into `slopes`.
    fn fill_distances(&mut self, weights: &[f64]) {
        for j in 0..self.data.points.len() {
            let own = &mut self.slopes.col_as_slice_mut(j)[j + 1..];
            let query = self.data.points.point(j);
            self.data
                .points
                .squared_distances(weights, &query, j + 1, own);
        }
    }

    /// The negative log posterior density at `v` (log lengthscales, log
    /// outputscale, log noise, mean, and the log of the shrinkage's global
    /// scale if there is one) and its gradient; infinite where the kernel matrix
    /// cannot be factorised.
    pub(super) fn negative_log_posterior(&mut self, v: &[f64], gradient: &mut [f64]) -> f64 {
        let n = self.data.z.len();
        let p = self.lengthscales();
        let outputscale = v[p].exp();
        let noise = v[p + 1].exp();
        let mean = v[p + 2];
        let weights: Vec<f64> = v[..p].iter().map(|l| (-2.0 * l).exp()).collect();

        if self.squares.is_none() {
            let each: Vec<f64> = self.groups.iter().map(|g| weights[*g]).collect();
            self.fill_distances(&each);
        }
        for j in 0..n {
            let slopes = &mut self.slopes.col_as_slice_mut(j)[j + 1..];
            if let Some(squares) = &self.squares {
                let own = &squares.col_as_slice(j)[j + 1..];
                for (r2, square) in slopes.iter_mut().zip(own) {
                    *r2 = weights[0] * square;
                }
            }
            let values = &mut self.k.col_as_slice_mut(j)[j..];
            values[0] = outputscale + self.data.noise.variance(j, noise);
            self.kernel
                .values_and_derivatives(outputscale, slopes, &mut values[1..]);
        }
        if self
            .factor
            .refactorise(&self.k, &mut self.workspace)
            .is_err()
        {
            return f64::INFINITY;
        }
        let error: Vec<f64> = self.data.z.iter().map(|z| z - mean).collect();
        let mut alpha = error.clone();
        self.factor.solve(&mut alpha);
        let log_det = self.factor.log_det();
        let log_likelihood = -0.5 * (dot(&error, &alpha) + log_det + n as f64 * (2.0 * PI).ln());
        self.factor
            .inverse_into(&mut self.inverse, &mut self.workspace);

        // With A = alpha alpha' - K^-1: the trace over a symmetric dK is twice
        // the sum over the strict lower triangle plus the diagonal.
        let mut trace_k = 0.0;
        let mut trace = 0.0;
        let mut trace_noise = 0.0;
        let mut isotropic = 0.0;
        self.sums.fill(0.0);
        for j in 0..n {
            let inverse = &self.inverse.col_as_slice(j)[j..];
            let slopes = &mut self.slopes.col_as_slice_mut(j)[j + 1..];
            let own = alpha[j] * alpha[j] - inverse[0];
            trace += own;
            if self.data.noise.learned[j] {
                trace_noise += own;
            }
            let values = &self.k.col_as_slice(j)[j + 1..];
            trace_k += weigh(alpha[j], &alpha[j + 1..], &inverse[1..], values, slopes);
            if let Some(squares) = &self.squares {
                isotropic += dot(slopes, &squares.col_as_slice(j)[j + 1..]);
            } else {
                let query = self.data.points.point(j);
                self.data
                    .points
                    .add_weighted_squares(slopes, &query, j + 1, &mut self.sums);
            }
        }
        // d r2 / d log l = -2 square / l^2.
        gradient.fill(0.0);
        if self.squares.is_some() {
            gradient[0] = -2.0 * weights[0] * isotropic;
        } else {
            for (g, sum) in self.groups.iter().zip(&self.sums) {
                gradient[*g] -= 2.0 * weights[*g] * sum;
            }
        }
        gradient[p] = trace_k + 0.5 * outputscale * trace;
        gradient[p + 1] = 0.5 * noise * trace_noise;
        gradient[p + 2] = alpha.iter().sum();

        let log_prior = self.priors.add_log_density(v, p, gradient);
        gradient.iter_mut().for_each(|g| *g = -*g);
        -(log_likelihood + log_prior)
    }
}

/// Multiplies `slopes` by `a_i = alpha_j alpha_i - inverse_i`, and returns
/// `sum_i a_i values_i`.
#[multiversion::multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
fn weigh(alpha_j: f64, alpha: &[f64], inverse: &[f64], values: &[f64], slopes: &mut [f64]) -> f64 {
    const LANES: usize = 8;
    let n = slopes.len();
    let mut lanes = [0.0; LANES];
    let whole = n - n % LANES;
    for i in (0..whole).step_by(LANES) {
        let alpha: &[f64] = &alpha[i..i + LANES];
        let inverse = &inverse[i..i + LANES];
        let values = &values[i..i + LANES];
        let slopes = &mut slopes[i..i + LANES];
        for k in 0..LANES {
            let a = alpha_j * alpha[k] - inverse[k];
            lanes[k] += a * values[k];
            slopes[k] *= a;
        }
    }
    let mut sum: f64 = lanes.iter().sum();
    for i in whole..n {
        let a = alpha_j * alpha[i] - inverse[i];
        sum += a * values[i];
        slopes[i] *= a;
    }
    sum
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};

    use super::*;
    use crate::models::Shrinkage;
    use crate::models::coordinates::Coordinates;
    use crate::models::data::Noise;

    /// A step at which truncation and rounding of a central difference of
    /// numbers near 10 are both about `1e-9`.
    const STEP: f64 = 1e-5;

    #[test]
    fn gradient_against_differences() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(3);
        let x: Vec<Vec<f64>> = (0..12)
            .map(|_| (0..3).map(|_| rng.random()).collect())
            .collect();
        let z: Vec<f64> = x.iter().map(|x| (5.0 * x[0]).sin() + x[1]).collect();
        let data = |noise: Noise| Observed {
            prior: vec![0.0; z.len()],
            points: Coordinates::new(&x),
            z: z.clone(),
            noise,
        };
        let all = data(Noise::learned(12));
        let mixed = data(Noise {
            known: (0..12).map(|i| 0.01 * f64::from(i % 3)).collect(),
            learned: (0..12).map(|i| i % 3 == 0).collect(),
        });
        let plain = Priors::scaled(3.0);
        let saas = Priors {
            shrinkage: Some(Shrinkage::default()),
            ..plain
        };
        for kernel in [Kernel::Matern52, Kernel::Rbf] {
            for groups in [[0, 1, 2], [0, 0, 0], [0, 1, 1]] {
                for (data, priors) in [(&all, &plain), (&mixed, &plain), (&mixed, &saas)] {
                    let mut e = Evidence::new(data, &groups, kernel, priors);
                    let p = e.lengthscales();
                    let mut v: Vec<f64> = (0..p).map(|i| -0.5 + 0.3 * i as f64).collect();
                    v.extend([0.2, -4.0, 0.3]);
                    if priors.shrinkage.is_some() {
                        v.push(-1.3);
                    }
                    let mut gradient = vec![0.0; v.len()];
                    e.negative_log_posterior(&v, &mut gradient);
                    let mut unused = gradient.clone();
                    for i in 0..v.len() {
                        let mut at = |step: f64| {
                            let mut v = v.clone();
                            v[i] += step;
                            e.negative_log_posterior(&v, &mut unused)
                        };
                        let numeric = (at(STEP) - at(-STEP)) / (2.0 * STEP);
                        assert!(
                            (numeric - gradient[i]).abs() < 1e-6 * (1.0 + numeric.abs()),
                            "{kernel:?} {groups:?} {i}: {numeric} {}",
                            gradient[i]
                        );
                    }
                }
            }
        }
    }
}
