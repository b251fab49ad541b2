//! Convex regions that a point can be projected onto.

use crate::space::project_onto_simplex;

/// A closed convex polyhedron with an exact projection, in `R^d`.
pub trait Region {
    /// Moves `x` to the nearest point of the region.
    fn project(&self, x: &mut [f64]);

    /// Replaces `v` by its projection on the tangent cone at `x` (a point of
    /// the region): the nearest direction in which the region can be left for
    /// no bound. Zero for the negative gradient means that `x` is stationary.
    fn project_on_tangent(&self, x: &[f64], v: &mut [f64]);

    /// Whether coordinate `i` of `x` lies on a bound.
    fn on_bound(&self, x: &[f64], i: usize) -> bool;

    /// The largest `t` for which `x + t v` is still in the region (infinite if
    /// no bound is ahead), for a point `x` of it.
    fn max_step(&self, x: &[f64], v: &[f64]) -> f64;

    /// Puts coordinates within rounding of a bound on it.
    fn settle(&self, x: &mut [f64]);

    /// Replaces `v` by its projection on the linear span of a face: zero where
    /// `free` is false, and whatever equalities the region has.
    fn project_on_face(&self, free: &[bool], v: &mut [f64]);

    /// What a direction on the face must be orthogonal to beside that: the
    /// normals of inequalities other than bounds of coordinates that hold with
    /// equality at `x` and that `direction` (of the tangent cone) does not
    /// leave, projected on the face and made orthonormal.
    fn face_normals(&self, x: &[f64], direction: &[f64], free: &[bool]) -> Vec<Vec<f64>> {
        let _ = (x, direction, free);
        Vec::new()
    }
}

/// What a step of length `max_step` may miss the bound by: a few units in the
/// last place of numbers around 1.
const ROUNDING: f64 = 1e-14;

/// `lower_i <= x_i <= upper_i`; equal bounds hold a coordinate fixed.
#[derive(Debug, Clone, PartialEq)]
pub struct BoxRegion {
    /// Lower bounds, shape `d`.
    pub lower: Vec<f64>,
    /// Upper bounds, shape `d`.
    pub upper: Vec<f64>,
}

impl Region for BoxRegion {
    fn project(&self, x: &mut [f64]) {
        for ((x, l), u) in x.iter_mut().zip(&self.lower).zip(&self.upper) {
            *x = x.min(*u).max(*l);
        }
    }

    fn project_on_tangent(&self, x: &[f64], v: &mut [f64]) {
        for i in 0..v.len() {
            if (x[i] <= self.lower[i] && v[i] < 0.0) || (x[i] >= self.upper[i] && v[i] > 0.0) {
                v[i] = 0.0;
            }
        }
    }

    fn on_bound(&self, x: &[f64], i: usize) -> bool {
        x[i] <= self.lower[i] || x[i] >= self.upper[i]
    }

    fn max_step(&self, x: &[f64], v: &[f64]) -> f64 {
        let mut t = f64::INFINITY;
        for i in 0..v.len() {
            if v[i] < 0.0 {
                t = t.min((self.lower[i] - x[i]) / v[i]);
            } else if v[i] > 0.0 {
                t = t.min((self.upper[i] - x[i]) / v[i]);
            }
        }
        t.max(0.0)
    }

    fn settle(&self, x: &mut [f64]) {
        for ((x, l), u) in x.iter_mut().zip(&self.lower).zip(&self.upper) {
            if (*x - l).abs() <= ROUNDING * (1.0 + l.abs()) {
                *x = *l;
            } else if (*x - u).abs() <= ROUNDING * (1.0 + u.abs()) {
                *x = *u;
            }
        }
    }

    fn project_on_face(&self, free: &[bool], v: &mut [f64]) {
        for (v, free) in v.iter_mut().zip(free) {
            if !free {
                *v = 0.0;
            }
        }
    }
}

/// The probability simplex.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SimplexRegion;

impl Region for SimplexRegion {
    fn project(&self, x: &mut [f64]) {
        project_onto_simplex(x);
    }

    fn project_on_tangent(&self, x: &[f64], v: &mut [f64]) {
        // Nearest d with sum(d) = 0 and d_i >= 0 where x_i = 0: d = v - lambda
        // on the positive coordinates and on those zeros whose v exceeds it.
        let mut count = 0_usize;
        let mut sum = 0.0;
        let mut zeros: Vec<f64> = Vec::new();
        for (x, v) in x.iter().zip(v.iter()) {
            if *x > 0.0 {
                count += 1;
                sum += v;
            } else {
                zeros.push(*v);
            }
        }
        zeros.sort_by(|a, b| b.total_cmp(a));
        for z in zeros {
            if count > 0 && z <= sum / count as f64 {
                break;
            }
            count += 1;
            sum += z;
        }
        let lambda = sum / count.max(1) as f64;
        for (x, v) in x.iter().zip(v.iter_mut()) {
            *v = if *x > 0.0 {
                *v - lambda
            } else {
                (*v - lambda).max(0.0)
            };
        }
    }

    fn on_bound(&self, x: &[f64], i: usize) -> bool {
        x[i] <= 0.0
    }

    fn max_step(&self, x: &[f64], v: &[f64]) -> f64 {
        x.iter()
            .zip(v)
            .filter(|(_, v)| **v < 0.0)
            .map(|(x, v)| -x / v)
            .fold(f64::INFINITY, f64::min)
    }

    fn settle(&self, x: &mut [f64]) {
        x.iter_mut()
            .filter(|x| x.abs() <= ROUNDING)
            .for_each(|x| *x = 0.0);
    }

    fn project_on_face(&self, free: &[bool], v: &mut [f64]) {
        let mut count = 0_usize;
        let mut sum = 0.0;
        for (v, free) in v.iter_mut().zip(free) {
            if *free {
                count += 1;
                sum += *v;
            } else {
                *v = 0.0;
            }
        }
        let mean = sum / count.max(1) as f64;
        for (v, free) in v.iter_mut().zip(free) {
            if *free {
                *v -= mean;
            }
        }
    }
}
