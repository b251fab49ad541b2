//! The worker's side: it makes ready what the study is of, sees that it is the same, and
//! trains what it is given.

use super::desk::Desk;
use super::lease;
use super::place::{self, Both};
use crate::pipeline::identity::{
    self, COMMAND, DATA, DIRECTORY, Identity, MODEL, RECIPE, WORKER_THREADS,
};
use crate::pipeline::lightweight::Lightweight;
use crate::pipeline::pruning::Pruner;
use crate::pipeline::seeds::{Purpose, generator};
use crate::pipeline::stage1::TrialJob;
use crate::pipeline::task::Task;
use crate::pipeline::{in_pool, trainer};
use crate::recipe::ExternalTrainer;
use crate::{Error, Observer, Recipe, RunRequest, WorkerOutcome, WorkerRequest, resolve_model};
use bomf_study::{StudyError, without_password};
use bomf_tune::models::{Config, Model};
use indexmap::IndexMap;
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The study that a worker is given: the facts in it, and its trials.
struct Study {
    facts: IndexMap<String, String>,
    trials: Box<dyn Both>,
}

impl Study {
    fn open(name: &str) -> Result<Self, Error> {
        let trials = place::open(name)?;
        let facts = trials.facts()?;
        // Its scheduler has not come to enter what it is of.
        if facts.is_empty() {
            return Err(StudyError::NoStudy { path: name.into() }.into());
        }
        Ok(Study { facts, trials })
    }

    fn fact(&self, name: &str) -> &str {
        self.facts.get(name).map_or("", String::as_str)
    }
}

/// The working directory of the run that a worker is to help, from which its relative paths
/// are taken.
///
/// # Errors
/// [`StudyError::NoStudy`], and where the study cannot be read.
pub fn worker_directory(study: &str) -> Result<PathBuf, Error> {
    let facts = place::facts(study)?;
    Ok(facts.get(DIRECTORY).map(PathBuf::from).unwrap_or_default())
}

/// Sees that a study is there and is of a run that has workers.
///
/// # Errors
/// [`StudyError::NoStudy`], [`Error::NoWorkers`], and where the study cannot be read.
pub(crate) fn has_trials_for_workers(study: &str) -> Result<(), Error> {
    match Study::open(study)?.fact(WORKER_THREADS) {
        "" => Err(Error::NoWorkers {
            study: without_password(study),
        }),
        _ => Ok(()),
    }
}

/// Trains trials of a run's stage 1 until there are no more: takes them by lease from the queue
/// of its study, gives signs of life meanwhile, and brings back what they came to.
///
/// # Errors
/// [`Error::NoWorkers`] for a run that has none, [`Error::OtherStudy`] where version, recipe,
/// model or data are not those of the run, [`Error::WorkerInterrupted`] when the observer says so
/// (the trial at hand is given back at once), and whatever keeps a trial from being trained.
pub fn worker(
    request: &WorkerRequest,
    observer: &mut dyn Observer,
) -> Result<WorkerOutcome, Error> {
    let started = Instant::now();
    let study = Study::open(&request.study)?;
    // Before anything else is read: another version may read it otherwise.
    identity::check_version(&study.facts)?;
    let threads = study.fact(WORKER_THREADS);
    let Ok(usual) = threads.parse::<usize>() else {
        return Err(Error::NoWorkers {
            study: without_password(&request.study),
        });
    };
    let name = request.name.clone().unwrap_or_else(own_name);
    let desk = Desk {
        queue: &*study.trials,
        worker: &name,
        lease: lease(&study.facts),
    };
    let run = RunRequest {
        model: request.model.clone().unwrap_or(study.fact(MODEL).into()),
        data: request.data.clone().unwrap_or(study.fact(DATA).into()),
        out: request.study.clone().into(),
        recipe: Recipe::from_yaml(study.fact(RECIPE), "study.db")?,
        threads: match request.threads {
            0 => usual,
            given => given,
        },
        overwrite: false,
        workers: None,
    };
    let trials = in_pool(run.threads, || match &run.recipe.trainer {
        Some(program) => {
            let folder = request.folder.as_deref();
            by_program(&run, program, folder, &study, &desk, observer)
        }
        None => by_engine(&run, &study, &desk, observer),
    })?;
    Ok(WorkerOutcome {
        worker: name,
        trials,
        seconds: started.elapsed().as_secs_f64(),
    })
}

/// A name that no other worker ever had: host, process and time.
fn own_name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let host = host.or_else(|| std::env::var("HOSTNAME").ok());
    let host = host.unwrap_or_else(|| "host".into());
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let nanoseconds = since.unwrap_or_default().as_nanos();
    format!("{}.{}.{nanoseconds}", host.trim(), std::process::id())
}

fn by_engine(
    run: &RunRequest,
    study: &Study,
    desk: &Desk<'_>,
    observer: &mut dyn Observer,
) -> Result<usize, Error> {
    let recipe = &run.recipe;
    let base = resolve_model(&run.model, observer)?;
    let config = Config::read(&base)?;
    let task = Task::load(&run.data, &base, &config, recipe, false, observer)?;
    check(run, study, &task.settled(recipe), &base)?;
    let mut rng = generator(recipe.seed, Purpose::Head);
    let (mut model, _) = Model::load(&base, task.labels.head(), &mut rng)?;
    let pruner = Pruner::new(recipe, &*study.trials);
    let mut lightweight = Lightweight::new(recipe, &task, &mut model, pruner, &run.out)?;
    let mut train = |trial: &TrialJob, message, observer: &mut dyn Observer| {
        lightweight.run(trial, message, observer)
    };
    desk.work(recipe, &mut train, observer)
}

fn by_program(
    run: &RunRequest,
    program: &ExternalTrainer,
    folder: Option<&Path>,
    study: &Study,
    desk: &Desk<'_>,
    observer: &mut dyn Observer,
) -> Result<usize, Error> {
    check(run, study, &run.recipe, Path::new(&run.model))?;
    let failed = |path: &Path| {
        let path = path.to_path_buf();
        move |source| Error::Output { path, source }
    };
    let temporary;
    let folder = match folder {
        Some(folder) => folder,
        None => {
            let made = tempfile::tempdir();
            temporary = made.map_err(failed(&std::env::temp_dir()))?;
            temporary.path()
        }
    };
    std::fs::create_dir_all(folder).map_err(failed(folder))?;
    let folder = std::path::absolute(folder).map_err(failed(folder))?;
    let has_worked = || desk.has_trained();
    let pruner = Pruner::new(&run.recipe, &*study.trials);
    trainer::for_worker(run, program, &folder, pruner, &has_worked, |train| {
        desk.work(&run.recipe, train, observer)
    })
}

/// Refuses to train for a run that is of something else than what is here.
fn check(run: &RunRequest, study: &Study, settled: &Recipe, base: &Path) -> Result<(), Error> {
    let identity = Identity {
        command: study.fact(COMMAND),
        recipe: &run.recipe,
        settled,
        model: Some((&run.model, base.is_dir().then_some(base))),
        data: Some(&run.data),
        members: &[],
        folders: &[],
        workers: None,
    };
    identity::check_work(&study.facts, &identity.facts()?)
}
