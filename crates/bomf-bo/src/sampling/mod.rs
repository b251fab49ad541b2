//! Starting designs and candidates: scrambled Sobol points of the unit cube,
//! and random points of the simplex and of its faces.

mod design;
mod simplex;
mod sobol;

pub use design::starting_design;
pub use simplex::{random_face, uniform_simplex, unit_cube_to_simplex};
pub use sobol::{MAX_SOBOL_POINTS, ScrambledSobol};
