//! Searches of the weights that `bomf` is compared with: by the same evaluator, with the
//! same members known and as many evaluations.
//!
//! - `cma_es`: [`super::cma_es`] on the logarithms of the weights, as evolutionary model
//!   merging does with merge parameters (Akiba, Shing, Tang, Sun and Ha, "Evolutionary
//!   optimization of model merging recipes", Nature Machine Intelligence 2025, arXiv 2403.13187);
//! - `bo_loss`, `bo_metric`: one objective alone, Gaussian process and log expected improvement
//!   on the simplex;
//! - `bomf_paper`: the paper's own search (Jang et al. 2024, section 4.3, and its released
//!   code): the box `[0, 1]^N` whose points are divided by their sum, noisy expected
//!   hypervolume improvement with 128 samples, 512 candidates, 10 restarts.

use super::cma_es::CmaEs;
use crate::Error;
use crate::pipeline::evaluator::{Evaluated, Evaluator, Log};
use crate::pipeline::seeds::{Purpose, generator};
use crate::pipeline::settle::Settled;
use crate::pipeline::stage2::{Found, best_of, outcome, vertices};
use crate::recipe::{Baseline, Recipe};
use bomf_bo::acquisition::monte_carlo::SampleOptions;
use bomf_bo::optim::SearchOptions;
use bomf_bo::space::{BoxSpace, Configuration, SimplexSpace, Value};
use bomf_bo::strategy::{
    MultiObjective, MultiObjectiveOptions, RefPoint, SingleObjective, SingleObjectiveOptions,
};
use bomf_study::MethodName;
use rand_chacha::ChaCha8Rng;

/// Constants of the paper's released code.
const PAPER_SAMPLES: usize = 128;
const PAPER_CANDIDATES: usize = 512;
const PAPER_RESTARTS: usize = 10;

/// The first steps of the evolution strategy change the logarithms of the weights by about
/// this, and so their ratios by a factor of e.
const FIRST_STEP: f64 = 1.0;

/// Runs one of them; `None` where nothing that it evaluated gave scores.
pub(super) fn run(
    baseline: Baseline,
    recipe: &Recipe,
    evaluator: &mut Evaluator<'_>,
    settled: &Settled,
) -> Result<Option<Found>, Error> {
    let (name, purpose) = match baseline {
        Baseline::CmaEs => (MethodName::CmaEs, Purpose::CmaEs),
        Baseline::BoLoss => (MethodName::BoLoss, Purpose::BoLoss),
        Baseline::BoMetric => (MethodName::BoMetric, Purpose::BoMetric),
        _ => (MethodName::BomfPaper, Purpose::BomfPaper),
    };
    let mut search = Search {
        evaluator,
        log: Log::new(name),
        known: vertices(&settled.members),
        budget: settled.budget,
        rng: generator(recipe.seed, purpose),
    };
    // With one member there is nothing to search.
    if search.evaluator.source.len() > 1 {
        let goals = search.evaluator.goals;
        match baseline {
            Baseline::CmaEs => search.cma_es()?,
            Baseline::BoLoss => search.single(goals.loss())?,
            Baseline::BoMetric => search.single(goals.chosen)?,
            _ => search.paper(&settled.ref_point)?,
        }
    }
    let Search {
        evaluator,
        mut log,
        known,
        ..
    } = search;
    // What it knew counts, as the members count for `bomf`.
    log.all.splice(0..0, known);
    let goals = evaluator.goals;
    let best = match baseline {
        Baseline::BoLoss => best_by(&log.all, |e| goals.maximised(&e.scores)[goals.loss()]),
        _ => best_of(&log.all, goals),
    };
    Ok(best.map(|best| log.found(best)))
}

/// The first of those with the greatest value.
fn best_by(all: &[Evaluated], value: impl Fn(&Evaluated) -> f64) -> Option<Evaluated> {
    let mut best: Option<(f64, &Evaluated)> = None;
    for one in all {
        let own = value(one);
        if best.is_none_or(|(best, _)| own > best) {
            best = Some((own, one));
        }
    }
    best.map(|(_, one)| one.clone())
}

struct Search<'e, 'a> {
    evaluator: &'e mut Evaluator<'a>,
    log: Log,
    known: Vec<Evaluated>,
    budget: usize,
    rng: ChaCha8Rng,
}

impl Search<'_, '_> {
    /// Scores of a mixture, and what was evaluated.
    fn evaluate(&mut self, weights: &[f64]) -> Result<Option<Evaluated>, Error> {
        let scores = self.evaluator.scores(weights, &mut self.log)?;
        Ok(scores.and(self.log.all.last().cloned()))
    }

    fn single(&mut self, objective: usize) -> Result<(), Error> {
        let goals = self.evaluator.goals;
        let n = self.evaluator.source.len();
        let options = SingleObjectiveOptions {
            n_initial: 1,
            ..SingleObjectiveOptions::default()
        };
        let mut search = SingleObjective::new(SimplexSpace::new(n)?, options)?;
        let value = |e: &Evaluated| goals.maximised(&e.scores)[objective];
        for known in &self.known {
            search.tell(&known.weights, Some(value(known)))?;
        }
        for _ in 0..self.budget {
            let weights = search.ask(&mut self.rng)?;
            let evaluated = self.evaluate(&weights)?;
            search.tell(&weights, evaluated.as_ref().map(value))?;
        }
        Ok(())
    }

    fn paper(&mut self, ref_point: &[f64]) -> Result<(), Error> {
        let goals = self.evaluator.goals;
        let n = self.evaluator.source.len();
        let mut space = BoxSpace::builder();
        for i in 0..n {
            space = space.float(name(i), 0.0, 1.0);
        }
        let options = MultiObjectiveOptions {
            n_initial: Some(1),
            ref_point: RefPoint::Fixed(ref_point.to_vec()),
            samples: SampleOptions {
                samples: PAPER_SAMPLES,
                ..SampleOptions::default()
            },
            search: SearchOptions {
                raw_samples: PAPER_CANDIDATES,
                restarts: PAPER_RESTARTS,
                ..SearchOptions::default()
            },
            ..MultiObjectiveOptions::default()
        };
        let mut search = MultiObjective::new(space.build()?, options)?;
        for known in &self.known {
            let x = known.weights.iter().map(|w| Value::Float(*w));
            let x: Configuration = (0..).map(name).zip(x).collect();
            search.tell_outcome(&x, outcome(goals, Some(known)))?;
        }
        for _ in 0..self.budget {
            let x = search.ask(&mut self.rng)?;
            let flat: Vec<f64> = (0..n)
                .map(|i| x.float(&name(i)).unwrap_or_default())
                .collect();
            let evaluated = self.evaluate(&divided(&flat))?;
            search.tell_outcome(&x, outcome(goals, evaluated.as_ref()))?;
        }
        Ok(())
    }

    fn cma_es(&mut self) -> Result<(), Error> {
        let goals = self.evaluator.goals;
        let n = self.evaluator.source.len();
        let mut search = CmaEs::new(vec![0.0; n], FIRST_STEP);
        let mut left = self.budget;
        while left > 0 {
            let population = search.ask(&mut self.rng);
            let mut values = Vec::with_capacity(population.len());
            for x in population.iter().take(left) {
                let evaluated = self.evaluate(&softmax(x))?;
                values.push(evaluated.map(|e| {
                    let y = goals.maximised(&e.scores);
                    [y[goals.chosen], y[goals.second]]
                }));
            }
            left -= values.len();
            if values.len() == population.len() {
                // Best first; a failure comes last.
                let mut order: Vec<usize> = (0..values.len()).collect();
                let key = |i: usize| values[i].unwrap_or([f64::NEG_INFINITY; 2]);
                order.sort_by(|&a, &b| {
                    let (a, b) = (key(a), key(b));
                    b[0].total_cmp(&a[0]).then(b[1].total_cmp(&a[1]))
                });
                search.tell(&population, &order);
            }
        }
        Ok(())
    }
}

fn name(i: usize) -> String {
    format!("x[{i}]")
}

/// A point of the box as weights; its corner at zero stands for the average.
fn divided(x: &[f64]) -> Vec<f64> {
    let sum: f64 = x.iter().sum();
    match sum > 0.0 {
        true => x.iter().map(|x| x / sum).collect(),
        false => vec![1.0 / x.len() as f64; x.len()],
    }
}

fn softmax(x: &[f64]) -> Vec<f64> {
    let max = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let exp: Vec<f64> = x.iter().map(|x| (x - max).exp()).collect();
    divided(&exp)
}
