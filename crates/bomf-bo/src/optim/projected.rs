//! A projected limited-memory quasi-Newton method.
//!
//! After Bertsekas, "Projected Newton methods for optimization problems with
//! simple constraints", SIAM J. Control Optim. 20 (1982), with the two-loop
//! recursion of Nocedal and Wright, "Numerical Optimization", algorithm 7.4:
//! at each iterate the coordinates on a bound that the projected gradient does
//! not leave are held; on the face of the others the recursion gives a
//! direction `d`; the step goes along the projected arc `P(x + t d)` with
//! Armijo's rule `f(x_t) <= f(x) + c g'(x_t - x)`. Where the arc bends away from
//! descent (the projection knows nothing of the curvature), the step ends at the
//! first bound; where that fails too, the projected gradient itself is the
//! direction, with a spectral step (Birgin, Martínez and Raydan, "Nonmonotone
//! spectral projected gradient methods on convex sets", SIAM J. Optim. 10,
//! 2000). Bounds are met exactly, since the projection is exact.

use std::collections::VecDeque;

use super::Region;
use crate::linalg::{axpy, dot};

/// Armijo's `c`, the customary one.
const ARMIJO: f64 = 1e-4;

/// Halvings of a step before the direction is given up.
const BACKTRACKS: usize = 20;

/// Trials along an arc that bends at a bound: if they fail, the straight step
/// to the bound is the better one.
const BENDS: usize = 2;

/// A pair enters the recursion if `s'y` exceeds this part of `|s| |y|`: else
/// the curvature along it is not positive and the direction might not descend.
const CURVATURE: f64 = 1e-10;

/// When to stop.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct SolverOptions {
    /// Largest number of iterations.
    pub max_iterations: usize,
    /// Stop when no component of the projected gradient exceeds this.
    pub gradient_tolerance: f64,
    /// Stop when an iteration gains less than this part of `1 + |f|`.
    pub value_tolerance: f64,
    /// Number of past steps that shape the direction.
    pub memory: usize,
    /// Length of the first step, which knows no curvature yet.
    pub first_step: f64,
}

impl Default for SolverOptions {
    fn default() -> Self {
        Self {
            max_iterations: 100,
            gradient_tolerance: 1e-6,
            value_tolerance: 1e-9,
            memory: 8,
            first_step: 0.1,
        }
    }
}

/// Where [`minimise`] ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Minimum {
    /// The point, shape `d`.
    pub x: Vec<f64>,
    /// The function's value there.
    pub value: f64,
    /// Number of evaluations of the function.
    pub evaluations: usize,
}

/// A local minimum of `f` on `region`, from `start` (shape `d`, projected
/// first).
///
/// `f(x, gradient)` returns the value and fills the gradient (shape `d`); a
/// value that is not finite counts as infinitely bad and is stepped back from.
pub fn minimise<F>(
    region: &impl Region,
    mut f: F,
    start: &[f64],
    options: &SolverOptions,
) -> Minimum
where
    F: FnMut(&[f64], &mut [f64]) -> f64,
{
    let d = start.len();
    let mut x = start.to_vec();
    region.project(&mut x);
    let mut gradient = vec![0.0; d];
    let mut value = finite(f(&x, &mut gradient), &gradient);
    let mut evaluations = 1;
    let mut history = History::new(options.memory);
    let mut trial = vec![0.0; d];
    let mut trial_gradient = vec![0.0; d];

    for _ in 0..options.max_iterations {
        if !value.is_finite() {
            break;
        }
        let mut steepest: Vec<f64> = gradient.iter().map(|g| -g).collect();
        region.project_on_tangent(&x, &mut steepest);
        let size = steepest.iter().fold(0.0_f64, |a, v| a.max(v.abs()));
        if size <= options.gradient_tolerance {
            break;
        }
        let face = Face::new(region, &x, &steepest);

        // The arc with the quasi-Newton direction; that direction as far as the
        // first bound; the arc with the projected gradient.
        let newton = history.direction(&face, &gradient);
        let mut attempts: Vec<(&[f64], f64, bool, usize)> = Vec::with_capacity(3);
        if let Some(newton) = &newton {
            let straight = region.max_step(&x, newton).min(1.0);
            if straight < 1.0 {
                attempts.push((newton, 1.0, true, BENDS));
            }
            if straight > 0.0 {
                attempts.push((newton, straight, false, BACKTRACKS));
            }
        }
        let length = dot(&steepest, &steepest).sqrt();
        let first = history
            .spectral_step()
            .unwrap_or(options.first_step / length);
        attempts.push((&steepest, first, true, BACKTRACKS));

        let mut accepted = None;
        'attempts: for (direction, first, bend, tries) in attempts {
            let mut t = first;
            for _ in 0..tries {
                trial.copy_from_slice(&x);
                axpy(t, direction, &mut trial);
                if !bend {
                    region.settle(&mut trial);
                }
                region.project(&mut trial);
                let slope: f64 = (0..d).map(|i| gradient[i] * (trial[i] - x[i])).sum();
                if slope >= 0.0 {
                    // The arc bends uphill; shorter, it follows the direction.
                    t *= 0.25;
                    continue;
                }
                let new = finite(f(&trial, &mut trial_gradient), &trial_gradient);
                evaluations += 1;
                if new <= value + ARMIJO * slope {
                    accepted = Some(new);
                    break 'attempts;
                }
                // Minimum of the parabola through value, slope and new value.
                let parabola = 0.5 * slope / (slope - (new - value));
                t *= if parabola.is_finite() {
                    parabola.clamp(0.1, 0.5)
                } else {
                    0.1
                };
            }
        }
        let Some(new) = accepted else { break };

        let s: Vec<f64> = trial.iter().zip(&x).map(|(a, b)| a - b).collect();
        let y: Vec<f64> = trial_gradient
            .iter()
            .zip(&gradient)
            .map(|(a, b)| a - b)
            .collect();
        history.push(s, y);
        let gain = value - new;
        std::mem::swap(&mut x, &mut trial);
        std::mem::swap(&mut gradient, &mut trial_gradient);
        value = new;
        if gain <= options.value_tolerance * (1.0 + value.abs()) {
            break;
        }
    }
    Minimum {
        x,
        value,
        evaluations,
    }
}

/// The value, or infinity if it or its gradient cannot be used.
fn finite(value: f64, gradient: &[f64]) -> f64 {
    if value.is_finite() && gradient.iter().all(|g| g.is_finite()) {
        value
    } else {
        f64::INFINITY
    }
}

/// The face that the projected gradient stays on.
struct Face<'a, R> {
    region: &'a R,
    /// The coordinates that are not held on a bound.
    free: Vec<bool>,
    /// What is held beside bounds and equalities, orthonormal.
    normals: Vec<Vec<f64>>,
}

impl<'a, R: Region> Face<'a, R> {
    fn new(region: &'a R, x: &[f64], steepest: &[f64]) -> Self {
        let free: Vec<bool> = (0..x.len())
            .map(|i| steepest[i] != 0.0 || !region.on_bound(x, i))
            .collect();
        let normals = region.face_normals(x, steepest, &free);
        Self {
            region,
            free,
            normals,
        }
    }

    /// Replaces `v` by its projection on the face's span.
    fn project(&self, v: &mut [f64]) {
        self.region.project_on_face(&self.free, v);
        for n in &self.normals {
            let c = -dot(n, v);
            axpy(c, n, v);
        }
    }
}

/// The last steps `s` and gradient differences `y`.
struct History {
    memory: usize,
    pairs: VecDeque<(Vec<f64>, Vec<f64>)>,
}

impl History {
    fn new(memory: usize) -> Self {
        Self {
            memory,
            pairs: VecDeque::new(),
        }
    }

    fn push(&mut self, s: Vec<f64>, y: Vec<f64>) {
        if self.pairs.len() == self.memory {
            self.pairs.pop_front();
        }
        self.pairs.push_back((s, y));
    }

    /// The inverse of the mean curvature along the last step (Barzilai and
    /// Borwein 1988), if that is positive: the projected gradient's step.
    fn spectral_step(&self) -> Option<f64> {
        let (s, y) = self.pairs.back()?;
        let step = dot(s, s) / dot(s, y);
        (step.is_finite() && step > 0.0).then_some(step)
    }

    /// The quasi-Newton direction on the face, if some pair has curvature there
    /// and the direction descends.
    fn direction(&self, face: &Face<'_, impl Region>, gradient: &[f64]) -> Option<Vec<f64>> {
        let mut pairs = Vec::with_capacity(self.pairs.len());
        for (s, y) in &self.pairs {
            let (mut s, mut y) = (s.clone(), y.clone());
            face.project(&mut s);
            face.project(&mut y);
            let sy = dot(&s, &y);
            if sy > CURVATURE * (dot(&s, &s) * dot(&y, &y)).sqrt() {
                pairs.push((s, y, sy));
            }
        }
        let (_, y, sy) = pairs.last()?;
        let scale = sy / dot(y, y);

        let mut q = gradient.to_vec();
        face.project(&mut q);
        let mut alphas = Vec::with_capacity(pairs.len());
        for (s, y, sy) in pairs.iter().rev() {
            let alpha = dot(s, &q) / sy;
            axpy(-alpha, y, &mut q);
            alphas.push(alpha);
        }
        q.iter_mut().for_each(|v| *v *= scale);
        for ((s, y, sy), alpha) in pairs.iter().zip(alphas.iter().rev()) {
            let beta = dot(y, &q) / sy;
            axpy(alpha - beta, s, &mut q);
        }
        q.iter_mut().for_each(|v| *v = -*v);
        face.project(&mut q);
        (dot(&q, gradient) < 0.0).then_some(q)
    }
}
