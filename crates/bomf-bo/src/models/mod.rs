//! Gaussian-process models.
//!
//! Exact regression after Rasmussen and Williams, "Gaussian Processes for
//! Machine Learning" (2006), chapters 2 and 5, one process an objective:
//! [`GaussianProcess::fit`] finds the hyperparameters of the largest posterior
//! density and factorises the kernel matrix; prediction and its gradient in the
//! inputs are analytic.

mod evidence;
mod features;
mod fit;
mod gp;
mod hyper;
mod kernel;
mod outcome;

pub use features::Gram;
pub use gp::{GaussianProcess, Posterior, PosteriorGradient};
pub use hyper::{Hyperparameters, LogNormal, Priors};
pub use kernel::Kernel;
pub use outcome::Standardiser;

/// How the inputs' distances are scaled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lengthscales {
    /// One lengthscale for all coordinates.
    Isotropic,
    /// One for each coordinate (automatic relevance determination).
    PerDimension,
}

/// What a Gaussian process is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct GpOptions {
    /// The kernel's shape.
    pub kernel: Kernel,
    /// One lengthscale or one a coordinate; `None`: a strategy takes what suits
    /// its space ([`crate::space::Space::is_symmetric`]), a process by itself
    /// one a coordinate. A metric has one in any case.
    pub lengthscales: Option<Lengthscales>,
    /// Distances by `(x - x')' G (x - x')` instead of Euclid's.
    pub metric: Option<Gram>,
    /// Prior densities; `None`: [`Priors::scaled`] with the number of inputs.
    pub priors: Option<Priors>,
    /// Number of starting points of the fit, the warm start among them.
    pub starts: usize,
}

impl Default for GpOptions {
    fn default() -> Self {
        Self {
            kernel: Kernel::Matern52,
            lengthscales: None,
            metric: None,
            priors: None,
            starts: 4,
        }
    }
}
