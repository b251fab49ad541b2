//! The fitted process.
//!
//! Rasmussen and Williams (2006), section 2.2 and algorithm 2.1; what it
//! predicts is in `predict`, how it takes in further observations in `update`.

use faer::Mat;
use rand::Rng;

use super::data::{Form, Observed, Prepared};
use super::{GpOptions, Hyperparameters, Kernel, Standardiser, TrainingData};
use crate::Result;
use crate::linalg::{Cholesky, dot};

/// An exact Gaussian process, conditioned on data.
#[derive(Debug, Clone)]
pub struct GaussianProcess {
    pub(super) form: Form,
    pub(super) kernel: Kernel,
    pub(super) hyper: Hyperparameters,
    /// `1 / l^2` of each feature.
    pub(super) weights: Vec<f64>,
    pub(super) data: Observed,
    pub(super) factor: Cholesky,
    /// `K^-1 (z - c)`.
    pub(super) alpha: Vec<f64>,
    log_likelihood: f64,
}

impl GaussianProcess {
    /// The process whose hyperparameters have the largest posterior density
    /// given inputs `x` (`n x d`) and outcomes `y` (`n`). ([`TrainingData`]
    /// takes known errors and a prior mean besides.)
    ///
    /// The search starts from `warm` (say, the last fit), if it is given and
    /// has as many lengthscales, and from further points, some drawn from `rng`.
    /// Duplicated inputs, constant outcomes and a single observation are fine.
    ///
    /// # Errors
    /// [`crate::BoError::NoData`], [`crate::BoError::NotFinite`],
    /// [`crate::BoError::Dimension`], or
    /// [`crate::BoError::NotPositiveDefinite`].
    pub fn fit<R: Rng + ?Sized>(
        x: &[Vec<f64>],
        y: &[f64],
        options: &GpOptions,
        warm: Option<&Hyperparameters>,
        rng: &mut R,
    ) -> Result<Self> {
        TrainingData::new(x, y).fit(options, warm, rng)
    }

    /// The process with given hyperparameters, in units of the inputs and of
    /// the standardised outcomes.
    ///
    /// # Errors
    /// As [`Self::fit`]; [`crate::BoError::Dimension`] also for a wrong number
    /// of lengthscales, [`crate::BoError::Option`] for values that are not
    /// positive.
    pub fn with_hyperparameters(
        x: &[Vec<f64>],
        y: &[f64],
        options: &GpOptions,
        hyper: Hyperparameters,
    ) -> Result<Self> {
        TrainingData::new(x, y).with_hyperparameters(options, hyper)
    }

    /// The hyperparameters, for a warm start of the next fit.
    #[must_use]
    pub fn hyperparameters(&self) -> &Hyperparameters {
        &self.hyper
    }

    /// Log marginal likelihood of the standardised outcomes, without priors.
    #[must_use]
    pub fn log_likelihood(&self) -> f64 {
        self.log_likelihood
    }

    /// Log marginal likelihood of the outcomes in their own unit, without
    /// priors: what models of one data set can be compared by, if they differ in
    /// kernel, prior mean or (with its Jacobian) the outcomes' transform.
    #[must_use]
    pub fn log_evidence(&self) -> f64 {
        self.log_likelihood - self.len() as f64 * self.form.outcome.scale.ln()
    }

    /// The outcomes' scaling (of what they differ from the prior mean by).
    #[must_use]
    pub fn outcome(&self) -> Standardiser {
        self.form.outcome
    }

    /// Number of inputs `d`.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.form.features.inputs()
    }

    /// Number of observations `n`.
    #[must_use]
    pub fn len(&self) -> usize {
        self.alpha.len()
    }

    /// Always false: a process has at least one observation.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        false
    }

    pub(super) fn condition(
        prepared: Prepared,
        kernel: Kernel,
        hyper: Hyperparameters,
    ) -> Result<Self> {
        let square = |g: &usize| hyper.lengthscales[*g].powi(-2);
        let weights: Vec<f64> = prepared.groups.iter().map(square).collect();
        let k = kernel_matrix(&prepared.observed, &weights, kernel, &hyper);
        let factor = Cholesky::new(&k)?;
        let mut this = Self {
            form: prepared.form,
            kernel,
            hyper,
            weights,
            data: prepared.observed,
            factor,
            alpha: Vec::new(),
            log_likelihood: 0.0,
        };
        this.solve();
        Ok(this)
    }

    /// Fills in what follows from data and factor.
    pub(super) fn solve(&mut self) {
        let error: Vec<f64> = self.data.z.iter().map(|z| z - self.hyper.mean).collect();
        self.alpha.clone_from(&error);
        self.factor.solve(&mut self.alpha);
        let constant = error.len() as f64 * (2.0 * std::f64::consts::PI).ln();
        self.log_likelihood = -0.5 * (dot(&error, &self.alpha) + self.factor.log_det() + constant);
    }
}

/// The lower triangle of the covariances of noisy observations.
pub(super) fn kernel_matrix(
    data: &Observed,
    weights: &[f64],
    kernel: Kernel,
    hyper: &Hyperparameters,
) -> Mat<f64> {
    let points = &data.points;
    let n = points.len();
    let mut k = Mat::zeros(n, n);
    for j in 0..n {
        let column = &mut k.col_as_slice_mut(j)[j..];
        column[0] = hyper.outputscale + data.noise.variance(j, hyper.noise);
        let below = &mut column[1..];
        points.squared_distances(weights, &points.point(j), j + 1, below);
        kernel.values(hyper.outputscale, below);
    }
    k
}
