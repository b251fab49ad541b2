//! Monte Carlo acquisition functions against closed forms, brute force and
//! differences.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use bomf_bo::acquisition::analytic::{LogEhvi, LogEi};
use bomf_bo::acquisition::monte_carlo::{QLogEi, QLogNehvi, QLogNei, SampleOptions, Thompson};
use bomf_bo::models::{
    GaussianProcess, GpOptions, Hyperparameters, JointPosterior, PriorMean, TrainingData,
};
use bomf_bo::{Acquisition, BoError};
use bomf_pareto::hypervolume;

mod common;
use common::*;

/// Where the mean of a baseline stands for its outcomes: they differ by the
/// square root of the noise and less.
const NOISELESS: f64 = 1e-6;

#[test]
fn joint_posterior_has_the_marginals_of_the_process() {
    let x = points(12, 1);
    let gp = &models(&x, 1, 1e-2)[0];
    let at = points(5, 2);
    let joint = JointPosterior::new(gp, &at).unwrap();
    let covariance = joint.covariance();
    for (i, x) in at.iter().enumerate() {
        let p = gp.predict(x).unwrap();
        assert!((joint.mean()[i] - p.mean).abs() < 1e-12);
        // A ten-thousand-millionth of the kernel's variance is added.
        assert!((covariance[i][i] - p.variance).abs() < 1e-9);
        assert!((joint.sigma()[i] - covariance[i][i].sqrt()).abs() < 1e-12);
    }
}

#[test]
fn joint_posterior_of_two_points_together_and_of_none() {
    let x = points(12, 1);
    let gp = &models(&x, 1, 1e-6)[0];
    let twice = vec![x[0].clone(), x[0].clone(), x[1].clone()];
    let joint = JointPosterior::new(gp, &twice).unwrap();
    let values = joint.sample(&[1.0, -1.0, 0.5]);
    assert!((values[0] - values[1]).abs() < 1e-3);
    let none = JointPosterior::new(gp, &[]).unwrap();
    assert!(none.is_empty() && none.sample(&[]).is_empty());
    assert!(matches!(
        JointPosterior::new(gp, &[vec![0.0]]),
        Err(BoError::Dimension { .. })
    ));
}

#[test]
fn joint_covariance_is_what_an_observation_there_would_explain() {
    // Var(f(x)) falls by Cov(f(x), f(p))^2 / (Var f(p) + noise) with one more
    // observation at p.
    let x = points(10, 3);
    let y: Vec<f64> = x.iter().map(|x| outcome(x, 0)).collect();
    let noise = 1e-2;
    let hyper = Hyperparameters {
        lengthscales: vec![0.7],
        outputscale: 1.0,
        noise,
        mean: 0.0,
    };
    let options = GpOptions {
        lengthscales: Some(bomf_bo::models::Lengthscales::Isotropic),
        ..GpOptions::default()
    };
    let gp = GaussianProcess::with_hyperparameters(&x, &y, &options, hyper.clone()).unwrap();
    let at = points(2, 4);
    let c = JointPosterior::new(&gp, &at).unwrap().covariance();
    let scale = gp.outcome().scale;
    let (mut more_x, mut more_y) = (x.clone(), y.clone());
    more_x.push(at[1].clone());
    more_y.push(gp.predict(&at[1]).unwrap().mean);
    let more = GaussianProcess::with_hyperparameters(&more_x, &more_y, &options, hyper).unwrap();
    let after = more.predict(&at[0]).unwrap().variance / more.outcome().scale.powi(2);
    let expected = (c[0][0] - c[0][1].powi(2) / (c[1][1] + noise * scale * scale)) / scale.powi(2);
    assert!((after - expected).abs() < 1e-9, "{after} {expected}");
}

#[test]
fn nothing_uncertain_but_the_new_point_is_the_closed_form() {
    let queries = points(6, 8);
    for m in 1..=4 {
        let x = points(9, 7);
        let gps = models(&x, m, 1e-8);
        let y: Vec<Vec<f64>> = x
            .iter()
            .map(|x| gps.iter().map(|g| g.predict(x).unwrap().mean).collect())
            .collect();
        let ref_point = vec![0.1; m];
        let options = SampleOptions::default();
        let a = QLogNehvi::new(&gps, &x, &[], &ref_point, &options, &mut rng(1)).unwrap();
        assert_eq!(a.samples(), 1);
        let b = LogEhvi::new(&gps, &y, &ref_point).unwrap();
        let found = a.values(&queries).unwrap();
        for (a, b) in found.iter().zip(b.values(&queries).unwrap()) {
            assert!((a - b).abs() < SAME * (1.0 + b.abs()), "{m}: {a} {b}");
        }
    }
    let x = points(9, 7);
    let gp = &models(&x, 1, 1e-8)[0];
    let best = x.iter().map(|x| outcome(x, 0)).fold(0.0, f64::max);
    let options = SampleOptions::default();
    let ei = LogEi::new(gp, best).values(&queries).unwrap();
    let q_ei = QLogEi::new(gp, best, &[], &options, &mut rng(1)).unwrap();
    let q_nei = QLogNei::new(gp, &x, &[], &options, &mut rng(1)).unwrap();
    for (a, b) in q_ei.values(&queries).unwrap().iter().zip(&ei) {
        assert!((a - b).abs() < SAME * (1.0 + b.abs()), "{a} {b}");
    }
    assert_eq!(q_nei.samples(), 1);
    for (a, b) in q_nei.values(&queries).unwrap().iter().zip(&ei) {
        assert!((a - b).abs() < 1e3 * NOISELESS * (1.0 + b.abs()), "{a} {b}");
    }
}

#[test]
fn nehvi_against_brute_force() {
    let draws = 20_000;
    for (m, noise) in [(2, 1e-2), (2, 1e-7), (3, 1e-2)] {
        let x = points(8, 11);
        let gps = models(&x, m, noise);
        let pending = points(2, 12);
        let ref_point = vec![0.1; m];
        let options = SampleOptions {
            samples: 512,
            ..SampleOptions::default()
        };
        let a = QLogNehvi::new(&gps, &x, &pending, &ref_point, &options, &mut rng(2)).unwrap();
        for q in points(3, 13) {
            let mut all = x.clone();
            all.extend(pending.clone());
            all.push(q.clone());
            let gains: Vec<f64> = joint_draws(&gps, &all, draws)
                .iter()
                .map(|y| {
                    hypervolume(y, &ref_point).unwrap()
                        - hypervolume(&y[..y.len() - 1], &ref_point).unwrap()
                })
                .collect();
            let (mean, error) = mean_and_error(&gains);
            assert!(mean > 1e-4);
            let value = a.values(&[q]).unwrap()[0].exp();
            // Four standard errors, and what 512 quasi-random fronts leave.
            assert!(
                (value - mean).abs() < 4.0 * error + 0.01 * mean,
                "m = {m}: {value}, brute force {mean} +- {error}"
            );
        }
    }
}

#[test]
fn nei_and_ei_against_brute_force() {
    let draws = 20_000;
    let x = points(8, 21);
    let gp = &models(&x, 1, 0.1)[0];
    // Around the peak, so that there is something to gain.
    let near = |n: usize, seed: u64| -> Vec<Vec<f64>> {
        let shrink = |x: &Vec<f64>| x.iter().map(|v| 0.2 + 0.4 * (v - 0.5)).collect();
        points(n, seed).iter().map(shrink).collect()
    };
    let pending = near(2, 22);
    let options = SampleOptions {
        samples: 512,
        ..SampleOptions::default()
    };
    let best = 0.9;
    let nei = QLogNei::new(gp, &x, &pending, &options, &mut rng(2)).unwrap();
    let ei = QLogEi::new(gp, best, &pending, &options, &mut rng(2)).unwrap();
    assert_eq!(nei.samples(), 512);
    for q in near(3, 23) {
        let mut all = x.clone();
        all.extend(pending.clone());
        all.push(q.clone());
        let drawn = joint_draws(std::slice::from_ref(gp), &all, draws);
        let gain = |from: usize, best: f64| {
            let gains: Vec<f64> = drawn
                .iter()
                .map(|y| {
                    let top = y[from..y.len() - 1]
                        .iter()
                        .map(|v| v[0])
                        .fold(best, f64::max);
                    (y[y.len() - 1][0] - top).max(0.0)
                })
                .collect();
            mean_and_error(&gains)
        };
        for (value, (mean, error)) in [
            (
                nei.values(std::slice::from_ref(&q)).unwrap()[0],
                gain(0, f64::NEG_INFINITY),
            ),
            (ei.values(&[q]).unwrap()[0], gain(x.len(), best)),
        ] {
            assert!(mean > 1e-3);
            assert!(
                (value.exp() - mean).abs() < 4.0 * error + 0.01 * mean,
                "{}, brute force {mean} +- {error}",
                value.exp()
            );
        }
    }
}

#[test]
fn gradients_near_and_far_with_noise_and_pending_points() {
    let options = SampleOptions {
        samples: 16,
        ..SampleOptions::default()
    };
    for m in 1..=4 {
        let x = points(9, 30 + m as u64);
        for (noise, p) in [(1e-2, 2), (1e-2, 0), (1e-7, 3), (1e-7, 0)] {
            let gps = models(&x, m, noise);
            let pending = points(p, 41);
            for reference in [-1.0, 0.1, 5.0, 80.0] {
                let r = vec![reference; m];
                let a = QLogNehvi::new(&gps, &x, &pending, &r, &options, &mut rng(3)).unwrap();
                for q in points(2, 42) {
                    check_gradient(&a, &q);
                }
            }
        }
    }
    let x = points(9, 50);
    let gp = &models(&x, 1, 1e-2)[0];
    let pending = points(2, 51);
    let nei = QLogNei::new(gp, &x, &pending, &options, &mut rng(4)).unwrap();
    for q in points(3, 52) {
        check_gradient(&nei, &q);
        for best in [-5.0, 0.9, 60.0] {
            let ei = QLogEi::new(gp, best, &pending, &options, &mut rng(4)).unwrap();
            check_gradient(&ei, &q);
        }
    }
}

/// A slope that outcomes are expected to follow.
#[derive(Debug)]
struct Slope;

impl PriorMean for Slope {
    fn value(&self, x: &[f64]) -> f64 {
        3.0 * x[0] - x[1] * x[1]
    }

    fn value_and_gradient(&self, x: &[f64], gradient: &mut [f64]) -> f64 {
        gradient.fill(0.0);
        gradient[0] = 3.0;
        gradient[1] = -2.0 * x[1];
        self.value(x)
    }
}

#[test]
fn a_prior_mean_and_known_errors_are_taken_along() {
    let x = points(9, 65);
    let y: Vec<f64> = x.iter().map(|x| outcome(x, 0) + 3.0 * x[0]).collect();
    let errors: Vec<Option<f64>> = (0..9).map(|i| (i % 2 == 0).then_some(0.1)).collect();
    let hyper = Hyperparameters {
        lengthscales: vec![0.6, 0.8, 1.0],
        outputscale: 1.1,
        noise: 1e-3,
        mean: 0.1,
    };
    let gp = TrainingData::new(&x, &y)
        .standard_errors(&errors)
        .prior_mean(Arc::new(Slope))
        .with_hyperparameters(&GpOptions::default(), hyper)
        .unwrap();
    let at = points(3, 66);
    let joint = JointPosterior::new(&gp, &at).unwrap();
    for (x, mean) in at.iter().zip(joint.mean()) {
        assert!((gp.predict(x).unwrap().mean - mean).abs() < 1e-12);
    }
    let options = SampleOptions::default();
    let a = QLogNei::new(&gp, &x, &at, &options, &mut rng(1)).unwrap();
    for q in points(3, 67) {
        check_gradient(&a, &q);
        check_gradient(&Thompson::new(&gp, &mut rng(2)), &q);
    }
}

#[test]
fn a_pending_point_takes_the_gain_from_its_own_place() {
    let x = points(9, 60);
    let gps = models(&x, 2, 1e-6);
    let place = points(1, 61);
    let r = [0.0, 0.0];
    for samples in [1, 64] {
        let options = SampleOptions {
            samples,
            ..SampleOptions::default()
        };
        let at = |pending: &[Vec<f64>]| {
            let a = QLogNehvi::new(&gps, &x, pending, &r, &options, &mut rng(5)).unwrap();
            a.values(&place).unwrap()[0]
        };
        assert!(at(&place) < at(&[]) - 5.0);
    }
}

#[test]
fn equal_seeds_give_equal_values() {
    let x = points(9, 70);
    let gps = models(&x, 2, 1e-2);
    let q = points(4, 71);
    let values = || {
        let options = SampleOptions::default();
        QLogNehvi::new(&gps, &x, &[], &[0.0, 0.0], &options, &mut rng(6))
            .unwrap()
            .values(&q)
            .unwrap()
    };
    assert_eq!(values(), values());
}

#[test]
fn refusals() {
    let x = points(9, 80);
    let gps = models(&x, 2, 1e-2);
    let options = SampleOptions::default();
    let new = |r: &[f64], pending: &[Vec<f64>], options: &SampleOptions| {
        QLogNehvi::new(&gps, &x, pending, r, options, &mut rng(7)).map(|_| ())
    };
    assert!(matches!(
        new(&[0.0], &[], &options),
        Err(BoError::Dimension { .. })
    ));
    assert!(matches!(
        new(&[0.0, f64::NAN], &[], &options),
        Err(BoError::Pareto(_))
    ));
    assert!(matches!(
        new(&[0.0, 0.0], &[vec![1.0]], &options),
        Err(BoError::Dimension { .. })
    ));
    let none = SampleOptions {
        samples: 0,
        ..options
    };
    assert!(matches!(
        new(&[0.0, 0.0], &[], &none),
        Err(BoError::Option { .. })
    ));
    assert!(matches!(
        QLogNei::new(&gps[0], &[], &[], &options, &mut rng(7)),
        Err(BoError::NoData)
    ));
}
