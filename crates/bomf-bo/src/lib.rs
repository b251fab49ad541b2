//! Bayesian optimisation on boxes and simplexes.
//!
//! A library of its own: it knows vectors of numbers, not what they stand for,
//! does no input or output, and draws randomness only from the generator that
//! the caller hands in, so that a seed makes a run repeatable. **Everything is
//! maximised**; whoever minimises turns the sign before telling.
//!
//! From the bottom up: [`space`] says what may be searched, [`sampling`] draws
//! starting points, [`models`] are Gaussian processes, [`acquisition`] scores
//! candidates under them, [`optim`] finds the best-scored one, and [`strategy`]
//! joins them behind `ask` and `tell`.
//!
//! # One objective on a box
//! ```
//! use bomf_bo::space::BoxSpace;
//! use bomf_bo::strategy::{SingleObjective, SingleObjectiveOptions};
//! use rand::SeedableRng;
//!
//! let space = BoxSpace::builder().log_float("lr", 1e-6, 1e-2).build()?;
//! let mut search = SingleObjective::new(space, SingleObjectiveOptions::default())?;
//! let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
//! for _ in 0..12 {
//!     let trial = search.ask(&mut rng)?;
//!     let lr: f64 = trial.float("lr").unwrap_or(0.0);
//!     search.tell(&trial, Some(-(lr.log10() + 4.0).powi(2)))?;
//! }
//! let (best, value) = search.best().unwrap();
//! assert!(value > -0.05, "{best} gives {value}");
//! # Ok::<(), bomf_bo::BoError>(())
//! ```
//!
//! # Two objectives on a simplex
//! ```
//! use bomf_bo::space::SimplexSpace;
//! use bomf_bo::strategy::{MultiObjective, MultiObjectiveOptions};
//! use rand::SeedableRng;
//!
//! let space = SimplexSpace::new(3)?;
//! let mut search = MultiObjective::new(space, MultiObjectiveOptions::default())?;
//! let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
//! search.tell(&space.centre(), Some(&[-1.0 / 3.0, -1.0 / 3.0]))?;
//! for _ in 0..8 {
//!     let w = search.ask(&mut rng)?;
//!     let y = [-(w[0] - 1.0).powi(2), -(w[1] - 1.0).powi(2)];
//!     search.tell(&w, Some(&y))?;
//! }
//! assert!(search.front().len() > 1);
//! # Ok::<(), bomf_bo::BoError>(())
//! ```
//!
//! # Four at a time, one of which may fail
//! ```
//! use bomf_bo::space::BoxSpace;
//! use bomf_bo::strategy::{MultiObjective, MultiObjectiveOptions, Strategy};
//! use rand::SeedableRng;
//!
//! let space = BoxSpace::builder().float("a", 0.0, 1.0).integer("b", 1, 8).build()?;
//! let mut search = MultiObjective::new(space, MultiObjectiveOptions::default())?;
//! let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
//! for _ in 0..3 {
//!     let batch = search.ask_batch(4, &mut rng)?;
//!     // Told in whatever order they are done; `ask` may be called in between, and
//!     // takes into account what is still under way.
//!     for trial in batch.iter().rev() {
//!         let (a, b) = (trial.float("a").unwrap(), trial.float("b").unwrap());
//!         let y = (a < 0.9).then(|| [a * b, -b - a * a]);
//!         search.tell(trial, y.as_ref().map(|y| y.as_slice()))?;
//!     }
//! }
//! assert_eq!(search.observations().len(), 12);
//! # Ok::<(), bomf_bo::BoError>(())
//! ```

pub mod acquisition;
mod error;
mod linalg;
pub mod models;
pub mod optim;
pub mod sampling;
pub mod space;
pub mod strategy;

pub use acquisition::Acquisition;
pub use error::{BoError, ConditionFault, ConstraintFault, DomainFault, MetricFault};

/// The result of this crate's functions.
pub type Result<T, E = BoError> = std::result::Result<T, E>;
