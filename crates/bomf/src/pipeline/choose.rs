//! The rules that take one point from the Pareto front.

use super::evaluator::Evaluated;
use super::goals::Goals;
use super::source::Source;
use crate::Error;
use crate::recipe::Choose;
use rand_chacha::ChaCha8Rng;

/// The place in `front` (indices into `all`, by falling chosen objective) that the
/// rule takes. `floor`: the best chosen objective (maximised) of the methods that the
/// search is to be no worse than.
pub(super) fn choose(
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
        Choose::OneStandardError => {
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
