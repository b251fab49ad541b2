//! Products of acquisition functions with constraints, chances and costs.
//!
//! Everything is a logarithm, so a product of powers is a weighted sum:
//! `log a(x) = sum_k c_k log a_k(x)`.
//!
//! * Outcome constraints and failing evaluations: times the probability of
//!   [feasibility](super::LogFeasibility) or [success](super::LogSuccess).
//! * Costs: over the cost (expected improvement per second: Snoek, Larochelle and
//!   Adams 2012, section 3.2), to a power that falls as the budget is used up
//!   (cost cooling: Lee, Perrone, Archambeau and Seeger, "Cost-aware Bayesian
//!   optimization", 2020, section 3; [`cooled`]).

use crate::models::GaussianProcess;
use crate::{Acquisition, BoError, Result};

/// A weighted sum of logarithmic acquisition functions: a product of powers.
#[derive(Default)]
pub struct Weighted<'a> {
    terms: Vec<(f64, Box<dyn Acquisition + 'a>)>,
}

impl<'a> Weighted<'a> {
    /// `acquisition` alone.
    #[must_use]
    pub fn new(acquisition: impl Acquisition + 'a) -> Self {
        Self { terms: Vec::new() }.times(acquisition)
    }

    /// Times `factor`, say a probability.
    #[must_use]
    pub fn times(self, factor: impl Acquisition + 'a) -> Self {
        self.to_the_power(1.0, factor)
    }

    /// Times `factor` to the power of `exponent`; a cost has a negative one.
    #[must_use]
    pub fn to_the_power(mut self, exponent: f64, factor: impl Acquisition + 'a) -> Self {
        self.terms.push((exponent, Box::new(factor)));
        self
    }
}

impl std::fmt::Debug for Weighted<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let exponents: Vec<f64> = self.terms.iter().map(|t| t.0).collect();
        f.debug_struct("Weighted")
            .field("exponents", &exponents)
            .finish_non_exhaustive()
    }
}

impl Acquisition for Weighted<'_> {
    fn dim(&self) -> usize {
        self.terms.first().map_or(0, |t| t.1.dim())
    }

    fn values(&self, points: &[Vec<f64>]) -> Result<Vec<f64>> {
        let mut sum = vec![0.0; points.len()];
        for (exponent, term) in &self.terms {
            // To the power of zero everything is one, even a cost of infinity.
            if *exponent != 0.0 {
                for (sum, value) in sum.iter_mut().zip(term.values(points)?) {
                    *sum += exponent * value;
                }
            }
        }
        Ok(sum)
    }

    fn value_and_gradient(&self, x: &[f64], gradient: &mut [f64]) -> Result<f64> {
        gradient.fill(0.0);
        let mut own = vec![0.0; gradient.len()];
        let mut sum = 0.0;
        for (exponent, term) in &self.terms {
            if *exponent != 0.0 {
                sum += exponent * term.value_and_gradient(x, &mut own)?;
                for (g, own) in gradient.iter_mut().zip(&own) {
                    *g += exponent * own;
                }
            }
        }
        Ok(sum)
    }
}

/// The exponent of the cost when `left` of a budget of `total` is left, all of it
/// counted after the starting design: `left / total`, within `[0, 1]`. At the
/// start a cheap point is as good as it is cheap; the last one is chosen
/// whatever it costs.
#[must_use]
pub fn cooled(left: f64, total: f64) -> f64 {
    if total > 0.0 {
        (left / total).clamp(0.0, 1.0)
    } else {
        0.0
    }
}

/// The mean of a model, say of a model of log costs: the exponential of it is the
/// median cost.
#[derive(Debug, Clone)]
pub struct PosteriorMean<'a> {
    model: &'a GaussianProcess,
}

impl<'a> PosteriorMean<'a> {
    /// That of `model`.
    #[must_use]
    pub fn new(model: &'a GaussianProcess) -> Self {
        Self { model }
    }
}

impl Acquisition for PosteriorMean<'_> {
    fn dim(&self) -> usize {
        self.model.dim()
    }

    fn values(&self, points: &[Vec<f64>]) -> Result<Vec<f64>> {
        Ok(self
            .model
            .predict_batch(points)?
            .into_iter()
            .map(|p| p.mean)
            .collect())
    }

    fn value_and_gradient(&self, x: &[f64], gradient: &mut [f64]) -> Result<f64> {
        let p = self.model.predict_with_gradient(x)?;
        gradient.copy_from_slice(&p.mean);
        Ok(p.posterior.mean)
    }
}

/// A function that the caller knows, say of log costs.
#[derive(Debug, Clone)]
pub struct Known<F> {
    dim: usize,
    function: F,
}

impl<F> Known<F>
where
    F: Fn(&[f64], &mut [f64]) -> f64,
{
    /// `function(x, gradient)` returns the value at `x` (shape `dim`) and fills
    /// the gradient.
    #[must_use]
    pub fn new(dim: usize, function: F) -> Self {
        Self { dim, function }
    }

    fn check(&self, x: &[f64]) -> Result<()> {
        if x.len() == self.dim {
            return Ok(());
        }
        Err(BoError::Dimension {
            what: "the point",
            found: x.len(),
            expected: self.dim,
        })
    }
}

impl<F> Acquisition for Known<F>
where
    F: Fn(&[f64], &mut [f64]) -> f64,
{
    fn dim(&self) -> usize {
        self.dim
    }

    fn values(&self, points: &[Vec<f64>]) -> Result<Vec<f64>> {
        let mut unused = vec![0.0; self.dim];
        points
            .iter()
            .map(|x| {
                self.check(x)?;
                Ok((self.function)(x, &mut unused))
            })
            .collect()
    }

    fn value_and_gradient(&self, x: &[f64], gradient: &mut [f64]) -> Result<f64> {
        self.check(x)?;
        Ok((self.function)(x, gradient))
    }
}
