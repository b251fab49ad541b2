//! What distance a kernel sees.
//!
//! With a metric `G` (positive semi-definite, `n x n`) the squared distance is
//! `(w - w')' G (w - w')`. Factored as `G = F' F` (by its eigenvectors, the
//! directions without weight left out) it is the plain distance of the features
//! `F w`, so that every kernel and gradient is written for plain distances only.

use faer::Mat;

use crate::error::MetricFault;
use crate::linalg::{axpy, dot, symmetric_eigen};
use crate::{BoError, Result};

/// Asymmetry and negative eigenvalues up to this part of the largest entry are
/// rounding (a Gram matrix summed in `f32` is good to about `1e-5`).
const ROUNDING: f64 = 1e-4;

/// Directions with less than this part of the largest eigenvalue are dropped.
const NEGLIGIBLE: f64 = 1e-12;

/// A positive semi-definite metric on `R^n`, scaled so that two vertices of the
/// simplex are `sqrt(2)` apart on average (root mean square), as they are in
/// Euclid's metric: lengthscale priors then need not know its unit.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Gram {
    n: usize,
    /// The rows of `F`, each of shape `n`.
    factor: Vec<Vec<f64>>,
}

impl Gram {
    /// The metric of matrix `rows` (`n x n`), for example the inner products of
    /// the members' differences from their mean. Its asymmetry is averaged out.
    ///
    /// # Errors
    /// [`BoError::Metric`] if it is not square, finite, symmetric and positive
    /// semi-definite (each beyond rounding), or if it tells no vertices apart.
    pub fn new<R: AsRef<[f64]>>(rows: &[R]) -> Result<Self> {
        let n = rows.len();
        let fault = |reason| Err(BoError::Metric { reason });
        if n == 0 || rows.iter().any(|r| r.as_ref().len() != n) {
            return fault(MetricFault::NotSquare);
        }
        let g = |i: usize, j: usize| rows[i].as_ref()[j];
        let entries = || (0..n).flat_map(|i| (0..n).map(move |j| (i, j)));
        if entries().any(|(i, j)| !g(i, j).is_finite()) {
            return fault(MetricFault::NotFinite);
        }
        let largest = entries().fold(0.0_f64, |a, (i, j)| a.max(g(i, j).abs()));
        if entries().any(|(i, j)| (g(i, j) - g(j, i)).abs() > ROUNDING * largest) {
            return fault(MetricFault::NotSymmetric);
        }
        let symmetric = Mat::from_fn(n, n, |i, j| 0.5 * (g(i, j) + g(j, i)));
        let Some((values, vectors)) = symmetric_eigen(&symmetric) else {
            return fault(MetricFault::NotFinite);
        };
        let top = values.iter().fold(0.0_f64, |a, v| a.max(*v));
        if values.iter().any(|v| *v < -ROUNDING * largest) {
            return fault(MetricFault::NegativeEigenvalue);
        }

        // sum over i < j of (e_i - e_j)' G (e_i - e_j) = n tr G - 1' G 1.
        let trace: f64 = (0..n).map(|i| g(i, i)).sum();
        let total: f64 = entries().map(|(i, j)| g(i, j)).sum();
        let pairs = (n * (n - 1) / 2).max(1) as f64;
        let mean_square = (n as f64 * trace - total) / pairs;
        if top <= 0.0 || mean_square <= NEGLIGIBLE * top {
            return fault(MetricFault::Zero);
        }
        let factor = values
            .iter()
            .zip(vectors)
            .filter(|(value, _)| **value > NEGLIGIBLE * top)
            .map(|(value, vector)| {
                let c = (2.0 * value / mean_square).sqrt();
                vector.into_iter().map(|v| c * v).collect()
            })
            .collect();
        Ok(Self { n, factor })
    }

    /// This metric and Euclid's mixed: `(1 - share) G + share I`, each in the unit
    /// in which vertices are `sqrt(2)` apart.
    ///
    /// The metric of the members' weights predicts better where there is little
    /// data or the members lie far apart, Euclid's elsewhere; half and half is
    /// usually near the better of the two.
    ///
    /// # Errors
    /// [`BoError::Option`] if `share` is not in `[0, 1]`.
    pub fn blended(&self, share: f64) -> Result<Self> {
        if !(0.0..=1.0).contains(&share) {
            return Err(BoError::Option {
                option: "share",
                value: share,
                range: "[0, 1]",
            });
        }
        let mut rows = vec![vec![0.0; self.n]; self.n];
        for f in &self.factor {
            for (row, own) in rows.iter_mut().zip(f) {
                axpy((1.0 - share) * own, f, row);
            }
        }
        for (i, row) in rows.iter_mut().enumerate() {
            row[i] += share;
        }
        Self::new(&rows)
    }

    /// Number of inputs `n`.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.n
    }
}

/// Inputs to features, linearly.
#[derive(Debug, Clone)]
pub(super) enum Features {
    /// The inputs themselves; how many.
    Identity(usize),
    /// `F x`.
    Linear(Gram),
}

impl Features {
    pub(super) fn inputs(&self) -> usize {
        match self {
            Self::Identity(d) => *d,
            Self::Linear(gram) => gram.n,
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Identity(d) => *d,
            Self::Linear(gram) => gram.factor.len(),
        }
    }

    pub(super) fn apply(&self, x: &[f64]) -> Vec<f64> {
        match self {
            Self::Identity(_) => x.to_vec(),
            Self::Linear(gram) => gram.factor.iter().map(|row| dot(row, x)).collect(),
        }
    }

    /// A gradient in the features turned into one in the inputs.
    pub(super) fn pull_back(&self, gradient: Vec<f64>) -> Vec<f64> {
        match self {
            Self::Identity(_) => gradient,
            Self::Linear(gram) => {
                let mut out = vec![0.0; gram.n];
                for (row, g) in gram.factor.iter().zip(&gradient) {
                    axpy(*g, row, &mut out);
                }
                out
            }
        }
    }
}
