//! Predictions of values and derivatives, and their gradients in the inputs.

use faer::Mat;

use super::DerivativeGp;
use super::rows::{Row, covariance, sums};
use super::shape::derivatives;
use crate::error::expect_length;
use crate::linalg::dot;
use crate::models::{Posterior, PosteriorGradient};
use crate::{BoError, Result};

/// The variance is not let below this part of the prior variance: what remains
/// at a point of the data is cancellation.
const MIN_VARIANCE: f64 = 1e-10;

impl DerivativeGp {
    /// Mean and variance of the function at `x` (shape `d`).
    ///
    /// # Errors
    /// [`BoError::Dimension`].
    pub fn predict(&self, x: &[f64]) -> Result<Posterior> {
        expect_length("the point to predict at", x.len(), self.dim())?;
        Ok(self.posterior(&self.row(x, None)))
    }

    /// Mean and variance at each of `points` (`q x d`), in one pass.
    ///
    /// # Errors
    /// [`BoError::Dimension`].
    pub fn predict_batch(&self, points: &[Vec<f64>]) -> Result<Vec<Posterior>> {
        let n = self.rows.len();
        let s = self.hyper.values.outputscale;
        let mut k = Mat::zeros(n, points.len());
        let mut means = Vec::with_capacity(points.len());
        for (j, x) in points.iter().enumerate() {
            expect_length("the point to predict at", x.len(), self.dim())?;
            let own = self.cross(&self.row(x, None));
            means.push(self.hyper.values.mean + dot(&own, &self.alpha));
            for (i, value) in own.into_iter().enumerate() {
                k[(i, j)] = value;
            }
        }
        self.factor.forward_columns(k.as_mut());
        Ok(means
            .into_iter()
            .enumerate()
            .map(|(j, mean)| {
                let explained: f64 = (0..n).map(|i| k[(i, j)] * k[(i, j)]).sum();
                Posterior {
                    mean: self.outcome.undo_mean(mean),
                    variance: self
                        .outcome
                        .undo_variance((s - explained).max(MIN_VARIANCE * s)),
                }
            })
            .collect())
    }

    /// Mean and variance of the derivative along `direction` at `x` (both of
    /// shape `d`).
    ///
    /// # Errors
    /// [`BoError::Dimension`]; [`BoError::ZeroDirection`].
    pub fn predict_derivative(&self, x: &[f64], direction: &[f64]) -> Result<Posterior> {
        expect_length("the point to predict at", x.len(), self.dim())?;
        expect_length("a derivative's direction", direction.len(), self.dim())?;
        if direction.iter().all(|v| *v == 0.0) {
            return Err(BoError::ZeroDirection { index: 0 });
        }
        Ok(self.posterior(&self.row(x, Some(direction))))
    }

    /// Mean, variance and their gradients at `x` (shape `d`).
    ///
    /// # Errors
    /// [`BoError::Dimension`].
    pub fn predict_with_gradient(&self, x: &[f64]) -> Result<PosteriorGradient> {
        expect_length("the point to predict at", x.len(), self.dim())?;
        let query = self.row(x, None);
        let s = self.hyper.values.outputscale;
        let mut solved = self.cross(&query);
        self.factor.solve(&mut solved);

        // d phi / dx = -2 phi' (row - x); of a derivative row's 2 phi' a it is
        // -4 phi'' a (row - x) - 2 phi' v: all weighted by 1 / l^2.
        let width = self.weights.len();
        let (mut mean, mut variance) = (vec![0.0; width], vec![0.0; width]);
        for (i, row) in self.rows.iter().enumerate() {
            let [r2, a, ..] = sums(row, &query, &self.weights);
            let [_, first, second, _] = derivatives(self.kernel, r2);
            let by_difference = match row.along {
                Some(_) => -4.0 * second * a,
                None => -2.0 * first,
            };
            for c in 0..width {
                let along = row.along.as_ref().map_or(0.0, |v| v[c]);
                let slope = s
                    * self.weights[c]
                    * (by_difference * (row.at[c] - query.at[c]) - 2.0 * first * along);
                mean[c] += slope * self.alpha[i];
                variance[c] -= 2.0 * slope * solved[i];
            }
        }
        let posterior = self.posterior(&query);
        let scale = self.outcome.scale;
        let clipped = posterior.variance <= self.outcome.undo_variance(MIN_VARIANCE * s);
        mean.iter_mut().for_each(|g| *g *= scale);
        let unit = if clipped { 0.0 } else { scale * scale };
        variance.iter_mut().for_each(|g| *g *= unit);
        Ok(PosteriorGradient {
            posterior,
            mean: self.features.pull_back(mean),
            variance: self.features.pull_back(variance),
        })
    }

    fn row(&self, x: &[f64], direction: Option<&[f64]>) -> Row {
        Row {
            at: self.features.apply(x),
            along: direction.map(|v| self.features.apply(v)),
            length2: 1.0,
        }
    }

    /// The covariances of each row with `query`.
    fn cross(&self, query: &Row) -> Vec<f64> {
        let s = self.hyper.values.outputscale;
        self.rows
            .iter()
            .map(|row| s * covariance(self.kernel, row, query, sums(row, query, &self.weights)))
            .collect()
    }

    fn posterior(&self, query: &Row) -> Posterior {
        let own = sums(query, query, &self.weights);
        let prior = self.hyper.values.outputscale * covariance(self.kernel, query, query, own);
        let mut k = self.cross(query);
        let mean = dot(&k, &self.alpha);
        self.factor.forward(&mut k);
        let variance = (prior - dot(&k, &k)).max(MIN_VARIANCE * prior);
        let mean = match query.along {
            Some(_) => self.outcome.scale * mean,
            None => self.outcome.undo_mean(self.hyper.values.mean + mean),
        };
        Posterior {
            mean,
            variance: self.outcome.undo_variance(variance),
        }
    }
}
