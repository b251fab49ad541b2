//! Further observations without another fit.
//!
//! With the hyperparameters (and the outcomes' scaling) as they are, the
//! Cholesky factor grows by a row an observation, in `O(n^2)` operations: for
//! the time between two fits, and for points whose outcome is still awaited.

use faer::Mat;

use super::gp::kernel_matrix;
use super::{GaussianProcess, TrainingData};
use crate::Result;
use crate::linalg::Cholesky;

impl GaussianProcess {
    /// The process that has also seen outcomes `y` (`q`) at inputs `x`
    /// (`q x d`), with the same hyperparameters. None gives the same process.
    ///
    /// # Errors
    /// As [`GaussianProcess::fit`].
    pub fn condition_on(&self, x: &[Vec<f64>], y: &[f64]) -> Result<Self> {
        self.condition_on_data(&TrainingData::new(x, y))
    }

    /// As [`Self::condition_on`], with known errors; the prior mean stays this
    /// process's own, whatever `data` has.
    ///
    /// # Errors
    /// As [`TrainingData::fit`].
    pub fn condition_on_data(&self, data: &TrainingData<'_>) -> Result<Self> {
        let new = self.form.apply(data)?;
        let mut this = self.clone();
        if new.z.is_empty() {
            return Ok(this);
        }
        let mut cross = Mat::zeros(self.len(), new.z.len());
        for j in 0..new.z.len() {
            self.covariances(&new.points.point(j), cross.col_as_slice_mut(j));
        }
        let matrix = |data| kernel_matrix(data, &self.weights, self.kernel, &self.hyper);
        this.data.append(&new);
        this.factor = match self.factor.extended(&cross, &matrix(&new)) {
            Some(factor) => factor,
            None => Cholesky::new(&matrix(&this.data))?,
        };
        this.solve();
        Ok(this)
    }

    /// The process that believes its own means at `x` (`q x d`), say, of points
    /// that are being evaluated: the mean stays what it is, and the variance
    /// falls as if `x` had been observed ("kriging believer": Ginsbourger, Le
    /// Riche and Carraro 2010, section 3.2).
    ///
    /// # Errors
    /// As [`GaussianProcess::fit`].
    pub fn believing(&self, x: &[Vec<f64>]) -> Result<Self> {
        let means: Vec<f64> = self.predict_batch(x)?.iter().map(|p| p.mean).collect();
        self.condition_on(x, &means)
    }
}
