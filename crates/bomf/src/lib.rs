//! Fine-tune once, fuse by Bayesian optimisation: the two-stage pipeline.

mod observer;

pub use observer::{Observer, Phase, Silent};
