//! Stage 2 and the baselines: weights of the members by multi-objective Bayesian
//! optimisation over the loss and the metrics (BOMF, Jang et al. 2024, section 4.3),
//! under one evaluator with everything it is compared with.
//!
//! The starting design holds the members themselves, their uniform average, the
//! average of the last quarter and the greedy soup with all that it tried: on the
//! select split the result is never worse than any of them.

use super::mixtures::{Mixtures, vertex};
use super::seeds::{Purpose, generator};
use crate::recipe::Recipe;
use crate::{Error, Observer, Phase};
use bomf_bo::space::SimplexSpace;
use bomf_bo::strategy::{MultiObjective, MultiObjectiveOptions, RandomSimplex, RefPoint};
use bomf_fuse::methods::{greedy_soup, swa, uniform_soup};
use bomf_pareto::hypervolume;
use bomf_study::{Event, HypervolumePoint, Journal, MethodName, Scores, Stage2, State};
use std::path::Path;
use std::time::Instant;

/// The reference point lies so far beyond the worst member, in shares of the range
/// of the members' values (as in BoTorch's `infer_reference_point`, which looks at
/// the front alone).
const REF_POINT_MARGIN: f64 = 0.1;

/// A mixture and its scores on the select split.
#[derive(Debug, Clone)]
pub(super) struct Evaluated {
    pub weights: Vec<f64>,
    pub scores: Scores,
}

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

/// The outcome of stage 2.
#[derive(Debug)]
pub(super) struct Outcome {
    /// The weight-averaging methods, `bomf` last, its `best` still to be chosen.
    pub methods: Vec<Found>,
    /// Indices of the Pareto front into `bomf`'s `all`, by falling chosen objective.
    pub front: Vec<usize>,
    pub ref_point: Vec<f64>,
    pub record: Stage2,
}

/// Evaluates mixtures for one method after another, and writes each down.
struct Evaluator<'a, 'm> {
    mixtures: &'a mut Mixtures<'m>,
    journal: &'a mut Journal,
    observer: &'a mut dyn Observer,
    out: &'a Path,
    on_disk: &'a [String],
    done: u64,
    message: String,
}

impl Evaluator<'_, '_> {
    /// Scores of a mixture; counts it to `log` if it had to be computed.
    fn scores(&mut self, weights: &[f64], log: &mut Log) -> Result<Option<Scores>, Error> {
        if self.observer.interrupted() {
            return Err(Error::Interrupted {
                out: self.out.into(),
                on_disk: self.on_disk.into(),
            });
        }
        let started = Instant::now();
        let (scores, computed) = self.mixtures.scores(weights)?;
        if computed {
            self.journal.append(&Event::Stage2 {
                method: log.name.as_str().into(),
                evaluation: log.evaluations,
                weights: weights.to_vec(),
                state: if scores.is_some() {
                    State::Complete
                } else {
                    State::Failed
                },
                scores: scores.clone().unwrap_or_default(),
                seconds: started.elapsed().as_secs_f64(),
            })?;
            log.evaluations += 1;
            self.done += 1;
            self.observer.advance(Phase::Fuse, self.done, &self.message);
        }
        if let Some(scores) = &scores {
            log.all.push(Evaluated {
                weights: weights.to_vec(),
                scores: scores.clone(),
            });
        }
        Ok(scores)
    }
}

/// What one method has done so far.
struct Log {
    name: MethodName,
    started: Instant,
    all: Vec<Evaluated>,
    evaluations: usize,
}

impl Log {
    fn new(name: MethodName) -> Self {
        Log {
            name,
            started: Instant::now(),
            all: Vec::new(),
            evaluations: 0,
        }
    }

    fn found(self, best: Evaluated) -> Found {
        Found {
            name: self.name,
            best,
            all: self.all,
            evaluations: self.evaluations,
            seconds: self.started.elapsed().as_secs_f64(),
        }
    }
}

/// Evaluations that stage 2 and its baselines will make, at most.
fn planned(recipe: &Recipe, n: usize) -> usize {
    2 * (n + 2 + recipe.stage2.evaluations.unwrap_or(5 * n))
}

/// Runs every method. `members` holds the members' scores in their order, `None`
/// for one that gives none.
pub(super) fn search(
    recipe: &Recipe,
    mixtures: &mut Mixtures<'_>,
    members: &[Option<Scores>],
    journal: &mut Journal,
    out: &Path,
    on_disk: &[String],
    observer: &mut dyn Observer,
) -> Result<Outcome, Error> {
    let n = members.len();
    let scorer = mixtures.scorer;
    let vertices: Vec<Evaluated> = members
        .iter()
        .enumerate()
        .filter_map(|(i, s)| {
            Some(Evaluated {
                weights: vertex(i, n),
                scores: s.clone()?,
            })
        })
        .collect();
    let Some(best_vertex) = best_of(&vertices, scorer) else {
        return Err(Error::NoMember);
    };
    for (i, scores) in members.iter().enumerate() {
        mixtures.remember(vertex(i, n), scores.clone());
    }
    let ref_point = scorer.ref_point.clone().map_or_else(
        || worst_and_margin(&vertices, scorer),
        |own| {
            let turn = |(o, v): (&bomf_study::Objective, f64)| o.direction.maximised(v);
            scorer.objectives.iter().zip(own).map(turn).collect()
        },
    );
    observer.begin(Phase::Fuse, planned(recipe, n) as u64);
    let mut evaluator = Evaluator {
        mixtures,
        journal,
        observer,
        out,
        on_disk,
        done: 0,
        message: String::new(),
    };

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
        if let Some(scores) = evaluator.scores(&weights, &mut log)? {
            methods.push(log.found(Evaluated { weights, scores }));
        }
    }
    methods.push(greedy(&mut evaluator, members, &best_vertex)?);

    let mut start: Vec<Evaluated> = Vec::new();
    for evaluated in methods.iter().flat_map(|method| &method.all) {
        if start.iter().all(|known| known.weights != evaluated.weights) {
            start.push(evaluated.clone());
        }
    }
    let spent: usize = methods.iter().map(|method| method.evaluations).sum();
    let beyond = recipe.stage2.evaluations.unwrap_or(5 * n);
    let bomf = optimise(recipe, &mut evaluator, start, &ref_point, beyond)?;
    let random = random(recipe, &mut evaluator, n, spent + beyond, &best_vertex)?;
    evaluator.observer.end(Phase::Fuse);

    let history = history(
        &bomf,
        &random,
        &ref_point,
        scorer,
        bomf.all.len() - bomf.evaluations,
    )?;
    let front = front(&bomf.all, scorer)?;
    let record = Stage2 {
        initial_evaluations: spent,
        history,
    };
    let mut bomf = bomf;
    bomf.evaluations += spent;
    bomf.seconds += methods.iter().map(|method| method.seconds).sum::<f64>();
    methods.push(random);
    methods.push(bomf);
    Ok(Outcome {
        methods,
        front,
        ref_point,
        record,
    })
}

fn best_of(candidates: &[Evaluated], scorer: &super::scorer::Scorer) -> Option<Evaluated> {
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
fn worst_and_margin(members: &[Evaluated], scorer: &super::scorer::Scorer) -> Vec<f64> {
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
    evaluator: &mut Evaluator<'_, '_>,
    members: &[Option<Scores>],
    best: &Evaluated,
) -> Result<Found, Error> {
    let scorer = evaluator.mixtures.scorer;
    let mut log = Log::new(MethodName::GreedySoup);
    let value = |s: &Option<Scores>| s.as_ref().map_or(f64::NAN, |s| scorer.chosen_value(s));
    let values: Vec<f64> = members.iter().map(value).collect();
    let soup = greedy_soup::search(&values, |weights| -> Result<f64, Error> {
        Ok(value(&evaluator.scores(weights, &mut log)?))
    })?;
    let scores = evaluator.mixtures.scores(&soup.weights)?.0;
    let found = Evaluated {
        weights: soup.weights,
        scores: scores.unwrap_or(best.scores.clone()),
    };
    Ok(log.found(found))
}

/// The search itself: `start` is known, `evaluations` more are made.
fn optimise(
    recipe: &Recipe,
    evaluator: &mut Evaluator<'_, '_>,
    start: Vec<Evaluated>,
    ref_point: &[f64],
    evaluations: usize,
) -> Result<Found, Error> {
    let scorer = evaluator.mixtures.scorer;
    let n = start[0].weights.len();
    let mut log = Log::new(MethodName::Bomf);
    let mut search = MultiObjective::new(
        SimplexSpace::new(n)?,
        MultiObjectiveOptions {
            n_initial: Some(1),
            ref_point: RefPoint::Fixed(ref_point.to_vec()),
            ..MultiObjectiveOptions::default()
        },
    )?;
    let mut rng = generator(recipe.seed, Purpose::Stage2);
    for evaluated in &start {
        search.tell(
            &evaluated.weights,
            Some(&scorer.maximised(&evaluated.scores)),
        )?;
    }
    log.all = start;
    if n > 1 {
        for _ in 0..evaluations {
            if let Some(best) = best_of(&log.all, scorer) {
                let name = &scorer.objectives[scorer.chosen].name;
                evaluator.message = format!("best {name} {:.4}", best.scores[name]);
            }
            let weights = search.ask(&mut rng)?;
            let scores = evaluator.scores(&weights, &mut log)?;
            let y = scores.map(|scores| scorer.maximised(&scores));
            search.tell(&weights, y.as_deref())?;
        }
    }
    let best = best_of(&log.all, scorer).ok_or(Error::NoMember)?;
    Ok(log.found(best))
}

fn random(
    recipe: &Recipe,
    evaluator: &mut Evaluator<'_, '_>,
    n: usize,
    evaluations: usize,
    fallback: &Evaluated,
) -> Result<Found, Error> {
    let mut log = Log::new(MethodName::RandomSimplex);
    let mut rng = generator(recipe.seed, Purpose::RandomSimplex);
    if n > 1 {
        let sampler = RandomSimplex::new(SimplexSpace::new(n)?);
        for _ in 0..evaluations {
            let weights = sampler.ask(&mut rng);
            evaluator.scores(&weights, &mut log)?;
        }
    }
    let best = best_of(&log.all, evaluator.mixtures.scorer);
    Ok(log.found(best.unwrap_or_else(|| fallback.clone())))
}

/// Hypervolume of both searches after each evaluation.
fn history(
    bomf: &Found,
    random: &Found,
    ref_point: &[f64],
    scorer: &super::scorer::Scorer,
    known: usize,
) -> Result<Vec<HypervolumePoint>, Error> {
    let values = |found: &Found| -> Vec<Vec<f64>> {
        found
            .all
            .iter()
            .map(|e| scorer.maximised(&e.scores))
            .collect()
    };
    let (bomf, random) = (values(bomf), values(random));
    let length = bomf.len().max(random.len());
    let mut points = Vec::new();
    for i in known.min(length)..=length {
        points.push(HypervolumePoint {
            evaluations: i,
            bomf: hypervolume(&bomf[..i.min(bomf.len())], ref_point)?,
            random_simplex: match random.len() {
                0 => None,
                len => Some(hypervolume(&random[..i.min(len)], ref_point)?),
            },
        });
    }
    Ok(points)
}

/// The non-dominated of `all`, by falling chosen objective.
fn front(all: &[Evaluated], scorer: &super::scorer::Scorer) -> Result<Vec<usize>, Error> {
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
