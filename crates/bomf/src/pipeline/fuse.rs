//! `bomf fuse`: stage 2 on checkpoints of any trainer.

use super::finish::{Gathered, finish};
use super::task::Task;
use super::{in_pool, members};
use crate::{Error, FuseRequest, Observer, claim_output};
use bomf_checkpoint::{CheckpointDir, list_checkpoints};
use bomf_study::{Finetune, Journal, MemberRecord, Results, Scores, Seconds, Stage1};
use bomf_tune::models::{Config, Network};
use indexmap::IndexMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Fuses existing checkpoints of one architecture, with all baselines.
///
/// # Errors
/// Where the checkpoints cannot be read or do not fit each other or the data, the
/// output folder is taken, or the observer interrupts.
pub fn fuse(request: &FuseRequest, observer: &mut dyn Observer) -> Result<Results, Error> {
    in_pool(request.threads, || fuse_here(request, observer))
}

/// A folder's own weights, or the checkpoints in it.
fn folders(members: &[PathBuf]) -> Result<Vec<(Option<u64>, PathBuf)>, Error> {
    let mut folders = Vec::new();
    for path in members {
        let is_model = path.join("config.json").is_file()
            && ["model.safetensors", "model.safetensors.index.json"]
                .iter()
                .any(|name| path.join(name).is_file());
        if is_model {
            folders.push((None, path.clone()));
        } else {
            let found: Vec<CheckpointDir> = list_checkpoints(path)?;
            folders.extend(found.into_iter().map(|c| (c.step, c.path)));
        }
    }
    Ok(folders)
}

fn fuse_here(request: &FuseRequest, observer: &mut dyn Observer) -> Result<Results, Error> {
    let started = Instant::now();
    let recipe = &request.recipe;
    let folders = folders(&request.members)?;
    if folders.len() < 2 {
        return Err(Error::TooFewMembers {
            found: folders.len(),
        });
    }
    let base: &Path = &folders[0].1;
    let config = Config::read(base)?;
    let task = Task::load(&request.data, base, &config, recipe, true, observer)?;
    let network = Network::new(config, task.labels.head())?;
    let label = |path: &Path| path.display().to_string();
    let members = members::open(
        &network,
        folders
            .iter()
            .map(|(_, path)| (label(path), path.as_path())),
    )?;
    let out = &request.out;
    claim_output(out, request.overwrite, recipe)?;
    let mut journal = Journal::create(&out.join("trials.jsonl"))?;
    let records: Vec<MemberRecord> = folders
        .iter()
        .enumerate()
        .map(|(i, (step, path))| MemberRecord {
            step: step.unwrap_or(i as u64),
            path: label(path),
            select: Scores::new(),
        })
        .collect();
    let layers = network.num_layers();
    let gathered = Gathered {
        recipe,
        task: &task,
        model: label(base),
        base,
        network: &network,
        members: &members,
        stage1: Stage1 {
            layers,
            frozen_layers: 0,
            trials: Vec::new(),
            best: IndexMap::new(),
        },
        finetune: Finetune {
            best_step: 0,
            steps: records.iter().map(|r| r.step).max().unwrap_or(0),
            steps_per_epoch: 0,
            curve: Vec::new(),
            members: records,
        },
        notes: task.notes.clone(),
        out,
        on_disk: &["trials.jsonl".into()],
        started,
        seconds: Seconds {
            stage1: 0.0,
            finetune: 0.0,
            stage2: 0.0,
            total: 0.0,
        },
    };
    finish(gathered, &mut journal, observer)
}
