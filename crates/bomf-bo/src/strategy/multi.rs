//! Several objectives: one Gaussian process each, and the log of the expected
//! hypervolume improvement over a front that may be noisy or pending (qLogNEHVI).

use bomf_pareto::{Front, hypervolume, non_dominated};
use rand::Rng;
use serde::{Deserialize, Serialize};

use super::beside::{Beside, Factors, Warm};
use super::reference::wide_reference_point;
use super::single::check;
use super::trials::Trials;
use super::{Outcome, PointOf, Strategy};
use crate::acquisition::Acquisition;
use crate::acquisition::monte_carlo::{QLogNParEgo, QLogNehvi, SampleOptions};
use crate::models::{GaussianProcess, GpOptions, Gram, Hyperparameters, TrainingData};
use crate::optim::{SearchOptions, SearchSpace, maximise};
use crate::sampling::uniform_simplex;
use crate::space::SimplexSpace;
use crate::{BoError, Result};

/// Up to so many objectives the improvement of the hypervolume is what counts;
/// beyond, the boxes of the free region are too many, and random scalarisations
/// take its place (qLogNParEGO).
const MAX_HYPERVOLUME: usize = 4;

/// Samples of a noisy or pending front. The new point is integrated exactly, so
/// few are enough: the maximum's logarithm moves by less than 0.02 from here on.
const SAMPLES: usize = 32;

/// Above what the hypervolume counts.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub enum RefPoint {
    /// Inferred anew at each step: by [`bomf_pareto::infer_reference_point`] from the
    /// front, but nowhere above the upper quartile of what was seen. Who knows how bad a
    /// value is no longer of interest should say so.
    #[default]
    Infer,
    /// Given, shape `m`, in maximised form.
    Fixed(Vec<f64>),
}

/// How to search for the Pareto front of several objectives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MultiObjectiveOptions {
    /// Successful evaluations (told or pending) before the models take over;
    /// at least 1. `None`: as many as the space has coordinates, at least 2.
    /// Until then the image of scrambled Sobol points is proposed.
    pub n_initial: Option<usize>,
    /// The reference point.
    pub ref_point: RefPoint,
    /// A metric for the models' distances, `n x n`.
    pub metric: Option<Gram>,
    /// Outcome constraints and costs.
    pub beside: Beside,
    /// The models; `metric` above goes before the one in here.
    pub model: GpOptions,
    /// How what is uncertain, by noise or because it is pending, is sampled.
    pub samples: SampleOptions,
    /// The acquisition function's optimiser.
    pub search: SearchOptions,
}

impl Default for MultiObjectiveOptions {
    fn default() -> Self {
        Self {
            n_initial: None,
            ref_point: RefPoint::Infer,
            metric: None,
            beside: Beside::default(),
            model: GpOptions::default(),
            samples: SampleOptions {
                samples: SAMPLES,
                ..SampleOptions::default()
            },
            search: SearchOptions::default(),
        }
    }
}

/// A point that was told, with its outcome.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// The point's coordinates (on the simplex: the coefficients).
    pub x: Vec<f64>,
    /// What came of it.
    pub outcome: Outcome,
}

impl Observation {
    /// Its objectives, shape `m`, all finite; `None` if the evaluation failed.
    #[must_use]
    pub fn y(&self) -> Option<&[f64]> {
        self.outcome.y.as_deref()
    }
}

/// Maximises several objectives over a space (a [`SimplexSpace`] unless another
/// is named). Serialised, with the generator beside it, and read back, it goes
/// on bit for bit as it would have.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MultiObjective<S: SearchSpace = SimplexSpace> {
    pub(super) trials: Trials<S>,
    pub(super) options: MultiObjectiveOptions,
    observations: Vec<Observation>,
    /// Number of objectives, once it is known.
    objectives: Option<usize>,
    /// The last fits, one an objective.
    warm: Vec<Hyperparameters>,
    /// To how many outcomes.
    fitted_to: usize,
    /// The last fits of what decides beside the objectives.
    warm_beside: Warm,
    /// See [`Strategy::expected_gain`].
    expected_gain: Option<f64>,
}

impl<S: SearchSpace> MultiObjective<S> {
    /// A search of `space` that knows nothing yet. The number of objectives is
    /// that of a fixed reference point, or of the first outcome told.
    ///
    /// # Errors
    /// [`BoError::Option`] if `n_initial` is zero or a fixed reference point is
    /// not finite, [`BoError::Dimension`] if the metric does not fit the space.
    pub fn new(space: S, mut options: MultiObjectiveOptions) -> Result<Self> {
        if let Some(metric) = options.metric.take() {
            options.model.metric = Some(metric);
        }
        let n_initial = options.n_initial.unwrap_or_else(|| space.dim().max(2));
        check(&space, n_initial, &mut options.model)?;
        options.beside.check()?;
        options.n_initial = Some(n_initial);
        let mut objectives = None;
        if let RefPoint::Fixed(r) = &options.ref_point {
            if let Some(&value) = r.iter().find(|v| !v.is_finite()) {
                return Err(BoError::Option {
                    option: "ref_point",
                    value,
                    range: "the finite numbers",
                });
            }
            objectives = Some(r.len());
        }
        Ok(Self {
            trials: Trials::new(space),
            options,
            observations: Vec::new(),
            objectives,
            warm: Vec::new(),
            fitted_to: 0,
            warm_beside: Warm::default(),
            expected_gain: None,
        })
    }

    /// The next point to evaluate. Several may be pending at a time (asked for
    /// and not told yet): their outcomes are sampled with the front, so that the
    /// next one is sought elsewhere.
    ///
    /// # Errors
    /// [`BoError::Exhausted`] once every point of a finite space has been
    /// proposed; [`BoError::NotPositiveDefinite`] if a model cannot be fitted.
    pub fn ask<R: Rng + ?Sized>(&mut self, rng: &mut R) -> Result<<S::Point as ToOwned>::Owned> {
        self.expected_gain = None;
        let successes = self.observations.iter().filter(|o| o.y().is_some()).count();
        let n_initial = self.options.n_initial.unwrap_or(2);
        if successes == 0 || successes + self.trials.pending().len() < n_initial {
            return self.trials.propose(Vec::new(), rng);
        }
        let models = self.models(rng)?;
        let outcomes: Vec<Outcome> = self
            .observations
            .iter()
            .map(|o| o.outcome.clone())
            .collect();
        let factors = Factors::fit(
            &self.trials.told,
            &outcomes,
            &self.options.beside,
            &self.options.model,
            &mut self.warm_beside,
            rng,
        )?;
        let feasible: Vec<Vec<f64>> = self
            .observations
            .iter()
            .filter(|o| self.options.beside.is_feasible(&o.outcome))
            .map(|o| o.x.clone())
            .collect();
        if feasible.is_empty() {
            let known = vec![self.observations[self.observations.len() - 1].x.clone()];
            let search = &self.options.search;
            let ranked = maximise(&self.trials.space, &factors.alone(), &known, search, rng)?;
            return self.trials.propose(ranked, rng);
        }

        // The best places known, and a reference point, by expected outcomes:
        // with noise a lucky draw does not count for ever.
        let pending = self.trials.pending();
        let points: Vec<Vec<f64>> = feasible.iter().chain(pending).cloned().collect();
        let expected = means(&models, &points)?;
        let front = non_dominated(&expected)?;
        let incumbents: Vec<Vec<f64>> = front.iter().map(|i| points[*i].clone()).collect();
        let ref_point = match &self.options.ref_point {
            RefPoint::Fixed(r) => r.clone(),
            RefPoint::Infer => wide_reference_point(&expected)?,
        };
        let samples = &self.options.samples;
        let by_hypervolume = models.len() <= MAX_HYPERVOLUME;
        let acquisition: Box<dyn Acquisition + '_> = if by_hypervolume {
            Box::new(QLogNehvi::new(
                &models, &feasible, pending, &ref_point, samples, rng,
            )?)
        } else {
            let weights = uniform_simplex(models.len(), rng);
            Box::new(QLogNParEgo::new(
                &models, &feasible, pending, &weights, samples, rng,
            )?)
        };
        let ranked = maximise(
            &self.trials.space,
            &factors.times(acquisition.as_ref()),
            &incumbents,
            &self.options.search,
            rng,
        )?;
        let point = self.trials.propose(ranked, rng)?;
        if by_hypervolume && let Some(x) = self.trials.pending().last() {
            let gain = acquisition.values(std::slice::from_ref(x))?[0].exp();
            let front: Vec<&[f64]> = front.iter().map(|i| expected[*i].as_slice()).collect();
            let total = hypervolume(&front, &ref_point)?;
            self.expected_gain = (total > 0.0).then_some(gain / total);
        }
        Ok(point)
    }

    /// One model an objective, fitted to what has been told; between two
    /// outcomes the hyperparameters stay as they are.
    pub(super) fn models<R: Rng + ?Sized>(&mut self, rng: &mut R) -> Result<Vec<GaussianProcess>> {
        let told: Vec<(&Observation, &[f64])> = self
            .observations
            .iter()
            .filter_map(|o| Some((o, o.y()?)))
            .collect();
        let x: Vec<Vec<f64>> = told.iter().map(|(o, _)| o.x.clone()).collect();
        let m = self.objectives.unwrap_or(0);
        let is_fitted = self.fitted_to == x.len() && self.warm.len() == m;
        let options = &self.options.model;
        let models = (0..m)
            .map(|j| {
                let y: Vec<f64> = told.iter().map(|(_, y)| y[j]).collect();
                let errors: Vec<Option<f64>> = told
                    .iter()
                    .map(|(o, _)| o.outcome.standard_errors.get(j).copied())
                    .collect();
                let mut data = TrainingData::new(&x, &y);
                if errors.iter().any(Option::is_some) {
                    data = data.standard_errors(&errors);
                }
                match self.warm.get(j) {
                    Some(hyper) if is_fitted => data.with_hyperparameters(options, hyper.clone()),
                    warm => data.fit(options, warm, rng),
                }
            })
            .collect::<Result<Vec<_>>>()?;
        self.warm = models.iter().map(|g| g.hyperparameters().clone()).collect();
        self.fitted_to = x.len();
        Ok(models)
    }

    /// Records the outcome of `point`, proposed or not: its objectives (shape
    /// `m`), or `None` (or values of which one is not finite) if its evaluation
    /// failed.
    ///
    /// # Errors
    /// As [`Self::tell_outcome`].
    pub fn tell(&mut self, point: &S::Point, y: Option<&[f64]>) -> Result<()> {
        let y = y.map(<[f64]>::to_vec);
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
    /// If the point is not in the space, [`BoError::Dimension`] if the number
    /// of objectives, errors or constraints is not what it should be,
    /// [`BoError::Option`] for an error, constraint or cost that cannot be;
    /// nothing is recorded then.
    pub fn tell_outcome(&mut self, point: &S::Point, outcome: Outcome) -> Result<()> {
        let told = outcome.y.as_ref().map(Vec::len);
        let m = self.objectives.or(told).unwrap_or(0);
        if told == Some(0) {
            return Err(BoError::Dimension {
                what: "the outcome",
                found: 0,
                expected: m.max(1),
            });
        }
        outcome.check(m, self.options.beside.constraints.len())?;
        self.trials.tell(point)?;
        let x = self.trials.told.last().cloned().unwrap_or_default();
        self.objectives = self.objectives.or(told);
        let outcome = outcome.finite();
        self.observations.push(Observation { x, outcome });
        Ok(())
    }

    /// Everything told, in order.
    #[must_use]
    pub fn observations(&self) -> &[Observation] {
        &self.observations
    }

    /// The non-dominated ones of the feasible observations, in the order of
    /// telling (of equal outcomes the first).
    #[must_use]
    pub fn front(&self) -> Vec<&Observation> {
        self.front_indices()
            .into_iter()
            .map(|i| &self.observations[i])
            .collect()
    }

    /// The indices of [`Self::front`] in [`Self::observations`].
    #[must_use]
    pub fn front_indices(&self) -> Vec<usize> {
        let mut front = Front::new(self.objectives.unwrap_or(0));
        for (i, o) in self.observations.iter().enumerate() {
            if let Some(y) = self.feasible(o) {
                // Lengths are checked when told: no insertion fails.
                let _ = front.insert(i, y);
            }
        }
        front.ids().to_vec()
    }

    /// The reference point in use, shape `m`: the fixed one, or the one
    /// inferred from everything told so far (`None` before any success).
    #[must_use]
    pub fn ref_point(&self) -> Option<Vec<f64>> {
        match &self.options.ref_point {
            RefPoint::Fixed(r) => Some(r.clone()),
            RefPoint::Infer => {
                let y: Vec<&[f64]> = self
                    .observations
                    .iter()
                    .filter_map(|o| self.feasible(o))
                    .collect();
                wide_reference_point(&y).ok()
            }
        }
    }

    /// The hypervolume after each point told (failures included), all above
    /// the *current* [`Self::ref_point`], so that the history never falls.
    #[must_use]
    pub fn hypervolume_history(&self) -> Vec<f64> {
        let Some(ref_point) = self.ref_point() else {
            return vec![0.0; self.observations.len()];
        };
        let mut front = Front::new(ref_point.len());
        let mut current = 0.0;
        self.observations
            .iter()
            .enumerate()
            .map(|(i, o)| {
                if let Some(y) = self.feasible(o)
                    && let Ok(bomf_pareto::Insertion::Joined { .. }) = front.insert(i, y)
                {
                    current = hypervolume(front.points(), &ref_point).unwrap_or(current);
                }
                current
            })
            .collect()
    }

    /// The space searched.
    #[must_use]
    pub fn space(&self) -> &S {
        &self.trials.space
    }

    /// The objectives of a feasible observation.
    fn feasible<'o>(&self, o: &'o Observation) -> Option<&'o [f64]> {
        o.y()
            .filter(|_| self.options.beside.is_feasible(&o.outcome))
    }
}

impl<S: SearchSpace> Strategy for MultiObjective<S> {
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
        self.observations.len()
    }

    fn recent_gain(&self, evaluations: usize) -> Option<f64> {
        let history = self.hypervolume_history();
        let now = *history.last()?;
        let then = *history.get(history.len().checked_sub(evaluations + 1)?)?;
        (now > 0.0).then(|| (now - then) / now)
    }

    fn expected_gain(&self) -> Option<f64> {
        self.expected_gain
    }
}

/// What the models expect at each of `x` (`n x d`), shape `n x m`.
fn means(models: &[GaussianProcess], x: &[Vec<f64>]) -> Result<Vec<Vec<f64>>> {
    let mut means = vec![Vec::with_capacity(models.len()); x.len()];
    for model in models {
        for (row, p) in means.iter_mut().zip(model.predict_batch(x)?) {
            row.push(p.mean);
        }
    }
    Ok(means)
}
