//! Ask and tell.
//!
//! A strategy proposes points ([`SingleObjective::ask`],
//! [`MultiObjective::ask`]) and is told what came of them, or of any other
//! points of its space. **Everything is maximised.** Evaluations that failed, or
//! gave a NaN or an infinity, are told too: they are not proposed again, and how
//! likely an evaluation is to succeed is learned from them. No point is proposed
//! twice while others remain, whether it has been told or is still pending.
//!
//! An [`Outcome`] can hold more than objectives: standard errors, the values of
//! outcome constraints, a cost ([`Beside`]). A [`StoppingRule`] says when to stop, and
//! [`SuccessiveHalving`] which evaluations need not be gone through with.
//!
//! All randomness comes from the generator handed to `ask`; the same seed and
//! the same outcomes give the same proposals.

use rand::Rng;

use crate::Result;
use crate::optim::SearchSpace;
use crate::space::Space;

mod beside;
mod composite;
mod halving;
mod multi;
mod outcome;
mod random;
mod reference;
mod single;
mod stopping;
mod trials;

pub use beside::Beside;
pub use composite::{CompositeObjective, CompositeOptions, Surrogate};
pub use halving::SuccessiveHalving;
pub use multi::{MultiObjective, MultiObjectiveOptions, Observation, RefPoint};
pub use outcome::Outcome;
pub use random::RandomSimplex;
pub use single::{SingleObjective, SingleObjectiveOptions};
pub use stopping::StoppingRule;
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

    /// Records all that is known of an evaluation of `point`, proposed or not.
    ///
    /// # Errors
    /// If the point is not in the space, or the outcome does not fit the search;
    /// nothing is recorded then.
    fn tell_outcome(
        &mut self,
        point: &<Self::Space as Space>::Point,
        outcome: Outcome,
    ) -> Result<()>;

    /// Records the objectives (shape `m`, all maximised) of `point`, proposed or
    /// not; `None`, or a value that is not finite, for a failed evaluation.
    ///
    /// # Errors
    /// As [`Self::tell_outcome`].
    fn tell(&mut self, point: &<Self::Space as Space>::Point, y: Option<&[f64]>) -> Result<()> {
        self.tell_outcome(point, y.map_or_else(Outcome::failed, Outcome::of))
    }

    /// How many evaluations have been told, failed ones too.
    fn evaluations(&self) -> usize;

    /// What the last so many evaluations brought: a share of the hypervolume, or,
    /// for one objective, of the distance from the median to the best value.
    /// `None` while too little is known.
    fn recent_gain(&self, evaluations: usize) -> Option<f64>;

    /// What the models expect the last proposal to bring: a share of the front's
    /// hypervolume, or, for one objective, of the outcomes' standard deviation
    /// (as the model sees them, which may be warped). `None` for a proposal of the
    /// starting design, or where that is not what is maximised.
    fn expected_gain(&self) -> Option<f64>;
}
