//! Fusion of checkpoints: every method that combines several models into one.
//!
//! - [`MemberSet`] holds the members, n models of one architecture, as same-named segments (mapped
//!   from disk in the type that they have there, borrowed or owned), and fuses them into a flat
//!   vector, with weights for all of it or for each of some [`Groups`] of segments; [`Fusion`] is
//!   that vector, made anew only where other weights change it;
//! - [`methods`] has one module a method, each with its paper; [`method`] is what they have in
//!   common, whatever the size of a tensor, and [`registry`] knows them by name;
//! - [`align`] puts the units of one model into the order of another's, before any method;
//! - [`vocabulary`] puts the rows of one model's tokens into the order of another's;
//! - [`lora`] fuses low-rank adapters;
//! - [`Gram`] is the matrix of inner products of the members' differences from their mean, by
//!   which distances between fused *weights* are known without fusing anything;
//! - [`MergeRecipe`] says what is fused how, [`Plan`] what that means for every tensor, and
//!   [`execute`](execute()) does it in bounded memory, tensors of any size, on all threads.
//!
//! Nothing here knows a path, a trial or a training run.

pub mod align;
mod difference;
mod error;
pub mod execute;
mod gram;
pub mod lora;
mod members;
pub mod method;
pub mod methods;
pub mod plan;
pub mod recipe;
pub mod registry;
mod stream;
mod sum;
pub mod vocabulary;
mod weights;

pub use difference::{Difference, difference};
pub use error::{FuseError, Result};
pub use execute::{Control, Sink, Summary, execute};
pub use gram::Gram;
pub use members::{
    Fusion, Groups, MappedTensor, MemberSet, MemberTensor, MemberWeights, Segment, Values,
};
pub use plan::Plan;
pub use recipe::MergeRecipe;
pub use weights::{TensorInfo, Weights, WithStatistics};
