//! Boxes: exact rounding, refusals, and configurations as they are stored.

#![allow(clippy::unwrap_used)]

use bomf_bo::space::{BoxSpace, Configuration, Domain, Parameter, Space, Value};
use bomf_bo::{BoError, DomainFault};
use proptest::prelude::*;

fn mixed() -> BoxSpace {
    BoxSpace::builder()
        .float("dropout", 0.0, 0.5)
        .log_float("lr", 1e-6, 1e-3)
        .integer("layers", -2, 9)
        .log_integer("batch", 4, 32)
        .categorical("schedule", ["constant", "linear", "cosine"])
        .build()
        .unwrap()
}

#[test]
fn corners_are_the_bounds_exactly() {
    let space = mixed();
    let low = space.decode(&vec![0.0; space.dim()]).unwrap();
    assert_eq!(low.float("dropout"), Some(0.0));
    assert_eq!(low.float("lr"), Some(1e-6));
    assert_eq!(low.integer("layers"), Some(-2));
    assert_eq!(low.integer("batch"), Some(4));
    assert_eq!(low.categorical("schedule"), Some("constant"));
    let high = space.decode(&vec![1.0; space.dim()]).unwrap();
    assert_eq!(high.float("lr"), Some(1e-3));
    assert_eq!(high.integer("layers"), Some(9));
    assert_eq!(high.integer("batch"), Some(32));
    // Outside the cube is clipped.
    let beyond = space.decode(&vec![7.0; space.dim()]).unwrap();
    assert_eq!(beyond, high);
}

#[test]
fn every_integer_has_an_equal_bin() {
    let space = BoxSpace::builder().integer("k", 1, 4).build().unwrap();
    for (u, k) in [(0.0, 1), (0.24, 1), (0.26, 2), (0.74, 3), (0.76, 4)] {
        assert_eq!(space.decode(&[u]).unwrap().integer("k"), Some(k), "{u}");
    }
    let one = BoxSpace::builder().integer("k", 7, 7).build().unwrap();
    assert_eq!(one.decode(&[0.3]).unwrap().integer("k"), Some(7));
    assert_eq!(one.cardinality(), Some(1));
}

#[test]
fn an_integer_may_stand_for_a_float() {
    let space = BoxSpace::builder().float("x", 0.0, 2.0).build().unwrap();
    let c: Configuration = [("x", Value::Integer(1))].into_iter().collect();
    assert_eq!(space.encode(&c).unwrap(), [0.5]);
}

#[test]
fn refusals_name_the_parameter() {
    let fault = |domain: Domain| BoxSpace::new(vec![Parameter::new("p", domain)]).unwrap_err();
    let domain = |reason| BoError::Domain {
        name: "p".to_owned(),
        reason,
    };
    let float = |low, high, log| Domain::Float { low, high, log };
    assert_eq!(fault(float(1.0, 1.0, false)), domain(DomainFault::Bounds));
    assert_eq!(
        fault(float(0.0, f64::NAN, false)),
        domain(DomainFault::NotFinite)
    );
    assert_eq!(
        fault(float(0.0, 1.0, true)),
        domain(DomainFault::LogOfNonPositive)
    );
    let choices = vec!["a".to_owned(), "a".to_owned()];
    assert_eq!(
        fault(Domain::Categorical { choices }),
        domain(DomainFault::DuplicateChoice)
    );
    assert_eq!(
        fault(Domain::Categorical { choices: vec![] }),
        domain(DomainFault::NoChoice)
    );
    assert_eq!(BoxSpace::new(vec![]), Err(BoError::EmptySpace));
    assert!(matches!(
        BoxSpace::builder().float("x", 0.0, 1.0).float("x", 0.0, 1.0).build(),
        Err(BoError::DuplicateParameter { name }) if name == "x"
    ));

    let space = mixed();
    let mut c = space.decode(&[0.5; 7]).unwrap();
    c.set("batch", Value::Integer(64));
    assert!(matches!(space.encode(&c), Err(BoError::Value { name, .. }) if name == "batch"));
    c.set("batch", Value::Float(8.0));
    assert!(matches!(space.encode(&c), Err(BoError::Value { .. })));
    c.set("batch", Value::Integer(8));
    c.set("extra", Value::Integer(8));
    assert!(matches!(space.encode(&c), Err(BoError::UnknownParameter { name }) if name == "extra"));
    assert!(matches!(
        space.encode(&Configuration::new()),
        Err(BoError::MissingParameter { name }) if name == "dropout"
    ));
    assert!(matches!(
        space.decode(&[0.0]),
        Err(BoError::Dimension { .. })
    ));
    assert!(matches!(
        space.decode(&[f64::NAN; 7]),
        Err(BoError::NotFinite { .. })
    ));
}

#[test]
fn stored_as_a_plain_map() {
    let c = mixed()
        .decode(&[0.5, 0.0, 0.5, 0.0, 0.0, 0.1, 0.9])
        .unwrap();
    let text = serde_json::to_string(&c).unwrap();
    assert_eq!(
        text,
        r#"{"dropout":0.25,"lr":1e-6,"layers":4,"batch":4,"schedule":"cosine"}"#
    );
    let back: Configuration = serde_json::from_str(&text).unwrap();
    assert_eq!(back, c);
    // A whole float stays a float.
    let whole: Configuration = [("x", Value::Float(1.0))].into_iter().collect();
    let text = serde_json::to_string(&whole).unwrap();
    assert_eq!(serde_json::from_str::<Configuration>(&text).unwrap(), whole);
    assert_eq!(c.to_string().split(", ").next(), Some("dropout=0.25"));
}

#[test]
fn cardinality_counts_and_enumerates() {
    let space = BoxSpace::builder()
        .integer("a", 0, 3)
        .categorical("b", ["x", "y", "z"])
        .build()
        .unwrap();
    assert_eq!(space.cardinality(), Some(12));
    let all = space.enumerate();
    assert_eq!(all.len(), 12);
    for (i, x) in all.iter().enumerate() {
        assert!(all[..i].iter().all(|y| !space.same(x, y, 1e-3)));
    }
    assert_eq!(mixed().cardinality(), None);
    assert!(mixed().enumerate().is_empty());
}

proptest! {
    #[test]
    fn decoding_and_encoding_agree(u in prop::collection::vec(-0.2..1.2_f64, 7)) {
        let space = mixed();
        let c = space.decode(&u).unwrap();
        let x = space.encode(&c).unwrap();
        prop_assert!(x.iter().all(|v| (0.0..=1.0).contains(v)));
        // The numbers survive a second round to rounding, the rest exactly.
        let again = space.decode(&x).unwrap();
        for name in ["dropout", "lr"] {
            let (a, b) = (c.float(name).unwrap(), again.float(name).unwrap());
            prop_assert!((a - b).abs() <= 1e-14 * a.abs());
        }
        prop_assert_eq!(c.integer("layers"), again.integer("layers"));
        prop_assert_eq!(c.integer("batch"), again.integer("batch"));
        prop_assert_eq!(c.categorical("schedule"), again.categorical("schedule"));
    }
}
