//! Finding the best-scored candidate.
//!
//! [`minimise`] is a projected quasi-Newton method for a smooth function on a
//! [`Region`]; [`maximise`] searches an acquisition function over a whole space
//! with it.

mod maximise;
mod on_box;
mod on_simplex;
mod projected;
mod region;

pub use maximise::{Scored, SearchOptions, SearchSpace, maximise};
pub use projected::{Minimum, SolverOptions, minimise};
pub use region::{BoxRegion, Region, SimplexRegion};
