//! The outcome of a study, as `results.json` holds it.

use crate::interchange::KnownTrial;
use crate::{Basin, BlockWeights, FrontPoint, Objective, Scores};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// `results.json`: one run of the pipeline and everything the report shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// Version of bomf that wrote it.
    pub version: String,
    /// Name of the task.
    pub task: String,
    /// `classification`, `regression`, `causal_lm` or another kind that a recipe names.
    pub task_kind: String,
    /// The pre-trained model: its folder or its name on the hub.
    pub model: String,
    /// Trainable numbers of the full model.
    pub parameters: usize,
    /// Seed of every random choice.
    pub seed: u64,
    /// Threads it ran on.
    pub threads: usize,
    /// Sizes of the splits, in examples.
    pub splits: Splits,
    /// What was optimised: the loss and the metrics.
    pub objectives: Vec<Objective>,
    /// The objective by which checkpoints, soups and the front's point are chosen.
    pub chosen_metric: String,
    /// Reference point of every hypervolume in here, in the objectives' own
    /// directions.
    pub ref_point: Vec<f64>,
    /// Hyperparameter search on the lightweight model.
    pub stage1: Stage1,
    /// The one fine-tuning run of the full model.
    pub finetune: Finetune,
    /// The search for the weights.
    pub stage2: Stage2,
    /// Every method, on both splits.
    pub methods: Vec<Method>,
    /// The Pareto front that `bomf` found, by falling chosen metric.
    pub front: Vec<FrontPoint>,
    /// What was guessed, carved off or left out on the way, for people to read.
    pub notes: Vec<String>,
    /// Wall-clock times.
    pub seconds: Seconds,
    /// Largest resident memory of the process, in units of 10^6 bytes.
    pub peak_rss_mb: f64,
}

/// Numbers of examples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Splits {
    /// Trained on.
    pub train: usize,
    /// Drives both stages.
    pub select: usize,
    /// Touched once, at the end.
    pub report: usize,
}

/// Stage 1 and the configuration that it chose.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stage1 {
    /// Layers of the full model, and how many of them the lightweight one freezes.
    pub layers: usize,
    /// Frozen layers, from the bottom.
    pub frozen_layers: usize,
    /// Rank of the lightweight model's adapters, where it had adapters rather than frozen
    /// layers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lora_r: Option<usize>,
    /// The trials in the order in which they ran; empty where stage 1 was skipped.
    pub trials: Vec<Stage1Trial>,
    /// Trials of an earlier search that were known before it began.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub known: Vec<KnownTrial>,
    /// Hyperparameters that the full run used.
    pub best: IndexMap<String, serde_json::Value>,
}

/// One trial of stage 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stage1Trial {
    /// Hyperparameters by name.
    pub parameters: IndexMap<String, serde_json::Value>,
    /// Scores of its best checkpoint on the select split; empty if it failed.
    pub select: Scores,
    /// The value that stage 1 maximises; `None` if the trial failed.
    pub value: Option<f64>,
    /// Whether it was stopped early, for others were better at the same point; scores and value
    /// are of its training until then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pruned: bool,
    /// Wall-clock time.
    pub seconds: f64,
}

/// The fine-tuning run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finetune {
    /// Step with the best chosen metric on the select split (B*).
    pub best_step: u64,
    /// Steps made.
    pub steps: u64,
    /// Steps in one pass over the training split.
    pub steps_per_epoch: u64,
    /// Scores along the run.
    pub curve: Vec<CurvePoint>,
    /// The checkpoints that were gathered, by rising step; of several runs, run by run, the one
    /// that this describes last.
    pub members: Vec<MemberRecord>,
    /// Further runs whose checkpoints are members, in the order of the members.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub further_runs: Vec<FurtherRun>,
}

/// A fine-tuning run beside that of the best configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FurtherRun {
    /// Its number, from 2; that of the best configuration is 1.
    pub run: usize,
    /// Hyperparameters that stage 1 gave it; empty where they are the recipe's.
    pub parameters: IndexMap<String, serde_json::Value>,
    /// Step with the best chosen metric on the select split, the run's member.
    pub best_step: u64,
    /// Steps made.
    pub steps: u64,
    /// Scores along the run.
    pub curve: Vec<CurvePoint>,
}

/// A number, or NaN for null.
fn or_nan<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Option::<f64>::deserialize(deserializer).map(|number| number.unwrap_or(f64::NAN))
}

/// Scores at one step of the fine-tuning run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// Optimiser steps made.
    pub step: u64,
    /// Mean training loss since the point before. JSON has no NaN: it is null there.
    #[serde(deserialize_with = "or_nan")]
    pub train_loss: f64,
    /// Scores on the select split.
    pub select: Scores,
}

/// One member.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MemberRecord {
    /// Its training step; the number of its folder where the trainer named none.
    pub step: u64,
    /// Which run it is of, from 1, where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<usize>,
    /// Folder, relative to the output folder where it lies inside.
    pub path: String,
    /// Scores on the select split.
    pub select: Scores,
}

/// The search for the weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stage2 {
    /// Evaluations of `bomf` that its starting design made.
    pub initial_evaluations: usize,
    /// By objective: what predicted it at the end of the search. `composite` (a model of
    /// the outputs), `direct` (of the objective) or `around_mixture` (of its difference from
    /// that of the members' mixed outputs).
    #[serde(default)]
    pub surrogates: IndexMap<String, String>,
    /// How the model that was written was taken from what was evaluated.
    #[serde(default)]
    pub choice: Choice,
    /// The part of the search that gave each block of the model weights of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocks: Option<BlockSearch>,
    /// The loss along segments between members, where it was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basin: Option<Basin>,
    /// Hypervolume on the select split over the evaluations.
    pub history: Vec<HypervolumePoint>,
}

/// How one mixture was taken.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Choice {
    /// The rule that decided: the recipe's, unless that needs what there was not.
    pub rule: String,
    /// Under `bagged`: the share of the average over resamples in the mixture, the rest being
    /// what `one_standard_error` takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
    /// Under `bagged`, by objective: how much better a choice is on the examples that make it than
    /// on others, more being better; its average over resamples of the select split.
    #[serde(default, skip_serializing_if = "Scores::is_empty")]
    pub gap: Scores,
}

/// The search of weights by block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockSearch {
    /// The blocks, from the bottom of the model to its head.
    pub names: Vec<String>,
    /// The evaluations of `bomf` before it began, as [`HypervolumePoint::evaluations`] counts
    /// them.
    pub after: usize,
}

/// Hypervolume after so many evaluations.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct HypervolumePoint {
    /// Evaluations made.
    pub evaluations: usize,
    /// Of everything `bomf` had evaluated by then.
    pub bomf: f64,
    /// Of everything the random simplex search had evaluated by then; `None`
    /// where it did not run.
    pub random_simplex: Option<f64>,
}

/// The methods that one run compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MethodName {
    /// The member with the best chosen metric.
    BestCheckpoint,
    /// The member of the last step.
    LastCheckpoint,
    /// Uniform average of the last quarter of the members (Izmailov et al. 2018).
    Swa,
    /// Uniform average of all members (Wortsman et al. 2022).
    UniformSoup,
    /// Greedy average (Wortsman et al. 2022).
    GreedySoup,
    /// Exponential moving average over the trajectory (Morales-Brotons et al. 2024).
    Ema,
    /// The members' average drawn back to where training began (Jang et al., ECCV 2024);
    /// one model, but no mixture of the members.
    ModelStock,
    /// Average weighted by Fisher information (Matena and Raffel 2022); likewise.
    Fisher,
    /// Linear layers by least squares over their inputs (Jin et al. 2023); likewise.
    Regmean,
    /// Average of members whose units were put in one order (Singh and Jaggi 2020);
    /// likewise.
    OtFusion,
    /// Weights by gradient descent on the select loss (Wortsman et al. 2022).
    LearnedSwa,
    /// Training on in the members' span (Li et al. 2023); weights may be below 0.
    Twa,
    /// Random search on the simplex with the budget of `bomf`.
    RandomSimplex,
    /// Covariance matrix adaptation of the weights (Hansen 2016; Akiba et al. 2024).
    CmaEs,
    /// Bayesian optimisation of the loss alone.
    BoLoss,
    /// Bayesian optimisation of the chosen metric alone.
    BoMetric,
    /// The search of the paper: a box whose points are divided by their sum.
    BomfPaper,
    /// Mean of the members' predicted probabilities; keeps every member at inference.
    PredictionEnsemble,
    /// Their weighted mean, the weights fitted on the select split; keeps every member.
    WeightedEnsemble,
    /// A regression on the members' outputs (Wolpert 1992); keeps every member.
    Stacking,
    /// Multi-objective Bayesian optimisation of the weights (Jang et al. 2024).
    Bomf,
}

impl MethodName {
    /// Every method, in the order of the table.
    pub const ALL: [MethodName; 21] = [
        MethodName::BestCheckpoint,
        MethodName::LastCheckpoint,
        MethodName::Swa,
        MethodName::UniformSoup,
        MethodName::GreedySoup,
        MethodName::Ema,
        MethodName::ModelStock,
        MethodName::Fisher,
        MethodName::Regmean,
        MethodName::OtFusion,
        MethodName::LearnedSwa,
        MethodName::Twa,
        MethodName::RandomSimplex,
        MethodName::CmaEs,
        MethodName::BoLoss,
        MethodName::BoMetric,
        MethodName::BomfPaper,
        MethodName::PredictionEnsemble,
        MethodName::WeightedEnsemble,
        MethodName::Stacking,
        MethodName::Bomf,
    ];

    /// Those that every run compares, in the order of the table; the others are run
    /// where the recipe asks for them.
    pub const OF_EVERY_RUN: [MethodName; 8] = [
        MethodName::BestCheckpoint,
        MethodName::LastCheckpoint,
        MethodName::Swa,
        MethodName::UniformSoup,
        MethodName::GreedySoup,
        MethodName::RandomSimplex,
        MethodName::PredictionEnsemble,
        MethodName::Bomf,
    ];

    /// Whether it keeps every member at inference, and is no single model.
    pub fn keeps_members(self) -> bool {
        matches!(
            self,
            MethodName::PredictionEnsemble | MethodName::WeightedEnsemble | MethodName::Stacking
        )
    }

    /// Whether it searches mixtures one by one, so that all that it evaluated counts for
    /// its hypervolume.
    pub fn is_search(self) -> bool {
        matches!(
            self,
            MethodName::RandomSimplex
                | MethodName::CmaEs
                | MethodName::BoLoss
                | MethodName::BoMetric
                | MethodName::BomfPaper
                | MethodName::Bomf
        )
    }

    /// The name in `results.json`.
    pub fn as_str(self) -> &'static str {
        match self {
            MethodName::BestCheckpoint => "best_checkpoint",
            MethodName::LastCheckpoint => "last_checkpoint",
            MethodName::Swa => "swa",
            MethodName::UniformSoup => "uniform_soup",
            MethodName::GreedySoup => "greedy_soup",
            MethodName::Ema => "ema",
            MethodName::ModelStock => "model_stock",
            MethodName::Fisher => "fisher",
            MethodName::Regmean => "regmean",
            MethodName::OtFusion => "ot_fusion",
            MethodName::LearnedSwa => "learned_swa",
            MethodName::Twa => "twa",
            MethodName::RandomSimplex => "random_simplex",
            MethodName::CmaEs => "cma_es",
            MethodName::BoLoss => "bo_loss",
            MethodName::BoMetric => "bo_metric",
            MethodName::BomfPaper => "bomf_paper",
            MethodName::PredictionEnsemble => "prediction_ensemble",
            MethodName::WeightedEnsemble => "weighted_ensemble",
            MethodName::Stacking => "stacking",
            MethodName::Bomf => "bomf",
        }
    }
}

/// What one method reached.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Method {
    /// Which.
    pub name: MethodName,
    /// Weights of the members; `None` where the method is not one model. Of a mixture by block
    /// the mean over the trained parameters.
    pub weights: Option<Vec<f64>>,
    /// Weights by block, where the blocks have weights of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block_weights: Option<BlockWeights>,
    /// Scores on the select split.
    pub select: Scores,
    /// Scores on the report split.
    pub report: Scores,
    /// 95 % bootstrap interval of each score on the report split.
    pub report_interval: IndexMap<String, [f64; 2]>,
    /// Report score of `bomf` minus this method's, with the 95 % interval of the
    /// paired bootstrap, as [difference, low, high]; empty for `bomf` itself.
    pub bomf_minus_this: IndexMap<String, [f64; 3]>,
    /// Hypervolume on the select split of all that the method evaluated.
    pub hypervolume: f64,
    /// Forward passes over the select split that the method needed (of mixtures,
    /// beyond the members' own).
    pub evaluations: usize,
    /// Wall-clock time of those.
    pub seconds: f64,
}

/// Wall-clock times of the parts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Seconds {
    /// Hyperparameter search.
    pub stage1: f64,
    /// Fine-tuning of the full model.
    pub finetune: f64,
    /// Search for the weights, baselines included.
    pub stage2: f64,
    /// Everything.
    pub total: f64,
}
