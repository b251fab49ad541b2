//! Alignment: two models may compute the same with their units in another order, and their average
//! then computes nothing. What comes before any average is to put the units of one model into the
//! order of the other.
//!
//! Of a transformer, the hidden units of a feed-forward block may change places among themselves,
//! and so may attention heads (with grouped queries: key-value heads with all their query heads,
//! and query heads within their group), as long as the tensors that make them and those that read
//! them change alike ([`units`]). The model's function stays what it was. With the
//! units of the reference `a_u` and of the model `b_v` as vectors of all their weights, the
//! alignment is
//!
//! ```text
//! max sum_uv T[u,v] a_u . b_v,   rows and columns of T sum to one
//! ```
//!
//! - as a permutation, by an exact linear assignment: the weight matching of Ainsworth, Hayase and
//!   Srinivasa, "Git re-basin", ICLR 2023, arXiv 2209.04836. Their blocks are coupled and need
//!   coordinate descent; these ones are not, as the residual stream keeps its order, so that one
//!   pass gives the optimum;
//! - as a transport with entropy, by Sinkhorn's iteration: OT fusion of Singh and Jaggi, NeurIPS
//!   2020, arXiv 1910.05653, for transformers of Imfeld et al., ICLR 2024, arXiv 2310.05719. Units
//!   are then mixed, and the model's function is another; at a regularisation of zero it is the
//!   permutation.
//!
//! [`Alignment::find`] aligns, [`Aligned`] is the model as it is then read; any method fuses it.

mod aligned;
mod assignment;
mod distance;
mod matching;
mod sinkhorn;
pub mod units;

pub use aligned::Aligned;
pub use matching::Alignment;
pub use units::Heads;

pub use assignment::assignment;
pub use sinkhorn::transport;
