//! From members to results: stage 2, the choice, every method on the report split,
//! the fused model and the files of the study.

use super::baselines::{self, Engine};
use super::compare::Comparison;
use super::evaluator::Evaluator;
use super::ledger::Ledger;
use super::mixtures::Mixtures;
use super::settle::settle;
use super::source::Source;
use super::task::Task;
use super::{peak_rss_mb, threads};
use crate::recipe::{Blocks, Recipe};
use crate::{Error, Observer};
use bomf_checkpoint::{Dtype, write_json_atomic};
use bomf_fuse::MemberSet;
use bomf_study::{Finetune, Results, Seconds, Stage1};
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
    /// Folder of the model that training began with, where that is known.
    pub pretrained: Option<&'a Path>,
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
    journal: &mut Ledger,
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
    let on_disk = gathered.on_disk;
    let (stage2_started, before) = (Instant::now(), journal.seconds());
    let blocks = recipe.stage2.blocks;
    let mut mixtures =
        Mixtures::new(network, members, &task.scorer, &task.select).with_blocks(blocks);
    let has_blocks = mixtures.blocks().is_some();
    let goals = &task.scorer.goals;
    let mut evaluator = Evaluator::new(
        recipe,
        &mut mixtures,
        goals,
        journal,
        observer,
        out,
        on_disk,
    );
    let mut settled = settle(recipe, &mut evaluator, &mut finetune.members)?;
    let engine = Engine {
        network,
        members,
        task,
        pretrained: gathered.pretrained,
    };
    let baselines = baselines::run(recipe, &mut evaluator, Some(&engine), &settled)?;
    settled.methods.extend(baselines.found);
    let mut notes = gathered.notes;
    if blocks != Blocks::None && !has_blocks {
        notes.push("`stage2.blocks` left out: fewer than two blocks were trained".into());
    }
    for note in std::mem::take(&mut settled.notes)
        .into_iter()
        .chain(baselines.notes)
    {
        observer.note(&note);
        notes.push(note);
    }
    let fused = mixtures.fuse(settled.chosen()?)?;
    let labels = Some(&task.labels);
    network.write_folder(
        fused,
        labels,
        Dtype::F32,
        Some(gathered.base),
        &out.join("fused"),
        true,
    )?;
    seconds.stage2 = stage2_started.elapsed().as_secs_f64() + journal.seconds() - before;
    settled.write_front(goals, &finetune.members, out)?;

    // The report split is touched here, and nowhere else.
    let mut on_disk = on_disk.to_vec();
    on_disk.extend(["pareto.json".into(), "fused/".into()]);
    let interrupted = || Error::Interrupted {
        out: out.into(),
        on_disk: on_disk.clone(),
    };
    let comparison = Comparison {
        task,
        members: &settled.members,
        fixed: &baselines.fixed,
        combined: &baselines.combined,
        ref_point: &settled.ref_point,
        seed: recipe.seed,
    };
    let methods = comparison.report(
        &mut mixtures,
        settled.methods,
        journal,
        &interrupted,
        observer,
    )?;
    seconds.total = gathered.started.elapsed().as_secs_f64() + journal.seconds();
    let results = Results {
        version: env!("CARGO_PKG_VERSION").into(),
        task: task.name.clone(),
        task_kind: task.kind.as_str().into(),
        model: gathered.model,
        parameters: network.layout().len(),
        seed: recipe.seed,
        threads: threads(),
        splits: task.splits(),
        objectives: goals.objectives.clone(),
        chosen_metric: goals.objectives[goals.chosen].name.clone(),
        ref_point: settled.own_ref_point,
        stage1: gathered.stage1,
        finetune,
        stage2: settled.record,
        methods,
        front: settled.front,
        notes,
        seconds,
        peak_rss_mb: peak_rss_mb(),
    };
    write_json_atomic(out.join("results.json"), &results)?;
    Ok(results)
}
