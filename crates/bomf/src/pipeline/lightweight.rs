//! The lightweight model of stage 1 (BOMF, Jang et al. 2024, section 4.2): the lower layers
//! frozen or adapters of low rank, a short run a trial, the trial's value that of its best
//! checkpoint. A trial that falls behind others may end early ([`super::pruning`]).

use super::pruning::{Climb, Pruner};
use super::seeds::{Purpose, generator};
use super::stage1::{Outcome, TrialJob, UNITS};
use super::task::Task;
use super::training::{is_evaluation, score, train_options};
use crate::recipe::Recipe;
use crate::{Error, Observer, Phase};
use bomf_study::{CurvePoint, Scores};
use bomf_tune::TuneError;
use bomf_tune::models::{Dropout, Model};
use bomf_tune::tape::Workspace;
use bomf_tune::train::{
    Control, EncodedSplit, FineTuning, FrozenStates, TrainObserver, TrainOptions, TrainPoint, train,
};
use std::path::Path;

/// Hidden states of frozen layers are kept where they take at most this; beyond it
/// they are computed anew in each step.
const MAX_STATES_BYTES: usize = 2 << 30;

/// Hidden states of the two splits that a trial sees.
struct States {
    train: FrozenStates,
    select: FrozenStates,
}

/// A model made ready for trials, which start from the same parameters every time.
pub(super) struct Lightweight<'a> {
    recipe: &'a Recipe,
    task: &'a Task,
    model: &'a mut Model,
    pruner: Pruner<'a>,
    /// The folder that an interruption tells of.
    out: &'a Path,
    frozen_layers: usize,
    /// Computed before the first trial that runs: where all are known, never.
    states: Option<States>,
    start: Vec<f32>,
    dropout: Dropout,
}

impl<'a> Lightweight<'a> {
    /// `recipe` is the one that stage 1 begins with; `model` holds the pre-trained parameters.
    pub fn new(
        recipe: &'a Recipe,
        task: &'a Task,
        model: &'a mut Model,
        pruner: Pruner<'a>,
        out: &'a Path,
    ) -> Result<Self, Error> {
        let lora = recipe.stage1.lora(recipe.finetune.lora.as_ref());
        let frozen_layers = match &lora {
            Some(_) => 0,
            None => recipe
                .stage1
                .frozen_layers
                .count(model.network.num_layers()),
        };
        if let Some(lora) = &lora {
            model.adapt(lora, &mut generator(recipe.seed, Purpose::Adapters))?;
        }
        Ok(Lightweight {
            recipe,
            task,
            frozen_layers,
            states: None,
            start: model.params.clone(),
            dropout: model.network.config().dropout,
            model,
            pruner,
            out,
        })
    }

    fn interrupted(&self) -> Error {
        Error::Interrupted {
            out: self.out.into(),
            on_disk: vec!["trials.jsonl".into()],
        }
    }

    fn lower(&self, split: &EncodedSplit, observer: &dyn Observer) -> Result<FrozenStates, Error> {
        let states = FrozenStates::new(
            &self.model.network,
            &self.model.params,
            &split.sequences,
            self.frozen_layers,
            MAX_STATES_BYTES,
            &|| observer.interrupted(),
        );
        states.map_err(|error| match error {
            TuneError::Interrupted => self.interrupted(),
            error => error.into(),
        })
    }

    /// One trial; `message` says how stage 1 stands.
    pub fn run(
        &mut self,
        trial: &TrialJob,
        message: String,
        observer: &mut dyn Observer,
    ) -> Result<Outcome, Error> {
        let options = train_options(&trial.choices, trial.choices.epochs, trial.seed);
        let options = options.ok_or_else(|| super::untuned(&trial.choices))?;
        if self.states.is_none() {
            self.states = Some(States {
                train: self.lower(&self.task.train, observer)?,
                select: self.lower(&self.task.select, observer)?,
            });
        }
        self.model.params.copy_from_slice(&self.start);
        let saves = trial.choices.gradient_checkpointing;
        self.model.network.set_gradient_checkpointing(saves);
        if let Some(rate) = trial.choices.dropout {
            self.model
                .network
                .set_dropout(Dropout::uniform(rate as f32));
        }
        let Some(states) = &self.states else {
            return Err(self.interrupted());
        };
        let mut run = Trial {
            task: self.task,
            states: &states.select,
            evaluations: self.recipe.stage1.evaluations_per_epoch,
            best: None,
            climb: self.pruner.follow(trial.number),
            is_pruned: false,
            curve: Vec::new(),
            losses: Vec::new(),
            workspace: Workspace::default(),
            progress: trial.number as u64 * UNITS,
            message,
            observer,
        };
        let objective = FineTuning {
            split: &self.task.train,
            frozen: &states.train,
        };
        let outcome = run.run(self.model, &objective, &options);
        let (best, curve) = (run.best.take(), std::mem::take(&mut run.curve));
        let is_pruned = run.is_pruned;
        match outcome {
            Ok(()) | Err(Error::Tune(TuneError::Diverged { .. })) => {}
            Err(Error::Tune(TuneError::Interrupted)) => return Err(self.interrupted()),
            Err(error) => return Err(error),
        }
        Ok(Outcome {
            value: best
                .as_ref()
                .map(|(_, scores)| self.task.scorer.stage1_value(scores)),
            best,
            is_pruned,
            curve,
        })
    }

    /// Makes the model what it was.
    pub fn restore(self) -> Result<(), Error> {
        self.model.params.copy_from_slice(&self.start);
        self.model.network.set_dropout(self.dropout);
        Ok(self.model.drop_adapters()?)
    }
}

/// One short run, and the best of its evaluations.
struct Trial<'a> {
    task: &'a Task,
    states: &'a FrozenStates,
    evaluations: usize,
    best: Option<(u64, Scores)>,
    climb: Climb<'a>,
    is_pruned: bool,
    curve: Vec<CurvePoint>,
    /// Of the steps since the last evaluation.
    losses: Vec<f64>,
    workspace: Workspace,
    progress: u64,
    message: String,
    observer: &'a mut dyn Observer,
}

impl Trial<'_> {
    fn run(
        &mut self,
        model: &mut Model,
        objective: &FineTuning<'_>,
        options: &TrainOptions,
    ) -> Result<(), Error> {
        train(model, objective, options, self).map(|_| ())
    }
}

impl TrainObserver for Trial<'_> {
    type Error = Error;

    fn after_step(&mut self, point: TrainPoint, model: &Model) -> Result<Control, Error> {
        if self.observer.interrupted() {
            return Err(TuneError::Interrupted.into());
        }
        let done = self.progress + UNITS * point.step / point.steps;
        self.observer.advance(Phase::Tune, done, &self.message);
        self.losses.push(point.loss);
        if is_evaluation(
            point.step,
            point.steps,
            point.steps_per_epoch,
            self.evaluations,
        ) {
            let (network, params) = (&model.network, &model.params);
            let (select, scorer) = (&self.task.select, &self.task.scorer);
            let scores = score(
                network,
                params,
                select,
                self.states,
                scorer,
                &self.workspace,
            )?;
            let losses = std::mem::take(&mut self.losses);
            if let Some(scores) = scores {
                self.curve.push(CurvePoint {
                    step: point.step,
                    train_loss: losses.iter().sum::<f64>() / losses.len().max(1) as f64,
                    select: scores.clone(),
                });
                let better = match &self.best {
                    None => true,
                    Some((_, best)) => scorer.stage1_value(&scores) > scorer.stage1_value(best),
                };
                if better {
                    self.best = Some((point.step, scores));
                }
            }
            if let Some((_, best)) = &self.best {
                let share = point.step as f64 / point.steps as f64;
                let best = scorer.stage1_value(best);
                if self.climb.is_hopeless(share, best)? {
                    self.is_pruned = true;
                    return Ok(Control::Stop);
                }
            }
        }
        Ok(Control::Continue)
    }
}
