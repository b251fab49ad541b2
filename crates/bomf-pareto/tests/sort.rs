//! Ranks against their definition.

#![allow(clippy::unwrap_used)]

use bomf_pareto::{ParetoError, dominates, non_dominated, non_dominated_sort};
use proptest::prelude::*;

/// Up to 25 points with ties, duplicates, infinities and NaN.
fn points(m: usize) -> impl Strategy<Value = Vec<Vec<f64>>> {
    let value = prop_oneof![
        40 => (0_u8..5).prop_map(f64::from),
        1 => Just(f64::NAN),
        1 => Just(f64::INFINITY),
        1 => Just(-0.0),
    ];
    prop::collection::vec(prop::collection::vec(value, m), 0..25)
}

/// Peeled off one after another.
fn slow(y: &[Vec<f64>]) -> Vec<Vec<usize>> {
    let mut rest: Vec<usize> = (0..y.len())
        .filter(|i| !y[*i].iter().any(|v| v.is_nan()))
        .collect();
    let mut fronts = Vec::new();
    while !rest.is_empty() {
        let (front, others) = rest
            .iter()
            .partition(|i| !rest.iter().any(|k| dominates(&y[*k], &y[**i])));
        fronts.push(front);
        rest = others;
    }
    fronts
}

proptest! {
    #[test]
    fn equal_fronts_peeled_one_by_one(y in (1_usize..=5).prop_flat_map(points)) {
        let fronts = non_dominated_sort(&y).unwrap();
        prop_assert_eq!(&fronts, &slow(&y));
        // The first is the front, with its duplicates.
        let front = non_dominated(&y).unwrap();
        prop_assert!(front.iter().all(|i| fronts[0].contains(i)));
    }
}

#[test]
fn empty_ragged_and_nan() {
    let none: [Vec<f64>; 0] = [];
    assert!(non_dominated_sort(&none).unwrap().is_empty());
    assert!(
        non_dominated_sort(&[vec![f64::NAN, 1.0]])
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        non_dominated_sort(&[vec![1.0], vec![1.0, 2.0]]),
        Err(ParetoError::Dimension {
            index: 1,
            found: 2,
            expected: 1
        })
    );
}

#[test]
fn a_chain_has_a_front_a_point() {
    let chain: Vec<Vec<f64>> = (0..50).map(|i| vec![f64::from(i); 3]).collect();
    let fronts = non_dominated_sort(&chain).unwrap();
    assert_eq!(fronts.len(), 50);
    assert_eq!(fronts[0], [49]);
}
