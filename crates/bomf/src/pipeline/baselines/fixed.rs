//! Baselines that are one model, but no mixture of the members: `model_stock`, which draws
//! their average back to where training began
//! ([`bomf_fuse::methods::model_stock`], with an angle for each tensor).

use super::Engine;
use crate::Error;
use crate::pipeline::evaluator::{Evaluator, Log};
use crate::pipeline::mixtures::outputs_of;
use crate::pipeline::seeds::{Purpose, generator};
use crate::recipe::Recipe;
use bomf_fuse::method::{Block, Inputs, Params, Source, Value};
use bomf_fuse::registry;
use bomf_study::{MethodName, Scores};
use bomf_tune::models::Model;
use bomf_tune::tape::Workspace;
use rayon::prelude::*;
use std::path::Path;
use std::time::Instant;

/// Elements that one task fuses.
const BLOCK: usize = 1 << 16;

/// A model that was evaluated on the select split.
pub(in crate::pipeline) struct Fixed {
    pub name: MethodName,
    pub params: Vec<f32>,
    pub select: Scores,
    pub evaluations: usize,
    pub seconds: f64,
}

/// Model stock of the members over the model that their training began with: `pretrained`,
/// with the head that the run's seed gives it. `None` where that is laid out otherwise than the
/// members, or gives no finite scores.
pub(super) fn model_stock(
    recipe: &Recipe,
    evaluator: &mut Evaluator<'_>,
    engine: &Engine<'_>,
    pretrained: &Path,
) -> Result<Option<Fixed>, Error> {
    let log = Log::new(MethodName::ModelStock);
    let started = Instant::now();
    let (members, task) = (engine.members, engine.task);
    let mut rng = generator(recipe.seed, Purpose::Head);
    let (start, _) = Model::load(pretrained, task.labels.head(), &mut rng)?;
    let mut params = vec![0.0; members.dim()];
    if start.params.len() != params.len() {
        return Ok(None);
    }
    let method = registry::get("model_stock")?;
    let own = Params {
        method: vec![("filter_wise", Value::Flag(false))],
        models: vec![Vec::new(); members.len()],
    };
    for (i, segment) in members.segments().iter().enumerate() {
        let range = segment.offset..segment.offset + segment.len;
        let base = &start.params[range.clone()];
        let values: Vec<_> = (0..members.len())
            .map(|member| members.values(member, i))
            .collect();
        let models: Vec<&[f32]> = values.iter().map(|v| &v[..]).collect();
        let inputs = Inputs {
            name: &segment.name,
            shape: &segment.shape,
            models: models.iter().map(|m| m as &dyn Source).collect(),
            base: Some(&base),
            statistics: Vec::new(),
        };
        let fuser = method.prepare(&inputs, &own, recipe.seed)?;
        let blocks = params[range].par_chunks_mut(BLOCK).enumerate();
        blocks.for_each(|(block, out)| {
            let at = block * BLOCK..block * BLOCK + out.len();
            let models: Vec<&[f32]> = models.iter().map(|m| &m[at.clone()]).collect();
            let block = Block {
                start: at.start,
                models: &models,
                base: Some(&base[at]),
            };
            fuser.fuse(&block, out);
        });
    }
    evaluated(evaluator, engine, log, params, started)
}

/// A model's scores on the select split, written down; `None` where they are not finite.
pub(super) fn evaluated(
    evaluator: &mut Evaluator<'_>,
    engine: &Engine<'_>,
    mut log: Log,
    params: Vec<f32>,
    started: Instant,
) -> Result<Option<Fixed>, Error> {
    let task = engine.task;
    let outputs = outputs_of(engine.network, &params, &task.select, &Workspace::default())?;
    let scores = task.scorer.scores(&outputs, &task.select.labels)?;
    // It has no weights.
    let seconds = started.elapsed().as_secs_f64();
    evaluator.record(&mut log, &[], scores.as_ref(), seconds)?;
    Ok(scores.map(|select| Fixed {
        name: log.name,
        params,
        select,
        evaluations: log.evaluations,
        seconds,
    }))
}
