//! Which surrogate predicts an objective best.
//!
//! By the squares of what each misses when an observation is left out. (The density of
//! what is left out was tried in their place: it prefers the process with the wider error bars to
//! the one that misses less, and took the objective's own process where the composite missed a
//! fifth of what that did.)
//! At vertices, which the mean knows by its construction, nothing is compared.

use rand::Rng;

use super::{CompositeObjective, Surrogate};
use crate::Result;
use crate::acquisition::composite::{Composite, leave_one_out, prior_objectives};
use crate::models::{
    Correlation, GaussianProcess, LeaveOneOut, LinearMean, MultiOutputGp, TrainingData,
};
use crate::optim::SearchSpace;
use crate::space::MixtureSpace;

/// So many observations beside the vertices before the models compete; until then the
/// composite stands, which needs the fewest.
const MIN_EVIDENCE: usize = 4;

/// Another model takes the composite's place where the squares of what it misses are less
/// than this part of the composite's: the composite's draws of several objectives belong
/// together, which counts for something beside accuracy.
const CLEARLY: f64 = 0.5;

/// Draws of the outputs when models compete.
const EVIDENCE_DRAWS: usize = 32;

impl<C: Composite, S: MixtureSpace + SearchSpace> CompositeObjective<C, S> {
    /// Which objectives the composite gives at all, from `outputs` of an evaluation.
    pub(super) fn computed(&self, outputs: &[f64]) -> Vec<bool> {
        let mut y = vec![f64::NAN; self.composite.objectives()];
        self.composite.evaluate(outputs, &mut y);
        y.iter().map(|v| v.is_finite()).collect()
    }

    /// A process an objective, on its difference from the mixture's.
    pub(super) fn around_mixture<R: Rng + ?Sized>(
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
    pub(super) fn by_evidence<R: Rng + ?Sized>(
        &self,
        outputs: &MultiOutputGp<&LinearMean>,
        direct: &[GaussianProcess],
        around: &[Option<GaussianProcess>],
        rng: &mut R,
    ) -> Result<Vec<Surrogate>> {
        let m = direct.len();
        let (space, observations) = (&self.inner.trials.space, self.inner.observations());
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
            .filter(|i| space.vertex_of(&observations[*i].x).is_none())
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
}
