//! One objective: Gaussian process and log expected improvement.

use rand::Rng;

use super::trials::Trials;
use crate::acquisition::analytic::LogEi;
use crate::models::{GaussianProcess, GpOptions, Hyperparameters, Lengthscales, Priors};
use crate::optim::{SearchOptions, SearchSpace, maximise};
use crate::space::BoxSpace;
use crate::{BoError, Result};

/// Candidates are drawn around so many of the best points.
const INCUMBENTS: usize = 5;

/// How to search for the largest value of one objective.
#[derive(Debug, Clone, PartialEq)]
pub struct SingleObjectiveOptions {
    /// Successful evaluations (told or pending) before the model takes over;
    /// at least 1. Until then scrambled Sobol points are proposed.
    pub n_initial: usize,
    /// The model.
    pub model: GpOptions,
    /// The acquisition function's optimiser.
    pub search: SearchOptions,
}

impl Default for SingleObjectiveOptions {
    fn default() -> Self {
        Self {
            n_initial: 3,
            model: GpOptions::default(),
            search: SearchOptions::default(),
        }
    }
}

/// Maximises one objective over a space (a [`BoxSpace`] unless another is
/// named).
#[derive(Debug, Clone)]
pub struct SingleObjective<S: SearchSpace = BoxSpace> {
    trials: Trials<S>,
    options: SingleObjectiveOptions,
    /// Of each point told, in order: its value, `None` if it failed.
    values: Vec<Option<f64>>,
    warm: Option<Hyperparameters>,
}

impl<S: SearchSpace> SingleObjective<S> {
    /// A search of `space` that knows nothing yet.
    ///
    /// # Errors
    /// [`BoError::Option`] if `n_initial` is zero, [`BoError::Dimension`] if a
    /// metric does not fit the space.
    pub fn new(space: S, mut options: SingleObjectiveOptions) -> Result<Self> {
        check(&space, options.n_initial, &mut options.model)?;
        Ok(Self {
            trials: Trials::new(space),
            options,
            values: Vec::new(),
            warm: None,
        })
    }

    /// The next point to evaluate. Several may be pending at a time, but the
    /// model learns from a point only when it is told.
    ///
    /// # Errors
    /// [`BoError::Exhausted`] once every point of a finite space has been
    /// proposed; [`BoError::NotPositiveDefinite`] if the model cannot be fitted.
    pub fn ask<R: Rng + ?Sized>(&mut self, rng: &mut R) -> Result<<S::Point as ToOwned>::Owned> {
        let (x, y): (Vec<Vec<f64>>, Vec<f64>) = self
            .trials
            .told
            .iter()
            .zip(&self.values)
            .filter_map(|(x, y)| Some((x.clone(), (*y)?)))
            .unzip();
        if y.is_empty() || y.len() + self.trials.pending() < self.options.n_initial {
            return self.trials.propose(Vec::new(), rng);
        }
        let model = GaussianProcess::fit(&x, &y, &self.options.model, self.warm.as_ref(), rng)?;
        self.warm = Some(model.hyperparameters().clone());

        let mut order: Vec<usize> = (0..y.len()).collect();
        order.sort_by(|&i, &j| y[j].total_cmp(&y[i]));
        let incumbents: Vec<Vec<f64>> = order
            .iter()
            .take(INCUMBENTS)
            .map(|&i| x[i].clone())
            .collect();
        let acquisition = LogEi::new(&model, y[order[0]]);
        let ranked = maximise(
            &self.trials.space,
            &acquisition,
            &incumbents,
            &self.options.search,
            rng,
        )?;
        self.trials.propose(ranked, rng)
    }

    /// The next `q` points, to be evaluated side by side.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub fn ask_batch<R: Rng + ?Sized>(
        &mut self,
        q: usize,
        rng: &mut R,
    ) -> Result<Vec<<S::Point as ToOwned>::Owned>> {
        (0..q).map(|_| self.ask(rng)).collect()
    }

    /// Records the outcome of `point`, proposed or not: its value, or `None`
    /// (or a value that is not finite) if its evaluation failed.
    ///
    /// # Errors
    /// If the point is not in the space; nothing is recorded then.
    pub fn tell(&mut self, point: &S::Point, value: Option<f64>) -> Result<()> {
        self.trials.tell(point)?;
        self.values.push(value.filter(|v| v.is_finite()));
        Ok(())
    }

    /// The best point told and its value (the first of equals); `None` while
    /// every evaluation failed.
    #[must_use]
    pub fn best(&self) -> Option<(<S::Point as ToOwned>::Owned, f64)> {
        let mut best: Option<(usize, f64)> = None;
        for (i, value) in self.values.iter().enumerate() {
            if let Some(v) = value
                && best.is_none_or(|(_, b)| *v > b)
            {
                best = Some((i, *v));
            }
        }
        let (i, value) = best?;
        Some((self.trials.space.decode(&self.trials.told[i]).ok()?, value))
    }

    /// The values told, in order; `None` for failures.
    #[must_use]
    pub fn values(&self) -> &[Option<f64>] {
        &self.values
    }

    /// The space searched.
    #[must_use]
    pub fn space(&self) -> &S {
        &self.trials.space
    }
}

/// Refuses options that do not fit the space, and fills in its priors.
pub(super) fn check<S: SearchSpace>(
    space: &S,
    n_initial: usize,
    model: &mut GpOptions,
) -> Result<()> {
    if n_initial == 0 {
        return Err(BoError::Option {
            option: "n_initial",
            value: 0.0,
            range: "the integers from 1 on",
        });
    }
    if let Some(metric) = &model.metric
        && metric.dim() != space.dim()
    {
        return Err(BoError::Dimension {
            what: "the metric",
            found: metric.dim(),
            expected: space.dim(),
        });
    }
    if space.is_symmetric() && model.lengthscales.is_none() {
        model.lengthscales = Some(Lengthscales::Isotropic);
    }
    if model.priors.is_none() {
        model.priors = Some(Priors::scaled(space.prior_dim()));
    }
    Ok(())
}
