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

mod multi;
mod random;
mod single;
mod trials;

pub use multi::{MultiObjective, MultiObjectiveOptions, Observation, RefPoint};
pub use random::RandomSimplex;
pub use single::{SingleObjective, SingleObjectiveOptions};
pub use trials::SAME_POINT;
