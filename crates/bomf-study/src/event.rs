//! One line of `trials.jsonl`.

use crate::{BlockWeights, Scores};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// How a trial or an evaluation ended. Only trials are pruned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It gave scores.
    Complete,
    /// It was stopped early, for others were better at the same point; it gave scores until then.
    Pruned,
    /// It gave none (a loss that is not a number, say); `scores` is empty.
    Failed,
}

/// Something that was evaluated, written down as soon as it was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub enum Event {
    /// A configuration of stage 1: one short run of the lightweight model.
    Stage1 {
        /// Number of the trial, from 0.
        trial: usize,
        /// Hyperparameters by name.
        parameters: IndexMap<String, serde_json::Value>,
        /// How it ended.
        state: State,
        /// Scores on the select split of the run's best checkpoint.
        scores: Scores,
        /// Step of that checkpoint.
        step: u64,
        /// Wall-clock time it took.
        seconds: f64,
    },
    /// A configuration that was tried elsewhere, and is known to stage 1 before it begins.
    Known {
        /// Number of the trial in its own study, from 0.
        trial: usize,
        /// Hyperparameters by name.
        parameters: IndexMap<String, serde_json::Value>,
        /// What it came to, more being better.
        value: f64,
    },
    /// An evaluation of the full model during a fine-tuning run.
    Finetune {
        /// Which run, from 1, where there are several.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        run: Option<usize>,
        /// Optimiser steps made.
        step: u64,
        /// Passes over the training split made.
        epoch: f64,
        /// Mean training loss since the last such event.
        train_loss: f64,
        /// Scores on the select split.
        scores: Scores,
    },
    /// A mixture of stage 2.
    Stage2 {
        /// The method that asked for it: a name of [`crate::MethodName`], or `served`
        /// where another program did.
        method: String,
        /// Number of the evaluation within its method, from 0.
        evaluation: usize,
        /// Weights of the members; of a mixture by block the mean over the trained parameters.
        weights: Vec<f64>,
        /// Weights by block, where the blocks have weights of their own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        block_weights: Option<BlockWeights>,
        /// How it ended.
        state: State,
        /// Scores on the select split.
        scores: Scores,
        /// Wall-clock time it took.
        seconds: f64,
    },
}
