//! Fine-tune once, fuse by Bayesian optimisation: the two-stage pipeline.

mod observer;
pub mod recipe;

pub use observer::{Observer, Phase, Silent};
pub use recipe::{Recipe, RecipeError};
