//! The stated best hypervolumes: reached by dense fronts, exceeded by nothing.

#![allow(clippy::unwrap_used)]

use bomf_pareto::hypervolume;
use bomf_pareto::test_functions::{
    TestFunction, branin_currin, dtlz1, dtlz2, vlmop2, zdt1, zdt2, zdt3,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Part of the hypervolume by which two orders of summation may differ.
const ROUNDING: f64 = 1e-12;

/// A front's hypervolume from inputs, and that it does not exceed the best.
fn volume(f: &TestFunction, inputs: impl Iterator<Item = Vec<f64>>) -> f64 {
    let y: Vec<Vec<f64>> = inputs.map(|x| f.evaluate(&x).unwrap()).collect();
    let volume = hypervolume(&y, &f.ref_point).unwrap();
    let excess = volume / f.max_hypervolume - 1.0;
    assert!(
        excess < ROUNDING,
        "{}: {volume}, over by {excess:e}",
        f.name
    );
    volume
}

/// `n + 1` values over `[0, 1]`.
fn line(n: u32) -> impl Iterator<Item = f64> + Clone {
    (0..=n).map(move |i| f64::from(i) / f64::from(n))
}

#[test]
fn two_objectives_reach_the_best() {
    // A staircase of n points under a curve of height h loses h / (2 n).
    let n = 20_000;
    for f in [zdt1(3), zdt2(3), zdt3(3)] {
        let found = volume(&f, line(n).map(|t| vec![t, 0.0, 0.0]));
        assert!(found > f.max_hypervolume - 2e-4, "{}: {found}", f.name);
    }
    for d in [1, 2, 5] {
        let f = vlmop2(d);
        let root = f64::from(d as u32).sqrt();
        // s in [-1, 1], scaled from [-2, 2] to the unit cube.
        let inputs = line(n).map(|t| vec![((2.0 * t - 1.0) / root + 2.0) / 4.0; d]);
        let found = volume(&f, inputs);
        assert!(found > f.max_hypervolume - 2e-4, "{found}");
    }
    let f = dtlz2(2, 2);
    let found = volume(&f, line(n).map(|t| vec![t, 0.5]));
    assert!(found > f.max_hypervolume - 2e-4);
}

#[test]
fn three_objectives_reach_the_best() {
    let side = 100;
    let inputs = line(side).flat_map(|a| line(side).map(move |b| vec![a, b, 0.5]));
    let f = dtlz2(3, 3);
    assert!(volume(&f, inputs.clone()) > f.max_hypervolume - 0.03);
    // Above (-1/2, ..) the simplex is all that matters of DTLZ1: 1/8 - 1/48.
    let mut f = dtlz1(3, 3);
    assert_eq!(f.max_hypervolume, 400.0_f64.powi(3) - 1.0 / 48.0);
    f.ref_point = vec![-0.5; 3];
    f.max_hypervolume = 0.125 - 1.0 / 48.0;
    assert!(volume(&f, inputs) > f.max_hypervolume - 0.005);
}

#[test]
fn fronts_lie_where_they_are_said_to() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for m in 2..=7 {
        let mut x: Vec<f64> = (0..m - 1).map(|_| rng.random()).collect();
        x.extend([0.5; 4]);
        let plane = dtlz1(m + 3, m).evaluate(&x).unwrap();
        assert!((plane.iter().sum::<f64>() + 0.5).abs() < ROUNDING);
        let sphere = dtlz2(m + 3, m).evaluate(&x).unwrap();
        assert!((sphere.iter().map(|v| v * v).sum::<f64>() - 1.0).abs() < ROUNDING);
    }
}

#[test]
fn random_inputs_stay_below_the_best() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let all = [
        zdt1(4),
        zdt2(4),
        zdt3(4),
        vlmop2(4),
        branin_currin(),
        dtlz1(5, 3),
        dtlz2(5, 3),
        dtlz1(6, 5),
        dtlz2(6, 5),
    ];
    for f in &all {
        assert_eq!(f.objectives(), f.ref_point.len());
        let inputs: Vec<Vec<f64>> = (0..200)
            .map(|_| (0..f.dim).map(|_| rng.random()).collect())
            .collect();
        volume(f, inputs.into_iter());
    }
}

#[test]
fn too_few_inputs_are_made_enough() {
    for f in [
        zdt1(0),
        zdt2(1),
        zdt3(0),
        vlmop2(0),
        dtlz1(0, 0),
        dtlz2(1, 3),
    ] {
        let y = f.evaluate(&vec![0.5; f.dim]).unwrap();
        assert_eq!(y.len(), f.objectives());
        assert!(y.iter().all(|v| v.is_finite()), "{}", f.name);
        assert!(f.evaluate(&vec![0.5; f.dim + 1]).is_err());
    }
}
