//! Ask and tell.
//!
//! A strategy proposes points ([`SingleObjective::ask`],
//! [`MultiObjective::ask`]) and is told what came of them, or of any other
//! points of its space. **Everything is maximised.** Evaluations that failed, or
//! gave a NaN or an infinity, are told too: the models leave them out, and they
//! are not proposed again. No point is proposed twice while others remain,
//! whether it has been told or is still pending.
//!
//! All randomness comes from the generator handed to `ask`; the same seed and
//! the same outcomes give the same proposals.

use rand::Rng;

use crate::Result;
use crate::optim::SearchSpace;
use crate::space::Space;

mod multi;
mod random;
mod single;
mod trials;

pub use multi::{MultiObjective, MultiObjectiveOptions, Observation, RefPoint};
pub use random::RandomSimplex;
pub use single::{SingleObjective, SingleObjectiveOptions};
pub use trials::SAME_POINT;

/// The point type of a strategy's space, owned.
pub type PointOf<T> = <<<T as Strategy>::Space as Space>::Point as ToOwned>::Owned;

/// What every strategy can do, whatever its number of objectives.
pub trait Strategy {
    /// The space it searches.
    type Space: SearchSpace;

    /// The space searched.
    fn space(&self) -> &Self::Space;

    /// The next point to evaluate, and pending from now on.
    ///
    /// # Errors
    /// [`crate::BoError::Exhausted`] once every point of a finite space has been
    /// proposed; [`crate::BoError::NotPositiveDefinite`] if a model cannot be
    /// fitted.
    fn ask<R: Rng + ?Sized>(&mut self, rng: &mut R) -> Result<PointOf<Self>>;

    /// The next `q` points, to be evaluated side by side: chosen one after the
    /// other, each with the earlier ones pending.
    ///
    /// # Errors
    /// As [`Self::ask`].
    fn ask_batch<R: Rng + ?Sized>(&mut self, q: usize, rng: &mut R) -> Result<Vec<PointOf<Self>>> {
        (0..q).map(|_| self.ask(rng)).collect()
    }

    /// Records the objectives (shape `m`, all maximised) of `point`, proposed or
    /// not; `None`, or a value that is not finite, for a failed evaluation.
    ///
    /// # Errors
    /// If the point is not in the space, or the number of objectives is wrong;
    /// nothing is recorded then.
    fn tell(&mut self, point: &<Self::Space as Space>::Point, y: Option<&[f64]>) -> Result<()>;
}
