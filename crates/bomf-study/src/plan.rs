//! What a run set out to do: what its recipe says before there are results.

use crate::Objective;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// What a run set out to do, as far as that is known before its end.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Plan {
    /// Name of the task.
    pub task: String,
    /// What is optimised, in the order of the scores.
    pub objectives: Vec<Objective>,
    /// The objective by which models are chosen.
    pub chosen_metric: String,
    /// The objectives whose sum, each turned so that more is better, stage 1 maximises.
    pub stage1_value: Vec<String>,
    /// Trials of stage 1, at most.
    pub trials: usize,
    /// Where stage 1 searches, by hyperparameter.
    pub space: IndexMap<String, Range>,
    /// Fine-tuning runs.
    pub runs: usize,
    /// Passes over the training split in a fine-tuning run, at most.
    pub epochs: usize,
    /// Members that are wanted of a run.
    pub members: usize,
    /// Evaluations of stage 2 beyond its starting design; `None` makes five a member.
    pub evaluations: Option<usize>,
    /// Reference point of the hypervolume, where it is set and not inferred, in the objectives'
    /// own directions.
    pub ref_point: Option<Vec<f64>>,
}

/// Where a hyperparameter is searched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Range {
    /// The numbers from `low` to `high`.
    Float {
        /// Smallest value.
        low: f64,
        /// Largest value.
        high: f64,
        /// Whether its logarithm is what is searched.
        log: bool,
    },
    /// The whole numbers from `low` to `high`.
    Int {
        /// Smallest value.
        low: i64,
        /// Largest value.
        high: i64,
    },
    /// One of several values.
    Categorical {
        /// The values.
        choices: Vec<serde_json::Value>,
    },
}

impl Plan {
    /// What stage 1 maximises, of these scores; `None` where one is missing or no number.
    pub fn value(&self, scores: &crate::Scores) -> Option<f64> {
        let value = |name: &String| {
            let objective = self.objectives.iter().find(|o| o.name == *name)?;
            let score = scores.get(name).filter(|score| score.is_finite())?;
            Some(objective.direction.maximised(*score))
        };
        match self.stage1_value.is_empty() {
            true => None,
            false => self.stage1_value.iter().map(value).sum(),
        }
    }
}
