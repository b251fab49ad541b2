//! One step of the search: models, acquisition function, its best mixture.

use bomf_pareto::hypervolume;
use rand::Rng;

use super::{CompositeObjective, Surrogate};
use crate::acquisition::composite::{
    BlockAgreement, Composite, CompositeModel, LogCompositeEhvi, PatternOptions, Source,
    search_mixtures,
};
use crate::acquisition::{Acquisition, Weighted};
use crate::models::{Correlation, GpOptions, LinearMean, MultiOutputGp, Standardiser};
use crate::optim::{Scored, SearchSpace};
use crate::space::MixtureSpace;
use crate::strategy::Observation;
#[cfg(doc)]
use crate::strategy::Strategy;
use crate::{BoError, Result};

impl<C: Composite, S: MixtureSpace + SearchSpace> CompositeObjective<C, S> {
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
        let mut model = match &self.warm {
            Some(hyper) if self.fitted_to == x.len() => {
                MultiOutputGp::with_hyperparameters(&x, &z, &mean, &options, hyper.clone())?
            }
            warm => MultiOutputGp::fit(&x, &z, &mean, &options, warm.as_ref(), rng)?,
        };
        self.warm = Some(model.hyperparameters().clone());
        self.fitted_to = x.len();
        let computed = self.computed(&z[0]);
        // Only what may be asked is fitted.
        let m = computed.len();
        let forced = self.options.surrogate;
        let around = match forced {
            Some(Surrogate::Composite | Surrogate::Direct) => vec![None; m],
            _ => self.around_mixture(&mean, rng)?,
        };
        let direct = match forced {
            Some(Surrogate::Composite) if computed.iter().all(|c| *c) => Vec::new(),
            Some(Surrogate::AroundMixture)
                if computed.iter().all(|c| *c) && around.iter().all(Option::is_some) =>
            {
                Vec::new()
            }
            _ => self.inner.models(rng)?,
        };
        self.surrogates = match forced {
            Some(surrogate) => vec![surrogate; m],
            None => self.by_evidence(&model, &direct, &around, rng)?,
        };
        for (own, computed) in self.surrogates.iter_mut().zip(&computed) {
            if !computed {
                *own = Surrogate::Direct;
            }
        }

        let mut front: Vec<Vec<f64>> = self.ys().map(<[f64]>::to_vec).collect();
        let scales: Vec<f64> = (0..m)
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
        let space = &self.inner.trials.space;
        let mut sought = Weighted::new(&acquisition);
        if let (Some(metric), Some(spread)) = (&self.options.metric, self.options.spread)
            && space.blocks() > 1
        {
            sought = sought.times(BlockAgreement::new(metric, space.blocks(), spread)?);
        }
        let ranked = search_mixtures(
            space,
            &sought,
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

    /// The first vertex, or else the centre, that is neither told nor pending.
    fn unknown_start(&self) -> Option<Vec<f64>> {
        let space = &self.inner.trials.space;
        let n = space.members();
        let vertex = |i: usize| (0..n).map(|j| if i == j { 1.0 } else { 0.0 }).collect();
        let start = (0..n).map(vertex).chain([vec![1.0 / n as f64; n]]);
        start
            .map(|w: Vec<f64>| space.shared(&w))
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
}
