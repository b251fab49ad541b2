//! `bomf run`, and its parts `tune` and `finetune`.

use super::finish::{Gathered, finish};
use super::identity::Identity;
use super::ledger::{Ledger, Start};
use super::mixtures::vertex;
use super::seeds::{Purpose, generator};
use super::task::Task;
use super::training::score;
use super::trajectory::Folders;
use super::workers::Fleet;
use super::{in_pool, members, runs, stage1, trainer, untuned};
use crate::output::{TUNED, check_inputs};
use crate::recipe::Recipe;
use crate::{Error, Observer, Phase, RunRequest, Workers, resolve_model};
use bomf_study::{
    EvaluatedSplit, EvaluationRecord, Finetune, MethodName, Results, Scores, Seconds, Stage1, State,
};
use bomf_tune::models::{Config, Model};
use bomf_tune::tape::Workspace;
use bomf_tune::train::FrozenStates;
use rand_chacha::ChaCha8Rng;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// What every part begins with.
struct Prepared {
    base: PathBuf,
    /// The model as the request names it.
    name: String,
    task: Task,
    model: Model,
    journal: Ledger,
    notes: Vec<String>,
    started: Instant,
    seconds: Seconds,
    workers: Option<Workers>,
}

/// Reads the model and the data, and only then takes the output folder: what is
/// wrong with the input leaves nothing behind.
fn prepare(
    command: &str,
    request: &RunRequest,
    start: Start,
    observer: &mut dyn Observer,
) -> Result<Prepared, Error> {
    let started = Instant::now();
    let recipe = &request.recipe;
    let base = resolve_model(&request.model, observer)?;
    let config = Config::read(&base)?;
    let task = Task::load(&request.data, &base, &config, recipe, false, observer)?;
    let mut rng = generator(recipe.seed, Purpose::Head);
    let (model, report) = Model::load(&base, task.labels.head(), &mut rng)?;
    let mut notes = task.notes.clone();
    if !report.initialised.is_empty() {
        let names = report.initialised.join(", ");
        notes.push(format!(
            "newly initialised, the checkpoint lacks them: {names}"
        ));
        observer.note(&notes[notes.len() - 1]);
    }
    if request.overwrite {
        check_inputs(&request.out, [base.as_path(), &request.data])?;
    }
    let settled = task.settled(recipe);
    let identity = Identity {
        command,
        recipe,
        settled: &settled,
        model: Some((&request.model, Some(&base))),
        data: Some(&request.data),
        members: &[],
        folders: &[],
        workers: request.workers.as_ref(),
    };
    let facts = identity.facts()?;
    let journal = Ledger::begin(
        &request.out,
        start,
        request.overwrite,
        request.workers.as_ref(),
        &settled,
        &facts,
    )?;
    let seconds = Seconds {
        stage1: 0.0,
        finetune: 0.0,
        stage2: 0.0,
        total: 0.0,
    };
    Ok(Prepared {
        base,
        name: hub_name(&request.model).into(),
        task,
        model,
        journal,
        notes,
        started,
        seconds,
        workers: request.workers.clone(),
    })
}

/// `owner/name` of `hf:owner/name@revision`, as transformers names a model of the hub;
/// a folder as it is.
fn hub_name(model: &str) -> &str {
    match model.strip_prefix("hf:") {
        Some(name) => name.split('@').next().unwrap_or(name),
        None => model,
    }
}

impl Prepared {
    /// Stage 1; the recipe with its outcome filled in.
    fn tune(
        &mut self,
        recipe: &Recipe,
        out: &Path,
        observer: &mut dyn Observer,
    ) -> Result<(Stage1, Recipe), Error> {
        let started = Instant::now();
        let mut tuned = self.task.settled(recipe);
        let (task, model) = (&self.task, &mut self.model);
        let choices = &mut tuned.finetune;
        let fleet = self.workers.as_ref();
        let fleet = fleet.map(|workers| Fleet::new(workers, out)).transpose()?;
        let record = stage1::search(
            recipe,
            task,
            model,
            choices,
            &mut self.journal,
            fleet,
            out,
            observer,
        )?;
        self.seconds.stage1 = started.elapsed().as_secs_f64() + self.journal.seconds();
        Ok((record, tuned))
    }

    /// The full runs; `recipe` has its learning rate and batch size, and `stage1` the
    /// configurations of further runs.
    fn finetune(
        &mut self,
        recipe: &Recipe,
        stage1: Option<&Stage1>,
        out: &Path,
        observer: &mut dyn Observer,
    ) -> Result<Finetune, Error> {
        let (started, before) = (Instant::now(), self.journal.seconds());
        let folders = Folders {
            base: &self.base,
            name: &self.name,
            out,
        };
        let (task, model, journal) = (&self.task, &mut self.model, &mut self.journal);
        let (record, notes) =
            runs::finetune(recipe, stage1, task, model, journal, folders, observer)?;
        self.notes.extend(notes);
        let known = self.journal.seconds() - before;
        self.seconds.finetune = started.elapsed().as_secs_f64() + known;
        Ok(record)
    }

    /// Fills in the scores of the members on the select split.
    fn score_members(
        &mut self,
        record: &mut Finetune,
        out: &Path,
        observer: &mut dyn Observer,
    ) -> Result<(), Error> {
        let Model { network, params } = &mut self.model;
        let (task, workspace) = (&self.task, Workspace::default());
        let examples = task.select.sequences.len() as u64;
        observer.begin(Phase::Evaluate, examples * record.members.len() as u64);
        let n = record.members.len();
        for (i, member) in record.members.iter_mut().enumerate() {
            let weights = vertex(i, n);
            if let Some(known) = self.journal.evaluation(EvaluatedSplit::Select, &weights)? {
                member.select = known.scores;
                continue;
            }
            let started = Instant::now();
            if observer.interrupted() {
                return Err(Error::Interrupted {
                    out: out.into(),
                    on_disk: vec!["trials.jsonl".into(), "members/".into()],
                });
            }
            network.read_params::<ChaCha8Rng>(&out.join(&member.path), params, None)?;
            let (select, none) = (&task.select, FrozenStates::none());
            let scores = score(network, params, select, &none, &task.scorer, &workspace)?;
            self.journal.add_evaluation(|| EvaluationRecord {
                split: EvaluatedSplit::Select,
                method: MethodName::BestCheckpoint.as_str().into(),
                weights,
                state: match scores {
                    Some(_) => State::Complete,
                    None => State::Failed,
                },
                scores: scores.clone().unwrap_or_default(),
                std_errors: Scores::new(),
                outputs: Vec::new(),
                seconds: started.elapsed().as_secs_f64(),
            })?;
            member.select = scores.unwrap_or_default();
            observer.advance(Phase::Evaluate, examples * (i as u64 + 1), "");
        }
        observer.end(Phase::Evaluate);
        Ok(())
    }
}

/// Both stages, the baselines, the fused model and the results.
///
/// # Errors
/// Whatever is wrong with the input, before anything is written; a diverged run; a
/// full disk; [`Error::Interrupted`] with what is on disk then.
pub fn run(request: &RunRequest, observer: &mut dyn Observer) -> Result<Results, Error> {
    in_pool(request.threads, || run_from(request, Start::New, observer))
}

pub(super) fn run_from(
    request: &RunRequest,
    start: Start,
    observer: &mut dyn Observer,
) -> Result<Results, Error> {
    if let Some(program) = &request.recipe.trainer {
        return trainer::run(request, program, start, observer);
    }
    let out = &request.out;
    let mut prepared = prepare("run", request, start, observer)?;
    let (stage1, tuned) = prepared.tune(&request.recipe, out, observer)?;
    let finetune = prepared.finetune(&tuned, Some(&stage1), out, observer)?;
    let network = &prepared.model.network;
    let folders: Vec<PathBuf> = finetune.members.iter().map(|m| out.join(&m.path)).collect();
    let labels = finetune.members.iter().map(|m| m.path.clone());
    let members = members::open(network, labels.zip(folders.iter().map(PathBuf::as_path)))?;
    let gathered = Gathered {
        recipe: &request.recipe,
        task: &prepared.task,
        model: request.model.clone(),
        base: &prepared.base,
        pretrained: Some(&prepared.base),
        network,
        members: &members,
        stage1,
        finetune,
        notes: prepared.notes,
        out,
        on_disk: &["trials.jsonl".into(), "members/".into()],
        started: prepared.started,
        seconds: prepared.seconds,
    };
    finish(gathered, &mut prepared.journal, observer)
}

/// Stage 1 alone. Writes `tuned.yaml` beside the recipe: the same recipe with the
/// best hyperparameters filled in, for [`finetune`].
///
/// # Errors
/// As [`run`].
pub fn tune(request: &RunRequest, observer: &mut dyn Observer) -> Result<Stage1, Error> {
    in_pool(request.threads, || tune_from(request, Start::New, observer))
}

pub(super) fn tune_from(
    request: &RunRequest,
    start: Start,
    observer: &mut dyn Observer,
) -> Result<Stage1, Error> {
    if let Some(program) = &request.recipe.trainer {
        return trainer::tune(request, program, start, observer);
    }
    let mut prepared = prepare("tune", request, start, observer)?;
    let (record, mut tuned) = prepared.tune(&request.recipe, &request.out, observer)?;
    tuned.stage1.skip();
    tuned.stage1.space.clear();
    let path = request.out.join(TUNED);
    std::fs::write(&path, tuned.to_yaml()).map_err(|source| Error::Output { path, source })?;
    Ok(record)
}

/// The fine-tuning of the full model, gathering members; the recipe must have a
/// learning rate and a batch size. Further runs differ by their seeds alone.
///
/// # Errors
/// As [`run`].
pub fn finetune(request: &RunRequest, observer: &mut dyn Observer) -> Result<Finetune, Error> {
    if request.recipe.finetune.learning_rate.is_none()
        || request.recipe.finetune.batch_size.is_none()
    {
        return Err(untuned(&request.recipe.finetune));
    }
    in_pool(request.threads, || {
        finetune_from(request, Start::New, observer)
    })
}

pub(super) fn finetune_from(
    request: &RunRequest,
    start: Start,
    observer: &mut dyn Observer,
) -> Result<Finetune, Error> {
    if let Some(program) = &request.recipe.trainer {
        return trainer::finetune(request, program, start, observer);
    }
    let mut prepared = prepare("finetune", request, start, observer)?;
    let mut record = prepared.finetune(&request.recipe, None, &request.out, observer)?;
    prepared.score_members(&mut record, &request.out, observer)?;
    Ok(record)
}
