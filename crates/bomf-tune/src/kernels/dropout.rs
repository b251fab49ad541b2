//! Dropout with masks that are computed, not stored.
//!
//! Whether element `i` is kept is a hash of the operation's seed and `i`, so the
//! backward pass asks again instead of remembering, and the mask does not depend
//! on the number of threads.

use super::BLOCK;
use rayon::prelude::*;

/// What one dropout operation drops.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mask {
    seed: u32,
    /// An element is kept where its hash is at least this.
    threshold: u32,
    /// `1 / (1 - p)`
    scale: f32,
}

/// Murmur3's 32-bit finaliser: every input bit flips half of the output bits.
#[inline(always)]
fn hash(x: u32) -> u32 {
    let x = (x ^ (x >> 16)).wrapping_mul(0x85eb_ca6b);
    let x = (x ^ (x >> 13)).wrapping_mul(0xc2b2_ae35);
    x ^ (x >> 16)
}

impl Mask {
    /// A mask that drops each element with probability `p` in `[0, 1)`, and scales
    /// the rest by `1 / (1 - p)`.
    pub fn new(p: f32, seed: u64) -> Self {
        Mask {
            seed: hash(seed as u32 ^ hash((seed >> 32) as u32)),
            threshold: (p as f64 * 4_294_967_296.0) as u32,
            scale: 1.0 / (1.0 - p),
        }
    }

    /// The same rate on another stream: for row or head `i` of an operation.
    #[inline(always)]
    pub fn stream(self, i: usize) -> Self {
        Mask {
            seed: hash(self.seed ^ (i as u32).wrapping_mul(0x9e37_79b9)),
            ..self
        }
    }

    /// 0 or `1 / (1 - p)`, by which element `i` is multiplied.
    #[inline(always)]
    pub fn factor(self, i: usize) -> f32 {
        if hash((i as u32).wrapping_mul(0x9e37_79b9) ^ self.seed) >= self.threshold {
            self.scale
        } else {
            0.0
        }
    }
}

#[multiversion::multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma",
    "x86_64+avx2+fma"
))]
fn multiply(x: &mut [f32], mask: Mask) {
    for (i, x) in x.iter_mut().enumerate() {
        *x *= mask.factor(i);
    }
}

/// Multiplies `x` by the mask: forward on values, backward on gradients.
pub fn apply(x: &mut [f32], mask: Mask) {
    x.par_chunks_mut(BLOCK)
        .enumerate()
        .for_each(|(block, x)| multiply(x, mask.stream(block)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_keeps_its_share_and_the_expectation() {
        for p in [0.1f32, 0.5] {
            let mut x = vec![1.0; 200_000];
            apply(&mut x, Mask::new(p, 7));
            let kept = x.iter().filter(|&&v| v != 0.0).count() as f32 / x.len() as f32;
            let mean = x.iter().sum::<f32>() / x.len() as f32;
            assert!((kept - (1.0 - p)).abs() < 0.005, "{kept}");
            assert!((mean - 1.0).abs() < 0.02, "{mean}");
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_mask_and_another_seed_another() {
        let draw = |seed| {
            let mut x = vec![1.0; 40_000];
            apply(&mut x, Mask::new(0.1, seed));
            x
        };
        assert_eq!(draw(3), draw(3));
        assert_ne!(draw(3), draw(4));
    }
}
