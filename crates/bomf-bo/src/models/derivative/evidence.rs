//! The log posterior density of the hyperparameters, with its gradient.
//!
//! As for values alone (Rasmussen and Williams 2006, equations 5.8 and 5.9), on
//! the joint kernel matrix; the gradient goes through the four sums of each
//! pair of rows (`rows`), whose terms are kept for each lengthscale.

use std::f64::consts::PI;

use faer::Mat;

use super::rows::{Row, Sums, covariance_and_partials, terms};
use crate::linalg::{Cholesky, dot};
use crate::models::{Kernel, Priors};

/// Rows and outcomes with everything that does not depend on the
/// hyperparameters.
pub(super) struct Evidence<'a> {
    rows: &'a [Row],
    /// Standardised outcomes, values first.
    z: &'a [f64],
    /// `[l][pair]`: the terms of the four sums, of the pairs `j <= i`, for
    /// lengthscale `l`.
    terms: Vec<Vec<Sums>>,
    kernel: Kernel,
    priors: Priors,
}

impl<'a> Evidence<'a> {
    pub(super) fn new(
        rows: &'a [Row],
        z: &'a [f64],
        kernel: Kernel,
        priors: Priors,
        per_dimension: bool,
    ) -> Self {
        let k = rows.first().map_or(0, |r| r.at.len());
        let groups = if per_dimension { k } else { 1 };
        let pairs = rows.len() * (rows.len() + 1) / 2;
        let mut lists = vec![Vec::with_capacity(pairs); groups];
        for (i, row) in rows.iter().enumerate() {
            for other in &rows[..=i] {
                if per_dimension {
                    for (c, list) in lists.iter_mut().enumerate() {
                        list.push(terms(row, other, c));
                    }
                } else {
                    let mut total = [0.0; 4];
                    for c in 0..k {
                        for (t, own) in total.iter_mut().zip(terms(row, other, c)) {
                            *t += own;
                        }
                    }
                    lists[0].push(total);
                }
            }
        }
        Self {
            rows,
            z,
            terms: lists,
            kernel,
            priors,
        }
    }

    /// Number of lengthscales.
    pub(super) fn lengthscales(&self) -> usize {
        self.terms.len()
    }

    /// The negative log posterior density at `v` (log lengthscales, log
    /// outputscale, log noise, mean, log noise of derivatives) and its
    /// gradient; infinite where the kernel matrix cannot be factorised.
    pub(super) fn negative_log_posterior(&self, v: &[f64], gradient: &mut [f64]) -> f64 {
        let n = self.rows.len();
        let p = self.lengthscales();
        let outputscale = v[p].exp();
        let (noise, mean, slope_noise) = (v[p + 1].exp(), v[p + 2], v[p + 3].exp());
        let weights: Vec<f64> = v[..p].iter().map(|l| (-2.0 * l).exp()).collect();
        let noise_of = |row: &Row| match row.along {
            Some(_) => slope_noise * row.length2,
            None => noise,
        };

        let mut k = Mat::zeros(n, n);
        let mut partials: Vec<Sums> = Vec::with_capacity(n * (n + 1) / 2);
        for (i, row) in self.rows.iter().enumerate() {
            for (j, other) in self.rows[..=i].iter().enumerate() {
                let mut sums = [0.0; 4];
                for (weight, terms) in weights.iter().zip(&self.terms) {
                    for (s, t) in sums.iter_mut().zip(terms[partials.len()]) {
                        *s += weight * t;
                    }
                }
                let (value, by) = covariance_and_partials(self.kernel, row, other, sums);
                k[(i, j)] = outputscale * value;
                partials.push(by);
            }
        }
        let mut total = k.clone();
        for (i, row) in self.rows.iter().enumerate() {
            total[(i, i)] += noise_of(row);
        }
        let Ok(factor) = Cholesky::new(&total) else {
            return f64::INFINITY;
        };
        let error: Vec<f64> = self
            .rows
            .iter()
            .zip(self.z)
            .map(|(row, z)| if row.along.is_some() { *z } else { z - mean })
            .collect();
        let mut alpha = error.clone();
        factor.solve(&mut alpha);
        let inverse = factor.inverse();
        let mut value =
            -0.5 * (dot(&error, &alpha) + factor.log_det() + n as f64 * (2.0 * PI).ln());

        // With A = alpha alpha' - K^-1: half the trace of A dK is the sum over
        // the strict lower triangle plus half the diagonal.
        gradient.fill(0.0);
        let mut at = 0;
        for (i, row) in self.rows.iter().enumerate() {
            for j in 0..=i {
                let half = if i == j { 0.5 } else { 1.0 };
                let a = half * (alpha[i] * alpha[j] - inverse[(i, j)]);
                gradient[p] += a * k[(i, j)];
                for (l, terms) in self.terms.iter().enumerate() {
                    let by: f64 = partials[at].iter().zip(terms[at]).map(|(p, t)| p * t).sum();
                    gradient[l] += -2.0 * weights[l] * outputscale * a * by;
                }
                at += 1;
            }
            let a = 0.5 * (alpha[i] * alpha[i] - inverse[(i, i)]) * noise_of(row);
            if row.along.is_some() {
                gradient[p + 3] += a;
            } else {
                gradient[p + 1] += a;
                gradient[p + 2] += alpha[i];
            }
        }

        let mut add = |at: usize, (density, derivative): (f64, f64)| {
            value += density;
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
        add(p + 3, self.priors.noise.log_density(v[p + 3]));
        gradient.iter_mut().for_each(|g| *g = -*g);
        -value
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};

    use super::*;

    #[test]
    fn gradient_against_differences() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(3);
        let mut point = || -> Vec<f64> { (0..3).map(|_| rng.random()).collect() };
        let mut rows = Vec::new();
        let mut z = Vec::new();
        for i in 0..10 {
            let at = point();
            let along = (i >= 6).then(&mut point);
            z.push((5.0 * at[0]).sin() + at[1]);
            rows.push(Row {
                length2: along.as_ref().map_or(1.0, |v| dot(v, v)),
                // One derivative at the place of a value.
                at: if i == 7 { rows_at(&rows) } else { at },
                along,
            });
        }
        for kernel in [Kernel::Matern52, Kernel::Rbf] {
            for per_dimension in [true, false] {
                let e = Evidence::new(&rows, &z, kernel, Priors::scaled(3.0), per_dimension);
                let p = e.lengthscales();
                let mut v: Vec<f64> = (0..p).map(|i| -0.5 + 0.3 * i as f64).collect();
                v.extend([0.2, -4.0, 0.3, -3.0]);
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

    fn rows_at(rows: &[Row]) -> Vec<f64> {
        rows[2].at.clone()
    }
}
