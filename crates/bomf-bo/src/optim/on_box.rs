//! Candidates and refinement on a box, discrete parameters included.
//!
//! Every point that is scored is one that can be evaluated: integers rounded
//! and categories decided first (Garrido-Merchán and Hernández-Lobato, "Dealing
//! with categorical and integer-valued variables in Bayesian optimization",
//! Neurocomputing 380, 2020, section 3), so the model never sees another. The
//! continuous coordinates are refined with the discrete ones held; then each
//! discrete parameter is moved to a neighbour while that helps.

use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use super::local::climb_in;
use super::{Scored, SearchSpace, SolverOptions};
use crate::sampling::ScrambledSobol;
use crate::space::{BoxSpace, Domain, Space, Value};
use crate::{Acquisition, Result};

/// Part of the candidates that lies around the incumbents.
const NEAR: f64 = 0.4;

/// Standard deviations of the steps away from an incumbent, as parts of the
/// unit interval: drawn log-uniformly between these.
const STEPS: (f64, f64) = (0.005, 0.3);

/// Where an incumbent is moved in a few parameters only, this many on average.
const FEW: f64 = 2.0;

impl SearchSpace for BoxSpace {
    fn candidates<R: Rng + ?Sized>(
        &self,
        incumbents: &[Vec<f64>],
        count: usize,
        rng: &mut R,
    ) -> Vec<Vec<f64>> {
        let d = self.dim();
        let near = if incumbents.is_empty() {
            0
        } else {
            (NEAR * count as f64) as usize
        };
        let mut sobol = ScrambledSobol::new(d, rng);
        let mut points: Vec<Vec<f64>> = (near..count).map(|_| sobol.next_point()).collect();
        for i in 0..near {
            points.push(step_from(self, &incumbents[i % incumbents.len()], rng));
        }
        for x in &mut points {
            self.snap(x);
        }
        points
    }

    fn refine(
        &self,
        acquisition: &dyn Acquisition,
        start: &Scored,
        options: &SolverOptions,
    ) -> Result<Scored> {
        climb_in(self, acquisition, start, options)
    }
}

/// A random step from an incumbent: numbers by a normal amount, integers by at
/// least one where they are meant to move, choices to any other. Parameters that
/// become active are drawn anew.
pub(super) fn step_from<R: Rng + ?Sized>(
    space: &BoxSpace,
    incumbent: &[f64],
    rng: &mut R,
) -> Vec<f64> {
    let mut x = incumbent.to_vec();
    let n = space.parameters().len();
    let step = STEPS.0 * (STEPS.1 / STEPS.0).powf(rng.random());
    // Half of them move in a few parameters only.
    let few = !rng.random::<bool>();
    let part = if few { (FEW / n as f64).min(1.0) } else { 1.0 };
    let sure = rng.random_range(0..n);
    let before = space.values(incumbent);
    for (i, value) in before.iter().enumerate() {
        if i != sure && rng.random::<f64>() >= part {
            continue;
        }
        let slot = &mut x[space.slot(i)];
        match (&space.parameters()[i].domain, value) {
            (_, None) => {}
            (Domain::Categorical { choices }, Some(_)) => {
                // One of few moves, or a change as likely as the step is long.
                if few || rng.random::<f64>() < step {
                    let pick = rng.random_range(0..choices.len());
                    slot.fill(0.0);
                    slot[pick] = 1.0;
                }
            }
            (domain, Some(value)) => {
                slot[0] = (slot[0] + step * rng.sample::<f64, _>(StandardNormal)).clamp(0.0, 1.0);
                if let Value::Integer(v) = value
                    && few
                    && domain.decode(slot) == *value
                {
                    let next = Value::Integer(if rng.random() { v + 1 } else { v - 1 });
                    let mut own = Vec::with_capacity(1);
                    if domain.encode(&next, &mut own) {
                        slot.copy_from_slice(&own);
                    }
                }
            }
        }
    }
    if space.is_conditional() {
        space.wake(&mut x, &before, || rng.random());
    }
    x
}
