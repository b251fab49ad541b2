//! Pareto fronts and hypervolume, exactly.
//!
//! A *point* is a row `y` of `m` objective values, **all maximised**: whoever
//! minimises turns the sign before coming here. A set of points is a slice of
//! rows, `&[Vec<f64>]` (or anything else that derefs to `[f64]`), shape
//! `n x m`. The crate does no input or output and draws no random numbers.
//!
//! * [`non_dominated`] and [`Front`] find the points that no other one beats;
//! * [`non_dominated_sort`] ranks all points by fronts;
//! * [`hypervolume`] measures what they dominate above a reference point,
//!   [`hypervolume_contributions`] what each of them adds;
//! * [`indicators`] measure a set against directions or a reference front;
//! * [`attainment_surface`] says what several runs reach;
//! * [`box_decomposition`] cuts the region they do *not* dominate into disjoint
//!   boxes, over which expected improvements have closed forms;
//! * [`infer_reference_point`] and [`knee`] make the two choices that a user
//!   often leaves open;
//! * [`test_functions`] are problems whose best hypervolume is known.
//!
//! # Conventions
//! NaN: a point with a NaN in it is not comparable, dominates nothing and is
//! never on a front. Ties: of equal points the first one stands on the front.
//! Infinities are ordinary values in comparisons; a hypervolume may be
//! infinite.
//!
//! ```
//! use bomf_pareto::{hypervolume, non_dominated};
//!
//! let y = vec![vec![2.0, 1.0], vec![1.0, 2.0], vec![0.5, 0.5]];
//! assert_eq!(non_dominated(&y)?, [0, 1]);
//! assert_eq!(hypervolume(&y, &[0.0, 0.0])?, 3.0);
//! # Ok::<(), bomf_pareto::ParetoError>(())
//! ```

mod attainment;
mod boxes;
mod dominance;
mod error;
mod front;
mod hypervolume;
pub mod indicators;
mod knee;
mod reference;
mod sort;
pub mod test_functions;

pub use attainment::{attainment, attainment_surface, median_attainment};
pub use boxes::{Cell, box_decomposition};
pub use dominance::{dominates, non_dominated, weakly_dominates};
pub use error::ParetoError;
pub use front::{Front, Insertion};
pub use hypervolume::{hypervolume, hypervolume_contributions};
pub use knee::knee;
pub use reference::{REFERENCE_SCALE, infer_reference_point};
pub use sort::non_dominated_sort;

/// The result of this crate's functions.
pub type Result<T, E = ParetoError> = std::result::Result<T, E>;
