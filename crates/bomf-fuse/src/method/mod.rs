//! What a method of fusion is: from the tensors of n models, one tensor.
//!
//! Tensors may be larger than memory, so a method never holds one. It works in two steps:
//!
//! 1. [`Method::prepare`] reads the inputs as often as it needs to, block by block, and keeps what
//!    it must know of the whole tensor (norms, inner products, a threshold);
//! 2. [`Fuser::fuse`] then maps any block of the inputs to the same block of the output, by
//!    itself and in any order, so that blocks can be shared out among threads.
//!
//! Both steps give the same bits for any number of threads and any size of block.

mod inputs;
mod params;
mod source;
mod spec;
mod statistics;

use crate::error::Result;

pub use inputs::{Block, Inputs};
pub use params::Params;
pub use source::Source;
pub use spec::{Base, Kind, MethodSpec, ParamSpec, Scope, Value};
pub use statistics::{Statistic, Statistics};

/// A method of fusion.
pub trait Method: Sync {
    /// Its name, paper and parameters.
    fn spec(&self) -> &'static MethodSpec;

    /// What it must know of each model beside the weights.
    fn statistics(&self) -> Option<Statistics> {
        None
    }

    /// Whether it can compute in `f64` ([`Fuser::fuse_wide`]), by models alone.
    fn is_wide(&self) -> bool {
        false
    }

    /// Learns what must be known of the whole tensor. `seed` is the recipe's; a random method
    /// draws from it, the tensor's name, the model's number and the element's number, so that
    /// what it draws depends on nothing else.
    ///
    /// # Errors
    /// Inputs that the method cannot fuse.
    fn prepare<'a>(
        &self,
        inputs: &Inputs<'a>,
        params: &Params,
        seed: u64,
    ) -> Result<Box<dyn Fuser + 'a>>;
}

/// A method that knows its tensor.
pub trait Fuser: Sync {
    /// Writes the output's elements for a block of the inputs; `out` is as long as each of them.
    fn fuse(&self, block: &Block<'_>, out: &mut [f32]);

    /// Writes the output's elements in `f64`, for the same elements of each model in `f64`, where
    /// the method can ([`Method::is_wide`]); whether it did.
    fn fuse_wide(&self, _models: &[&[f64]], _out: &mut [f64]) -> bool {
        false
    }
}
