//! Constraints: nothing infeasible is ever proposed, what is feasible is
//! reached, and what cannot be kept is refused.

#![allow(clippy::unwrap_used)]

use bomf_bo::optim::{Polyhedral, SearchSpace};
use bomf_bo::space::{
    BoxSpace, Configuration, Constrained, LinearConstraint, ProductSpace, SimplexSpace, Space,
};
use bomf_bo::strategy::{SingleObjective, SingleObjectiveOptions};
use bomf_bo::{BoError, ConstraintFault};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What a natural value may be off by: `1e-9` of the numbers in a constraint.
const MISSED: f64 = 1e-8;

fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// Every point that the space can make, from all three sources.
fn points<S: Polyhedral>(space: &Constrained<S>, seed: u64) -> Vec<Vec<f64>> {
    let mut rng = rng(seed);
    let mut all: Vec<Vec<f64>> = (0..20)
        .map(|_| {
            let u: Vec<f64> = (0..space.design_dim()).map(|_| rng.random()).collect();
            space.design_point(&u)
        })
        .collect();
    all.extend(space.candidates(&[], 60, &mut rng));
    let incumbents = all[..3].to_vec();
    all.extend(space.candidates(&incumbents, 60, &mut rng));
    all
}

#[test]
fn a_capped_mixture_is_found_on_its_cap() {
    // The target wants all weight on members 0 and 1; they may have 0.6.
    let space = Constrained::builder(SimplexSpace::new(5).unwrap())
        .at_most([(0, 1.0), (1, 1.0)], 0.6)
        .build()
        .unwrap();
    let target = [0.5, 0.5, 0.0, 0.0, 0.0];
    let value = |w: &[f64]| -> f64 {
        -w.iter()
            .zip(target)
            .map(|(w, t)| (w - t).powi(2))
            .sum::<f64>()
    };
    let mut search =
        SingleObjective::new(space.clone(), SingleObjectiveOptions::default()).unwrap();
    let mut rng = rng(2);
    for _ in 0..30 {
        let w = search.ask(&mut rng).unwrap();
        assert!(w[0] + w[1] <= 0.6 + MISSED, "{w:?}");
        search.tell(&w, Some(value(&w))).unwrap();
    }
    let (best, found) = search.best().unwrap();
    // The projection of the target: (0.3, 0.3, 0.4/3, ..), with -2/25 - 0.16/3.
    assert!(found > -0.08 - 0.16 / 3.0 - 0.002, "{best:?} {found}");
    assert!((best[0] + best[1] - 0.6).abs() < 1e-3, "{best:?}");
    assert!(matches!(
        search.tell(&[0.7, 0.0, 0.3, 0.0, 0.0], Some(0.0)),
        Err(BoError::Infeasible { constraint }) if constraint == "w[0] + w[1] <= 0.6"
    ));
}

#[test]
fn a_predicate_bounds_a_search_that_wants_to_leave() {
    // Throughput grows with batch and length; memory ends at a product.
    let space = BoxSpace::builder()
        .log_integer("batch", 1, 1024)
        .log_integer("length", 16, 4096)
        .log_float("lr", 1e-6, 1e-2)
        .build()
        .unwrap();
    let fits =
        |c: &Configuration| c.integer("batch").unwrap() * c.integer("length").unwrap() <= 16_384;
    let space = Constrained::builder(space)
        .predicate("memory", fits)
        .build()
        .unwrap();
    let value = |c: &Configuration| {
        c.float("batch").unwrap().ln() + 0.5 * c.float("length").unwrap().ln()
            - (c.float("lr").unwrap().log10() + 4.0).powi(2)
    };
    let mut search =
        SingleObjective::new(space.clone(), SingleObjectiveOptions::default()).unwrap();
    let mut rng = rng(4);
    for _ in 0..30 {
        let c = search.ask(&mut rng).unwrap();
        assert!(fits(&c), "{c}");
        search.tell(&c, Some(value(&c))).unwrap();
    }
    let (best, found) = search.best().unwrap();
    // The best: batch 1024, length 16.
    let optimum = 1024_f64.ln() + 0.5 * 16_f64.ln();
    assert!(found > optimum - 0.15, "{best} {found} {optimum}");
    let refused = space.encode(&space.inner().decode(&[1.0, 1.0, 0.5]).unwrap());
    assert_eq!(
        refused,
        Err(BoError::Infeasible {
            constraint: "memory".into()
        })
    );
}

#[test]
fn what_cannot_be_kept_is_refused() {
    let unit = || {
        let space = BoxSpace::builder()
            .float("x", 0.0, 1.0)
            .float("y", 0.0, 1.0)
            .categorical("c", ["a", "b"]);
        space.build().unwrap()
    };
    let sums = |bound| Constrained::builder(unit()).at_most([("x", 1.0), ("y", 1.0)], bound);
    assert_eq!(
        sums(-0.5).build().map(|_| ()).unwrap_err().to_string(),
        "the constraint `x + y <= -0.5`: no point of the space keeps it together with the other \
         linear constraints"
    );
    let two = sums(0.4).at_least([("x", 1.0)], 0.5).build();
    assert!(
        matches!(
            two,
            Err(BoError::Constraint {
                reason: ConstraintFault::NoRoom,
                ..
            })
        ),
        "{two:?}"
    );
    let none = Constrained::builder(unit())
        .predicate("never", |_| false)
        .build();
    assert!(matches!(
        none,
        Err(BoError::NothingFeasible { constraint, .. }) if constraint == "never"
    ));
    for variable in ["z", "c"] {
        let unknown = Constrained::builder(unit())
            .at_most([(variable, 1.0)], 1.0)
            .build();
        assert!(matches!(unknown, Err(BoError::Variable { variable: v }) if v == variable));
    }
    let unknown = Constrained::builder(SimplexSpace::new(2).unwrap())
        .at_most([(2, 1.0)], 1.0)
        .build();
    assert!(matches!(unknown, Err(BoError::Variable { .. })));
    let fault = |factor, bound| match Constrained::builder(unit())
        .at_most([("x", factor)], bound)
        .build()
        .unwrap_err()
    {
        BoError::Constraint { reason, .. } => reason,
        other => panic!("{other}"),
    };
    assert_eq!(fault(f64::NAN, 1.0), ConstraintFault::NotFinite);
    assert_eq!(fault(1.0, f64::INFINITY), ConstraintFault::NotFinite);
    assert_eq!(fault(0.0, 1.0), ConstraintFault::NoVariable);
}

#[test]
fn a_needle_is_found_where_the_caller_names_it() {
    let space = || {
        BoxSpace::builder()
            .float("x", 0.0, 1.0)
            .float("y", 0.0, 1.0)
            .build()
            .unwrap()
    };
    let near = |c: &Configuration| {
        let gap = |name| (c.float(name).unwrap() - 0.123_4).abs();
        gap("x") < 1e-4 && gap("y") < 1e-4
    };
    let lost = Constrained::builder(space())
        .predicate("needle", near)
        .build();
    assert!(matches!(lost, Err(BoError::NothingFeasible { .. })));
    let known: Configuration = [("x", 0.123_4.into()), ("y", 0.123_4.into())]
        .into_iter()
        .collect();
    let found = Constrained::builder(space())
        .predicate("needle", near)
        .known(&known)
        .unwrap()
        .build()
        .unwrap();
    for x in points(&found, 1) {
        assert!(near(&found.decode(&x).unwrap()), "{x:?}");
    }
    // The walk moves: not all points are the one that was named.
    let distinct = points(&found, 1)
        .iter()
        .filter(|x| (x[0] - 0.123_4).abs() > 1e-6)
        .count();
    assert!(distinct > 20, "{distinct}");
    let wrong: Configuration = [("x", 0.5.into()), ("y", 0.5.into())].into_iter().collect();
    let refused = Constrained::builder(space())
        .predicate("needle", near)
        .known(&wrong)
        .unwrap()
        .build();
    assert!(matches!(refused, Err(BoError::Infeasible { .. })));
}

#[test]
fn integers_under_a_tight_sum_are_found() {
    // One in 20,000 of all points keeps it.
    let space = BoxSpace::builder()
        .integer("a", 0, 99)
        .integer("b", 0, 99)
        .integer("c", 0, 99)
        .float("x", 0.0, 1.0)
        .build()
        .unwrap();
    let space = Constrained::builder(space)
        .at_most([("a", 1.0), ("b", 1.0), ("c", 1.0), ("x", 1.0)], 5.5)
        .build()
        .unwrap();
    let mut sums = Vec::new();
    for x in points(&space, 3) {
        let c = space.decode(&x).unwrap();
        let sum: f64 = ["a", "b", "c", "x"]
            .iter()
            .map(|n| c.float(n).unwrap())
            .sum();
        assert!(sum <= 5.5 + MISSED, "{c}");
        sums.push(c);
    }
    sums.dedup();
    assert!(sums.len() > 50, "{}", sums.len());
}

#[test]
fn a_small_finite_space_is_counted() {
    let space = BoxSpace::builder()
        .integer("a", 0, 9)
        .integer("b", 0, 9)
        .build()
        .unwrap();
    let space = Constrained::builder(space)
        .at_most([("a", 1.0), ("b", 1.0)], 3.0)
        .build()
        .unwrap();
    assert_eq!(space.cardinality(), Some(10));
    assert_eq!(space.enumerate().len(), 10);
    let mut search = SingleObjective::new(space, SingleObjectiveOptions::default()).unwrap();
    let mut rng = rng(6);
    for _ in 0..10 {
        let c = search.ask(&mut rng).unwrap();
        assert!(c.integer("a").unwrap() + c.integer("b").unwrap() <= 3);
        search.tell(&c, c.float("a")).unwrap();
    }
    assert_eq!(search.ask(&mut rng), Err(BoError::Exhausted { size: 10 }));
}

#[test]
fn a_constraint_is_silent_where_a_variable_is_inactive() {
    let space = BoxSpace::builder()
        .categorical("optimizer", ["adam", "sgd"])
        .float("momentum", 0.0, 1.0)
        .when("optimizer", ["sgd"])
        .float("lr", 0.0, 1.0)
        .build()
        .unwrap();
    let space = Constrained::builder(space)
        .at_most([("momentum", 1.0), ("lr", 1.0)], 0.7)
        .build()
        .unwrap();
    let (mut adam, mut sgd) = (0.0_f64, 0.0_f64);
    for x in points(&space, 9) {
        let c = space.decode(&x).unwrap();
        match c.float("momentum") {
            Some(m) => sgd = sgd.max(m + c.float("lr").unwrap()),
            None => adam = adam.max(c.float("lr").unwrap()),
        }
    }
    assert!(
        adam > 0.9 && sgd <= 0.7 + MISSED && sgd > 0.69,
        "{adam} {sgd}"
    );
}

#[test]
fn logarithmic_numbers_keep_a_linear_constraint_too() {
    let space = BoxSpace::builder()
        .log_float("a", 1e-3, 1.0)
        .log_float("b", 1e-3, 1.0)
        .build()
        .unwrap();
    let space = Constrained::builder(space)
        .at_least([("a", 1.0), ("b", 1.0)], 0.8)
        .build()
        .unwrap();
    for x in points(&space, 2) {
        let c = space.decode(&x).unwrap();
        assert!(
            c.float("a").unwrap() + c.float("b").unwrap() >= 0.8 - MISSED,
            "{c}"
        );
    }
    let text = space.linear().next().unwrap().to_string();
    assert_eq!(text, "a + b >= 0.8");
}

#[test]
fn a_product_is_cut_across_its_parts() {
    // The weight of member 0 may not exceed the float beside it.
    let knob = BoxSpace::builder().float("cap", 0.0, 0.5).build().unwrap();
    let product = ProductSpace::new([knob.into(), SimplexSpace::new(3).unwrap().into()]).unwrap();
    let terms = LinearConstraint {
        terms: vec![((1, 0).into(), 1.0), ((0, "cap").into(), -1.0)],
        at_most: 0.0,
    };
    assert_eq!(terms.to_string(), "part 1's w[0] - part 0's cap <= 0");
    let space = Constrained::builder(product).linear(terms).build().unwrap();
    let mut on_it = 0;
    for x in points(&space, 7) {
        let p = space.decode(&x).unwrap();
        let gap = p.configuration(0).unwrap().float("cap").unwrap() - p.coefficients(1).unwrap()[0];
        assert!(gap >= -MISSED, "{p:?}");
        on_it += usize::from(gap.abs() < MISSED);
    }
    assert!(on_it > 5, "{on_it}");
}

#[test]
fn the_feasible_region_is_filled_evenly() {
    // The design on x + y + z <= 1, a sixth of the cube: its mean is 1/4 each.
    let space = BoxSpace::builder()
        .float("x", 0.0, 1.0)
        .float("y", 0.0, 1.0)
        .float("z", 0.0, 1.0)
        .build()
        .unwrap();
    let space = Constrained::builder(space)
        .at_most([("x", 1.0), ("y", 1.0), ("z", 1.0)], 1.0)
        .build()
        .unwrap();
    let mut rng = rng(12);
    let n = 2000;
    let mut mean = [0.0; 3];
    for _ in 0..n {
        let u: Vec<f64> = (0..3).map(|_| rng.random()).collect();
        for (m, v) in mean.iter_mut().zip(space.design_point(&u)) {
            *m += v / f64::from(n);
        }
    }
    // Standard deviation of a coordinate 0.19: five standard errors.
    assert!(mean.iter().all(|m| (m - 0.25).abs() < 0.022), "{mean:?}");
    // And on a small part, by walks: x + y + z <= 0.1, mean 1/40.
    let small = Constrained::builder(space.inner().clone())
        .at_most([("x", 1.0), ("y", 1.0), ("z", 1.0)], 0.1)
        .build()
        .unwrap();
    let mut mean = [0.0; 3];
    for _ in 0..n {
        let u: Vec<f64> = (0..3).map(|_| rng.random()).collect();
        for (m, v) in mean.iter_mut().zip(small.design_point(&u)) {
            *m += v / f64::from(n);
        }
    }
    assert!(mean.iter().all(|m| (m - 0.025).abs() < 0.003), "{mean:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn whatever_the_constraints_all_points_keep_them(m in 1_usize..4, seed in any::<u64>()) {
        let mut rng = rng(seed);
        let inner = BoxSpace::builder()
            .float("x", -1.0, 3.0)
            .integer("k", 0, 20)
            .categorical("c", ["a", "b", "c"])
            .float("y", 0.0, 100.0)
            .build()
            .unwrap();
        let mut builder = Constrained::builder(inner);
        for _ in 0..m {
            let mut factor = || 2.0 * rng.random::<f64>() - 1.0;
            let terms = [("x", 10.0 * factor()), ("k", factor()), ("y", 0.2 * factor())];
            builder = builder.at_most(terms, 8.0 * factor());
        }
        match builder.build() {
            Ok(space) => {
                let again = points(&space, seed);
                prop_assert_eq!(&again, &points(&space, seed));
                for x in again {
                    let c = space.decode(&x).unwrap();
                    for l in space.linear() {
                        let side: f64 = l.terms.iter().map(|(v, a)| a * c.float(&v.to_string()).unwrap()).sum();
                        prop_assert!(side <= l.at_most + MISSED * 50.0, "{c} {l} {side}");
                    }
                    let x2 = space.encode(&c).unwrap();
                    prop_assert!(space.same(&x, &x2, 1e-12));
                }
            }
            Err(BoError::Constraint { reason: ConstraintFault::NoRoom, .. }) => {}
            // Room between the integers only; rare.
            Err(other) => prop_assert!(matches!(other, BoError::NothingFeasible { .. }), "{other}"),
        }
    }
}
