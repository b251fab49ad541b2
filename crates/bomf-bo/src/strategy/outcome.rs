//! What came of an evaluation.

use serde::{Deserialize, Serialize};

use crate::error::expect_length;
use crate::{BoError, Result};

/// What came of an evaluation: its objectives, and what else is known of it.
///
/// ```
/// use bomf_bo::strategy::Outcome;
///
/// // Two objectives, a constraint's value, and what the evaluation cost.
/// let outcome = Outcome::of([-0.31, 0.84]).constraints([1.8]).cost(40.0);
/// assert_eq!(outcome.y.as_deref(), Some([-0.31, 0.84].as_slice()));
/// assert!(Outcome::failed().y.is_none());
/// ```
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Outcome {
    /// The objectives, shape `m`, all maximised; `None` if the evaluation failed.
    /// One that is not finite makes it a failure, too.
    pub y: Option<Vec<f64>>,
    /// The objectives' standard errors, shape `m`; empty where they are not known
    /// and the noise is learned.
    pub standard_errors: Vec<f64>,
    /// The values of the outcome constraints, shape `k`; each holds where it is at
    /// most its bound ([`Beside::constraints`](super::Beside)). Of a failed
    /// evaluation there may be none.
    pub constraints: Vec<f64>,
    /// What it cost, above zero, in any unit.
    pub cost: Option<f64>,
}

impl Outcome {
    /// An evaluation that gave these objectives.
    pub fn of(y: impl Into<Vec<f64>>) -> Self {
        Self {
            y: Some(y.into()),
            ..Self::default()
        }
    }

    /// One that gave nothing.
    #[must_use]
    pub fn failed() -> Self {
        Self::default()
    }

    /// With the objectives' standard errors.
    #[must_use]
    pub fn standard_errors(mut self, errors: impl Into<Vec<f64>>) -> Self {
        self.standard_errors = errors.into();
        self
    }

    /// With the values of the outcome constraints.
    #[must_use]
    pub fn constraints(mut self, values: impl Into<Vec<f64>>) -> Self {
        self.constraints = values.into();
        self
    }

    /// With what it cost.
    #[must_use]
    pub fn cost(mut self, cost: f64) -> Self {
        self.cost = Some(cost);
        self
    }

    /// With objectives that are all finite, or none.
    pub(super) fn finite(mut self) -> Self {
        self.y = self.y.filter(|y| y.iter().all(|v| v.is_finite()));
        self
    }

    /// Refuses numbers that cannot be, for `m` objectives and `k` constraints.
    pub(super) fn check(&self, m: usize, k: usize) -> Result<()> {
        if let Some(y) = &self.y {
            expect_length("the outcome", y.len(), m)?;
        }
        if !self.standard_errors.is_empty() {
            expect_length("the list of standard errors", self.standard_errors.len(), m)?;
        }
        if !self.constraints.is_empty() || self.y.is_some() {
            expect_length("the list of constraints", self.constraints.len(), k)?;
        }
        let refuse = |option, value, range| {
            Err(BoError::Option {
                option,
                value,
                range,
            })
        };
        if let Some(&value) = self
            .standard_errors
            .iter()
            .find(|e| !(**e >= 0.0 && e.is_finite()))
        {
            return refuse("standard_errors", value, "the numbers from 0 on");
        }
        if let Some(&value) = self.constraints.iter().find(|c| !c.is_finite()) {
            return refuse("constraints", value, "the finite numbers");
        }
        match self.cost {
            Some(cost) if !(cost > 0.0 && cost.is_finite()) => {
                refuse("cost", cost, "the positive numbers")
            }
            _ => Ok(()),
        }
    }
}
