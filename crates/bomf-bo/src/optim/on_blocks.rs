//! Candidates and refinement on mixtures by block.
//!
//! Beside what a product of simplexes tries (the move of one block, of some, of all), the
//! blocks move together: towards one member, by one step.

use rand::{Rng, RngExt};

use super::{Scored, SearchSpace, SolverOptions};
use crate::space::{BlockSpace, MixtureSpace};
use crate::{Acquisition, Result};

/// Part of the candidates that moves all blocks of an incumbent alike.
const TOGETHER: f64 = 0.125;

/// Steps are drawn log-uniformly between these parts of the whole weight.
const STEPS: (f64, f64) = (0.01, 1.0);

impl SearchSpace for BlockSpace {
    fn candidates<R: Rng + ?Sized>(
        &self,
        incumbents: &[Vec<f64>],
        count: usize,
        rng: &mut R,
    ) -> Vec<Vec<f64>> {
        let n = self.members();
        let together = match incumbents.is_empty() {
            true => 0,
            false => (TOGETHER * count as f64) as usize,
        };
        let others = count - together;
        let mut points = self.product().candidates(incumbents, others, rng);
        for k in 0..together {
            let mut x = incumbents[k % incumbents.len()].clone();
            let t = STEPS.0 * (STEPS.1 / STEPS.0).powf(rng.random());
            let i = rng.random_range(0..n);
            x.iter_mut().for_each(|v| *v *= 1.0 - t);
            x.iter_mut().skip(i).step_by(n).for_each(|v| *v += t);
            points.push(x);
        }
        points
    }

    fn refine(
        &self,
        acquisition: &dyn Acquisition,
        start: &Scored,
        options: &SolverOptions,
    ) -> Result<Scored> {
        self.product().refine(acquisition, start, options)
    }
}
