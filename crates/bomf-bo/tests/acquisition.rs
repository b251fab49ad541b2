//! Acquisition functions against Monte Carlo and differences.

#![allow(clippy::unwrap_used)]

use bomf_bo::acquisition::analytic::{LogEhvi, LogEi};
use bomf_bo::models::{GaussianProcess, GpOptions, Hyperparameters};
use bomf_bo::{Acquisition, BoError};
use bomf_pareto::hypervolume;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

const D: usize = 3;

fn points(n: usize, seed: u64) -> Vec<Vec<f64>> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..n)
        .map(|_| (0..D).map(|_| rng.random()).collect())
        .collect()
}

/// Outcome `j` peaks at its own place.
fn outcome(x: &[f64], j: usize) -> f64 {
    let peak = [0.2, 0.8, 0.5, 0.35][j];
    let squares: f64 = x.iter().map(|v| (v - peak).powi(2)).sum();
    (1.0 + j as f64) * (-2.0 * squares).exp() + 0.2 * x[j % D]
}

fn models(x: &[Vec<f64>], m: usize) -> Vec<GaussianProcess> {
    (0..m)
        .map(|j| {
            let y: Vec<f64> = x.iter().map(|x| outcome(x, j)).collect();
            let hyper = Hyperparameters {
                lengthscales: vec![0.6, 0.8, 1.0],
                outputscale: 1.0,
                noise: 1e-4,
                mean: 0.1,
            };
            GaussianProcess::with_hyperparameters(x, &y, &GpOptions::default(), hyper).unwrap()
        })
        .collect()
}

fn check_gradient(a: &dyn Acquisition, q: &[f64]) {
    let mut gradient = vec![0.0; q.len()];
    let value = a.value_and_gradient(q, &mut gradient).unwrap();
    let batch = a.values(&[q.to_vec()]).unwrap();
    assert!((batch[0] - value).abs() < 1e-9 * (1.0 + value.abs()));
    for i in 0..q.len() {
        let h = 1e-6;
        let at = |step: f64| {
            let mut q = q.to_vec();
            q[i] += step;
            let mut unused = vec![0.0; q.len()];
            a.value_and_gradient(&q, &mut unused).unwrap()
        };
        let numeric = (at(h) - at(-h)) / (2.0 * h);
        // Rounding of the value over h, and the variance's own cancellation.
        let tolerance = 1e-4 * (1.0 + numeric.abs()) + 1e-9 * value.abs();
        assert!(
            (numeric - gradient[i]).abs() < tolerance,
            "{i}: {numeric} {}",
            gradient[i]
        );
    }
}

#[test]
fn log_ei_gradient_near_and_far() {
    let x = points(12, 1);
    let gp = &models(&x, 1)[0];
    for best in [-5.0, 0.5, 1.0, 4.0, 60.0] {
        let acquisition = LogEi::new(gp, best);
        for q in points(4, 2) {
            check_gradient(&acquisition, &q);
        }
    }
    // So far out that the improvement itself is zero in floats.
    let far = LogEi::new(gp, 60.0).values(&points(1, 3)).unwrap()[0];
    assert!(far.is_finite() && far.exp() == 0.0);
}

#[test]
fn log_ei_against_monte_carlo() {
    let x = points(12, 4);
    let gp = &models(&x, 1)[0];
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    for q in points(3, 6) {
        let p = gp.predict(&q).unwrap();
        let best = p.mean + 0.5 * p.variance.sqrt();
        let draws = 200_000;
        let mean = (0..draws)
            .map(|_| {
                let e: f64 = rng.sample(StandardNormal);
                (p.mean + p.variance.sqrt() * e - best).max(0.0)
            })
            .sum::<f64>()
            / f64::from(draws);
        let value = LogEi::new(gp, best).values(&[q]).unwrap()[0].exp();
        assert!((value - mean).abs() < 0.02 * mean);
    }
}

#[test]
fn ehvi_of_one_objective_is_ei() {
    let x = points(12, 7);
    let gps = models(&x, 1);
    let front: Vec<Vec<f64>> = x.iter().map(|x| vec![outcome(x, 0)]).collect();
    let best = front.iter().map(|y| y[0]).fold(f64::NEG_INFINITY, f64::max);
    let queries = points(5, 8);
    let a = LogEhvi::new(&gps, &front, &[-1.0]).unwrap();
    let b = LogEi::new(&gps[0], best);
    for (a, b) in a
        .values(&queries)
        .unwrap()
        .iter()
        .zip(b.values(&queries).unwrap())
    {
        assert!((a - b).abs() < 1e-12 * (1.0 + b.abs()));
    }
}

#[test]
fn ehvi_against_monte_carlo() {
    for m in 1..=4 {
        let x = points(9, 10 + m as u64);
        let gps = models(&x, m);
        let y: Vec<Vec<f64>> = x
            .iter()
            .map(|x| (0..m).map(|j| outcome(x, j)).collect())
            .collect();
        let ref_point = vec![0.1; m];
        let acquisition = LogEhvi::new(&gps, &y, &ref_point).unwrap();
        let before = hypervolume(&y, &ref_point).unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(99);
        for q in points(3, 20) {
            let posteriors: Vec<_> = gps.iter().map(|g| g.predict(&q).unwrap()).collect();
            let draws = 20_000;
            let (mut sum, mut squares) = (0.0, 0.0);
            let mut with = y.clone();
            with.push(vec![0.0; m]);
            for _ in 0..draws {
                for (j, p) in posteriors.iter().enumerate() {
                    let e: f64 = rng.sample(StandardNormal);
                    with[y.len()][j] = p.mean + p.variance.sqrt() * e;
                }
                let gain = hypervolume(&with, &ref_point).unwrap() - before;
                sum += gain / f64::from(draws);
                squares += gain * gain / f64::from(draws);
            }
            let error = ((squares - sum * sum) / f64::from(draws)).sqrt();
            let value = acquisition.values(&[q]).unwrap()[0].exp();
            // Four standard errors of the estimate.
            assert!(
                (value - sum).abs() < 4.0 * error + 1e-9,
                "m = {m}: {value}, Monte Carlo {sum} +- {error}"
            );
        }
    }
}

#[test]
fn ehvi_gradient_near_and_far() {
    for m in 1..=4 {
        let x = points(9, 30 + m as u64);
        let gps = models(&x, m);
        let y: Vec<Vec<f64>> = x
            .iter()
            .map(|x| (0..m).map(|j| outcome(x, j)).collect())
            .collect();
        for reference in [-1.0, 0.1, 5.0] {
            let acquisition = LogEhvi::new(&gps, &y, &vec![reference; m]).unwrap();
            for q in points(3, 40) {
                check_gradient(&acquisition, &q);
            }
        }
    }
}

#[test]
fn a_dominated_point_in_the_front_changes_nothing() {
    let x = points(9, 50);
    let gps = models(&x, 2);
    let front = vec![vec![1.0, 0.5], vec![0.5, 1.5]];
    let mut more = front.clone();
    more.extend([vec![0.5, 0.5], vec![1.0, 0.5], vec![f64::NAN, 9.0]]);
    let queries = points(5, 51);
    let values = |front: &[Vec<f64>]| {
        let a = LogEhvi::new(&gps, front, &[0.0, 0.0]).unwrap();
        a.values(&queries).unwrap()
    };
    assert_eq!(values(&front), values(&more));
}

#[test]
fn refusals() {
    let x = points(9, 60);
    let gps = models(&x, 2);
    let front: [Vec<f64>; 0] = [];
    assert!(matches!(
        LogEhvi::new(&gps, &front, &[0.0]),
        Err(BoError::Dimension { .. })
    ));
    assert!(matches!(
        LogEhvi::new(&gps, &front, &[0.0, f64::NAN]),
        Err(BoError::Pareto(_))
    ));
    let a = LogEhvi::new(&gps, &front, &[0.0, 0.0]).unwrap();
    assert_eq!(a.boxes(), 1);
    assert!(matches!(
        a.values(&[vec![0.0]]),
        Err(BoError::Dimension { .. })
    ));
}
