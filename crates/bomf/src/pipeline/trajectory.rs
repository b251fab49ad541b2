//! A fine-tuning run of the full model, and the members gathered along it.
//!
//! Which steps are candidates, and which of them become members, is said by
//! [`super::keeper`]. Disk space stays bounded by that.
//!
//! Where adapters are trained, a candidate is them and the head; a member is the full
//! model with the adapters merged into it, so that averaging members averages the models,
//! and the adapter lies beside it in a folder of its own.

use super::keeper::Keeper;
use super::scorer::Scorer;
use super::seeds::{Purpose, generator};
use super::task::Task;
use super::training::{is_evaluation, score};
use crate::output::{ADAPTERS, CANDIDATES};
use crate::recipe::Recipe;
use crate::{Error, Observer, Phase};
use bomf_checkpoint::Dtype;
use bomf_study::{CurvePoint, Event, Finetune, Journal, MemberRecord, Scores};
use bomf_tune::TuneError;
use bomf_tune::models::Model;
use bomf_tune::tape::Workspace;
use bomf_tune::train::{
    Control, FineTuning, FrozenStates, TrainObserver, TrainOptions, TrainPoint, train,
};
use std::borrow::Cow;
use std::path::{Path, PathBuf};

/// Candidates an epoch at first.
const CANDIDATES_PER_EPOCH: u64 = 20;
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
    journal: &mut Journal,
    folders: Folders<'_>,
    observer: &mut dyn Observer,
) -> Result<Finetune, Error> {
    let Folders { base, name, out } = folders;
    if let Some(lora) = &recipe.finetune.lora {
        model.adapt(lora, &mut generator(recipe.seed, Purpose::Adapters))?;
    }
    // What lies before it stays as it is.
    let first = model.network.first_trainable(0)?;
    let examples = task.train.sequences.len();
    observer.begin(Phase::Finetune, options.num_steps(examples));
    let mut run = Run {
        recipe,
        task,
        journal,
        out,
        first,
        observer,
        run: gather.run,
        candidates: Candidates::new(
            out,
            recipe,
            options.steps_per_epoch(examples),
            gather.best_only,
        )?,
        best: None,
        curve: Vec::new(),
        losses: Vec::new(),
        workspace: Workspace::default(),
    };
    let frozen = FrozenStates::none();
    let objective = FineTuning {
        split: &task.train,
        frozen: &frozen,
    };
    let trained = train(model, &objective, options, &mut run)?;
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
    Ok(Finetune {
        best_step,
        steps: trained.steps,
        steps_per_epoch: options.steps_per_epoch(examples),
        curve,
        members,
        further_runs: Vec::new(),
    })
}

struct Run<'a> {
    recipe: &'a Recipe,
    task: &'a Task,
    journal: &'a mut Journal,
    out: &'a Path,
    /// The first parameter that is trained.
    first: usize,
    run: Option<usize>,
    observer: &'a mut dyn Observer,
    candidates: Candidates,
    best: Option<(u64, Scores)>,
    curve: Vec<CurvePoint>,
    losses: Vec<f64>,
    workspace: Workspace,
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
        self.journal.append(&Event::Finetune {
            run: self.run,
            step: point.step,
            epoch: point.step as f64 / point.steps_per_epoch as f64,
            train_loss,
            scores: scores.clone(),
        })?;
        let better = match &self.best {
            None => true,
            Some((_, best)) => self.scorer().better(&scores, best),
        };
        if better {
            self.candidates
                .keep_best(point.step, &model.params[self.first..])?;
            self.best = Some((point.step, scores.clone()));
        }
        self.curve.push(CurvePoint {
            step: point.step,
            train_loss,
            select: scores,
        });
        Ok(())
    }
}

impl TrainObserver for Run<'_> {
    type Error = Error;

    fn after_step(&mut self, point: TrainPoint, model: &Model) -> Result<Control, Error> {
        if self.observer.interrupted() {
            let on_disk = vec!["trials.jsonl".into()];
            return Err(Error::Interrupted {
                out: self.out.into(),
                on_disk,
            });
        }
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
}

/// Parameters kept along the run, as raw files in a folder that goes away with this.
struct Candidates {
    dir: tempfile::TempDir,
    keeper: Keeper,
    /// Whether nothing but the best step is kept.
    best_only: bool,
}

impl Candidates {
    fn new(
        out: &Path,
        recipe: &Recipe,
        steps_per_epoch: u64,
        best_only: bool,
    ) -> Result<Self, Error> {
        let failed = |source| Error::Output {
            path: out.into(),
            source,
        };
        let spacing = (steps_per_epoch / CANDIDATES_PER_EPOCH).max(1);
        let wanted = if best_only { 1 } else { recipe.members.count };
        Ok(Candidates {
            dir: tempfile::Builder::new()
                .prefix(CANDIDATES)
                .tempdir_in(out)
                .map_err(failed)?,
            keeper: Keeper::new(wanted, recipe.members.window, spacing),
            best_only,
        })
    }

    fn path(&self, step: u64) -> PathBuf {
        self.dir.path().join(format!("step-{step}"))
    }

    fn write(&self, step: u64, params: &[f32]) -> Result<(), Error> {
        let path = self.path(step);
        std::fs::write(&path, bytemuck::cast_slice(params))
            .map_err(|source| Error::Output { path, source })
    }

    fn remove(&self, steps: &[u64]) -> Result<(), Error> {
        steps.iter().try_for_each(|&step| {
            let path = self.path(step);
            std::fs::remove_file(&path).map_err(|source| Error::Output { path, source })
        })
    }

    /// Keeps the parameters of step `step` if it is one of every so many, and lets
    /// go of what is no longer needed.
    fn offer(&mut self, step: u64, params: &[f32]) -> Result<(), Error> {
        if self.best_only || !self.keeper.wants(step) {
            return Ok(());
        }
        if self.keeper.best() != Some(step) {
            self.write(step, params)?;
        }
        let gone = self.keeper.keep(step);
        self.remove(&gone)
    }

    /// Keeps the best step so far whatever the spacing.
    fn keep_best(&mut self, step: u64, params: &[f32]) -> Result<(), Error> {
        self.write(step, params)?;
        let gone = self.keeper.keep_best(step);
        self.remove(&gone)
    }

    /// The members: the best step, and others of the window as evenly spaced as the
    /// candidates allow, by rising step.
    fn choose(&self, last_step: u64) -> Vec<(u64, PathBuf)> {
        let steps = self.keeper.choose(last_step).into_iter();
        steps.map(|step| (step, self.path(step))).collect()
    }
}

fn read_raw(path: &Path, params: &mut [f32]) -> Result<(), Error> {
    use std::io::Read;
    let mut file = std::fs::File::open(path).map_err(|source| Error::Output {
        path: path.into(),
        source,
    })?;
    file.read_exact(bytemuck::cast_slice_mut(params))
        .map_err(|source| Error::Output {
            path: path.into(),
            source,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run of 200 steps, of which a few were the best so far; `most` files lie there at a time.
    fn candidates(out: &Path, best_only: bool) -> (Candidates, usize) {
        let mut recipe = Recipe::default();
        recipe.members.count = 4;
        let mut candidates = Candidates::new(out, &recipe, 100, best_only).unwrap();
        let mut most = 0;
        for step in 1..=200 {
            if [30, 90, 110].contains(&step) {
                candidates.keep_best(step, &[step as f32]).unwrap();
            }
            candidates.offer(step, &[step as f32]).unwrap();
            let files = std::fs::read_dir(candidates.dir.path()).unwrap().count();
            assert_eq!(files, candidates.keeper.held().len());
            most = most.max(files);
        }
        (candidates, most)
    }

    #[test]
    fn a_candidates_file_holds_the_parameters_of_its_step() {
        let dir = tempfile::tempdir().unwrap();
        let (candidates, _) = candidates(dir.path(), false);
        let chosen = candidates.choose(200);
        assert_eq!(chosen.len(), 4);
        let mut value = [0.0];
        for (step, file) in &chosen {
            read_raw(file, &mut value).unwrap();
            assert_eq!(value[0], *step as f32);
        }
    }

    #[test]
    fn of_a_run_for_its_best_step_nothing_else_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let (candidates, most) = candidates(dir.path(), true);
        assert_eq!(most, 1);
        let steps: Vec<u64> = candidates.choose(200).iter().map(|c| c.0).collect();
        assert_eq!(steps, [110]);
    }

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
