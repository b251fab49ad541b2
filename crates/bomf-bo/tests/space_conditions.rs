//! Conditional parameters: what is active, what is refused, how many there are.

#![allow(clippy::unwrap_used)]

use bomf_bo::optim::SearchSpace;
use bomf_bo::space::{BoxSpace, Configuration, Space, Value};
use bomf_bo::strategy::{SingleObjective, SingleObjectiveOptions};
use bomf_bo::{BoError, ConditionFault};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A choice with two levels of conditions below it, children before parents.
fn nested() -> BoxSpace {
    BoxSpace::builder()
        .float("beta", 0.1, 0.9)
        .when("warm", [true])
        .categorical("optimizer", ["adam", "sgd", "lion"])
        .boolean("warm")
        .when("optimizer", ["sgd", "lion"])
        .integer("steps", 1, 10)
        .when("warm", [true])
        .log_float("lr", 1e-6, 1e-2)
        .integer("layers", 1, 3)
        .categorical("pool", ["mean", "max"])
        .when("layers", [2, 3])
        .when("optimizer", ["adam"])
        .build()
        .unwrap()
}

fn names(c: &Configuration) -> Vec<&str> {
    c.iter().map(|(n, _)| n).collect()
}

/// What the declaration of [`nested`] says, in other words.
fn expected(c: &Configuration) -> Vec<&'static str> {
    let optimizer = c.categorical("optimizer").unwrap();
    let warm = optimizer != "adam" && c.boolean("warm").unwrap();
    let pool = optimizer == "adam" && c.integer("layers").unwrap() >= 2;
    let all = [
        ("beta", warm),
        ("optimizer", true),
        ("warm", optimizer != "adam"),
        ("steps", warm),
        ("lr", true),
        ("layers", true),
        ("pool", pool),
    ];
    all.into_iter()
        .filter(|(_, there)| *there)
        .map(|(n, _)| n)
        .collect()
}

#[test]
fn inactive_coordinates_stand_at_the_centre() {
    let space = nested();
    let c: Configuration = [
        ("optimizer", Value::from("adam")),
        ("lr", Value::from(1e-6)),
        ("layers", Value::from(1)),
    ]
    .into_iter()
    .collect();
    let x = space.encode(&c).unwrap();
    // beta, optimizer (3), warm (2), steps, lr, layers, pool (2).
    let third = 0.5 / 3.0;
    let expected = [0.5, 1.0, 0.0, 0.0, 0.5, 0.5, 0.5, 0.0, third, 0.5, 0.5];
    assert_eq!(x.len(), expected.len());
    for (a, b) in x.iter().zip(expected) {
        assert!((a - b).abs() < 1e-15, "{x:?}");
    }
    assert_eq!(space.decode(&x).unwrap(), c);
}

#[test]
fn what_is_missing_or_inactive_is_refused() {
    let space = nested();
    let mut c: Configuration = [
        ("optimizer", Value::from("sgd")),
        ("lr", Value::from(1e-4)),
        ("layers", Value::from(2)),
        ("warm", Value::from(false)),
    ]
    .into_iter()
    .collect();
    space.encode(&c).unwrap();
    c.set("steps", Value::from(3));
    let refused = space.encode(&c).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the configuration sets `steps`, which is active only when `warm` is true: leave it out"
    );
    c.set("warm", Value::from(true));
    assert!(matches!(
        space.encode(&c),
        Err(BoError::MissingParameter { name }) if name == "beta"
    ));
}

#[test]
fn conditions_that_make_no_sense_are_refused() {
    let fault = |builder: bomf_bo::space::BoxSpaceBuilder| match builder.build().unwrap_err() {
        BoError::Condition { reason, .. } => reason,
        other => panic!("{other}"),
    };
    let base = || {
        BoxSpace::builder()
            .float("x", 0.0, 1.0)
            .categorical("c", ["a", "b"])
    };
    let unknown = base()
        .float("y", 0.0, 1.0)
        .when("cc", ["a"])
        .build()
        .unwrap_err();
    assert_eq!(
        unknown.to_string(),
        "the condition of parameter `y` on `cc`: there is no such parameter; the space has `x`, \
         `c`, `y`"
    );
    let y = || base().float("y", 0.0, 1.0);
    assert_eq!(fault(y().when("x", [0.5])), ConditionFault::FloatParent);
    assert_eq!(fault(y().when("c", [""; 0])), ConditionFault::NoValue);
    assert!(
        matches!(fault(y().when("c", ["a", "z"])), ConditionFault::Value { value, .. } if value == "z")
    );
    assert!(matches!(
        fault(y().when("c", [1])),
        ConditionFault::Value { .. }
    ));
    assert_eq!(
        fault(BoxSpace::builder().when("c", ["a"]).float("x", 0.0, 1.0)),
        ConditionFault::NoParameter
    );
    let circle = BoxSpace::builder()
        .boolean("leaf")
        .when("a", [true])
        .boolean("a")
        .when("b", [true])
        .boolean("b")
        .when("a", [true]);
    match fault(circle) {
        ConditionFault::Cycle { mut circle } => {
            circle.sort();
            assert_eq!(circle, ["a", "b"]);
        }
        other => panic!("{other}"),
    }
    let alone = BoxSpace::builder().boolean("a").when("a", [true]);
    assert_eq!(
        fault(alone),
        ConditionFault::Cycle {
            circle: vec!["a".into()]
        }
    );
}

#[test]
fn conditional_spaces_are_counted_and_listed() {
    let space = BoxSpace::builder()
        .categorical("a", ["x", "y", "z"])
        .integer("b", 1, 5)
        .when("a", ["x"])
        .boolean("c")
        .when("b", [2, 3])
        .integer("d", 0, 1)
        .build()
        .unwrap();
    // a = x: b = 2 or 3 twice, the other three once: 7; y and z: 1 each; times d.
    assert_eq!(space.cardinality(), Some(18));
    let all = space.enumerate();
    assert_eq!(all.len(), 18);
    for (i, x) in all.iter().enumerate() {
        assert!(all[..i].iter().all(|y| !space.same(x, y, 1e-3)));
        let c = space.decode(x).unwrap();
        assert_eq!(space.encode(&c).unwrap(), *x);
    }
    assert_eq!(nested().cardinality(), None);
    // A large integer parent is not counted one by one.
    let wide = BoxSpace::builder()
        .integer("n", 0, 999_999_999)
        .boolean("flag")
        .when("n", [7, 8])
        .build()
        .unwrap();
    assert_eq!(wide.cardinality(), Some(1_000_000_002));
    // Too many conditions to count.
    let mut many = BoxSpace::builder().boolean("p0");
    for i in 1..40 {
        many = many
            .boolean(format!("p{i}"))
            .boolean(format!("c{i}"))
            .when(format!("p{i}"), [true]);
    }
    assert_eq!(many.build().unwrap().cardinality(), Some(u64::MAX));
}

#[test]
fn the_better_branch_and_its_parameter_are_found() {
    // sgd is worth 1 if its momentum is right, else less than adam's 1/2.
    let space = BoxSpace::builder()
        .categorical("optimizer", ["adam", "sgd"])
        .float("momentum", 0.0, 0.99)
        .when("optimizer", ["sgd"])
        .float("epsilon", 0.0, 1.0)
        .when("optimizer", ["adam"])
        .build()
        .unwrap();
    let value = |c: &Configuration| match c.categorical("optimizer") {
        Some("sgd") => 1.0 - 4.0 * (c.float("momentum").unwrap() - 0.9).powi(2),
        _ => 0.5 - 0.1 * c.float("epsilon").unwrap(),
    };
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let mut search = SingleObjective::new(space, SingleObjectiveOptions::default()).unwrap();
    for _ in 0..20 {
        let c = search.ask(&mut rng).unwrap();
        assert_eq!(c.len(), 2, "{c}");
        search.tell(&c, Some(value(&c))).unwrap();
    }
    let (best, value) = search.best().unwrap();
    assert!(value > 0.99, "{best} {value}");
}

proptest! {
    #[test]
    fn every_configuration_has_what_is_active_and_no_more(
        u in prop::collection::vec(-0.2..1.2_f64, 11)
    ) {
        let space = nested();
        prop_assert_eq!(u.len(), space.dim());
        let c = space.decode(&u).unwrap();
        prop_assert_eq!(names(&c), expected(&c));
        let x = space.encode(&c).unwrap();
        prop_assert!(space.same(&x, &space.design_point(&u), 1e-12));
        let again = space.decode(&x).unwrap();
        prop_assert_eq!(names(&again), names(&c));
        for ((_, a), (_, b)) in c.iter().zip(again.iter()) {
            match (a, b) {
                (Value::Float(a), Value::Float(b)) => prop_assert!((a - b).abs() <= 1e-14 * a.abs()),
                (a, b) => prop_assert_eq!(a, b),
            }
        }
    }

    #[test]
    fn candidates_are_configurations_and_hold_what_is_inactive(seed in any::<u64>()) {
        let space = nested();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let incumbents: Vec<Vec<f64>> = (0..3)
            .map(|_| {
                let u: Vec<f64> = (0..space.dim()).map(|_| rng.random()).collect();
                space.design_point(&u)
            })
            .collect();
        for x in space.candidates(&incumbents, 64, &mut rng) {
            let c = space.decode(&x).unwrap();
            prop_assert!(space.same(&space.encode(&c).unwrap(), &x, 1e-12), "{c} {x:?}");
            prop_assert_eq!(names(&c), expected(&c));
        }
    }

    #[test]
    fn integers_come_back_whatever_their_range(
        low in -(1_i64 << 43)..(1 << 43), span in 0_i64..(1 << 43), part in 0.0..=1.0_f64, log in any::<bool>()
    ) {
        let low = if log { low.abs().max(1) } else { low };
        let high = (low + span).min(1 << 43);
        let builder = BoxSpace::builder();
        let space = if log { builder.log_integer("k", low, high) } else { builder.integer("k", low, high) };
        let space = space.build().unwrap();
        let k = (low + ((high - low) as f64 * part) as i64).clamp(low, high);
        let c: Configuration = [("k", Value::Integer(k))].into_iter().collect();
        prop_assert_eq!(space.decode(&space.encode(&c).unwrap()).unwrap(), c);
    }
}
