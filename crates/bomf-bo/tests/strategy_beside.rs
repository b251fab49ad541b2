//! What decides beside the objectives: failures, outcome constraints, costs,
//! standard errors; and when to stop. Every run is seeded.

#![allow(clippy::unwrap_used)]

use bomf_bo::BoError;
use bomf_bo::space::{BoxSpace, Configuration, SimplexSpace, Value};
use bomf_bo::strategy::{
    Beside, MultiObjective, MultiObjectiveOptions, Outcome, RefPoint, SingleObjective,
    SingleObjectiveOptions, StoppingRule, Strategy,
};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

fn square() -> BoxSpace {
    BoxSpace::builder()
        .float("a", 0.0, 1.0)
        .float("b", 0.0, 1.0)
        .build()
        .unwrap()
}

fn at(c: &Configuration) -> [f64; 2] {
    ["a", "b"].map(|name| c.float(name).unwrap())
}

fn configuration(x: [f64; 2]) -> Configuration {
    let values = ["a", "b"]
        .map(String::from)
        .into_iter()
        .zip(x.map(Value::Float));
    values.collect()
}

fn single(beside: Beside) -> SingleObjective {
    let options = SingleObjectiveOptions {
        beside,
        ..SingleObjectiveOptions::default()
    };
    SingleObjective::new(square(), options).unwrap()
}

/// Runs `n` evaluations; returns where they were.
fn run<T: Strategy<Space = BoxSpace>>(
    search: &mut T,
    n: usize,
    evaluate: impl Fn([f64; 2]) -> Outcome,
) -> Vec<[f64; 2]> {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let mut visited = Vec::new();
    for _ in 0..n {
        let c = search.ask(&mut rng).unwrap();
        visited.push(at(&c));
        search.tell_outcome(&c, evaluate(at(&c))).unwrap();
    }
    visited
}

#[test]
fn a_region_where_evaluations_fail_is_left_alone() {
    // The objective grows with `a`, but beyond 0.6 there is none.
    let evaluate = |[a, b]: [f64; 2]| {
        if a > 0.6 {
            Outcome::failed()
        } else {
            Outcome::of([a - (b - 0.5).powi(2)])
        }
    };
    let mut search = single(Beside::default());
    for i in 0..25 {
        let x = [i / 5, i % 5].map(|k| 0.1 + 0.2 * f64::from(k));
        search.tell_outcome(&configuration(x), evaluate(x)).unwrap();
    }
    let visited = run(&mut search, 3, evaluate);
    assert!(visited[0][0] > 0.5 && visited[0][0] < 0.65, "{visited:?}");
    // A look beyond now and then is how its edge is found.
    let beyond = visited.iter().filter(|[a, _]| *a > 0.7).count();
    assert!(beyond <= 1, "{visited:?}");
}

#[test]
fn the_best_point_keeps_to_the_constraint() {
    // The largest a + b within the circle of radius 0.8: at the diagonal, 1.131.
    let mut search = single(Beside {
        constraints: vec![0.64],
        budget: None,
    });
    run(&mut search, 30, |[a, b]| {
        Outcome::of([a + b]).constraints([a * a + b * b])
    });
    let (c, best) = search.best().unwrap();
    let [a, b] = at(&c);
    assert!(a * a + b * b <= 0.64, "{a} {b}");
    assert!(best > 1.12, "{best}");
}

#[test]
fn a_front_keeps_to_the_constraint() {
    // Both coordinates are objectives; only what lies below the diagonal of 1 counts.
    let options = MultiObjectiveOptions {
        ref_point: RefPoint::Fixed(vec![0.0, 0.0]),
        beside: Beside {
            constraints: vec![1.0],
            budget: None,
        },
        ..MultiObjectiveOptions::default()
    };
    let mut search = MultiObjective::new(square(), options).unwrap();
    run(&mut search, 30, |[a, b]| {
        Outcome::of([a, b]).constraints([a + b])
    });
    let front = search.front();
    assert!(front.len() > 3);
    assert!(
        front
            .iter()
            .all(|o| o.y().unwrap().iter().sum::<f64>() <= 1.0)
    );
    // The whole triangle has one half.
    let hypervolume = *search.hypervolume_history().last().unwrap();
    assert!(hypervolume > 0.42, "{hypervolume}");
}

#[test]
fn a_small_feasible_region_is_found_when_nothing_is_feasible_yet() {
    let mut search = single(Beside {
        constraints: vec![0.01],
        budget: None,
    });
    run(&mut search, 25, |[a, b]| {
        Outcome::of([b]).constraints([(a - 0.83).powi(2) + (b - 0.21).powi(2)])
    });
    assert!(search.best().is_some());
}

#[test]
fn of_places_that_are_as_good_the_cheap_ones_are_tried_first() {
    let spent = |with_costs: bool| -> f64 {
        let mut search = single(Beside::default());
        let cost = |[_, b]: [f64; 2]| (4.0 * b).exp();
        let visited = run(&mut search, 20, |x| {
            let outcome = Outcome::of([-(x[0] - 0.3).powi(2)]);
            if with_costs {
                outcome.cost(cost(x))
            } else {
                outcome
            }
        });
        visited[3..].iter().map(|x| cost(*x)).sum()
    };
    let (blind, minded) = (spent(false), spent(true));
    assert!(minded < 0.5 * blind, "{minded} {blind}");
}

#[test]
fn told_standard_errors_count_as_the_noise() {
    // The same two outcomes at one place: with large errors their mean is believed
    // less than with small ones, against what the neighbours say.
    let pull = |error: f64| -> Vec<[f64; 2]> {
        let mut search = single(Beside::default());
        for i in 0..12 {
            let a = f64::from(i) / 11.0;
            let c = configuration([a, 0.5]);
            let lucky = if i == 3 { 2.0 } else { 0.0 };
            let y = -(a - 0.9).powi(2) + lucky;
            let noise = if i == 3 { error } else { 0.01 };
            search
                .tell_outcome(&c, Outcome::of([y]).standard_errors([noise]))
                .unwrap();
        }
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        (0..4).map(|_| at(&search.ask(&mut rng).unwrap())).collect()
    };
    let near = |xs: &[[f64; 2]]| {
        xs.iter()
            .filter(|x| (x[0] - 3.0 / 11.0).abs() < 0.15)
            .count()
    };
    assert!(near(&pull(0.01)) > near(&pull(10.0)));
}

#[test]
fn outcomes_that_do_not_fit_are_refused_and_not_recorded() {
    let options = MultiObjectiveOptions {
        beside: Beside {
            constraints: vec![0.0],
            budget: None,
        },
        ..MultiObjectiveOptions::default()
    };
    let space = SimplexSpace::new(2).unwrap();
    let mut search = MultiObjective::new(space, options).unwrap();
    let fits = || Outcome::of([1.0, 2.0]).constraints([0.5]);
    search.tell_outcome(&[0.5, 0.5], fits()).unwrap();
    for (outcome, is_length) in [
        (Outcome::of([1.0, 2.0]), true),
        (Outcome::of([1.0]).constraints([0.5]), true),
        (Outcome::of([1.0, 2.0]).constraints([0.5, 0.1]), true),
        (fits().standard_errors([0.1]), true),
        (fits().standard_errors([0.1, -0.1]), false),
        (Outcome::of([1.0, 2.0]).constraints([f64::NAN]), false),
        (fits().cost(0.0), false),
        (fits().cost(f64::INFINITY), false),
    ] {
        let error = search
            .tell_outcome(&[0.3, 0.7], outcome.clone())
            .unwrap_err();
        assert_eq!(
            matches!(error, BoError::Dimension { .. }),
            is_length,
            "{outcome:?} {error}"
        );
        assert_eq!(search.evaluations(), 1);
    }
    search
        .tell_outcome(&[0.3, 0.7], Outcome::failed().cost(3.0))
        .unwrap();
    assert_eq!(search.evaluations(), 2);
    for beside in [
        Beside {
            constraints: vec![f64::NAN],
            budget: None,
        },
        Beside {
            constraints: vec![],
            budget: Some(0.0),
        },
    ] {
        let options = SingleObjectiveOptions {
            beside,
            ..SingleObjectiveOptions::default()
        };
        assert!(SingleObjective::new(square(), options).is_err());
    }
}

#[test]
fn gains_shrink_until_the_rules_say_stop() {
    let plateau = StoppingRule::Plateau {
        evaluations: 5,
        gain: 1e-4,
    };
    let expected = StoppingRule::ExpectedGain(1e-4);
    let options = MultiObjectiveOptions {
        ref_point: RefPoint::Fixed(vec![-1.0, -1.0]),
        ..MultiObjectiveOptions::default()
    };
    let mut search = MultiObjective::new(square(), options).unwrap();
    assert!(!plateau.is_met(&search) && !expected.is_met(&search));
    assert!(StoppingRule::Evaluations(0).is_met(&search));
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let mut gains = Vec::new();
    // Both objectives have their best at the same place: the front is one point.
    for _ in 0..25 {
        let c = search.ask(&mut rng).unwrap();
        gains.extend(search.expected_gain());
        let [a, b] = at(&c);
        let y = -((a - 0.4).powi(2) + (b - 0.7).powi(2));
        search.tell(&c, Some(&[y, 0.5 * y])).unwrap();
    }
    assert!(gains[0] > 1e-3, "{gains:?}");
    assert!(gains.iter().all(|g| *g >= 0.0 && g.is_finite()));
    assert!(expected.is_met(&search), "{gains:?}");
    assert!(plateau.is_met(&search));
    assert!(search.recent_gain(25).is_none());
    assert!(search.recent_gain(24).unwrap() > 0.0);
}

#[test]
fn a_search_that_gains_nothing_because_all_is_alike_may_stop() {
    let mut search = single(Beside::default());
    run(&mut search, 8, |_| Outcome::of([1.0]));
    let rule = StoppingRule::Plateau {
        evaluations: 5,
        gain: 0.0,
    };
    assert!(rule.is_met(&search));
}

#[test]
fn between_two_outcomes_no_model_is_fitted_again() {
    let mut search = single(Beside {
        constraints: vec![0.4],
        budget: Some(100.0),
    });
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    for i in 0..12 {
        let [a, b] = [i / 4, i % 4].map(|k| 0.1 + 0.25 * f64::from(k));
        let outcome = if i == 7 {
            Outcome::failed()
        } else {
            Outcome::of([a - b * b]).constraints([b]).cost(1.0 + a)
        };
        search
            .tell_outcome(&configuration([a, b]), outcome)
            .unwrap();
    }
    let fits = |search: &SingleObjective| {
        let state = serde_json::to_value(search).unwrap();
        [state["warm"].clone(), state["warm_beside"].clone()]
    };
    search.ask(&mut rng).unwrap();
    let first = fits(&search);
    search.ask(&mut rng).unwrap();
    assert_eq!(fits(&search), first);
    let told = Outcome::of([0.3]).constraints([0.2]).cost(2.0);
    search
        .tell_outcome(&configuration([0.9, 0.2]), told)
        .unwrap();
    search.ask(&mut rng).unwrap();
    assert_ne!(fits(&search), first);
}
