//! Quality of a set of points by other measures than the hypervolume: against
//! directions ([`fn@r2`]) or against a reference front ([`igd_plus`],
//! [`gd_plus`], [`additive_epsilon`]).
//!
//! All of these are distances: **the smaller the better**, though the objectives
//! themselves are maximised. They leave out points with a NaN or an infinity.

mod distance;
mod r2;

pub use distance::{additive_epsilon, gd_plus, igd_plus};
pub use r2::{r2, simplex_lattice};

/// The rows without a NaN or an infinity.
fn finite<P: AsRef<[f64]>>(points: &[P]) -> Vec<&[f64]> {
    points
        .iter()
        .map(AsRef::as_ref)
        .filter(|y| y.iter().all(|v| v.is_finite()))
        .collect()
}
