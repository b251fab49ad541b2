//! Outputs of a model to scores: the loss and the recipe's metrics, in the order of
//! the objectives, with their bootstrap intervals.

use super::goals::Goals;
use super::outputs::OutputObjectives;
use crate::Error;
use crate::recipe::{self, Recipe, TaskKind};
use bomf_study::{Direction, Objective, Scores};
use bomf_tune::data::{Dataset, Labels, positive_class};
use bomf_tune::metrics::bootstrap::{
    BootstrapOptions, PairedDifference, bootstrap, bootstrap_mean, paired_bootstrap,
    paired_bootstrap_mean,
};
use bomf_tune::metrics::{self, Metric, Predictions, TextMetric};
use indexmap::IndexMap;
use rand_chacha::ChaCha8Rng;
use std::ops::Deref;

/// Scores outputs of one task.
#[derive(Debug)]
pub(super) struct Scorer {
    /// Loss first, then the metrics.
    pub goals: Goals,
    metrics: Vec<Metric>,
    /// Outputs a model gives for an example.
    outputs: usize,
}

/// A scorer's goals are most of what is asked of it.
impl Deref for Scorer {
    type Target = Goals;
    fn deref(&self) -> &Goals {
        &self.goals
    }
}

impl Scorer {
    pub fn new(recipe: &Recipe, kind: TaskKind, dataset: &Dataset) -> Result<Self, Error> {
        let wanted = recipe.objectives(kind)?;
        let positive = match &recipe.task.positive_label {
            Some(label) => {
                let names = &dataset.label_names;
                let place = names.iter().position(|name| name == label);
                place.ok_or_else(|| Error::UnknownLabel {
                    label: label.clone(),
                    known: names.clone(),
                })? as u32
            }
            None => positive_class(&dataset.label_names),
        };
        let metrics: Vec<Metric> = wanted
            .metrics
            .iter()
            .map(|metric| match metric {
                recipe::Metric::Accuracy => match kind {
                    TaskKind::TokenClassification => Metric::TagAccuracy,
                    _ => Metric::Accuracy,
                },
                recipe::Metric::F1 => match kind {
                    TaskKind::QuestionAnswering => Metric::AnswerF1,
                    TaskKind::TokenClassification => Metric::EntityF1,
                    _ => Metric::F1 { positive },
                },
                recipe::Metric::Precision => Metric::EntityPrecision,
                recipe::Metric::Recall => Metric::EntityRecall,
                recipe::Metric::ExactMatch if kind == TaskKind::QuestionAnswering => {
                    Metric::AnswerExactMatch
                }
                recipe::Metric::F1Macro => Metric::F1Macro,
                recipe::Metric::Matthews => Metric::Matthews,
                recipe::Metric::Pearson => Metric::Pearson,
                recipe::Metric::Spearman => Metric::Spearman,
                recipe::Metric::Mse => Metric::Mse,
                recipe::Metric::Perplexity => Metric::Perplexity,
                recipe::Metric::TokenAccuracy => Metric::TokenAccuracy,
                recipe::Metric::ExactMatch => Metric::Text(TextMetric::ExactMatch),
                recipe::Metric::Rouge1 => Metric::Text(TextMetric::Rouge1),
                recipe::Metric::Rouge2 => Metric::Text(TextMetric::Rouge2),
                recipe::Metric::RougeL => Metric::Text(TextMetric::RougeL),
                recipe::Metric::Bleu => Metric::Text(TextMetric::Bleu),
                recipe::Metric::Chrf => Metric::Text(TextMetric::Chrf),
                recipe::Metric::ChrfPlusPlus => Metric::Text(TextMetric::ChrfPlusPlus),
                recipe::Metric::Meteor => Metric::Text(TextMetric::Meteor),
            })
            .collect();
        let objective = |name: &str, direction| Objective {
            name: name.into(),
            direction,
        };
        let mut objectives = vec![objective("loss", Direction::Minimize)];
        for metric in &metrics {
            let direction = match metric.direction() {
                metrics::Direction::Maximize => Direction::Maximize,
                metrics::Direction::Minimize => Direction::Minimize,
            };
            objectives.push(objective(metric.name(), direction));
        }
        let name = wanted.choose_by.as_str();
        let chosen = objectives.iter().position(|o| o.name == name).unwrap_or(0);
        Ok(Scorer {
            goals: Goals {
                objectives,
                chosen,
                second: 0,
                weights: wanted.weights,
                ref_point: wanted.ref_point,
            },
            metrics,
            outputs: dataset.num_outputs(),
        })
    }

    /// How the objectives on a split with these labels come from the outputs.
    pub fn output_objectives(&self, labels: &Labels) -> OutputObjectives {
        OutputObjectives::new(&self.goals.objectives, &self.metrics, labels, self.outputs)
    }

    /// The metrics of texts, in the order of their statistics behind the outputs.
    pub fn text_metrics(&self) -> Vec<TextMetric> {
        text_metrics(&self.metrics).collect()
    }

    /// Whether texts are generated.
    pub fn writes(&self) -> bool {
        text_metrics(&self.metrics).next().is_some()
    }

    /// What a metric sees of the outputs.
    fn predictions<'a>(
        &self,
        metric: Metric,
        outputs: &'a [f32],
        labels: &Labels,
    ) -> Predictions<'a> {
        match labels {
            Labels::Class(_) => Predictions::Logits {
                values: outputs,
                classes: self.outputs,
            },
            Labels::Value(_) => Predictions::Values(outputs),
            Labels::Answers(_) => Predictions::Answers(outputs),
            Labels::Tags(_) => Predictions::Tags {
                values: outputs,
                tags: self.outputs,
            },
            Labels::Tokens(counts) => {
                let (tokens, mut rest) = of_tokens(outputs, counts);
                for own in text_metrics(&self.metrics) {
                    let width = own.width();
                    let (values, behind) = rest.split_at(rest.len().min(counts.len() * width));
                    if Metric::Text(own) == metric {
                        return Predictions::Texts { values, width };
                    }
                    rest = behind;
                }
                Predictions::Tokens(tokens)
            }
        }
    }

    /// The loss of each example (of a language model, of each token).
    pub fn losses(&self, outputs: &[f32], labels: &Labels) -> Result<Vec<f64>, Error> {
        Ok(match labels {
            Labels::Class(ids) => metrics::cross_entropy_per_example(outputs, self.outputs, ids)?,
            Labels::Value(values) => metrics::squared_errors(outputs, values)?,
            Labels::Answers(answers) => metrics::answer_losses(outputs, answers)?,
            Labels::Tags(tags) => metrics::tag_losses(outputs, tags)?,
            Labels::Tokens(counts) => metrics::token_losses(of_tokens(outputs, counts).0, counts)?,
        })
    }

    /// Loss and metrics of `outputs` over the whole split; `None` where an output or
    /// the loss is not finite.
    pub fn scores(&self, outputs: &[f32], labels: &Labels) -> Result<Option<Scores>, Error> {
        if outputs.iter().any(|v| !v.is_finite()) {
            return Ok(None);
        }
        let losses = self.losses(outputs, labels)?;
        let mut scores = Scores::new();
        scores.insert(
            "loss".into(),
            losses.iter().sum::<f64>() / losses.len() as f64,
        );
        for metric in &self.metrics {
            let predictions = self.predictions(*metric, outputs, labels);
            scores.insert(metric.name().into(), metric.compute(&predictions, labels)?);
        }
        Ok(scores.values().all(|v| v.is_finite()).then_some(scores))
    }

    /// What stage 1 maximises: the sum of the metrics, or the loss where it is the
    /// chosen objective.
    pub fn stage1_value(&self, scores: &Scores) -> f64 {
        match self.chosen {
            0 => self.maximised(scores)[0],
            _ => self.maximised(scores)[1..].iter().sum(),
        }
    }

    /// 95 % bootstrap interval of every score.
    pub fn intervals(
        &self,
        outputs: &[f32],
        labels: &Labels,
        rng: &mut ChaCha8Rng,
    ) -> Result<IndexMap<String, [f64; 2]>, Error> {
        let options = BootstrapOptions::default();
        let losses = self.losses(outputs, labels)?;
        let loss = bootstrap_mean(&losses, &options, rng)?;
        let mut intervals = IndexMap::from([("loss".to_string(), [loss.low, loss.high])]);
        for metric in &self.metrics {
            let predictions = self.predictions(*metric, outputs, labels);
            let interval = bootstrap(*metric, &predictions, labels, &options, rng)?;
            intervals.insert(metric.name().into(), [interval.low, interval.high]);
        }
        Ok(intervals)
    }

    /// Bootstrap standard error of the chosen objective.
    pub fn chosen_std_error(
        &self,
        outputs: &[f32],
        labels: &Labels,
        rng: &mut ChaCha8Rng,
    ) -> Result<f64, Error> {
        let options = BootstrapOptions::default();
        let interval = match self.chosen.checked_sub(1) {
            None => bootstrap_mean(&self.losses(outputs, labels)?, &options, rng)?,
            Some(metric) => {
                let predictions = self.predictions(self.metrics[metric], outputs, labels);
                bootstrap(self.metrics[metric], &predictions, labels, &options, rng)?
            }
        };
        Ok(interval.std_error)
    }

    /// `first - second` of every score with its 95 % paired bootstrap interval:
    /// [difference, low, high].
    pub fn differences(
        &self,
        first: &[f32],
        second: &[f32],
        labels: &Labels,
        rng: &mut ChaCha8Rng,
    ) -> Result<IndexMap<String, [f64; 3]>, Error> {
        let options = BootstrapOptions::default();
        let triple = |d: PairedDifference| [d.interval.estimate, d.interval.low, d.interval.high];
        let (a, b) = (self.losses(first, labels)?, self.losses(second, labels)?);
        let loss = paired_bootstrap_mean(&a, &b, &options, rng)?;
        let mut differences = IndexMap::from([("loss".to_string(), triple(loss))]);
        for metric in &self.metrics {
            let (a, b) = (
                self.predictions(*metric, first, labels),
                self.predictions(*metric, second, labels),
            );
            let difference = paired_bootstrap(*metric, &a, &b, labels, &options, rng)?;
            differences.insert(metric.name().into(), triple(difference));
        }
        Ok(differences)
    }
}

/// Those of `metrics` that are of texts.
pub(super) fn text_metrics(metrics: &[Metric]) -> impl Iterator<Item = TextMetric> {
    metrics.iter().filter_map(|metric| match metric {
        Metric::Text(metric) => Some(*metric),
        _ => None,
    })
}

/// The outputs of a language model's tokens, and what stands behind them.
pub(super) fn of_tokens<'a>(outputs: &'a [f32], counts: &[u32]) -> (&'a [f32], &'a [f32]) {
    let tokens: usize = counts.iter().map(|&n| n as usize).sum();
    outputs.split_at(outputs.len().min(2 * tokens))
}
