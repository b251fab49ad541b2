//! What decides beside the objectives: whether evaluations succeed, whether
//! outcome constraints hold, and what evaluations cost.
//!
//! Each is modelled by a process of its own, and the acquisition function is
//! multiplied by the probability of success, by those of the constraints, and
//! divided by a power of the cost ([`Weighted`]). Nothing is modelled before
//! there is something to model.

use rand::Rng;
use serde::{Deserialize, Serialize};

use super::Outcome;
use crate::acquisition::{LogFeasibility, LogSuccess, PosteriorMean, Weighted, cooled};
use crate::models::{GaussianProcess, GpOptions, Hyperparameters};
use crate::{Acquisition, BoError, Result};

/// Costs are modelled once so many are known.
const MIN_COSTS: usize = 2;

/// Outcome constraints and costs of a search.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Beside {
    /// The outcome constraints' upper bounds, shape `k`: an evaluation is feasible
    /// where each of [`Outcome::constraints`] is at most its bound.
    pub constraints: Vec<f64>,
    /// The budget that the costs are taken from, in their unit. With one, the
    /// exponent of the cost falls as it is used up ([`cooled`]); without, gains
    /// count per unit of cost all along. Costs matter only once some are told.
    pub budget: Option<f64>,
}

impl Beside {
    pub(super) fn check(&self) -> Result<()> {
        let refuse = |option, value, range| {
            Err(BoError::Option {
                option,
                value,
                range,
            })
        };
        if let Some(&value) = self.constraints.iter().find(|b| !b.is_finite()) {
            return refuse("constraints", value, "the finite numbers");
        }
        match self.budget {
            Some(budget) if !(budget > 0.0 && budget.is_finite()) => {
                refuse("budget", budget, "the positive numbers")
            }
            _ => Ok(()),
        }
    }

    /// Whether an evaluation succeeded and kept to the constraints.
    pub(super) fn is_feasible(&self, outcome: &Outcome) -> bool {
        let bounds = outcome.constraints.iter().zip(&self.constraints);
        outcome.y.is_some() && bounds.into_iter().all(|(value, bound)| value <= bound)
    }
}

/// The last fits: warm starts, and what stays between two outcomes.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Warm {
    success: Option<Hyperparameters>,
    /// `None`: nothing of this constraint was known yet.
    constraints: Vec<Option<Hyperparameters>>,
    cost: Option<Hyperparameters>,
    /// To how many outcomes.
    fitted_to: usize,
}

/// The models of what decides beside the objectives.
pub(super) struct Factors {
    success: LogSuccess,
    constraints: Vec<(GaussianProcess, f64)>,
    cost: Option<(GaussianProcess, f64)>,
}

impl Factors {
    /// Fitted to everything told: places `x` and what came of them, of which there
    /// is at least one.
    pub(super) fn fit<R: Rng + ?Sized>(
        x: &[Vec<f64>],
        outcomes: &[Outcome],
        beside: &Beside,
        options: &GpOptions,
        warm: &mut Warm,
        rng: &mut R,
    ) -> Result<Self> {
        let is_fitted = warm.fitted_to == outcomes.len();
        let mut model = |x: &[Vec<f64>], y: &[f64], warm: Option<&Hyperparameters>| match warm {
            Some(hyper) if is_fitted => {
                GaussianProcess::with_hyperparameters(x, y, options, hyper.clone())
            }
            warm => GaussianProcess::fit(x, y, options, warm, rng),
        };

        let succeeded: Vec<bool> = outcomes.iter().map(|o| o.y.is_some()).collect();
        let success = LogSuccess::labelled(x, &succeeded, |labels| {
            model(x, labels, warm.success.as_ref())
        })?;
        warm.success = success.hyperparameters().cloned();

        let known = |value: &dyn Fn(&Outcome) -> Option<f64>| -> (Vec<Vec<f64>>, Vec<f64>) {
            let told = x.iter().zip(outcomes);
            told.filter_map(|(x, o)| Some((x.clone(), value(o)?)))
                .unzip()
        };
        warm.constraints.resize(beside.constraints.len(), None);
        let mut constraints = Vec::with_capacity(beside.constraints.len());
        let bounds = beside.constraints.iter().zip(&mut warm.constraints);
        for (j, (bound, warm)) in bounds.enumerate() {
            let (x, y) = known(&|o| o.constraints.get(j).copied());
            if !y.is_empty() {
                let model = model(&x, &y, warm.as_ref())?;
                *warm = Some(model.hyperparameters().clone());
                constraints.push((model, *bound));
            }
        }

        // Costs are products of many things, and so their logarithms are modelled.
        let (places, logs) = known(&|o| o.cost.map(f64::ln));
        let mut cost = None;
        if logs.len() >= MIN_COSTS {
            let model = model(&places, &logs, warm.cost.as_ref())?;
            warm.cost = Some(model.hyperparameters().clone());
            let spent: f64 = outcomes.iter().filter_map(|o| o.cost).sum();
            let exponent = beside
                .budget
                .map_or(1.0, |total| cooled(total - spent, total));
            cost = Some((model, exponent));
        }
        warm.fitted_to = outcomes.len();
        Ok(Self {
            success,
            constraints,
            cost,
        })
    }

    /// `acquisition` times all of them.
    pub(super) fn times<'a>(&'a self, acquisition: impl Acquisition + 'a) -> Weighted<'a> {
        self.alone().times(acquisition)
    }

    /// All of them, for when there is nothing to improve on yet: where is an
    /// evaluation likely to be feasible at all?
    pub(super) fn alone(&self) -> Weighted<'_> {
        let mut product = Weighted::new(&self.success);
        for (model, bound) in &self.constraints {
            product = product.times(LogFeasibility::at_most(model, *bound));
        }
        if let Some((model, exponent)) = &self.cost {
            product = product.to_the_power(-exponent, PosteriorMean::new(model));
        }
        product
    }
}
