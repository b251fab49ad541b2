//! Whether the members lie in one basin: the loss along the segments between them.
//!
//! Averaging helps where the loss does not rise on the way from one member to another
//! ("linear mode connectivity", Frankle et al., ICML 2020; Wortsman et al., "Model soups",
//! ICML 2022, section 2). With `theta(t) = (1 - t) theta_a + t theta_b` the barrier between
//! two members is
//!
//! `max_t [ L(theta(t)) - (1 - t) L(theta_a) - t L(theta_b) ]`,
//!
//! over a few places `t`. It is a mean over examples, of which the standard error is known.
//!
//! Looked at are the segments from the best member to every other one; where members are of
//! several runs, from the best to the best of each other run. What is evaluated on the way are
//! mixtures like any others: they join the starting design of the search.

use super::evaluator::{Evaluated, Evaluator, Log, Member};
use super::goals::Goals;
use crate::Error;
use crate::recipe::Recipe;
use bomf_study::{Basin, MemberRecord, MethodName, Segment};

/// A barrier is beyond noise where it is so many standard errors above zero: the largest of
/// a dozen places that are all level comes near two of them.
const BEYOND_NOISE: f64 = 3.0;

/// What stands for these evaluations in `trials.jsonl`.
pub(super) const LABEL: &str = "basin";

/// What was seen.
#[derive(Debug, Default)]
pub(super) struct Looked {
    /// `None` where nobody looked.
    pub basin: Option<Basin>,
    /// What was evaluated between the members, in order.
    pub all: Vec<Evaluated>,
    pub evaluations: usize,
    pub seconds: f64,
    pub notes: Vec<String>,
}

/// Looks at the segments, if the recipe asks for it.
pub(super) fn look(
    recipe: &Recipe,
    evaluator: &mut Evaluator<'_>,
    members: &[Member],
    records: &[MemberRecord],
) -> Result<Looked, Error> {
    let points = recipe.members.basin_points();
    let ends = ends(evaluator.goals, members, records);
    if points < 3 || ends.len() < 2 {
        return Ok(Looked::default());
    }
    let mut losses = Vec::with_capacity(ends.len());
    for &end in &ends {
        match evaluator.source.losses(&members[end].outputs)? {
            Some(own) => losses.push(own),
            None => {
                let note = "whether the members lie in one basin was not looked at \
                            (`members.basin`): a program gives no losses of examples";
                return Ok(Looked {
                    notes: vec![note.into()],
                    ..Looked::default()
                });
            }
        }
    }
    evaluator.expect(((ends.len() - 1) * (points - 2)) as u64);
    let places: Vec<f64> = (0..points)
        .map(|k| k as f64 / (points - 1) as f64)
        .collect();
    let mut log = Log::new(MethodName::Bomf);
    log.label = LABEL;
    let mut segments = Vec::with_capacity(ends.len() - 1);
    for (to, last) in ends.iter().zip(&losses).skip(1) {
        let mut between = Vec::with_capacity(points);
        for &t in &places[1..points - 1] {
            let mut weights = vec![0.0; members.len()];
            weights[ends[0]] = 1.0 - t;
            weights[*to] = t;
            between.push(evaluate(evaluator, &weights, &mut log)?);
        }
        segments.push(segment((ends[0], *to), &places, &losses[0], &between, last));
    }
    let notes = warning(&segments, records).into_iter().collect();
    Ok(Looked {
        basin: Some(Basin { places, segments }),
        evaluations: log.evaluations,
        seconds: log.started.elapsed().as_secs_f64(),
        all: log.all,
        notes,
    })
}

/// The members between which segments are drawn, the best one first: one a run where runs are
/// told apart, all of them otherwise. Those without scores are left out.
fn ends(goals: &Goals, members: &[Member], records: &[MemberRecord]) -> Vec<usize> {
    let scores = |i: usize| members[i].scores.as_ref();
    let is_better = |a: usize, b: usize| match (scores(a), scores(b)) {
        (Some(a), Some(b)) => goals.better(a, b),
        (a, b) => a.is_some() && b.is_none(),
    };
    let mut ends: Vec<usize> = Vec::new();
    for i in (0..members.len()).filter(|i| scores(*i).is_some()) {
        let run = records[i].run;
        let known = ends
            .iter()
            .position(|&end| run.is_some() && records[end].run == run);
        match known {
            Some(place) if is_better(i, ends[place]) => ends[place] = i,
            Some(_) => {}
            None => ends.push(i),
        }
    }
    if let Some(best) =
        (0..ends.len()).reduce(|a, b| if is_better(ends[b], ends[a]) { b } else { a })
    {
        let best = ends.remove(best);
        ends.insert(0, best);
    }
    ends
}

/// The losses of a mixture; `None` where it gives no finite scores.
fn evaluate(
    evaluator: &mut Evaluator<'_>,
    weights: &[f64],
    log: &mut Log,
) -> Result<Option<Vec<f64>>, Error> {
    let Some(measured) = evaluator.measure(weights, log)? else {
        return Ok(None);
    };
    log.all.push(Evaluated {
        weights: weights.to_vec(),
        scores: measured.scores,
        std_errors: measured.std_errors,
        modelled: measured.modelled,
        evaluation: log.evaluations,
    });
    evaluator.source.losses(&measured.outputs)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The record of a segment, from the examples' losses at its ends and `between` them.
fn segment(
    (from, to): (usize, usize),
    places: &[f64],
    first: &[f64],
    between: &[Option<Vec<f64>>],
    last: &[f64],
) -> Segment {
    let inner = between.iter().map(|losses| losses.as_deref().map(mean));
    let ends = [Some(mean(first)), Some(mean(last))];
    let loss = ends[..1].iter().copied().chain(inner).chain([ends[1]]);
    // The rise over the line between the ends, with its standard error.
    let rise = |(t, losses): (&f64, &Option<Vec<f64>>)| {
        let losses = losses.as_ref()?;
        let ends = first.iter().zip(last).map(|(a, b)| (1.0 - t) * a + t * b);
        let rises: Vec<f64> = losses.iter().zip(ends).map(|(l, e)| l - e).collect();
        let (n, rise) = (rises.len() as f64, mean(&rises));
        let squares: f64 = rises.iter().map(|r| (r - rise).powi(2)).sum();
        Some((rise, (squares / (n - 1.0).max(1.0) / n).sqrt()))
    };
    let rises: Option<Vec<(f64, f64)>> = places[1..].iter().zip(between).map(rise).collect();
    let highest = rises.and_then(|all| all.into_iter().max_by(|a, b| a.0.total_cmp(&b.0)));
    Segment {
        from,
        to,
        loss: loss.collect(),
        barrier: highest.map(|(rise, _)| rise),
        std_error: highest.map(|(_, error)| error),
        separated: highest.is_none_or(|(rise, error)| rise > BEYOND_NOISE * error && rise > 0.0),
    }
}

/// What to say where members lie in different basins.
fn warning(segments: &[Segment], records: &[MemberRecord]) -> Option<String> {
    let separated = || segments.iter().filter(|segment| segment.separated);
    let height = |segment: &&Segment| segment.barrier.unwrap_or(f64::INFINITY);
    let worst = separated().max_by(|a, b| height(a).total_cmp(&height(b)))?;
    let rise = match (worst.barrier, worst.std_error) {
        (Some(rise), Some(error)) => {
            format!("rises {rise:.3} (standard error {error:.3}) above the line between its ends")
        }
        _ => "is not finite".into(),
    };
    Some(format!(
        "members in different basins: the select loss between {} and {} {rise}; so it is on {} of \
         {} segments looked at. Mixtures across a barrier are seldom good: fuse members of one \
         run, or runs that differ less",
        records[worst.from].path,
        records[worst.to].path,
        separated().count(),
        segments.len(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bomf_study::{Direction, Objective, Scores};

    const PLACES: [f64; 5] = [0.0, 0.25, 0.5, 0.75, 1.0];

    /// Losses of 100 examples around `level`, each example's own part the same everywhere.
    fn losses(level: f64) -> Vec<f64> {
        (0..100).map(|k| level + (k as f64).sin().abs()).collect()
    }

    fn between(levels: [f64; 3], noise: f64) -> Vec<Option<Vec<f64>>> {
        let noisy = |(p, level): (usize, f64)| {
            let own = losses(level).into_iter().enumerate();
            own.map(|(k, l)| l + noise * ((k * (p + 3)) as f64).cos())
                .collect()
        };
        levels
            .into_iter()
            .enumerate()
            .map(noisy)
            .map(Some)
            .collect()
    }

    #[test]
    fn a_rise_above_the_line_is_a_barrier_and_a_slope_is_none() {
        let found = |levels, noise| {
            let (first, last) = (losses(0.0), losses(1.0));
            segment((0, 1), &PLACES, &first, &between(levels, noise), &last)
        };
        let hill = found([0.5, 1.5, 1.0], 0.1);
        assert!((hill.barrier.unwrap() - 1.0).abs() < 0.05, "{hill:?}");
        assert!(hill.separated && hill.std_error.unwrap() < 0.02);
        assert_eq!(hill.loss.len(), 5);
        let slope = found([0.25, 0.5, 0.75], 0.1);
        assert!(
            !slope.separated && slope.barrier.unwrap().abs() < 0.03,
            "{slope:?}"
        );
        let valley = found([0.0, 0.1, 0.3], 0.0);
        assert!(!valley.separated && valley.barrier.unwrap() < -0.2);
        // A rise within noise.
        let noisy = found([0.25, 0.6, 0.75], 2.0);
        assert!(
            !noisy.separated && noisy.barrier.unwrap() > 0.0,
            "{noisy:?}"
        );
    }

    #[test]
    fn a_mixture_without_a_finite_loss_separates_its_ends() {
        let mut broken = between([0.0; 3], 0.0);
        broken[1] = None;
        let found = segment((0, 1), &PLACES, &losses(0.0), &broken, &losses(0.0));
        assert_eq!((found.barrier, found.loss[2]), (None, None));
        assert!(found.separated);
    }

    #[test]
    fn one_example_is_no_evidence_of_a_slope_but_no_panic_either() {
        let found = segment((0, 1), &PLACES, &[0.1], &vec![Some(vec![0.1]); 3], &[0.1]);
        assert_eq!((found.barrier, found.separated), (Some(0.0), false));
    }

    fn member(accuracy: Option<f64>) -> Member {
        Member {
            outputs: Vec::new(),
            scores: accuracy.map(|a| Scores::from_iter([("accuracy".to_string(), a)])),
            std_errors: Scores::new(),
            modelled: super::super::outputs::Modelled::default(),
        }
    }

    fn record(run: Option<usize>) -> MemberRecord {
        MemberRecord {
            step: 1,
            run,
            path: String::new(),
            select: Scores::new(),
        }
    }

    #[test]
    fn segments_go_from_the_best_to_all_others_or_to_the_best_of_each_other_run() {
        let goals = Goals {
            objectives: vec![Objective {
                name: "accuracy".into(),
                direction: Direction::Maximize,
            }],
            chosen: 0,
            second: 0,
            weights: None,
            ref_point: None,
        };
        let of = |scores: &[Option<f64>], runs: &[Option<usize>]| {
            let members: Vec<Member> = scores.iter().map(|s| member(*s)).collect();
            let records: Vec<MemberRecord> = runs.iter().map(|r| record(*r)).collect();
            ends(&goals, &members, &records)
        };
        let scores = [Some(0.5), None, Some(0.9), Some(0.7), Some(0.9)];
        assert_eq!(of(&scores, &[None; 5]), [2, 0, 3, 4]);
        let runs = [Some(2), Some(2), Some(3), Some(1), Some(1)];
        assert_eq!(of(&scores, &runs), [2, 0, 4]);
        assert_eq!(of(&[None, None], &[None; 2]), [0usize; 0]);
    }
}
