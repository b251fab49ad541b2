//! Objectives that are known functions of many modelled outputs.
//!
//! Composite Bayesian optimisation (Astudillo and Frazier, "Bayesian
//! optimization of composite functions", ICML 2019): where an objective is
//! `h(f(x))` with a known `h` and a dear `f` of many outputs, model `f`, which
//! is smooth, and push its draws through `h`, which need not be. The loss and
//! every metric of a classifier are such functions of its logits.
//!
//! [`CompositeModel`] draws objectives at a point: through a [`Composite`]
//! of the outputs of a [`MultiOutputGp`](crate::models::MultiOutputGp), or, for
//! objectives where [`leave_one_out`] says that this is the better model, from
//! a process on the objective itself. [`LogCompositeEhvi`] is the expected gain
//! in hypervolume over these draws (of one objective, the expected
//! improvement), and [`search_mixtures`] finds its maximum where objectives are
//! jagged. Mixtures may have coefficients of their own in each block of a model,
//! for which [`BlockAgreement`] is a prior.
//!
//! # Three members, four right answers to find
//! ```
//! use bomf_bo::acquisition::composite::*;
//! use bomf_bo::models::{Correlation, GpOptions, LinearMean, MultiOutputGp};
//! use bomf_bo::optim::SearchOptions;
//! use bomf_bo::space::SimplexSpace;
//! use rand::SeedableRng;
//!
//! /// The part of the outputs that are positive: flat almost everywhere.
//! struct Accuracy;
//! impl Composite for Accuracy {
//!     fn outputs(&self) -> usize { 4 }
//!     fn objectives(&self) -> usize { 1 }
//!     fn evaluate(&self, outputs: &[f64], objectives: &mut [f64]) {
//!         objectives[0] = outputs.iter().filter(|z| **z > 0.0).count() as f64 / 4.0;
//!     }
//! }
//!
//! // Each member is right twice; what the mixtures give is nearly their mixture.
//! let members = [[1.0, -0.4, 1.0, -0.4], [-0.4, 1.0, -0.4, 0.9], [-2.0, -2.0, 0.1, 0.1]];
//! let space = SimplexSpace::new(3)?;
//! let mut x: Vec<Vec<f64>> = (0..3).filter_map(|i| space.vertex(i)).collect();
//! let mut y = members.map(|z| z.to_vec()).to_vec();
//! x.push(space.centre());
//! y.push(vec![-0.45, -0.46, 0.25, 0.21]);
//!
//! let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
//! let mean = LinearMean::new(&members)?;
//! let outputs = MultiOutputGp::fit(&x, &y, &mean, &GpOptions::default(), None, &mut rng)?;
//! let model = CompositeModel::new(&outputs, &Accuracy, 16, Correlation::Residuals, &mut rng)?;
//! let improvement = LogCompositeEhvi::single(model, 0.5, 0.25)?;
//! let best = search_simplex(
//!     &space, &improvement, &x, false,
//!     &SearchOptions { raw_samples: 64, restarts: 2, ..SearchOptions::default() },
//!     &PatternOptions::default(), &mut rng,
//! )?;
//! let w = &best[0].x;
//! assert!(w[0] > 0.25 && w[1] > 0.25 && w[2] < 0.2, "{w:?}");
//! # Ok::<(), bomf_bo::BoError>(())
//! ```

mod agreement;
mod fat_softplus;
mod leave_one_out;
mod log_ehvi;
mod model;
mod search;

pub use agreement::BlockAgreement;
pub(super) use fat_softplus::log_fat_softplus;
pub use leave_one_out::{leave_one_out, prior_objectives};
pub use log_ehvi::LogCompositeEhvi;
pub use model::{CompositeModel, Source};
pub use search::{PatternOptions, pattern_search, search_mixtures, search_simplex};

/// A known function from `p` outputs to `m` objectives, all maximised.
pub trait Composite: Sync {
    /// Number of outputs `p`.
    fn outputs(&self) -> usize;

    /// Number of objectives `m`.
    fn objectives(&self) -> usize;

    /// Writes the objectives of `outputs` (shape `p`) to `objectives` (shape
    /// `m`). A NaN counts as no improvement; one that is always NaN cannot be computed
    /// from these outputs.
    fn evaluate(&self, outputs: &[f64], objectives: &mut [f64]);

    /// Adds the gradient of `sum_j cotangent_j objective_j` at `outputs` (shape
    /// `p`) to `gradient` (shape `p`). An objective without a useful derivative
    /// (a count of right answers is constant almost everywhere) adds nothing,
    /// as none does by default.
    fn pull_back(&self, outputs: &[f64], cotangent: &[f64], gradient: &mut [f64]) {
        let _ = (outputs, cotangent, gradient);
    }

    /// Whether [`Self::pull_back`] gives the gradient of *every* objective, so
    /// that a gradient method can be trusted alone.
    fn is_smooth(&self) -> bool {
        false
    }
}
