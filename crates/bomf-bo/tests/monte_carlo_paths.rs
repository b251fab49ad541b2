//! Sampled paths and scalarisations against the posterior, brute force and
//! differences.

#![allow(clippy::unwrap_used)]

use bomf_bo::acquisition::monte_carlo::{LogThompsonHvi, QLogNParEgo, SampleOptions, Thompson};
use bomf_bo::models::{JointPosterior, SamplePath};
use bomf_bo::{Acquisition, BoError};
use bomf_pareto::hypervolume;

mod common;
use common::*;

/// Means and covariances of 4,000 paths: of unit variances, the standard error
/// is 0.016 and 0.022.
const DRAWN: f64 = 0.08;

#[test]
fn paths_have_the_mean_and_covariance_of_the_posterior() {
    let x = points(6, 1);
    // One of each kernel.
    for gp in &models(&x, 2, 1e-2) {
        let at = vec![vec![0.1, 0.9, 0.2], vec![0.4, 0.6, 0.3], vec![0.9; 3]];
        let joint = JointPosterior::new(gp, &at).unwrap();
        let (mean, covariance) = (joint.mean().to_vec(), joint.covariance());
        let mut rng = rng(2);
        let draws = 4000;
        let values: Vec<Vec<f64>> = (0..draws)
            .map(|_| {
                let path = SamplePath::draw(gp, 256, &mut rng);
                at.iter().map(|x| path.value(x).unwrap()).collect()
            })
            .collect();
        let average =
            |f: &dyn Fn(&[f64]) -> f64| values.iter().map(|v| f(v)).sum::<f64>() / f64::from(draws);
        for i in 0..3 {
            let sigma = covariance[i][i].sqrt();
            assert!((average(&|v| v[i]) - mean[i]).abs() < DRAWN * sigma);
            for j in 0..=i {
                let found = average(&|v| (v[i] - mean[i]) * (v[j] - mean[j]));
                let scale = sigma * covariance[j][j].sqrt();
                assert!(
                    (found - covariance[i][j]).abs() < DRAWN * scale,
                    "{i} {j}: {found} {}",
                    covariance[i][j]
                );
            }
        }
    }
}

#[test]
fn a_path_meets_data_without_noise() {
    let x = points(8, 3);
    let gp = &models(&x, 1, 1e-8)[0];
    let path = SamplePath::draw(gp, 512, &mut rng(4));
    for x in &x {
        // The square root of the noise, a few times.
        assert!((path.value(x).unwrap() - outcome(x, 0)).abs() < 1e-3);
    }
    assert!(matches!(path.value(&[0.0]), Err(BoError::Dimension { .. })));
}

#[test]
fn gradients_of_paths_and_their_hypervolume() {
    let x = points(9, 5);
    for m in 1..=4 {
        let gps = models(&x, m, 1e-3);
        let front: Vec<Vec<f64>> = x
            .iter()
            .map(|x| (0..m).map(|j| outcome(x, j)).collect())
            .collect();
        for gp in &gps {
            check_gradient(&Thompson::new(gp, &mut rng(6)), &points(1, 7)[0]);
        }
        for reference in [-1.0, 0.1, 5.0] {
            let r = vec![reference; m];
            let pending = points(2, 8);
            let a = LogThompsonHvi::new(&gps, &front, &pending, &r, &mut rng(9)).unwrap();
            for q in points(3, 10) {
                check_gradient(&a, &q);
            }
        }
    }
}

#[test]
fn hypervolume_of_paths_is_that_of_their_values() {
    let x = points(9, 11);
    let gps = models(&x, 2, 1e-3);
    let front: Vec<Vec<f64>> = x
        .iter()
        .map(|x| vec![outcome(x, 0), outcome(x, 1)])
        .collect();
    let r = [-3.0, -3.0];
    let a = LogThompsonHvi::new(&gps, &front, &[], &r, &mut rng(12)).unwrap();
    // The same draws from the same seed.
    let mut again = rng(12);
    let paths: Vec<SamplePath> = gps
        .iter()
        .map(|g| SamplePath::draw(g, 512, &mut again))
        .collect();
    let before = hypervolume(&front, &r).unwrap();
    let mut compared = 0;
    for q in points(200, 13) {
        let mut with = front.clone();
        with.push(paths.iter().map(|p| p.value(&q).unwrap()).collect());
        let gain = hypervolume(&with, &r).unwrap() - before;
        let value = a.values(&[q]).unwrap()[0].exp();
        if gain > 0.3 {
            compared += 1;
            // What a blur by a hundredth of the range adds.
            assert!((value - gain).abs() < 0.1 * gain, "{value} {gain}");
        }
    }
    assert!(compared > 0);
}

#[test]
fn scalarised_improvement_against_brute_force() {
    let m = 3;
    let x = points(8, 21);
    let gps = models(&x, m, 2e-2);
    let pending = points(1, 22);
    let weights = [0.5, 0.2, 0.3];
    let options = SampleOptions {
        samples: 4096,
        ..SampleOptions::default()
    };
    let a = QLogNParEgo::new(&gps, &x, &pending, &weights, &options, &mut rng(23)).unwrap();
    // Ideal and range of the means' front.
    let means: Vec<Vec<f64>> = x
        .iter()
        .map(|x| gps.iter().map(|g| g.predict(x).unwrap().mean).collect())
        .collect();
    let front = bomf_pareto::non_dominated(&means).unwrap();
    let of = |j: usize| -> Vec<f64> { front.iter().map(|i| means[*i][j]).collect() };
    let bounds: Vec<(f64, f64)> = (0..m)
        .map(|j| {
            let top = of(j).into_iter().fold(f64::NEG_INFINITY, f64::max);
            (top, top - of(j).into_iter().fold(f64::INFINITY, f64::min))
        })
        .collect();
    let g = |y: &[f64]| {
        let v: Vec<f64> = (0..m)
            .map(|j| weights[j] * (y[j] - bounds[j].0) / bounds[j].1)
            .collect();
        v.iter().copied().fold(f64::INFINITY, f64::min) + 0.05 * v.iter().sum::<f64>()
    };
    for q in points(40, 24) {
        let mut all = x.clone();
        all.extend(pending.clone());
        all.push(q.clone());
        let value = a.values(std::slice::from_ref(&q)).unwrap()[0].exp();
        if value < 0.01 {
            continue;
        }
        let draws = joint_draws(&gps, &all, 10_000);
        let mean = draws
            .iter()
            .map(|y| {
                let (last, rest) = y.split_last().unwrap();
                let best = rest.iter().map(|y| g(y)).fold(f64::NEG_INFINITY, f64::max);
                (g(last) - best).max(0.0)
            })
            .sum::<f64>()
            / draws.len() as f64;
        // The minimum's temperature, a hundredth of the range, on both sides.
        assert!((value - mean).abs() < 0.1 * mean, "{value} {mean}");
        return;
    }
    panic!("no query gains anything");
}

#[test]
fn scalarised_gradients_near_and_far() {
    for m in [1, 2, 5] {
        let x = points(8, 31);
        // More objectives than the problem has: again from the first.
        let mut gps = models(&x, m.min(4), 2e-2);
        while gps.len() < m {
            gps.push(gps[0].clone());
        }
        let weights: Vec<f64> = (0..m).map(|j| 0.1 + j as f64).collect();
        for pending in [points(0, 1), points(2, 32)] {
            let options = SampleOptions {
                samples: 16,
                ..SampleOptions::default()
            };
            let a = QLogNParEgo::new(&gps, &x, &pending, &weights, &options, &mut rng(33)).unwrap();
            for q in points(3, 34) {
                check_gradient(&a, &q);
            }
        }
    }
}

#[test]
fn refusals() {
    let x = points(8, 41);
    let gps = models(&x, 2, 1e-2);
    let options = SampleOptions::default();
    let new = |weights: &[f64], baseline: &[Vec<f64>]| {
        QLogNParEgo::new(&gps, baseline, &[], weights, &options, &mut rng(1)).map(|_| ())
    };
    assert!(matches!(new(&[1.0], &x), Err(BoError::Dimension { .. })));
    assert!(matches!(new(&[1.0, -1.0], &x), Err(BoError::Option { .. })));
    assert!(matches!(new(&[0.0, 0.0], &x), Err(BoError::Option { .. })));
    assert!(matches!(new(&[1.0, 1.0], &[]), Err(BoError::NoData)));
    let front: [Vec<f64>; 0] = [];
    assert!(matches!(
        LogThompsonHvi::new(&gps, &front, &[], &[0.0], &mut rng(1)),
        Err(BoError::Dimension { .. })
    ));
}
