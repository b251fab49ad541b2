//! What the runs of an experiment say together, as `experiment.json` holds it.

use crate::MethodName;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// `experiment.json`: an experiment as far as it has come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Experiment {
    /// What it is called.
    pub name: String,
    /// Version of bomf that wrote it.
    pub version: String,
    /// Runs that it has when it is complete.
    pub planned: usize,
    /// Runs that are finished.
    pub runs: Vec<RunRecord>,
    /// Runs that ended in an error.
    pub failed: Vec<FailedRun>,
    /// Scores of every method, by task and variant.
    pub scores: Vec<ScoreRow>,
    /// How much better `bomf` is than every other method of its runs.
    pub gains: Vec<Gain>,
    /// How much better every variant is than the first.
    pub ablation: Vec<Gain>,
    /// What must hold on the select split of every run.
    pub claims: Vec<Claim>,
    /// Hypervolume along the searches.
    pub hypervolume: Vec<HypervolumeRow>,
    /// Whether mixtures with a lower loss have better metrics.
    pub correlation: Vec<CorrelationRow>,
    /// Whether configurations come in the same order under two variants of stage 1.
    pub alignment: Vec<AlignmentRow>,
    /// Where the time went.
    pub costs: Vec<CostRow>,
}

/// A finished run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Its task.
    pub task: String,
    /// Its variant.
    pub variant: String,
    /// Its seed.
    pub seed: u64,
    /// Its folder below the experiment's.
    pub folder: PathBuf,
    /// Largest resident memory, in units of 10^6 bytes.
    pub peak_rss_mb: f64,
}

/// A method on a task, over the seeds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScoreRow {
    /// The task.
    pub task: String,
    /// The variant.
    pub variant: String,
    /// The method.
    pub method: MethodName,
    /// Runs that are averaged.
    pub runs: usize,
    /// The objective by which the runs choose.
    pub chosen: String,
    /// Scores on the select split, by objective.
    pub select: IndexMap<String, MeanSd>,
    /// Scores on the report split, by objective.
    pub report: IndexMap<String, MeanSd>,
    /// Hypervolume on the select split.
    pub hypervolume: MeanSd,
    /// Evaluations of mixtures.
    pub evaluations: f64,
}

/// How much better one side is than another, over paired runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Gain {
    /// The variant.
    pub variant: String,
    /// What it is compared with: a method of the same runs, or a variant.
    pub over: String,
    /// What is compared: `report chosen`, `report loss` or `select hypervolume`.
    pub of: String,
    /// Mean of the differences, turned so that above zero is better.
    pub mean: f64,
    /// Its 95 % interval by a bootstrap of the runs within each task.
    pub interval: Option<[f64; 2]>,
    /// Pairs of runs.
    pub runs: usize,
    /// Pairs in which it is better, and in which both are equal.
    pub better: usize,
    /// Pairs that are equal.
    pub equal: usize,
}

/// A claim and in how many runs it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The variant.
    pub variant: String,
    /// What is claimed.
    pub claim: String,
    /// Runs in which it holds.
    pub held: usize,
    /// Runs.
    pub runs: usize,
}

/// Hypervolume of a search after so many evaluations of mixtures, the members' own scores
/// counted in from the beginning.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HypervolumeRow {
    /// The variant.
    pub variant: String,
    /// The search.
    pub method: MethodName,
    /// Evaluations of mixtures.
    pub evaluations: usize,
    /// Share of what `bomf` of the first variant has in the end, on the same members and from
    /// the same reference point; the mean over runs.
    pub share: MeanSd,
    /// Runs that are averaged.
    pub runs: usize,
}

/// Rank correlation between low loss and a good metric over random mixtures of one run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CorrelationRow {
    /// The task.
    pub task: String,
    /// The seed.
    pub seed: u64,
    /// The metric.
    pub metric: String,
    /// Spearman's, 1 where the mixture with the lower loss always has the better metric.
    pub spearman: f64,
    /// Mixtures.
    pub mixtures: usize,
}

/// Rank correlation of stage 1's scores of the same configurations under two variants.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AlignmentRow {
    /// The task.
    pub task: String,
    /// The seed.
    pub seed: u64,
    /// The variant that is compared with the first.
    pub variant: String,
    /// What the configurations are ranked by.
    pub objective: String,
    /// Spearman's.
    pub spearman: f64,
    /// Configurations that both tried.
    pub configurations: usize,
    /// Mean seconds a trial: of the first variant, and of this one.
    pub seconds: [f64; 2],
}

/// Mean seconds of a run's parts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CostRow {
    /// The task.
    pub task: String,
    /// The variant.
    pub variant: String,
    /// Hyperparameter search.
    pub stage1: f64,
    /// Fine-tuning of the full model.
    pub finetune: f64,
    /// Search for the weights, baselines included.
    pub stage2: f64,
    /// Everything.
    pub total: f64,
}

/// A run that ended in an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedRun {
    /// Its folder below the experiment's.
    pub folder: PathBuf,
    /// What went wrong.
    pub error: String,
}

/// A mean with its standard deviation over runs; one run has none.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MeanSd {
    /// The mean.
    pub mean: f64,
    /// The standard deviation of the sample.
    pub sd: Option<f64>,
}

impl MeanSd {
    /// Of some values; NaN of none.
    pub fn of(values: &[f64]) -> Self {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let squares: f64 = values.iter().map(|x| (x - mean) * (x - mean)).sum();
        Self {
            mean,
            sd: (values.len() > 1).then(|| (squares / (n - 1.0)).sqrt()),
        }
    }
}
