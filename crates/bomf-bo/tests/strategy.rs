//! Ask and tell: convergence, faces, failures, and what must never happen.
//! Every run is seeded, so every figure here is the same each time (on one
//! kind of machine); the bounds leave room for others.

#![allow(clippy::unwrap_used)]

use bomf_bo::BoError;
use bomf_bo::models::Gram;
use bomf_bo::space::{BoxSpace, Configuration, SimplexSpace, Space, Value};
use bomf_bo::strategy::{
    MultiObjective, MultiObjectiveOptions, RandomSimplex, RefPoint, SAME_POINT, SingleObjective,
    SingleObjectiveOptions, Strategy,
};
use bomf_pareto::test_functions::{self, TestFunction};
use bomf_pareto::{dominates, hypervolume};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

fn unit_box(d: usize) -> BoxSpace {
    let mut space = BoxSpace::builder();
    for i in 0..d {
        space = space.float(format!("x{i}"), 0.0, 1.0);
    }
    space.build().unwrap()
}

/// The hypervolume after `n` evaluations of the strategy.
fn run_on_box(f: &TestFunction, n: usize, seed: u64) -> f64 {
    let options = MultiObjectiveOptions {
        n_initial: Some(6),
        ref_point: RefPoint::Fixed(f.ref_point.clone()),
        ..MultiObjectiveOptions::default()
    };
    let space = unit_box(f.dim);
    let mut search = MultiObjective::new(space.clone(), options).unwrap();
    let mut rng = rng(seed);
    for _ in 0..n {
        let c = search.ask(&mut rng).unwrap();
        let y = f.evaluate(&space.encode(&c).unwrap()).unwrap();
        search.tell(&c, Some(&y)).unwrap();
    }
    *search.hypervolume_history().last().unwrap()
}

fn random_on_box(f: &TestFunction, n: usize, seed: u64) -> f64 {
    let mut rng = rng(seed);
    let y: Vec<Vec<f64>> = (0..n)
        .map(|_| {
            let x: Vec<f64> = (0..f.dim).map(|_| rng.random()).collect();
            f.evaluate(&x).unwrap()
        })
        .collect();
    hypervolume(&y, &f.ref_point).unwrap()
}

#[test]
fn branin_currin_is_nearly_solved_in_forty() {
    let f = test_functions::branin_currin();
    for seed in 0..3 {
        let found = run_on_box(&f, 40, seed);
        let random = random_on_box(&f, 40, seed);
        // 59.36 is the best there is; random search has about 10.
        assert!(found > 56.0, "seed {seed}: {found}");
        assert!(found > random + 10.0, "seed {seed}: {found} {random}");
    }
}

#[test]
fn three_objectives() {
    let f = test_functions::dtlz2(4, 3);
    let found = run_on_box(&f, 40, 1);
    let random = random_on_box(&f, 40, 1);
    assert!(found > 1.2 * random, "{found} {random}");
}

/// A bowl around a target outside the simplex: its best point lies on a face.
fn bowl(w: &[f64], target: &[f64]) -> f64 {
    -w.iter()
        .zip(target)
        .map(|(w, t)| (w - t).powi(2))
        .sum::<f64>()
}

#[test]
fn one_objective_on_the_simplex_reaches_the_face_exactly() {
    let n = 6;
    let target = [0.6, 0.4, -0.3, -0.3, -0.2, -0.2];
    let space = SimplexSpace::new(n).unwrap();
    let mut search = SingleObjective::new(space, SingleObjectiveOptions::default()).unwrap();
    let mut rng = rng(3);
    for _ in 0..35 {
        let w = search.ask(&mut rng).unwrap();
        search.tell(&w, Some(bowl(&w, &target))).unwrap();
    }
    let (best, value) = search.best().unwrap();
    assert!(best[2..].iter().all(|v| *v == 0.0), "{best:?}");
    assert!((best[0] - 0.6).abs() < 0.05, "{best:?} {value}");
}

#[test]
fn two_objectives_on_the_simplex_find_the_edge_between_two_vertices() {
    // The front is the edge between coefficients 0 and 1.
    let n = 8;
    let y = |w: &[f64]| {
        let mut a = vec![0.0; n];
        a[0] = 1.0;
        let mut b = vec![0.0; n];
        b[1] = 1.0;
        vec![bowl(w, &a), bowl(w, &b)]
    };
    let space = SimplexSpace::new(n).unwrap();
    let ref_point = vec![-2.0, -2.0];
    let options = MultiObjectiveOptions {
        ref_point: RefPoint::Fixed(ref_point.clone()),
        ..MultiObjectiveOptions::default()
    };
    let mut search = MultiObjective::new(space, options).unwrap();
    let mut rng = rng(4);
    let baseline = RandomSimplex::new(space);
    let mut random = Vec::new();
    for _ in 0..40 {
        let w = search.ask(&mut rng).unwrap();
        search.tell(&w, Some(&y(&w))).unwrap();
        random.push(y(&baseline.ask(&mut rng)));
    }
    let found = *search.hypervolume_history().last().unwrap();
    let random = hypervolume(&random, &ref_point).unwrap();
    // The whole edge, y = (-2 (1 - t)^2, -2 t^2), has the hypervolume
    // integral over t of (2 - 2 t^2) 4 (1 - t) = 10/3.
    assert!(found > 3.2 && found > random + 0.3, "{found} {random}");
    let exact = search
        .front()
        .iter()
        .filter(|o| o.x[2..].iter().all(|v| *v == 0.0))
        .count();
    assert!(exact >= 5, "{exact} of {}", search.front().len());
}

#[test]
fn a_metric_can_be_given() {
    let n = 4;
    let identity: Vec<Vec<f64>> = (0..n)
        .map(|i| (0..n).map(|j| f64::from(u8::from(i == j))).collect())
        .collect();
    let options = MultiObjectiveOptions {
        metric: Some(Gram::new(&identity).unwrap()),
        ..MultiObjectiveOptions::default()
    };
    let mut search = MultiObjective::new(SimplexSpace::new(n).unwrap(), options.clone()).unwrap();
    let mut rng = rng(5);
    for _ in 0..10 {
        let w = search.ask(&mut rng).unwrap();
        search.tell(&w, Some(&[w[0], -w[0] * w[1]])).unwrap();
    }
    let misfit = MultiObjective::new(SimplexSpace::new(n + 1).unwrap(), options);
    assert!(matches!(misfit, Err(BoError::Dimension { .. })));
}

#[test]
fn no_point_twice() {
    // A maximum at a vertex pulls every proposal to one place.
    let space = SimplexSpace::new(3).unwrap();
    let mut search = MultiObjective::new(space, MultiObjectiveOptions::default()).unwrap();
    let mut rng = rng(6);
    let mut seen: Vec<Vec<f64>> = Vec::new();
    for i in 0..30 {
        let w = search.ask(&mut rng).unwrap();
        assert!(
            seen.iter().all(|s| !space.same(s, &w, SAME_POINT)),
            "{w:?} again"
        );
        seen.push(w.clone());
        // Every third one is left pending.
        if i % 3 != 2 {
            search.tell(&w, Some(&[w[0], w[0]])).unwrap();
        }
    }
}

#[test]
fn a_finite_space_is_used_up_and_says_so() {
    let space = BoxSpace::builder()
        .integer("k", 1, 5)
        .categorical("c", ["a", "b"])
        .build()
        .unwrap();
    let mut search = SingleObjective::new(space, SingleObjectiveOptions::default()).unwrap();
    let mut rng = rng(7);
    let mut seen: Vec<Configuration> = Vec::new();
    for _ in 0..10 {
        let c = search.ask(&mut rng).unwrap();
        assert!(!seen.contains(&c));
        seen.push(c.clone());
        let value = c.float("k").unwrap() + f64::from(u8::from(c.categorical("c") == Some("b")));
        search.tell(&c, Some(value)).unwrap();
    }
    assert_eq!(search.ask(&mut rng), Err(BoError::Exhausted { size: 10 }));
    let (best, value) = search.best().unwrap();
    assert_eq!((best.integer("k"), value), (Some(5), 6.0));
}

#[test]
fn mixed_parameters_converge() {
    let space = BoxSpace::builder()
        .log_float("lr", 1e-6, 1e-2)
        .log_integer("batch", 4, 256)
        .categorical("schedule", ["constant", "linear", "cosine"])
        .build()
        .unwrap();
    let value = |c: &Configuration| {
        let lr = (c.float("lr").unwrap().log10() + 4.0).powi(2);
        let batch = (c.float("batch").unwrap().log2() - 5.0).powi(2) / 9.0;
        let schedule = f64::from(u8::from(c.categorical("schedule") != Some("linear")));
        -(lr + batch + schedule)
    };
    for seed in 0..3 {
        let options = SingleObjectiveOptions::default();
        let mut search = SingleObjective::new(space.clone(), options).unwrap();
        let mut rng = rng(seed);
        for _ in 0..25 {
            let c = search.ask(&mut rng).unwrap();
            search.tell(&c, Some(value(&c))).unwrap();
        }
        let (best, value) = search.best().unwrap();
        assert!(value > -0.1, "seed {seed}: {best} {value}");
    }
}

#[test]
fn failures_are_left_out_and_not_proposed_again() {
    let space = BoxSpace::builder().float("x", 0.0, 1.0).build().unwrap();
    let mut search =
        SingleObjective::new(space.clone(), SingleObjectiveOptions::default()).unwrap();
    let mut rng = rng(8);
    let mut failed: Vec<Vec<f64>> = Vec::new();
    for i in 0..20 {
        let c = search.ask(&mut rng).unwrap();
        let x = space.encode(&c).unwrap();
        assert!(failed.iter().all(|f| !space.same(f, &x, SAME_POINT)));
        let y = match i % 4 {
            0 => None,
            1 => Some(f64::NAN),
            _ => Some(-(x[0] - 0.3).powi(2)),
        };
        if y.is_none_or(f64::is_nan) {
            failed.push(x);
        }
        search.tell(&c, y).unwrap();
    }
    assert_eq!(
        search.outcomes().iter().filter(|o| o.y.is_none()).count(),
        10
    );
    assert!(search.best().unwrap().1 > -0.01);

    // All failed: it goes on at random and has no best.
    let mut search = SingleObjective::new(space, SingleObjectiveOptions::default()).unwrap();
    for _ in 0..6 {
        let c = search.ask(&mut rng).unwrap();
        search.tell(&c, None).unwrap();
    }
    assert!(search.best().is_none());

    let mut search = MultiObjective::new(
        SimplexSpace::new(3).unwrap(),
        MultiObjectiveOptions::default(),
    )
    .unwrap();
    for i in 0..8 {
        let w = search.ask(&mut rng).unwrap();
        let y = [w[0], f64::INFINITY];
        let y = (i % 2 == 0).then_some(if i == 4 { &y[..] } else { &w[..2] });
        search.tell(&w, y).unwrap();
    }
    let told = search.observations().iter().filter(|o| o.y().is_some());
    assert_eq!(told.count(), 3);
    let history = search.hypervolume_history();
    assert_eq!(history.len(), 8);
    assert!(history.is_sorted());
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = |seed| {
        let options = MultiObjectiveOptions::default();
        let mut search = MultiObjective::new(SimplexSpace::new(4).unwrap(), options).unwrap();
        let mut rng = rng(seed);
        let mut all = Vec::new();
        for _ in 0..12 {
            let w = search.ask(&mut rng).unwrap();
            search.tell(&w, Some(&[w[0] * w[1], w[2]])).unwrap();
            all.push(w);
        }
        all
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn front_and_reference_point() {
    let space = SimplexSpace::new(2).unwrap();
    let mut search = MultiObjective::new(space, MultiObjectiveOptions::default()).unwrap();
    assert_eq!(search.ref_point(), None);
    assert!(search.front().is_empty() && search.hypervolume_history().is_empty());
    for i in 0..=4 {
        let t = f64::from(i) / 4.0;
        search.tell(&[t, 1.0 - t], Some(&[t, 1.0 - t])).unwrap();
    }
    search.tell(&[0.1, 0.9], Some(&[0.0, 0.0])).unwrap();
    assert_eq!(search.front_indices(), [0, 1, 2, 3, 4]);
    assert_eq!(search.ref_point().unwrap(), [-0.1, -0.1]);
    let front = search.front();
    for a in &front {
        let a = a.y().unwrap();
        assert!(front.iter().all(|b| !dominates(b.y().unwrap(), a)));
    }
    // One objective is a front of one point.
    let mut search = MultiObjective::new(space, MultiObjectiveOptions::default()).unwrap();
    let mut rng = rng(9);
    for _ in 0..6 {
        let w = search.ask(&mut rng).unwrap();
        search.tell(&w, Some(&[-(w[0] - 0.3).powi(2)])).unwrap();
    }
    assert_eq!(search.front().len(), 1);
}

#[test]
fn refusals_record_nothing() {
    let space = SimplexSpace::new(2).unwrap();
    let mut search = MultiObjective::new(space, MultiObjectiveOptions::default()).unwrap();
    assert!(search.tell(&[0.4, 0.4], Some(&[1.0])).is_err());
    assert!(search.tell(&[0.5, 0.5], Some(&[])).is_err());
    search.tell(&[0.5, 0.5], Some(&[1.0, 2.0])).unwrap();
    assert!(search.tell(&[0.2, 0.8], Some(&[1.0])).is_err());
    assert_eq!(search.observations().len(), 1);

    let zero = MultiObjectiveOptions {
        n_initial: Some(0),
        ..MultiObjectiveOptions::default()
    };
    assert!(matches!(
        MultiObjective::new(space, zero),
        Err(BoError::Option {
            option: "n_initial",
            ..
        })
    ));
    let bad = MultiObjectiveOptions {
        ref_point: RefPoint::Fixed(vec![f64::NAN]),
        ..MultiObjectiveOptions::default()
    };
    assert!(matches!(
        MultiObjective::new(space, bad),
        Err(BoError::Option {
            option: "ref_point",
            ..
        })
    ));
    let mut single = SingleObjective::new(unit_box(1), SingleObjectiveOptions::default()).unwrap();
    let outside: Configuration = [("x0", Value::Float(2.0))].into_iter().collect();
    assert!(single.tell(&outside, Some(1.0)).is_err());
    assert!(single.outcomes().is_empty());
}

#[test]
fn a_stored_search_goes_on_as_it_would_have() {
    let f = test_functions::branin_currin();
    let space = unit_box(2);
    let options = MultiObjectiveOptions {
        n_initial: Some(4),
        ..MultiObjectiveOptions::default()
    };
    let mut search = MultiObjective::new(space.clone(), options).unwrap();
    let mut rng = rng(3);
    for _ in 0..9 {
        let c = search.ask(&mut rng).unwrap();
        let y = f.evaluate(&space.encode(&c).unwrap()).unwrap();
        search.tell(&c, Some(&y)).unwrap();
    }
    search.ask(&mut rng).unwrap(); // one pending
    let stored = serde_json::to_string(&(&search, &rng)).unwrap();
    let (mut again, mut same): (MultiObjective<BoxSpace>, ChaCha8Rng) =
        serde_json::from_str(&stored).unwrap();
    for _ in 0..3 {
        assert_eq!(search.ask(&mut rng).unwrap(), again.ask(&mut same).unwrap());
    }
}

#[test]
fn a_batch_spreads_out() {
    // The same data, asked for one point or four: the four do not crowd around
    // the place that one would go to.
    let space = SimplexSpace::new(4).unwrap();
    let mut search = SingleObjective::new(space, SingleObjectiveOptions::default()).unwrap();
    let mut rng = rng(5);
    for i in 0..4 {
        let w = space.vertex(i).unwrap();
        search
            .tell(&w, Some(bowl(&w, &[0.4, 0.3, 0.2, 0.1])))
            .unwrap();
    }
    let batch = search.ask_batch(4, &mut rng).unwrap();
    for (i, a) in batch.iter().enumerate() {
        for b in &batch[..i] {
            let distance: f64 = a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum();
            assert!(distance > 0.05, "{a:?} {b:?}");
        }
    }
}

#[test]
fn either_strategy_minds_the_number_of_objectives() {
    fn refuses<T: Strategy<Space = SimplexSpace>>(mut search: T, y: &[f64]) {
        let w = [0.5, 0.5];
        assert!(matches!(
            search.tell(&w, Some(y)),
            Err(BoError::Dimension { .. })
        ));
    }
    let space = SimplexSpace::new(2).unwrap();
    refuses(
        SingleObjective::new(space, SingleObjectiveOptions::default()).unwrap(),
        &[1.0, 2.0],
    );
    let options = MultiObjectiveOptions {
        ref_point: RefPoint::Fixed(vec![0.0, 0.0]),
        ..MultiObjectiveOptions::default()
    };
    refuses(MultiObjective::new(space, options).unwrap(), &[1.0]);
}
