//! The Pareto front of stage 2, as `pareto.json` holds it.

use crate::{Objective, Scores};
use indexmap::IndexMap;
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

/// Weights of the members by block of the model, in the blocks' order: each on the simplex.
pub type BlockWeights = IndexMap<String, Vec<f64>>;

/// A mixture of the members that no other evaluated mixture dominates, or the chosen one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FrontPoint {
    /// Weights of the members: on the simplex, one a member. Of a mixture by block the mean over
    /// the trained parameters.
    pub weights: Vec<f64>,
    /// Weights by block, where the blocks have weights of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block_weights: Option<BlockWeights>,
    /// Scores on the select split.
    pub select: Scores,
    /// Whether this is the point that was written to `fused/`.
    pub chosen: bool,
    /// Whether it is not on the front: the chosen one alone may lie off it, where its rule
    /// trusts the select split less than the front does.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dominated: bool,
}
