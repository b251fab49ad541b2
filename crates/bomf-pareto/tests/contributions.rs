//! Contributions against their definition.

#![allow(clippy::unwrap_used)]

use bomf_pareto::{hypervolume, hypervolume_contributions};
use proptest::prelude::*;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Two orders of summation of some dozens of products of values up to 2.
const ROUNDING: f64 = 1e-12;

/// The definition: what is lost without each.
fn slow(y: &[Vec<f64>], r: &[f64]) -> Vec<f64> {
    let whole = hypervolume(y, r).unwrap();
    (0..y.len())
        .map(|i| {
            let mut rest = y.to_vec();
            rest.remove(i);
            whole - hypervolume(&rest, r).unwrap()
        })
        .collect()
}

/// Up to 12 points with `m` values on a coarse grid, some NaN: ties, duplicates
/// and dominated points are common.
fn grid(m: usize) -> impl Strategy<Value = Vec<Vec<f64>>> {
    let value = prop_oneof![
        30 => (0_u8..7).prop_map(|v| f64::from(v) / 4.0),
        1 => Just(f64::NAN)
    ];
    prop::collection::vec(prop::collection::vec(value, m), 0..12)
}

fn random(n: usize, m: usize, seed: u64) -> Vec<Vec<f64>> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..n)
        .map(|_| (0..m).map(|_| rng.random()).collect())
        .collect()
}

fn assert_close(found: &[f64], expected: &[f64]) -> Result<(), TestCaseError> {
    prop_assert_eq!(found.len(), expected.len());
    for (a, b) in found.iter().zip(expected) {
        prop_assert!((a - b).abs() < ROUNDING, "{found:?} {expected:?}");
        prop_assert!(*a >= 0.0);
    }
    Ok(())
}

proptest! {
    #[test]
    fn equal_the_definition_with_ties(y in (1_usize..=6).prop_flat_map(grid)) {
        let r = vec![0.2; y.first().map_or(2, Vec::len)];
        assert_close(&hypervolume_contributions(&y, &r).unwrap(), &slow(&y, &r))?;
    }

    #[test]
    fn equal_the_definition(m in 1_usize..=6, n in 0_usize..20, seed in any::<u64>()) {
        let y = random(n, m, seed);
        let r = vec![0.1; m];
        assert_close(&hypervolume_contributions(&y, &r).unwrap(), &slow(&y, &r))?;
    }

    #[test]
    fn add_up_to_no_more_than_the_whole(m in 1_usize..=6, n in 0_usize..30, seed in any::<u64>()) {
        let y = random(n, m, seed);
        let r = vec![0.0; m];
        let sum: f64 = hypervolume_contributions(&y, &r).unwrap().iter().sum();
        prop_assert!(sum <= hypervolume(&y, &r).unwrap() + ROUNDING);
    }

    #[test]
    fn move_with_their_points(m in 1_usize..=6, n in 0_usize..20, seed in any::<u64>()) {
        let y = random(n, m, seed);
        let r = vec![0.0; m];
        let mut order: Vec<usize> = (0..n).collect();
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        let turned: Vec<Vec<f64>> = order.iter().map(|i| y[*i].clone()).collect();
        let before = hypervolume_contributions(&y, &r).unwrap();
        let after = hypervolume_contributions(&turned, &r).unwrap();
        let expected: Vec<f64> = order.iter().map(|i| before[*i]).collect();
        assert_close(&after, &expected)?;
    }
}

#[test]
fn a_single_point_contributes_its_box_and_twins_nothing() {
    for m in 1..=6 {
        let r = vec![-1.0; m];
        let one = hypervolume_contributions(&[vec![1.0; m]], &r).unwrap();
        assert_eq!(one, [2.0_f64.powi(m as i32)]);
        let twins = hypervolume_contributions(&[vec![1.0; m], vec![1.0; m]], &r).unwrap();
        assert_eq!(twins, [0.0, 0.0]);
    }
    let none: [Vec<f64>; 0] = [];
    assert!(hypervolume_contributions(&none, &[0.0]).unwrap().is_empty());
}

#[test]
fn infinite_points() {
    for m in 2..=6 {
        let mut y = vec![vec![1.0; m]; 3];
        // Beyond all others in the first, behind the third in the last.
        y[0][0] = f64::INFINITY;
        y[2][m - 1] = 2.0;
        let r = vec![0.0; m];
        let found = hypervolume_contributions(&y, &r).unwrap();
        assert_eq!(found, [f64::INFINITY, 0.0, 1.0], "m = {m}");
        // Not the only one any more.
        y.push(y[0].clone());
        let found = hypervolume_contributions(&y, &r).unwrap();
        assert_eq!(found, [0.0, 0.0, 1.0, 0.0], "m = {m}");
    }
}

#[test]
fn bad_arguments() {
    assert!(hypervolume_contributions(&[vec![1.0]], &[]).is_err());
    assert!(hypervolume_contributions(&[vec![1.0]], &[f64::INFINITY]).is_err());
    assert!(hypervolume_contributions(&[vec![1.0]], &[0.0, 0.0]).is_err());
}
