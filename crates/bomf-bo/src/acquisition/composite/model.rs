//! Draws of objectives at a point, each from the model that suits it.

use rand::{Rng, RngExt};
use rand_distr::StandardNormal;
use rayon::prelude::*;

use super::Composite;
use crate::linalg::axpy;
use crate::models::{Correlation, GaussianProcess, MeanFunction, MultiOutputGp, OutputDraws};
use crate::{BoError, Result};

/// Points whose outputs are predicted in one product: some hundred kilobytes
/// of means at a few thousand outputs.
const BLOCK: usize = 16;

/// Where the draws of an objective come from.
#[derive(Debug, Clone, Copy)]
pub enum Source<'a> {
    /// The composite of drawn outputs.
    Composite,
    /// A process on the objective itself.
    Direct(&'a GaussianProcess),
    /// A process on the objective's difference from the composite of the
    /// outputs' *prior mean* ([`super::prior_objectives`]).
    AroundPrior(&'a GaussianProcess),
}

/// Objectives as random functions of the inputs: `S` draws of `m` objectives
/// at any point, smooth in the point where the composite is.
#[derive(Debug, Clone)]
pub struct CompositeModel<'a, M, C> {
    outputs: &'a MultiOutputGp<M>,
    composite: &'a C,
    draws: OutputDraws,
    sources: Vec<Source<'a>>,
    /// `S x m` by rows, for objectives with a process of their own; antithetic
    /// pairs, as the outputs' draws are.
    normals: Vec<f64>,
}

impl<'a, M: MeanFunction, C: Composite> CompositeModel<'a, M, C> {
    /// `draws` draws of all objectives through `composite`.
    ///
    /// # Errors
    /// [`BoError::Dimension`] if the numbers of outputs differ,
    /// [`BoError::Option`] without a draw, [`BoError::NoData`] without an
    /// objective.
    pub fn new<R: Rng + ?Sized>(
        outputs: &'a MultiOutputGp<M>,
        composite: &'a C,
        draws: usize,
        correlation: Correlation,
        rng: &mut R,
    ) -> Result<Self> {
        if composite.outputs() != outputs.outputs() {
            return Err(BoError::Dimension {
                what: "the composite's list of outputs",
                found: composite.outputs(),
                expected: outputs.outputs(),
            });
        }
        if draws == 0 {
            return Err(BoError::Option {
                option: "draws",
                value: 0.0,
                range: "the positive numbers",
            });
        }
        let m = composite.objectives();
        if m == 0 {
            return Err(BoError::NoData);
        }
        let draws = outputs.draws(draws, correlation, rng);
        let mut normals: Vec<f64> = Vec::with_capacity(draws.len() * m);
        for s in 0..draws.len() {
            for _ in 0..m {
                normals.push(if s % 2 == 0 {
                    rng.sample(StandardNormal)
                } else {
                    -normals[normals.len() - m]
                });
            }
        }
        Ok(Self {
            outputs,
            composite,
            draws,
            sources: vec![Source::Composite; m],
            normals,
        })
    }

    /// The same, with objective `j` drawn from `source`.
    ///
    /// # Errors
    /// [`BoError::Dimension`] if the process has another number of inputs, or
    /// there is no objective `j`.
    pub fn with_source(mut self, j: usize, source: Source<'a>) -> Result<Self> {
        if let Source::Direct(gp) | Source::AroundPrior(gp) = source
            && gp.dim() != self.dim()
        {
            return Err(BoError::Dimension {
                what: "a model's input",
                found: gp.dim(),
                expected: self.dim(),
            });
        }
        let m = self.objectives();
        match self.sources.get_mut(j) {
            Some(own) => *own = source,
            None => {
                return Err(BoError::Dimension {
                    what: "the list of objectives",
                    found: j + 1,
                    expected: m,
                });
            }
        }
        Ok(self)
    }

    /// Number of inputs `d`.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.outputs.dim()
    }

    /// Number of objectives `m`.
    #[must_use]
    pub fn objectives(&self) -> usize {
        self.sources.len()
    }

    /// Number of draws `S`.
    #[must_use]
    pub fn len(&self) -> usize {
        self.draws.len()
    }

    /// Always false: there is at least one draw.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        false
    }

    fn through_outputs(&self) -> bool {
        self.sources.iter().any(|s| matches!(s, Source::Composite))
    }

    /// Draws of the objectives at each of `points` (`q x d`): shape
    /// `q x S x m`, in a row.
    ///
    /// # Errors
    /// [`BoError::Dimension`].
    pub fn sample(&self, points: &[Vec<f64>]) -> Result<Vec<f64>> {
        let stride = self.len() * self.objectives();
        let mut out = vec![0.0; points.len() * stride];
        if self.through_outputs() {
            points
                .par_chunks(BLOCK)
                .zip(out.par_chunks_mut(BLOCK * stride))
                .try_for_each(|(block, out)| self.sample_outputs(block, out))?;
        }
        self.sample_direct(points, &mut out)?;
        Ok(out)
    }

    /// Draws of the composite objectives at each of a block of points.
    fn sample_outputs(&self, points: &[Vec<f64>], out: &mut [f64]) -> Result<()> {
        let (m, p) = (self.objectives(), self.outputs.outputs());
        let mut means = vec![0.0; points.len() * p];
        let mut drawn = vec![0.0; p];
        let sigmas = self.outputs.predict_into(points, &mut means)?;
        for ((mean, sigma), out) in means
            .chunks_exact(p)
            .zip(&sigmas)
            .zip(out.chunks_exact_mut(self.len() * m))
        {
            for (e, objectives) in self.draws.deviations().zip(out.chunks_exact_mut(m)) {
                drawn.copy_from_slice(mean);
                axpy(*sigma, e, &mut drawn);
                self.composite.evaluate(&drawn, objectives);
            }
        }
        Ok(())
    }

    /// Overwrites the objectives with a process of their own.
    fn sample_direct(&self, points: &[Vec<f64>], out: &mut [f64]) -> Result<()> {
        let m = self.objectives();
        let around = self
            .sources
            .iter()
            .any(|s| matches!(s, Source::AroundPrior(_)));
        let prior = if around {
            super::prior_objectives(self.outputs.mean_function(), self.composite, points)?
        } else {
            Vec::new()
        };
        for (j, source) in self.sources.iter().enumerate() {
            let gp = match source {
                Source::Composite => continue,
                Source::Direct(gp) | Source::AroundPrior(gp) => gp,
            };
            let posteriors = gp.predict_batch(points)?;
            for (i, (posterior, out)) in posteriors
                .iter()
                .zip(out.chunks_exact_mut(self.len() * m))
                .enumerate()
            {
                let offset = match source {
                    Source::AroundPrior(_) => prior[i][j],
                    _ => 0.0,
                };
                let sigma = posterior.variance.sqrt();
                for (row, z) in out.chunks_exact_mut(m).zip(self.normals.chunks_exact(m)) {
                    row[j] = offset + posterior.mean + sigma * z[j];
                }
            }
        }
        Ok(())
    }

    /// Adds to `gradient` (shape `d`) that of `sum_sj cotangents_sj y_sj(x)`,
    /// with `y` the draws at `x` and `cotangents` of shape `S x m`.
    ///
    /// # Errors
    /// [`BoError::Dimension`].
    pub fn pull_back(&self, x: &[f64], cotangents: &[f64], gradient: &mut [f64]) -> Result<()> {
        let (m, p) = (self.objectives(), self.outputs.outputs());
        let expected = self.len() * m;
        if cotangents.len() != expected {
            return Err(BoError::Dimension {
                what: "the list of cotangents",
                found: cotangents.len(),
                expected,
            });
        }
        if self.through_outputs() {
            let posterior = self.outputs.predict(x)?;
            let mut drawn = vec![0.0; p];
            let mut total = vec![0.0; p];
            let mut by_sigma = 0.0;
            let mut own = vec![0.0; m];
            let mut one = vec![0.0; p];
            for (e, row) in self.draws.deviations().zip(cotangents.chunks_exact(m)) {
                for ((own, c), source) in own.iter_mut().zip(row).zip(&self.sources) {
                    let through = matches!(source, Source::Composite);
                    *own = if through { *c } else { 0.0 };
                }
                if own.iter().all(|c| *c == 0.0) {
                    continue;
                }
                drawn.copy_from_slice(&posterior.mean);
                axpy(posterior.sigma, e, &mut drawn);
                one.fill(0.0);
                self.composite.pull_back(&drawn, &own, &mut one);
                by_sigma += crate::linalg::dot(&one, e);
                axpy(1.0, &one, &mut total);
            }
            let back = self.outputs.pull_back(x, &total, by_sigma)?;
            axpy(1.0, &back, gradient);
        }
        let mut around = vec![0.0; m];
        for (j, source) in self.sources.iter().enumerate() {
            let gp = match source {
                Source::Composite => continue,
                Source::Direct(gp) | Source::AroundPrior(gp) => gp,
            };
            let (mut by_mean, mut by_sigma) = (0.0, 0.0);
            for (c, z) in cotangents.chunks_exact(m).zip(self.normals.chunks_exact(m)) {
                by_mean += c[j];
                by_sigma += c[j] * z[j];
            }
            let own = gp.predict_with_gradient(x)?;
            axpy(by_mean, &own.mean, gradient);
            let sigma = own.posterior.variance.sqrt();
            axpy(by_sigma / (2.0 * sigma), &own.variance, gradient);
            if matches!(source, Source::AroundPrior(_)) {
                around[j] = by_mean;
            }
        }
        if around.iter().any(|c| *c != 0.0) {
            let mean = self.outputs.mean_function();
            let mut outputs = vec![0.0; p];
            mean.add_to(&[x.to_vec()], &mut outputs);
            let mut back = vec![0.0; p];
            self.composite.pull_back(&outputs, &around, &mut back);
            mean.pull_back(x, &back, gradient);
        }
        Ok(())
    }

    /// Whether gradients are those of every objective.
    #[must_use]
    pub fn is_smooth(&self) -> bool {
        self.composite.is_smooth() || self.sources.iter().all(|s| matches!(s, Source::Direct(_)))
    }
}
