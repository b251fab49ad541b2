//! Products of acquisition functions: constraints, failures, costs.

#![allow(clippy::unwrap_used)]

use bomf_bo::acquisition::analytic::LogEi;
use bomf_bo::acquisition::{Known, LogFeasibility, LogSuccess, PosteriorMean, Weighted, cooled};
use bomf_bo::models::{GpOptions, JointPosterior};
use bomf_bo::{Acquisition, BoError};
use rand::RngExt;
use rand_distr::StandardNormal;

mod common;
use common::*;

#[test]
fn constrained_improvement_against_brute_force() {
    let x = points(8, 1);
    let gps = models(&x, 2, 1e-2);
    let (best, bound) = (0.6, 0.9);
    let product =
        Weighted::new(LogEi::new(&gps[0], best)).times(LogFeasibility::at_most(&gps[1], bound));
    let mut rng = rng(2);
    let mut compared = 0;
    for q in points(6, 3) {
        let joints: Vec<JointPosterior> = gps
            .iter()
            .map(|g| JointPosterior::new(g, std::slice::from_ref(&q)).unwrap())
            .collect();
        let draws = 100_000;
        let mean = (0..draws)
            .map(|_| {
                let mut value = |j: usize| joints[j].sample(&[rng.sample(StandardNormal)])[0];
                let (objective, constraint) = (value(0), value(1));
                if constraint <= bound {
                    (objective - best).max(0.0)
                } else {
                    0.0
                }
            })
            .sum::<f64>()
            / f64::from(draws);
        let value = product.values(&[q]).unwrap()[0].exp();
        if mean > 0.01 {
            compared += 1;
            assert!((value - mean).abs() < 0.05 * mean, "{value} {mean}");
        }
    }
    assert!(compared > 0);
}

#[test]
fn gradients_near_and_far() {
    let x = points(10, 5);
    let gps = models(&x, 2, 1e-2);
    let failed: Vec<bool> = x.iter().map(|x| x[0] < 0.7).collect();
    let options = GpOptions::default();
    let success = LogSuccess::fit(&x, &failed, &options, None, &mut rng(6)).unwrap();
    for bound in [-30.0, 0.5, 30.0] {
        for q in points(3, 7) {
            check_gradient(&LogFeasibility::at_most(&gps[1], bound), &q);
            let product = Weighted::new(LogEi::new(&gps[0], 0.6))
                .times(LogFeasibility::at_most(&gps[1], bound))
                .times(success.clone())
                .to_the_power(-0.7, PosteriorMean::new(&gps[1]));
            check_gradient(&product, &q);
            check_gradient(&success, &q);
        }
    }
}

#[test]
fn success_is_likely_where_nothing_failed_and_unlikely_among_failures() {
    let x = points(40, 8);
    let ok: Vec<bool> = x.iter().map(|x| x[0] < 0.6).collect();
    let options = GpOptions::default();
    let model = LogSuccess::fit(&x, &ok, &options, None, &mut rng(9)).unwrap();
    assert!(model.hyperparameters().is_some());
    let at = [vec![0.1, 0.5, 0.5], vec![0.9, 0.5, 0.5]];
    let p: Vec<f64> = model.values(&at).unwrap().iter().map(|v| v.exp()).collect();
    assert!(p[0] > 0.75 && p[1] < 0.25, "{p:?}");
    // A single failure does not forbid its place.
    let mut one = vec![true; x.len()];
    one[0] = false;
    let model = LogSuccess::fit(&x, &one, &options, None, &mut rng(9)).unwrap();
    assert!(model.values(&x[..1]).unwrap()[0] > 0.1_f64.ln());
}

#[test]
fn without_failures_success_is_certain() {
    let x = points(5, 10);
    let options = GpOptions::default();
    let model = LogSuccess::fit(&x, &[true; 5], &options, None, &mut rng(11)).unwrap();
    let mut gradient = vec![1.0; D];
    assert_eq!(model.values(&x).unwrap(), [0.0; 5]);
    assert_eq!(model.value_and_gradient(&x[0], &mut gradient).unwrap(), 0.0);
    assert_eq!(gradient, [0.0; D]);
    assert!(matches!(
        LogSuccess::fit(&[], &[], &options, None, &mut rng(11)),
        Err(BoError::NoData)
    ));
    // Every evaluation failed: constant labels.
    let model = LogSuccess::fit(&x, &[false; 5], &options, None, &mut rng(11)).unwrap();
    assert!(model.values(&x).unwrap().iter().all(|v| *v < 0.5_f64.ln()));
}

#[test]
fn a_known_cost_divides_until_the_budget_is_used_up() {
    let x = points(8, 12);
    let gp = &models(&x, 1, 1e-2)[0];
    let log_cost = |x: &[f64], gradient: &mut [f64]| {
        gradient.fill(0.0);
        gradient[0] = 2.0;
        2.0 * x[0]
    };
    let q = points(3, 13);
    let plain = LogEi::new(gp, 0.6).values(&q).unwrap();
    for (left, exponent) in [(10.0, 1.0), (5.0, 0.5), (0.0, 0.0), (-1.0, 0.0)] {
        let alpha = cooled(left, 10.0);
        assert_eq!(alpha, exponent);
        let a = Weighted::new(LogEi::new(gp, 0.6)).to_the_power(-alpha, Known::new(D, log_cost));
        for (i, value) in a.values(&q).unwrap().iter().enumerate() {
            assert!((value - (plain[i] - alpha * 2.0 * q[i][0])).abs() < 1e-12);
        }
        check_gradient(&a, &q[0]);
    }
    assert_eq!(cooled(1.0, 0.0), 0.0);
    assert!(matches!(
        Known::new(D, log_cost).values(&[vec![0.0]]),
        Err(BoError::Dimension { .. })
    ));
}
