//! The rules that take one of the mixtures that were evaluated.

use super::bagging::bag;
use super::blocks::sum;
use super::evaluator::{Evaluated, Evaluator, Log};
use super::goals::Goals;
use super::seeds::{Purpose, generator};
use super::source::Source;
use super::stage2::{Found, front};
use crate::Error;
use crate::recipe::{Choose, Recipe};
use bomf_study::Choice;
use rand_chacha::ChaCha8Rng;

/// Shares of the bagged average, tried in turn until its chosen metric is no worse than the
/// classical methods'; the rest is the mixture that `one_standard_error` takes.
pub(super) const SHARES: [f64; 4] = [1.0, 0.75, 0.5, 0.25];

/// Takes one of the mixtures of `bomf`, whose search is done, by the recipe's rule: the
/// place in its `all`. The bagged average is evaluated, and stands there then.
pub(super) fn settle_on(
    recipe: &Recipe,
    evaluator: &mut Evaluator<'_>,
    bomf: &mut Found,
    floor: f64,
) -> Result<(usize, Choice), Error> {
    let goals = evaluator.goals;
    let mut rng = generator(recipe.seed, Purpose::Bootstrap);
    let mut choice = Choice::default();
    let bagged = match (recipe.stage2.choose, evaluator.source.output_objectives()) {
        (Choose::Bagged, Some(objectives)) => {
            let mut rng = generator(recipe.seed, Purpose::Bagging);
            bag(&bomf.all, &objectives, goals, &mut rng)
        }
        _ => None,
    };
    let rule = match recipe.stage2.choose {
        Choose::Bagged => Choose::OneStandardError,
        rule => rule,
    };
    let front = front(&bomf.all, goals)?;
    let source = &mut *evaluator.source;
    let place = front[choose(rule, &bomf.all, &front, floor, goals, source, &mut rng)?];
    choice.rule = rule.to_string();
    let Some(bag) = bagged else {
        return Ok((place, choice));
    };

    choice.rule = Choose::Bagged.to_string();
    choice.gap = bag.gap;
    choice.share = Some(0.0);
    let end = bomf.all[place].weights.clone();
    let mut log = Log::new(bomf.name);
    log.evaluations = bomf.evaluations;
    let mut taken = place;
    for share in SHARES {
        let weights = sum(&[(share, &bag.weights), (1.0 - share, &end)]);
        let Some(scores) = evaluator.scores(&weights, &mut log)? else {
            continue;
        };
        if goals.chosen_value(&scores) >= floor {
            taken = bomf.all.len() + log.all.len() - 1;
            choice.share = Some(share);
            break;
        }
    }
    bomf.evaluations = log.evaluations;
    bomf.seconds += log.started.elapsed().as_secs_f64();
    bomf.all.extend(log.all);
    Ok((taken, choice))
}

/// The place in `front` (indices into `all`, by falling chosen objective) that the
/// rule takes. `floor`: the best chosen objective (maximised) of the methods that the
/// search is to be no worse than.
fn choose(
    rule: Choose,
    all: &[Evaluated],
    front: &[usize],
    floor: f64,
    scorer: &Goals,
    source: &mut dyn Source,
    rng: &mut ChaCha8Rng,
) -> Result<usize, Error> {
    let y: Vec<Vec<f64>> = front
        .iter()
        .map(|&i| scorer.maximised(&all[i].scores))
        .collect();
    let by = |value: &dyn Fn(&[f64]) -> f64| {
        let places = 0..y.len();
        places
            .max_by(|&a, &b| {
                // Equal values: the lower loss, then the earlier place.
                let key = |i: usize| (value(&y[i]), y[i][scorer.second]);
                let (a_key, b_key) = (key(a), key(b));
                a_key
                    .0
                    .total_cmp(&b_key.0)
                    .then(a_key.1.total_cmp(&b_key.1))
                    .then(b.cmp(&a))
            })
            .unwrap_or(0)
    };
    Ok(match rule {
        Choose::BestMetric => by(&|y| y[scorer.chosen]),
        Choose::Bagged | Choose::OneStandardError => {
            let best = by(&|y| y[scorer.chosen]);
            // One that is not known counts as none.
            let error = source.chosen_std_error(&all[front[best]], rng)?;
            let error = error.unwrap_or(0.0);
            // The front contains those methods: its best is not below them.
            let enough = floor.max(y[best][scorer.chosen] - error);
            by(&|y| {
                if y[scorer.chosen] >= enough {
                    y[scorer.second]
                } else {
                    f64::NEG_INFINITY
                }
            })
        }
        Choose::Knee => bomf_pareto::knee(&y)?.unwrap_or(0),
        Choose::Weights => {
            let weights = scorer
                .weights
                .clone()
                .unwrap_or_else(|| vec![1.0; y[0].len()]);
            let range = |j: usize| {
                let column = || y.iter().map(|y| y[j]);
                let (low, high) = (
                    column().fold(f64::INFINITY, f64::min),
                    column().fold(f64::NEG_INFINITY, f64::max),
                );
                (low, (high - low).max(f64::MIN_POSITIVE))
            };
            let ranges: Vec<(f64, f64)> = (0..weights.len()).map(range).collect();
            by(&|y| {
                let terms = y.iter().zip(&ranges).zip(&weights);
                terms
                    .map(|((y, (low, range)), weight)| weight * (y - low) / range)
                    .sum()
            })
        }
    })
}
