//! Starting designs: how even they are, and what comes first.

#![allow(clippy::unwrap_used)]

use bomf_bo::BoError;
use bomf_bo::sampling::{
    MAX_SOBOL_POINTS, ScrambledSobol, starting_design, uniform_simplex, unit_cube_to_simplex,
};
use bomf_bo::space::{BoxSpace, Configuration, SimplexSpace, Space};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// The L2 star discrepancy (Warnock 1972).
fn discrepancy(points: &[Vec<f64>]) -> f64 {
    let (n, d) = (points.len() as f64, points[0].len() as i32);
    let single: f64 = points
        .iter()
        .map(|p| p.iter().map(|v| 1.0 - v * v).product::<f64>())
        .sum();
    let mut pairs = 0.0;
    for p in points {
        for q in points {
            pairs += p
                .iter()
                .zip(q)
                .map(|(a, b)| 1.0 - a.max(*b))
                .product::<f64>();
        }
    }
    (3_f64.powi(-d) - 2_f64.powi(1 - d) / n * single + pairs / (n * n)).sqrt()
}

#[test]
fn sobol_points_are_far_more_even_than_random_ones() {
    let n = 128;
    for d in [2, 3, 5] {
        let mean = |draw: &mut dyn FnMut(&mut ChaCha8Rng) -> Vec<Vec<f64>>| -> f64 {
            (0..8)
                .map(|seed| discrepancy(&draw(&mut rng(seed))))
                .sum::<f64>()
                / 8.0
        };
        let even = mean(&mut |rng| {
            let mut sobol = ScrambledSobol::new(d, rng);
            (0..n).map(|_| sobol.next_point()).collect()
        });
        let random = mean(&mut |rng| {
            (0..n)
                .map(|_| (0..d).map(|_| rng.random()).collect())
                .collect()
        });
        assert!(even < 0.5 * random, "{d}: {even} {random}");
    }
}

#[test]
fn the_image_on_the_simplex_keeps_the_evenness() {
    // The part of the points with coefficient i above one half is 2^-(n - 1).
    let (n, draws) = (4, 256);
    let miss = |points: &[Vec<f64>]| -> f64 {
        (0..n)
            .map(|i| {
                let count = points.iter().filter(|w| w[i] > 0.5).count();
                (count as f64 / points.len() as f64 - 0.125).powi(2)
            })
            .sum()
    };
    let (mut even, mut random) = (0.0, 0.0);
    for seed in 0..16 {
        let mut rng = rng(seed);
        let mut sobol = ScrambledSobol::new(n - 1, &mut rng);
        let image: Vec<_> = (0..draws)
            .map(|_| unit_cube_to_simplex(&sobol.next_point()))
            .collect();
        even += miss(&image);
        let drawn: Vec<_> = (0..draws).map(|_| uniform_simplex(n, &mut rng)).collect();
        random += miss(&drawn);
    }
    assert!(even < 0.3 * random, "{even} {random}");
}

#[test]
fn a_sequence_begins_anew_after_its_last_point() {
    let mut sobol = ScrambledSobol::from_seed(1, 9);
    let first: Vec<_> = (0..MAX_SOBOL_POINTS)
        .map(|_| sobol.next_point()[0])
        .collect();
    let second: Vec<_> = (0..MAX_SOBOL_POINTS)
        .map(|_| sobol.next_point()[0])
        .collect();
    assert_ne!(first[..100], second[..100]);
    assert!(second.iter().all(|v| (0.0..1.0).contains(v)));
}

#[test]
fn the_callers_points_come_first_and_none_twice() {
    let space = BoxSpace::builder()
        .integer("k", 1, 4)
        .categorical("c", ["a", "b"])
        .build()
        .unwrap();
    let own: Configuration = [("k", 3.into()), ("c", "b".into())].into_iter().collect();
    let design = starting_design(&space, [&own, &own], 6, &mut rng(1)).unwrap();
    assert_eq!(design.len(), 6);
    assert_eq!(design[0], own);
    for (i, c) in design.iter().enumerate() {
        assert!(!design[..i].contains(c));
    }
    // Eight points are all there are.
    assert_eq!(
        starting_design(&space, [&own], 20, &mut rng(1))
            .unwrap()
            .len(),
        8
    );
    let wrong: Configuration = [("k", 9.into()), ("c", "b".into())].into_iter().collect();
    assert!(matches!(
        starting_design(&space, [&wrong], 3, &mut rng(1)),
        Err(BoError::Value { .. })
    ));
    let simplex = SimplexSpace::new(40).unwrap();
    let design = starting_design(&simplex, [], 10, &mut rng(2)).unwrap();
    assert_eq!(design.len(), 10);
    assert!(design.iter().all(|w| simplex.encode(w).is_ok()));
}
