//! A fine-tuning run of the full model, and the members gathered along it.
//!
//! Which steps are candidates, and which of them become members, is said by
//! [`super::keeper`]; disk space stays bounded by that. They lie in [`super::candidates`],
//! and from time to time the state of the run beside them: from there a run that was killed
//! goes on.
//!
//! Where adapters are trained, a candidate is them and the head; a member is the full
//! model with the adapters merged into it, so that averaging members averages the models,
//! and the adapter lies beside it in a folder of its own.

use super::candidates::{Candidates, read_raw};
use super::ledger::Ledger;
use super::scorer::Scorer;
use super::seeds::{Purpose, generator};
use super::task::Task;
use super::training::{is_evaluation, score};
use crate::output::{ADAPTERS, clear_members};
use crate::recipe::Recipe;
use crate::{Error, Observer, Phase};
use bomf_checkpoint::{Dtype, is_model_folder};
use bomf_study::{CurvePoint, Event, Finetune, FinetuneRecord, MemberRecord, Scores};
use bomf_tune::TuneError;
use bomf_tune::models::Model;
use bomf_tune::tape::Workspace;
use bomf_tune::train::{
    Control, FineTuning, FrozenStates, TrainObserver, TrainOptions, TrainPoint, TrainSnapshot,
    train_from,
};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::path::Path;
use std::time::Instant;

/// Early stopping never comes before this share of the planned steps: a lucky
/// evaluation during the warm-up must not end the run.
const MIN_SHARE: f64 = 0.5;

/// Where the base model's tokenizer is and where the members go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Folders<'a> {
    pub base: &'a Path,
    /// The base model as the user named it, for the adapters' configuration.
    pub name: &'a str,
    pub out: &'a Path,
}

/// What a run is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gather {
    /// Its number, from 1, where there are several.
    pub run: Option<usize>,
    /// Whether its best checkpoint alone is a member; else those of the window are.
    pub best_only: bool,
}

impl Gather {
    /// Its number, from 1.
    pub fn number(self) -> usize {
        self.run.unwrap_or(1)
    }

    /// Where a checkpoint goes within a folder of members.
    fn path(self, folder: &str, step: u64) -> String {
        match self.run {
            // The run with the best configuration, which `bomf fuse out/members` finds.
            None | Some(1) => format!("{folder}/checkpoint-{step}"),
            Some(run) => format!("{folder}/run-{run}/checkpoint-{step}"),
        }
    }
}

/// Fine-tunes `model` and writes the members to `out/members/checkpoint-<step>/` (of a further
/// run, `out/members/run-<run>/checkpoint-<step>/`); their scores are still to be filled in.
#[expect(clippy::too_many_arguments, reason = "what a run works with")]
pub(super) fn finetune(
    recipe: &Recipe,
    task: &Task,
    model: &mut Model,
    options: &TrainOptions,
    gather: Gather,
    journal: &mut Ledger,
    folders: Folders<'_>,
    observer: &mut dyn Observer,
) -> Result<Finetune, Error> {
    let Folders { base, name, out } = folders;
    if let Some(known) = journal.finetune(gather.number())? {
        return recall(known, gather, journal, out);
    }
    let started = Instant::now();
    if journal.is_resumed() {
        clear_members(out, gather.run)?;
    }
    if let Some(lora) = &recipe.finetune.lora {
        model.adapt(lora, &mut generator(recipe.seed, Purpose::Adapters))?;
    }
    // What lies before it stays as it is.
    let first = model.network.first_trainable(0)?;
    let examples = task.train.sequences.len();
    let per_epoch = options.steps_per_epoch(examples);
    observer.begin(Phase::Finetune, options.num_steps(examples));
    let resumed = match journal.is_resumed() {
        true => Candidates::resume::<Progress>(out, recipe, per_epoch, gather),
        false => None,
    };
    let (candidates, state, before) = match resumed {
        Some((candidates, state, progress)) => {
            observer.note(&format!("training goes on from step {}", state.steps()));
            (candidates, Some(state), progress)
        }
        None => (
            Candidates::new(out, recipe, per_epoch, gather)?,
            None,
            Progress::default(),
        ),
    };
    for point in &before.curve {
        journal.append(&event(gather.run, point, per_epoch))?;
    }
    let mut run = Run {
        recipe,
        task,
        journal,
        out,
        first,
        observer,
        run: gather.run,
        candidates,
        best: before.best,
        curve: before.curve,
        losses: before.losses,
        started,
        seconds: before.seconds,
        workspace: Workspace::default(),
    };
    let frozen = FrozenStates::none();
    let objective = FineTuning {
        split: &task.train,
        frozen: &frozen,
    };
    let trained = train_from(model, &objective, options, state, &mut run)?;
    let Run {
        candidates,
        best,
        curve,
        ..
    } = run;
    let Some((best_step, _)) = best else {
        return Err(TuneError::Diverged {
            step: trained.steps,
        }
        .into());
    };
    let plain = model.network.without_adapters()?;
    let mut members = Vec::new();
    for (step, file) in candidates.choose(trained.steps) {
        let path = gather.path("members", step);
        read_raw(&file, &mut model.params[first..])?;
        let target = out.join(&path);
        let labels = Some(&task.labels);
        let params: Cow<'_, [f32]> = match model.network.adapters() {
            None => model.params.as_slice().into(),
            Some(_) => {
                let target = out.join(gather.path(ADAPTERS, step));
                model
                    .network
                    .write_adapter(&model.params, name, &target, true)?;
                model.merged_params().into()
            }
        };
        plain.write_folder(&params, labels, Dtype::F32, Some(base), &target, true)?;
        members.push(MemberRecord {
            step,
            run: gather.run,
            path,
            select: Scores::new(),
        });
    }
    model.drop_adapters()?;
    observer.end(Phase::Finetune);
    let run = Finetune {
        best_step,
        steps: trained.steps,
        steps_per_epoch: per_epoch,
        curve,
        members,
        further_runs: Vec::new(),
    };
    let record = FinetuneRecord {
        number: gather.number(),
        run,
        seconds: before.seconds + started.elapsed().as_secs_f64(),
    };
    journal.add_finetune(&record)?;
    candidates.finish()?;
    Ok(record.run)
}

/// A run that is complete, whose members must still be there.
fn recall(
    known: FinetuneRecord,
    gather: Gather,
    journal: &mut Ledger,
    out: &Path,
) -> Result<Finetune, Error> {
    let FinetuneRecord { run, .. } = known;
    // Where it was killed just before it took them away itself.
    Candidates::clear(out, gather)?;
    if let Some(gone) = run
        .members
        .iter()
        .find(|m| !is_model_folder(out.join(&m.path)))
    {
        return Err(Error::OtherStudy {
            what: gone.path.clone(),
            was: "a member".into(),
            is: "missing".into(),
        });
    }
    for point in &run.curve {
        journal.append(&event(gather.run, point, run.steps_per_epoch))?;
    }
    Ok(run)
}

fn event(run: Option<usize>, point: &CurvePoint, steps_per_epoch: u64) -> Event {
    Event::Finetune {
        run,
        step: point.step,
        epoch: point.step as f64 / steps_per_epoch as f64,
        train_loss: point.train_loss,
        scores: point.select.clone(),
    }
}

struct Run<'a> {
    recipe: &'a Recipe,
    task: &'a Task,
    journal: &'a mut Ledger,
    out: &'a Path,
    /// The first parameter that is trained.
    first: usize,
    run: Option<usize>,
    observer: &'a mut dyn Observer,
    candidates: Candidates,
    best: Option<(u64, Scores)>,
    curve: Vec<CurvePoint>,
    losses: Vec<f64>,
    started: Instant,
    /// Wall-clock time of what came before the state that it went on from.
    seconds: f64,
    workspace: Workspace,
}

/// What a run notes along with the state of its training.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Progress {
    best: Option<(u64, Scores)>,
    curve: Vec<CurvePoint>,
    losses: Vec<f64>,
    seconds: f64,
}

impl Run<'_> {
    fn scorer(&self) -> &Scorer {
        &self.task.scorer
    }

    fn evaluate(&mut self, point: TrainPoint, model: &Model) -> Result<(), Error> {
        let frozen = FrozenStates::none();
        let (network, select) = (&model.network, &self.task.select);
        let scores = score(
            network,
            &model.params,
            select,
            &frozen,
            self.scorer(),
            &self.workspace,
        )?;
        let train_loss = self.losses.iter().sum::<f64>() / self.losses.len().max(1) as f64;
        self.losses.clear();
        let Some(scores) = scores else { return Ok(()) };
        let here = CurvePoint {
            step: point.step,
            train_loss,
            select: scores,
        };
        let event = event(self.run, &here, point.steps_per_epoch);
        self.journal.append(&event)?;
        let scores = &here.select;
        let better = match &self.best {
            None => true,
            Some((_, best)) => self.scorer().better(scores, best),
        };
        if better {
            self.candidates
                .keep_best(point.step, &model.params[self.first..])?;
            self.best = Some((point.step, scores.clone()));
        }
        self.curve.push(here);
        Ok(())
    }
}

impl TrainObserver for Run<'_> {
    type Error = Error;

    fn after_step(&mut self, point: TrainPoint, model: &Model) -> Result<Control, Error> {
        self.losses.push(point.loss);
        let finetune = &self.recipe.finetune;
        let evaluations = finetune.evaluations_per_epoch;
        if is_evaluation(point.step, point.steps, point.steps_per_epoch, evaluations) {
            self.evaluate(point, model)?;
        }
        self.candidates
            .offer(point.step, &model.params[self.first..])?;
        let name = &self.scorer().objectives[self.scorer().chosen].name;
        let message = match &self.best {
            Some((step, scores)) => format!("best {name} {:.4} at step {step}", scores[name]),
            None => String::new(),
        };
        self.observer.advance(Phase::Finetune, point.step, &message);
        let past_window = self.best.as_ref().is_some_and(|(best, _)| {
            point.step as f64 >= self.recipe.members.window[1] * *best as f64
        });
        let late = point.step as f64 >= MIN_SHARE * point.steps as f64;
        Ok(match finetune.early_stopping && past_window && late {
            true => Control::Stop,
            false => Control::Continue,
        })
    }

    fn may_save(&mut self, snapshot: &TrainSnapshot<'_>) -> Result<(), Error> {
        let stops = self.observer.interrupted();
        if self.candidates.is_due(stops) {
            let progress = Progress {
                best: self.best.clone(),
                curve: self.curve.clone(),
                losses: self.losses.clone(),
                seconds: self.seconds + self.started.elapsed().as_secs_f64(),
            };
            self.candidates.save(snapshot, snapshot.steps(), progress)?;
        }
        match stops {
            true => Err(Error::Interrupted {
                out: self.out.into(),
                on_disk: vec!["trials.jsonl".into()],
            }),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checkpoints_of_further_runs_lie_in_folders_of_their_own() {
        let path = |run| {
            let best_only = true;
            Gather { run, best_only }.path("members", 90)
        };
        assert_eq!(path(Some(2)), "members/run-2/checkpoint-90");
        assert_eq!(path(Some(1)), "members/checkpoint-90");
        assert_eq!(path(None), "members/checkpoint-90");
    }
}
