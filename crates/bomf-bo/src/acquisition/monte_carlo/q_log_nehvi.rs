//! Logarithm of the noisy expected hypervolume improvement, with pending points.
//!
//! `NEHVI(x) = E[HVI(f(x) | f(X_baseline), f(X_pending))]` (Daulton, Balandat and
//! Bakshy, "Parallel Bayesian optimization of multiple noisy objectives with
//! expected hypervolume improvement", NeurIPS 2021, equation 5; batches
//! sequentially greedy, section 4.2; logarithm: Ament et al. 2023, section 4.3).
//! The expectation over the fronts is by samples, that over the new point given
//! the front by the closed form of
//! [`LogEhvi`](crate::acquisition::analytic::LogEhvi); see
//! [`conditional`](super::conditional).

use rand::Rng;

use super::conditional::{Conditioned, acquisition_by};
use super::fronts::Fronts;
use super::samples::{SampleOptions, Samples};
use crate::models::GaussianProcess;
use crate::{BoError, Result};

/// The logarithm of the expected gain in hypervolume (qLogNEHVI) of one more
/// point, beside baseline points whose outcomes are known with noise and pending
/// points whose outcomes are not known yet.
#[derive(Debug, Clone)]
pub struct QLogNehvi<'a> {
    inner: Conditioned<'a, Fronts>,
}

impl<'a> QLogNehvi<'a> {
    /// Gain over the points `baseline` (`n x d`, those told) and `pending`
    /// (`p x d`) above `ref_point` (`m`), under one model an objective.
    ///
    /// # Errors
    /// [`BoError::Dimension`] if the numbers of models and objectives differ,
    /// or any numbers of inputs; [`BoError::Option`] for zero samples;
    /// [`BoError::Pareto`] as [`bomf_pareto::box_decomposition`];
    /// [`BoError::NotPositiveDefinite`].
    pub fn new<R: Rng + ?Sized>(
        models: &'a [GaussianProcess],
        baseline: &[Vec<f64>],
        pending: &[Vec<f64>],
        ref_point: &[f64],
        options: &SampleOptions,
        rng: &mut R,
    ) -> Result<Self> {
        if models.len() != ref_point.len() {
            return Err(BoError::Dimension {
                what: "the list of models",
                found: models.len(),
                expected: ref_point.len(),
            });
        }
        let samples = Samples::draw(models, baseline, pending, options, rng)?;
        let mut utility = Fronts::new(ref_point.len());
        for s in 0..samples.count {
            utility.push(&samples.outcomes(s), ref_point)?;
        }
        Ok(Self {
            inner: Conditioned { samples, utility },
        })
    }

    /// Number of fronts sampled; 1 where nothing is uncertain but the new point.
    #[must_use]
    pub fn samples(&self) -> usize {
        self.inner.samples.count
    }
}

acquisition_by!(QLogNehvi);
