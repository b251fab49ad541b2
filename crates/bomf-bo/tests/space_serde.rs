//! Spaces and points as they are stored: they come back equal, and what is no
//! space does not come back at all.

#![allow(clippy::unwrap_used)]

use bomf_bo::sampling::ScrambledSobol;
use bomf_bo::space::{BoxSpace, Constrained, ProductPoint, ProductSpace, SimplexSpace, Space};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::de::DeserializeOwned;

fn knobs() -> BoxSpace {
    BoxSpace::builder()
        .categorical("optimizer", ["adam", "sgd"])
        .float("momentum", 0.1, 0.99)
        .when("optimizer", ["sgd"])
        .log_integer("batch", 1, 64)
        .build()
        .unwrap()
}

/// The reason why `text` is no `T`.
fn refusal<T: DeserializeOwned>(text: &str) -> String {
    match serde_json::from_str::<T>(text) {
        Ok(_) => panic!("{text} was taken"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_box_comes_back_equal_and_reads_well() {
    let text = serde_json::to_string(&knobs()).unwrap();
    assert_eq!(
        text,
        concat!(
            r#"{"parameters":[{"name":"optimizer","domain":{"categorical":{"choices":["adam","sgd"]}}},"#,
            r#"{"name":"momentum","domain":{"float":{"low":0.1,"high":0.99,"log":false}},"#,
            r#""conditions":[{"parent":"optimizer","values":["sgd"]}]},"#,
            r#"{"name":"batch","domain":{"integer":{"low":1,"high":64,"log":true}}}]}"#
        )
    );
    assert_eq!(serde_json::from_str::<BoxSpace>(&text).unwrap(), knobs());
}

#[test]
fn a_box_that_makes_no_sense_is_not_read() {
    let parameter =
        |domain: &str| format!(r#"{{"parameters":[{{"name":"p","domain":{domain}}}]}}"#);
    for (text, reason) in [
        (r#"{"parameters":[]}"#.to_owned(), "empty"),
        (
            parameter(r#"{"float":{"low":1.0,"high":1.0,"log":false}}"#),
            "below the upper bound",
        ),
        (
            parameter(r#"{"float":{"low":null,"high":1.0,"log":false}}"#),
            "null",
        ),
        (
            parameter(r#"{"categorical":{"choices":[]}}"#),
            "at least one choice",
        ),
        (text_with_condition("nobody"), "no such parameter"),
    ] {
        let refusal = refusal::<BoxSpace>(&text);
        assert!(refusal.contains(reason), "{text}: {refusal}");
    }
}

fn text_with_condition(parent: &str) -> String {
    let text = serde_json::to_string(&knobs()).unwrap();
    text.replace(
        r#""parent":"optimizer""#,
        &format!(r#""parent":"{parent}""#),
    )
}

#[test]
fn simplexes_and_products_come_back_equal() {
    let simplex = SimplexSpace::new(15).unwrap();
    assert_eq!(serde_json::to_string(&simplex).unwrap(), r#"{"n":15}"#);
    assert_eq!(
        serde_json::from_str::<SimplexSpace>(r#"{"n":15}"#).unwrap(),
        simplex
    );
    assert!(refusal::<SimplexSpace>(r#"{"n":0}"#).contains("empty"));
    let product = ProductSpace::new([knobs().into(), simplex.into()]).unwrap();
    let text = serde_json::to_string(&product).unwrap();
    assert!(
        text.starts_with(r#"{"parts":[{"box":{"parameters":"#),
        "{text}"
    );
    assert!(text.ends_with(r#"{"simplex":{"n":15}}]}"#), "{text}");
    assert_eq!(
        serde_json::from_str::<ProductSpace>(&text).unwrap(),
        product
    );
    assert!(refusal::<ProductSpace>(r#"{"parts":[]}"#).contains("empty"));
    assert!(refusal::<ProductSpace>(r#"{"parts":[{"simplex":{"n":0}}]}"#).contains("empty"));
}

#[test]
fn a_point_of_a_product_is_a_list_of_maps_and_lists() {
    let space = ProductSpace::new([knobs().into(), SimplexSpace::new(3).unwrap().into()]).unwrap();
    let point = space.decode(&[1.0, 0.0, 0.5, 0.0, 0.1, 0.2, 0.7]).unwrap();
    let text = serde_json::to_string(&point).unwrap();
    assert!(
        text.starts_with(r#"[{"optimizer":"adam","batch":1},[0.1,0.2,"#),
        "{text}"
    );
    let back: ProductPoint = serde_json::from_str(&text).unwrap();
    assert_eq!(back, point);
    // Coefficients that are whole numbers stay floats.
    let corner = space.decode(&[1.0, 0.0, 0.5, 0.0, 0.0, 1.0, 0.0]).unwrap();
    let text = serde_json::to_string(&corner).unwrap();
    assert_eq!(serde_json::from_str::<ProductPoint>(&text).unwrap(), corner);
}

#[test]
fn linear_constraints_are_stored_and_predicates_say_that_they_are_not() {
    let space = Constrained::builder(SimplexSpace::new(4).unwrap())
        .at_most([(0, 1.0), (1, 1.0)], 0.6)
        .known(&[0.0, 0.5, 0.5, 0.0])
        .unwrap()
        .build()
        .unwrap();
    let text = serde_json::to_string(&space).unwrap();
    assert_eq!(
        text,
        r#"{"space":{"n":4},"linear":[{"terms":[[0,1.0],[1,1.0]],"at_most":0.6}],"known":[[0.0,0.5,0.5,0.0]]}"#
    );
    let back: Constrained<SimplexSpace> = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::to_string(&back).unwrap(), text);
    // The same designs, infeasible draws included.
    for u in [[0.9, 0.5, 0.5], [0.95, 0.1, 0.2]] {
        assert_eq!(back.design_point(&u), space.design_point(&u));
    }
    let broken = text.replace("0.6", "0.4");
    assert!(refusal::<Constrained<SimplexSpace>>(&broken).contains("breaks the constraint"));
    let impossible = r#"{"space":{"n":4},"linear":[{"terms":[[0,1.0]],"at_most":-0.1}]}"#;
    assert!(refusal::<Constrained<SimplexSpace>>(impossible).contains("keeps it together"));
    let product =
        ProductSpace::new([knobs().into(), SimplexSpace::new(2).unwrap().into()]).unwrap();
    let cut = Constrained::builder(product)
        .at_most([((1, 0), 1.0)], 0.5)
        .build()
        .unwrap();
    let text = serde_json::to_string(&cut).unwrap();
    let back: Constrained<ProductSpace> = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::to_string(&back).unwrap(), text);

    let code = Constrained::builder(knobs())
        .predicate("memory", |_| true)
        .build()
        .unwrap();
    let refused = serde_json::to_string(&code).unwrap_err().to_string();
    assert!(refused.contains("`memory` is code"), "{refused}");
}

#[test]
fn a_sequence_goes_on_where_it_was_left() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut sobol = ScrambledSobol::new(5, &mut rng);
    sobol.next_point();
    let text = serde_json::to_string(&sobol).unwrap();
    let mut back: ScrambledSobol = serde_json::from_str(&text).unwrap();
    assert_eq!(back, sobol);
    assert_eq!(back.next_point(), sobol.next_point());
    assert!(refusal::<ScrambledSobol>(r#"{"dim":2,"seed":1,"next":65537}"#).contains("65537"));
}
