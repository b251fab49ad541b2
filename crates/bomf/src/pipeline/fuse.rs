//! `bomf fuse`: stage 2 on checkpoints of any trainer.

use super::finish::{Gathered, finish};
use super::identity::Identity;
use super::ledger::{Ledger, Start};
use super::task::Task;
use super::{external, in_pool, members};
use crate::output::check_inputs;
use crate::{Error, FuseRequest, Observer, claim_output};
use bomf_checkpoint::{CheckpointError, is_model_folder, list_checkpoints};
use bomf_fuse::MemberSet;
use bomf_study::{Finetune, MemberRecord, Results, Scores, Seconds, Stage1};
use bomf_tune::models::{Config, Network};
use indexmap::IndexMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Fuses existing checkpoints of one architecture, with all baselines; scored by the
/// engine on the request's data, or by the program that its recipe names.
///
/// # Errors
/// Where the checkpoints cannot be read or do not fit each other or the data, the
/// output folder is taken, or the observer interrupts.
pub fn fuse(request: &FuseRequest, observer: &mut dyn Observer) -> Result<Results, Error> {
    in_pool(request.threads, || fuse_from(request, Start::New, observer))
}

pub(super) fn fuse_from(
    request: &FuseRequest,
    start: Start,
    observer: &mut dyn Observer,
) -> Result<Results, Error> {
    match &request.recipe.evaluator {
        Some(evaluator) => external::fuse(request, evaluator, start, observer),
        None => fuse_here(request, start, observer),
    }
}

/// A checkpoint and the step that its folder names.
pub(super) type Folder = (Option<u64>, PathBuf);

/// The checkpoints in each folder, or the folder itself where it is a model and holds
/// no `checkpoint-<step>` (a trainer's output folder is often both); by rising step
/// where every one of them names its own, since shells sort names and not numbers.
pub(super) fn folders(members: &[PathBuf]) -> Result<Vec<Folder>, Error> {
    let mut folders: Vec<Folder> = Vec::new();
    for path in members {
        match list_checkpoints(path) {
            Ok(found) if found.iter().any(|c| c.step.is_some()) || !is_model_folder(path) => {
                folders.extend(found.into_iter().map(|c| (c.step, c.path)));
            }
            Ok(_) | Err(CheckpointError::NoCheckpoints { is_model: true, .. }) => {
                folders.push((step_of(path), path.clone()));
            }
            Err(error) => return Err(error.into()),
        }
    }
    if folders.iter().all(|(step, _)| step.is_some()) {
        folders.sort_by_key(|(step, _)| *step);
    }
    Ok(folders)
}

/// The step in the name of a `checkpoint-<step>` folder.
fn step_of(path: &Path) -> Option<u64> {
    let digits = path.file_name()?.to_str()?.strip_prefix("checkpoint-")?;
    let all_digits = digits.bytes().all(|b| b.is_ascii_digit());
    all_digits.then(|| digits.parse().ok())?
}

pub(super) fn label(path: &Path) -> String {
    path.display().to_string()
}

/// Opens the members, and leaves those out that hold values which are not finite.
fn open_members(
    network: &Network,
    folders: &mut Vec<Folder>,
    notes: &mut Vec<String>,
) -> Result<MemberSet<'static>, Error> {
    let all = |folders: &[Folder]| {
        members::open(
            network,
            folders
                .iter()
                .map(|(_, path)| (label(path), path.as_path())),
        )
    };
    let members = all(folders)?;
    let broken = members::not_finite(&members);
    if broken.is_empty() {
        return Ok(members);
    }
    for &i in broken.iter().rev() {
        let (_, path) = folders.remove(i);
        notes.push(format!(
            "{} left out: its weights are not all finite",
            path.display()
        ));
    }
    at_least_two(folders)?;
    all(folders)
}

pub(super) fn at_least_two(folders: &[Folder]) -> Result<(), Error> {
    match folders.len() {
        found @ 0..2 => Err(Error::TooFewMembers { found }),
        _ => Ok(()),
    }
}

/// Everything that a fusion works on.
pub(super) struct Opened {
    pub base: PathBuf,
    pub folders: Vec<Folder>,
    pub task: Task,
    pub network: Network,
    pub members: MemberSet<'static>,
    pub notes: Vec<String>,
}

/// Opens members and data, and takes the output folder for what cannot go on.
pub(super) fn open_for_once(
    request: &FuseRequest,
    observer: &mut dyn Observer,
) -> Result<Opened, Error> {
    let opened = open(request, observer)?;
    let settled = opened.task.settled(&request.recipe);
    claim_output(&request.out, request.overwrite, &settled)?;
    Ok(opened)
}

/// Opens members and data.
fn open(request: &FuseRequest, observer: &mut dyn Observer) -> Result<Opened, Error> {
    let recipe = &request.recipe;
    let data = request.data.as_deref().ok_or(Error::NoData)?;
    let mut folders = folders(&request.members)?;
    at_least_two(&folders)?;
    let base = folders[0].1.clone();
    let config = Config::read(&base)?;
    for (_, path) in &folders[1..] {
        members::check_architecture(&config, &base, path)?;
    }
    let task = Task::load(data, &base, &config, recipe, true, observer)?;
    let network = Network::new(config, task.labels.head())?;
    let mut notes = task.notes.clone();
    let members = open_members(&network, &mut folders, &mut notes)?;
    notes[task.notes.len()..]
        .iter()
        .for_each(|note| observer.note(note));
    if request.overwrite {
        let members = folders.iter().map(|(_, path)| path.as_path());
        check_inputs(&request.out, members.chain([data]))?;
    }
    Ok(Opened {
        base,
        folders,
        task,
        network,
        members,
        notes,
    })
}

fn fuse_here(
    request: &FuseRequest,
    start: Start,
    observer: &mut dyn Observer,
) -> Result<Results, Error> {
    let started = Instant::now();
    let Opened {
        base,
        folders,
        task,
        network,
        members,
        notes,
    } = open(request, observer)?;
    let (recipe, out) = (&request.recipe, &request.out);
    let settled = task.settled(recipe);
    let paths: Vec<PathBuf> = folders.iter().map(|(_, path)| path.clone()).collect();
    let identity = Identity {
        command: "fuse",
        recipe,
        settled: &settled,
        model: None,
        data: request.data.as_deref(),
        members: &request.members,
        folders: &paths,
        workers: None,
    };
    let facts = identity.facts()?;
    let mut journal = Ledger::begin(out, start, request.overwrite, None, &settled, &facts)?;
    let records: Vec<MemberRecord> = folders
        .iter()
        .enumerate()
        .map(|(i, (step, path))| MemberRecord {
            step: step.unwrap_or(i as u64),
            run: None,
            path: label(path),
            select: Scores::new(),
        })
        .collect();
    let layers = network.num_layers();
    let gathered = Gathered {
        recipe,
        task: &task,
        model: label(&base),
        base: &base,
        pretrained: None,
        network: &network,
        members: &members,
        stage1: Stage1 {
            layers,
            frozen_layers: 0,
            lora_r: None,
            known: Vec::new(),
            trials: Vec::new(),
            best: IndexMap::new(),
        },
        finetune: Finetune {
            best_step: 0,
            steps: records.iter().map(|r| r.step).max().unwrap_or(0),
            steps_per_epoch: 0,
            curve: Vec::new(),
            members: records,
            further_runs: Vec::new(),
        },
        notes,
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
