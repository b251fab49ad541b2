//! `bomf run`, and its parts `tune` and `finetune`.

use super::finish::{Gathered, finish};
use super::seeds::{Purpose, generator};
use super::task::Task;
use super::training::train_options;
use super::{in_pool, members, stage1, trajectory, untuned};
use crate::recipe::Recipe;
use crate::{Error, Observer, RunRequest, claim_output, resolve_model};
use bomf_study::{Finetune, Journal, Results, Seconds, Stage1};
use bomf_tune::models::{Config, Dropout, Model};
use rand::RngExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// What every part begins with.
struct Prepared {
    base: PathBuf,
    task: Task,
    model: Model,
    journal: Journal,
    notes: Vec<String>,
    started: Instant,
    seconds: Seconds,
}

/// Reads the model and the data, and only then takes the output folder: what is
/// wrong with the input leaves nothing behind.
fn prepare(request: &RunRequest, observer: &mut dyn Observer) -> Result<Prepared, Error> {
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
    claim_output(&request.out, request.overwrite, recipe)?;
    let journal = Journal::create(&request.out.join("trials.jsonl"))?;
    let seconds = Seconds {
        stage1: 0.0,
        finetune: 0.0,
        stage2: 0.0,
        total: 0.0,
    };
    Ok(Prepared {
        base,
        task,
        model,
        journal,
        notes,
        started,
        seconds,
    })
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
        let mut tuned = recipe.clone();
        let (task, model) = (&self.task, &mut self.model);
        let choices = &mut tuned.finetune;
        let record = stage1::search(
            recipe,
            task,
            model,
            choices,
            &mut self.journal,
            out,
            observer,
        )?;
        self.seconds.stage1 = started.elapsed().as_secs_f64();
        Ok((record, tuned))
    }

    /// The full run; `recipe` has its learning rate and batch size.
    fn finetune(
        &mut self,
        recipe: &Recipe,
        out: &Path,
        observer: &mut dyn Observer,
    ) -> Result<Finetune, Error> {
        let started = Instant::now();
        let choices = &recipe.finetune;
        let seed = generator(recipe.seed, Purpose::Finetune).random();
        let options =
            train_options(choices, choices.epochs, seed).ok_or_else(|| untuned(choices))?;
        if let Some(rate) = choices.dropout {
            self.model
                .network
                .set_dropout(Dropout::uniform(rate as f32));
        }
        let (task, model, base) = (&self.task, &mut self.model, &self.base);
        let journal = &mut self.journal;
        let record =
            trajectory::finetune(recipe, task, model, base, &options, journal, out, observer)?;
        self.seconds.finetune = started.elapsed().as_secs_f64();
        Ok(record)
    }
}

/// Both stages, the baselines, the fused model and the results.
///
/// # Errors
/// Whatever is wrong with the input, before anything is written; a diverged run; a
/// full disk; [`Error::Interrupted`] with what is on disk then.
pub fn run(request: &RunRequest, observer: &mut dyn Observer) -> Result<Results, Error> {
    in_pool(request.threads, || {
        let out = &request.out;
        let mut prepared = prepare(request, observer)?;
        let (stage1, tuned) = prepared.tune(&request.recipe, out, observer)?;
        let finetune = prepared.finetune(&tuned, out, observer)?;
        let network = &prepared.model.network;
        let folders: Vec<PathBuf> = finetune.members.iter().map(|m| out.join(&m.path)).collect();
        let labels = finetune.members.iter().map(|m| m.path.clone());
        let members = members::open(network, labels.zip(folders.iter().map(PathBuf::as_path)))?;
        let gathered = Gathered {
            recipe: &request.recipe,
            task: &prepared.task,
            model: request.model.clone(),
            base: &prepared.base,
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
    })
}

/// Stage 1 alone. Writes `tuned.yaml` beside the recipe: the same recipe with the
/// best hyperparameters filled in, for [`finetune`].
///
/// # Errors
/// As [`run`].
pub fn tune(request: &RunRequest, observer: &mut dyn Observer) -> Result<Stage1, Error> {
    in_pool(request.threads, || {
        let mut prepared = prepare(request, observer)?;
        let (record, mut tuned) = prepared.tune(&request.recipe, &request.out, observer)?;
        tuned.stage1.trials = 0;
        tuned.stage1.space.clear();
        let path = request.out.join("tuned.yaml");
        std::fs::write(&path, tuned.to_yaml()).map_err(|source| Error::Output { path, source })?;
        Ok(record)
    })
}

/// One fine-tuning run of the full model, gathering members; the recipe must have a
/// learning rate and a batch size.
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
        let mut prepared = prepare(request, observer)?;
        prepared.finetune(&request.recipe, &request.out, observer)
    })
}
