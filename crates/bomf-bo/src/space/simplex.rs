//! The probability simplex `{w : w_i >= 0, sum_i w_i = 1}`.
//!
//! Projection after Held, Wolfe and Crowder, "Validation of subgradient
//! optimization", Mathematical Programming 6 (1974): the nearest point of the
//! simplex to `v` is `max(0, v - tau)`, with `tau` such that the result sums to
//! one; `tau` is found by sorting. Coordinates at or below `tau` become exactly
//! zero, so faces and vertices are reached exactly.

use serde::{Deserialize, Serialize};

use super::Space;
use crate::sampling::unit_cube_to_simplex;
use crate::{BoError, Result};

/// How far coefficients handed in may miss the simplex: the sum by this much,
/// and each may be this much below zero.
pub const SIMPLEX_TOLERANCE: f64 = 1e-6;

/// The simplex of `n` coefficients.
///
/// Serialised as `{"n": 15}`, checked when read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Declared", into = "Declared")]
pub struct SimplexSpace {
    n: usize,
}

/// A simplex as it is stored, not yet checked.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Declared {
    n: usize,
}

impl TryFrom<Declared> for SimplexSpace {
    type Error = BoError;

    fn try_from(declared: Declared) -> Result<Self> {
        Self::new(declared.n)
    }
}

impl From<SimplexSpace> for Declared {
    fn from(space: SimplexSpace) -> Self {
        Self { n: space.n }
    }
}

impl SimplexSpace {
    /// The simplex of `n >= 1` coefficients.
    ///
    /// # Errors
    /// [`BoError::EmptySpace`] if `n` is zero.
    pub fn new(n: usize) -> Result<Self> {
        if n == 0 {
            return Err(BoError::EmptySpace);
        }
        Ok(Self { n })
    }

    /// Number of coefficients `n` (the simplex has dimension `n - 1`).
    #[must_use]
    pub fn len(&self) -> usize {
        self.n
    }

    /// Always false: a simplex has at least one coefficient.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Vertex `i`: all weight on coefficient `i`. `None` from `n` on.
    #[must_use]
    pub fn vertex(&self, i: usize) -> Option<Vec<f64>> {
        (i < self.n).then(|| {
            let mut w = vec![0.0; self.n];
            w[i] = 1.0;
            w
        })
    }

    /// The uniform average, `1/n` each.
    #[must_use]
    pub fn centre(&self) -> Vec<f64> {
        vec![1.0 / self.n as f64; self.n]
    }

    /// `w` (shape `n`) cleaned of rounding: values below zero clipped, the sum
    /// made one. A point exactly on the simplex comes back bit for bit.
    ///
    /// # Errors
    /// [`BoError::Dimension`], or [`BoError::NotOnSimplex`] if `w` misses the
    /// simplex by more than [`SIMPLEX_TOLERANCE`] or has a NaN.
    pub fn clean(&self, w: &[f64]) -> Result<Vec<f64>> {
        if w.len() != self.n {
            return Err(BoError::Dimension {
                what: "a point of the simplex",
                found: w.len(),
                expected: self.n,
            });
        }
        let sum: f64 = w.iter().sum();
        let smallest = w.iter().copied().fold(f64::INFINITY, f64::min);
        let off = !(sum - 1.0).abs().le(&SIMPLEX_TOLERANCE) || smallest < -SIMPLEX_TOLERANCE;
        if off {
            return Err(BoError::NotOnSimplex { sum, smallest });
        }
        let mut clean: Vec<f64> = w.iter().map(|v| v.max(0.0)).collect();
        let sum: f64 = clean.iter().sum();
        if sum != 1.0 {
            clean.iter_mut().for_each(|v| *v /= sum);
        }
        Ok(clean)
    }
}

/// The squared distance between sparse mixtures is about 1, that between
/// uniform points of the unit cube `d / 6`: the simplex is as wide as this many
/// dimensions, whatever its number of coefficients.
const PRIOR_DIM: f64 = 6.0;

impl Space for SimplexSpace {
    type Point = [f64];

    fn dim(&self) -> usize {
        self.n
    }

    /// As [`SimplexSpace::clean`].
    fn encode(&self, w: &[f64]) -> Result<Vec<f64>> {
        self.clean(w)
    }

    fn decode(&self, x: &[f64]) -> Result<Vec<f64>> {
        self.clean(x)
    }

    fn cardinality(&self) -> Option<u64> {
        (self.n == 1).then_some(1)
    }

    fn enumerate(&self) -> Vec<Vec<f64>> {
        if self.n == 1 {
            vec![vec![1.0]]
        } else {
            Vec::new()
        }
    }

    fn same(&self, a: &[f64], b: &[f64], tolerance: f64) -> bool {
        a.iter().zip(b).all(|(a, b)| (a - b).abs() <= tolerance)
    }

    fn design_dim(&self) -> usize {
        self.n - 1
    }

    fn design_point(&self, u: &[f64]) -> Vec<f64> {
        unit_cube_to_simplex(u)
    }

    fn prior_dim(&self) -> f64 {
        PRIOR_DIM
    }

    fn is_symmetric(&self) -> bool {
        true
    }
}

/// Replaces `v` (shape `n >= 1`, finite) by the nearest point of the simplex.
///
/// ```
/// let mut v = [0.9, 0.4, -3.0];
/// bomf_bo::space::project_onto_simplex(&mut v);
/// assert_eq!(v, [0.75, 0.25, 0.0]);
/// ```
pub fn project_onto_simplex(v: &mut [f64]) {
    let mut sorted = v.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let mut sum = 0.0;
    let mut tau = 0.0;
    for (k, value) in sorted.iter().enumerate() {
        sum += value;
        let candidate = (sum - 1.0) / (k + 1) as f64;
        if *value > candidate {
            tau = candidate;
        } else {
            break;
        }
    }
    // `tau` is a difference of sums near 1, known to their rounding; what does
    // not exceed it by more than that is zero.
    let largest = sorted.first().map_or(1.0, |v| v.abs().max(1.0));
    let rounding = 4.0 * f64::EPSILON * largest;
    let mut total = 0.0;
    for x in v.iter_mut() {
        *x -= tau;
        if *x <= rounding {
            *x = 0.0;
        }
        total += *x;
    }
    // What rounding left; skipped on a vertex, where the sum is exact.
    if total > 0.0 && total != 1.0 {
        v.iter_mut().for_each(|x| *x /= total);
    }
}
