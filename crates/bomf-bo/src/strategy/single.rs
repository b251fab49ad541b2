//! One objective: Gaussian process and log expected improvement.

use rand::Rng;
use serde::{Deserialize, Serialize};

use super::beside::{Beside, Factors, Warm};
use super::trials::Trials;
use super::{Outcome, PointOf, Strategy};
use crate::acquisition::Acquisition;
use crate::acquisition::analytic::LogEi;
use crate::models::{
    GaussianProcess, GpOptions, Hyperparameters, Lengthscales, Priors, TrainingData, Warp,
};
use crate::optim::{SearchOptions, SearchSpace, maximise};
use crate::space::BoxSpace;
use crate::{BoError, Result};

/// Candidates are drawn around so many of the best points.
const INCUMBENTS: usize = 5;

/// How to search for the largest value of one objective.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SingleObjectiveOptions {
    /// Successful evaluations (told or pending) before the model takes over;
    /// at least 1. Until then scrambled Sobol points are proposed.
    pub n_initial: usize,
    /// Whether outcomes far from normal (long tails, many scales) are brought
    /// nearer to it before the model sees them, by [`Warp::likeliest`]; `None`:
    /// on spaces whose coordinates are not alike
    /// ([`crate::space::Space::is_symmetric`]; on the simplex it brought
    /// nothing).
    /// Where standard errors are told, nothing is warped.
    pub warp: Option<bool>,
    /// Outcome constraints and costs.
    pub beside: Beside,
    /// The model.
    pub model: GpOptions,
    /// The acquisition function's optimiser.
    pub search: SearchOptions,
}

impl Default for SingleObjectiveOptions {
    fn default() -> Self {
        Self {
            n_initial: 3,
            warp: None,
            beside: Beside::default(),
            model: GpOptions::default(),
            search: SearchOptions::default(),
        }
    }
}

/// Maximises one objective over a space (a [`BoxSpace`] unless another is
/// named). Serialised, with the generator beside it, and read back, it goes on
/// bit for bit as it would have.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SingleObjective<S: SearchSpace = BoxSpace> {
    trials: Trials<S>,
    options: SingleObjectiveOptions,
    /// Of each point told, in order.
    outcomes: Vec<Outcome>,
    /// The last fit.
    warm: Option<Hyperparameters>,
    /// To how many values.
    fitted_to: usize,
    /// The last fits of what decides beside the objective.
    warm_beside: Warm,
    /// See [`Strategy::expected_gain`].
    expected_gain: Option<f64>,
}

impl<S: SearchSpace> SingleObjective<S> {
    /// A search of `space` that knows nothing yet.
    ///
    /// # Errors
    /// [`BoError::Option`] if `n_initial` is zero, [`BoError::Dimension`] if a
    /// metric does not fit the space.
    pub fn new(space: S, mut options: SingleObjectiveOptions) -> Result<Self> {
        check(&space, options.n_initial, &mut options.model)?;
        options.beside.check()?;
        Ok(Self {
            trials: Trials::new(space),
            options,
            outcomes: Vec::new(),
            warm: None,
            fitted_to: 0,
            warm_beside: Warm::default(),
            expected_gain: None,
        })
    }

    /// The next point to evaluate. Several may be pending at a time (asked for
    /// and not told yet): each is taken to come out as the model expects, so
    /// that the next one is sought elsewhere ("kriging believer": Ginsbourger,
    /// Le Riche and Carraro 2010, section 3.2).
    ///
    /// # Errors
    /// [`BoError::Exhausted`] once every point of a finite space has been
    /// proposed; [`BoError::NotPositiveDefinite`] if the model cannot be fitted.
    pub fn ask<R: Rng + ?Sized>(&mut self, rng: &mut R) -> Result<<S::Point as ToOwned>::Owned> {
        self.expected_gain = None;
        let told = self.trials.told.iter().zip(&self.outcomes);
        let (x, y): (Vec<Vec<f64>>, Vec<f64>) = told
            .filter_map(|(x, o)| Some((x.clone(), value(o)?)))
            .unzip();
        if y.is_empty() || y.len() + self.trials.pending().len() < self.options.n_initial {
            return self.trials.propose(Vec::new(), rng);
        }
        let model = self.model(&x, y, rng)?;
        let factors = Factors::fit(
            &self.trials.told,
            &self.outcomes,
            &self.options.beside,
            &self.options.model,
            &mut self.warm_beside,
            rng,
        )?;
        let told = self.trials.told.iter().zip(&self.outcomes);
        let feasible: Vec<&Vec<f64>> = told
            .filter(|(_, o)| self.options.beside.is_feasible(o))
            .map(|(x, _)| x)
            .collect();
        if feasible.is_empty() {
            let search = &self.options.search;
            let ranked = maximise(&self.trials.space, &factors.alone(), &x, search, rng)?;
            return self.trials.propose(ranked, rng);
        }

        // The best is the best expected outcome (Gramacy and Lee 2011: with noise
        // a lucky draw does not stand for ever). What is pending counts as it is
        // expected, and the model is certain there.
        let pending = self.trials.pending();
        let points: Vec<Vec<f64>> = feasible.into_iter().chain(pending).cloned().collect();
        let predicted = model.predict_batch(&points)?;
        let mut order: Vec<usize> = (0..points.len()).collect();
        order.sort_by(|&i, &j| predicted[j].mean.total_cmp(&predicted[i].mean));
        let incumbents: Vec<Vec<f64>> = order
            .iter()
            .take(INCUMBENTS)
            .map(|&i| points[i].clone())
            .collect();
        let believing = model.believing(pending)?;
        let acquisition = LogEi::new(&believing, predicted[order[0]].mean);
        let ranked = maximise(
            &self.trials.space,
            &factors.times(&acquisition),
            &incumbents,
            &self.options.search,
            rng,
        )?;
        let point = self.trials.propose(ranked, rng)?;
        if let Some(x) = self.trials.pending().last() {
            let gain = acquisition.values(std::slice::from_ref(x))?[0].exp();
            let spread = model.outcome().undo_variance(1.0).sqrt();
            self.expected_gain = (spread > 0.0).then_some(gain / spread);
        }
        Ok(point)
    }

    /// The model of the successes at `x` (`n x d`) with values `y`; between two
    /// outcomes the hyperparameters stay as they are.
    fn model<R: Rng + ?Sized>(
        &mut self,
        x: &[Vec<f64>],
        mut y: Vec<f64>,
        rng: &mut R,
    ) -> Result<GaussianProcess> {
        let successes = self.outcomes.iter().filter(|o| o.y.is_some());
        let errors: Vec<Option<f64>> = successes
            .map(|o| o.standard_errors.first().copied())
            .collect();
        let has_errors = errors.iter().any(Option::is_some);
        let is_warped = self.options.warp;
        if !has_errors && is_warped.unwrap_or_else(|| !self.trials.space.is_symmetric()) {
            let warp = Warp::likeliest(&y);
            y.iter_mut().for_each(|y| *y = warp.apply(*y));
        }
        let mut data = TrainingData::new(x, &y);
        if has_errors {
            data = data.standard_errors(&errors);
        }
        let options = &self.options.model;
        let model = match &self.warm {
            Some(hyper) if self.fitted_to == y.len() => {
                data.with_hyperparameters(options, hyper.clone())?
            }
            warm => data.fit(options, warm.as_ref(), rng)?,
        };
        self.warm = Some(model.hyperparameters().clone());
        self.fitted_to = y.len();
        Ok(model)
    }

    /// Records the outcome of `point`, proposed or not: its value, or `None`
    /// (or a value that is not finite) if its evaluation failed.
    ///
    /// # Errors
    /// As [`Self::tell_outcome`].
    pub fn tell(&mut self, point: &S::Point, value: Option<f64>) -> Result<()> {
        let y = value.map(|v| vec![v]);
        self.tell_outcome(
            point,
            Outcome {
                y,
                ..Outcome::default()
            },
        )
    }

    /// Records all that is known of an evaluation of `point`, proposed or not.
    ///
    /// # Errors
    /// If the point is not in the space, [`BoError::Dimension`] for several
    /// objectives or a wrong number of constraints, [`BoError::Option`] for an
    /// error, constraint or cost that cannot be; nothing is recorded then.
    pub fn tell_outcome(&mut self, point: &S::Point, outcome: Outcome) -> Result<()> {
        outcome.check(1, self.options.beside.constraints.len())?;
        self.trials.tell(point)?;
        self.outcomes.push(outcome.finite());
        Ok(())
    }

    /// The best point told that is feasible, and its value (the first of equals);
    /// `None` while there is none.
    #[must_use]
    pub fn best(&self) -> Option<(<S::Point as ToOwned>::Owned, f64)> {
        let (i, value) = self.best_of(&self.outcomes)?;
        Some((self.trials.space.decode(&self.trials.told[i]).ok()?, value))
    }

    /// The number and value of the best feasible one of `outcomes`.
    fn best_of(&self, outcomes: &[Outcome]) -> Option<(usize, f64)> {
        let mut best: Option<(usize, f64)> = None;
        for (i, outcome) in outcomes.iter().enumerate() {
            if let Some(v) = value(outcome)
                && self.options.beside.is_feasible(outcome)
                && best.is_none_or(|(_, b)| v > b)
            {
                best = Some((i, v));
            }
        }
        best
    }

    /// What has been told, in order.
    #[must_use]
    pub fn outcomes(&self) -> &[Outcome] {
        &self.outcomes
    }

    /// The space searched.
    #[must_use]
    pub fn space(&self) -> &S {
        &self.trials.space
    }
}

impl<S: SearchSpace> Strategy for SingleObjective<S> {
    type Space = S;

    fn space(&self) -> &S {
        self.space()
    }

    fn ask<R: Rng + ?Sized>(&mut self, rng: &mut R) -> Result<PointOf<Self>> {
        self.ask(rng)
    }

    fn tell_outcome(&mut self, point: &S::Point, outcome: Outcome) -> Result<()> {
        self.tell_outcome(point, outcome)
    }

    fn evaluations(&self) -> usize {
        self.outcomes.len()
    }

    fn recent_gain(&self, evaluations: usize) -> Option<f64> {
        let before = self.outcomes.len().checked_sub(evaluations)?;
        let now = self.best_of(&self.outcomes)?.1;
        let then = self.best_of(&self.outcomes[..before])?.1;
        let mut values: Vec<f64> = self.outcomes.iter().filter_map(value).collect();
        values.sort_by(f64::total_cmp);
        let range = now - values[values.len() / 2];
        // All alike: nothing was gained.
        Some(if range > 0.0 {
            (now - then) / range
        } else {
            0.0
        })
    }

    fn expected_gain(&self) -> Option<f64> {
        self.expected_gain
    }
}

/// The objective of an evaluation that succeeded.
fn value(outcome: &Outcome) -> Option<f64> {
    outcome.y.as_ref().map(|y| y[0])
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
        let d = space.prior_dim();
        model.priors = Some(match model.lengthscales {
            Some(Lengthscales::Isotropic) => Priors::scaled(d),
            // Of many coordinates few matter most.
            _ => Priors::sparse(d),
        });
    }
    Ok(())
}
