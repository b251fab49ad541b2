//! The recipe of a run: every choice of the pipeline, read from YAML.
//!
//! Text becomes a tree of values that know their lines (`node`), the tree
//! becomes a [`Recipe`] or one clear error (`parse`, `read`), and a recipe
//! becomes text again with every value and what it means (`write`), so that a
//! run can be repeated from its own output. A field that is left out or `null`
//! takes its default; a field that does not exist is refused.
//!
//! ```
//! use bomf::recipe::Recipe;
//!
//! let recipe = Recipe::from_yaml("stage1: {trials: 4}", "recipe.yaml")?;
//! assert_eq!(recipe.stage1.trials, 4);
//! assert_eq!(recipe, Recipe::from_yaml(&recipe.to_yaml(), "again.yaml")?);
//!
//! let error = Recipe::from_yaml("finetune:\n  epoch: 3", "recipe.yaml").unwrap_err();
//! assert_eq!(
//!     error.to_string(),
//!     "recipe.yaml line 2: unknown field `epoch` in `finetune`"
//! );
//! assert_eq!(error.hint().as_deref(), Some("did you mean `epochs`?"));
//! # Ok::<(), bomf::recipe::RecipeError>(())
//! ```

mod command;
mod error;
mod evaluator;
mod hyperparameter;
pub(crate) mod node;
mod objectives;
mod parse;
pub(crate) mod read;
mod task;
#[cfg(test)]
mod tests;
mod trainer;
mod write;

pub use bomf_bo::strategy::SuccessiveHalving;
pub use bomf_tune::generate::{EarlyStopping, GenerationOptions, Sampling};
pub use bomf_tune::lora::{LoraOptions, Targets};
pub use command::CommandLine;
pub use error::RecipeError;
pub use evaluator::{ExternalEvaluator, ExternalObjective};
pub use hyperparameter::{Dimension, HyperValue, Hyperparameter};
pub use objectives::Objectives;
pub use task::{Columns, Generation, Metric, Optimised, QuestionAnswering, Task, TaskKind};
pub(crate) use trainer::GIVEN;
pub use trainer::{ExternalTrainer, TrainerCommand};
pub(crate) use write::HEADER;

use indexmap::IndexMap;
use std::path::Path;

/// Every choice of a run.
///
/// One that comes from [`Recipe::from_yaml`] or [`Recipe::load`] is valid: each
/// value lies in its documented range, and the fields go together.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Recipe {
    /// Seed of every random choice: the design, dropout, shuffling, carved-off
    /// splits. Default 0.
    pub seed: u64,
    /// The data and what is measured on it.
    pub task: Task,
    /// The search for hyperparameters on the lightweight model.
    pub stage1: Stage1,
    /// The one fine-tuning run of the full model.
    pub finetune: Finetune,
    /// Which of its checkpoints are gathered.
    pub members: Members,
    /// The search for the weights that fuse them.
    pub stage2: Stage2,
    /// A program that evaluates models in the engine's place, for `bomf fuse`, and for
    /// `bomf run` where one trains, too; `None` (the default) is the engine.
    pub evaluator: Option<ExternalEvaluator>,
    /// A program that trains models in the engine's place, for `bomf run`, `tune` and
    /// `finetune`; it needs an evaluator. `None` (the default) is the engine.
    pub trainer: Option<ExternalTrainer>,
}

/// Stage 1: Bayesian optimisation of hyperparameters on the lightweight model.
#[derive(Debug, Clone, PartialEq)]
pub struct Stage1 {
    /// Configurations to try; 0 skips stage 1, and the values of [`Finetune`] are
    /// used, as they are where nothing is left to search. Default 10, at most
    /// 10,000.
    pub trials: usize,
    /// How many of them are drawn at random before the surrogate chooses: from 1
    /// to `trials`. Default 3 (or `trials`, where that is less).
    pub initial: usize,
    /// Ends stage 1 when the last so many trials brought nothing better
    /// ([`PLATEAU`]), from 1 on; `None` goes through all of them.
    pub patience: Option<usize>,
    /// Ends trials that fall behind others at the same share of their training; `None`, the
    /// default, trains each to its end.
    pub pruning: Option<SuccessiveHalving>,
    /// Passes over the training split in a trial, where `epochs` is not searched
    /// itself. Default 3, from 1 to 10,000.
    pub epochs: usize,
    /// What makes the model light. Default [`Light::Frozen`], and [`Light::Lora`] where
    /// [`Finetune::lora`] is set.
    pub light: Light,
    /// What the lightweight model leaves untrained, with [`Light::Frozen`]. Default
    /// [`FrozenLayers::Half`].
    pub frozen_layers: FrozenLayers,
    /// Rank of the lightweight model's adapters, with [`Light::Lora`]. Default 4, from 1
    /// to 1,024.
    pub lora_r: usize,
    /// Evaluations on the select split in each pass. Default 2, from 1 to 1,000.
    pub evaluations_per_epoch: usize,
    /// What is searched, and where. Given in the recipe, it replaces the default:
    /// `learning_rate` log-uniform from 1e-5 to 1e-4 and `batch_size` from 8 to
    /// 32, each unless `finetune` fixes it. A lightweight model bears larger rates
    /// than the full one: ranges beyond 1e-4 are for small models. Where the full run
    /// trains adapters, the default for `learning_rate` is 1e-4 to 2e-3.
    pub space: IndexMap<Hyperparameter, Dimension>,
    /// A study of Optuna's, a journal file or an SQLite file: its finished trials are known to
    /// the search before its own begin, and count beside them. Their values must be what
    /// stage 1 maximises here: the same model, data and length. Default none.
    pub known: Option<String>,
    /// The study of that file, where it has several with one objective.
    pub known_study: Option<String>,
}

/// What makes the lightweight model of stage 1 light.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Light {
    /// Its lower layers are frozen.
    Frozen,
    /// Adapters of low rank are trained, with the factor before `B A` of
    /// [`Finetune::lora`], on the same layers.
    Lora,
}

impl Stage1 {
    /// The adapters of the lightweight model; `None` where it has none.
    ///
    /// Their factor before `B A` is that of the full run's adapters (1 where that has
    /// none), so that what suits one rank suits the other.
    pub fn lora(&self, full: Option<&LoraOptions>) -> Option<LoraOptions> {
        if self.light == Light::Frozen {
            return None;
        }
        let r = self.lora_r.min(full.map_or(usize::MAX, |full| full.r));
        let unit = LoraOptions {
            r,
            alpha: 1.0,
            ..full.cloned().unwrap_or_default()
        };
        let alpha = full.map_or(1.0, LoraOptions::scale) / unit.scale();
        Some(LoraOptions { alpha, ..unit })
    }
}

/// How much of the model stage 1 does not train, counted from the bottom.
///
/// The embeddings are frozen with the first layer; 0 freezes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrozenLayers {
    /// The lower half of the layers, rounded down.
    Half,
    /// So many layers.
    Count(usize),
}

impl FrozenLayers {
    /// The number of frozen layers in a model of `layers` layers.
    ///
    /// A count larger than `layers - 1` is cut to that: a model with every layer
    /// frozen is no proxy, its best hyperparameters do not line up with the full
    /// model's.
    pub fn count(self, layers: usize) -> usize {
        match self {
            FrozenLayers::Half => layers / 2,
            FrozenLayers::Count(count) => count.min(layers.saturating_sub(1)),
        }
    }
}

/// The fine-tuning run, in the words of the Hugging Face `Trainer`.
#[derive(Debug, Clone, PartialEq)]
pub struct Finetune {
    /// Passes over the training split, at most. Default 10, from 1 to 10,000.
    pub epochs: usize,
    /// Whether the run ends once no later step can be a member: at the upper end
    /// of [`Members::window`] beyond the best step so far. Default true.
    pub early_stopping: bool,
    /// Peak learning rate, above 0 and at most 1; `None` takes stage 1's.
    pub learning_rate: Option<f64>,
    /// Examples in a batch, from 1 to 4,096; `None` takes stage 1's.
    pub batch_size: Option<usize>,
    /// What makes the steps. Default [`Optimizer::AdamW`].
    pub optimizer: Optimizer,
    /// Weight decay (none on biases and norms): decoupled, but for `sgd`, whose is coupled, as
    /// torch's. Default 0.1, from 0 to 10.
    pub weight_decay: f64,
    /// AdamW's decay of the first moment. Default 0.9, from 0 to below 1.
    pub adam_beta1: f64,
    /// AdamW's decay of the second moment. Default 0.98, from 0 to below 1.
    pub adam_beta2: f64,
    /// AdamW's term in the denominator. Default 1e-6, above 0 and at most 1.
    pub adam_epsilon: f64,
    /// Momentum of `sgd`. Default 0.9, from 0 to below 1.
    pub sgd_momentum: f64,
    /// Whether it is Nesterov's. Default false.
    pub sgd_nesterov: bool,
    /// Share of the steps over which the learning rate rises. Default 0.2, from 0
    /// to 1.
    pub warmup_ratio: f64,
    /// How the learning rate goes on after the warm-up. Default
    /// [`Schedule::Constant`].
    pub schedule: Schedule,
    /// Adapters that are trained in place of the model's own weights; `None` trains all
    /// of them. Rank 8, `alpha` as large as the rank, no dropout and PEFT's layers of the
    /// architecture are the defaults within.
    pub lora: Option<LoraOptions>,
    /// Dropout probability, from 0 to below 1; `None` takes those of `config.json`.
    pub dropout: Option<f64>,
    /// Share of each label that is spread over all classes, for tasks with labels or tokens.
    /// Default 0, from 0 to below 1.
    pub label_smoothing: f64,
    /// Largest norm of the gradient; 0 switches clipping off. Default 1, from 0 to
    /// 10^6.
    pub max_grad_norm: f64,
    /// Batches whose gradients are summed for a step. Default 1, from 1 to 4,096.
    pub gradient_accumulation_steps: usize,
    /// Whether training keeps of each block its input alone, and computes the block again on
    /// the way back: less memory, more time, the same model. Default false.
    pub gradient_checkpointing: bool,
    /// Evaluations on the select split in each pass. Default 4, from 1 to 1,000.
    pub evaluations_per_epoch: usize,
}

/// What makes the steps of training.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Optimizer {
    /// AdamW (Loshchilov and Hutter 2019): two numbers beside each trained parameter.
    AdamW,
    /// Adafactor (Shazeer and Stern 2018) with the learning rate given: one number beside each
    /// row and each column of a matrix.
    Adafactor,
    /// Stochastic gradient descent: one number beside each trained parameter, none without
    /// momentum.
    Sgd,
}

/// The learning rate after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schedule {
    /// It stays.
    Constant,
    /// It falls to 0 at the last step, in a line.
    Linear,
    /// It falls to 0 at the last step, along half a cosine.
    Cosine,
    /// It stays until the last tenth of the steps, and falls to 0 along half a cosine.
    WarmupStableDecay,
    /// It stays, falls to half and stays there for the last third (Izmailov et al. 2018).
    Swa,
}

/// Which checkpoints of the fine-tuning run are members.
#[derive(Debug, Clone, PartialEq)]
pub struct Members {
    /// About how many. Default 15, from 2 to 1,000.
    pub count: usize,
    /// First and last step, in units of B*, the step with the best chosen
    /// objective: the first above 0 and at most 1, the last from 1 to 100, not
    /// both 1. Default [0.5, 2].
    pub window: [f64; 2],
    /// Which runs they are of. Default [`MembersSource::Trajectory`].
    pub source: MembersSource,
    /// Fine-tuning runs, that of the best configuration counted, unless `source` is the
    /// trajectory. Default 5, from 2 to 100.
    pub runs: usize,
    /// Points a segment between members at which the loss is looked at, ends counted, from 3
    /// to 101, to see whether they lie in one basin; 0 does not look. `None` takes 5 where
    /// there are several runs, and 0 otherwise.
    pub basin: Option<usize>,
}

/// Which runs the members are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MembersSource {
    /// One run with the best configuration of stage 1, along its trajectory.
    Trajectory,
    /// The best checkpoint of each of several runs: with the best configurations of stage 1,
    /// and where it has fewer, with the same ones again and other seeds.
    Runs,
    /// The trajectory of the best configuration, and the best checkpoints of the other runs.
    Both,
}

impl Members {
    /// Fine-tuning runs.
    pub fn runs(&self) -> usize {
        match self.source {
            MembersSource::Trajectory => 1,
            MembersSource::Runs | MembersSource::Both => self.runs,
        }
    }

    /// Points of a segment at which the loss is looked at, ends counted; 0 for none.
    pub fn basin_points(&self) -> usize {
        self.basin.unwrap_or(match self.source {
            MembersSource::Trajectory => 0,
            MembersSource::Runs | MembersSource::Both => BASIN_POINTS,
        })
    }
}

/// Points of a segment where its loss is looked at unless the recipe says otherwise: a barrier
/// between basins is about as wide as the segment, and three points between the ends meet it.
const BASIN_POINTS: usize = 5;

/// Stage 2: multi-objective Bayesian optimisation of the weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Stage2 {
    /// Evaluations beyond the starting design, at most 100,000; `None` makes 5 N
    /// for N members.
    pub evaluations: Option<usize>,
    /// Ends the search when the last so many evaluations brought no more
    /// hypervolume ([`PLATEAU`]), from 1 on; `None` makes all of them.
    pub patience: Option<usize>,
    /// Blocks of the model with weights of their own, in a second part of the search. Default
    /// [`Blocks::None`].
    pub blocks: Blocks,
    /// How many of the evaluations that second part has, at most 100,000; `None` gives it half.
    pub block_evaluations: Option<usize>,
    /// What is modelled. Default [`Surrogate::Composite`].
    pub surrogate: Surrogate,
    /// Which mixture becomes `fused/`. Default [`Choose::Bagged`].
    pub choose: Choose,
    /// Weight of each objective for [`Choose::Weights`], at least 0, one of them
    /// above 0.
    pub objective_weights: Option<IndexMap<Optimised, f64>>,
    /// Reference point of the hypervolume, each objective in its own direction;
    /// `None` infers it from the members.
    pub ref_point: Option<IndexMap<Optimised, f64>>,
    /// Methods that are compared beyond those of every run, each once. Default none.
    pub baselines: Vec<Baseline>,
    /// Decay of [`Baseline::Ema`] from a member to the next, from 0 to 1. Default 0.9.
    pub ema_decay: f64,
}

/// Parts of the model that are weighed by themselves: the embeddings, groups of neighbouring
/// layers, and the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blocks {
    /// One set of weights for the whole model.
    None,
    /// So many groups of layers (in each stack where there are several), from 1 to 1,000;
    /// never more than there are layers.
    Groups(usize),
    /// Each layer by itself.
    Layers,
}

impl Blocks {
    /// Groups of layers, at most; `None` for one set of weights.
    pub fn groups(self) -> Option<usize> {
        match self {
            Blocks::None => None,
            Blocks::Groups(groups) => Some(groups),
            Blocks::Layers => Some(usize::MAX),
        }
    }
}

impl std::fmt::Display for Blocks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Blocks::None => f.write_str("none"),
            Blocks::Groups(groups) => write!(f, "{groups}"),
            Blocks::Layers => f.write_str("layers"),
        }
    }
}

/// A method that a run compares on request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Baseline {
    /// Exponential moving average over the members.
    Ema,
    /// The members' average, drawn back to the model that training began with.
    ModelStock,
    /// Their average weighted by Fisher information.
    Fisher,
    /// Linear layers by least squares over the inputs that each member saw.
    Regmean,
    /// Their average once units are in one order, by optimal transport.
    OtFusion,
    /// Weights by gradient descent on the select loss.
    LearnedSwa,
    /// Training on within the members' span.
    Twa,
    /// Covariance matrix adaptation of the weights by the chosen objective.
    CmaEs,
    /// Bayesian optimisation of the loss alone.
    BoLoss,
    /// Bayesian optimisation of the chosen objective alone.
    BoMetric,
    /// The search of the paper, over a box whose points are divided by their sum.
    BomfPaper,
    /// Weighted mean of the members' predictions.
    WeightedEnsemble,
    /// A regression on the members' outputs.
    Stacking,
}

/// With `patience`: what counts as nothing, as a share
/// ([`bomf_bo::strategy::Strategy::recent_gain`]). A thousandth of the hypervolume is
/// less than what one example more or less changes on a few hundred.
pub const PLATEAU: f64 = 1e-3;

/// What the search of stage 2 models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Surrogate {
    /// The model's outputs for every example, from which the objectives are computed; for
    /// an objective that is plainly better predicted by itself, that. With more than four
    /// objectives, or without outputs, as [`Surrogate::Direct`].
    Composite,
    /// Each objective by itself, as the paper does.
    Direct,
}

/// A rule that takes one of the mixtures that were evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choose {
    /// The average of what [`Choose::OneStandardError`] takes on resamples of the select
    /// examples, or the point nearest to it whose chosen metric is no worse than that of
    /// any checkpoint or classical average. Without outputs of single examples, as
    /// [`Choose::OneStandardError`].
    Bagged,
    /// The best value of [`Task::choose_by`].
    BestMetric,
    /// The lowest loss among the points whose chosen metric lies within one
    /// standard error of the best, and is no worse than that of any checkpoint or
    /// classical average.
    OneStandardError,
    /// The point farthest from the line (plane) through the front's ends.
    Knee,
    /// The best sum of the objectives, normalised and weighted by
    /// [`Stage2::objective_weights`].
    Weights,
}

/// An enum whose values have names in YAML.
macro_rules! named {
    ($type:ident { $($variant:ident = $name:literal),+ $(,)? }) => {
        impl $type {
            pub(crate) const NAMED: &[(&'static str, Self)] =
                &[$(($name, Self::$variant)),+];

            /// Its name in a recipe.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name),+
                }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
use named;

named!(Light {
    Frozen = "frozen",
    Lora = "lora",
});

named!(Optimizer {
    AdamW = "adamw",
    Adafactor = "adafactor",
    Sgd = "sgd",
});

named!(Schedule {
    Constant = "constant",
    Linear = "linear",
    Cosine = "cosine",
    WarmupStableDecay = "warmup_stable_decay",
    Swa = "swa",
});

named!(MembersSource {
    Trajectory = "trajectory",
    Runs = "runs",
    Both = "both",
});

named!(Surrogate {
    Composite = "composite",
    Direct = "direct",
});

named!(Baseline {
    Ema = "ema",
    ModelStock = "model_stock",
    Fisher = "fisher",
    Regmean = "regmean",
    OtFusion = "ot_fusion",
    LearnedSwa = "learned_swa",
    Twa = "twa",
    CmaEs = "cma_es",
    BoLoss = "bo_loss",
    BoMetric = "bo_metric",
    BomfPaper = "bomf_paper",
    WeightedEnsemble = "weighted_ensemble",
    Stacking = "stacking",
});

named!(Choose {
    Bagged = "bagged",
    BestMetric = "best_metric",
    OneStandardError = "one_standard_error",
    Knee = "knee",
    Weights = "weights",
});

impl Default for Stage1 {
    fn default() -> Self {
        Stage1 {
            trials: 10,
            initial: 3,
            patience: None,
            pruning: None,
            epochs: 3,
            light: Light::Frozen,
            frozen_layers: FrozenLayers::Half,
            lora_r: 4,
            evaluations_per_epoch: 2,
            known: None,
            known_study: None,
            space: IndexMap::from_iter([
                (
                    Hyperparameter::LearningRate,
                    Dimension::LogFloat {
                        low: 1e-5,
                        high: 1e-4,
                    },
                ),
                (
                    Hyperparameter::BatchSize,
                    Dimension::Int { low: 8, high: 32 },
                ),
            ]),
        }
    }
}

impl Default for Finetune {
    fn default() -> Self {
        Finetune {
            epochs: 10,
            early_stopping: true,
            learning_rate: None,
            batch_size: None,
            optimizer: Optimizer::AdamW,
            weight_decay: 0.1,
            adam_beta1: 0.9,
            adam_beta2: 0.98,
            adam_epsilon: 1e-6,
            sgd_momentum: 0.9,
            sgd_nesterov: false,
            warmup_ratio: 0.2,
            schedule: Schedule::Constant,
            lora: None,
            dropout: None,
            label_smoothing: 0.0,
            max_grad_norm: 1.0,
            gradient_accumulation_steps: 1,
            gradient_checkpointing: false,
            evaluations_per_epoch: 4,
        }
    }
}

impl Default for Members {
    fn default() -> Self {
        Members {
            count: 15,
            window: [0.5, 2.0],
            source: MembersSource::Trajectory,
            runs: 5,
            basin: None,
        }
    }
}

impl Default for Stage2 {
    fn default() -> Self {
        Stage2 {
            evaluations: None,
            patience: None,
            blocks: Blocks::None,
            block_evaluations: None,
            surrogate: Surrogate::Composite,
            choose: Choose::Bagged,
            objective_weights: None,
            ref_point: None,
            baselines: Vec::new(),
            ema_decay: 0.9,
        }
    }
}

impl Recipe {
    /// Reads a recipe from a file.
    ///
    /// # Errors
    /// [`RecipeError::Read`], or what [`Recipe::from_yaml`] finds.
    pub fn load(path: &Path) -> Result<Self, RecipeError> {
        let text = std::fs::read_to_string(path).map_err(|source| RecipeError::Read {
            path: path.into(),
            source,
        })?;
        Self::from_yaml(&text, &path.display().to_string())
    }

    /// Parses and validates a recipe; `file` is the name that errors begin with.
    ///
    /// An empty text is the default recipe.
    ///
    /// # Errors
    /// The first thing that is wrong, with its line.
    pub fn from_yaml(text: &str, file: &str) -> Result<Self, RecipeError> {
        parse::recipe(text, file)
    }

    /// Parses a recipe and puts the fields of `change`, which stands in `file_of_change`, in the
    /// place of its own.
    ///
    /// # Errors
    /// The first thing that is wrong, with its file and line.
    pub(crate) fn changed(
        text: &str,
        file: &str,
        change: &node::Node,
        file_of_change: &str,
    ) -> Result<Self, RecipeError> {
        let own = node::parse(text, file)?;
        // What is wrong after this is wrong because of the change.
        parse::of_node(&own, file)?;
        parse::of_node(&own.changed(change), file_of_change)
    }

    /// The recipe as YAML, with every value and a word on each.
    pub fn to_yaml(&self) -> String {
        write::recipe(self)
    }

    /// Gives a hyperparameter a value for the full run and takes it out of stage
    /// 1's space.
    ///
    /// # Errors
    /// [`RecipeError::BadValue`] where the value is of the wrong type or out of
    /// range.
    pub fn fix(&mut self, name: Hyperparameter, value: &HyperValue) -> Result<(), RecipeError> {
        self.finetune.set(name, value)?;
        self.stage1.space.shift_remove(&name);
        if self.stage1.space.is_empty() {
            self.stage1.skip();
        }
        Ok(())
    }
}

impl Stage1 {
    /// Leaves stage 1 out.
    pub(crate) fn skip(&mut self) {
        self.trials = 0;
        self.initial = 1;
    }
}
