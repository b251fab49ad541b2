//! What the methods share: passes over inputs of any size, selection by rank, random draws that
//! depend on nothing but their place, inner products, declarations of parameters.

pub(crate) mod consensus;
pub(crate) mod declare;
pub(crate) mod kernels;
pub(crate) mod mixture;
pub(crate) mod pieces;
pub(crate) mod products;
pub(crate) mod random;
pub(crate) mod rows;
pub(crate) mod select;
