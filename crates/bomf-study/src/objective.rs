//! Objectives, their directions, and scores by name.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// Scores of one model on one split, by objective name: `loss` first, then the
/// metrics in the order of the recipe.
pub type Scores = IndexMap<String, f64>;

/// Whether smaller or larger is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Smaller is better, as for a loss.
    Minimize,
    /// Larger is better, as for an accuracy.
    Maximize,
}

impl Direction {
    /// `value` as a number of which more is better; its own inverse.
    pub fn maximised(self, value: f64) -> f64 {
        match self {
            Direction::Minimize => -value,
            Direction::Maximize => value,
        }
    }
}

/// One objective of stage 2.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Objective {
    /// Its name, a key of [`Scores`].
    pub name: String,
    /// Whether it is minimised or maximised.
    pub direction: Direction,
}
