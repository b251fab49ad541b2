//! A fine-tuning run of the full model, and the members gathered along it.
//!
//! With B* the step of the best chosen objective, the members lie at even spacing
//! in [0.5 B*, 2 B*] (BOMF, Jang et al. 2024, appendix B). B* is known only
//! afterwards, so candidates are kept while training: one every k steps, k doubling
//! whenever there are more than twice as many as wanted, and none from before the
//! window, whose lower end only moves up. Disk space stays bounded by that.
//!
//! Where adapters are trained, a candidate is them and the head; a member is the full
//! model with the adapters merged into it, so that averaging members averages the models,
//! and the adapter lies beside it in a folder of its own.

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
use std::collections::BTreeMap;
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
        candidates: Candidates::new(out, recipe, options.steps_per_epoch(examples), gather)?,
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
    for (step, file) in candidates.choose(best_step, trained.steps) {
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
    kept: BTreeMap<u64, PathBuf>,
    spacing: u64,
    /// How many members, the best step counted; 0 keeps that step alone.
    wanted: usize,
    window: [f64; 2],
    best: Option<(u64, PathBuf)>,
}

impl Candidates {
    fn new(
        out: &Path,
        recipe: &Recipe,
        steps_per_epoch: u64,
        gather: Gather,
    ) -> Result<Self, Error> {
        let failed = |source| Error::Output {
            path: out.into(),
            source,
        };
        Ok(Candidates {
            dir: tempfile::Builder::new()
                .prefix(CANDIDATES)
                .tempdir_in(out)
                .map_err(failed)?,
            kept: BTreeMap::new(),
            spacing: (steps_per_epoch / CANDIDATES_PER_EPOCH).max(1),
            wanted: if gather.best_only {
                0
            } else {
                recipe.members.count
            },
            window: recipe.members.window,
            best: None,
        })
    }

    fn write(&self, name: String, params: &[f32]) -> Result<PathBuf, Error> {
        let path = self.dir.path().join(name);
        std::fs::write(&path, bytemuck::cast_slice(params)).map_err(|source| Error::Output {
            path: path.clone(),
            source,
        })?;
        Ok(path)
    }

    fn remove(path: &Path) -> Result<(), Error> {
        std::fs::remove_file(path).map_err(|source| Error::Output {
            path: path.into(),
            source,
        })
    }

    /// Keeps the parameters of step `step` if it is one of every `spacing`, and lets
    /// go of what is no longer needed.
    fn offer(&mut self, step: u64, params: &[f32]) -> Result<(), Error> {
        if self.wanted == 0 || !step.is_multiple_of(self.spacing) {
            return Ok(());
        }
        let path = self.write(format!("step-{step}"), params)?;
        self.kept.insert(step, path);
        if let Some((best, _)) = self.best {
            let low = self.window[0] * best as f64;
            self.retain(|step| step as f64 >= low)?;
        }
        while self.kept.len() > 2 * self.wanted {
            self.spacing *= 2;
            let spacing = self.spacing;
            self.retain(|step| step.is_multiple_of(spacing))?;
        }
        Ok(())
    }

    fn retain(&mut self, keep: impl Fn(u64) -> bool) -> Result<(), Error> {
        let gone: Vec<u64> = self
            .kept
            .keys()
            .copied()
            .filter(|&step| !keep(step))
            .collect();
        gone.iter()
            .filter_map(|step| self.kept.remove(step))
            .try_for_each(|p| Self::remove(&p))
    }

    /// Keeps the best step so far whatever the spacing.
    fn keep_best(&mut self, step: u64, params: &[f32]) -> Result<(), Error> {
        let path = self.write(format!("best-{step}"), params)?;
        match self.best.replace((step, path)) {
            Some((_, old)) => Self::remove(&old),
            None => Ok(()),
        }
    }

    /// The members: the best step, and others of the window as evenly spaced as the
    /// candidates allow, by rising step.
    fn choose(&self, best_step: u64, last_step: u64) -> Vec<(u64, PathBuf)> {
        let low = self.window[0] * best_step as f64;
        let high = (self.window[1] * best_step as f64).min(last_step as f64);
        let mut pool: BTreeMap<u64, &PathBuf> = self
            .kept
            .iter()
            .filter(|&(&step, _)| (low..=high).contains(&(step as f64)))
            .map(|(&step, path)| (step, path))
            .collect();
        if let Some((step, path)) = &self.best {
            pool.insert(*step, path);
        }
        let steps: Vec<u64> = pool.keys().copied().collect();
        evenly(&steps, best_step, self.wanted)
            .into_iter()
            .map(|step| (step, pool[&step].clone()))
            .collect()
    }
}

/// At most `wanted` of the rising `steps`, `must` among them, spread as evenly as
/// they allow.
fn evenly(steps: &[u64], must: u64, wanted: usize) -> Vec<u64> {
    let (Some(&first), Some(&last)) = (steps.first(), steps.last()) else {
        return Vec::new();
    };
    if steps.len() <= wanted {
        return steps.to_vec();
    }
    let gap = (last - first) as f64 / (wanted.max(2) - 1) as f64;
    let mut left: Vec<u64> = steps.iter().copied().filter(|&s| s != must).collect();
    let mut targets: Vec<f64> = (0..wanted).map(|i| first as f64 + gap * i as f64).collect();
    // The place nearest to the step that must be in is its own.
    let distance = |a: f64, b: u64| (a - b as f64).abs();
    let own = (0..wanted)
        .min_by(|&a, &b| distance(targets[a], must).total_cmp(&distance(targets[b], must)));
    if let Some(own) = own {
        targets.remove(own);
    }
    let mut chosen = vec![must];
    for target in targets {
        let nearest = (0..left.len())
            .min_by(|&a, &b| distance(target, left[a]).total_cmp(&distance(target, left[b])));
        if let Some(i) = nearest {
            chosen.push(left.remove(i));
        }
    }
    chosen.sort_unstable();
    chosen
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
    use crate::recipe::Members;

    fn candidates(out: &Path, count: usize) -> Candidates {
        let members = Members {
            count,
            ..Members::default()
        };
        Candidates::new(
            out,
            &Recipe {
                members,
                ..Recipe::default()
            },
            100,
            Gather {
                run: None,
                best_only: false,
            },
        )
        .unwrap()
    }

    /// A run of `steps` whose best step so far is each of `bests` once reached.
    fn run(steps: u64, bests: &[u64], count: usize) -> (Vec<u64>, usize) {
        let dir = tempfile::tempdir().unwrap();
        let mut candidates = candidates(dir.path(), count);
        let mut most = 0;
        for step in 1..=steps {
            if bests.contains(&step) {
                candidates.keep_best(step, &[step as f32]).unwrap();
            }
            candidates.offer(step, &[step as f32]).unwrap();
            most = most.max(std::fs::read_dir(candidates.dir.path()).unwrap().count());
        }
        let best = *bests.iter().rfind(|&&b| b <= steps).unwrap();
        let mut value = [0.0];
        let chosen = candidates.choose(best, steps);
        for (step, file) in &chosen {
            read_raw(file, &mut value).unwrap();
            assert_eq!(
                value[0], *step as f32,
                "a file holds the parameters of its step"
            );
        }
        (chosen.into_iter().map(|(step, _)| step).collect(), most)
    }

    #[test]
    fn members_are_spread_over_the_window_and_hold_the_best_step() {
        for (steps, bests) in [
            (1000, vec![25, 175, 501]),
            (400, vec![200]),
            (3000, vec![1333]),
        ] {
            let (chosen, most) = run(steps, &bests, 15);
            let best = *bests.last().unwrap();
            assert_eq!(chosen.len(), 15, "{chosen:?}");
            assert!(chosen.contains(&best));
            assert!(most <= 2 * 15 + 3, "{most} files at once");
            let high = (2 * best).min(steps);
            assert!(
                chosen.iter().all(|&s| 2 * s >= best && s <= high),
                "{chosen:?}"
            );
            let gaps: Vec<u64> = chosen.windows(2).map(|w| w[1] - w[0]).collect();
            let widest = *gaps.iter().max().unwrap();
            assert!(widest <= 3 * (high - best / 2) / 14, "{chosen:?}");
        }
    }

    #[test]
    fn of_a_run_for_its_best_step_nothing_else_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let gather = Gather {
            run: Some(2),
            best_only: true,
        };
        let mut candidates = Candidates::new(dir.path(), &Recipe::default(), 100, gather).unwrap();
        for step in 1..=200 {
            if [20, 90].contains(&step) {
                candidates.keep_best(step, &[step as f32]).unwrap();
            }
            candidates.offer(step, &[step as f32]).unwrap();
            let files = std::fs::read_dir(candidates.dir.path()).unwrap().count();
            assert!(files <= 1, "{files} files at step {step}");
        }
        let steps: Vec<u64> = candidates.choose(90, 200).iter().map(|c| c.0).collect();
        assert_eq!(steps, [90]);
        assert_eq!(gather.path("members", 90), "members/run-2/checkpoint-90");
        let first = Gather {
            run: Some(1),
            ..gather
        };
        assert_eq!(first.path("members", 90), "members/checkpoint-90");
    }

    #[test]
    fn a_short_run_gives_the_members_it_has() {
        let (chosen, _) = run(6, &[4], 15);
        assert!(chosen.contains(&4) && chosen.len() <= 6, "{chosen:?}");
    }
}
