//! Thousands of outputs under one kernel and one factorisation.
//!
//! What an objective is computed *from* (the logits of every example, for one)
//! is often smoother than the objective, and there is much of it. A process is
//! placed on all outputs at once (Astudillo and Frazier, "Bayesian optimization
//! of composite functions", ICML 2019), around a known [`MeanFunction`] `m(x)`:
//!
//! `f_p(x) = m_p(x) + g_p(x)`,
//! `cov(g_p(x), g_q(x')) = Sigma_pq k(x, x')`, `Sigma_pp = s_p^2`,
//!
//! and noise of covariance `noise Sigma`: a matrix-variate normal. With
//! `K = k + noise I = L L'` and residuals `R` (`n x p`), the means are
//! `m(x) + k(x)' K^-1 R` and the variances `s_p^2 (1 - |L^-1 k(x)|^2)`: one
//! factor for all outputs (Rasmussen and Williams 2006, equations 2.25 and
//! 2.26). The whitened residuals `L^-1 R` are `n` draws of `N(0, Sigma)`, which
//! give the scales and, in [`OutputDraws`], the correlation of the outputs.
//!
//! **Anchors.** A mean such as the members' ensemble goes through the outputs at
//! the vertices by construction. Residuals of zero there tell the posterior
//! that it is certain, but say nothing of how far the outputs stray elsewhere.
//! So the likelihood of scales and hyperparameters is the *conditional* one of
//! the other residuals given those: with anchors first in the order of the
//! factorisation, their whitened rows are zero, and what counts is the number
//! `n_f` of the others and `det K / det K_aa`.

mod draws;
mod evidence;
mod fit;
mod leave_one_out;
mod mean;
mod predict;

use faer::{Mat, MatMut, MatRef};

use super::features::Features;
use super::{GpOptions, Kernel, Lengthscales, Priors};
use crate::error::expect_length;
use crate::linalg::{Cholesky, add_product};
use crate::{BoError, Result};

pub use draws::{Correlation, OutputDraws};
pub use leave_one_out::LeftOut;
pub use mean::{ConstantMean, LinearMean, MeanFunction};
pub use predict::OutputPosterior;

/// The prior says as much of an output's variance as this many evaluations:
/// the mean over all outputs. It keeps an output that hardly moved from being
/// certain, and is soon overruled.
const PRIOR_EVALUATIONS: f64 = 1.0;

/// An observation is an anchor if its residuals' mean square is below this part
/// of the largest observation's: the mean function meets it up to the rounding
/// of outputs stored in `f32`.
const ANCHOR: f64 = 1e-10;

/// Hyperparameters that all outputs share.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct SharedHyperparameters {
    /// Lengthscales: one, or one a coordinate.
    pub lengthscales: Vec<f64>,
    /// The noise's variance as a part of the kernel's.
    pub noise: f64,
}

/// An exact Gaussian process of `p` outputs around mean `M`, conditioned on
/// data.
#[derive(Debug, Clone)]
pub struct MultiOutputGp<M> {
    mean: M,
    features: Features,
    kernel: Kernel,
    hyper: SharedHyperparameters,
    /// `1 / l` of each feature.
    inverse_lengths: Vec<f64>,
    /// The data's features over their lengthscales, `n x k` by rows.
    scaled: Vec<f64>,
    factor: Cholesky,
    /// The place of each row, here and below, among the observations handed in.
    order: Vec<usize>,
    /// How many of the first rows are anchors.
    anchors: usize,
    /// `Y`, `n x p` by rows.
    observed: Vec<f64>,
    /// `K^-1 R`, `n x p` by rows.
    weights: Vec<f64>,
    /// `L^-1 R`, `n x p` by rows.
    whitened: Vec<f64>,
    /// `s_p`.
    scales: Vec<f64>,
}

impl<M: MeanFunction> MultiOutputGp<M> {
    /// The process with given hyperparameters, around `mean`, given inputs `x`
    /// (`n x d`) and outputs `y` (`n x p`).
    ///
    /// Of `options` the kernel, the lengthscales (`None`: one for all
    /// coordinates) and the metric count.
    ///
    /// # Errors
    /// [`BoError::NoData`], [`BoError::NotFinite`], [`BoError::Dimension`] (also
    /// for a wrong number of lengthscales), [`BoError::Option`] for
    /// hyperparameters that are not positive, or
    /// [`BoError::NotPositiveDefinite`].
    pub fn with_hyperparameters<R: AsRef<[f64]>>(
        x: &[Vec<f64>],
        y: &[R],
        mean: M,
        options: &GpOptions,
        hyper: SharedHyperparameters,
    ) -> Result<Self> {
        let data = Data::new(x, y, &mean, options)?;
        let expected = data.lengthscales();
        if hyper.lengthscales.len() != expected {
            return Err(BoError::Dimension {
                what: "the list of lengthscales",
                found: hyper.lengthscales.len(),
                expected,
            });
        }
        let lengths = hyper.lengthscales.iter().map(|l| ("lengthscale", *l));
        for (option, value) in lengths.chain([("noise", hyper.noise)]) {
            if !(value > 0.0 && value.is_finite()) {
                return Err(BoError::Option {
                    option,
                    value,
                    range: "the positive numbers",
                });
            }
        }
        data.condition(mean, options.kernel, hyper)
    }

    /// The hyperparameters, for a warm start of the next fit.
    #[must_use]
    pub fn hyperparameters(&self) -> &SharedHyperparameters {
        &self.hyper
    }

    /// The outputs' prior standard deviations around the mean function, shape
    /// `p`; all zero where every residual is zero.
    #[must_use]
    pub fn scales(&self) -> &[f64] {
        &self.scales
    }

    /// The prior mean function.
    #[must_use]
    pub fn mean_function(&self) -> &M {
        &self.mean
    }

    /// Number of inputs `d`.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.features.inputs()
    }

    /// Number of outputs `p`.
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.scales.len()
    }

    /// Number of observations `n`.
    #[must_use]
    pub fn observations(&self) -> usize {
        self.factor.dim()
    }
}

/// Checked and transformed data.
struct Data {
    features: Features,
    features_of_x: Vec<Vec<f64>>,
    outputs: usize,
    order: Vec<usize>,
    anchors: usize,
    /// `n x p` by rows.
    observed: Vec<f64>,
    /// `n x p` by rows.
    residuals: Vec<f64>,
    priors: Priors,
    per_dimension: bool,
}

impl Data {
    fn new<R: AsRef<[f64]>, M: MeanFunction>(
        x: &[Vec<f64>],
        y: &[R],
        mean: &M,
        options: &GpOptions,
    ) -> Result<Self> {
        let first = x.first().ok_or(BoError::NoData)?;
        let outputs = mean.outputs();
        let features = match &options.metric {
            Some(gram) => Features::Linear(gram.clone()),
            None => Features::Identity(first.len()),
        };
        let d = features.inputs();
        expect_length("the list of outcomes", y.len(), x.len())?;
        expect_length("the mean function's input", mean.inputs(), d)?;
        if outputs == 0 || d == 0 {
            return Err(BoError::NoData);
        }
        for (index, (x, y)) in x.iter().zip(y).enumerate() {
            let y = y.as_ref();
            expect_length("an input", x.len(), d)?;
            expect_length("the outcome", y.len(), outputs)?;
            let finite = |what, list: &[f64]| match list.iter().find(|v| !v.is_finite()) {
                Some(&value) => Err(BoError::NotFinite { what, index, value }),
                None => Ok(()),
            };
            finite("an input", x)?;
            finite("the outcome", y)?;
        }
        let observed: Vec<f64> = y.iter().flat_map(|y| y.as_ref()).copied().collect();
        let mut residuals = vec![0.0; observed.len()];
        mean.add_to(x, &mut residuals);
        for (r, y) in residuals.iter_mut().zip(&observed) {
            *r = y - *r;
        }
        if let Some(at) = residuals.iter().position(|r| !r.is_finite()) {
            return Err(BoError::NotFinite {
                what: "the prior mean",
                index: at / outputs,
                value: observed[at] - residuals[at],
            });
        }
        let (order, anchors) = anchors_first(&residuals, outputs);
        let sorted = |rows: &[f64]| -> Vec<f64> {
            order
                .iter()
                .flat_map(|i| &rows[i * outputs..(i + 1) * outputs])
                .copied()
                .collect()
        };
        Ok(Self {
            features_of_x: order.iter().map(|i| features.apply(&x[*i])).collect(),
            outputs,
            observed: sorted(&observed),
            residuals: sorted(&residuals),
            order,
            anchors,
            priors: options.priors.unwrap_or_else(|| Priors::scaled(d as f64)),
            per_dimension: options.lengthscales == Some(Lengthscales::PerDimension)
                && options.metric.is_none(),
            features,
        })
    }

    fn lengthscales(&self) -> usize {
        if self.per_dimension {
            self.features.len()
        } else {
            1
        }
    }

    /// The scales `s_p` from residuals whitened in some way (`n x p`).
    fn scales(&self, whitened: &[f64]) -> Vec<f64> {
        // Without any, all are zero whatever this is.
        let n = (self.features_of_x.len() - self.anchors).max(1) as f64;
        let mut sums = vec![0.0; self.outputs];
        for row in whitened.chunks_exact(self.outputs) {
            for (s, r) in sums.iter_mut().zip(row) {
                *s += r * r;
            }
        }
        let prior = sums.iter().sum::<f64>() / (n * self.outputs as f64);
        for s in &mut sums {
            *s = ((*s + PRIOR_EVALUATIONS * prior) / (n + PRIOR_EVALUATIONS)).sqrt();
        }
        sums
    }

    /// `S = sum_p r_p r_p' / s_p^2`.
    fn gram(&self, scales: &[f64]) -> Mat<f64> {
        let n = self.features_of_x.len();
        let mut over = self.residuals.clone();
        for row in over.chunks_exact_mut(self.outputs) {
            for (r, s) in row.iter_mut().zip(scales) {
                // A scale is zero only where every residual is.
                *r = if *s > 0.0 { *r / s } else { 0.0 };
            }
        }
        let columns = MatRef::from_column_major_slice(&over, self.outputs, n);
        let mut gram = Mat::zeros(n, n);
        add_product(gram.as_mut(), 1.0, columns.transpose(), columns);
        gram
    }

    fn factor(&self, kernel: Kernel, hyper: &SharedHyperparameters) -> Result<Conditioned> {
        let n = self.features_of_x.len();
        let width = self.features.len();
        let inverse_lengths: Vec<f64> = (0..width)
            .map(|c| 1.0 / hyper.lengthscales[if self.per_dimension { c } else { 0 }])
            .collect();
        let scaled: Vec<f64> = self
            .features_of_x
            .iter()
            .flat_map(|row| row.iter().zip(&inverse_lengths).map(|(v, l)| v * l))
            .collect();
        let row = |i: usize| &scaled[i * width..(i + 1) * width];
        let mut k = Mat::zeros(n, n);
        for i in 0..n {
            for j in 0..i {
                k[(i, j)] = kernel.value(distance2(row(i), row(j)));
            }
            k[(i, i)] = 1.0 + hyper.noise;
        }
        let factor = Cholesky::new(&k)?;
        let mut whitened = self.residuals.clone();
        factor.forward_columns(MatMut::from_row_major_slice_mut(
            &mut whitened,
            n,
            self.outputs,
        ));
        Ok(Conditioned {
            inverse_lengths,
            scaled,
            factor,
            whitened,
        })
    }

    fn condition<M>(
        self,
        mean: M,
        kernel: Kernel,
        hyper: SharedHyperparameters,
    ) -> Result<MultiOutputGp<M>> {
        let conditioned = self.factor(kernel, &hyper)?;
        let mut weights = conditioned.whitened.clone();
        conditioned
            .factor
            .backward_columns(MatMut::from_row_major_slice_mut(
                &mut weights,
                self.features_of_x.len(),
                self.outputs,
            ));
        Ok(MultiOutputGp {
            scales: self.scales(&conditioned.whitened),
            mean,
            features: self.features,
            kernel,
            hyper,
            inverse_lengths: conditioned.inverse_lengths,
            scaled: conditioned.scaled,
            factor: conditioned.factor,
            order: self.order,
            anchors: self.anchors,
            observed: self.observed,
            weights,
            whitened: conditioned.whitened,
        })
    }
}

/// What the hyperparameters make of the data.
struct Conditioned {
    inverse_lengths: Vec<f64>,
    scaled: Vec<f64>,
    factor: Cholesky,
    whitened: Vec<f64>,
}

/// The rows' order with the anchors first, and how many there are.
fn anchors_first(residuals: &[f64], outputs: usize) -> (Vec<usize>, usize) {
    let squares: Vec<f64> = residuals
        .chunks_exact(outputs)
        .map(|row| row.iter().map(|r| r * r).sum())
        .collect();
    let least = ANCHOR * squares.iter().fold(0.0_f64, |a, s| a.max(*s));
    let (mut order, free): (Vec<usize>, Vec<usize>) =
        (0..squares.len()).partition(|i| squares[*i] <= least);
    let anchors = order.len();
    order.extend(free);
    (order, anchors)
}

/// `|a - b|^2`.
fn distance2(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}
