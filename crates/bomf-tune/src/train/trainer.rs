//! The training loop: epochs of shuffled batches without padding, accumulation,
//! clipping, an optimiser, a schedule; observed, and stopped, from outside.

use super::{TrainSnapshot, TrainState};
use crate::TuneError;
use crate::models::{Model, Network};
use crate::optim::{Optimizer, OptimizerOptions, Schedule};
use crate::tape::{Gradients, Workspace};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// How a run goes.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainOptions {
    /// Passes over the training split; the schedule is laid out over all of them.
    pub epochs: f64,
    /// Examples a forward pass; 0 is taken for 1.
    pub batch_size: usize,
    /// Batches an optimiser step; 0 is taken for 1.
    pub gradient_accumulation_steps: usize,
    /// Learning rate after the warm-up.
    pub learning_rate: f64,
    /// Share of the steps over which the learning rate rises from 0.
    pub warmup_ratio: f64,
    /// How it goes after that.
    pub schedule: Schedule,
    /// Which optimiser, and its rates.
    pub optimizer: OptimizerOptions,
    /// Seeds the shuffling and the dropout.
    pub seed: u64,
}

impl TrainOptions {
    /// Optimiser steps in one pass over `examples` examples.
    pub fn steps_per_epoch(&self, examples: usize) -> u64 {
        let step = self.batch_size.max(1) * self.gradient_accumulation_steps.max(1);
        examples.div_ceil(step) as u64
    }

    /// Optimiser steps of the whole run, at least 1.
    pub fn num_steps(&self, examples: usize) -> u64 {
        let per_epoch = self.steps_per_epoch(examples) as f64;
        ((per_epoch * self.epochs).round() as u64).max(1)
    }
}

/// Whether to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// With the next step.
    Continue,
    /// End the run here, as if it had been planned so.
    Stop,
}

/// Where the run is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrainPoint {
    /// Optimiser steps made.
    pub step: u64,
    /// Optimiser steps planned.
    pub steps: u64,
    /// Optimiser steps in one epoch.
    pub steps_per_epoch: u64,
    /// Loss of this step, a mean over its examples.
    pub loss: f64,
    /// Norm of its gradient before clipping.
    pub gradient_norm: f64,
}

/// Follows a run.
pub trait TrainObserver {
    /// The error that an observer may stop the run with.
    type Error: From<TuneError>;

    /// A step has been made; `model` holds the new parameters.
    ///
    /// # Errors
    /// Whatever ends the run.
    fn after_step(&mut self, point: TrainPoint, model: &Model) -> Result<Control, Self::Error>;

    /// The run goes on after this step, and could go on from a snapshot of it.
    ///
    /// # Errors
    /// Whatever ends the run.
    fn may_save(&mut self, _snapshot: &TrainSnapshot<'_>) -> Result<(), Self::Error> {
        Ok(())
    }
}

/// What is learned: examples by number, and the loss on some of them.
pub trait Objective {
    /// How many examples there are.
    fn num_examples(&self) -> usize;

    /// The first parameter to train; those before it are frozen.
    ///
    /// # Errors
    /// Where the network has no such part.
    fn first_trainable(&self, network: &Network) -> Result<usize, TuneError>;

    /// Adds to `gradients` those of the loss summed over the examples `indices`;
    /// returns that sum and the number of terms in it.
    fn accumulate(
        &self,
        model: &Model,
        gradients: &mut Gradients,
        indices: &[usize],
        rng: &mut ChaCha8Rng,
        workspace: &Workspace,
    ) -> (f64, usize);
}

/// What a run was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trained {
    /// Optimiser steps made.
    pub steps: u64,
    /// Examples seen.
    pub examples: u64,
}

/// Trains `model` on `objective`.
///
/// # Errors
/// [`TuneError::Empty`], [`TuneError::Freeze`], [`TuneError::Diverged`] where the
/// loss or the gradient is no longer finite, and the observer's own.
pub fn train<O: TrainObserver>(
    model: &mut Model,
    objective: &impl Objective,
    options: &TrainOptions,
    observer: &mut O,
) -> Result<Trained, O::Error> {
    train_from(model, objective, options, None, observer)
}

/// As [`train`], from the `state` that a snapshot of the same run left; the observer is
/// told of the steps after it.
///
/// # Errors
/// As [`train`], and [`TuneError::OtherRun`] for the state of another run.
pub fn train_from<O: TrainObserver>(
    model: &mut Model,
    objective: &impl Objective,
    options: &TrainOptions,
    state: Option<TrainState>,
    observer: &mut O,
) -> Result<Trained, O::Error> {
    let examples = objective.num_examples();
    if examples == 0 {
        return Err(TuneError::Empty {
            split: "train".into(),
        }
        .into());
    }
    let layout = model.network.layout();
    let first = objective.first_trainable(&model.network)?;
    let mut optimiser = Optimizer::new(layout, first, options.optimizer);
    let mut gradients = Gradients::zeros(first, layout.len());
    let workspace = Workspace::default();
    let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
    let steps = options.num_steps(examples);
    let warmup = (steps as f64 * options.warmup_ratio).ceil() as u64;
    let mut order: Vec<usize> = (0..examples).collect();
    let batch_size = options.batch_size.max(1);
    let per_step = batch_size * options.gradient_accumulation_steps.max(1);
    let mut done = Trained {
        steps: 0,
        examples: 0,
    };
    // Examples of the epoch that were seen.
    let mut seen = examples;
    if let Some(state) = state {
        let restored = state.restore(model, first, examples, &mut optimiser);
        (order, seen, rng, done) = restored.ok_or(TuneError::OtherRun)?;
    }
    loop {
        if seen == examples {
            order.shuffle(&mut rng);
            seen = 0;
        }
        let indices = &order[seen..examples.min(seen + per_step)];
        gradients.values.fill(0.0);
        let (mut loss, mut terms) = (0.0, 0);
        for indices in indices.chunks(batch_size) {
            let (sum, count) =
                objective.accumulate(model, &mut gradients, indices, &mut rng, &workspace);
            loss += sum;
            terms += count;
        }
        let scale = 1.0 / terms.max(1) as f64;
        let loss = loss * scale;
        let factor = options.schedule.factor(done.steps, steps, warmup);
        let lr = options.learning_rate * factor;
        let gradient_norm = optimiser.step(&mut model.params, &gradients, scale, lr);
        done.steps += 1;
        done.examples += indices.len() as u64;
        seen += indices.len();
        if !loss.is_finite() || !gradient_norm.is_finite() {
            return Err(TuneError::Diverged { step: done.steps }.into());
        }
        let point = TrainPoint {
            step: done.steps,
            steps,
            steps_per_epoch: options.steps_per_epoch(examples),
            loss,
            gradient_norm,
        };
        let control = observer.after_step(point, model)?;
        if control == Control::Stop || done.steps == steps {
            return Ok(done);
        }
        observer.may_save(&TrainSnapshot {
            model,
            first,
            optimiser: &optimiser,
            rng: &rng,
            order: &order,
            seen,
            done,
        })?;
    }
}
