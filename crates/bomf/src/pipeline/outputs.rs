//! The objectives as known functions of a model's outputs on the select split: what the
//! composite surrogate of stage 2 pushes its drawn outputs through.

use super::scorer::of_tokens;
use bomf_bo::acquisition::composite::Composite;
use bomf_study::{Direction, Objective};
use bomf_tune::data::{Answers, Labels, Tags};
use bomf_tune::kernels::log_loss::{sum_log_sum_exp, sum_softplus};
use bomf_tune::metrics::{self, Metric, Predictions, TextMetric};
use std::sync::Arc;

/// The most logits that are modelled one by one; of more, two numbers an example are.
/// The price of a proposal grows with them: 20,000 keep it near a second.
const MAX_LOGITS: usize = 20_000;

/// How many numbers are modelled of a question, and of an example of many tagged words.
const ANSWER_NUMBERS: usize = 3;
const TAG_NUMBERS: usize = 4;

/// What is modelled of an evaluation, see [`OutputObjectives::modelled`].
pub(super) type Modelled = Arc<[f32]>;

/// Turns outputs into what is modelled, and that into objectives.
#[derive(Debug, Clone)]
pub(super) struct OutputObjectives {
    form: Form,
    labels: Labels,
    /// Beside the loss, which comes first.
    metrics: Vec<(Metric, Direction)>,
}

/// What is modelled of each example. Each form is linear in what the softmax sees of the
/// logits, or nearly so, and holds nothing that it does not see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Of two classes: the second logit less the first.
    Margin,
    /// The logits less their mean.
    Centred { classes: usize },
    /// The true class's log probability, and its logit less the largest other one: the
    /// loss and the accuracy are functions of these; other metrics are not.
    Scores { classes: usize },
    /// A regression's values.
    Values,
    /// A language model's outputs as they are: log probability and lead of each token.
    Tokens,
    /// Of many tokens, each example's sum of log probabilities and number of right ones.
    TokenSums,
    /// Of each question the sum of its windows' log probabilities, how far the best right
    /// answer leads the best wrong one, and the latter's F1: the answer given is one of these
    /// two, so that loss, exact match and F1 are functions of them.
    Answers,
    /// Of each example's words the sum of log probabilities, and how many entities are found
    /// and right, are found, and words are right.
    TagSums,
}

// Metrics of generated texts are functions of sums of statistics, which stand behind what is
// modelled of the tokens, over the number of examples. A model of each example's statistics
// would add up to the model of their sum: the kernel is one for all, and sums are linear.

impl OutputObjectives {
    /// For models with `classes` outputs an example. The loss is the first of `objectives`,
    /// `metrics` are the others.
    pub fn new(
        objectives: &[Objective],
        metrics: &[Metric],
        labels: &Labels,
        classes: usize,
    ) -> Self {
        let form = match labels {
            Labels::Value(_) => Form::Values,
            Labels::Class(_) if classes == 2 => Form::Margin,
            Labels::Class(ids) if ids.len() * classes <= MAX_LOGITS => Form::Centred { classes },
            Labels::Class(_) => Form::Scores { classes },
            Labels::Tokens(counts) if 2 * total(counts) <= MAX_LOGITS => Form::Tokens,
            Labels::Tokens(_) => Form::TokenSums,
            Labels::Answers(_) => Form::Answers,
            Labels::Tags(tags) if tags.ids.len() * classes <= MAX_LOGITS => {
                Form::Centred { classes }
            }
            Labels::Tags(_) => Form::TagSums,
        };
        let directions = objectives.iter().skip(1).map(|o| o.direction);
        OutputObjectives {
            form,
            labels: labels.clone(),
            metrics: metrics.iter().copied().zip(directions).collect(),
        }
    }

    /// What is modelled of a model's `outputs` (`[examples, classes]`).
    pub fn modelled(&self, outputs: &[f32]) -> Modelled {
        match self.form {
            Form::Margin => outputs.chunks_exact(2).map(|z| z[1] - z[0]).collect(),
            Form::Centred { classes } => outputs
                .chunks_exact(classes)
                .flat_map(|row| {
                    let mean = row.iter().sum::<f32>() / classes as f32;
                    row.iter().map(move |z| z - mean)
                })
                .collect(),
            Form::Scores { classes } => {
                let rows = outputs.chunks_exact(classes).zip(self.classes());
                rows.flat_map(|(row, &label)| {
                    let label = label as usize;
                    let others = row.iter().enumerate().filter(|(k, _)| *k != label);
                    let rival = others.map(|(_, z)| *z).fold(f32::NEG_INFINITY, f32::max);
                    let log_probability = f64::from(row[label]) - sum_log_sum_exp(row, classes);
                    [log_probability as f32, row[label] - rival]
                })
                .collect()
            }
            Form::Values => outputs.into(),
            Form::Answers => self.answers_modelled(outputs).unwrap_or_default(),
            Form::TagSums => self.tags_modelled(outputs).unwrap_or_default(),
            Form::Tokens => {
                let tokens = of_tokens(outputs, self.counts()).0.iter().copied();
                tokens.chain(self.text_sums(outputs)).collect()
            }
            Form::TokenSums => {
                let mut rows = outputs.chunks_exact(2);
                let sums = self.counts().iter().flat_map(|&n| {
                    let tokens = rows.by_ref().take(n as usize);
                    tokens.fold([0.0, 0.0], |[sum, right], row| {
                        [sum + row[0], right + f32::from(u8::from(row[1] > 0.0))]
                    })
                });
                sums.chain(self.text_sums(outputs)).collect()
            }
        }
    }

    /// Whether each example has outputs of its own, and the objectives on some of them can be
    /// computed: not where sums over all texts are modelled.
    pub fn is_by_example(&self) -> bool {
        self.texts().next().is_none()
    }

    /// The same objectives on these examples, which may repeat.
    pub fn on(&self, examples: &[usize]) -> Self {
        OutputObjectives {
            form: self.form,
            labels: self.labels.select(examples),
            metrics: self.metrics.clone(),
        }
    }

    /// The number of examples.
    pub fn examples(&self) -> usize {
        self.labels.len()
    }

    /// What of `modelled` belongs to these examples, one after another; only where
    /// [`Self::is_by_example`].
    pub fn gather(&self, modelled: &[f32], examples: &[usize]) -> Vec<f64> {
        let widths = (0..self.examples()).map(|i| self.width(i));
        let ends: Vec<usize> = widths
            .scan(0, |end, width| {
                *end += width;
                Some(*end)
            })
            .collect();
        let of = |&i: &usize| &modelled[ends[i] - self.width(i)..ends[i]];
        let values = examples.iter().flat_map(of);
        values.map(|v| f64::from(*v)).collect()
    }

    /// How many numbers are modelled of an example.
    fn width(&self, example: usize) -> usize {
        match (self.form, &self.labels) {
            (Form::Margin | Form::Values, _) => 1,
            (Form::Centred { classes }, Labels::Tags(tags)) => {
                classes * tags.counts[example] as usize
            }
            (Form::Centred { classes }, _) => classes,
            (Form::Scores { .. } | Form::TokenSums, _) => 2,
            (Form::Tokens, _) => 2 * self.counts()[example] as usize,
            (Form::Answers, _) => ANSWER_NUMBERS,
            (Form::TagSums, _) => TAG_NUMBERS,
        }
    }

    /// Metrics of texts, in the order of their statistics.
    fn texts(&self) -> impl Iterator<Item = TextMetric> {
        self.metrics.iter().filter_map(|(metric, _)| match metric {
            Metric::Text(metric) => Some(*metric),
            _ => None,
        })
    }

    /// The sums of the statistics of texts over the number of examples.
    fn text_sums(&self, outputs: &[f32]) -> Vec<f32> {
        let examples = self.labels.len();
        let mut rest = of_tokens(outputs, self.counts()).1;
        let mut sums = Vec::new();
        for metric in self.texts() {
            let width = metric.width();
            let (own, behind) = rest.split_at(rest.len().min(examples * width));
            let mut means = vec![0.0; width];
            for row in own.chunks_exact(width) {
                means
                    .iter_mut()
                    .zip(row)
                    .for_each(|(sum, v)| *sum += f64::from(*v));
            }
            sums.extend(means.iter().map(|sum| (sum / examples as f64) as f32));
            rest = behind;
        }
        sums
    }

    /// Nothing where the outputs do not fit or are not finite: then there are no scores either.
    fn answers_modelled(&self, outputs: &[f32]) -> Option<Modelled> {
        let Labels::Answers(answers) = &self.labels else {
            return None;
        };
        let judged = metrics::judge(outputs, answers).ok()?;
        let sums = metrics::answer_log_probabilities(outputs, answers).ok()?;
        let pairs = sums.iter().zip(&judged);
        let rows = pairs.map(|(sum, of)| [*sum as f32, of.lead, of.rival_f1 as f32]);
        Some(rows.flatten().collect())
    }

    /// As [`answers_modelled`](Self::answers_modelled), of tags.
    fn tags_modelled(&self, outputs: &[f32]) -> Option<Modelled> {
        let Labels::Tags(tags) = &self.labels else {
            return None;
        };
        let counts = metrics::tag_counts(outputs, tags).ok()?;
        let classes = tags.names.len();
        let losses = metrics::cross_entropy_per_example(outputs, classes, &tags.ids).ok()?;
        let mut losses = losses.iter();
        let rows = counts.iter().flat_map(|&[right, found, _, same, words]| {
            let loss: f64 = losses.by_ref().take(words as usize).sum();
            [-loss as f32, right as f32, found as f32, same as f32]
        });
        Some(rows.collect())
    }

    /// Writes the objectives of answers from what is modelled of them.
    fn write_answers(&self, answers: &Answers, outputs: &[f64], objectives: &mut [f64]) {
        let questions = self.labels.len() as f64;
        let (mut sum, mut exact_match, mut f1) = (0.0, 0.0, 0.0);
        for row in outputs.chunks_exact(ANSWER_NUMBERS) {
            // A drawn probability is at most one, and so is a drawn F1.
            sum += row[0].min(0.0);
            exact_match += f64::from(u8::from(row[1] > 0.0));
            f1 += match row[1] > 0.0 {
                true => 1.0,
                false => row[2].clamp(0.0, 1.0),
            };
        }
        objectives[0] = sum / answers.windows().len() as f64;
        for ((metric, direction), out) in self.metrics.iter().zip(&mut objectives[1..]) {
            *out = direction.maximised(match metric {
                Metric::AnswerExactMatch => exact_match / questions,
                Metric::AnswerF1 => f1 / questions,
                _ => f64::NAN,
            });
        }
    }

    /// Writes the objectives of tags from what is modelled of each example's.
    fn write_tags(&self, tags: &Tags, outputs: &[f64], objectives: &mut [f64]) {
        let mut sums = [0.0; TAG_NUMBERS];
        for row in outputs.chunks_exact(TAG_NUMBERS) {
            sums[0] += row[0].min(0.0);
            for (sum, value) in sums[1..].iter_mut().zip(&row[1..]) {
                *sum += value.max(0.0);
            }
        }
        let [log_probability, right, found, same] = sums;
        let words = tags.ids.len() as f64;
        let there = metrics::entities_there(tags) as f64;
        let ratio = |part: f64, all: f64| {
            if all > 0.0 {
                (part / all).min(1.0)
            } else {
                0.0
            }
        };
        objectives[0] = log_probability / words;
        for ((metric, direction), out) in self.metrics.iter().zip(&mut objectives[1..]) {
            *out = direction.maximised(match metric {
                Metric::EntityF1 => ratio(2.0 * right, found + there),
                Metric::EntityPrecision => ratio(right, found),
                Metric::EntityRecall => ratio(right, there),
                Metric::TagAccuracy => ratio(same, words),
                _ => f64::NAN,
            });
        }
    }

    /// The classes of the rows: examples, or words.
    fn classes(&self) -> &[u32] {
        match &self.labels {
            Labels::Class(ids) => ids,
            Labels::Tags(tags) => &tags.ids,
            _ => &[],
        }
    }

    fn counts(&self) -> &[u32] {
        match &self.labels {
            Labels::Tokens(counts) => counts,
            _ => &[],
        }
    }

    /// Writes the objectives of a language model, from the sum of its tokens' log
    /// probabilities, the number of right ones, and what is modelled of its texts.
    fn write_tokens(&self, sum: f64, right: f64, texts: &[f64], objectives: &mut [f64]) {
        let (examples, mut texts) = (self.labels.len() as f64, texts);
        let tokens = total(self.counts()) as f64;
        let loss = -sum / tokens;
        objectives[0] = -loss;
        for ((metric, direction), out) in self.metrics.iter().zip(&mut objectives[1..]) {
            *out = direction.maximised(match metric {
                Metric::Perplexity => loss.exp(),
                Metric::TokenAccuracy => right / tokens,
                Metric::Text(metric) => {
                    let (means, behind) = texts.split_at(texts.len().min(metric.width()));
                    texts = behind;
                    let sums: Vec<f64> = means.iter().map(|mean| mean * examples).collect();
                    metric.value(&sums, examples)
                }
                _ => f64::NAN,
            });
        }
    }

    /// How many numbers of tokens are modelled.
    fn token_outputs(&self) -> usize {
        match self.form {
            Form::Tokens => 2 * total(self.counts()),
            _ => 2 * self.labels.len(),
        }
    }

    /// Writes minus the loss and the metrics of predictions, each maximised.
    fn write(&self, loss: f64, predictions: &Predictions<'_>, objectives: &mut [f64]) {
        objectives[0] = -loss;
        for ((metric, direction), out) in self.metrics.iter().zip(&mut objectives[1..]) {
            // What cannot be computed, such as of a draw that is not finite, is NaN.
            let value = metric.compute(predictions, &self.labels);
            *out = direction.maximised(value.unwrap_or(f64::NAN));
        }
    }
}

impl Composite for OutputObjectives {
    fn outputs(&self) -> usize {
        let examples = self.labels.len();
        match self.form {
            Form::Margin | Form::Values => examples,
            Form::Centred { classes } => self.classes().len() * classes,
            Form::Answers => ANSWER_NUMBERS * examples,
            Form::TagSums => TAG_NUMBERS * examples,
            Form::Scores { .. } => 2 * examples,
            Form::Tokens | Form::TokenSums => {
                self.token_outputs() + self.texts().map(TextMetric::width).sum::<usize>()
            }
        }
    }

    fn objectives(&self) -> usize {
        1 + self.metrics.len()
    }

    fn evaluate(&self, outputs: &[f64], objectives: &mut [f64]) {
        let n = self.labels.len() as f64;
        match (self.form, &self.labels) {
            (Form::Margin, Labels::Class(ids)) => {
                let wrong = outputs.iter().zip(ids);
                let lead: Vec<f32> = wrong
                    .map(|(z, &label)| if label == 1 { -*z as f32 } else { *z as f32 })
                    .collect();
                let loss = sum_softplus(&lead) / n;
                let values: Vec<f32> = outputs.iter().flat_map(|z| [0.0, *z as f32]).collect();
                let values = &values;
                self.write(
                    loss,
                    &Predictions::Logits { values, classes: 2 },
                    objectives,
                );
            }
            (Form::Centred { classes }, Labels::Class(ids)) => {
                let values: Vec<f32> = outputs.iter().map(|z| *z as f32).collect();
                let rows = outputs.chunks_exact(classes).zip(ids);
                let target: f64 = rows.map(|(row, &label)| row[label as usize]).sum();
                let loss = (sum_log_sum_exp(&values, classes) - target) / n;
                let values = &values;
                self.write(loss, &Predictions::Logits { values, classes }, objectives);
            }
            (Form::Centred { classes }, Labels::Tags(tags)) => {
                let values: Vec<f32> = outputs.iter().map(|z| *z as f32).collect();
                let rows = outputs.chunks_exact(classes).zip(&tags.ids);
                let target: f64 = rows.map(|(row, &tag)| row[tag as usize]).sum();
                let words = tags.ids.len() as f64;
                let loss = (sum_log_sum_exp(&values, classes) - target) / words;
                let (values, tags) = (&values, classes);
                self.write(loss, &Predictions::Tags { values, tags }, objectives);
            }
            (Form::Answers, Labels::Answers(answers)) => {
                self.write_answers(answers, outputs, objectives);
            }
            (Form::TagSums, Labels::Tags(tags)) => self.write_tags(tags, outputs, objectives),
            (Form::Tokens, _) => {
                let (tokens, texts) = outputs.split_at(self.token_outputs());
                let rows = tokens.chunks_exact(2);
                let sum = rows.clone().map(|row| row[0].min(0.0)).sum();
                let right = rows.filter(|row| row[1] > 0.0).count();
                self.write_tokens(sum, right as f64, texts, objectives);
            }
            (Form::TokenSums, _) => {
                let (tokens, texts) = outputs.split_at(self.token_outputs());
                let rows = tokens.chunks_exact(2);
                let sum = rows.clone().map(|row| row[0].min(0.0)).sum();
                let right = rows.map(|row| row[1]).sum();
                self.write_tokens(sum, right, texts, objectives);
            }
            (Form::Scores { .. }, _) => {
                let mut loss = 0.0;
                let mut hits = 0;
                for scores in outputs.chunks_exact(2) {
                    // A drawn probability is at most one.
                    loss -= scores[0].min(0.0);
                    hits += usize::from(scores[1] > 0.0);
                }
                objectives[0] = -loss / n;
                for ((metric, _), out) in self.metrics.iter().zip(&mut objectives[1..]) {
                    *out = match metric {
                        Metric::Accuracy => hits as f64 / n,
                        _ => f64::NAN,
                    };
                }
            }
            (_, Labels::Value(labels)) => {
                let values: Vec<f32> = outputs.iter().map(|v| *v as f32).collect();
                let errors = outputs.iter().zip(labels);
                let loss = errors
                    .map(|(v, l)| (v - f64::from(*l)).powi(2))
                    .sum::<f64>()
                    / n;
                self.write(loss, &Predictions::Values(&values), objectives);
            }
            _ => objectives.fill(f64::NAN),
        }
    }
}

/// Tokens of all examples together.
fn total(counts: &[u32]) -> usize {
    counts.iter().map(|&n| n as usize).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objective(name: &str, direction: Direction) -> Objective {
        Objective {
            name: name.into(),
            direction,
        }
    }

    /// The loss and `metrics` of outputs that vary with example and class, through what is
    /// modelled of them, beside the loss and metrics themselves.
    fn both(metrics: &[Metric], labels: &Labels, classes: usize) -> (Vec<f64>, Vec<f64>) {
        let n = match labels {
            Labels::Tags(tags) => tags.ids.len(),
            _ => labels.len(),
        };
        let outputs: Vec<f32> = (0..n * classes)
            .map(|i| (i as f32 * 1.7).sin() * 4.0)
            .collect();
        let mut objectives = vec![objective("loss", Direction::Minimize)];
        for metric in metrics {
            let direction = match metric.direction() {
                bomf_tune::metrics::Direction::Maximize => Direction::Maximize,
                bomf_tune::metrics::Direction::Minimize => Direction::Minimize,
            };
            objectives.push(objective(metric.name(), direction));
        }
        let of_outputs = OutputObjectives::new(&objectives, metrics, labels, classes);
        let modelled = of_outputs.modelled(&outputs);
        assert_eq!(modelled.len(), of_outputs.outputs());
        let modelled: Vec<f64> = modelled.iter().map(|v| f64::from(*v)).collect();
        let mut found = vec![0.0; objectives.len()];
        of_outputs.evaluate(&modelled, &mut found);

        let (loss, predictions) = match labels {
            Labels::Class(ids) => (
                bomf_tune::metrics::cross_entropy(&outputs, classes, ids),
                Predictions::Logits {
                    values: &outputs,
                    classes,
                },
            ),
            Labels::Value(values) => (
                bomf_tune::metrics::mean_squared_error(&outputs, values),
                Predictions::Values(&outputs),
            ),
            Labels::Tags(tags) => (
                bomf_tune::metrics::cross_entropy(&outputs, classes, &tags.ids),
                Predictions::Tags {
                    values: &outputs,
                    tags: classes,
                },
            ),
            _ => unreachable!("they have tests of their own"),
        };
        let mut expected = vec![-loss.expect("a loss")];
        for (metric, objective) in metrics.iter().zip(&objectives[1..]) {
            let value = metric.compute(&predictions, labels).expect("a metric");
            expected.push(objective.direction.maximised(value));
        }
        (found, expected)
    }

    fn ids(n: usize, classes: usize) -> Labels {
        Labels::Class((0..n).map(|i| ((i * i + i / 3) % classes) as u32).collect())
    }

    #[track_caller]
    fn agree((found, expected): (Vec<f64>, Vec<f64>)) {
        for (found, expected) in found.iter().zip(&expected) {
            assert!((found - expected).abs() < 1e-5, "{found} {expected}");
        }
    }

    #[test]
    fn what_is_modelled_gives_the_scores_of_the_outputs_themselves() {
        let binary = [
            Metric::Accuracy,
            Metric::F1 { positive: 0 },
            Metric::Matthews,
        ];
        agree(both(&binary, &ids(101, 2), 2));
        agree(both(&[Metric::Accuracy, Metric::F1Macro], &ids(200, 7), 7));
        let values = Labels::Value((0..90).map(|i| (i as f32 * 0.3).cos() * 3.0).collect());
        agree(both(
            &[Metric::Spearman, Metric::Pearson, Metric::Mse],
            &values,
            1,
        ));
    }

    #[test]
    fn tags_one_by_one_or_summed_give_the_scores_of_the_outputs_themselves() {
        let names = ["O", "B-X", "I-X", "B-Y", "I-Y"].map(String::from);
        let metrics = [Metric::EntityF1, Metric::TagAccuracy, Metric::EntityRecall];
        for examples in [40, 2000] {
            let counts: Vec<u32> = (0..examples).map(|i| 1 + i % 5).collect();
            let words = total(&counts);
            let labels = Labels::Tags(Tags {
                ids: (0..words).map(|i| ((i * i + i / 3) % 5) as u32).collect(),
                counts,
                names: names.clone().into(),
            });
            agree(both(&metrics, &labels, 5));
        }
    }

    #[test]
    fn tokens_one_by_one_or_summed_give_the_scores_of_a_language_model() {
        for examples in [30, 3000] {
            let counts: Vec<u32> = (0..examples).map(|i| 1 + i % 7).collect();
            let labels = Labels::Tokens(counts.clone());
            let outputs: Vec<f32> = (0..total(&counts))
                .flat_map(|i| [-1.5 + (i as f32).sin(), (i as f32 * 0.7).cos()])
                .collect();
            let objectives = [
                objective("loss", Direction::Minimize),
                objective("token_accuracy", Direction::Maximize),
                objective("perplexity", Direction::Minimize),
            ];
            let metrics = [Metric::TokenAccuracy, Metric::Perplexity];
            let of_outputs = OutputObjectives::new(&objectives, &metrics, &labels, 2);
            let modelled = of_outputs.modelled(&outputs);
            assert_eq!(modelled.len(), of_outputs.outputs());
            let modelled: Vec<f64> = modelled.iter().map(|v| f64::from(*v)).collect();
            let mut found = vec![0.0; 3];
            of_outputs.evaluate(&modelled, &mut found);
            let predictions = Predictions::Tokens(&outputs);
            let losses = bomf_tune::metrics::token_losses(&outputs, &counts).expect("losses");
            let mut expected = vec![-losses.iter().sum::<f64>() / losses.len() as f64];
            for (metric, objective) in metrics.iter().zip(&objectives[1..]) {
                let value = metric.compute(&predictions, &labels).expect("a metric");
                expected.push(objective.direction.maximised(value));
            }
            agree((found, expected));
        }
    }

    #[test]
    fn some_of_the_examples_give_the_scores_of_these_alone() {
        let drawn = [3, 3, 0, 11, 7];
        let tokens = Labels::Tokens((0..12).map(|i| 1 + i % 4).collect());
        let loss = [objective("loss", Direction::Minimize)];
        for (labels, classes) in [
            (ids(12, 2), 2),
            (ids(12, 5), 5),
            (Labels::Value((0..12).map(|i| i as f32).collect()), 1),
            (tokens, 2),
        ] {
            let rows = match &labels {
                Labels::Tokens(counts) => total(counts),
                _ => labels.len(),
            };
            let outputs: Vec<f32> = (0..rows * classes)
                .map(|i| -(i as f32 * 1.3).sin().abs())
                .collect();
            let all = OutputObjectives::new(&loss, &[], &labels, classes);
            let modelled = all.modelled(&outputs);
            let alone = |example: usize| {
                let mut y = [0.0];
                all.on(&[example])
                    .evaluate(&all.gather(&modelled, &[example]), &mut y);
                y[0]
            };
            let weight = |example: usize| match &labels {
                Labels::Tokens(counts) => f64::from(counts[example]),
                _ => 1.0,
            };
            let sum: f64 = drawn.iter().map(|&i| weight(i) * alone(i)).sum();
            let expected = sum / drawn.iter().map(|&i| weight(i)).sum::<f64>();
            let mut found = [0.0];
            all.on(&drawn)
                .evaluate(&all.gather(&modelled, &drawn), &mut found);
            agree((found.to_vec(), vec![expected]));
        }
    }

    #[test]
    fn texts_behind_the_tokens_give_the_metrics_of_their_statistics() {
        let texts = [
            ("a b c d e", "a b c d f"),
            ("x y z", "x z"),
            ("", "w"),
            ("one", "one"),
        ];
        let counts = vec![2, 1, 3, 1];
        let labels = Labels::Tokens(counts.clone());
        let mut outputs: Vec<f32> = (0..total(&counts))
            .flat_map(|i| [-0.1 * i as f32, 0.5])
            .collect();
        let all = [TextMetric::Bleu, TextMetric::RougeL, TextMetric::Chrf];
        let mut metrics = vec![Metric::TokenAccuracy];
        let mut objectives = vec![
            objective("loss", Direction::Minimize),
            objective("token_accuracy", Direction::Maximize),
        ];
        for metric in all {
            for (text, reference) in texts {
                outputs.extend(metric.statistics(text, reference, false));
            }
            metrics.push(Metric::Text(metric));
            objectives.push(objective(metric.name(), Direction::Maximize));
        }
        let of_outputs = OutputObjectives::new(&objectives, &metrics, &labels, 2);
        let modelled = of_outputs.modelled(&outputs);
        assert_eq!(modelled.len(), of_outputs.outputs());
        let modelled: Vec<f64> = modelled.iter().map(|v| f64::from(*v)).collect();
        let mut found = vec![0.0; objectives.len()];
        of_outputs.evaluate(&modelled, &mut found);
        let mut expected = vec![-0.1 * (0..7).sum::<i32>() as f64 / 7.0, 1.0];
        expected.extend(all.map(|metric| metric.compute(texts, false)));
        agree((found, expected));
    }

    #[test]
    fn of_many_logits_two_numbers_an_example_give_the_loss_and_the_accuracy() {
        let labels = ids(600, 77);
        let (found, expected) = both(&[Metric::Accuracy, Metric::F1Macro], &labels, 77);
        assert!(found[2].is_nan(), "macro F1 is no function of them");
        agree((found[..2].to_vec(), expected[..2].to_vec()));
    }
}
