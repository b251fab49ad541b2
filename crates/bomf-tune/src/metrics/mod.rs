//! Metrics of predictions over a whole split, and how sure one can be of them.
//!
//! Every metric is computed from all examples at once, never averaged over batches, in `f64`, and
//! agrees with scikit-learn's (`zero_division=0`) or SciPy's, except where those give NaN:
//! a correlation with a constant is 0 here. Those of a language model are over its tokens, those
//! of answers SQuAD's, those of tags seqeval's.
//!
//! A metric sees the examples through *counts*, how often each of them occurs: all ones for the
//! metric itself, a draw with replacement for the bootstrap. See [`bootstrap`].

mod answers;
mod classification;
mod correlation;
mod loss;
mod tags;
mod tokens;

pub mod bootstrap;
pub mod text;

use std::fmt;
use std::str::FromStr;

use crate::data::{Labels, Task};

pub use answers::{Judged, answer_log_probabilities, answer_losses, judge};
pub use loss::{cross_entropy, cross_entropy_per_example, mean_squared_error, squared_errors};
pub use tags::{TagCounts, entities_there, likeliest, tag_counts, tag_losses};
pub use text::TextMetric;
pub use tokens::token_losses;

use answers::AnswerScores;
use classification::Confusion;
use correlation::Paired;
use tags::TagScores;
use tokens::Tokens;

/// What a model says about each example of a split.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Predictions<'a> {
    /// Classification: `n x classes` logits (or probabilities), row-major.
    Logits {
        /// The values, row after row.
        values: &'a [f32],
        /// The number of columns.
        classes: usize,
    },
    /// Regression: one value an example.
    Values(&'a [f32]),
    /// A causal language model: log-probability and lead of each token to be predicted,
    /// `[tokens, 2]`, row-major.
    Tokens(&'a [f32]),
    /// Generated texts: the statistics of a text metric on each,
    /// `[examples, width]`, row-major ([`TextMetric::statistics`]).
    Texts {
        /// The values, row after row.
        values: &'a [f32],
        /// The number of columns.
        width: usize,
    },
    /// Question answering: how likely an answer begins and ends at each token of each window,
    /// `[tokens, 2]`, row-major.
    Answers(&'a [f32]),
    /// Token classification: logits `[words, tags]`, row-major.
    Tags {
        /// The values, row after row.
        values: &'a [f32],
        /// The number of columns.
        tags: usize,
    },
}

impl Predictions<'_> {
    /// The number of examples (of whole rows, for logits; of tokens, for a language model and
    /// answers; of words, for tags).
    pub fn len(&self) -> usize {
        match self {
            Predictions::Logits { values, classes } => values.len() / (*classes).max(1),
            Predictions::Values(values) => values.len(),
            Predictions::Texts { values, width } => values.len() / (*width).max(1),
            Predictions::Tokens(values) | Predictions::Answers(values) => values.len() / 2,
            Predictions::Tags { values, tags } => values.len() / (*tags).max(1),
        }
    }

    /// Whether there are no examples.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Whether more or less of a metric is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// The greater the better.
    Maximize,
    /// The smaller the better.
    Minimize,
}

/// A measure of how good predictions are, other than the loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Metric {
    /// Share of examples whose greatest logit is that of their class (the first one wins ties).
    Accuracy,
    /// `2 tp / (2 tp + fp + fn)` of one class; 0 where that is 0/0.
    F1 {
        /// The class number that counts as positive.
        positive: u32,
    },
    /// Mean of the F1 of all classes that occur among the labels or the predictions.
    F1Macro,
    /// Matthews correlation coefficient (for any number of classes, Gorodkin 2004); 0 where all
    /// labels or all predictions are one class.
    Matthews,
    /// Pearson correlation; 0 where labels or predictions are constant.
    Pearson,
    /// Spearman rank correlation, ties having their mean rank; 0 where either side is constant.
    Spearman,
    /// Mean squared error.
    Mse,
    /// `e` to the mean loss over all tokens that are to be predicted.
    Perplexity,
    /// Share of the tokens that were the likeliest ones.
    TokenAccuracy,
    /// One of what a language model writes, against the references.
    Text(TextMetric),
    /// Share of the questions with a right answer, by SQuAD's comparison.
    AnswerExactMatch,
    /// Mean over the questions of the F1 of the answer's words, by SQuAD's comparison.
    AnswerF1,
    /// `2 tp / (2 tp + fp + fn)` of the entities.
    EntityF1,
    /// Share of the entities found that are right.
    EntityPrecision,
    /// Share of the entities there that are found.
    EntityRecall,
    /// Share of the words with the right tag.
    TagAccuracy,
}

impl Metric {
    /// All metrics, F1 with class 1 as the positive one. Some share a name, for tasks of their
    /// own.
    pub const ALL: [Metric; 23] = [
        Metric::Accuracy,
        Metric::F1 { positive: 1 },
        Metric::F1Macro,
        Metric::Matthews,
        Metric::Pearson,
        Metric::Spearman,
        Metric::Mse,
        Metric::Perplexity,
        Metric::TokenAccuracy,
        Metric::Text(TextMetric::ExactMatch),
        Metric::Text(TextMetric::Rouge1),
        Metric::Text(TextMetric::Rouge2),
        Metric::Text(TextMetric::RougeL),
        Metric::Text(TextMetric::Bleu),
        Metric::Text(TextMetric::Chrf),
        Metric::Text(TextMetric::ChrfPlusPlus),
        Metric::Text(TextMetric::Meteor),
        Metric::AnswerExactMatch,
        Metric::AnswerF1,
        Metric::EntityF1,
        Metric::EntityPrecision,
        Metric::EntityRecall,
        Metric::TagAccuracy,
    ];

    /// The name in recipes and reports.
    pub fn name(&self) -> &'static str {
        match self {
            Metric::Accuracy => "accuracy",
            Metric::F1 { .. } => "f1",
            Metric::F1Macro => "f1_macro",
            Metric::Matthews => "matthews",
            Metric::Pearson => "pearson",
            Metric::Spearman => "spearman",
            Metric::Mse => "mse",
            Metric::Perplexity => "perplexity",
            Metric::TokenAccuracy => "token_accuracy",
            Metric::Text(metric) => metric.name(),
            Metric::AnswerExactMatch => "exact_match",
            Metric::AnswerF1 | Metric::EntityF1 => "f1",
            Metric::EntityPrecision => "precision",
            Metric::EntityRecall => "recall",
            Metric::TagAccuracy => "accuracy",
        }
    }

    /// The metric of this name that `task` has: F1 and accuracy are one thing for classes, and
    /// another for answers and tags.
    ///
    /// # Errors
    /// [`MetricError::Unknown`] where no metric of any task has this name.
    pub fn named(name: &str, task: Task) -> Result<Self> {
        let first = Self::from_name(name)?;
        let own = Self::ALL
            .into_iter()
            .find(|metric| metric.task() == task && metric.name() == first.name());
        Ok(own.unwrap_or(first))
    }

    /// The metric of this name, that of classes where several have it; F1 has class 1 as the
    /// positive one. Case is ignored, and the names that scikit-learn and `evaluate` use are
    /// known as well.
    ///
    /// # Errors
    /// [`MetricError::Unknown`].
    pub fn from_name(name: &str) -> Result<Self> {
        match name.to_ascii_lowercase().replace('-', "_").as_str() {
            "accuracy" | "acc" => Ok(Metric::Accuracy),
            "f1" | "f1_binary" => Ok(Metric::F1 { positive: 1 }),
            "f1_macro" | "macro_f1" => Ok(Metric::F1Macro),
            "matthews" | "matthews_correlation" | "matthews_corrcoef" | "mcc" => {
                Ok(Metric::Matthews)
            }
            "pearson" | "pearsonr" => Ok(Metric::Pearson),
            "spearman" | "spearmanr" => Ok(Metric::Spearman),
            "mse" | "mean_squared_error" => Ok(Metric::Mse),
            "perplexity" | "ppl" => Ok(Metric::Perplexity),
            "token_accuracy" | "mean_token_accuracy" => Ok(Metric::TokenAccuracy),
            "precision" => Ok(Metric::EntityPrecision),
            "recall" => Ok(Metric::EntityRecall),
            "em" => Ok(Metric::Text(TextMetric::ExactMatch)),
            "rougel" => Ok(Metric::Text(TextMetric::RougeL)),
            "sacrebleu" => Ok(Metric::Text(TextMetric::Bleu)),
            known => TextMetric::ALL
                .into_iter()
                .find(|metric| metric.name() == known)
                .map(Metric::Text)
                .ok_or_else(|| MetricError::Unknown { name: name.into() }),
        }
    }

    /// Whether more or less of it is better.
    pub fn direction(&self) -> Direction {
        match self {
            Metric::Mse | Metric::Perplexity => Direction::Minimize,
            _ => Direction::Maximize,
        }
    }

    /// The task that it is for; those of classification are for multiple choice too.
    pub fn task(&self) -> Task {
        match self {
            Metric::Accuracy | Metric::F1 { .. } | Metric::F1Macro | Metric::Matthews => {
                Task::Classification
            }
            Metric::Pearson | Metric::Spearman | Metric::Mse => Task::Regression,
            Metric::Perplexity | Metric::TokenAccuracy | Metric::Text(_) => Task::CausalLm,
            Metric::AnswerExactMatch | Metric::AnswerF1 => Task::QuestionAnswering,
            Metric::EntityF1
            | Metric::EntityPrecision
            | Metric::EntityRecall
            | Metric::TagAccuracy => Task::TokenClassification,
        }
    }

    /// The metrics that are usual for a task, the main one first: accuracy and F1 for two
    /// classes, accuracy and macro F1 for more, Spearman and Pearson for regression.
    pub fn for_task(task: Task, num_classes: usize) -> Vec<Metric> {
        match task {
            Task::Classification if num_classes == 2 => {
                vec![Metric::Accuracy, Metric::F1 { positive: 1 }]
            }
            Task::Classification => vec![Metric::Accuracy, Metric::F1Macro],
            Task::Regression => vec![Metric::Spearman, Metric::Pearson],
            Task::CausalLm => vec![Metric::TokenAccuracy],
            Task::QuestionAnswering => vec![Metric::AnswerF1, Metric::AnswerExactMatch],
            Task::MultipleChoice => vec![Metric::Accuracy],
            Task::TokenClassification => vec![Metric::EntityF1, Metric::TagAccuracy],
        }
    }

    /// The metric of these predictions over all examples.
    ///
    /// # Errors
    /// No examples, predictions and labels that do not belong together, or a logit or value that
    /// is NaN or infinite (a model that has diverged).
    pub fn compute(&self, predictions: &Predictions<'_>, labels: &Labels) -> Result<f64> {
        let prepared = Prepared::new(*self, predictions, labels)?;
        Ok(prepared.value(&vec![1; labels.len()]))
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Metric {
    type Err = MetricError;

    fn from_str(name: &str) -> Result<Self> {
        Self::from_name(name)
    }
}

/// A metric with everything computed that does not depend on how often an example counts.
#[derive(Debug)]
pub(crate) struct Prepared<'a> {
    metric: Metric,
    data: PreparedData<'a>,
}

#[derive(Debug)]
enum PreparedData<'a> {
    Classes(Confusion<'a>),
    Values(Paired<'a>),
    Tokens(Tokens),
    Texts(text::Statistics<'a>),
    Answers(AnswerScores),
    Tags(TagScores),
}

impl<'a> Prepared<'a> {
    pub(crate) fn new(
        metric: Metric,
        predictions: &Predictions<'a>,
        labels: &'a Labels,
    ) -> Result<Self> {
        let data = match (metric.task(), predictions, labels) {
            (
                Task::Classification,
                Predictions::Logits { values, classes },
                Labels::Class(labels),
            ) => PreparedData::Classes(Confusion::new(values, *classes, labels)?),
            (Task::Regression, Predictions::Values(values), Labels::Value(labels)) => {
                let with_ranks = metric == Metric::Spearman;
                PreparedData::Values(Paired::new(values, labels, with_ranks)?)
            }
            (_, Predictions::Texts { values, width }, _) => match metric {
                Metric::Text(metric) if metric.width() == *width => {
                    let statistics = text::Statistics::new(metric, values, labels.len())?;
                    PreparedData::Texts(statistics)
                }
                _ => return Err(MetricError::WrongTask { metric }),
            },
            (_, Predictions::Tokens(_), _) if matches!(metric, Metric::Text(_)) => {
                return Err(MetricError::WrongTask { metric });
            }
            (Task::CausalLm, Predictions::Tokens(values), Labels::Tokens(counts)) => {
                PreparedData::Tokens(Tokens::new(values, counts)?)
            }
            (Task::QuestionAnswering, Predictions::Answers(values), Labels::Answers(answers)) => {
                PreparedData::Answers(AnswerScores::new(values, answers)?)
            }
            (Task::TokenClassification, Predictions::Tags { values, .. }, Labels::Tags(tags)) => {
                PreparedData::Tags(TagScores::new(values, tags)?)
            }
            _ => return Err(MetricError::WrongTask { metric }),
        };
        Ok(Self { metric, data })
    }

    /// The metric of the sample in which example `i` occurs `counts[i]` times.
    pub(crate) fn value(&self, counts: &[u32]) -> f64 {
        match &self.data {
            PreparedData::Classes(confusion) => match self.metric {
                Metric::F1 { positive } => confusion.f1(counts, positive),
                Metric::F1Macro => confusion.f1_macro(counts),
                Metric::Matthews => confusion.matthews(counts),
                _ => confusion.accuracy(counts),
            },
            PreparedData::Values(paired) => match self.metric {
                Metric::Pearson => paired.pearson(counts),
                Metric::Spearman => paired.spearman(counts),
                _ => paired.mse(counts),
            },
            PreparedData::Tokens(tokens) => match self.metric {
                Metric::Perplexity => tokens.perplexity(counts),
                _ => tokens.accuracy(counts),
            },
            PreparedData::Texts(statistics) => statistics.value(counts),
            PreparedData::Answers(answers) => match self.metric {
                Metric::AnswerExactMatch => answers.exact_match(counts),
                _ => answers.f1(counts),
            },
            PreparedData::Tags(tags) => match self.metric {
                Metric::EntityPrecision => tags.precision(counts),
                Metric::EntityRecall => tags.recall(counts),
                Metric::EntityF1 => tags.f1(counts),
                _ => tags.accuracy(counts),
            },
        }
    }
}

/// Why a metric could not be computed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MetricError {
    /// No metric has this name.
    #[error("unknown metric `{name}`")]
    Unknown {
        /// The name.
        name: String,
    },
    /// There are no examples.
    #[error("no examples to compute a metric on")]
    Empty,
    /// Predictions and labels are not equally many.
    #[error("{predictions} predictions for {labels} labels")]
    LengthMismatch {
        /// The number of predictions (for logits: values divided by classes).
        predictions: usize,
        /// The number of labels.
        labels: usize,
    },
    /// The logits do not fill whole rows, or there are none in a row.
    #[error("{values} logits do not fill rows of {classes}")]
    RaggedLogits {
        /// The number of values.
        values: usize,
        /// The number of classes.
        classes: usize,
    },
    /// A classification metric on regression values, or the other way round.
    #[error("metric `{metric}` does not fit these predictions and labels")]
    WrongTask {
        /// The metric.
        metric: Metric,
    },
    /// A class number without a column among the logits.
    #[error("example {example} is of class {label}, but there are logits of {classes} classes")]
    LabelOutOfRange {
        /// The example's place.
        example: usize,
        /// Its class.
        label: u32,
        /// The number of columns.
        classes: usize,
    },
    /// A prediction or label that is NaN or infinite.
    #[error("the prediction or label of example {example} is not finite")]
    NotFinite {
        /// The example's place.
        example: usize,
    },
    /// Bootstrap options that make no sense.
    #[error(
        "bootstrap with {resamples} resamples at level {level}: needs at least one, and a level \
         in (0, 1)"
    )]
    BadBootstrap {
        /// The number of resamples.
        resamples: usize,
        /// The level.
        level: f64,
    },
}

impl MetricError {
    /// How to mend it, in one line, where there is something to say.
    pub fn hint(&self) -> Option<String> {
        match self {
            MetricError::Unknown { .. } => {
                let names: indexmap::IndexSet<_> = Metric::ALL.iter().map(Metric::name).collect();
                let names: Vec<_> = names.into_iter().collect();
                Some(format!("known are {}", names.join(", ")))
            }
            MetricError::WrongTask { metric } => Some(match metric.task() {
                Task::Classification => "it is for classification".into(),
                Task::Regression => "it is for regression".into(),
                Task::CausalLm => "it is for causal language models".into(),
                Task::QuestionAnswering => "it is for question answering".into(),
                Task::MultipleChoice => "it is for multiple choice".into(),
                Task::TokenClassification => "it is for token classification".into(),
            }),
            MetricError::NotFinite { .. } => {
                Some("training has diverged: try a smaller learning rate".into())
            }
            _ => None,
        }
    }
}

/// The result of computing metrics.
pub type Result<T, E = MetricError> = std::result::Result<T, E>;

/// Checks logits against labels and gives back the number of examples.
fn check_logits(logits: &[f32], classes: usize, labels: &[u32]) -> Result<usize> {
    if classes == 0 || !logits.len().is_multiple_of(classes) {
        return Err(MetricError::RaggedLogits {
            values: logits.len(),
            classes,
        });
    }
    let n = check_lengths(logits.len() / classes, labels.len())?;
    if let Some(at) = logits.iter().position(|v| !v.is_finite()) {
        return Err(MetricError::NotFinite {
            example: at / classes,
        });
    }
    if let Some(example) = labels.iter().position(|&l| l as usize >= classes) {
        return Err(MetricError::LabelOutOfRange {
            example,
            label: labels[example],
            classes,
        });
    }
    Ok(n)
}

/// Checks regression values against labels and gives back the number of examples.
fn check_values(predictions: &[f32], labels: &[f32]) -> Result<usize> {
    let n = check_lengths(predictions.len(), labels.len())?;
    let mut pairs = predictions.iter().zip(labels);
    match pairs.position(|(p, l)| !p.is_finite() || !l.is_finite()) {
        Some(example) => Err(MetricError::NotFinite { example }),
        None => Ok(n),
    }
}

fn check_lengths(predictions: usize, labels: usize) -> Result<usize> {
    if predictions != labels {
        return Err(MetricError::LengthMismatch {
            predictions,
            labels,
        });
    }
    if labels == 0 {
        return Err(MetricError::Empty);
    }
    Ok(labels)
}
