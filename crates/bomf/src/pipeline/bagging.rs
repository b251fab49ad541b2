//! A choice that a few lucky examples do not decide.
//!
//! Of dozens of mixtures scored on some hundred examples, the one with the best metric owes much of it to these
//! examples. So the rule is put to resamples of them, and what it takes is averaged: bagging (Breiman, "Bagging
//! predictors", Machine Learning 24, 1996). Mixtures lie in a simplex, so that their average is a mixture too, and
//! one model like each of them.
//!
//! `docs/results.md` has what this is worth.

use super::blocks::sum;
use super::evaluator::Evaluated;
use super::goals::Goals;
use super::outputs::OutputObjectives;
use bomf_bo::acquisition::composite::Composite;
use bomf_study::Scores;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// Resamples of the select examples.
const RESAMPLES: usize = 200;

/// What the rule takes on the resamples.
#[derive(Debug)]
pub(super) struct Bag {
    /// The average of its choices.
    pub weights: Vec<f64>,
    /// By objective: how much better a choice was on the examples that it was made by than on
    /// those that its resample lacks, on average.
    pub gap: Scores,
}

/// One resample, and the mixture taken on it.
struct Draw {
    examples: Vec<usize>,
    /// Of each mixture, maximised.
    y: Vec<Vec<f64>>,
}

/// Puts the rule `one_standard_error` to resamples: of `all`, the best second objective (the
/// loss) among those whose chosen objective lies within one standard error of the best.
/// `None` where there are no outputs of single examples, or the objectives are no function of them.
pub(super) fn bag(
    all: &[Evaluated],
    objectives: &OutputObjectives,
    goals: &Goals,
    rng: &mut ChaCha8Rng,
) -> Option<Bag> {
    let known: Vec<&Evaluated> = all.iter().filter(|e| !e.modelled.is_empty()).collect();
    let examples = objectives.examples();
    if known.is_empty() || examples == 0 || !objectives.is_by_example() {
        return None;
    }
    let drawn: Vec<Vec<usize>> = (0..RESAMPLES)
        .map(|_| {
            (0..examples)
                .map(|_| rng.random_range(0..examples))
                .collect()
        })
        .collect();
    let draws: Vec<Draw> = drawn
        .into_par_iter()
        .map(|examples| {
            let on = objectives.on(&examples);
            let y = known.iter().map(|e| values(&on, objectives, e, &examples));
            Draw {
                y: y.collect(),
                examples,
            }
        })
        .collect();
    let decides = [goals.chosen, goals.second];
    let finite = |y: &Vec<f64>| decides.iter().all(|&j| y[j].is_finite());
    if !draws.iter().all(|draw| draw.y.iter().all(finite)) {
        return None;
    }

    let best = (0..known.len()).reduce(|a, b| {
        let better = goals.better(&known[b].scores, &known[a].scores);
        if better { b } else { a }
    })?;
    let error = deviation(draws.iter().map(|draw| draw.y[best][goals.chosen]));
    let picks: Vec<usize> = draws
        .iter()
        .map(|draw| one_standard_error(&draw.y, error, goals))
        .collect();
    // By counts: of a mixture that is always taken nothing is rounded.
    let mut counts = vec![0usize; known.len()];
    picks.iter().for_each(|&pick| counts[pick] += 1);
    let shares = counts.iter().map(|&count| count as f64 / RESAMPLES as f64);
    let taken: Vec<(f64, &[f64])> = shares
        .zip(&known)
        .filter(|(share, _)| *share > 0.0)
        .map(|(share, mixture)| (share, mixture.weights.as_slice()))
        .collect();
    Some(Bag {
        weights: sum(&taken),
        gap: gap(&draws, &picks, &known, objectives, goals),
    })
}

/// The objectives of a mixture on some examples, maximised.
fn values(
    on: &OutputObjectives,
    objectives: &OutputObjectives,
    mixture: &Evaluated,
    examples: &[usize],
) -> Vec<f64> {
    let mut y = vec![f64::NAN; on.objectives()];
    on.evaluate(&objectives.gather(&mixture.modelled, examples), &mut y);
    y
}

/// The mixture that the rule takes; of equals the first.
fn one_standard_error(y: &[Vec<f64>], error: f64, goals: &Goals) -> usize {
    let best = y
        .iter()
        .map(|y| y[goals.chosen])
        .fold(f64::NEG_INFINITY, f64::max);
    let mut taken: Option<usize> = None;
    for (i, own) in y.iter().enumerate() {
        let improves = taken.is_none_or(|taken| own[goals.second] > y[taken][goals.second]);
        if own[goals.chosen] >= best - error && improves {
            taken = Some(i);
        }
    }
    taken.unwrap_or(0)
}

fn deviation(values: impl Iterator<Item = f64>) -> f64 {
    let values: Vec<f64> = values.collect();
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let squares = values.iter().map(|v| (v - mean).powi(2));
    (squares.sum::<f64>() / values.len() as f64).sqrt()
}

/// See [`Bag::gap`]; objectives that some of the examples left out do not give are missing.
fn gap(
    draws: &[Draw],
    picks: &[usize],
    known: &[&Evaluated],
    objectives: &OutputObjectives,
    goals: &Goals,
) -> Scores {
    let differences: Vec<Vec<f64>> = draws
        .par_iter()
        .zip(picks)
        .filter_map(|(draw, &pick)| {
            let mut is_drawn = vec![false; objectives.examples()];
            draw.examples.iter().for_each(|&i| is_drawn[i] = true);
            let others: Vec<usize> = (0..is_drawn.len()).filter(|&i| !is_drawn[i]).collect();
            if others.is_empty() {
                return None;
            }
            let outside = values(&objectives.on(&others), objectives, known[pick], &others);
            Some(
                draw.y[pick]
                    .iter()
                    .zip(outside)
                    .map(|(a, b)| a - b)
                    .collect(),
            )
        })
        .collect();
    let named = goals.objectives.iter().enumerate();
    named
        .filter_map(|(j, objective)| {
            let sum: f64 = differences.iter().map(|d| d[j]).sum();
            let mean = sum / differences.len() as f64;
            mean.is_finite().then(|| (objective.name.clone(), mean))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bomf_study::{Direction, Objective};
    use bomf_tune::data::Labels;
    use bomf_tune::metrics::Metric;
    use rand::SeedableRng;

    const EXAMPLES: usize = 200;

    fn goals() -> Goals {
        let objective = |name: &str, direction| Objective {
            name: name.into(),
            direction,
        };
        Goals {
            objectives: vec![
                objective("loss", Direction::Minimize),
                objective("accuracy", Direction::Maximize),
            ],
            chosen: 1,
            second: 0,
            weights: None,
            ref_point: None,
        }
    }

    fn objectives() -> OutputObjectives {
        let labels = Labels::Class((0..EXAMPLES).map(|i| (i % 2) as u32).collect());
        OutputObjectives::new(&goals().objectives, &[Metric::Accuracy], &labels, 2)
    }

    /// The mixture `weights`, right on the examples that `is_right` says.
    fn mixture(weights: &[f64], is_right: impl Fn(usize) -> bool) -> Evaluated {
        let objectives = objectives();
        let margin = |i: usize| {
            if is_right(i) == (i % 2 == 1) {
                2.0
            } else {
                -2.0
            }
        };
        let modelled: Vec<f32> = (0..EXAMPLES).map(margin).collect();
        let mut y = [0.0; 2];
        let all: Vec<usize> = (0..EXAMPLES).collect();
        objectives.evaluate(&objectives.gather(&modelled, &all), &mut y);
        Evaluated {
            weights: weights.to_vec(),
            scores: Scores::from([("loss".into(), -y[0]), ("accuracy".into(), y[1])]),
            std_errors: Scores::new(),
            modelled: modelled.into(),
            evaluation: 0,
        }
    }

    fn bagged(all: &[Evaluated]) -> Option<Bag> {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        bag(all, &objectives(), &goals(), &mut rng)
    }

    #[test]
    fn a_mixture_that_is_better_on_every_resample_is_all_of_the_bag() {
        let all = [
            mixture(&[1.0, 0.0], |i| i % 4 != 0),
            mixture(&[0.25, 0.75], |_| true),
            mixture(&[0.0, 1.0], |i| i % 5 != 0),
        ];
        let bag = bagged(&all).expect("outputs are known");
        assert!((bag.weights[0] - 0.25).abs() < 1e-12 && (bag.weights[1] - 0.75).abs() < 1e-12);
        assert!(
            bag.gap.values().all(|gap| gap.abs() < 1e-6),
            "{:?}",
            bag.gap
        );
    }

    #[test]
    fn mixtures_that_resamples_do_not_tell_apart_are_averaged_and_each_is_flattered() {
        // Each is wrong on forty examples of its own.
        let all = [
            mixture(&[1.0, 0.0], |i| i >= 40),
            mixture(&[0.0, 1.0], |i| i < 160),
        ];
        let bag = bagged(&all).expect("outputs are known");
        assert!((bag.weights[0] - 0.5).abs() < 0.15, "{:?}", bag.weights);
        assert!((bag.weights[0] + bag.weights[1] - 1.0).abs() < 1e-12);
        assert!(
            bag.gap["accuracy"] > 0.01 && bag.gap["loss"] > 0.01,
            "{:?}",
            bag.gap
        );
    }

    #[test]
    fn without_outputs_there_is_no_bag() {
        let mut alone = mixture(&[1.0, 0.0], |_| true);
        alone.modelled = Vec::new().into();
        assert!(bagged(&[alone]).is_none());
        assert!(bagged(&[]).is_none());
    }
}
