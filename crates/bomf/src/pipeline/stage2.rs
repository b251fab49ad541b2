//! Stage 2 and the baselines: weights of the members by multi-objective Bayesian
//! optimisation over the loss and the metrics (BOMF, Jang et al. 2024, section 4.3),
//! under one evaluator with everything it is compared with.
//!
//! The starting design holds the members themselves, their uniform average, the
//! average of the last quarter and the greedy soup with all that it tried: on the
//! select split the result is never worse than any of them.

use super::basin::Looked;
use super::choose::{SHARES, settle_on};
use super::evaluator::{Evaluated, Evaluator, Log, Member};
use super::goals::Goals;
use super::mixtures::vertex;
use super::search::Search;
use super::seeds::{Purpose, generator};
use crate::recipe::{Choose, PLATEAU, Recipe};
use crate::{Error, Phase};
use bomf_bo::optim::SearchSpace;
use bomf_bo::space::{MixtureSpace, SimplexSpace};
use bomf_bo::strategy::{Outcome as Told, RandomSimplex, StoppingRule};
use bomf_fuse::methods::{greedy_soup, swa, uniform_soup};
use bomf_pareto::hypervolume;
use bomf_study::{BlockSearch, HypervolumePoint, MethodName, Scores, Stage2};
use indexmap::IndexMap;
use rand_chacha::ChaCha8Rng;

/// The reference point lies so far beyond the worst member, in shares of the range
/// of the members' values (as in BoTorch's `infer_reference_point`, which looks at
/// the front alone).
const REF_POINT_MARGIN: f64 = 0.1;

/// What one method evaluated and settled on.
#[derive(Debug)]
pub(super) struct Found {
    pub name: MethodName,
    pub best: Evaluated,
    /// Everything it looked at that gave scores, in order.
    pub all: Vec<Evaluated>,
    pub evaluations: usize,
    pub seconds: f64,
}

impl Log {
    pub(super) fn found(self, best: Evaluated) -> Found {
        Found {
            name: self.name,
            best,
            all: self.all,
            evaluations: self.evaluations,
            seconds: self.started.elapsed().as_secs_f64() + self.known_seconds,
        }
    }
}

/// The outcome of stage 2.
#[derive(Debug)]
pub(super) struct Outcome {
    /// The weight-averaging methods, `bomf` last.
    pub methods: Vec<Found>,
    /// Indices of the Pareto front into `bomf`'s `all`, by falling chosen objective.
    pub front: Vec<usize>,
    /// Index of the mixture that was chosen.
    pub chosen: usize,
    pub ref_point: Vec<f64>,
    pub record: Stage2,
}

/// Evaluations of the search itself, beyond its start.
fn beyond(recipe: &Recipe, n: usize) -> usize {
    match n {
        0 | 1 => 0,
        n => recipe.stage2.evaluations.unwrap_or(5 * n),
    }
}

/// Evaluations beyond the start: those of the search, and of the choice at most.
pub(super) fn at_most(recipe: &Recipe, n: usize) -> usize {
    beyond(recipe, n)
        + match recipe.stage2.choose {
            Choose::Bagged => SHARES.len(),
            _ => 0,
        }
}

/// Forward passes of the phase: the members, the starting design, the search, and
/// as many random mixtures where these are compared.
pub(super) fn planned(n: usize, design: usize, beyond: usize, is_compared: bool) -> u64 {
    let searches = 1 + usize::from(is_compared);
    (n + searches * (design + beyond)) as u64
}

/// Runs every method. `members` holds what the members give, in their order; `looked`, what
/// is known between them.
pub(super) fn search(
    recipe: &Recipe,
    evaluator: &mut Evaluator<'_>,
    members: &[Member],
    looked: Looked,
) -> Result<Outcome, Error> {
    let n = members.len();
    let scorer = evaluator.goals;
    let vertices = vertices(members);
    let Some(best_vertex) = best_of(&vertices, scorer) else {
        return Err(Error::NoMember);
    };
    let ref_point = reference(scorer, &vertices);

    let mut methods = vec![
        Log::new(MethodName::BestCheckpoint).found(best_vertex.clone()),
        Log::new(MethodName::LastCheckpoint).found(vertices[vertices.len() - 1].clone()),
    ];
    methods[0].all = vertices.clone();
    let last = methods[1].best.clone();
    methods[1].all.push(last);
    for (name, weights) in [
        (MethodName::Swa, swa::weights(n)),
        (MethodName::UniformSoup, uniform_soup::weights(n)),
    ] {
        let mut log = Log::new(name);
        // Without scores of its own, an average counts as the worst there is.
        if evaluator.scores(&weights, &mut log)?.is_some() {
            let found = log.all[log.all.len() - 1].clone();
            methods.push(log.found(found));
        }
    }
    methods.push(greedy(evaluator, members, &best_vertex)?);

    let best = |method: &Found| scorer.chosen_value(&method.best.scores);
    let floor = methods.iter().map(best).fold(f64::NEG_INFINITY, f64::max);

    let (mut start, mut spent) = design(&methods);
    for evaluated in looked.all {
        let evaluation = spent + evaluated.evaluation;
        start.push(Evaluated {
            evaluation,
            ..evaluated
        });
    }
    spent += looked.evaluations;
    let is_compared = evaluator.source.is_compared();
    let total = |beyond| planned(n, spent, beyond, is_compared);
    let beyond = beyond(recipe, n);
    let at_most = at_most(recipe, n);
    evaluator.observer.begin(Phase::Fuse, total(at_most));
    let (mut bomf, search) = optimise(recipe, evaluator, start, spent, &ref_point, beyond)?;
    let searched = bomf.all.len();
    let (chosen, choice) = settle_on(recipe, evaluator, &mut bomf, floor)?;
    for own in &mut bomf.all[searched..] {
        own.evaluation += spent;
    }
    bomf.best = bomf.all[chosen].clone();
    // All of it, unless patience ended it.
    let budget = spent + bomf.evaluations;
    evaluator
        .observer
        .begin(Phase::Fuse, total(bomf.evaluations));
    let random = random(recipe, evaluator, n, budget, &best_vertex)?;
    evaluator.observer.end(Phase::Fuse);

    let front = front(&bomf.all, scorer)?;
    let record = Stage2 {
        initial_evaluations: spent,
        surrogates: search.surrogates,
        choice,
        blocks: search.blocks,
        basin: looked.basin,
        history: history(&bomf, &random, &ref_point, scorer, budget)?,
    };
    bomf.evaluations += spent;
    bomf.seconds += methods.iter().map(|method| method.seconds).sum::<f64>();
    bomf.seconds += looked.seconds;
    methods.push(random);
    methods.push(bomf);
    Ok(Outcome {
        methods,
        front,
        chosen,
        ref_point,
        record,
    })
}

/// The members that give scores, as mixtures.
pub(super) fn vertices(members: &[Member]) -> Vec<Evaluated> {
    let n = members.len();
    let alone = |(i, member): (usize, &Member)| {
        Some(Evaluated {
            weights: vertex(i, n),
            scores: member.scores.clone()?,
            std_errors: member.std_errors.clone(),
            modelled: member.modelled.clone(),
            evaluation: 0,
        })
    };
    members.iter().enumerate().filter_map(alone).collect()
}

/// The reference point, maximised: the recipe's, or one beyond the worst members.
pub(super) fn reference(goals: &Goals, vertices: &[Evaluated]) -> Vec<f64> {
    goals.ref_point.as_ref().map_or_else(
        || worst_and_margin(vertices, goals),
        |own| {
            let turn = |(o, v): (&bomf_study::Objective, &f64)| o.direction.maximised(*v);
            goals.objectives.iter().zip(own).map(turn).collect()
        },
    )
}

/// All that the classical methods evaluated, each mixture once, in the order in which
/// they did; and how many evaluations that took.
fn design(methods: &[Found]) -> (Vec<Evaluated>, usize) {
    let mut start: Vec<Evaluated> = Vec::new();
    let mut spent = 0;
    for method in methods {
        for evaluated in &method.all {
            if start.iter().all(|known| known.weights != evaluated.weights) {
                let evaluation = match evaluated.evaluation {
                    0 => 0,
                    own => spent + own,
                };
                start.push(Evaluated {
                    evaluation,
                    ..evaluated.clone()
                });
            }
        }
        spent += method.evaluations;
    }
    (start, spent)
}

pub(super) fn best_of(candidates: &[Evaluated], scorer: &Goals) -> Option<Evaluated> {
    let better = |a: &Evaluated, b: &Evaluated| scorer.better(&b.scores, &a.scores);
    let mut best: Option<&Evaluated> = None;
    for candidate in candidates {
        if best.is_none_or(|best| better(best, candidate)) {
            best = Some(candidate);
        }
    }
    best.cloned()
}

/// The members' worst value in each objective, and a margin beyond it; maximised.
fn worst_and_margin(members: &[Evaluated], scorer: &Goals) -> Vec<f64> {
    let y: Vec<Vec<f64>> = members
        .iter()
        .map(|m| scorer.maximised(&m.scores))
        .collect();
    (0..scorer.objectives.len())
        .map(|j| {
            let column = || y.iter().map(|y| y[j]);
            let (low, high) = (
                column().fold(f64::INFINITY, f64::min),
                column().fold(f64::NEG_INFINITY, f64::max),
            );
            let range = match high - low {
                range if range > 0.0 => range,
                // All alike: a tenth of the value, or of one.
                _ => {
                    if low == 0.0 {
                        1.0
                    } else {
                        low.abs()
                    }
                }
            };
            low - REF_POINT_MARGIN * range
        })
        .collect()
}

fn greedy(
    evaluator: &mut Evaluator<'_>,
    members: &[Member],
    best: &Evaluated,
) -> Result<Found, Error> {
    let scorer = evaluator.goals;
    let mut log = Log::new(MethodName::GreedySoup);
    let value = |s: &Option<Scores>| s.as_ref().map_or(f64::NAN, |s| scorer.chosen_value(s));
    let values: Vec<f64> = members.iter().map(|m| value(&m.scores)).collect();
    let soup = greedy_soup::search(&values, |weights| -> Result<f64, Error> {
        Ok(value(&evaluator.scores(weights, &mut log)?))
    })?;
    let kept = log.all.iter().find(|tried| tried.weights == soup.weights);
    // Where nothing was added, the soup is the best member.
    let found = kept.unwrap_or(best).clone();
    Ok(log.found(found))
}

/// How the search went.
struct Searched {
    /// The surrogate of each objective that it ended with.
    surrogates: IndexMap<String, String>,
    /// Its part by block.
    blocks: Option<BlockSearch>,
}

/// The search itself: `start`, of `spent` evaluations, is known; `evaluations` more
/// are made. Where blocks of the model may have weights of their own, these have the last
/// part of the evaluations: what is known of weights that all blocks share is where they start.
fn optimise(
    recipe: &Recipe,
    evaluator: &mut Evaluator<'_>,
    start: Vec<Evaluated>,
    spent: usize,
    ref_point: &[f64],
    evaluations: usize,
) -> Result<(Found, Searched), Error> {
    let goals = evaluator.goals;
    let mut log = Log::new(MethodName::Bomf);
    log.all = start;
    let known = log.all.len();
    let surrogate = recipe.stage2.surrogate;
    let mut rng = generator(recipe.seed, Purpose::Stage2);

    let names = evaluator
        .source
        .blocks()
        .map(|blocks| blocks.groups.names().to_vec());
    let by_block = match &names {
        Some(_) if evaluator.source.len() > 1 => {
            let own = recipe.stage2.block_evaluations.unwrap_or(evaluations / 2);
            own.min(evaluations)
        }
        _ => 0,
    };
    let mut search = Search::shared(surrogate, &*evaluator.source, goals, ref_point)?;
    search.go(
        recipe,
        evaluator,
        &mut log,
        evaluations - by_block,
        &mut rng,
    )?;
    let mut searched = Searched {
        surrogates: search.surrogates(goals),
        blocks: None,
    };
    if let Some(names) = names.filter(|_| by_block > 0) {
        let after = spent + log.evaluations;
        // What patience left belongs to it too.
        let own = evaluations - log.evaluations;
        let source = &*evaluator.source;
        let mut search = Search::by_block(names.len(), surrogate, source, goals, ref_point)?;
        search.go(recipe, evaluator, &mut log, own, &mut rng)?;
        searched = Searched {
            surrogates: search.surrogates(goals),
            blocks: Some(BlockSearch { names, after }),
        };
    }
    for own in &mut log.all[known..] {
        own.evaluation += spent;
    }
    let best = best_of(&log.all, goals).ok_or(Error::NoMember)?;
    Ok((log.found(best), searched))
}

impl<S: MixtureSpace + SearchSpace> Search<S> {
    /// Learns what the log holds, and makes so many evaluations more, unless patience ends it.
    fn go(
        &mut self,
        recipe: &Recipe,
        evaluator: &mut Evaluator<'_>,
        log: &mut Log,
        evaluations: usize,
        rng: &mut ChaCha8Rng,
    ) -> Result<(), Error> {
        let goals = evaluator.goals;
        for evaluated in &log.all {
            self.tell(&evaluated.weights, goals, Some(evaluated))?;
        }
        let patience = recipe.stage2.patience;
        let plateau = patience.map(|evaluations| StoppingRule::Plateau {
            evaluations,
            gain: PLATEAU,
        });
        for made in 0..evaluations {
            // What was known beforehand does not count.
            if let Some(rule) = plateau
                && patience <= Some(made)
                && self.may_stop(rule)
            {
                break;
            }
            if let Some(best) = best_of(&log.all, goals) {
                let name = &goals.objectives[goals.chosen].name;
                evaluator.message = format!("best {name} {:.4}", best.scores[name]);
            }
            let weights = self.ask(rng)?;
            let scores = evaluator.scores(&weights, log)?;
            let evaluated = scores.and(log.all.last());
            self.tell(&weights, goals, evaluated)?;
        }
        Ok(())
    }
}

/// What the search is told of a mixture: its objectives, with their standard errors
/// where all of them are known; `None` for a failure.
pub(super) fn outcome(goals: &Goals, evaluated: Option<&Evaluated>) -> Told {
    evaluated.map_or_else(Told::failed, |evaluated| {
        Told::of(goals.maximised(&evaluated.scores))
            .standard_errors(goals.std_errors(&evaluated.std_errors))
    })
}

fn random(
    recipe: &Recipe,
    evaluator: &mut Evaluator<'_>,
    n: usize,
    evaluations: usize,
    fallback: &Evaluated,
) -> Result<Found, Error> {
    let mut log = Log::new(MethodName::RandomSimplex);
    let mut rng = generator(recipe.seed, Purpose::RandomSimplex);
    if n > 1 && evaluator.source.is_compared() {
        let sampler = RandomSimplex::new(SimplexSpace::new(n)?);
        for _ in 0..evaluations {
            let weights = sampler.ask(&mut rng);
            evaluator.scores(&weights, &mut log)?;
        }
    }
    let best = best_of(&log.all, evaluator.goals);
    Ok(log.found(best.unwrap_or_else(|| fallback.clone())))
}

/// Hypervolume of both searches after each of `evaluations` evaluations, and before
/// the first, when `bomf` has the members.
fn history(
    bomf: &Found,
    random: &Found,
    ref_point: &[f64],
    scorer: &Goals,
    evaluations: usize,
) -> Result<Vec<HypervolumePoint>, Error> {
    let after = |found: &Found, evaluations: usize| -> Result<f64, Error> {
        let by_then = found.all.iter().filter(|e| e.evaluation <= evaluations);
        let y: Vec<Vec<f64>> = by_then.map(|e| scorer.maximised(&e.scores)).collect();
        Ok(hypervolume(&y, ref_point)?)
    };
    (0..=evaluations)
        .map(|evaluations| {
            Ok(HypervolumePoint {
                evaluations,
                bomf: after(bomf, evaluations)?,
                random_simplex: match random.evaluations {
                    0 => None,
                    _ => Some(after(random, evaluations)?),
                },
            })
        })
        .collect()
}

/// The non-dominated of `all`, by falling chosen objective.
pub(super) fn front(all: &[Evaluated], scorer: &Goals) -> Result<Vec<usize>, Error> {
    let y: Vec<Vec<f64>> = all.iter().map(|e| scorer.maximised(&e.scores)).collect();
    let mut front = bomf_pareto::non_dominated(&y)?;
    // Mixtures with equal scores are one point of the front: the first is kept.
    let mut seen: Vec<&Vec<f64>> = Vec::new();
    front.sort_unstable();
    front.retain(|&i| {
        !seen.contains(&&y[i]) && {
            seen.push(&y[i]);
            true
        }
    });
    front.sort_by(|&a, &b| y[b][scorer.chosen].total_cmp(&y[a][scorer.chosen]));
    Ok(front)
}
