//! The optimiser of stage 2: with models of the outputs where the source gives any and
//! the recipe allows it, of the objectives otherwise; over weights that the whole model
//! shares, or that each of its blocks has for itself.

use super::evaluator::Evaluated;
use super::goals::Goals;
use super::outputs::OutputObjectives;
use super::source::Source;
use super::stage2::outcome;
use crate::Error;
use crate::recipe::Surrogate;
use bomf_bo::models::Gram;
use bomf_bo::optim::SearchSpace;
use bomf_bo::space::{BlockSpace, MixtureSpace, SimplexSpace};
use bomf_bo::strategy::{
    CompositeObjective, CompositeOptions, MultiObjective, MultiObjectiveOptions, RefPoint,
    StoppingRule, Strategy,
};
use indexmap::IndexMap;
use rand_chacha::ChaCha8Rng;

/// The share of Euclid's distance of the coefficients in that of mixtures, the rest being
/// the distance of the fused weights: half and half was near the better of the two on members of
/// one trajectory and on members far apart.
const EUCLIDEAN_SHARE: f64 = 0.5;

/// Asks for mixtures, is told what they gave.
pub(super) enum Search<S: SearchSpace = SimplexSpace> {
    Composite(Box<CompositeObjective<OutputObjectives, S>>),
    Direct(Box<MultiObjective<S>>),
}

impl Search {
    /// A search over mixtures of the source's members that knows nothing yet.
    pub fn shared(
        surrogate: Surrogate,
        source: &dyn Source,
        goals: &Goals,
        ref_point: &[f64],
    ) -> Result<Self, Error> {
        let space = SimplexSpace::new(source.len())?;
        Search::new(space, metric(source)?, surrogate, source, goals, ref_point)
    }
}

impl Search<BlockSpace> {
    /// A search over mixtures of so many blocks that knows nothing yet.
    pub fn by_block(
        blocks: usize,
        surrogate: Surrogate,
        source: &dyn Source,
        goals: &Goals,
        ref_point: &[f64],
    ) -> Result<Self, Error> {
        let space = BlockSpace::new(blocks, source.len())?;
        let grams = source.block_grams()?;
        let metric = grams.and_then(|grams| Gram::of_blocks(&grams, EUCLIDEAN_SHARE).ok());
        Search::new(space, metric, surrogate, source, goals, ref_point)
    }
}

impl<S: MixtureSpace + SearchSpace> Search<S> {
    fn new(
        space: S,
        metric: Option<Gram>,
        surrogate: Surrogate,
        source: &dyn Source,
        goals: &Goals,
        ref_point: &[f64],
    ) -> Result<Self, Error> {
        let ref_point = RefPoint::Fixed(ref_point.to_vec());
        if surrogate == Surrogate::Composite
            && goals.objectives.len() <= CompositeOptions::MAX_OBJECTIVES
            && let Some(objectives) = source.output_objectives()
        {
            let options = CompositeOptions {
                ref_point,
                metric,
                ..CompositeOptions::default()
            };
            let search = CompositeObjective::new(space, objectives, options)?;
            return Ok(Search::Composite(Box::new(search)));
        }
        let options = MultiObjectiveOptions {
            n_initial: Some(1),
            ref_point,
            // On coefficients that are shared Euclid's distance does: it is the paper's.
            metric: metric.filter(|_| space.blocks() > 1),
            ..MultiObjectiveOptions::default()
        };
        Ok(Search::Direct(Box::new(MultiObjective::new(
            space, options,
        )?)))
    }

    /// What is known of a mixture, whose weights may be shared by all blocks; `None` where it
    /// gave no scores.
    pub fn tell(
        &mut self,
        weights: &[f64],
        goals: &Goals,
        evaluated: Option<&Evaluated>,
    ) -> Result<(), Error> {
        let space = self.space();
        let whole = match weights.len() < space.dim() {
            true => space.shared(weights),
            false => weights.to_vec(),
        };
        let weights = whole.as_slice();
        match (self, evaluated) {
            (Search::Composite(search), Some(evaluated)) => {
                let outputs: Vec<f64> = evaluated.modelled.iter().map(|v| f64::from(*v)).collect();
                let y = goals.maximised(&evaluated.scores);
                search.tell_outputs(weights, &outputs, &y)?;
            }
            (Search::Composite(search), None) => search.tell(weights, None)?,
            (Search::Direct(search), evaluated) => {
                search.tell_outcome(weights, outcome(goals, evaluated))?;
            }
        }
        Ok(())
    }

    fn space(&self) -> &S {
        match self {
            Search::Composite(search) => Strategy::space(search.as_ref()),
            Search::Direct(search) => Strategy::space(search.as_ref()),
        }
    }

    /// The next mixture.
    pub fn ask(&mut self, rng: &mut ChaCha8Rng) -> Result<Vec<f64>, Error> {
        Ok(match self {
            Search::Composite(search) => search.ask(rng)?,
            Search::Direct(search) => search.ask(rng)?,
        })
    }

    /// By which surrogate each objective was last predicted.
    pub fn surrogates(&self, goals: &Goals) -> IndexMap<String, String> {
        let name = |j: usize| match self {
            Search::Direct(_) => "direct",
            Search::Composite(search) => match search.surrogates()[j] {
                bomf_bo::strategy::Surrogate::Composite => "composite",
                bomf_bo::strategy::Surrogate::AroundMixture => "around_mixture",
                _ => "direct",
            },
        };
        let objectives = goals.objectives.iter().enumerate();
        objectives
            .map(|(j, objective)| (objective.name.clone(), name(j).into()))
            .collect()
    }

    /// Whether a rule says to stop.
    pub fn may_stop(&self, rule: StoppingRule) -> bool {
        match self {
            Search::Composite(search) => rule.is_met(search.as_ref()),
            Search::Direct(search) => rule.is_met(search.as_ref()),
        }
    }
}

/// The distance of fused weights, blended with that of coefficients; none for members
/// that are all alike.
fn metric(source: &dyn Source) -> Result<Option<Gram>, Error> {
    let Some(rows) = source.gram()? else {
        return Ok(None);
    };
    let gram = Gram::new(&rows).and_then(|gram| gram.blended(EUCLIDEAN_SHARE));
    Ok(gram.ok())
}
