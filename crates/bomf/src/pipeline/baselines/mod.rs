//! The baselines that a recipe asks for, beyond those of every run.
//!
//! They run after the search, under the same evaluator, and nothing that they find goes into
//! it: what `bomf` comes to does not depend on what it is compared with. The searches get as
//! many evaluations as `bomf` in all, and know the members' scores as it does.
//!
//! - [`searches`]: CMA-ES, single-objective Bayesian optimisation, the paper's own search;
//! - [`learned`]: weights by gradients, through the engine's backward pass;
//! - [`fixed`]: models that are no mixtures; [`informed`]: those by statistics of the train
//!   split; [`transported`]: those with units in one order;
//! - [`ensembles`]: predictions combined, which keeps every member.

mod cma_es;
mod ensembles;
mod fixed;
mod informed;
mod learned;
mod newton;
mod searches;
mod transported;

pub(super) use ensembles::Combined;
pub(super) use fixed::Fixed;

use super::evaluator::{Evaluator, Log};
use super::settle::Settled;
use super::stage2::Found;
use super::task::Task;
use crate::recipe::{Baseline, Recipe};
use crate::{Error, Phase};
use bomf_fuse::MemberSet;
use bomf_fuse::methods::ema;
use bomf_study::MethodName;
use bomf_tune::models::Network;
use std::path::Path;

/// What only the engine has: gradients and predictions.
pub(super) struct Engine<'a> {
    pub network: &'a Network,
    pub members: &'a MemberSet<'a>,
    pub task: &'a Task,
    /// The folder of the model that training began with, where that is known.
    pub pretrained: Option<&'a Path>,
}

/// What the baselines came to.
#[derive(Default)]
pub(super) struct Baselines {
    /// Those that are mixtures.
    pub found: Vec<Found>,
    /// Those that are models of their own.
    pub fixed: Vec<Fixed>,
    /// Those that keep the members.
    pub combined: Vec<Combined>,
    /// Which were left out, and why.
    pub notes: Vec<String>,
}

impl Baselines {
    fn combine(&mut self, baseline: Baseline, found: Option<Combined>) {
        match found {
            Some(found) => self.combined.push(found),
            None => self.notes.push(format!(
                "`{baseline}` left out: it combines predictions of classes or values, and no \
                 member gives any"
            )),
        }
    }
}

/// Runs the recipe's baselines; those that need the engine are left out, with a note, where
/// there is none.
pub(super) fn run(
    recipe: &Recipe,
    evaluator: &mut Evaluator<'_>,
    engine: Option<&Engine<'_>>,
    settled: &Settled,
) -> Result<Baselines, Error> {
    let n = evaluator.source.len();
    let mut out = Baselines::default();
    let baselines = &recipe.stage2.baselines;
    if baselines.is_empty() {
        return Ok(out);
    }
    let costly = baselines.iter().filter(|b| is_costly(**b)).count();
    let cheap = baselines.len() - costly;
    evaluator.expect((costly * settled.budget + cheap) as u64);
    for &baseline in baselines {
        let found = match (baseline, engine) {
            (Baseline::Ema, _) => average(
                evaluator,
                MethodName::Ema,
                &ema::weights(n, recipe.stage2.ema_decay)?,
            )?,
            (Baseline::CmaEs | Baseline::BoLoss | Baseline::BoMetric | Baseline::BomfPaper, _) => {
                searches::run(baseline, recipe, evaluator, settled)?
            }
            (Baseline::LearnedSwa, Some(engine)) => {
                learned::learned_swa(evaluator, engine, settled.budget)?
            }
            (Baseline::Twa, Some(engine)) => learned::twa(recipe, evaluator, engine)?,
            (Baseline::WeightedEnsemble, Some(engine)) => {
                out.combine(baseline, ensembles::weighted(&settled.members, engine.task));
                continue;
            }
            (Baseline::Stacking, Some(engine)) => {
                out.combine(baseline, ensembles::stacking(&settled.members, engine.task));
                continue;
            }
            (Baseline::ModelStock, Some(engine)) => {
                match engine.pretrained {
                    Some(base) => {
                        let found = fixed::model_stock(recipe, evaluator, engine, base)?;
                        out.fixed.extend(found);
                    }
                    None => out.notes.push(
                        "`model_stock` left out: it needs the model that training began with, \
                         which only `bomf run` knows"
                            .into(),
                    ),
                }
                continue;
            }
            (Baseline::Fisher | Baseline::Regmean | Baseline::OtFusion, Some(engine)) => {
                let found = match baseline {
                    Baseline::Fisher => informed::fisher(evaluator, engine),
                    Baseline::Regmean => informed::regmean(evaluator, engine),
                    _ => transported::ot_fusion(evaluator, engine),
                };
                match found {
                    Ok(Some(found)) => out.fixed.push(found),
                    Ok(None) => out.notes.push(format!(
                        "`{baseline}` left out: there are no training examples, or it found no \
                         finite scores"
                    )),
                    Err(Error::Fuse(error)) => {
                        out.notes.push(format!("`{baseline}` left out: {error}"));
                    }
                    Err(other) => return Err(other),
                }
                continue;
            }
            (_, None) => {
                out.notes.push(format!(
                    "`{baseline}` left out: it needs gradients or predictions, which a program \
                     does not give"
                ));
                continue;
            }
        };
        match found {
            Some(found) => out.found.push(found),
            None => out
                .notes
                .push(format!("`{baseline}` left out: it found no finite scores")),
        }
    }
    evaluator.observer.end(Phase::Fuse);
    Ok(out)
}

/// Whether it has as many evaluations as `bomf`.
fn is_costly(baseline: Baseline) -> bool {
    matches!(
        baseline,
        Baseline::CmaEs
            | Baseline::BoLoss
            | Baseline::BoMetric
            | Baseline::BomfPaper
            | Baseline::LearnedSwa
    )
}

/// A method that is one average.
fn average(
    evaluator: &mut Evaluator<'_>,
    name: MethodName,
    weights: &[f64],
) -> Result<Option<Found>, Error> {
    let mut log = Log::new(name);
    evaluator.scores(weights, &mut log)?;
    let found = log.all.last().cloned();
    Ok(found.map(|found| log.found(found)))
}
