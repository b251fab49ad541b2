//! Training by a program's word: models of any architecture, trained by whatever command
//! can, and fused under a program's word too ([`super::external`]).
//!
//! [`program`] runs a training, [`lines`] reads what it reports, [`intake`] makes members
//! of the checkpoints that it leaves. Stage 1 is the engine's search with such a run in
//! place of the lightweight model's.

mod intake;
mod lines;
mod program;

pub(crate) use program::LOG as TRAINER_LOG;

use super::external::candidate::Checkpoints;
use super::external::{self, Before, EvaluatorFault as Fault};
use super::goals::Goals;
use super::identity::Identity;
use super::ledger::{Ledger, Start};
use super::pruning::{Climb, Pruner};
use super::seeds::{Purpose, generator};
use super::stage1::{self, Here, Outcome, TrialJob, UNITS};
use super::untuned;
use super::workers::{Fleet, Train};
use crate::output::{CANDIDATES, TRAINER, TUNED, check_inputs, tidy};
use crate::recipe::{ExternalEvaluator, ExternalTrainer, Recipe};
use crate::{Error, Observer, Phase, RunRequest};
use bomf_study::{
    CurvePoint, Event, Finetune, FinetuneRecord, MemberRecord, Results, Scores, Seconds, Stage1,
};
use intake::intake;
use lines::Reports;
use program::{Job, Trainer};
use rand::RngExt;
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The number of the full run, of which there is one.
const ONLY_RUN: usize = 1;

/// Everything that a run by a program's word works on.
struct Prepared<'a> {
    request: &'a RunRequest,
    trainer: Trainer<'a>,
    evaluator: &'a ExternalEvaluator,
    ledger: Ledger,
    /// Absolute.
    out: &'a Path,
    started: Instant,
}

/// Takes the output folder and gives `work` all that it needs.
fn with_prepared<T>(
    command: &str,
    request: &RunRequest,
    trainer: &ExternalTrainer,
    start: Start,
    work: impl FnOnce(Prepared<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    let started = Instant::now();
    let recipe = &request.recipe;
    // One made in code may hold what none read from a file can.
    Recipe::from_yaml(&recipe.to_yaml(), "")?;
    let evaluator = recipe.evaluator.as_ref().ok_or(Error::NoData)?;
    let model = Path::new(&request.model);
    if request.overwrite {
        check_inputs(&request.out, [model, &request.data])?;
    }
    let identity = Identity {
        command,
        recipe,
        settled: recipe,
        // What is no folder is a name that the trainer knows.
        model: Some((&request.model, model.is_dir().then_some(model))),
        data: Some(&request.data),
        members: &[],
        folders: &[],
        workers: request.workers.as_ref(),
    };
    let facts = identity.facts()?;
    let out = std::path::absolute(&request.out).map_err(|source| Error::Output {
        path: request.out.clone(),
        source,
    })?;
    let goals = external::goals(evaluator);
    let program = Trainer {
        trainer,
        goals: &goals,
        request,
        out: &out,
        has_worked: false,
    };
    // Before what it writes to is tidied.
    #[cfg(unix)]
    if matches!(start, Start::Resumed(_)) {
        program.end_leftover()?;
    }
    let ledger = Ledger::begin(
        &request.out,
        start,
        request.overwrite,
        request.workers.as_ref(),
        recipe,
        &facts,
    )?;
    work(Prepared {
        request,
        trainer: program,
        evaluator,
        ledger,
        out: &out,
        started,
    })
}

/// Both stages, with a program that trains and a program that evaluates.
pub(super) fn run(
    request: &RunRequest,
    trainer: &ExternalTrainer,
    start: Start,
    observer: &mut dyn Observer,
) -> Result<Results, Error> {
    with_prepared("run", request, trainer, start, |mut prepared| {
        let recipe = &request.recipe;
        let mut tuned = recipe.clone();
        let began = Instant::now();
        let stage1 = prepared.tune(&mut tuned, observer)?;
        let mut seconds = Seconds {
            stage1: began.elapsed().as_secs_f64() + prepared.ledger.seconds(),
            finetune: 0.0,
            stage2: 0.0,
            total: 0.0,
        };
        let (began, before) = (Instant::now(), prepared.ledger.seconds());
        let (finetune, notes) = prepared.finetune(&tuned, observer)?;
        let known = prepared.ledger.seconds() - before;
        seconds.finetune = began.elapsed().as_secs_f64() + known;
        let Prepared {
            trainer,
            evaluator,
            mut ledger,
            out,
            started,
            ..
        } = prepared;
        let folders = finetune.members.iter().map(|m| out.join(&m.path)).collect();
        let checkpoints = Checkpoints::open(folders)?;
        let before = Before {
            model: request.model.clone(),
            stage1,
            finetune,
            notes,
            started,
            seconds,
            on_disk: vec!["trials.jsonl".into(), format!("{TRAINER}/")],
        };
        external::finish(
            recipe,
            evaluator,
            external::Opened {
                checkpoints: &checkpoints,
                goals: trainer.goals,
                out,
                named: &request.out,
            },
            &mut ledger,
            before,
            observer,
        )
    })
}

/// Stage 1 alone.
pub(super) fn tune(
    request: &RunRequest,
    trainer: &ExternalTrainer,
    start: Start,
    observer: &mut dyn Observer,
) -> Result<Stage1, Error> {
    with_prepared("tune", request, trainer, start, |mut prepared| {
        let mut tuned = request.recipe.clone();
        let record = prepared.tune(&mut tuned, observer)?;
        tuned.stage1.skip();
        tuned.stage1.space.clear();
        let path = prepared.out.join(TUNED);
        std::fs::write(&path, tuned.to_yaml()).map_err(|source| Error::Output { path, source })?;
        Ok(record)
    })
}

/// The full run alone.
pub(super) fn finetune(
    request: &RunRequest,
    trainer: &ExternalTrainer,
    start: Start,
    observer: &mut dyn Observer,
) -> Result<Finetune, Error> {
    with_prepared("finetune", request, trainer, start, |mut prepared| {
        let (mut record, _) = prepared.finetune(&request.recipe, observer)?;
        // What the trainer said of them is all that is known.
        for member in &mut record.members {
            let point = record.curve.iter().find(|point| point.step == member.step);
            member.select = point.map(|point| point.select.clone()).unwrap_or_default();
        }
        Ok(record)
    })
}

impl Prepared<'_> {
    /// Stage 1; its outcome is set in `tuned`.
    fn tune(&mut self, tuned: &mut Recipe, observer: &mut dyn Observer) -> Result<Stage1, Error> {
        let recipe = &self.request.recipe;
        let goals = self.trainer.goals;
        let chosen = &goals.objectives[goals.chosen].name;
        let mut record = Stage1 {
            layers: 0,
            frozen_layers: 0,
            lora_r: None,
            trials: Vec::new(),
            known: Vec::new(),
            best: Default::default(),
        };
        let (choices, ledger) = (&mut tuned.finetune, &mut self.ledger);
        if let Some(workers) = &self.request.workers {
            let mut fleet = Fleet::new(workers, self.out)?;
            let trials = &mut fleet;
            stage1::search_with(
                recipe,
                chosen,
                choices,
                &mut record,
                ledger,
                observer,
                trials,
            )?;
            fleet.finish()?;
            self.trainer.has_worked |= record.trials.iter().any(|t| t.value.is_some());
            return Ok(record);
        }
        let trainer = &mut self.trainer;
        trainer.has_worked |= ledger.has_trained();
        let study = ledger.study();
        let pruner = Pruner::new(recipe, &*study);
        let mut trials = Here::new(|trial: &TrialJob, _, observer: &mut dyn Observer| {
            run_trial(trainer, trial, pruner, &|| false, observer)
        });
        let trials = &mut trials;
        stage1::search_with(
            recipe,
            chosen,
            choices,
            &mut record,
            ledger,
            observer,
            trials,
        )?;
        Ok(record)
    }

    /// The full run; `recipe` has its learning rate and batch size. With what people should
    /// know of its checkpoints.
    fn finetune(
        &mut self,
        recipe: &Recipe,
        observer: &mut dyn Observer,
    ) -> Result<(Finetune, Vec<String>), Error> {
        let choices = &recipe.finetune;
        if choices.learning_rate.is_none() || choices.batch_size.is_none() {
            return Err(untuned(choices));
        }
        let (started, out) = (Instant::now(), self.out);
        let folder = out.join(TRAINER);
        let known = self.ledger.finetune(ONLY_RUN)?;
        let (record, mut notes) = match known {
            // The audit costs nothing, and what it says belongs to the results.
            Some(known) => {
                let run = known.run;
                let found = intake(&folder, &run.curve, self.trainer.goals, &recipe.members)?;
                let names: Vec<String> = found.members.iter().map(|m| name(&m.1)).collect();
                if !run.members.iter().map(|m| &m.path).eq(&names) {
                    return Err(Error::OtherStudy {
                        what: format!("the checkpoints in {TRAINER}/"),
                        was: run.members.len().to_string() + " members",
                        is: format!("{} others", names.len()),
                    });
                }
                (run, found.notes)
            }
            None => {
                let resumes = self.ledger.is_resumed() && folder.is_dir();
                let curve = self.train(recipe, &folder, resumes, observer)?;
                let found = intake(&folder, &curve, self.trainer.goals, &recipe.members)?;
                let members = found.members.iter().map(|(step, path)| MemberRecord {
                    step: *step,
                    run: None,
                    path: name(path),
                    select: Scores::new(),
                });
                let record = FinetuneRecord {
                    number: ONLY_RUN,
                    run: Finetune {
                        best_step: found.best_step,
                        steps: found.last_step,
                        steps_per_epoch: (found.last_step / choices.epochs as u64).max(1),
                        curve,
                        members: members.collect(),
                        further_runs: Vec::new(),
                    },
                    seconds: started.elapsed().as_secs_f64(),
                };
                found.members.iter().try_for_each(|(_, path)| sync(path))?;
                self.ledger.add_finetune(&record)?;
                (record.run, found.notes)
            }
        };
        for point in &record.curve {
            self.ledger.append(&Event::Finetune {
                run: None,
                step: point.step,
                epoch: point.step as f64 / record.steps_per_epoch as f64,
                train_loss: point.train_loss,
                scores: point.select.clone(),
            })?;
        }
        if recipe.members.runs() > 1 {
            notes.push("further runs of `members` left out: a program trains one".into());
        }
        notes.iter().for_each(|note| observer.note(note));
        Ok((record, notes))
    }

    fn train(
        &mut self,
        recipe: &Recipe,
        folder: &Path,
        resumes: bool,
        observer: &mut dyn Observer,
    ) -> Result<Vec<CurvePoint>, Error> {
        let seed = generator(recipe.seed, Purpose::Finetune).random();
        let job = Job {
            trial: None,
            choices: &recipe.finetune,
            evaluations_per_epoch: recipe.finetune.evaluations_per_epoch,
            seed,
            output: folder,
            resumes,
        };
        // Nobody knows yet how many steps there will be.
        observer.begin(Phase::Finetune, 1);
        let shared = RefCell::new(&mut *observer);
        let reports = self
            .trainer
            .train(&job, &|| shared.borrow().interrupted(), &|reports| {
                let step = reports.last_step;
                let mut observer = shared.borrow_mut();
                observer.begin(Phase::Finetune, step + 1);
                observer.advance(Phase::Finetune, step, "");
                false
            })?;
        let reports = match reports {
            Ok(reports) => reports,
            Err(Fault::Interrupted) => {
                return Err(interrupted(self.request));
            }
            Err(fault) => return Err(self.trainer.error(fault)),
        };
        if reports.curve.is_empty() {
            return Err(self.trainer.error(Fault::NoMetrics));
        }
        self.trainer.has_worked = true;
        observer.end(Phase::Finetune);
        Ok(reports.curve)
    }
}

/// Gives `work` what trains trials for a worker, in a folder of its own; `others_have_worked`
/// says whether a trial gave scores elsewhere.
pub(super) fn for_worker<T>(
    request: &RunRequest,
    trainer: &ExternalTrainer,
    folder: &Path,
    pruner: Pruner<'_>,
    others_have_worked: &dyn Fn() -> bool,
    work: impl FnOnce(&mut Train<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    let evaluator = request.recipe.evaluator.as_ref().ok_or(Error::NoData)?;
    let goals = external::goals(evaluator);
    let mut trainer = Trainer {
        trainer,
        goals: &goals,
        request,
        out: folder,
        has_worked: false,
    };
    #[cfg(unix)]
    trainer.end_leftover()?;
    tidy(folder)?;
    work(&mut |trial: &TrialJob, _, observer: &mut dyn Observer| {
        run_trial(&mut trainer, trial, pruner, others_have_worked, observer)
    })
}

/// One trial of stage 1. Until one has given scores, here or elsewhere, a failure is the
/// command line's.
fn run_trial(
    trainer: &mut Trainer<'_>,
    trial: &TrialJob,
    pruner: Pruner<'_>,
    others_have_worked: &dyn Fn() -> bool,
    observer: &mut dyn Observer,
) -> Result<Outcome, Error> {
    let (out, goals, recipe) = (trainer.out, trainer.goals, &trainer.request.recipe);
    let scratch = tempfile::Builder::new()
        .prefix(CANDIDATES)
        .tempdir_in(out)
        .map_err(|source| Error::Output {
            path: out.into(),
            source,
        })?;
    let job = Job {
        trial: Some(trial.number),
        choices: &trial.choices,
        evaluations_per_epoch: recipe.stage1.evaluations_per_epoch,
        // NumPy takes no larger ones.
        seed: trial.seed as u32,
        output: scratch.path(),
        resumes: false,
    };
    let climb = RefCell::new(pruner.follow(trial.number));
    let hopeless_at =
        |reports: &Reports| hopeless_at(reports, trial, goals, &mut climb.borrow_mut());
    let failed = RefCell::new(None);
    let reports = {
        let observer = &*observer;
        trainer.train(
            &job,
            &|| observer.interrupted(),
            &|reports| match hopeless_at(reports) {
                Ok(step) => step.is_some(),
                Err(error) => {
                    failed.replace(Some(error));
                    true
                }
            },
        )?
    };
    if let Some(error) = failed.take() {
        return Err(error);
    }
    // What it reported after that, or would have, counts for nothing: how fast it was ended says
    // nothing of the trial.
    let ended = match &reports {
        Ok(reports) => hopeless_at(reports)?,
        Err(_) => None,
    };
    let has_scores = matches!(&reports, Ok(reports) if !reports.curve.is_empty());
    trainer.has_worked |= !has_scores && others_have_worked();
    let mut curve = match reports {
        Ok(reports) if !reports.curve.is_empty() => {
            if pruner.is_on() && trial.number == 0 && reports.epochs.iter().all(Option::is_none) {
                observer.note(
                    "no trial can be stopped early: the trainer's evaluations tell no `epoch`",
                );
            }
            reports.curve
        }
        Ok(reports) if reports.has_failed => Vec::new(),
        Ok(_) if !trainer.has_worked => return Err(trainer.error(Fault::NoMetrics)),
        Ok(_) => Vec::new(),
        Err(Fault::Interrupted) => return Err(interrupted(trainer.request)),
        Err(fault) => match trainer.has_worked && !fault.is_final() {
            true => Vec::new(),
            false => return Err(trainer.error(fault)),
        },
    };
    trainer.has_worked = true;
    if let Some(step) = ended {
        curve.retain(|point| point.step <= step);
    }
    let best = best(&curve, goals);
    observer.advance(Phase::Tune, (trial.number as u64 + 1) * UNITS, "");
    Ok(Outcome {
        value: best.as_ref().map(|(_, scores)| goals.chosen_value(scores)),
        best,
        is_pruned: ended.is_some(),
        curve,
    })
}

/// The step of the evaluation at which a trial is to end early; `None` while there is none.
/// An evaluation that tells no epoch is at no rung.
fn hopeless_at(
    reports: &Reports,
    trial: &TrialJob,
    goals: &Goals,
    climb: &mut Climb<'_>,
) -> Result<Option<u64>, Error> {
    let mut best: Option<&CurvePoint> = None;
    for (point, epoch) in reports.curve.iter().zip(&reports.epochs) {
        if best.is_none_or(|best| goals.better(&point.select, &best.select)) {
            best = Some(point);
        }
        if let (Some(best), Some(epoch)) = (best, epoch) {
            let share = epoch / trial.choices.epochs as f64;
            if climb.is_hopeless(share, goals.chosen_value(&best.select))? {
                return Ok(Some(point.step));
            }
        }
    }
    Ok(None)
}

fn interrupted(request: &RunRequest) -> Error {
    Error::Interrupted {
        out: request.out.clone(),
        on_disk: vec!["trials.jsonl".into(), TRAINER_LOG.into()],
    }
}

/// The best evaluation of a run, and its step.
fn best(curve: &[CurvePoint], goals: &Goals) -> Option<(u64, Scores)> {
    let mut best: Option<&CurvePoint> = None;
    for point in curve {
        if best.is_none_or(|best| goals.better(&point.select, &best.select)) {
            best = Some(point);
        }
    }
    best.map(|point| (point.step, point.select.clone()))
}

/// A checkpoint's name within the output folder.
fn name(checkpoint: &Path) -> String {
    let own = checkpoint.file_name().unwrap_or_default();
    format!("{TRAINER}/{}", own.to_string_lossy())
}

/// Sees a checkpoint's files to the disk, before the ledger says that they are there.
fn sync(folder: &Path) -> Result<(), Error> {
    let failed = |path: &Path| {
        let path: PathBuf = path.into();
        move |source| Error::Unreadable { path, source }
    };
    for entry in std::fs::read_dir(folder).map_err(failed(folder))? {
        let path = entry.map_err(failed(folder))?.path();
        if path.is_file() {
            let file = std::fs::File::open(&path);
            file.and_then(|file| file.sync_all())
                .map_err(failed(&path))?;
        }
    }
    Ok(())
}
