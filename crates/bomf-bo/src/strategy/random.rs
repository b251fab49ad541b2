//! Random search on the simplex, the baseline.

use rand::Rng;

use crate::sampling::uniform_simplex;
use crate::space::{SimplexSpace, Space};

/// Proposes uniform points of the simplex (Dirichlet(1)) and learns nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RandomSimplex {
    space: SimplexSpace,
}

impl RandomSimplex {
    /// Random search of `space`.
    #[must_use]
    pub fn new(space: SimplexSpace) -> Self {
        Self { space }
    }

    /// A uniform point, shape `n`.
    pub fn ask<R: Rng + ?Sized>(&self, rng: &mut R) -> Vec<f64> {
        uniform_simplex(self.space.dim(), rng)
    }
}
