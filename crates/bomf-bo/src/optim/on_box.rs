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

use super::maximise::ascend;
use super::{BoxRegion, Scored, SearchSpace, SolverOptions};
use crate::sampling::ScrambledSobol;
use crate::space::{BoxSpace, Space};
use crate::{Acquisition, Result};

/// Part of the candidates that lies around the incumbents.
const NEAR: f64 = 0.4;

/// Standard deviations of the steps away from an incumbent, as parts of the
/// unit interval: drawn log-uniformly between these.
const STEPS: (f64, f64) = (0.005, 0.3);

/// Rounds of local search in the discrete coordinates.
const ROUNDS: usize = 8;

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
            let mut x = incumbents[i % incumbents.len()].clone();
            let step = STEPS.0 * (STEPS.1 / STEPS.0).powf(rng.random());
            // Half of them move in a few coordinates only.
            let part = if rng.random() {
                1.0
            } else {
                (2.0 / d as f64).min(1.0)
            };
            let sure = rng.random_range(0..d);
            for (j, v) in x.iter_mut().enumerate() {
                if j == sure || rng.random::<f64>() < part {
                    *v = (*v + step * rng.sample::<f64, _>(StandardNormal)).clamp(0.0, 1.0);
                }
            }
            points.push(x);
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
        let continuous = self.continuous();
        let mut best = climb(acquisition, &continuous, start, options)?;
        if continuous.iter().all(|c| *c) {
            return Ok(best);
        }
        for _ in 0..ROUNDS {
            let neighbours = self.neighbours(&best.x);
            let values = acquisition.values(&neighbours)?;
            let mut better: Option<Scored> = None;
            for (x, value) in neighbours.into_iter().zip(values) {
                if value > better.as_ref().map_or(best.value, |b| b.value) {
                    better = Some(Scored { x, value });
                }
            }
            match better {
                Some(b) => best = climb(acquisition, &continuous, &b, options)?,
                None => break,
            }
        }
        Ok(best)
    }
}

/// Ascent in the continuous coordinates.
fn climb(
    acquisition: &dyn Acquisition,
    continuous: &[bool],
    start: &Scored,
    options: &SolverOptions,
) -> Result<Scored> {
    if !continuous.contains(&true) {
        return Ok(start.clone());
    }
    let bound = |free: f64| {
        continuous
            .iter()
            .zip(&start.x)
            .map(|(c, x)| if *c { free } else { *x })
            .collect()
    };
    let region = BoxRegion {
        lower: bound(0.0),
        upper: bound(1.0),
    };
    ascend(acquisition, &region, start, options)
}
