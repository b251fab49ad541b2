//! Starting designs and candidates: scrambled Sobol points of the unit cube,
//! and random points of the simplex and of its faces; and quasi-random normal
//! numbers for Monte Carlo.

mod design;
mod normal;
mod simplex;
mod sobol;

pub use design::starting_design;
pub use normal::{normal_quantile, sobol_normals};
pub use simplex::{random_face, uniform_simplex, unit_cube_to_simplex};
pub use sobol::{MAX_SOBOL_POINTS, ScrambledSobol};
