//! Every method on the report split, with intervals, and its hypervolume.

use super::baselines::{Combined, Fixed};
use super::blocks::written;
use super::evaluator::{Evaluated, Member};
use super::goals::Goals;
use super::ledger::Ledger;
use super::mixtures::{Mixtures, outputs_of, vertex};
use super::seeds::{Purpose, generator};
use super::source::Source;
use super::stage2::Found;
use super::task::Task;
use crate::{Error, Observer, Phase};
use bomf_study::{EvaluatedSplit, EvaluationRecord, Method, MethodName, Scores, State};
use bomf_tune::data::Labels;
use bomf_tune::tape::Workspace;
use bomf_tune::train::EncodedSplit;
use indexmap::IndexMap;
use std::time::Instant;

/// What is compared, and by what.
pub(super) struct Comparison<'a> {
    pub task: &'a Task,
    pub members: &'a [Member],
    /// Models that are no mixtures of the members.
    pub fixed: &'a [Fixed],
    /// Combinations of the members' predictions that were fitted on the select split.
    pub combined: &'a [Combined],
    pub ref_point: &'a [f64],
    pub seed: u64,
}

impl Comparison<'_> {
    /// Outputs of every method on the report split.
    fn outputs(
        &self,
        mixtures: &mut Mixtures<'_>,
        found: &[Found],
        ledger: &mut Ledger,
        interrupted: &dyn Fn() -> Error,
        observer: &mut dyn Observer,
    ) -> Result<IndexMap<MethodName, Vec<f32>>, Error> {
        let n = self.members.len();
        let split = &self.task.report;
        let mut known: Vec<(Vec<f64>, Vec<f32>)> = Vec::new();
        let mut wanted: Vec<Vec<f64>> = (0..n).map(|i| vertex(i, n)).collect();
        for found in found {
            if !wanted.contains(&found.best.weights) {
                wanted.push(found.best.weights.clone());
            }
        }
        let examples = split.sequences.len() as u64;
        observer.begin(Phase::Evaluate, wanted.len() as u64 * examples);
        for weights in wanted {
            if observer.interrupted() {
                return Err(interrupted());
            }
            let outputs = report_outputs(mixtures, &weights, split, ledger)?;
            known.push((weights, outputs));
            observer.advance(Phase::Evaluate, known.len() as u64 * examples, "");
        }
        observer.end(Phase::Evaluate);
        let members: Vec<&[f32]> = known[..n].iter().map(|(_, o)| o.as_slice()).collect();
        // A mean of predictions of tokens writes no text.
        let writes = self.task.scorer.writes();
        let mean = (!writes).then(|| ensemble(&members, &split.labels));
        let of = |found: &Found| {
            let same = |(weights, _): &&(Vec<f64>, Vec<f32>)| *weights == found.best.weights;
            let outputs = known.iter().find(same).map(|(_, outputs)| outputs.clone());
            (found.name, outputs.unwrap_or_default())
        };
        let ensemble = mean.map(|mean| (MethodName::PredictionEnsemble, mean));
        let (network, workspace) = (mixtures.network, Workspace::default());
        let fixed = self.fixed.iter().map(|own| {
            let outputs = outputs_of(network, &own.params, split, &workspace)?;
            Ok((own.name, outputs))
        });
        let fixed: Vec<_> = fixed.collect::<Result<_, Error>>()?;
        let combined = self.combined.iter();
        let combined = combined.map(|own| (own.name, own.outputs(&members, &split.labels)));
        let all = found.iter().map(of).chain(ensemble);
        Ok(all.chain(fixed).chain(combined).collect())
    }

    /// The record of every method that gives finite outputs.
    pub fn report(
        &self,
        mixtures: &mut Mixtures<'_>,
        found: Vec<Found>,
        ledger: &mut Ledger,
        interrupted: &dyn Fn() -> Error,
        observer: &mut dyn Observer,
    ) -> Result<Vec<Method>, Error> {
        let (task, scorer, ref_point) = (self.task, mixtures.scorer, self.ref_point);
        let labels = &task.report.labels;
        let outputs = self.outputs(mixtures, &found, ledger, interrupted, observer)?;
        let bomf = outputs[&MethodName::Bomf].clone();
        let mut rng = generator(self.seed, Purpose::Bootstrap);
        let select_outputs: Vec<&[f32]> =
            self.members.iter().map(|m| m.outputs.as_slice()).collect();
        let mut methods = Vec::new();
        for name in MethodName::ALL {
            let Some(values) = outputs.get(&name) else {
                continue;
            };
            let Some(report) = scorer.scores(values, labels)? else {
                continue;
            };
            let of = found.iter().find(|found| found.name == name);
            let combined = self.combined.iter().find(|own| own.name == name);
            let fixed = self.fixed.iter().find(|own| own.name == name);
            let (select, all) = match of {
                Some(found) => (found.best.scores.clone(), points(scorer, &found.all)),
                None if fixed.is_some() => {
                    let select = fixed.map(|own| own.select.clone()).unwrap_or_default();
                    (select.clone(), vec![scorer.maximised(&select)])
                }
                None => {
                    let values = match combined {
                        Some(own) => own.select.clone(),
                        None => ensemble(&select_outputs, &task.select.labels),
                    };
                    let scores = scorer
                        .scores(&values, &task.select.labels)?
                        .unwrap_or_default();
                    (scores.clone(), vec![scorer.maximised(&scores)])
                }
            };
            let mixture =
                of.map(|own| written(&own.best.weights, self.members.len(), mixtures.blocks()));
            // A single model is what most methods give; only the searches give a front.
            let all = match name.is_search() {
                true => all,
                false => vec![scorer.maximised(&select)],
            };
            methods.push(Method {
                name,
                weights: mixture.as_ref().map(|own| own.weights.clone()),
                block_weights: mixture.and_then(|own| own.block_weights),
                report_interval: scorer.intervals(values, labels, &mut rng)?,
                bomf_minus_this: match name {
                    MethodName::Bomf => IndexMap::new(),
                    _ => scorer.differences(&bomf, values, labels, &mut rng)?,
                },
                select,
                report,
                hypervolume: bomf_pareto::hypervolume(&all, ref_point)?,
                evaluations: match (of, fixed) {
                    (Some(found), _) => found.evaluations,
                    (None, Some(own)) => own.evaluations,
                    (None, None) => 0,
                },
                seconds: match (of, fixed, combined) {
                    (Some(found), ..) => found.seconds,
                    (None, Some(own), _) => own.seconds,
                    (None, None, Some(own)) => own.seconds,
                    (None, None, None) => 0.0,
                },
            });
        }
        Ok(methods)
    }
}

/// Outputs of a mixture on the report split, or those that it gave before.
fn report_outputs(
    mixtures: &mut Mixtures<'_>,
    weights: &[f64],
    split: &EncodedSplit,
    ledger: &mut Ledger,
) -> Result<Vec<f32>, Error> {
    if let Some(known) = ledger.evaluation(EvaluatedSplit::Report, weights)? {
        return Ok(known.outputs);
    }
    let started = Instant::now();
    let outputs = mixtures.outputs(weights, split)?;
    ledger.add_evaluation(|| EvaluationRecord {
        split: EvaluatedSplit::Report,
        method: MethodName::Bomf.as_str().into(),
        weights: weights.to_vec(),
        state: State::Complete,
        // The scores come from the outputs, with intervals.
        scores: Scores::new(),
        std_errors: Scores::new(),
        outputs: outputs.clone(),
        seconds: started.elapsed().as_secs_f64(),
    })?;
    Ok(outputs)
}

pub(super) fn points(scorer: &Goals, all: &[Evaluated]) -> Vec<Vec<f64>> {
    all.iter().map(|e| scorer.maximised(&e.scores)).collect()
}

/// The mean of the members' probabilities, as logarithms (so that the loss and the
/// metrics read them as they read logits); the mean of their values for a regression, and of
/// their scores for answers, which are compared across windows.
/// Of a language model's tokens it is the probabilities' and the leads', the latter
/// standing in for a vote on the likeliest token, which would need every logit.
/// Members whose outputs are not finite are left out.
fn ensemble(members: &[&[f32]], labels: &Labels) -> Vec<f32> {
    let finite = |outputs: &&&[f32]| !outputs.is_empty() && outputs.iter().all(|v| v.is_finite());
    let members: Vec<&[f32]> = members.iter().filter(finite).copied().collect();
    let count = members.len() as f64;
    let length = members.first().map_or(0, |outputs| outputs.len());
    let classes = match labels {
        Labels::Class(_) => length / labels.len().max(1),
        Labels::Tags(tags) => tags.names.len(),
        Labels::Value(_) | Labels::Answers(_) => 0,
        Labels::Tokens(_) => return token_ensemble(&members, length),
    };
    let mut mean = vec![0.0f64; length];
    for outputs in members {
        if classes == 0 {
            mean.iter_mut()
                .zip(outputs)
                .for_each(|(m, &v)| *m += f64::from(v) / count);
            continue;
        }
        for (mean, logits) in mean.chunks_mut(classes).zip(outputs.chunks(classes)) {
            let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let exp = |z: f32| f64::from(z - max).exp();
            let sum: f64 = logits.iter().map(|&z| exp(z)).sum();
            mean.iter_mut()
                .zip(logits)
                .for_each(|(m, &z)| *m += exp(z) / sum / count);
        }
    }
    let value = |m: f64| {
        if classes == 0 {
            m
        } else {
            m.max(f64::from(f32::MIN_POSITIVE)).ln()
        }
    };
    mean.into_iter().map(|m| value(m) as f32).collect()
}

/// The logarithm of the mean probability and the mean lead of each token.
fn token_ensemble(members: &[&[f32]], length: usize) -> Vec<f32> {
    let count = members.len() as f64;
    let mut sums = vec![0.0f64; length];
    for outputs in members {
        for (sum, row) in sums.chunks_exact_mut(2).zip(outputs.chunks_exact(2)) {
            sum[0] += f64::from(row[0]).exp();
            sum[1] += f64::from(row[1]);
        }
    }
    let rows = sums.chunks_exact(2);
    rows.flat_map(|sum| {
        let mean = (sum[0] / count).max(f64::from(f32::MIN_POSITIVE));
        [mean.ln() as f32, (sum[1] / count) as f32]
    })
    .collect()
}
