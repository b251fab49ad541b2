//! Finding the best-scored candidate.
//!
//! [`minimise`] is a projected quasi-Newton method for a smooth function on a
//! [`Region`] (a box, the simplex, a product of these, or a [`Polyhedron`] that
//! half-spaces cut of one); [`maximise`] searches an acquisition function over a
//! whole space with it, the discrete coordinates by local search.

mod basis;
mod local;
mod maximise;
mod nearest;
mod on_blocks;
mod on_box;
mod on_constrained;
mod on_product;
mod on_simplex;
mod polyhedral;
mod polyhedron;
mod product_region;
mod projected;
mod region;

pub use maximise::{Scored, SearchOptions, SearchSpace, maximise};
pub(crate) use maximise::{candidates, sort};
pub use polyhedral::{Place, Polyhedral};
pub use polyhedron::{HalfSpace, Polyhedron};
pub use product_region::{Block, ProductRegion};
pub use projected::{Minimum, SolverOptions, minimise};
pub use region::{BoxRegion, Region, SimplexRegion};
