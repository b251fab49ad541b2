//! Scrambled Sobol points of the unit cube.
//!
//! Owen-scrambled by hashing (Burley, "Practical hash-based Owen scrambling",
//! JCGT 9, 2020) with the direction numbers of Joe and Kuo (2008), as the crate
//! `sobol_burley` has them: 256 dimensions, after which further sets of 256 are
//! scrambled with other seeds (not stratified against each other), and 24 bits
//! a coordinate.

use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use crate::{BoError, Result};

/// The sequence repeats after so many points.
pub const MAX_SOBOL_POINTS: u32 = 1 << 16;

/// A scrambled Sobol sequence in `[0, 1)^dim`.
///
/// Serialised with its place in the sequence, so that a design goes on where it
/// was left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct ScrambledSobol {
    dim: usize,
    seed: u32,
    next: u32,
}

/// A sequence as it is stored, not yet checked.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    dim: usize,
    seed: u32,
    next: u32,
}

impl TryFrom<Stored> for ScrambledSobol {
    type Error = BoError;

    fn try_from(stored: Stored) -> Result<Self> {
        let Stored { dim, seed, next } = stored;
        if next > MAX_SOBOL_POINTS {
            return Err(BoError::Option {
                option: "next",
                value: f64::from(next),
                range: "0 to 65536, the length of a Sobol sequence",
            });
        }
        Ok(Self { dim, seed, next })
    }
}

impl From<ScrambledSobol> for Stored {
    fn from(sobol: ScrambledSobol) -> Self {
        let ScrambledSobol { dim, seed, next } = sobol;
        Self { dim, seed, next }
    }
}

impl ScrambledSobol {
    /// A sequence of `dim` coordinates, its scrambling drawn from `rng`.
    pub fn new<R: Rng + ?Sized>(dim: usize, rng: &mut R) -> Self {
        Self::from_seed(dim, rng.random())
    }

    /// A sequence of `dim` coordinates, scrambled by `seed`.
    #[must_use]
    pub fn from_seed(dim: usize, seed: u32) -> Self {
        Self { dim, seed, next: 0 }
    }

    /// Number of coordinates.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// The next point (shape `dim`). After [`MAX_SOBOL_POINTS`] points the
    /// sequence begins anew with another scrambling.
    pub fn next_point(&mut self) -> Vec<f64> {
        if self.next == MAX_SOBOL_POINTS {
            self.next = 0;
            self.seed = self.seed.wrapping_add(0x9E37_79B9);
        }
        let index = self.next;
        self.next += 1;
        (0..self.dim as u32)
            .map(|j| {
                let set = j / sobol_burley::NUM_DIMENSIONS;
                let seed = self.seed ^ set.wrapping_mul(0x85EB_CA6B);
                f64::from(sobol_burley::sample(
                    index,
                    j % sobol_burley::NUM_DIMENSIONS,
                    seed,
                ))
            })
            .collect()
    }
}
