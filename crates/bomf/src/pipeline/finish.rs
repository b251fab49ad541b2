//! From members to results: stage 2, the choice, every method on the report split,
//! the fused model and the files of the study.

use super::choose::choose;
use super::compare::Comparison;
use super::evaluator::Evaluator;
use super::mixtures::Mixtures;
use super::seeds::{Purpose, generator};
use super::stage2;
use super::task::Task;
use super::{peak_rss_mb, threads};
use crate::recipe::Recipe;
use crate::{Error, Observer};
use bomf_checkpoint::{Dtype, write_json_atomic};
use bomf_fuse::MemberSet;
use bomf_study::{Finetune, Front, FrontPoint, Journal, MethodName, Results, Seconds, Stage1};
use bomf_tune::models::Network;
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
    let mut mixtures = Mixtures::new(network, members, &task.scorer, &task.select);
    let on_disk = gathered.on_disk;
    let mut evaluator = Evaluator::new(recipe, &mut mixtures, journal, observer, out, on_disk);
    let members = evaluator.members()?;
    let scores: Vec<_> = members.iter().map(|member| member.scores.clone()).collect();
    for (record, scores) in finetune.members.iter_mut().zip(&scores) {
        record.select = scores.clone().unwrap_or_default();
    }
    let outcome = stage2::search(recipe, &mut evaluator, &scores)?;
    let mut methods = outcome.methods;
    let mut rng = generator(recipe.seed, Purpose::Bootstrap);
    let classical = methods
        .iter()
        .filter(|m| !matches!(m.name, MethodName::Bomf | MethodName::RandomSimplex));
    let floor = classical
        .map(|m| task.scorer.chosen_value(&m.best.scores))
        .fold(f64::NEG_INFINITY, f64::max);
    let Some(bomf) = methods.last_mut() else {
        return Err(Error::NoMember);
    };
    let place = choose(
        recipe.stage2.choose,
        &bomf.all,
        &outcome.front,
        floor,
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

    let own =
        |(objective, value): (&bomf_study::Objective, &f64)| objective.direction.maximised(*value);
    let objectives = &task.scorer.objectives;
    let ref_point: Vec<f64> = objectives.iter().zip(&outcome.ref_point).map(own).collect();
    let pareto = Front {
        objectives: objectives.clone(),
        ref_point: ref_point.clone(),
        member_steps: finetune.members.iter().map(|m| m.step).collect(),
        points: front.clone(),
    };
    write_json_atomic(out.join("pareto.json"), &pareto)?;

    // The report split is touched here, and nowhere else.
    let mut on_disk = on_disk.to_vec();
    on_disk.extend(["pareto.json".into(), "fused/".into()]);
    let interrupted = || Error::Interrupted {
        out: out.into(),
        on_disk: on_disk.clone(),
    };
    let comparison = Comparison {
        task,
        members: &members,
        ref_point: &outcome.ref_point,
        seed: recipe.seed,
    };
    let methods = comparison.report(&mut mixtures, methods, &interrupted, observer)?;
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
        ref_point,
        stage1: gathered.stage1,
        finetune,
        stage2: outcome.record,
        methods,
        front,
        notes: gathered.notes,
        seconds,
        peak_rss_mb: peak_rss_mb(),
    };
    write_json_atomic(out.join("results.json"), &results)?;
    Ok(results)
}
