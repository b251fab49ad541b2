//! Several objectives that are known functions of many modelled outputs.
//!
//! The outputs of every evaluation are told (the logits of all examples, for one), and
//! what is modelled is them: one process of all outputs around the mixture of the
//! vertices' ([`MultiOutputGp`]), pushed through a [`Composite`]
//! (Astudillo and Frazier, "Bayesian optimization of composite functions", ICML 2019).
//! The acquisition function is the expected gain in hypervolume over such draws
//! ([`LogCompositeEhvi`]).
//!
//! Not every objective is better predicted so. For each of them three models compete
//! ([`Surrogate`]), anew at every step, by how far they miss each observation that is left
//! out in turn.

mod evidence;
mod mean;
mod step;

use rand::Rng;
use serde::{Deserialize, Serialize};

use super::{MultiObjective, MultiObjectiveOptions, Observation, Outcome, RefPoint, Strategy};
use crate::acquisition::composite::Composite;
#[cfg(doc)]
use crate::acquisition::composite::{BlockAgreement, LogCompositeEhvi};
use crate::error::expect_length;
#[cfg(doc)]
use crate::models::MultiOutputGp;
use crate::models::{GpOptions, Gram, Hyperparameters, Priors, SharedHyperparameters};
use crate::optim::{SearchOptions, SearchSpace};
use crate::space::{MixtureSpace, SimplexSpace, Space};
use crate::{BoError, Result};

/// By default the blocks of a model want mixtures that differ by a quarter of a member's
/// weight, or so: sets of coefficients as far apart as two members are count a factor of
/// `e^-16` less, those a tenth apart hardly less than equal ones.
const SPREAD: f64 = 0.25;

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
    /// A metric for the distance of mixtures, `n x n`, in the outputs' model. For mixtures by
    /// block ([`Gram::of_blocks`]) it is that of the objectives' models too.
    pub metric: Option<Gram>,
    /// How far the blocks' mixtures lie apart a priori, members being `sqrt(2)` apart
    /// ([`BlockAgreement`]); `None`: as far as they will. Without a metric, or for mixtures
    /// of one block, it says nothing.
    pub spread: Option<f64>,
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

impl CompositeOptions {
    /// The most objectives: beyond, the boxes of the free region are too many.
    pub const MAX_OBJECTIVES: usize = 4;
}

impl Default for CompositeOptions {
    fn default() -> Self {
        Self {
            ref_point: RefPoint::Infer,
            metric: None,
            spread: Some(SPREAD),
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

/// Maximises several objectives that are functions `C` of outputs, over mixtures: those of a
/// [`SimplexSpace`] unless another is named. In a [`BlockSpace`](crate::space::BlockSpace) the
/// mixtures with the same coefficients in every block say all that they say in a
/// `SimplexSpace`; a search of shared coefficients is gone on with by telling what it found.
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
pub struct CompositeObjective<C, S: SearchSpace = SimplexSpace> {
    /// Objectives, front, and the models of objectives.
    inner: MultiObjective<S>,
    composite: C,
    options: CompositeOptions,
    /// What each observation's outputs were; `None` where they are not known.
    outputs: Vec<Option<Vec<f64>>>,
    /// The last fits.
    warm: Option<SharedHyperparameters>,
    /// To how many evaluations with outputs.
    fitted_to: usize,
    warm_around: Vec<Option<Hyperparameters>>,
    surrogates: Vec<Surrogate>,
    expected_gain: Option<f64>,
}

impl<C: Composite, S: MixtureSpace + SearchSpace> CompositeObjective<C, S> {
    /// A search of `space` that knows nothing yet.
    ///
    /// # Errors
    /// [`BoError::Option`] for more than four objectives, for none, without a draw or
    /// for a reference point that is not finite; [`BoError::Dimension`] if this or the
    /// metric does not fit.
    pub fn new(space: S, composite: C, mut options: CompositeOptions) -> Result<Self> {
        let m = composite.objectives();
        let refuse = |option, value: usize, range| {
            Err(BoError::Option {
                option,
                value: value as f64,
                range,
            })
        };
        if m == 0 || m > CompositeOptions::MAX_OBJECTIVES {
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
        // On the diagonal, distances are those of the one simplex.
        let priors = || Priors::scaled(space.members() as f64);
        options.outputs.priors.get_or_insert_with(priors);
        let mut objectives = options.objectives.clone();
        if space.blocks() > 1 && objectives.metric.is_none() && options.metric.is_some() {
            objectives.metric.clone_from(&options.metric);
            let one = SimplexSpace::new(space.members())?.prior_dim();
            objectives.priors.get_or_insert_with(|| Priors::scaled(one));
        }
        let inner = MultiObjective::new(
            space,
            MultiObjectiveOptions {
                n_initial: Some(1),
                ref_point: options.ref_point.clone(),
                model: objectives,
                ..MultiObjectiveOptions::default()
            },
        )?;
        Ok(Self {
            inner,
            composite,
            options,
            outputs: Vec::new(),
            warm: None,
            fitted_to: 0,
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

impl<C: Composite, S: MixtureSpace + SearchSpace> Strategy for CompositeObjective<C, S> {
    type Space = S;

    fn space(&self) -> &S {
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
