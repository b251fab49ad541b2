//! Attainment surfaces against their definition.

#![allow(clippy::unwrap_used)]

use bomf_pareto::{
    ParetoError, attainment, attainment_surface, median_attainment, non_dominated, weakly_dominates,
};
use proptest::prelude::*;

type Run = Vec<Vec<f64>>;

/// Up to 6 runs of up to 6 points with ties, some NaN.
fn runs(m: usize) -> impl Strategy<Value = Vec<Run>> {
    let value = prop_oneof![20 => (0_u8..5).prop_map(f64::from), 1 => Just(f64::NAN)];
    let run = prop::collection::vec(prop::collection::vec(value, m), 0..6);
    prop::collection::vec(run, 1..6)
}

/// The best of all goals with coordinates that occur.
fn slow(runs: &[Run], level: usize) -> Vec<Vec<f64>> {
    let finite = || {
        runs.iter()
            .flatten()
            .filter(|y| y.iter().all(|v| !v.is_nan()))
    };
    let goals: Vec<Vec<f64>> = finite()
        .flat_map(|a| finite().map(|b| vec![a[0], b[1]]))
        .filter(|goal| attainment(runs, goal).unwrap() * runs.len() as f64 > level as f64 - 0.5)
        .collect();
    let mut front: Vec<Vec<f64>> = non_dominated(&goals)
        .unwrap()
        .into_iter()
        .map(|i| goals[i].clone())
        .collect();
    front.sort_by(|a, b| b[0].total_cmp(&a[0]));
    front
}

proptest! {
    #[test]
    fn equals_the_definition(runs in runs(2)) {
        for level in 1..=runs.len() {
            prop_assert_eq!(attainment_surface(&runs, level).unwrap(), slow(&runs, level));
        }
    }

    #[test]
    fn higher_levels_lie_below_lower_ones(runs in runs(2)) {
        for level in 2..=runs.len() {
            let above = attainment_surface(&runs, level - 1).unwrap();
            for y in attainment_surface(&runs, level).unwrap() {
                prop_assert!(above.iter().any(|a| weakly_dominates(a, &y)));
            }
        }
    }

    #[test]
    fn one_objective_is_an_order_statistic(runs in runs(1)) {
        let mut best: Vec<f64> = runs
            .iter()
            .filter_map(|run| run.iter().map(|y| y[0]).filter(|v| !v.is_nan()).reduce(f64::max))
            .collect();
        best.sort_by(|a, b| b.total_cmp(a));
        for level in 1..=runs.len() {
            let expected: Vec<Vec<f64>> = best.get(level - 1).map(|v| vec![*v]).into_iter().collect();
            prop_assert_eq!(attainment_surface(&runs, level).unwrap(), expected);
        }
    }

    #[test]
    fn the_order_of_runs_and_points_does_not_matter(runs in runs(2)) {
        let mut turned = runs.clone();
        turned.reverse();
        turned.iter_mut().for_each(|run| run.reverse());
        for level in 1..=runs.len() {
            let (a, b) = (attainment_surface(&runs, level), attainment_surface(&turned, level));
            prop_assert_eq!(a, b);
        }
    }
}

#[test]
fn the_median_of_three_and_of_four() {
    let runs: Vec<Run> = [1.0, 2.0, 3.0, 4.0].map(|v| vec![vec![v, v]]).to_vec();
    assert_eq!(median_attainment(&runs[..3]).unwrap(), [[2.0, 2.0]]);
    assert_eq!(median_attainment(&runs).unwrap(), [[3.0, 3.0]]);
    assert_eq!(attainment(&runs, &[3.0, 0.0]).unwrap(), 0.5);
}

#[test]
fn infinities_are_values() {
    let runs = vec![
        vec![vec![f64::NEG_INFINITY, 1.0]],
        vec![vec![2.0, f64::INFINITY]],
    ];
    assert_eq!(
        attainment_surface(&runs, 2).unwrap(),
        [[f64::NEG_INFINITY, 1.0]]
    );
}

#[test]
fn refusals() {
    let runs: Vec<Run> = vec![vec![vec![1.0, 2.0]], vec![]];
    for level in [0, 3] {
        assert_eq!(
            attainment_surface(&runs, level),
            Err(ParetoError::Level { level, runs: 2 })
        );
    }
    // An empty run attains nothing, but counts.
    assert!(attainment_surface(&runs, 2).unwrap().is_empty());
    assert_eq!(
        attainment_surface(&[vec![vec![1.0; 3]]], 1),
        Err(ParetoError::Objectives {
            found: 3,
            supported: 2
        })
    );
    assert!(attainment_surface(&[vec![vec![1.0]], vec![vec![1.0, 2.0]]], 1).is_err());
    let none: [Run; 0] = [];
    assert!(median_attainment(&none).is_err());
    assert!(attainment(&none, &[0.0]).unwrap().is_nan());
}
