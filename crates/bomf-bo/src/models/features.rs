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

        let mean_square = mean_square(n, g);
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

    /// The metric of mixtures by block: with `blocks` (`B` matrices, `n x n`) the inner products
    /// of the members' differences within each block, the squared distance of two points
    /// `x = (w^1, .., w^B)` is the sum of the blocks' own,
    /// `sum_b (w^b - v^b)' ((1 - share) G_b + share I / B) (w^b - v^b)`.
    ///
    /// Its unit is that of [`Self::blended`] of the sum of the `G_b`: for mixtures with the
    /// same coefficients in all blocks the two metrics are one.
    ///
    /// # Errors
    /// [`BoError::Option`] if `share` is not in `[0, 1]`; [`BoError::NoData`] without blocks;
    /// [`BoError::Metric`] as [`Self::new`], of a block or of their sum.
    pub fn of_blocks<R: AsRef<[f64]>>(blocks: &[Vec<R>], share: f64) -> Result<Self> {
        let first = blocks.first().ok_or(BoError::NoData)?;
        let n = first.len();
        let square = |rows: &Vec<R>| rows.len() == n && rows.iter().all(|r| r.as_ref().len() == n);
        if !blocks.iter().all(square) {
            return Err(BoError::Metric {
                reason: MetricFault::NotSquare,
            });
        }
        let entry = |b: usize, i: usize, j: usize| blocks[b][i].as_ref()[j];
        let total = |i: usize, j: usize| (0..blocks.len()).map(|b| entry(b, i, j)).sum::<f64>();
        let sum: Vec<Vec<f64>> = (0..n)
            .map(|i| (0..n).map(|j| total(i, j)).collect())
            .collect();
        // Tells what is wrong with the whole, or with the share.
        Self::new(&sum)?.blended(share)?;
        let unit = 2.0 / mean_square(n, |i, j| sum[i][j]);
        let own = share / blocks.len() as f64;
        let mut factor = Vec::with_capacity(blocks.len() * n);
        for b in 0..blocks.len() {
            let largest = (0..n).fold(0.0_f64, |a, i| a.max(entry(b, i, i).abs()));
            let matrix = Mat::from_fn(n, n, |i, j| {
                let mean = 0.5 * (entry(b, i, j) + entry(b, j, i));
                (1.0 - share) * unit * mean + if i == j { own } else { 0.0 }
            });
            let Some((values, vectors)) = symmetric_eigen(&matrix) else {
                return Err(BoError::Metric {
                    reason: MetricFault::NotFinite,
                });
            };
            if values.iter().any(|v| *v < -ROUNDING * unit * largest) {
                return Err(BoError::Metric {
                    reason: MetricFault::NegativeEigenvalue,
                });
            }
            for (value, vector) in values.iter().zip(vectors) {
                if *value > NEGLIGIBLE {
                    let mut row = vec![0.0; blocks.len() * n];
                    for (r, v) in row[b * n..].iter_mut().zip(vector) {
                        *r = value.sqrt() * v;
                    }
                    factor.push(row);
                }
            }
        }
        Ok(Self {
            n: blocks.len() * n,
            factor,
        })
    }

    /// The features `F x`, whose plain distance is the metric's.
    pub(crate) fn apply(&self, x: &[f64]) -> Vec<f64> {
        self.factor.iter().map(|row| dot(row, x)).collect()
    }

    /// `F' g`, of shape `n`.
    pub(crate) fn pull_back(&self, gradient: &[f64]) -> Vec<f64> {
        let mut out = vec![0.0; self.n];
        for (row, g) in self.factor.iter().zip(gradient) {
            axpy(*g, row, &mut out);
        }
        out
    }

    /// The part of the metric's trace that lies in each of `blocks` equal runs of the inputs:
    /// how much of the members' differences each holds. They sum to one.
    pub(crate) fn block_shares(&self, blocks: usize) -> Vec<f64> {
        let width = (self.n / blocks.max(1)).max(1);
        let mut shares = vec![0.0; blocks];
        for row in &self.factor {
            for (share, part) in shares.iter_mut().zip(row.chunks(width)) {
                *share += dot(part, part);
            }
        }
        let total: f64 = shares.iter().sum();
        shares.iter_mut().for_each(|share| *share /= total);
        shares
    }

    /// Number of inputs `n`.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.n
    }
}

/// The mean over all pairs of vertices of `(e_i - e_j)' G (e_i - e_j)`.
fn mean_square(n: usize, g: impl Fn(usize, usize) -> f64) -> f64 {
    // The sum over i < j is n tr G - 1' G 1.
    let trace: f64 = (0..n).map(|i| g(i, i)).sum();
    let entries = (0..n).flat_map(|i| (0..n).map(move |j| (i, j)));
    let total: f64 = entries.map(|(i, j)| g(i, j)).sum();
    let pairs = (n * (n - 1) / 2).max(1) as f64;
    (n as f64 * trace - total) / pairs
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
            Self::Linear(gram) => gram.apply(x),
        }
    }

    /// A gradient in the features turned into one in the inputs.
    pub(super) fn pull_back(&self, gradient: Vec<f64>) -> Vec<f64> {
        match self {
            Self::Identity(_) => gradient,
            Self::Linear(gram) => gram.pull_back(&gradient),
        }
    }
}
