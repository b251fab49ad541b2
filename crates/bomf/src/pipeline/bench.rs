//! `bomf bench`: examples a second in training or evaluation, and peak memory.

use super::seeds::{Purpose, generator};
use super::task::Task;
use super::{at_least, in_pool, peak_rss_mb};
use crate::{BenchMode, BenchOutcome, BenchRequest, Error, Observer, resolve_model};
use bomf_tune::TuneError;
use bomf_tune::data::Labels;
use bomf_tune::models::{Config, Model};
use bomf_tune::optim::Schedule;
use bomf_tune::tape::{Tape, Workspace};
use bomf_tune::train::{
    Control, EncodedSplit, FineTuning, FrozenStates, TrainObserver, TrainOptions, TrainPoint, train,
};
use std::time::Instant;

/// Batches outside the clock.
const WARM_UP: u64 = 2;

/// Measures one pass over the first `limit` training examples; tokenising, loading
/// and two batches are outside the clock.
///
/// # Errors
/// Where the model or the data cannot be read, or there are too few examples.
pub fn bench(request: &BenchRequest, observer: &mut dyn Observer) -> Result<BenchOutcome, Error> {
    in_pool(request.threads, || bench_here(request, observer))
}

fn bench_here(request: &BenchRequest, observer: &mut dyn Observer) -> Result<BenchOutcome, Error> {
    at_least("batch_size", request.batch_size, 1)?;
    let base = resolve_model(&request.model, observer)?;
    let config = Config::read(&base)?;
    let recipe = &request.recipe;
    let task = Task::load(&request.data, &base, &config, recipe, false, observer)?;
    let mut rng = generator(recipe.seed, Purpose::Head);
    let (mut model, _) = Model::load(&base, task.labels.head(), &mut rng)?;
    let choices = &recipe.finetune;
    if let Some(lora) = &choices.lora {
        model.adapt(lora, &mut rng)?;
    }
    let saves = choices.gradient_checkpointing;
    model.network.set_gradient_checkpointing(saves);
    let split = first(&task.train, request.limit.unwrap_or(usize::MAX));
    let batches = split.sequences.len().div_ceil(request.batch_size) as u64;
    if batches <= WARM_UP {
        return Err(TuneError::Empty {
            split: "train".into(),
        }
        .into());
    }
    let timed = match request.mode {
        BenchMode::Train => train_once(&mut model, &split, request)?,
        BenchMode::Eval => evaluate_once(&model, &split, request.batch_size),
    };
    let (samples, seconds) = timed;
    Ok(BenchOutcome {
        samples,
        seconds,
        samples_per_second: samples as f64 / seconds,
        peak_rss_mb: peak_rss_mb(),
    })
}

fn first(split: &EncodedSplit, limit: usize) -> EncodedSplit {
    let n = split.sequences.len().min(limit);
    let sequences = split.sequences.first(n);
    let labels = match &split.labels {
        Labels::Class(ids) => Labels::Class(ids[..n].to_vec()),
        Labels::Value(values) => Labels::Value(values[..n].to_vec()),
        Labels::Tokens(counts) => Labels::Tokens(counts[..n].to_vec()),
        // Found by their sequences, of which they may have more than there are.
        Labels::Answers(_) | Labels::Tags(_) => split.labels.clone(),
    };
    EncodedSplit::new(sequences, labels)
}

struct Clock {
    started: Instant,
}

impl TrainObserver for Clock {
    type Error = Error;

    fn after_step(&mut self, point: TrainPoint, _: &Model) -> Result<Control, Error> {
        if point.step == WARM_UP {
            self.started = Instant::now();
        }
        Ok(Control::Continue)
    }
}

fn train_once(
    model: &mut Model,
    split: &EncodedSplit,
    request: &BenchRequest,
) -> Result<(usize, f64), Error> {
    let options = TrainOptions {
        epochs: 1.0,
        batch_size: request.batch_size,
        gradient_accumulation_steps: 1,
        learning_rate: 2e-5,
        warmup_ratio: 0.0,
        schedule: Schedule::Constant,
        optimizer: super::training::optimizer(&request.recipe.finetune),
        seed: request.recipe.seed,
    };
    let mut clock = Clock {
        started: Instant::now(),
    };
    let none = FrozenStates::none();
    train(
        model,
        &FineTuning {
            split,
            frozen: &none,
        },
        &options,
        &mut clock,
    )?;
    let samples = split.sequences.len() - WARM_UP as usize * request.batch_size;
    Ok((samples, clock.started.elapsed().as_secs_f64()))
}

fn evaluate_once(model: &Model, split: &EncodedSplit, batch_size: usize) -> (usize, f64) {
    let workspace = Workspace::default();
    let all: Vec<usize> = (0..split.sequences.len()).collect();
    let run = |indices: &[usize]| {
        let batch = split.sequences.batch(indices);
        let mut tape = Tape::inference(&model.params, &workspace);
        model.network.forward(&mut tape, &batch);
    };
    let (warm, timed) = all.split_at(WARM_UP as usize * batch_size);
    warm.chunks(batch_size).for_each(run);
    let started = Instant::now();
    timed.chunks(batch_size).for_each(run);
    (timed.len(), started.elapsed().as_secs_f64())
}
