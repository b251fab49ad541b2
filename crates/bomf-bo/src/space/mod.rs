//! Search spaces: boxes of named parameters, some of them conditional, the
//! probability simplex, products of these, and any of them under constraints.
//!
//! Models and acquisition functions see vectors of numbers only, a point's
//! *coordinates*. A [`BoxSpace`] maps its configurations onto the unit cube and
//! back; a [`SimplexSpace`] is its own coordinate system, since a kernel on the
//! weights needs no other; a [`ProductSpace`] lays several of them side by side, a
//! [`BlockSpace`] the same simplex once for each block of a model;
//! [`Constrained`] keeps what a caller allows of any. [`Space`] is what all have
//! in common. Every space and point can be stored with `serde`, and is checked
//! when it is read.

mod blocks;
mod boxes;
mod builder;
mod condition;
mod configuration;
mod constrained;
mod domain;
mod linear;
mod moves;
mod product;
mod simplex;

pub use blocks::{BlockSpace, MixtureSpace};
pub use boxes::{BoxSpace, Parameter};
pub use builder::BoxSpaceBuilder;
pub use condition::Condition;
pub use configuration::{Configuration, Value};
pub use constrained::{Constrained, ConstrainedBuilder};
pub use domain::Domain;
pub use linear::{LinearConstraint, Variable};
pub use product::{Part, PartPoint, ProductPoint, ProductSpace};
pub use simplex::{SIMPLEX_TOLERANCE, SimplexSpace, project_onto_simplex};

use crate::Result;

/// A set of points, each with `d` coordinates.
pub trait Space {
    /// What a caller asks for and tells: [`Configuration`], or coefficients
    /// `[f64]`.
    type Point: ?Sized + ToOwned;

    /// Number of coordinates `d`.
    fn dim(&self) -> usize;

    /// A point's coordinates, shape `d`.
    ///
    /// # Errors
    /// If the point is not in the space.
    fn encode(&self, point: &Self::Point) -> Result<Vec<f64>>;

    /// The point nearest to coordinates `x` (shape `d`).
    ///
    /// # Errors
    /// If `x` has another length or a NaN.
    fn decode(&self, x: &[f64]) -> Result<<Self::Point as ToOwned>::Owned>;

    /// Number of points of a finite space; `None` for an infinite one.
    fn cardinality(&self) -> Option<u64>;

    /// All points of a finite space (`cardinality x d`), in a fixed order; empty
    /// for an infinite one.
    fn enumerate(&self) -> Vec<Vec<f64>>;

    /// Whether two points are one for all purposes: their continuous
    /// coordinates within `tolerance` and their discrete ones equal.
    fn same(&self, a: &[f64], b: &[f64], tolerance: f64) -> bool;

    /// Number of uniform numbers that [`Self::design_point`] takes.
    fn design_dim(&self) -> usize;

    /// The coordinates of the space's image of `u`, shape
    /// [`Self::design_dim`]: uniform numbers give uniform points.
    fn design_point(&self, u: &[f64]) -> Vec<f64>;

    /// The dimension that lengthscale priors should take it for: that of the
    /// unit cube whose points are as far apart.
    fn prior_dim(&self) -> f64;

    /// Whether the coordinates are alike in unit and meaning, so that a model
    /// does well with one lengthscale for all.
    fn is_symmetric(&self) -> bool;
}
