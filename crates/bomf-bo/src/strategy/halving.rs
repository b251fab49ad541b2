//! Asynchronous successive halving: trials that fall behind others at the same point of their
//! training are not trained on.
//!
//! A trial passes *rungs*, which lie at the shares f, f η, f η², … (below 1) of what it would
//! take as a whole. When it comes to a rung, it is compared with the trials that have come there
//! before it, and goes on if it is among the best ⌊n / η⌋ of the n that were then seen, itself
//! counted. Nobody waits for anybody: what comes later changes nothing of what was decided. This
//! is the stopping form of ASHA (Li, Jamieson, Rostamizadeh, Gonina, Hardt, Recht and Talwalkar,
//! "A System for Massively Parallel Hyperparameter Tuning", MLSys 2020, section 3; Jamieson and
//! Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter Optimization", AISTATS
//! 2016): a trial that goes on does so at once, where the promoting form would pause it.

use crate::{BoError, Result};
use serde::{Deserialize, Serialize};

/// What rounding may take from a share that was computed another way.
const SLACK: f64 = 1e-9;

/// Rungs, and the rule by which a trial goes on beyond one.
///
/// ```
/// use bomf_bo::strategy::SuccessiveHalving;
///
/// let rule = SuccessiveHalving::new(3, 0.2)?;
/// assert_eq!((rule.rungs(), rule.reached(0.5), rule.reached(1.0)), (2, 1, 2));
/// // The third one to come to a rung is the first that can be stopped.
/// assert!(rule.goes_on(&[0.7, 0.4]));
/// assert!(!rule.goes_on(&[0.7, 0.4, 0.6]));
/// assert!(rule.goes_on(&[0.7, 0.4, 0.8]));
/// # Ok::<(), bomf_bo::BoError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Options")]
pub struct SuccessiveHalving {
    factor: usize,
    first: f64,
}

/// As it is read: not valid yet.
#[derive(Deserialize)]
struct Options {
    factor: usize,
    first: f64,
}

impl TryFrom<Options> for SuccessiveHalving {
    type Error = BoError;

    fn try_from(options: Options) -> Result<Self> {
        Self::new(options.factor, options.first)
    }
}

impl Default for SuccessiveHalving {
    /// η = 3, with rungs at a fifth and three fifths of the whole: by then a usual warm-up of the
    /// learning rate is over, before which small rates look better than they are.
    fn default() -> Self {
        SuccessiveHalving {
            factor: 3,
            first: 0.2,
        }
    }
}

impl SuccessiveHalving {
    /// One in `factor` (η) goes on beyond each rung, the first of which lies at the share `first`
    /// (f).
    ///
    /// # Errors
    /// [`BoError::Option`] for a factor below 2, and for a share that is not between 0 and 1.
    pub fn new(factor: usize, first: f64) -> Result<Self> {
        if factor < 2 {
            return Err(BoError::Option {
                option: "factor",
                value: factor as f64,
                range: "at least 2",
            });
        }
        if !(first > 0.0 && first < 1.0) {
            return Err(BoError::Option {
                option: "first",
                value: first,
                range: "above 0 and below 1",
            });
        }
        Ok(SuccessiveHalving { factor, first })
    }

    /// η: one in so many goes on beyond each rung.
    #[must_use]
    pub fn factor(&self) -> usize {
        self.factor
    }

    /// f: the share of the whole at which the first rung lies.
    #[must_use]
    pub fn first(&self) -> f64 {
        self.first
    }

    /// Where rung `rung` lies, as a share of the whole; the first is 0.
    #[must_use]
    pub fn share(&self, rung: usize) -> f64 {
        let exponent = i32::try_from(rung).unwrap_or(i32::MAX);
        self.first * (self.factor as f64).powi(exponent)
    }

    /// How many rungs there are.
    #[must_use]
    pub fn rungs(&self) -> usize {
        self.reached(1.0 - 2.0 * SLACK)
    }

    /// How many rungs lie at or before a share of the whole; none for NaN.
    #[must_use]
    pub fn reached(&self, share: f64) -> usize {
        if share.is_nan() {
            return 0;
        }
        // At the whole itself nothing is left to be saved.
        let share = share.min(1.0 - 2.0 * SLACK);
        let mut rungs = 0;
        while self.share(rungs) <= share * (1.0 + SLACK) {
            rungs += 1;
        }
        rungs
    }

    /// Whether the last of `seen` goes on: what trials were worth at one rung (more is better), in
    /// the order in which they came there, the one in question last.
    ///
    /// The first `factor` - 1 go on whatever they are worth, equals of one that goes on do too,
    /// and one that is worth NaN is worse than all others. With nothing seen there is nothing to
    /// stop.
    #[must_use]
    pub fn goes_on(&self, seen: &[f64]) -> bool {
        let Some((&own, others)) = seen.split_last() else {
            return true;
        };
        if seen.len() < self.factor {
            return true;
        }
        let is_better = |other: &&f64| match own.is_nan() {
            true => !other.is_nan(),
            false => **other > own,
        };
        others.iter().filter(is_better).count() < seen.len() / self.factor
    }
}
