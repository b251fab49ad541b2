//! The methods of fusion, one module each.
//!
//! Most implement [`Method`](crate::method::Method) and are known to the
//! [`registry`](crate::registry) by their names in recipes. Others choose weights: they return them
//! as a vector with one weight a member, summing to one, and [`linear`] turns weights into a model.
//!
//! Of every method of the registry holds:
//! - a NaN in a model or in the base is a NaN in the output, in its element at least; methods that
//!   look at the whole tensor (norms, angles, rescaling) may spread it to all of it. (A model of
//!   density zero is not looked at);
//! - a tensor without elements, a scalar and a row of one element are fused like any other;
//! - everything runs in `f32` but sums over a tensor, and what selects by variance or divergence,
//!   which run in `f64`;
//! - what a tensor's fuser holds is small and bounded, but for values of rows (at most 1/64 of the
//!   tensor's size), of columns (two numbers each), and DELLA's masks (at most 16 MiB);
//! - parameters are named as in mergekit 0.1.5 and mean the same.

mod common;

pub mod arcee_fusion;
pub mod ema;
pub mod fisher;
pub mod greedy_soup;
pub mod karcher;
pub mod learned_swa;
pub mod linear;
pub mod model_stock;
pub mod multislerp;
pub mod nearswap;
pub mod nuslerp;
pub mod passthrough;
pub mod ram;
pub mod regmean;
pub mod sce;
pub mod slerp;
pub mod swa;
pub mod task_vectors;
pub mod twa;
pub mod uniform_soup;
