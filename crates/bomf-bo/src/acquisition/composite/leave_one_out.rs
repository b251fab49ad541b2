//! Which model predicts an objective best: the evidence.
//!
//! Three models of one objective compare by the log density that each gives to
//! an observation it has not seen (Rasmussen and Williams 2006, section 5.4.2):
//! the composite of modelled outputs ([`leave_one_out`] here), a process on the
//! objective, and a process on its difference from [`prior_objectives`] (for
//! both, [`LeaveOneOut::new`] of their predictions).

use super::Composite;
use crate::linalg::axpy;
use crate::models::{LeaveOneOut, MeanFunction, MultiOutputGp, OutputDraws};
use crate::{BoError, Result};

/// A standard deviation of drawn objectives is not let below this part of the
/// observed ones': a metric that counts has draws that are all equal.
const MIN_SPREAD: f64 = 0.05;

/// The errors of each objective's predictions from all other observations, one
/// entry an objective: mean and variance are those of the composite over
/// `draws` of the left-out outputs.
#[must_use]
pub fn leave_one_out<M: MeanFunction, C: Composite>(
    outputs: &MultiOutputGp<M>,
    composite: &C,
    draws: &OutputDraws,
) -> Vec<LeaveOneOut> {
    let m = composite.objectives();
    let n = outputs.observations();
    let count = draws.len().max(1) as f64;
    let mut observed = vec![Vec::with_capacity(n); m];
    let mut all: Vec<LeaveOneOut> = (0..m)
        .map(|_| LeaveOneOut {
            error: Vec::with_capacity(n),
            variance: Vec::with_capacity(n),
        })
        .collect();
    let mut y = vec![0.0; m];
    let mut drawn = vec![0.0; outputs.outputs()];
    for left in outputs.leave_one_out() {
        let mut rows = Vec::with_capacity(draws.len());
        for e in draws.deviations() {
            drawn.copy_from_slice(&left.prediction.mean);
            axpy(left.prediction.sigma, e, &mut drawn);
            composite.evaluate(&drawn, &mut y);
            rows.push(y.clone());
        }
        composite.evaluate(&left.observed, &mut y);
        for (j, own) in all.iter_mut().enumerate() {
            let mean = rows.iter().map(|r| r[j]).sum::<f64>() / count;
            let variance = rows.iter().map(|r| (r[j] - mean).powi(2)).sum::<f64>() / count;
            own.error.push(y[j] - mean);
            own.variance.push(variance);
            observed[j].push(y[j]);
        }
    }
    for (own, y) in all.iter_mut().zip(&observed) {
        let scale = crate::models::Standardiser::fit(y).scale;
        let least = (MIN_SPREAD * scale).powi(2);
        own.variance.iter_mut().for_each(|v| *v = v.max(least));
    }
    all
}

/// The objectives (`q x m`) that the outputs' prior mean has at `points`
/// (`q x d`).
///
/// # Errors
/// [`BoError::Dimension`].
pub fn prior_objectives<M: MeanFunction, C: Composite>(
    mean: &M,
    composite: &C,
    points: &[Vec<f64>],
) -> Result<Vec<Vec<f64>>> {
    let expected = mean.outputs();
    if composite.outputs() != expected {
        return Err(BoError::Dimension {
            what: "the composite's list of outputs",
            found: composite.outputs(),
            expected,
        });
    }
    let mut outputs = vec![0.0; expected];
    points
        .iter()
        .map(|x| {
            if x.len() != mean.inputs() {
                return Err(BoError::Dimension {
                    what: "the point to predict at",
                    found: x.len(),
                    expected: mean.inputs(),
                });
            }
            outputs.fill(0.0);
            mean.add_to(std::slice::from_ref(x), &mut outputs);
            let mut y = vec![0.0; composite.objectives()];
            composite.evaluate(&outputs, &mut y);
            Ok(y)
        })
        .collect()
}
