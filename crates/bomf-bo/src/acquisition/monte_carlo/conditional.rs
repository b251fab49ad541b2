//! Averages over samples of an expectation that is known given the sample.
//!
//! Let `e_s` be the standard normals of sample `s` of the function at the points
//! `P` (noisy baseline points, pending points). A new point's value given them
//! is normal, `f(x) | s ~ N(mu(x) + w(x)' e_s, sigma(x)^2)`
//! ([`JointPosterior`](crate::models::JointPosterior)), so the expectation over
//! it is taken in closed form and only the rest is sampled:
//! `a(x) = 1/S sum_s E[u_s(f(x)) | s]`.
//! By the law of total variance this has no more variance than sampling `f(x)`
//! too, as BoTorch does (Rao and Blackwell); it is smooth without a smoothed
//! maximum, and without noise and pending points it *is* the analytic value.
//! Its logarithm and the gradient of that are log-sum-exps (Ament et al. 2023,
//! section 4).

use faer::Mat;

use super::samples::Samples;
use crate::acquisition::normal::log_sum_exp;
use crate::linalg::{add_product, axpy};
use crate::models::Conditionals;
use crate::{Acquisition, Result};

/// Points scored at a time, so that their columns stay in the cache.
const CHUNK: usize = 128;

/// A new point's outcomes given each of `S` samples: independent normal.
#[derive(Debug, Clone, Copy)]
pub(super) struct Given<'a> {
    /// Means, `S x m` by rows.
    pub(super) means: &'a [f64],
    /// Standard deviations, which are the same in all samples, shape `m`.
    pub(super) sigma: &'a [f64],
}

/// Derivatives of each sample's logarithm, `S x m` by rows.
#[derive(Debug, Clone)]
pub(super) struct Slopes {
    pub(super) by_mean: Vec<f64>,
    pub(super) by_sigma: Vec<f64>,
}

impl Slopes {
    pub(super) fn new(len: usize) -> Self {
        Self {
            by_mean: vec![0.0; len],
            by_sigma: vec![0.0; len],
        }
    }
}

/// The logarithms of an expected utility given each sample.
pub(super) trait Utility {
    /// Buffers that are kept between calls.
    type Work: Default;

    /// Each sample's value; minus infinity where it cannot be told without
    /// effort.
    fn log_values(&self, given: &Given<'_>, logs: &mut [f64], work: &mut Self::Work);

    /// The same with derivatives, which are left alone where the value is minus
    /// infinity.
    fn derivatives(
        &self,
        given: &Given<'_>,
        logs: &mut [f64],
        slopes: &mut Slopes,
        work: &mut Self::Work,
    );

    /// The same with effort; asked for only where no sample gave a value.
    fn far(&self, given: &Given<'_>, logs: &mut [f64], slopes: &mut Slopes);
}

/// The acquisition function of a utility.
#[derive(Debug, Clone)]
pub(super) struct Conditioned<'a, U> {
    pub(super) samples: Samples<'a>,
    pub(super) utility: U,
}

impl<U: Utility> Acquisition for Conditioned<'_, U> {
    fn dim(&self) -> usize {
        self.samples.dim()
    }

    fn values(&self, points: &[Vec<f64>]) -> Result<Vec<f64>> {
        let (m, count) = (self.samples.joints.len(), self.samples.count);
        let log_count = (count as f64).ln();
        let mut out = Vec::with_capacity(points.len());
        let mut work = U::Work::default();
        let mut logs = vec![0.0; count];
        let mut means = vec![0.0; count * m];
        let mut sigma = vec![0.0; m];
        let mut slopes = Slopes::new(count * m);
        for chunk in points.chunks(CHUNK) {
            let mut given: Vec<(Conditionals, Mat<f64>)> = Vec::with_capacity(m);
            for (joint, e) in self.samples.joints.iter().zip(&self.samples.normals) {
                let own = joint.given(chunk)?;
                let mut shifts = Mat::zeros(count, chunk.len());
                if !joint.is_empty() && count > 1 {
                    add_product(
                        shifts.as_mut(),
                        1.0,
                        e.as_ref().transpose(),
                        own.weights.as_ref(),
                    );
                }
                given.push((own, shifts));
            }
            for p in 0..chunk.len() {
                for (j, (own, shifts)) in given.iter().enumerate() {
                    sigma[j] = own.sigma[p];
                    for (s, shift) in shifts.col_as_slice(p).iter().enumerate() {
                        means[s * m + j] = own.mean[p] + shift;
                    }
                }
                let given = Given {
                    means: &means,
                    sigma: &sigma,
                };
                self.utility.log_values(&given, &mut logs, &mut work);
                let mut value = log_sum_exp(&logs);
                if value == f64::NEG_INFINITY {
                    self.utility.far(&given, &mut logs, &mut slopes);
                    value = log_sum_exp(&logs);
                }
                out.push(value - log_count);
            }
        }
        Ok(out)
    }

    fn value_and_gradient(&self, x: &[f64], gradient: &mut [f64]) -> Result<f64> {
        let (m, count) = (self.samples.joints.len(), self.samples.count);
        let given = self
            .samples
            .joints
            .iter()
            .map(|joint| joint.given_with_gradient(x))
            .collect::<Result<Vec<_>>>()?;
        let sigma: Vec<f64> = given.iter().map(|g| g.sigma).collect();
        let mut means = vec![0.0; count * m];
        for (j, (own, e)) in given.iter().zip(&self.samples.normals).enumerate() {
            for s in 0..count {
                let shift = crate::linalg::dot(&own.weights, e.col_as_slice(s));
                means[s * m + j] = own.mean + shift;
            }
        }
        let mut work = U::Work::default();
        let mut logs = vec![0.0; count];
        let mut slopes = Slopes::new(count * m);
        let conditions = Given {
            means: &means,
            sigma: &sigma,
        };
        self.utility
            .derivatives(&conditions, &mut logs, &mut slopes, &mut work);
        let mut total = log_sum_exp(&logs);
        if total == f64::NEG_INFINITY {
            self.utility.far(&conditions, &mut logs, &mut slopes);
            total = log_sum_exp(&logs);
        }
        gradient.fill(0.0);
        if total.is_finite() {
            for (j, (own, e)) in given.iter().zip(&self.samples.normals).enumerate() {
                let (mut mean, mut deviation) = (0.0, 0.0);
                let mut weights = vec![0.0; own.weights.len()];
                for (s, log) in logs.iter().enumerate() {
                    let share = (log - total).exp();
                    if share > 0.0 {
                        let a = share * slopes.by_mean[s * m + j];
                        mean += a;
                        deviation += share * slopes.by_sigma[s * m + j];
                        axpy(a, e.col_as_slice(s), &mut weights);
                    }
                }
                own.pull_back(mean, &weights, deviation, gradient);
            }
        }
        Ok(total - (count as f64).ln())
    }
}

/// The trait's three functions by the acquisition inside.
macro_rules! acquisition_by {
    ($name:ident) => {
        impl crate::Acquisition for $name<'_> {
            fn dim(&self) -> usize {
                self.inner.dim()
            }

            fn values(&self, points: &[Vec<f64>]) -> crate::Result<Vec<f64>> {
                self.inner.values(points)
            }

            fn value_and_gradient(&self, x: &[f64], gradient: &mut [f64]) -> crate::Result<f64> {
                self.inner.value_and_gradient(x, gradient)
            }
        }
    };
}
pub(super) use acquisition_by;
