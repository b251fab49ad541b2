//! Means of all outputs, the variance they share, and gradients.

use faer::{Mat, MatMut, MatRef};

use super::{MeanFunction, MultiOutputGp, distance2};
#[cfg(doc)]
use crate::BoError;
use crate::Result;
use crate::error::expect_length;
use crate::linalg::{add_product, axpy, dot};

/// The variance is not let below this part of the kernel's variance: what
/// remains at a point of the data is cancellation.
const MIN_VARIANCE: f64 = 1e-10;

/// All outputs (without noise) at a point.
#[derive(Debug, Clone, PartialEq)]
pub struct OutputPosterior {
    /// Expected values, shape `p`.
    pub mean: Vec<f64>,
    /// The standard deviation in units of the outputs' scales: that of output
    /// `p` is `sigma * scales[p]`. Between 0 and 1.
    pub sigma: f64,
}

impl<M: MeanFunction> MultiOutputGp<M> {
    /// All outputs at `x` (shape `d`).
    ///
    /// # Errors
    /// [`BoError::Dimension`].
    pub fn predict(&self, x: &[f64]) -> Result<OutputPosterior> {
        let mut mean = vec![0.0; self.outputs()];
        let sigma = self.predict_into(&[x.to_vec()], &mut mean)?;
        Ok(OutputPosterior {
            mean,
            sigma: sigma[0],
        })
    }

    /// All outputs at each of `points` (`q x d`), in one pass: the means are
    /// written to `means` (`q x p` by rows), the shared standard deviations
    /// (as [`OutputPosterior::sigma`], shape `q`) are returned. Hand many
    /// points in blocks, so that a block's means stay in the cache.
    ///
    /// # Errors
    /// [`BoError::Dimension`].
    pub fn predict_into(&self, points: &[Vec<f64>], means: &mut [f64]) -> Result<Vec<f64>> {
        let (n, q, p) = (self.observations(), points.len(), self.outputs());
        expect_length("the list of means", means.len(), q * p)?;
        let mut k = Mat::zeros(n, q);
        for (j, x) in points.iter().enumerate() {
            expect_length("the point to predict at", x.len(), self.dim())?;
            let query = self.query(x);
            for (i, row) in self.rows().enumerate() {
                k[(i, j)] = self.kernel.value(distance2(row, &query));
            }
        }
        means.fill(0.0);
        self.mean.add_to(points, means);
        add_product(
            MatMut::from_column_major_slice_mut(means, p, q),
            1.0,
            MatRef::from_column_major_slice(&self.weights, p, n),
            k.as_ref(),
        );
        self.factor.forward_columns(k.as_mut());
        Ok((0..q)
            .map(|j| {
                let explained: f64 = (0..n).map(|i| k[(i, j)] * k[(i, j)]).sum();
                (1.0 - explained).max(MIN_VARIANCE).sqrt()
            })
            .collect())
    }

    /// The gradient (shape `d`) in `x` of
    /// `sum_p cotangent_p mean_p(x) + by_sigma * sigma(x)`: what turns the
    /// gradient of a function of the outputs into one of the inputs.
    ///
    /// # Errors
    /// [`BoError::Dimension`].
    pub fn pull_back(&self, x: &[f64], cotangent: &[f64], by_sigma: f64) -> Result<Vec<f64>> {
        expect_length("the point to predict at", x.len(), self.dim())?;
        expect_length("the outputs' cotangent", cotangent.len(), self.outputs())?;
        let query = self.query(x);
        let (mut k, slopes): (Vec<f64>, Vec<f64>) = self
            .rows()
            .map(|row| self.kernel.value_and_derivative(distance2(row, &query)))
            .unzip();
        self.factor.forward(&mut k);
        let variance = 1.0 - dot(&k, &k);
        self.factor.backward(&mut k);
        // d sigma = -(K^-1 k)' dk / sigma.
        let by_k = if variance > MIN_VARIANCE {
            -by_sigma / variance.sqrt()
        } else {
            0.0
        };

        // d k_i / d query = 2 slope_i (query - row_i), in scaled features.
        let mut sum = 0.0;
        let mut gradient = vec![0.0; query.len()];
        let weights = self.weights.chunks_exact(self.outputs());
        for (i, (row, weights)) in self.rows().zip(weights).enumerate() {
            let a = 2.0 * slopes[i] * (dot(weights, cotangent) + by_k * k[i]);
            sum += a;
            axpy(-a, row, &mut gradient);
        }
        for (c, g) in gradient.iter_mut().enumerate() {
            *g = self.inverse_lengths[c] * (*g + sum * query[c]);
        }
        let mut gradient = self.features.pull_back(gradient);
        self.mean.pull_back(x, cotangent, &mut gradient);
        Ok(gradient)
    }

    fn query(&self, x: &[f64]) -> Vec<f64> {
        let mut query = self.features.apply(x);
        for (q, l) in query.iter_mut().zip(&self.inverse_lengths) {
            *q *= l;
        }
        query
    }

    fn rows(&self) -> impl Iterator<Item = &[f64]> {
        self.scaled.chunks_exact(self.inverse_lengths.len())
    }
}
