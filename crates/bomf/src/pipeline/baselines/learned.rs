//! Weights by gradients: `learned_swa` on the select split, `twa` on the training split.
//!
//! The methods are [`bomf_fuse::methods::learned_swa`] and [`bomf_fuse::methods::twa`]; here
//! is where their gradients come from.

use super::Engine;
use crate::Error;
use crate::pipeline::evaluator::{Evaluator, Log};
use crate::pipeline::seeds::{Purpose, generator};
use crate::pipeline::stage2::Found;
use crate::recipe::Recipe;
use bomf_fuse::methods::{learned_swa, twa, uniform_soup};
use bomf_study::MethodName;
use bomf_tune::models::Network;
use bomf_tune::tape::{Gradients, Tape, Workspace};
use bomf_tune::train::EncodedSplit;
use rand::seq::SliceRandom;

/// Examples of a step within the members' span.
const BATCH: usize = 32;

/// Examples whose gradients are computed at a time.
const CHUNK: usize = 32;

/// What a backward pass costs beside its forward pass, in forward passes: two products of
/// matrices for each one.
const BACKWARD: usize = 2;

/// Gradients of the mean loss on examples of a split, without dropout.
struct Slopes<'a> {
    engine: &'a Engine<'a>,
    split: &'a EncodedSplit,
    fused: Vec<f32>,
    gradients: Gradients,
    workspace: Workspace,
}

impl<'a> Slopes<'a> {
    fn new(engine: &'a Engine<'a>, split: &'a EncodedSplit) -> Self {
        let len = engine.members.dim();
        Slopes {
            engine,
            split,
            fused: vec![0.0; len],
            gradients: Gradients::zeros(0, len),
            workspace: Workspace::default(),
        }
    }

    /// The slopes of the loss by the weights, up to a constant that all of them share.
    fn at(&mut self, weights: &[f64], examples: &[usize]) -> Result<Vec<f64>, Error> {
        self.engine.members.fuse_into(weights, &mut self.fused)?;
        self.gradients.values.fill(0.0);
        for indices in examples.chunks(CHUNK) {
            self.add(self.engine.network, indices, examples.len());
        }
        Ok(learned_swa::slopes(
            self.engine.members,
            &self.gradients.values,
        )?)
    }

    fn add(&mut self, network: &Network, indices: &[usize], of: usize) {
        let batch = self.split.sequences.batch(indices);
        let mut tape = Tape::training(&self.fused, &mut self.gradients, None, &self.workspace);
        let outputs = network.forward(&mut tape, &batch);
        let scale = 1.0 / of.max(1) as f32;
        self.split
            .loss(network, &mut tape, &outputs, &batch, indices, scale);
        drop(outputs);
        tape.backward();
    }
}

/// Gradient descent on the select loss, from the average, for as many passes over the split
/// as `budget` (a gradient counts as the three forward passes that it costs).
pub(super) fn learned_swa(
    evaluator: &mut Evaluator<'_>,
    engine: &Engine<'_>,
    budget: usize,
) -> Result<Option<Found>, Error> {
    let goals = evaluator.goals;
    let split = &engine.task.select;
    let all: Vec<usize> = (0..split.sequences.len()).collect();
    let mut slopes = Slopes::new(engine, split);
    let log = std::cell::RefCell::new(Log::new(MethodName::LearnedSwa));
    let start = uniform_soup::weights(engine.members.len());
    let spent = || log.borrow().evaluations;
    learned_swa::search(
        &start,
        budget.max(1),
        |weights| -> Result<Option<f64>, Error> {
            // What gradients cost leaves fewer losses.
            if spent() >= budget.max(1) {
                return Ok(None);
            }
            let scores = evaluator.scores(weights, &mut log.borrow_mut())?;
            Ok(scores.map(|scores| -goals.maximised(&scores)[goals.loss()]))
        },
        |weights| {
            log.borrow_mut().evaluations += 1 + BACKWARD;
            slopes.at(weights, &all)
        },
    )?;
    let log = log.into_inner();
    // It descends: the lowest loss is the outcome.
    let loss =
        |e: &&crate::pipeline::evaluator::Evaluated| goals.maximised(&e.scores)[goals.loss()];
    let best = log.all.iter().max_by(|a, b| loss(a).total_cmp(&loss(b)));
    let best = best.cloned();
    Ok(best.map(|best| log.found(best)))
}

/// One pass over the training split within the members' span, and one evaluation of where it
/// ends; `None` without training examples, or where that gives no finite scores.
pub(super) fn twa(
    recipe: &Recipe,
    evaluator: &mut Evaluator<'_>,
    engine: &Engine<'_>,
) -> Result<Option<Found>, Error> {
    let split = &engine.task.train;
    let mut order: Vec<usize> = (0..split.sequences.len()).collect();
    if order.is_empty() {
        return Ok(None);
    }
    let mut log = Log::new(MethodName::Twa);
    order.shuffle(&mut generator(recipe.seed, Purpose::Twa));
    let gram = engine.members.gram(|_| true)?;
    let mut walk = twa::Twa::new(&gram, order.len().div_ceil(BATCH) as u32);
    let mut slopes = Slopes::new(engine, split);
    for examples in order.chunks(BATCH) {
        evaluator.stop_if_interrupted()?;
        let found = slopes.at(&walk.weights(), examples)?;
        walk.step(&found);
    }
    evaluator.scores(&walk.weights(), &mut log)?;
    // What it trained on, in passes over the select split.
    let share = order.len() as f64 / engine.task.select.sequences.len().max(1) as f64;
    log.evaluations += ((1 + BACKWARD) as f64 * share).round() as usize;
    let found = log.all.last().cloned();
    Ok(found.map(|found| log.found(found)))
}
