//! The Pareto front of stage 2, as `pareto.json` holds it.

use crate::{Objective, Scores};
use serde::{Deserialize, Serialize};

/// `pareto.json`: every point of the front that stage 2 found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Front {
    /// What was optimised.
    pub objectives: Vec<Objective>,
    /// Reference point of the hypervolume, one value an objective, in the
    /// objective's own direction.
    pub ref_point: Vec<f64>,
    /// Training steps of the members, in the order of the weights.
    pub member_steps: Vec<u64>,
    /// The points, by falling chosen metric.
    pub points: Vec<FrontPoint>,
}

/// A mixture of the members that no other evaluated mixture dominates, or the chosen one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FrontPoint {
    /// Weights of the members: on the simplex, one a member.
    pub weights: Vec<f64>,
    /// Scores on the select split.
    pub select: Scores,
    /// Whether this is the point that was written to `fused/`.
    pub chosen: bool,
    /// Whether it is not on the front: the chosen one alone may lie off it, where its rule
    /// trusts the select split less than the front does.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dominated: bool,
}
