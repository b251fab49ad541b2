//! From members to results: stage 2, the choice, every method on the report split,
//! the fused model and the files of the study.

use super::choose::choose;
use super::mixtures::{Mixtures, vertex};
use super::seeds::{Purpose, generator};
use super::stage2::{self, Found};
use super::task::Task;
use super::{peak_rss_mb, threads};
use crate::recipe::Recipe;
use crate::{Error, Observer};
use bomf_checkpoint::{Dtype, write_json_atomic};
use bomf_fuse::MemberSet;
use bomf_study::{
    Finetune, Front, FrontPoint, Journal, Method, MethodName, Results, Seconds, Stage1,
};
use bomf_tune::data::Labels;
use bomf_tune::models::Network;
use indexmap::IndexMap;
use std::path::Path;
use std::time::Instant;

/// What the earlier parts hand over.
pub(super) struct Gathered<'a> {
    pub recipe: &'a Recipe,
    pub task: &'a Task,
    pub model: String,
    /// Folder whose tokenizer the fused model gets.
    pub base: &'a Path,
    pub network: &'a Network,
    pub members: &'a MemberSet<'a>,
    pub stage1: Stage1,
    pub finetune: Finetune,
    pub notes: Vec<String>,
    pub out: &'a Path,
    pub on_disk: &'a [String],
    pub started: Instant,
    pub seconds: Seconds,
}

/// Stage 2 and everything after it.
pub(super) fn finish(
    gathered: Gathered<'_>,
    journal: &mut Journal,
    observer: &mut dyn Observer,
) -> Result<Results, Error> {
    let Gathered {
        recipe,
        task,
        network,
        members,
        out,
        ..
    } = gathered;
    let mut finetune = gathered.finetune;
    let mut seconds = gathered.seconds;
    let stage2_started = Instant::now();
    let n = members.len();
    let mut mixtures = Mixtures::new(network, members, &task.scorer, &task.select);

    // The members' own outputs: their scores, and what the ensemble averages.
    let mut member_outputs = Vec::with_capacity(n);
    let mut member_scores = Vec::with_capacity(n);
    for i in 0..n {
        let outputs = mixtures.outputs(&vertex(i, n), &task.select)?;
        let scores = task.scorer.scores(&outputs, &task.select.labels)?;
        finetune.members[i].select = scores.clone().unwrap_or_default();
        member_scores.push(scores);
        member_outputs.push(outputs);
    }
    let outcome = stage2::search(
        recipe,
        &mut mixtures,
        &member_scores,
        journal,
        out,
        gathered.on_disk,
        observer,
    )?;
    let mut methods = outcome.methods;
    let mut rng = generator(recipe.seed, Purpose::Bootstrap);
    let Some(bomf) = methods.last_mut() else {
        return Err(Error::NoMember);
    };
    let place = choose(
        recipe.stage2.choose,
        &bomf.all,
        &outcome.front,
        &mut mixtures,
        &mut rng,
    )?;
    bomf.best = bomf.all[outcome.front[place]].clone();
    let front: Vec<FrontPoint> = outcome
        .front
        .iter()
        .enumerate()
        .map(|(i, &index)| FrontPoint {
            weights: bomf.all[index].weights.clone(),
            select: bomf.all[index].scores.clone(),
            chosen: i == place,
        })
        .collect();
    let fused = mixtures.fuse(&bomf.best.weights)?;
    let labels = Some(&task.labels);
    network.write_folder(
        fused,
        labels,
        Dtype::F32,
        Some(gathered.base),
        &out.join("fused"),
        true,
    )?;
    seconds.stage2 = stage2_started.elapsed().as_secs_f64();

    // The report split is touched here, and nowhere else.
    let methods = report(
        task,
        &mut mixtures,
        methods,
        &member_outputs,
        &outcome.ref_point,
        recipe,
    )?;
    let own =
        |(objective, value): (&bomf_study::Objective, &f64)| objective.direction.maximised(*value);
    let ref_point: Vec<f64> = task
        .scorer
        .objectives
        .iter()
        .zip(&outcome.ref_point)
        .map(own)
        .collect();
    seconds.total = gathered.started.elapsed().as_secs_f64();
    let results = Results {
        version: env!("CARGO_PKG_VERSION").into(),
        task: task.name.clone(),
        task_kind: task.kind.as_str().into(),
        model: gathered.model,
        parameters: network.layout().len(),
        seed: recipe.seed,
        threads: threads(),
        splits: task.splits(),
        objectives: task.scorer.objectives.clone(),
        chosen_metric: task.scorer.objectives[task.scorer.chosen].name.clone(),
        ref_point: ref_point.clone(),
        stage1: gathered.stage1,
        finetune,
        stage2: outcome.record,
        methods,
        front: front.clone(),
        notes: gathered.notes,
        seconds,
        peak_rss_mb: peak_rss_mb(),
    };
    let member_steps = results.finetune.members.iter().map(|m| m.step).collect();
    let objectives = results.objectives.clone();
    let pareto = Front {
        objectives,
        ref_point,
        member_steps,
        points: front,
    };
    write_json_atomic(out.join("pareto.json"), &pareto)?;
    write_json_atomic(out.join("results.json"), &results)?;
    Ok(results)
}

/// Every method on the report split, with intervals, and its hypervolume.
fn report(
    task: &Task,
    mixtures: &mut Mixtures<'_>,
    found: Vec<Found>,
    member_outputs: &[Vec<f32>],
    ref_point: &[f64],
    recipe: &Recipe,
) -> Result<Vec<Method>, Error> {
    let n = member_outputs.len();
    let scorer = mixtures.scorer;
    let labels = &task.report.labels;
    let members: Vec<Vec<f32>> = (0..n)
        .map(|i| mixtures.outputs(&vertex(i, n), &task.report))
        .collect::<Result<_, _>>()?;
    let mut outputs: IndexMap<MethodName, Vec<f32>> = IndexMap::new();
    for found in &found {
        let own = (0..n).find(|&i| found.best.weights == vertex(i, n));
        let values = match own {
            Some(i) => members[i].clone(),
            None => mixtures.outputs(&found.best.weights, &task.report)?,
        };
        outputs.insert(found.name, values);
    }
    outputs.insert(MethodName::PredictionEnsemble, ensemble(&members, labels));
    let bomf = outputs[&MethodName::Bomf].clone();
    let mut rng = generator(recipe.seed, Purpose::Bootstrap);
    let mut methods = Vec::new();
    for name in MethodName::ALL {
        let Some(values) = outputs.get(&name) else {
            continue;
        };
        let Some(report) = scorer.scores(values, labels)? else {
            continue;
        };
        let of = found.iter().find(|found| found.name == name);
        let (select, all) = match of {
            Some(found) => (found.best.scores.clone(), points(scorer, &found.all)),
            None => {
                let values = ensemble(member_outputs, &task.select.labels);
                let scores = scorer
                    .scores(&values, &task.select.labels)?
                    .unwrap_or_default();
                (scores.clone(), vec![scorer.maximised(&scores)])
            }
        };
        // A single model is what most methods give; only the searches give a front.
        let all = match name {
            MethodName::Bomf | MethodName::RandomSimplex => all,
            _ => vec![scorer.maximised(&select)],
        };
        methods.push(Method {
            name,
            weights: of.map(|found| found.best.weights.clone()),
            report_interval: scorer.intervals(values, labels, &mut rng)?,
            bomf_minus_this: match name {
                MethodName::Bomf => IndexMap::new(),
                _ => scorer.differences(&bomf, values, labels, &mut rng)?,
            },
            select,
            report,
            hypervolume: bomf_pareto::hypervolume(&all, ref_point)?,
            evaluations: of.map_or(0, |found| found.evaluations),
            seconds: of.map_or(0.0, |found| found.seconds),
        });
    }
    Ok(methods)
}

fn points(scorer: &super::scorer::Scorer, all: &[stage2::Evaluated]) -> Vec<Vec<f64>> {
    all.iter().map(|e| scorer.maximised(&e.scores)).collect()
}

/// The mean of the members' probabilities, as logarithms (so that the loss and the
/// metrics read them as they read logits); the mean of their values for a regression.
fn ensemble(members: &[Vec<f32>], labels: &Labels) -> Vec<f32> {
    let count = members.len() as f64;
    let length = members.first().map_or(0, Vec::len);
    let classes = match labels {
        Labels::Class(_) => length / labels.len().max(1),
        Labels::Value(_) => 0,
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
