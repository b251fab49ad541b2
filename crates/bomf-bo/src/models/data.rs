//! Observations, checked and brought to the form that the fit works on.

use std::sync::Arc;

use rand::Rng;

use super::coordinates::Coordinates;
use super::features::Features;
use super::{
    GaussianProcess, GpOptions, Hyperparameters, LearnedNoise, Lengthscales, PriorMean, Priors,
    Standardiser, fit,
};
use crate::{BoError, Result};

/// Inputs and outcomes, with what else is known about them.
///
/// ```
/// use bomf_bo::models::{GpOptions, TrainingData};
/// use rand::SeedableRng;
///
/// let x = [vec![0.0], vec![0.4], vec![1.0]];
/// let errors = [Some(0.01), None, Some(0.02)];
/// let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
/// let gp = TrainingData::new(&x, &[1.0, 1.3, 0.7])
///     .standard_errors(&errors)
///     .fit(&GpOptions::default(), None, &mut rng)?;
/// assert!((gp.predict(&[0.0])?.mean - 1.0).abs() < 0.1);
/// # Ok::<(), bomf_bo::BoError>(())
/// ```
#[derive(Debug, Clone)]
pub struct TrainingData<'a> {
    x: &'a [Vec<f64>],
    y: &'a [f64],
    standard_errors: Option<&'a [Option<f64>]>,
    prior_mean: Option<Arc<dyn PriorMean>>,
}

impl<'a> TrainingData<'a> {
    /// Inputs `x` (`n x d`) and outcomes `y` (`n`).
    #[must_use]
    pub fn new(x: &'a [Vec<f64>], y: &'a [f64]) -> Self {
        Self {
            x,
            y,
            standard_errors: None,
            prior_mean: None,
        }
    }

    /// The outcomes' standard errors in their own unit (`n`), `None` where it
    /// is not known and the noise is learned.
    #[must_use]
    pub fn standard_errors(mut self, errors: &'a [Option<f64>]) -> Self {
        self.standard_errors = Some(errors);
        self
    }

    /// What the outcomes are expected to follow; a constant is learned on top.
    #[must_use]
    pub fn prior_mean(mut self, mean: Arc<dyn PriorMean>) -> Self {
        self.prior_mean = Some(mean);
        self
    }

    /// As [`GaussianProcess::fit`].
    ///
    /// # Errors
    /// As [`GaussianProcess::fit`]; [`BoError::Dimension`] also for a wrong
    /// number of standard errors, [`BoError::Option`] for a negative one,
    /// [`BoError::NotFinite`] where an error or the prior mean is not finite.
    pub fn fit<R: Rng + ?Sized>(
        &self,
        options: &GpOptions,
        warm: Option<&Hyperparameters>,
        rng: &mut R,
    ) -> Result<GaussianProcess> {
        let prepared = Prepared::new(self, options)?;
        let hyper = fit::fit(
            &prepared.observed,
            &prepared.groups,
            options.kernel,
            &prepared.priors,
            warm,
            options.starts,
            rng,
        );
        GaussianProcess::condition(prepared, options.kernel, hyper)
    }

    /// As [`GaussianProcess::with_hyperparameters`].
    ///
    /// # Errors
    /// As [`GaussianProcess::with_hyperparameters`] and [`Self::fit`].
    pub fn with_hyperparameters(
        &self,
        options: &GpOptions,
        hyper: Hyperparameters,
    ) -> Result<GaussianProcess> {
        let prepared = Prepared::new(self, options)?;
        let expected = prepared.groups.iter().max().map_or(0, |g| g + 1);
        if hyper.lengthscales.len() != expected {
            return Err(BoError::Dimension {
                what: "the list of lengthscales",
                found: hyper.lengthscales.len(),
                expected,
            });
        }
        let positive = [("outputscale", hyper.outputscale), ("noise", hyper.noise)];
        let lengths = hyper.lengthscales.iter().map(|l| ("lengthscale", *l));
        for (option, value) in lengths.chain(positive) {
            if !(value > 0.0 && value.is_finite()) {
                return Err(BoError::Option {
                    option,
                    value,
                    range: "the positive numbers",
                });
            }
        }
        GaussianProcess::condition(prepared, options.kernel, hyper)
    }
}

/// The noise's variance of each observation, in standardised units.
#[derive(Debug, Clone)]
pub(super) struct Noise {
    /// What is known of it.
    pub(super) known: Vec<f64>,
    /// Whether the learned variance is added.
    pub(super) learned: Vec<bool>,
}

impl Noise {
    /// `n` observations of which nothing is known.
    pub(super) fn learned(n: usize) -> Self {
        Self {
            known: vec![0.0; n],
            learned: vec![true; n],
        }
    }

    /// From standard errors over `scale`. A known variance by itself is at
    /// least `floor`, so that the kernel matrix stays well-conditioned.
    fn new(errors: &[Option<f64>], scale: f64, learned: LearnedNoise, floor: f64) -> Self {
        let everywhere = learned == LearnedNoise::Everywhere;
        let variance = |e: &Option<f64>| match e {
            Some(e) if everywhere => (e / scale).powi(2),
            Some(e) => (e / scale).powi(2).max(floor),
            None => 0.0,
        };
        Self {
            known: errors.iter().map(variance).collect(),
            learned: errors.iter().map(|e| everywhere || e.is_none()).collect(),
        }
    }

    pub(super) fn variance(&self, i: usize, learned: f64) -> f64 {
        self.known[i] + if self.learned[i] { learned } else { 0.0 }
    }
}

/// Observations in the form that a process works on.
#[derive(Debug, Clone)]
pub(super) struct Observed {
    /// Features of the inputs.
    pub(super) points: Coordinates,
    /// The prior mean, in the outcomes' unit.
    pub(super) prior: Vec<f64>,
    /// Outcomes less the prior mean, standardised.
    pub(super) z: Vec<f64>,
    pub(super) noise: Noise,
}

impl Observed {
    /// `count` of them, at even spacing.
    pub(super) fn subset(&self, count: usize) -> Self {
        let n = self.z.len();
        let chosen: Vec<usize> = (0..count.min(n)).map(|i| i * n / count.min(n)).collect();
        let pick = |list: &[f64]| chosen.iter().map(|i| list[*i]).collect();
        let rows: Vec<Vec<f64>> = chosen.iter().map(|i| self.points.point(*i)).collect();
        Self {
            points: Coordinates::new(&rows),
            prior: pick(&self.prior),
            z: pick(&self.z),
            noise: Noise {
                known: pick(&self.noise.known),
                learned: chosen.iter().map(|i| self.noise.learned[*i]).collect(),
            },
        }
    }

    pub(super) fn append(&mut self, other: &Self) {
        self.points.append(&other.points);
        self.prior.extend_from_slice(&other.prior);
        self.z.extend_from_slice(&other.z);
        self.noise.known.extend_from_slice(&other.noise.known);
        self.noise.learned.extend_from_slice(&other.noise.learned);
    }
}

/// How observations are brought to that form.
#[derive(Debug, Clone)]
pub(super) struct Form {
    pub(super) features: Features,
    pub(super) outcome: Standardiser,
    pub(super) prior_mean: Option<Arc<dyn PriorMean>>,
    learned: LearnedNoise,
    min_noise: f64,
}

impl Form {
    /// Further `data`, checked.
    pub(super) fn apply(&self, data: &TrainingData<'_>) -> Result<Observed> {
        check(data, self.features.inputs())?;
        let prior = prior_values(data, self.prior_mean.as_deref())?;
        Ok(self.observed(data, prior))
    }

    fn observed(&self, data: &TrainingData<'_>, prior: Vec<f64>) -> Observed {
        let rows: Vec<Vec<f64>> = data.x.iter().map(|x| self.features.apply(x)).collect();
        Observed {
            points: Coordinates::new(&rows),
            z: residuals(data.y, &prior)
                .map(|r| self.outcome.apply(r))
                .collect(),
            prior,
            noise: match data.standard_errors {
                Some(e) => Noise::new(e, self.outcome.scale, self.learned, self.min_noise),
                None => Noise::learned(data.y.len()),
            },
        }
    }
}

/// A data set ready for the fit.
pub(super) struct Prepared {
    pub(super) form: Form,
    pub(super) observed: Observed,
    /// Which lengthscale each feature has.
    pub(super) groups: Vec<usize>,
    pub(super) priors: Priors,
}

impl Prepared {
    pub(super) fn new(data: &TrainingData<'_>, options: &GpOptions) -> Result<Self> {
        let first = data.x.first().ok_or(BoError::NoData)?;
        let features = match &options.metric {
            Some(gram) => Features::Linear(gram.clone()),
            None => Features::Identity(first.len()),
        };
        let d = features.inputs();
        check(data, d)?;
        let groups = groups(options, d, features.len())?;
        let priors = options.priors.unwrap_or_else(|| Priors::scaled(d as f64));
        let prior = prior_values(data, data.prior_mean.as_deref())?;
        let form = Form {
            features,
            outcome: Standardiser::fit(&residuals(data.y, &prior).collect::<Vec<f64>>()),
            prior_mean: data.prior_mean.clone(),
            learned: options.learned_noise,
            min_noise: priors.min_noise,
        };
        let observed = form.observed(data, prior);
        Ok(Self {
            form,
            observed,
            groups,
            priors,
        })
    }
}

/// The outcomes less the prior mean.
fn residuals(y: &[f64], prior: &[f64]) -> impl Iterator<Item = f64> {
    y.iter().zip(prior).map(|(y, m)| y - m)
}

/// The lengthscale of each of `width` features of `d` inputs.
fn groups(options: &GpOptions, d: usize, width: usize) -> Result<Vec<usize>> {
    if options.metric.is_some() || options.lengthscales == Some(Lengthscales::Isotropic) {
        return Ok(vec![0; width]);
    }
    let Some(groups) = &options.groups else {
        return Ok((0..d).collect());
    };
    if groups.len() != d {
        return Err(BoError::Dimension {
            what: "the list of lengthscale groups",
            found: groups.len(),
            expected: d,
        });
    }
    let count = groups.iter().max().map_or(0, |g| g + 1);
    match (0..count).find(|g| !groups.contains(g)) {
        None => Ok(groups.clone()),
        Some(_) => Err(BoError::Option {
            option: "groups",
            value: (count - 1) as f64,
            range: "the numbers from zero on without gaps",
        }),
    }
}

/// Refuses what is not `n x d` or not finite.
fn check(data: &TrainingData<'_>, d: usize) -> Result<()> {
    let n = data.x.len();
    let lists = [
        ("the list of outcomes", data.y.len()),
        (
            "the list of standard errors",
            data.standard_errors.map_or(n, <[_]>::len),
        ),
    ];
    for (what, found) in lists {
        if found != n {
            return Err(BoError::Dimension {
                what,
                found,
                expected: n,
            });
        }
    }
    for (index, (x, y)) in data.x.iter().zip(data.y).enumerate() {
        if x.len() != d || d == 0 {
            return Err(BoError::Dimension {
                what: "an input",
                found: x.len(),
                expected: d,
            });
        }
        let input = x.iter().map(|v| ("an input", *v));
        let error = data.standard_errors.and_then(|e| e[index]);
        let rest = [
            ("the outcome", *y),
            ("the standard error", error.unwrap_or(0.0)),
        ];
        for (what, value) in input.chain(rest) {
            if !value.is_finite() {
                return Err(BoError::NotFinite { what, index, value });
            }
        }
        if let Some(value) = error.filter(|e| *e < 0.0) {
            return Err(BoError::Option {
                option: "standard_errors",
                value,
                range: "the numbers from zero on",
            });
        }
    }
    Ok(())
}

/// The prior mean at each input.
fn prior_values(data: &TrainingData<'_>, prior: Option<&dyn PriorMean>) -> Result<Vec<f64>> {
    let Some(prior) = prior else {
        return Ok(vec![0.0; data.x.len()]);
    };
    let rows = data.x.iter().enumerate();
    rows.map(|(index, x)| match prior.value(x) {
        value if value.is_finite() => Ok(value),
        value => Err(BoError::NotFinite {
            what: "the prior mean",
            index,
            value,
        }),
    })
    .collect()
}
