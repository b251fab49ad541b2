//! When a search has gone on for long enough.

use serde::{Deserialize, Serialize};

use super::Strategy;

/// A reason to stop a search. Ask after each evaluation, or, for
/// [`Self::ExpectedGain`], after each proposal.
///
/// ```
/// use bomf_bo::space::BoxSpace;
/// use bomf_bo::strategy::{SingleObjective, SingleObjectiveOptions, StoppingRule};
/// use rand::SeedableRng;
///
/// let space = BoxSpace::builder().float("x", -5.0, 5.0).build()?;
/// let mut search = SingleObjective::new(space, SingleObjectiveOptions::default())?;
/// let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
/// let rules = [
///     StoppingRule::Evaluations(40),
///     StoppingRule::Plateau { evaluations: 6, gain: 1e-3 },
/// ];
/// while !rules.iter().any(|rule| rule.is_met(&search)) {
///     let trial = search.ask(&mut rng)?;
///     let x: f64 = trial.float("x").unwrap_or(0.0);
///     search.tell(&trial, Some(-(x - 1.0).powi(2)))?;
/// }
/// assert!(search.outcomes().len() < 40);
/// # Ok::<(), bomf_bo::BoError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum StoppingRule {
    /// So many evaluations have been made, failed ones among them.
    Evaluations(usize),
    /// The last so many evaluations gained no more than a share
    /// ([`Strategy::recent_gain`]).
    Plateau {
        /// How many are looked at.
        evaluations: usize,
        /// The share.
        gain: f64,
    },
    /// The last proposal is expected to gain no more than a share
    /// ([`Strategy::expected_gain`]): it need not be evaluated (Nguyen, Gupta, Rana,
    /// Li and Venkatesh, "Regret for expected improvement over the best-observed
    /// value and stopping condition", ACML 2017).
    ExpectedGain(f64),
}

impl StoppingRule {
    /// Whether `search` may stop.
    pub fn is_met<T: Strategy>(&self, search: &T) -> bool {
        match *self {
            Self::Evaluations(n) => search.evaluations() >= n,
            Self::Plateau { evaluations, gain } => {
                search.recent_gain(evaluations).is_some_and(|g| g <= gain)
            }
            Self::ExpectedGain(gain) => search.expected_gain().is_some_and(|g| g <= gain),
        }
    }
}
