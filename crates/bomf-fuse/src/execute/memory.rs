//! How much is worked on at a time.

use crate::error::{FuseError, Result};

/// The bound on buffers where none is asked for.
pub const DEFAULT_MEMORY: u64 = 256 << 20;

/// The bytes that are copied at a time.
pub(super) const COPY: usize = 1 << 20;

/// Elements of a block, at best: few inputs stay in the second-level cache, and each is read far
/// enough at a time for the processor's prefetching. (Eight bf16 inputs took 7 % longer with a
/// quarter of this, 45 % longer with a 16th.)
const BLOCK: usize = 1 << 15;

/// The least that a block may have.
const LEAST_BLOCK: usize = 1 << 8;

/// Blocks of a piece, at best: a piece of bf16 is then written by one call of 512 KiB.
const BLOCKS: usize = 8;

/// Bytes of an element in a buffer of values, and at most in one of output.
const VALUE: usize = 4;
const OUTPUT: usize = 8;

/// The sizes of blocks and pieces, in elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Blocks {
    /// Of what is fused at a time.
    pub block: usize,
    /// Of what is written at a time.
    pub piece: usize,
}

impl Blocks {
    /// The largest that keep the buffers of `threads` for so many inputs within `bytes`.
    pub fn within(bytes: u64, threads: usize, inputs: usize) -> Result<Self> {
        let of = |block: usize, blocks: usize| {
            let values = block * (inputs + 1) * VALUE;
            (threads * (values + block * blocks * OUTPUT)) as u64
        };
        let least = of(LEAST_BLOCK, 1);
        if least > bytes {
            return Err(FuseError::TooLittleMemory { bytes, least });
        }
        let mut blocks = BLOCKS;
        let mut block = BLOCK;
        while of(block, blocks) > bytes && blocks > 1 {
            blocks /= 2;
        }
        while of(block, blocks) > bytes && block > LEAST_BLOCK {
            block /= 2;
        }
        Ok(Self {
            block,
            piece: block * blocks,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_shrink_with_the_bound_until_they_cannot() {
        let roomy = Blocks::within(DEFAULT_MEMORY, 2, 9).unwrap();
        assert_eq!((roomy.block, roomy.piece), (BLOCK, BLOCK * BLOCKS));
        let tight = Blocks::within(1 << 20, 2, 9).unwrap();
        assert!(tight.piece < roomy.piece && tight.block >= LEAST_BLOCK);
        assert!(matches!(
            Blocks::within(1000, 2, 9),
            Err(FuseError::TooLittleMemory { bytes: 1000, .. })
        ));
    }
}
