//! Scrambled Sobol points of the unit cube.
//!
//! Owen-scrambled by hashing (Burley, "Practical hash-based Owen scrambling",
//! JCGT 9, 2020) with the direction numbers of Joe and Kuo (2008), as the crate
//! `sobol_burley` has them: 256 dimensions, after which further sets of 256 are
//! scrambled with other seeds (not stratified against each other), and 24 bits
//! a coordinate.

use rand::{Rng, RngExt};

/// The sequence repeats after so many points.
pub const MAX_SOBOL_POINTS: u32 = 1 << 16;

/// A scrambled Sobol sequence in `[0, 1)^dim`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScrambledSobol {
    dim: usize,
    seed: u32,
    next: u32,
}

impl ScrambledSobol {
    /// A sequence of `dim` coordinates, its scrambling drawn from `rng`.
    pub fn new<R: Rng + ?Sized>(dim: usize, rng: &mut R) -> Self {
        Self {
            dim,
            seed: rng.random(),
            next: 0,
        }
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
