//! Further observations without another fit, prior means, groups of inputs, and
//! leaving one out: each against the long way round.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use bomf_bo::BoError;
use bomf_bo::models::{
    GaussianProcess, GpOptions, Hyperparameters, Kernel, PriorMean, TrainingData,
};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What is left of rounding after a factorisation of a matrix whose condition
/// is about `1e4`.
const ROUNDING: f64 = 1e-10;

fn points(n: usize, d: usize, seed: u64) -> Vec<Vec<f64>> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..n)
        .map(|_| (0..d).map(|_| rng.random()).collect())
        .collect()
}

fn smooth(x: &[f64]) -> f64 {
    10.0 + 3.0 * (4.0 * x[0]).sin() + x[1] * x[1]
}

fn outcomes(x: &[Vec<f64>]) -> Vec<f64> {
    x.iter().map(|x| smooth(x)).collect()
}

fn hyper() -> Hyperparameters {
    Hyperparameters {
        lengthscales: vec![0.5, 0.8],
        outputscale: 1.4,
        noise: 1e-3,
        mean: 0.3,
    }
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() < ROUNDING * (1.0 + b.abs())
}

/// Whether two processes predict the same, gradients included.
fn same(a: &GaussianProcess, b: &GaussianProcess) -> bool {
    points(6, a.dim(), 99).iter().all(|q| {
        let (p, r) = (
            a.predict_with_gradient(q).unwrap(),
            b.predict_with_gradient(q).unwrap(),
        );
        let gradients = p.mean.iter().chain(&p.variance);
        close(p.posterior.mean, r.posterior.mean)
            && close(p.posterior.variance, r.posterior.variance)
            && gradients
                .zip(r.mean.iter().chain(&r.variance))
                .all(|(a, b)| close(*a, *b))
    })
}

/// Outcomes whose mean is zero and whose deviation is one with and without the
/// last: so a new process scales them as the old one did.
fn fixed_scale(n: usize, q: usize) -> (Vec<f64>, Vec<f64>) {
    let spread = |n: usize| {
        let v = ((n - 1) as f64 / n as f64).sqrt();
        (0..n).map(|i| if i % 2 == 0 { v } else { -v }).collect()
    };
    (spread(n), spread(q))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn appending_is_refactorising(half in 1_usize..15, more in 1_usize..5, seed in 0_u64..1000) {
        let (n, q) = (2 * half, 2 * more);
        let x = points(n + q, 2, seed);
        let (first, _) = fixed_scale(n, q);
        let (all, _) = fixed_scale(n + q, 0);
        // The outcomes that a whole process would scale to `all`, in the first
        // one's scale.
        let gp = GaussianProcess::with_hyperparameters(
            &x[..n], &first, &GpOptions::default(), hyper()).unwrap();
        let unit = gp.outcome();
        let mut y: Vec<f64> = first.clone();
        y.extend(all[n..].iter().map(|z| unit.undo_mean(*z)));
        let longer = gp.condition_on(&x[n..], &y[n..]).unwrap();
        prop_assert_eq!(longer.len(), n + q);

        // One by one gives the same as all at a time.
        let mut one_by_one = gp.clone();
        for i in n..n + q {
            one_by_one = one_by_one.condition_on(&x[i..=i], &y[i..=i]).unwrap();
        }
        prop_assert!(same(&longer, &one_by_one));
        prop_assert!(close(longer.log_likelihood(), one_by_one.log_likelihood()));

        // And the same as a new process on all data, in the first one's unit:
        // the scaling goes into the hyperparameters.
        let whole = GaussianProcess::with_hyperparameters(&x, &y, &GpOptions::default(), hyper());
        let other = whole.unwrap().outcome();
        let ratio = unit.scale / other.scale;
        let hyper = Hyperparameters {
            outputscale: 1.4 * ratio * ratio,
            noise: 1e-3 * ratio * ratio,
            mean: other.apply(unit.undo_mean(0.3)),
            ..hyper()
        };
        let whole = GaussianProcess::with_hyperparameters(&x, &y, &GpOptions::default(), hyper);
        let whole = whole.unwrap();
        prop_assert!(same(&longer, &whole));
        prop_assert!(close(longer.log_evidence(), whole.log_evidence()));
    }
}

#[test]
fn believing_keeps_the_mean_and_lowers_the_variance() {
    let x = points(12, 2, 1);
    let gp =
        GaussianProcess::with_hyperparameters(&x, &outcomes(&x), &GpOptions::default(), hyper())
            .unwrap();
    let pending = points(3, 2, 2);
    let believing = gp.believing(&pending).unwrap();
    for q in points(20, 2, 3).iter().chain(&pending) {
        let (before, after) = (gp.predict(q).unwrap(), believing.predict(q).unwrap());
        assert!(close(before.mean, after.mean));
        assert!(after.variance < before.variance);
    }
    assert!(same(&gp.believing(&[]).unwrap(), &gp));
}

#[test]
fn copies_can_be_appended_without_noise_to_tell_them_apart() {
    let x = points(8, 2, 4);
    let exact = Hyperparameters {
        noise: 1e-18,
        ..hyper()
    };
    let y = outcomes(&x);
    let gp = GaussianProcess::with_hyperparameters(&x, &y, &GpOptions::default(), exact).unwrap();
    let twice = gp.condition_on(&x, &y).unwrap();
    for (x, y) in x.iter().zip(&y) {
        let p = twice.predict(x).unwrap();
        assert!((p.mean - y).abs() < 1e-4 && p.variance > 0.0);
    }
}

#[test]
fn refusals_of_further_observations() {
    let x = points(4, 2, 5);
    let gp =
        GaussianProcess::with_hyperparameters(&x, &outcomes(&x), &GpOptions::default(), hyper())
            .unwrap();
    let bad = |x: &[Vec<f64>], y: &[f64]| gp.condition_on(x, y).unwrap_err();
    assert!(matches!(
        bad(&[vec![0.0]], &[1.0]),
        BoError::Dimension { .. }
    ));
    assert!(matches!(
        bad(&[vec![0.0, 0.0]], &[]),
        BoError::Dimension { .. }
    ));
    assert!(matches!(
        bad(&[vec![0.0, 0.0]], &[f64::NAN]),
        BoError::NotFinite { .. }
    ));
}

#[test]
fn known_errors_of_further_observations_count() {
    let x = points(6, 2, 6);
    let gp =
        GaussianProcess::with_hyperparameters(&x, &outcomes(&x), &GpOptions::default(), hyper())
            .unwrap();
    let q = vec![vec![0.5, 0.5]];
    let see = |error: f64| {
        let errors = [Some(error)];
        let data = TrainingData::new(&q, &[30.0]).standard_errors(&errors);
        gp.condition_on_data(&data).unwrap().predict(&q[0]).unwrap()
    };
    let before = gp.predict(&q[0]).unwrap();
    let (exact, vague) = (see(1e-3), see(1e6));
    assert!((exact.mean - 30.0).abs() < 0.1 && exact.variance < 1e-4);
    assert!((vague.mean - before.mean).abs() < 1e-6);
    assert!((vague.variance - before.variance).abs() < 1e-6);
}

#[test]
fn leaving_one_out_is_leaving_one_out() {
    let x = points(10, 2, 7);
    let y = outcomes(&x);
    let options = GpOptions::default();
    let gp = GaussianProcess::with_hyperparameters(&x, &y, &options, hyper()).unwrap();
    let unit = gp.outcome();
    for (i, left_out) in gp.leave_one_out().iter().enumerate() {
        let others = |list: &[Vec<f64>]| -> Vec<Vec<f64>> {
            let rest = list.iter().enumerate().filter(|(j, _)| *j != i);
            rest.map(|(_, v)| v.clone()).collect()
        };
        let values: Vec<f64> = (0..10).filter(|j| *j != i).map(|j| y[j]).collect();
        // In the scale of all ten.
        let own = GaussianProcess::with_hyperparameters(&others(&x), &values, &options, hyper());
        let own = own.unwrap().outcome();
        let ratio = unit.scale / own.scale;
        let scaled = Hyperparameters {
            outputscale: 1.4 * ratio * ratio,
            noise: 1e-3 * ratio * ratio,
            mean: own.apply(unit.undo_mean(0.3)),
            ..hyper()
        };
        let rest =
            GaussianProcess::with_hyperparameters(&others(&x), &values, &options, scaled).unwrap();
        let p = rest.predict(&x[i]).unwrap();
        let noise = 1e-3 * unit.scale * unit.scale;
        assert!(close(left_out.mean, p.mean), "{} {}", left_out.mean, p.mean);
        assert!(close(left_out.variance, p.variance + noise));
    }
}

/// `20 x_0 - 5 x_1^2`.
#[derive(Debug)]
struct Trend;

impl PriorMean for Trend {
    fn value(&self, x: &[f64]) -> f64 {
        20.0 * x[0] - 5.0 * x[1] * x[1]
    }

    fn value_and_gradient(&self, x: &[f64], gradient: &mut [f64]) -> f64 {
        gradient.copy_from_slice(&[20.0, -10.0 * x[1]]);
        self.value(x)
    }
}

#[test]
fn a_prior_mean_is_subtracted_and_added() {
    let x = points(15, 2, 8);
    let trend: Vec<f64> = x.iter().map(|x| Trend.value(x)).collect();
    let y: Vec<f64> = outcomes(&x)
        .iter()
        .zip(&trend)
        .map(|(a, b)| a + b)
        .collect();
    for kernel in [Kernel::Matern52, Kernel::Rbf] {
        let options = GpOptions {
            kernel,
            ..GpOptions::default()
        };
        let gp = TrainingData::new(&x, &y)
            .prior_mean(Arc::new(Trend))
            .with_hyperparameters(&options, hyper())
            .unwrap();
        let plain =
            GaussianProcess::with_hyperparameters(&x, &outcomes(&x), &options, hyper()).unwrap();
        let queries = points(5, 2, 9);
        let batch = gp.predict_batch(&queries).unwrap();
        for (q, own) in queries.iter().zip(batch) {
            let (p, r) = (gp.predict(q).unwrap(), plain.predict(q).unwrap());
            assert!(close(p.mean, r.mean + Trend.value(q)) && close(p.variance, r.variance));
            assert!(close(own.mean, p.mean) && close(own.variance, p.variance));
            let g = gp.predict_with_gradient(q).unwrap();
            assert!(close(g.posterior.mean, p.mean));
            for i in 0..2 {
                let h = 1e-5;
                let at = |step: f64| {
                    let mut q = q.clone();
                    q[i] += step;
                    gp.predict(&q).unwrap().mean
                };
                let numeric = (at(h) - at(-h)) / (2.0 * h);
                assert!((g.mean[i] - numeric).abs() < 1e-6 * (1.0 + numeric.abs()));
            }
        }
        for (a, b) in gp.leave_one_out().iter().zip(plain.leave_one_out()) {
            assert!(close(a.variance, b.variance));
        }
        // Further outcomes are compared with the same trend.
        let new = points(2, 2, 10);
        let values: Vec<f64> = new.iter().map(|x| smooth(x) + Trend.value(x)).collect();
        let longer = gp.condition_on(&new, &values).unwrap();
        let plain = plain.condition_on(&new, &outcomes(&new)).unwrap();
        let (p, r) = (
            longer.predict(&queries[0]).unwrap(),
            plain.predict(&queries[0]).unwrap(),
        );
        assert!(close(p.mean, r.mean + Trend.value(&queries[0])));
    }
}

#[test]
fn a_constant_is_learned_on_top_of_a_prior_mean() {
    let x = points(12, 2, 11);
    let y: Vec<f64> = x.iter().map(|x| Trend.value(x) - 500.0).collect();
    let gp = TrainingData::new(&x, &y)
        .prior_mean(Arc::new(Trend))
        .fit(
            &GpOptions::default(),
            None,
            &mut ChaCha8Rng::seed_from_u64(1),
        )
        .unwrap();
    // Far from the data too.
    let far = [3.0, -2.0];
    let p = gp.predict(&far).unwrap();
    assert!((p.mean - (Trend.value(&far) - 500.0)).abs() < 1e-6);
}

/// Nowhere a number.
#[derive(Debug)]
struct Nowhere;

impl PriorMean for Nowhere {
    fn value(&self, _: &[f64]) -> f64 {
        f64::NAN
    }

    fn value_and_gradient(&self, _: &[f64], _: &mut [f64]) -> f64 {
        f64::NAN
    }
}

#[test]
fn a_prior_mean_must_be_a_number_at_the_data() {
    let x = points(3, 2, 12);
    let fit = TrainingData::new(&x, &[1.0, 2.0, 3.0])
        .prior_mean(Arc::new(Nowhere))
        .with_hyperparameters(&GpOptions::default(), hyper());
    assert!(matches!(fit, Err(BoError::NotFinite { index: 0, .. })));
}

#[test]
fn inputs_of_one_group_share_a_lengthscale() {
    // A number and a choice among three, as four coordinates.
    let mut rng = ChaCha8Rng::seed_from_u64(13);
    let x: Vec<Vec<f64>> = (0..30)
        .map(|i| {
            let mut x = vec![rng.random(), 0.0, 0.0, 0.0];
            x[1 + i % 3] = 1.0;
            x
        })
        .collect();
    let y: Vec<f64> = x
        .iter()
        .map(|x| (3.0 * x[0]).sin() + 2.0 * x[2] - x[3])
        .collect();
    let options = GpOptions {
        groups: Some(vec![0, 1, 1, 1]),
        ..GpOptions::default()
    };
    let gp = GaussianProcess::fit(&x, &y, &options, None, &mut rng).unwrap();
    assert_eq!(gp.hyperparameters().lengthscales.len(), 2);
    let l = gp.hyperparameters().lengthscales.clone();
    let spelled_out = Hyperparameters {
        lengthscales: vec![l[0], l[1], l[1], l[1]],
        ..gp.hyperparameters().clone()
    };
    let long =
        GaussianProcess::with_hyperparameters(&x, &y, &GpOptions::default(), spelled_out).unwrap();
    assert!(same(&gp, &long));

    let bad = |groups: Vec<usize>| {
        let options = GpOptions {
            groups: Some(groups),
            ..GpOptions::default()
        };
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        GaussianProcess::fit(&x, &y, &options, None, &mut rng).unwrap_err()
    };
    assert!(matches!(bad(vec![0, 1]), BoError::Dimension { .. }));
    assert!(matches!(bad(vec![0, 2, 2, 2]), BoError::Option { .. }));
}

#[test]
fn many_observations_are_fitted_by_way_of_a_part_of_them() {
    // More than the fit follows every start on.
    let x = points(300, 2, 14);
    let y = outcomes(&x);
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let options = GpOptions::default();
    let gp = GaussianProcess::fit(&x, &y, &options, None, &mut rng).unwrap();
    let warm = gp.hyperparameters().clone();
    // The optimum on all data: another fit from there finds no better one, but may
    // move along the ridge of kernel variances and lengthscales.
    let again = GaussianProcess::fit(&x, &y, &options, Some(&warm), &mut rng).unwrap();
    let (a, b) = (gp.log_likelihood(), again.log_likelihood());
    assert!((a - b).abs() < 1.0, "{a} {b}");
    for q in points(20, 2, 15) {
        assert!((gp.predict(&q).unwrap().mean - smooth(&q)).abs() < 0.01);
    }
}
