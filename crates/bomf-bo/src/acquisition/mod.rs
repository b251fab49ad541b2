//! Acquisition functions: how much an evaluation at a point is worth under the
//! models, as a logarithm.
//!
//! [`analytic`] holds those with a closed form, [`composite`] those of objectives
//! that are known functions of modelled outputs, [`monte_carlo`] those that also
//! know noise in what they improve on and evaluations under way; [`Weighted`]
//! joins any of them with constraints, chances of failure and costs. Logarithms
//! keep a gradient where the value itself is too small for a float (Ament et al.,
//! "Unexpected improvements to expected improvement for Bayesian optimization",
//! NeurIPS 2023).

pub mod analytic;
pub mod composite;
mod feasibility;
pub mod monte_carlo;
pub mod normal;
mod weighted;

pub use feasibility::{LogFeasibility, LogSuccess};
pub use weighted::{Known, PosteriorMean, Weighted, cooled};

use crate::Result;

/// A function of `d` inputs to be maximised over the space.
pub trait Acquisition {
    /// Number of inputs `d`.
    fn dim(&self) -> usize;

    /// The values at `points` (`q x d`), in one pass.
    ///
    /// # Errors
    /// [`crate::BoError::Dimension`].
    fn values(&self, points: &[Vec<f64>]) -> Result<Vec<f64>>;

    /// The value at `x` (shape `d`); its gradient is written to `gradient`
    /// (shape `d`).
    ///
    /// # Errors
    /// [`crate::BoError::Dimension`].
    fn value_and_gradient(&self, x: &[f64], gradient: &mut [f64]) -> Result<f64>;
}

impl<A: Acquisition + ?Sized> Acquisition for &A {
    fn dim(&self) -> usize {
        (**self).dim()
    }

    fn values(&self, points: &[Vec<f64>]) -> Result<Vec<f64>> {
        (**self).values(points)
    }

    fn value_and_gradient(&self, x: &[f64], gradient: &mut [f64]) -> Result<f64> {
        (**self).value_and_gradient(x, gradient)
    }
}
