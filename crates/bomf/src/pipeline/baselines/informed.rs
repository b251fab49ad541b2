//! Averages by what each member's training data say of it: `fisher` by the Fisher information of
//! its parameters, `regmean` by the inputs of its linear layers
//! ([`bomf_fuse::methods::fisher`], [`bomf_fuse::methods::regmean`]).
//!
//! Statistics are of the train split, of as many examples as the papers find to be enough, one
//! member after another: no more than one member's are in memory at a time.

use super::Engine;
use super::fixed::{Fixed, evaluated};
use crate::pipeline::evaluator::{Evaluator, Log};
use crate::pipeline::mixtures::vertex;
use crate::pipeline::statistics::{Found, of_model, spread};
use crate::{Error, StatisticsKind};
use bomf_fuse::methods::fisher::RunningFisher;
use bomf_fuse::methods::regmean::{ALPHA, LeastSquares};
use bomf_fuse::methods::uniform_soup;
use bomf_study::MethodName;
use bomf_tune::data::Labels;
use bomf_tune::params::Param;
use bomf_tune::train::Control;
use std::time::Instant;

/// Examples that Fisher information is a mean of: each needs a backward pass of its own.
const FISHER_EXAMPLES: usize = 256;

/// Examples whose inputs make Gram matrices.
const GRAM_EXAMPLES: usize = 1000;

/// What an example costs, in forward passes: one for the labels' probabilities, and one with
/// its backward pass, which costs two.
const FISHER_COST: f64 = 4.0;

/// The average weighted by Fisher information, over labels as probable as the member has them;
/// those of the data where a label is no class or number. `None` without training examples, or where it gives
/// no finite scores.
pub(super) fn fisher(
    evaluator: &mut Evaluator<'_>,
    engine: &Engine<'_>,
) -> Result<Option<Fixed>, Error> {
    let kind = match &engine.task.train.labels {
        Labels::Class(_) | Labels::Value(_) => StatisticsKind::Fisher,
        _ => StatisticsKind::EmpiricalFisher,
    };
    let mut average = RunningFisher::new(engine.members.dim());
    let begun = begin(MethodName::Fisher, FISHER_EXAMPLES, FISHER_COST, engine);
    let Some(mut begun) = begun else {
        return Ok(None);
    };
    begun.each(evaluator, engine, kind, |params, found| {
        if let Found::Fisher(fisher) = found {
            average.add(params, &fisher);
        }
    })?;
    average.finish(&mut begun.params);
    evaluated(evaluator, engine, begun.log, begun.params, begun.started)
}

/// RegMean. `None` as for [`fisher`], or where a layer cannot be solved.
pub(super) fn regmean(
    evaluator: &mut Evaluator<'_>,
    engine: &Engine<'_>,
) -> Result<Option<Fixed>, Error> {
    let begun = begin(MethodName::Regmean, GRAM_EXAMPLES, 1.0, engine);
    let Some(mut begun) = begun else {
        return Ok(None);
    };
    let mut layers: Vec<(Param, LeastSquares)> = Vec::new();
    begun.each(evaluator, engine, StatisticsKind::Gram, |params, found| {
        let Found::Grams(grams) = found else {
            return;
        };
        if layers.is_empty() {
            let new = |weight: Param| {
                let size = (weight.inputs(), weight.outputs());
                (weight, LeastSquares::new(size, weight.transposed, ALPHA))
            };
            layers = grams.iter().map(|gram| new(gram.weight)).collect();
        }
        for ((weight, layer), gram) in layers.iter_mut().zip(&grams) {
            layer.add(1.0, &gram.values, weight.of(params));
        }
    })?;
    for (weight, layer) in layers {
        let Some(solved) = layer.solve() else {
            return Ok(None);
        };
        begun.params[weight.offset..weight.offset + weight.len()].copy_from_slice(&solved);
    }
    evaluated(evaluator, engine, begun.log, begun.params, begun.started)
}

/// A method that has begun.
struct Begun {
    log: Log,
    started: Instant,
    /// Examples of the train split.
    examples: Vec<usize>,
    /// The members' average, to be made better.
    params: Vec<f32>,
}

fn begin(name: MethodName, examples: usize, cost: f64, engine: &Engine<'_>) -> Option<Begun> {
    let all = engine.task.train.sequences.len();
    if all == 0 {
        return None;
    }
    let examples = spread(all, Some(examples));
    let mut log = Log::new(name);
    // What it looked at, in passes over the select split.
    let looked_at = (examples.len() * engine.members.len()) as f64 * cost;
    log.evaluations +=
        (looked_at / engine.task.select.sequences.len().max(1) as f64).round() as usize;
    Some(Begun {
        log,
        started: Instant::now(),
        examples,
        params: vec![0.0; engine.members.dim()],
    })
}

impl Begun {
    /// Hands `visit` the parameters and the statistics of each member.
    fn each(
        &mut self,
        evaluator: &Evaluator<'_>,
        engine: &Engine<'_>,
        kind: StatisticsKind,
        mut visit: impl FnMut(&[f32], Found),
    ) -> Result<(), Error> {
        let n = engine.members.len();
        let mut params = vec![0.0; engine.members.dim()];
        for member in 0..n {
            evaluator.stop_if_interrupted()?;
            engine.members.fuse_into(&vertex(member, n), &mut params)?;
            let found = of_model(
                engine.network,
                &params,
                &engine.task.train,
                &self.examples,
                kind,
                &mut |_| match evaluator.observer.interrupted() {
                    true => Control::Stop,
                    false => Control::Continue,
                },
            );
            match found {
                Ok(found) => visit(&params, found),
                Err(Error::Interrupted { .. }) => evaluator.stop_if_interrupted()?,
                Err(other) => return Err(other),
            }
        }
        engine
            .members
            .fuse_into(&uniform_soup::weights(n), &mut self.params)?;
        Ok(())
    }
}
