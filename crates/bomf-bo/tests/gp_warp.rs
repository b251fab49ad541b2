//! Warped outcomes: golden values (`golden/gp_warp.py`), inverses, moments, and
//! outcomes of which there is little to be said.

#![allow(clippy::unwrap_used)]

use bomf_bo::models::{GaussianProcess, GpOptions, Posterior, Warp};
use proptest::prelude::*;
use rand::SeedableRng;

/// A likelihood's maximum is known to the square root of its rounding, some
/// `1e-7`; the reference's search stops at about as much.
const MAXIMUM: f64 = 1e-5;

fn all(y: &[f64]) -> [Warp; 4] {
    [
        Warp::none(),
        Warp::bilog(y),
        Warp::yeo_johnson(y),
        Warp::likeliest(y),
    ]
}

#[test]
fn yeo_johnson_as_scipy() {
    let file: serde_json::Value =
        serde_json::from_str(include_str!("golden/gp_warp.json")).unwrap();
    for case in file["cases"].as_array().unwrap() {
        let list = |name: &str| -> Vec<f64> { serde_json::from_value(case[name].clone()).unwrap() };
        let y = list("y");
        let warp = Warp::yeo_johnson(&y);
        let lambda = warp.lambda().unwrap();
        assert!((lambda - case["lambda"].as_f64().unwrap()).abs() < MAXIMUM);
        for (y, z) in y.iter().zip(list("z")) {
            assert!((warp.apply(*y) - z).abs() < 10.0 * MAXIMUM * (1.0 + z.abs()));
        }
    }
}

proptest! {
    #[test]
    fn maps_have_inverses_and_keep_order(
        mut y in proptest::collection::vec(-1e3..1e3_f64, 2..40),
        power in 1..4,
    ) {
        // Tails of several lengths.
        y.iter_mut().for_each(|v| *v = v.powi(power));
        for warp in all(&y) {
            let z: Vec<f64> = y.iter().map(|y| warp.apply(*y)).collect();
            let size = y.iter().fold(1.0_f64, |a, v| a.max(v.abs()));
            for i in 0..y.len() {
                prop_assert!((warp.invert(z[i]) - y[i]).abs() <= 1e-9 * size);
                for j in 0..y.len() {
                    let rounding = 1e-12 * (1.0 + z[i].abs());
                    prop_assert!(y[i] > y[j] || z[i] <= z[j] + rounding);
                }
            }
        }
    }
}

#[test]
fn the_jacobian_is_the_derivative() {
    let y = [-30.0, -4.0, -1.0, 0.0, 0.5, 2.0, 5.0, 80.0];
    for warp in all(&y) {
        // Not at the kink.
        for y in [-30.0, -4.0, 0.5, 5.0, 80.0] {
            let h = 1e-6 * f64::abs(y);
            let numeric = (warp.apply(y + h) - warp.apply(y - h)) / (2.0 * h);
            assert!(
                (warp.log_jacobian(&[y]) - numeric.ln()).abs() < 1e-7,
                "{warp:?}"
            );
        }
    }
}

#[test]
fn moments_of_known_densities() {
    // Without a warp: the same. Of a logarithm: those of the log-normal density.
    let warped = Posterior {
        mean: 2.0,
        variance: 0.09,
    };
    let same = Warp::none().undo(warped);
    assert!((same.mean - 2.0).abs() < 1e-12 && (same.variance - 0.09).abs() < 1e-12);
    // Median 0, half the distance between the quartiles 1: u = y. Twenty
    // deviations above the kink.
    let bilog = Warp::bilog(&[-2.0, -1.0, 0.0, 1.0, 2.0]).undo(Posterior {
        mean: 2.0,
        variance: 0.01,
    });
    let mean = 2.005_f64.exp();
    assert!((bilog.mean - (mean - 1.0)).abs() < 1e-10);
    let variance = 0.01_f64.exp_m1() * mean * mean;
    assert!((bilog.variance - variance).abs() < 1e-10);
}

#[test]
fn tails_are_recognised_and_normal_outcomes_left_alone() {
    let uniform = |i: i32| (f64::from(i) + 0.5) / 60.0;
    let normal: Vec<f64> = (0..60)
        .map(|i| (uniform(i) / (1.0 - uniform(i))).ln())
        .collect();
    assert_eq!(Warp::likeliest(&normal), Warp::none());
    let tail: Vec<f64> = normal.iter().map(|v| -v.exp().powi(2)).collect();
    let warp = Warp::likeliest(&tail);
    assert_ne!(warp, Warp::none());
    // A model of the warped outcomes is the better one, Jacobian included.
    let x: Vec<Vec<f64>> = (0..60).map(|i| vec![uniform(i)]).collect();
    let evidence = |warp: Warp| {
        let z: Vec<f64> = tail.iter().map(|y| warp.apply(*y)).collect();
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        let gp = GaussianProcess::fit(&x, &z, &GpOptions::default(), None, &mut rng).unwrap();
        gp.log_evidence() + warp.log_jacobian(&tail)
    };
    assert!(evidence(warp) > evidence(Warp::none()) + 10.0);
}

#[test]
fn none_one_constant_and_huge() {
    for y in [
        &[][..],
        &[3.0],
        &[7.0; 5],
        &[1e300, -1e300, 0.0],
        &[0.0, 0.0, 0.0, 5.0],
    ] {
        for warp in all(y) {
            for y in y {
                assert!(warp.apply(*y).is_finite(), "{warp:?} {y}");
            }
        }
    }
    assert_eq!(Warp::likeliest(&[7.0; 5]), Warp::none());
}
