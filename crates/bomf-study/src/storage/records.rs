//! What a storage keeps.

use crate::{CurvePoint, Finetune, Scores, State};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// A finished trial of stage 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrialRecord {
    /// Its number, from 0.
    pub number: usize,
    /// Hyperparameters by name.
    pub parameters: IndexMap<String, serde_json::Value>,
    /// How it ended.
    pub state: State,
    /// Scores of its best checkpoint on the select split; empty if it failed.
    pub scores: Scores,
    /// What stage 1 maximises; `None` if it failed, and of one that was stopped early as far as
    /// it came.
    pub value: Option<f64>,
    /// Step of its best checkpoint.
    pub step: u64,
    /// Its intermediate values, by rising step.
    pub curve: Vec<CurvePoint>,
    /// Wall-clock time.
    pub seconds: f64,
}

/// What a trial was worth when it came to a rung of its training.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RungValue {
    /// Which rung, from 0.
    pub rung: usize,
    /// Number of the trial.
    pub trial: usize,
    /// Its best value by then, more being better.
    pub value: f64,
}

/// A complete fine-tuning run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FinetuneRecord {
    /// Its number, from 1.
    pub number: usize,
    /// The run; its members have no scores yet.
    pub run: Finetune,
    /// Wall-clock time.
    pub seconds: f64,
}

/// Which split an evaluation was on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EvaluatedSplit {
    /// The one that drives the search.
    Select,
    /// The one that is touched once, at the end.
    Report,
}

impl EvaluatedSplit {
    /// Its name in a storage.
    pub fn as_str(self) -> &'static str {
        match self {
            EvaluatedSplit::Select => "select",
            EvaluatedSplit::Report => "report",
        }
    }
}

/// A finished evaluation of a mixture of the members.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvaluationRecord {
    /// Which split.
    pub split: EvaluatedSplit,
    /// The method that asked for it first.
    pub method: String,
    /// Weights of the members.
    pub weights: Vec<f64>,
    /// How it ended.
    pub state: State,
    /// Scores; empty where it gave none.
    pub scores: Scores,
    /// Standard errors of the scores, where they are known.
    pub std_errors: Scores,
    /// What the search needs of the model's outputs, in an order of the search's own;
    /// empty where it needs none.
    pub outputs: Vec<f32>,
    /// Wall-clock time.
    pub seconds: f64,
}
