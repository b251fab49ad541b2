//! One objective: Gaussian process and log expected improvement.

use rand::Rng;
use serde::{Deserialize, Serialize};

use super::trials::Trials;
use super::{PointOf, Strategy};
use crate::acquisition::analytic::LogEi;
use crate::models::{GaussianProcess, GpOptions, Hyperparameters, Lengthscales, Priors, Warp};
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
    pub warp: Option<bool>,
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
    /// Of each point told, in order: its value, `None` if it failed.
    values: Vec<Option<f64>>,
    /// The last fit.
    warm: Option<Hyperparameters>,
    /// To how many values.
    fitted_to: usize,
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
            fitted_to: 0,
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
        let (x, y): (Vec<Vec<f64>>, Vec<f64>) = self
            .trials
            .told
            .iter()
            .zip(&self.values)
            .filter_map(|(x, y)| Some((x.clone(), (*y)?)))
            .unzip();
        if y.is_empty() || y.len() + self.trials.pending().len() < self.options.n_initial {
            return self.trials.propose(Vec::new(), rng);
        }
        let is_warped = self.options.warp;
        let y = match is_warped.unwrap_or_else(|| !self.trials.space.is_symmetric()) {
            true => {
                let warp = Warp::likeliest(&y);
                y.iter().map(|y| warp.apply(*y)).collect()
            }
            false => y,
        };
        let options = &self.options.model;
        let model = match &self.warm {
            Some(hyper) if self.fitted_to == y.len() => {
                GaussianProcess::with_hyperparameters(&x, &y, options, hyper.clone())?
            }
            warm => GaussianProcess::fit(&x, &y, options, warm.as_ref(), rng)?,
        };
        self.warm = Some(model.hyperparameters().clone());
        self.fitted_to = y.len();

        // The best is the best expected outcome (Gramacy and Lee 2011: with noise
        // a lucky draw does not stand for ever). What is pending counts as it is
        // expected, and the model is certain there.
        let pending = self.trials.pending();
        let points: Vec<Vec<f64>> = x.iter().chain(pending).cloned().collect();
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
            &acquisition,
            &incumbents,
            &self.options.search,
            rng,
        )?;
        self.trials.propose(ranked, rng)
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

impl<S: SearchSpace> Strategy for SingleObjective<S> {
    type Space = S;

    fn space(&self) -> &S {
        self.space()
    }

    fn ask<R: Rng + ?Sized>(&mut self, rng: &mut R) -> Result<PointOf<Self>> {
        self.ask(rng)
    }

    fn tell(&mut self, point: &S::Point, y: Option<&[f64]>) -> Result<()> {
        match y {
            None => self.tell(point, None),
            Some(&[value]) => self.tell(point, Some(value)),
            Some(y) => Err(BoError::Dimension {
                what: "the outcome",
                found: y.len(),
                expected: 1,
            }),
        }
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
        let d = space.prior_dim();
        model.priors = Some(match model.lengthscales {
            Some(Lengthscales::Isotropic) => Priors::scaled(d),
            // Of many coordinates few matter most.
            _ => Priors::sparse(d),
        });
    }
    Ok(())
}
