//! R2, IGD+, GD+ and the additive epsilon: closed forms, properties, edges.

#![allow(clippy::unwrap_used)]

use bomf_pareto::ParetoError;
use bomf_pareto::indicators::{additive_epsilon, gd_plus, igd_plus, r2, simplex_lattice};
use proptest::prelude::*;

/// Sums of a few dozen terms of size one.
const ROUNDING: f64 = 1e-12;

fn points(m: usize) -> impl Strategy<Value = Vec<Vec<f64>>> {
    prop::collection::vec(prop::collection::vec(-1.0..1.0_f64, m), 1..12)
}

fn lower(y: &[Vec<f64>], by: f64) -> Vec<Vec<f64>> {
    y.iter()
        .map(|p| p.iter().map(|v| v - by).collect())
        .collect()
}

#[test]
fn lattices() {
    assert_eq!(simplex_lattice(2, 2), [[0.0, 1.0], [0.5, 0.5], [1.0, 0.0]]);
    assert_eq!(simplex_lattice(1, 3), [[1.0]]);
    assert_eq!(simplex_lattice(4, 0), [[0.25; 4]]);
    assert!(simplex_lattice(0, 3).is_empty());
    // C(5 + 3, 3) of them, each once, in order.
    let lattice = simplex_lattice(4, 5);
    assert_eq!(lattice.len(), 56);
    assert!(lattice.windows(2).all(|w| w[0] < w[1]));
    for w in &lattice {
        assert!((w.iter().sum::<f64>() - 1.0).abs() < ROUNDING);
    }
}

#[test]
fn r2_by_hand() {
    let weights = [[0.5, 0.5], [1.0, 0.0]];
    let y = [[1.0, 0.0], [0.0, 3.0]];
    // Ideal (2, 4). First weights: max(0.5, 2) and max(1, 0.5); second: 1 and 2.
    assert_eq!(r2(&y, &weights, &[2.0, 4.0]).unwrap(), 1.0);
    assert_eq!(r2(&[[2.0, 4.0]], &weights, &[2.0, 4.0]).unwrap(), 0.0);
}

#[test]
fn distances_by_hand() {
    let front = [[4.0, 0.0], [0.0, 4.0]];
    // Short of the first by (3, 0), of the second by (0, 4).
    let y = [[1.0, 0.0]];
    assert_eq!(igd_plus(&y, &front).unwrap(), 3.5);
    assert_eq!(gd_plus(&y, &front).unwrap(), 3.0);
    assert_eq!(additive_epsilon(&y, &front).unwrap(), 4.0);
}

#[test]
fn no_point_is_infinitely_far_and_what_is_not_finite_is_none() {
    let front = [[1.0, 1.0]];
    let none: [[f64; 2]; 0] = [];
    let odd = [[f64::NAN, 9.0], [f64::INFINITY, 9.0]];
    for distance in [igd_plus, gd_plus, additive_epsilon] {
        assert_eq!(distance(&odd, &front).unwrap(), f64::INFINITY);
        assert_eq!(distance(&front, &odd), Err(ParetoError::NoReference));
    }
    assert_eq!(igd_plus(&none, &front).unwrap(), f64::INFINITY);
    assert_eq!(r2(&odd, &front, &[2.0, 2.0]).unwrap(), f64::INFINITY);
}

#[test]
fn bad_arguments() {
    let y = [vec![0.0, 0.0]];
    let w = [vec![0.5, 0.5]];
    let no_weights: [Vec<f64>; 0] = [];
    assert_eq!(
        r2(&y, &no_weights, &[1.0, 1.0]),
        Err(ParetoError::NoReference)
    );
    assert!(matches!(
        r2(&y, &[vec![0.5, -0.5]], &[1.0, 1.0]),
        Err(ParetoError::Weight { index: 0, .. })
    ));
    assert!(r2(&y, &w, &[1.0]).is_err());
    assert!(r2(&y, &w, &[f64::NAN, 1.0]).is_err());
    assert!(r2(&y, &[vec![1.0]], &[1.0, 1.0]).is_err());
    assert!(igd_plus(&y, &[vec![1.0]]).is_err());
}

proptest! {
    #[test]
    fn a_dominated_point_changes_no_r2_and_no_igd(
        y in points(3), z in points(3), down in 0.0..1.0_f64
    ) {
        let weights = simplex_lattice(3, 4);
        let ideal = [1.0; 3];
        let mut more = y.clone();
        more.extend(lower(&y[..1], down));
        prop_assert_eq!(r2(&y, &weights, &ideal).unwrap(), r2(&more, &weights, &ideal).unwrap());
        prop_assert_eq!(igd_plus(&y, &z).unwrap(), igd_plus(&more, &z).unwrap());
        prop_assert_eq!(additive_epsilon(&y, &z).unwrap(), additive_epsilon(&more, &z).unwrap());
    }

    #[test]
    fn what_is_dominated_scores_no_better(y in points(3), z in points(3), down in 0.0..1.0_f64) {
        let worse = lower(&y, down);
        let weights = simplex_lattice(3, 4);
        let ideal = [1.0; 3];
        prop_assert!(r2(&worse, &weights, &ideal).unwrap() >= r2(&y, &weights, &ideal).unwrap());
        prop_assert!(igd_plus(&worse, &z).unwrap() >= igd_plus(&y, &z).unwrap());
        prop_assert!(gd_plus(&worse, &z).unwrap() >= gd_plus(&y, &z).unwrap());
        let (a, b) = (additive_epsilon(&worse, &z).unwrap(), additive_epsilon(&y, &z).unwrap());
        prop_assert!((a - b - down).abs() < ROUNDING);
    }

    #[test]
    fn a_set_is_at_no_distance_from_itself(y in points(4)) {
        prop_assert_eq!(igd_plus(&y, &y).unwrap(), 0.0);
        prop_assert_eq!(gd_plus(&y, &y).unwrap(), 0.0);
        prop_assert!(additive_epsilon(&y, &y).unwrap() <= 0.0);
    }
}
