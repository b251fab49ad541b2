//! Gaussian-process models.
//!
//! Exact regression after Rasmussen and Williams, "Gaussian Processes for
//! Machine Learning" (2006), chapters 2 and 5, one process an objective:
//! [`GaussianProcess::fit`] finds the hyperparameters of the largest posterior
//! density and factorises the kernel matrix; prediction and its gradient in the
//! inputs are analytic. [`DerivativeGp`] takes in derivatives as well, and
//! [`MultiOutputGp`] models thousands of outputs under one factorisation.

mod coordinates;
mod data;
mod derivative;
mod evidence;
mod exponential;
mod features;
mod fit;
mod gp;
mod hyper;
mod joint;
mod kernel;
mod leave_one_out;
mod multi_output;
mod outcome;
mod pairs;
mod path;
mod predict;
mod prior_mean;
mod search;
mod shrinkage;
mod update;
mod warp;

pub use data::TrainingData;
pub use derivative::{DerivativeGp, DerivativeHyperparameters, DirectionalDerivative};
pub(crate) use exponential::exp;
pub use features::Gram;
pub use gp::GaussianProcess;
pub use hyper::{Hyperparameters, LogNormal, Priors};
pub(crate) use joint::Conditionals;
pub use joint::JointPosterior;
pub use kernel::Kernel;
pub use leave_one_out::LeaveOneOut;
pub use multi_output::{
    ConstantMean, Correlation, LeftOut, LinearMean, MeanFunction, MultiOutputGp, OutputDraws,
    OutputPosterior, SharedHyperparameters,
};
pub use outcome::Standardiser;
pub use path::SamplePath;
pub use predict::{Posterior, PosteriorGradient};
pub use prior_mean::PriorMean;
pub use shrinkage::Shrinkage;
pub use warp::Warp;

use serde::{Deserialize, Serialize};

/// How the inputs' distances are scaled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Lengthscales {
    /// One lengthscale for all coordinates.
    Isotropic,
    /// One for each coordinate (automatic relevance determination).
    PerDimension,
}

/// Whose noise is learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum LearnedNoise {
    /// That of the observations without a known error.
    #[default]
    WhereUnknown,
    /// That of all; a known error's variance is added to it.
    Everywhere,
}

/// What a Gaussian process is made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GpOptions {
    /// The kernel's shape.
    pub kernel: Kernel,
    /// One lengthscale or one a coordinate; `None`: a strategy takes what suits
    /// its space ([`crate::space::Space::is_symmetric`]), a process by itself
    /// one a coordinate. A metric has one in any case.
    pub lengthscales: Option<Lengthscales>,
    /// With one lengthscale a coordinate: which coordinates share one, as
    /// numbers from zero on (shape `d`), for example those of one categorical
    /// parameter, whose kernel then depends only on whether two choices are the
    /// same. `None`: none do.
    pub groups: Option<Vec<usize>>,
    /// Distances by `(x - x')' G (x - x')` instead of Euclid's.
    pub metric: Option<Gram>,
    /// Prior densities; `None`: [`Priors::scaled`] with the number of inputs.
    pub priors: Option<Priors>,
    /// Whose noise is learned, if the data have known errors.
    pub learned_noise: LearnedNoise,
    /// Number of starting points of the fit, the warm start among them.
    pub starts: usize,
}

impl Default for GpOptions {
    fn default() -> Self {
        Self {
            kernel: Kernel::Matern52,
            lengthscales: None,
            groups: None,
            metric: None,
            learned_noise: LearnedNoise::WhereUnknown,
            priors: None,
            starts: 4,
        }
    }
}
