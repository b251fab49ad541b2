//! Several objectives that are known functions of many modelled outputs.
//!
//! The outputs of every evaluation are told (the logits of all examples, for one), and
//! what is modelled is them: one process of all outputs around the mixture of the
//! vertices' ([`MultiOutputGp`]), pushed through a [`Composite`]
//! (Astudillo and Frazier, "Bayesian optimization of composite functions", ICML 2019).
//! The acquisition function is the expected gain in hypervolume over such draws
//! ([`LogCompositeEhvi`]).
//!
//! Not every objective is better predicted so. For each of them three models compete,
//! anew at every step, by the density that they give to the observations when each of
//! these is left out in turn ([`Source`]); at vertices, which the mean knows by its
//! construction, nothing is compared.

use rand::Rng;
use serde::{Deserialize, Serialize};

use super::{MultiObjective, MultiObjectiveOptions, Observation, Outcome, RefPoint, Strategy};
use crate::acquisition::Acquisition;
use crate::acquisition::composite::{
    Composite, CompositeModel, LogCompositeEhvi, PatternOptions, Source, leave_one_out,
    prior_objectives, search_simplex,
};
use crate::error::expect_length;
use crate::models::{
    Correlation, GaussianProcess, GpOptions, Gram, Hyperparameters, LeaveOneOut, LinearMean,
    MultiOutputGp, SharedHyperparameters, Standardiser, TrainingData,
};
use crate::optim::{Scored, SearchOptions};
use crate::space::{SimplexSpace, Space};
use crate::{BoError, Result};
use bomf_pareto::hypervolume;

/// The most objectives: beyond, the boxes of the free region are too many.
const MAX_OBJECTIVES: usize = 4;

/// So many observations beside the vertices before the models compete; until then the
/// composite stands, which needs the fewest.
const MIN_EVIDENCE: usize = 4;

/// Another model takes the composite's place where the squares of what it misses are less
/// than this part of the composite's: the composite's draws of several objectives belong
/// together, which counts for something beside accuracy.
const CLEARLY: f64 = 0.5;

/// Draws of the outputs when models compete.
const EVIDENCE_DRAWS: usize = 32;

/// Which model predicts an objective.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Surrogate {
    /// The composite of the modelled outputs.
    Composite,
    /// A process on the objective itself.
    Direct,
    /// A process on the objective's difference from the composite of the vertices'
    /// mixed outputs.
    AroundMixture,
}

/// How to search for the Pareto front of composite objectives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CompositeOptions {
    /// The reference point.
    pub ref_point: RefPoint,
    /// A metric for the distance of mixtures, `n x n`, in the outputs' model.
    pub metric: Option<Gram>,
    /// The model of the outputs: kernel, starts, and the priors of lengthscale and noise.
    pub outputs: GpOptions,
    /// The models of objectives.
    pub objectives: GpOptions,
    /// The surrogate of all objectives; `None`: by evidence, one by one.
    pub surrogate: Option<Surrogate>,
    /// Draws of the outputs, an even number for their mean to be exact.
    pub draws: usize,
    /// The acquisition function's optimiser.
    pub search: SearchOptions,
}

impl Default for CompositeOptions {
    fn default() -> Self {
        Self {
            ref_point: RefPoint::Infer,
            metric: None,
            outputs: GpOptions::default(),
            objectives: GpOptions::default(),
            surrogate: None,
            draws: 16,
            // An evaluation of this acquisition function passes over all outputs.
            search: SearchOptions {
                raw_samples: 384,
                restarts: 4,
                ..SearchOptions::default()
            },
        }
    }
}

/// Maximises several objectives that are functions `C` of outputs, over mixtures.
///
/// The vertices are proposed first, then their centre: the model of the outputs stands
/// on them. One that fails counts as the mean of the others.
///
/// ```
/// use bomf_bo::acquisition::composite::Composite;
/// use bomf_bo::space::SimplexSpace;
/// use bomf_bo::strategy::{CompositeObjective, CompositeOptions};
/// use rand::SeedableRng;
///
/// /// The part of the outputs above zero, and minus the mean of their squares.
/// struct Two;
/// impl Composite for Two {
///     fn outputs(&self) -> usize { 4 }
///     fn objectives(&self) -> usize { 2 }
///     fn evaluate(&self, z: &[f64], y: &mut [f64]) {
///         y[0] = z.iter().filter(|z| **z > 0.0).count() as f64 / 4.0;
///         y[1] = -z.iter().map(|z| z * z).sum::<f64>() / 4.0;
///     }
/// }
/// let members = [[1.0, -0.4, 1.0, -0.4], [-0.4, 1.0, -0.4, 0.9], [-2.0, -2.0, 0.1, 0.1]];
/// let evaluate = |w: &[f64]| -> Vec<f64> {
///     (0..4).map(|k| (0..3).map(|i| w[i] * members[i][k]).sum::<f64>().sin()).collect()
/// };
///
/// let mut search =
///     CompositeObjective::new(SimplexSpace::new(3)?, Two, CompositeOptions::default())?;
/// let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
/// for _ in 0..8 {
///     let w = search.ask(&mut rng)?;
///     let z = evaluate(&w);
///     let mut y = [0.0; 2];
///     Two.evaluate(&z, &mut y);
///     search.tell_outputs(&w, &z, &y)?;
/// }
/// assert!(search.front().iter().any(|o| o.y().is_some_and(|y| y[0] == 1.0)));
/// # Ok::<(), bomf_bo::BoError>(())
/// ```
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CompositeObjective<C> {
    /// Objectives, front, and the models of objectives.
    inner: MultiObjective<SimplexSpace>,
    composite: C,
    options: CompositeOptions,
    /// What each observation's outputs were; `None` where they are not known.
    outputs: Vec<Option<Vec<f64>>>,
    /// The last fits.
    warm: Option<SharedHyperparameters>,
    warm_around: Vec<Option<Hyperparameters>>,
    surrogates: Vec<Surrogate>,
    expected_gain: Option<f64>,
}

impl<C: Composite> CompositeObjective<C> {
    /// A search of `space` that knows nothing yet.
    ///
    /// # Errors
    /// [`BoError::Option`] for more than four objectives, for none, without a draw or
    /// for a reference point that is not finite; [`BoError::Dimension`] if this or the
    /// metric does not fit.
    pub fn new(space: SimplexSpace, composite: C, options: CompositeOptions) -> Result<Self> {
        let m = composite.objectives();
        let refuse = |option, value: usize, range| {
            Err(BoError::Option {
                option,
                value: value as f64,
                range,
            })
        };
        if m == 0 || m > MAX_OBJECTIVES {
            return refuse("objectives", m, "1 to 4");
        }
        if options.draws == 0 {
            return refuse("draws", 0, "the positive numbers");
        }
        if let RefPoint::Fixed(r) = &options.ref_point {
            expect_length("the reference point", r.len(), m)?;
        }
        if let Some(metric) = &options.metric {
            expect_length("the metric", metric.dim(), space.dim())?;
        }
        let inner = MultiObjective::new(
            space,
            MultiObjectiveOptions {
                n_initial: Some(1),
                ref_point: options.ref_point.clone(),
                model: options.objectives.clone(),
                ..MultiObjectiveOptions::default()
            },
        )?;
        Ok(Self {
            inner,
            composite,
            options,
            outputs: Vec::new(),
            warm: None,
            warm_around: vec![None; m],
            surrogates: vec![Surrogate::Composite; m],
            expected_gain: None,
        })
    }

    /// Records an evaluation of mixture `w`, proposed or not: its outputs (shape `p`) and
    /// the objectives (shape `m`) that they gave. Without all of them finite it counts as
    /// failed ([`Strategy::tell`] with `None` says the same).
    ///
    /// # Errors
    /// If the point is not on the simplex, or there are other numbers of outputs or objectives
    /// than the composite has; nothing is recorded then.
    pub fn tell_outputs(&mut self, w: &[f64], outputs: &[f64], y: &[f64]) -> Result<()> {
        let expected = self.composite.outputs();
        expect_length("the list of outputs", outputs.len(), expected)?;
        expect_length("the outcome", y.len(), self.composite.objectives())?;
        let known = outputs.iter().chain(y).all(|v| v.is_finite());
        self.inner.tell(w, known.then_some(y))?;
        self.outputs.push(known.then(|| outputs.to_vec()));
        Ok(())
    }

    /// The next mixture to evaluate. Several may be pending at a time (asked for and not
    /// told yet): each is taken to come out as the model expects ("kriging believer":
    /// Ginsbourger, Le Riche and Carraro 2010, section 3.2).
    ///
    /// # Errors
    /// As [`Strategy::ask`].
    pub fn ask<R: Rng + ?Sized>(&mut self, rng: &mut R) -> Result<Vec<f64>> {
        self.expected_gain = None;
        if let Some(first) = self.unknown_start() {
            let ranked = vec![Scored {
                x: first,
                value: 0.0,
            }];
            return self.inner.trials.propose(ranked, rng);
        }
        let (x, z) = self.with_outputs();
        if x.is_empty() {
            return self.inner.trials.propose(Vec::new(), rng);
        }
        let mean = self.mean(&x, &z)?;
        let options = GpOptions {
            metric: self.options.metric.clone(),
            ..self.options.outputs.clone()
        };
        let mut model = MultiOutputGp::fit(&x, &z, &mean, &options, self.warm.as_ref(), rng)?;
        self.warm = Some(model.hyperparameters().clone());
        let direct = self.inner.models(rng)?;
        let around = self.around_mixture(&mean, rng)?;
        let computed = self.computed(&z[0]);
        self.surrogates = match self.options.surrogate {
            Some(surrogate) => vec![surrogate; direct.len()],
            None => self.by_evidence(&model, &direct, &around, rng)?,
        };
        for (own, computed) in self.surrogates.iter_mut().zip(&computed) {
            if !computed {
                *own = Surrogate::Direct;
            }
        }

        let mut front: Vec<Vec<f64>> = self.ys().map(<[f64]>::to_vec).collect();
        let scales: Vec<f64> = (0..direct.len())
            .map(|j| {
                let column: Vec<f64> = front.iter().map(|y| y[j]).collect();
                Standardiser::fit(&column).scale
            })
            .collect();
        let ref_point = self.inner.ref_point().ok_or(BoError::NoData)?;
        let pending = self.inner.trials.pending().to_vec();
        if !pending.is_empty() {
            (model, front) = self.believe(&x, &z, &mean, &options, &model, &pending, front)?;
        }
        let mut draws = CompositeModel::new(
            &model,
            &self.composite,
            self.options.draws,
            Correlation::Residuals,
            rng,
        )?;
        for (j, surrogate) in self.surrogates.iter().enumerate() {
            let source = match surrogate {
                Surrogate::Composite => Source::Composite,
                Surrogate::Direct => Source::Direct(&direct[j]),
                Surrogate::AroundMixture => match &around[j] {
                    Some(around) => Source::AroundPrior(around),
                    None => Source::Direct(&direct[j]),
                },
            };
            draws = draws.with_source(j, source)?;
        }
        let acquisition = LogCompositeEhvi::new(draws, &front, &ref_point, &scales)?;
        let incumbents: Vec<Vec<f64>> = self.inner.front().iter().map(|o| o.x.clone()).collect();
        let ranked = search_simplex(
            &self.inner.trials.space,
            &acquisition,
            &incumbents,
            acquisition.model().is_smooth(),
            &self.options.search,
            &PatternOptions::default(),
            rng,
        )?;
        let w = self.inner.trials.propose(ranked, rng)?;
        let gain = acquisition.values(std::slice::from_ref(&w))?[0].exp();
        let total = hypervolume(&front, &ref_point)?;
        self.expected_gain = (total > 0.0).then_some(gain / total);
        Ok(w)
    }

    /// Which objectives the composite gives at all, from `outputs` of an evaluation.
    fn computed(&self, outputs: &[f64]) -> Vec<bool> {
        let mut y = vec![f64::NAN; self.composite.objectives()];
        self.composite.evaluate(outputs, &mut y);
        y.iter().map(|v| v.is_finite()).collect()
    }

    /// The first vertex, or else the centre, that is neither told nor pending.
    fn unknown_start(&self) -> Option<Vec<f64>> {
        let space = &self.inner.trials.space;
        let start = (0..space.dim()).filter_map(|i| space.vertex(i));
        start
            .chain([space.centre()])
            .find(|x| self.inner.trials.is_new(x))
    }

    /// Mixtures and outputs of the observations that have them.
    fn with_outputs(&self) -> (Vec<Vec<f64>>, Vec<Vec<f64>>) {
        self.inner
            .observations()
            .iter()
            .zip(&self.outputs)
            .filter_map(|(o, z)| Some((o.x.clone(), z.clone()?)))
            .unzip()
    }

    /// The objectives of the observations that succeeded.
    fn ys(&self) -> impl Iterator<Item = &[f64]> {
        self.inner.observations().iter().filter_map(Observation::y)
    }

    /// The mixture of the vertices' outputs.
    fn mean(&self, x: &[Vec<f64>], z: &[Vec<f64>]) -> Result<LinearMean> {
        let n = self.inner.space().dim();
        let known: Vec<Option<&Vec<f64>>> = (0..n)
            .map(|i| {
                let place = x.iter().position(|x| x[i] == 1.0)?;
                Some(&z[place])
            })
            .collect();
        let found: Vec<&Vec<f64>> = known.iter().copied().flatten().collect();
        // Without any vertex, whatever is known stands for them.
        let of = if found.is_empty() {
            z.iter().collect()
        } else {
            found
        };
        let average: Vec<f64> = (0..self.composite.outputs())
            .map(|p| of.iter().map(|z| z[p]).sum::<f64>() / of.len() as f64)
            .collect();
        let vertices: Vec<&Vec<f64>> = known.iter().map(|z| z.unwrap_or(&average)).collect();
        LinearMean::new(&vertices)
    }

    /// A process an objective, on its difference from the mixture's.
    fn around_mixture<R: Rng + ?Sized>(
        &mut self,
        mean: &LinearMean,
        rng: &mut R,
    ) -> Result<Vec<Option<GaussianProcess>>> {
        let (x, y): (Vec<Vec<f64>>, Vec<Vec<f64>>) = self
            .inner
            .observations()
            .iter()
            .filter_map(|o| Some((o.x.clone(), o.y()?.to_vec())))
            .unzip();
        let prior = prior_objectives(mean, &self.composite, &x)?;
        let options = &self.inner.options.model;
        let mut models = Vec::with_capacity(self.warm_around.len());
        for (j, warm) in self.warm_around.iter_mut().enumerate() {
            let differences: Vec<f64> = y.iter().zip(&prior).map(|(y, p)| y[j] - p[j]).collect();
            if differences.iter().any(|d| !d.is_finite()) {
                models.push(None);
                continue;
            }
            let model = TrainingData::new(&x, &differences).fit(options, warm.as_ref(), rng)?;
            *warm = Some(model.hyperparameters().clone());
            models.push(Some(model));
        }
        Ok(models)
    }

    /// The surrogate of each objective that predicts best what is left out.
    fn by_evidence<R: Rng + ?Sized>(
        &self,
        outputs: &MultiOutputGp<&LinearMean>,
        direct: &[GaussianProcess],
        around: &[Option<GaussianProcess>],
        rng: &mut R,
    ) -> Result<Vec<Surrogate>> {
        let m = direct.len();
        let observations = self.inner.observations();
        // Models compare on what all of them have seen.
        let of_outputs: Vec<usize> = (0..observations.len())
            .filter(|i| self.outputs[*i].is_some())
            .collect();
        let of_objectives: Vec<usize> = (0..observations.len())
            .filter(|i| observations[*i].y().is_some())
            .collect();
        let compared: Vec<usize> = of_outputs
            .iter()
            .copied()
            .filter(|i| !observations[*i].x.contains(&1.0))
            .collect();
        if compared.len() < MIN_EVIDENCE {
            return Ok(vec![Surrogate::Composite; m]);
        }
        let draws = outputs.draws(EVIDENCE_DRAWS, Correlation::Residuals, rng);
        let composite = leave_one_out(outputs, &self.composite, &draws);
        let missed = |errors: &LeaveOneOut, among: &[usize]| {
            let own = among.iter().zip(&errors.error);
            own.filter(|(i, _)| compared.contains(i))
                .map(|(_, e)| e * e)
                .sum::<f64>()
        };
        let x: Vec<Vec<f64>> = of_objectives
            .iter()
            .map(|i| observations[*i].x.clone())
            .collect();
        let prior = prior_objectives(outputs.mean_function(), &self.composite, &x)?;
        Ok((0..m)
            .map(|j| {
                let y: Vec<f64> = of_objectives
                    .iter()
                    .filter_map(|i| observations[*i].y().map(|y| y[j]))
                    .collect();
                let differences: Vec<f64> = y.iter().zip(&prior).map(|(y, p)| y - p[j]).collect();
                let own = |gp: &GaussianProcess, y: &[f64]| {
                    missed(&LeaveOneOut::new(&gp.leave_one_out(), y), &of_objectives)
                };
                let mut best = (
                    Surrogate::Composite,
                    CLEARLY * missed(&composite[j], &of_outputs),
                );
                let others = [
                    (Surrogate::Direct, own(&direct[j], &y)),
                    (
                        Surrogate::AroundMixture,
                        around[j]
                            .as_ref()
                            .map_or(f64::NAN, |gp| own(gp, &differences)),
                    ),
                ];
                for other in others {
                    if other.1 < best.1 || best.1.is_nan() {
                        best = other;
                    }
                }
                best.0
            })
            .collect())
    }

    /// The outputs' model and the front with `pending` points as the model expects them.
    #[expect(clippy::too_many_arguments, reason = "the state of one step")]
    fn believe<'m>(
        &self,
        x: &[Vec<f64>],
        z: &[Vec<f64>],
        mean: &'m LinearMean,
        options: &GpOptions,
        model: &MultiOutputGp<&'m LinearMean>,
        pending: &[Vec<f64>],
        mut front: Vec<Vec<f64>>,
    ) -> Result<(MultiOutputGp<&'m LinearMean>, Vec<Vec<f64>>)> {
        let (mut x, mut z) = (x.to_vec(), z.to_vec());
        for point in pending {
            let expected = model.predict(point)?.mean;
            let mut y = vec![0.0; self.composite.objectives()];
            self.composite.evaluate(&expected, &mut y);
            if y.iter().all(|v| v.is_finite()) {
                front.push(y);
            }
            x.push(point.clone());
            z.push(expected);
        }
        let hyper = model.hyperparameters().clone();
        let model = MultiOutputGp::with_hyperparameters(&x, &z, mean, options, hyper)?;
        Ok((model, front))
    }

    /// Everything told, in order.
    #[must_use]
    pub fn observations(&self) -> &[Observation] {
        self.inner.observations()
    }

    /// The non-dominated observations, in the order of telling.
    #[must_use]
    pub fn front(&self) -> Vec<&Observation> {
        self.inner.front()
    }

    /// The reference point in use, see [`MultiObjective::ref_point`].
    #[must_use]
    pub fn ref_point(&self) -> Option<Vec<f64>> {
        self.inner.ref_point()
    }

    /// The hypervolume after each point told, see [`MultiObjective::hypervolume_history`].
    #[must_use]
    pub fn hypervolume_history(&self) -> Vec<f64> {
        self.inner.hypervolume_history()
    }

    /// Which model predicted each objective in the last step.
    #[must_use]
    pub fn surrogates(&self) -> &[Surrogate] {
        &self.surrogates
    }
}

impl<C: Composite> Strategy for CompositeObjective<C> {
    type Space = SimplexSpace;

    fn space(&self) -> &SimplexSpace {
        self.inner.space()
    }

    fn ask<R: Rng + ?Sized>(&mut self, rng: &mut R) -> Result<Vec<f64>> {
        self.ask(rng)
    }

    /// Records objectives without outputs: only the models of objectives learn from them.
    fn tell_outcome(&mut self, w: &[f64], outcome: Outcome) -> Result<()> {
        if let Some(y) = &outcome.y {
            expect_length("the outcome", y.len(), self.composite.objectives())?;
        }
        self.inner.tell_outcome(w, outcome)?;
        self.outputs.push(None);
        Ok(())
    }

    fn evaluations(&self) -> usize {
        self.inner.evaluations()
    }

    fn recent_gain(&self, evaluations: usize) -> Option<f64> {
        self.inner.recent_gain(evaluations)
    }

    fn expected_gain(&self) -> Option<f64> {
        self.expected_gain
    }
}
