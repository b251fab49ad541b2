//! Values and derivatives under one process.
//!
//! A derivative is a linear functional of a Gaussian process, so values and
//! derivatives are jointly normal (Rasmussen and Williams 2006, section 9.4).
//! Where gradients cost less than further values (one backward pass gives all
//! of them), they say more: in `d` inputs a value with its gradient counts as
//! `d + 1` numbers. Observations are *directional* derivatives
//! `dy = grad f(x)' v`, any number of them at any points: partial derivatives
//! are those along unit vectors, and on the simplex directions are tangents
//! (coordinates summing to zero), such as `e_i - w`.
//!
//! Standardised outcomes `z = (y - mean) / scale` have derivatives
//! `dy / scale`. Values and derivatives have noise of their own.

mod evidence;
mod fit;
mod predict;
mod rows;
mod shape;

use faer::Mat;

use self::rows::{Row, covariance, sums};
use super::features::Features;
use super::{GpOptions, Hyperparameters, Kernel, Lengthscales, Priors, Standardiser};
use crate::error::expect_length;
use crate::linalg::{Cholesky, dot};
use crate::{BoError, Result};

/// An observed derivative.
#[derive(Debug, Clone, PartialEq)]
pub struct DirectionalDerivative {
    /// Where, shape `d`; there need not be a value.
    pub x: Vec<f64>,
    /// Along which direction `v`, shape `d`, not zero, of any length.
    pub direction: Vec<f64>,
    /// `grad f(x)' v`.
    pub value: f64,
}

/// The hyperparameters of a process with derivatives.
#[derive(Debug, Clone, PartialEq)]
pub struct DerivativeHyperparameters {
    /// Those of a process of values.
    pub values: Hyperparameters,
    /// Variance of the noise of a derivative along a direction of length one,
    /// of standardised outcomes.
    pub derivative_noise: f64,
}

/// An exact Gaussian process, conditioned on values and derivatives.
#[derive(Debug, Clone)]
pub struct DerivativeGp {
    features: Features,
    kernel: Kernel,
    hyper: DerivativeHyperparameters,
    outcome: Standardiser,
    /// `1 / l^2` of each feature.
    weights: Vec<f64>,
    rows: Vec<Row>,
    factor: Cholesky,
    /// `K^-1 (z - c)`, the derivatives' prior mean being zero.
    alpha: Vec<f64>,
    log_likelihood: f64,
}

impl DerivativeGp {
    /// The process with given hyperparameters, in units of the inputs and of
    /// the standardised outcomes, given inputs `x` (`n x d`), their outcomes
    /// `y` (`n`), and any number of derivatives. Of `options` the kernel, the
    /// lengthscales (ungrouped) and the metric count.
    ///
    /// # Errors
    /// [`BoError::NoData`] without a value, [`BoError::NotFinite`],
    /// [`BoError::ZeroDirection`], [`BoError::Dimension`] (also for a wrong
    /// number of lengthscales), [`BoError::Option`] for hyperparameters that
    /// are not positive, or [`BoError::NotPositiveDefinite`].
    pub fn with_hyperparameters(
        x: &[Vec<f64>],
        y: &[f64],
        derivatives: &[DirectionalDerivative],
        options: &GpOptions,
        hyper: DerivativeHyperparameters,
    ) -> Result<Self> {
        let data = Data::new(x, y, derivatives, options)?;
        let expected = if data.per_dimension {
            data.features.len()
        } else {
            1
        };
        let values = &hyper.values;
        if values.lengthscales.len() != expected {
            return Err(BoError::Dimension {
                what: "the list of lengthscales",
                found: values.lengthscales.len(),
                expected,
            });
        }
        let positive = [
            ("outputscale", values.outputscale),
            ("noise", values.noise),
            ("derivative_noise", hyper.derivative_noise),
        ];
        let lengths = values.lengthscales.iter().map(|l| ("lengthscale", *l));
        for (option, value) in lengths.chain(positive) {
            if !(value > 0.0 && value.is_finite()) {
                return Err(BoError::Option {
                    option,
                    value,
                    range: "the positive numbers",
                });
            }
        }
        data.condition(options.kernel, hyper)
    }

    /// The hyperparameters, for a warm start of the next fit.
    #[must_use]
    pub fn hyperparameters(&self) -> &DerivativeHyperparameters {
        &self.hyper
    }

    /// Log marginal likelihood of the standardised values and derivatives,
    /// without priors.
    #[must_use]
    pub fn log_likelihood(&self) -> f64 {
        self.log_likelihood
    }

    /// The outcomes' transform.
    #[must_use]
    pub fn outcome(&self) -> Standardiser {
        self.outcome
    }

    /// Number of inputs `d`.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.features.inputs()
    }
}

/// Checked and transformed data.
struct Data {
    features: Features,
    /// Values first.
    rows: Vec<Row>,
    z: Vec<f64>,
    outcome: Standardiser,
    priors: Priors,
    per_dimension: bool,
}

impl Data {
    fn new(
        x: &[Vec<f64>],
        y: &[f64],
        derivatives: &[DirectionalDerivative],
        options: &GpOptions,
    ) -> Result<Self> {
        let first = x.first().ok_or(BoError::NoData)?;
        expect_length("the list of outcomes", y.len(), x.len())?;
        let features = match &options.metric {
            Some(gram) => Features::Linear(gram.clone()),
            None => Features::Identity(first.len()),
        };
        let d = features.inputs();
        if d == 0 {
            return Err(BoError::NoData);
        }
        for (index, (x, y)) in x.iter().zip(y).enumerate() {
            expect_length("an input", x.len(), d)?;
            finite("an input", index, x)?;
            finite("the outcome", index, &[*y])?;
        }
        let outcome = Standardiser::fit(y);
        let mut rows: Vec<Row> = x
            .iter()
            .map(|x| Row {
                at: features.apply(x),
                along: None,
                length2: 1.0,
            })
            .collect();
        let mut z: Vec<f64> = y.iter().map(|y| outcome.apply(*y)).collect();
        for (index, own) in derivatives.iter().enumerate() {
            expect_length("a derivative's input", own.x.len(), d)?;
            expect_length("a derivative's direction", own.direction.len(), d)?;
            finite("the input of a derivative", index, &own.x)?;
            finite("the direction of a derivative", index, &own.direction)?;
            finite("the value of a derivative", index, &[own.value])?;
            let length2 = dot(&own.direction, &own.direction);
            if length2 == 0.0 {
                return Err(BoError::ZeroDirection { index });
            }
            rows.push(Row {
                at: features.apply(&own.x),
                along: Some(features.apply(&own.direction)),
                length2,
            });
            z.push(own.value / outcome.scale);
        }
        Ok(Self {
            rows,
            z,
            outcome,
            priors: options.priors.unwrap_or_else(|| Priors::scaled(d as f64)),
            per_dimension: options.lengthscales != Some(Lengthscales::Isotropic)
                && options.metric.is_none(),
            features,
        })
    }

    fn condition(self, kernel: Kernel, hyper: DerivativeHyperparameters) -> Result<DerivativeGp> {
        let n = self.rows.len();
        let values = &hyper.values;
        let weights: Vec<f64> = (0..self.features.len())
            .map(|c| values.lengthscales[if self.per_dimension { c } else { 0 }].powi(-2))
            .collect();
        let mut k = Mat::zeros(n, n);
        for (i, row) in self.rows.iter().enumerate() {
            for (j, other) in self.rows[..=i].iter().enumerate() {
                let sums = sums(row, other, &weights);
                k[(i, j)] = values.outputscale * covariance(kernel, row, other, sums);
            }
            k[(i, i)] += match row.along {
                Some(_) => hyper.derivative_noise * row.length2,
                None => values.noise,
            };
        }
        let factor = Cholesky::new(&k)?;
        let error: Vec<f64> = self
            .rows
            .iter()
            .zip(&self.z)
            .map(|(row, z)| match row.along {
                Some(_) => *z,
                None => z - values.mean,
            })
            .collect();
        let mut alpha = error.clone();
        factor.solve(&mut alpha);
        let constant = n as f64 * (2.0 * std::f64::consts::PI).ln();
        let log_likelihood = -0.5 * (dot(&error, &alpha) + factor.log_det() + constant);
        Ok(DerivativeGp {
            features: self.features,
            kernel,
            hyper,
            outcome: self.outcome,
            weights,
            rows: self.rows,
            factor,
            alpha,
            log_likelihood,
        })
    }
}

fn finite(what: &'static str, index: usize, list: &[f64]) -> Result<()> {
    match list.iter().find(|v| !v.is_finite()) {
        Some(&value) => Err(BoError::NotFinite { what, index, value }),
        None => Ok(()),
    }
}
