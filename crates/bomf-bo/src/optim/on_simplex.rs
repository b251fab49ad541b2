//! Candidates and refinement on the simplex.
//!
//! Good mixtures are sparse, so half of the candidates lie on faces: vertices,
//! edges, faces of few coefficients, and incumbents with a coefficient taken
//! out. The refinement projects onto the simplex, which finds faces by itself.

use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use super::maximise::ascend;
use super::{Scored, SearchSpace, SimplexRegion, SolverOptions};
use crate::sampling::{random_face, uniform_simplex};
use crate::space::{SimplexSpace, Space, project_onto_simplex};
use crate::{Acquisition, Result};

/// Part of the candidates that lies around the incumbents.
const NEAR: f64 = 0.5;

/// Steps away from an incumbent are drawn log-uniformly between these parts of
/// the whole weight.
const STEPS: (f64, f64) = (0.01, 1.0);

impl SearchSpace for SimplexSpace {
    fn candidates<R: Rng + ?Sized>(
        &self,
        incumbents: &[Vec<f64>],
        count: usize,
        rng: &mut R,
    ) -> Vec<Vec<f64>> {
        let n = self.dim();
        let mut points = vec![self.centre()];
        points.extend((0..n.min(count / 4)).filter_map(|i| self.vertex(i)));
        let near = if incumbents.is_empty() {
            0
        } else {
            (NEAR * count as f64) as usize
        };
        for i in 0..near {
            let w = &incumbents[i % incumbents.len()];
            points.push(step_from(w, incumbents, rng));
        }
        while points.len() < count {
            // Uniform on the whole, or on a face with any number of members.
            let w = if points.len() % 3 == 0 {
                uniform_simplex(n, rng)
            } else {
                let k = rng.random_range(1..=n);
                random_face(n, k, rng)
            };
            points.push(w);
        }
        points
    }

    fn refine(
        &self,
        acquisition: &dyn Acquisition,
        start: &Scored,
        options: &SolverOptions,
    ) -> Result<Scored> {
        ascend(acquisition, &SimplexRegion, start, options)
    }
}

/// A random step from incumbent `w`, in one of five ways.
pub(super) fn step_from<R: Rng + ?Sized>(
    w: &[f64],
    incumbents: &[Vec<f64>],
    rng: &mut R,
) -> Vec<f64> {
    let n = w.len();
    let t = STEPS.0 * (STEPS.1 / STEPS.0).powf(rng.random());
    let towards =
        |other: &[f64]| -> Vec<f64> { w.iter().zip(other).map(|(a, b)| a + t * (b - a)).collect() };
    match rng.random_range(0..5) {
        // Towards a vertex.
        0 => {
            let i = rng.random_range(0..n);
            let mut next: Vec<f64> = w.iter().map(|v| (1.0 - t) * v).collect();
            next[i] += t;
            next
        }
        // Weight moved from one member to another.
        1 => {
            let (from, to) = (rng.random_range(0..n), rng.random_range(0..n));
            let mut next = w.to_vec();
            let moved = t.min(next[from]);
            next[from] -= moved;
            next[to] += moved;
            next
        }
        // One member taken out.
        2 => {
            let out = rng.random_range(0..n);
            let rest = 1.0 - w[out];
            if rest <= 0.0 {
                return uniform_simplex(n, rng);
            }
            let mut next: Vec<f64> = w.iter().map(|v| v / rest).collect();
            next[out] = 0.0;
            next
        }
        // Towards another incumbent, or past it a random mixture.
        3 => {
            let other = &incumbents[rng.random_range(0..incumbents.len())];
            if other.as_slice() == w {
                towards(&uniform_simplex(n, rng))
            } else {
                towards(other)
            }
        }
        // In a random direction, small members dropping out.
        _ => {
            let mut next = w.to_vec();
            for v in &mut next {
                *v += t / (n as f64).sqrt() * rng.sample::<f64, _>(StandardNormal);
            }
            project_onto_simplex(&mut next);
            next
        }
    }
}
