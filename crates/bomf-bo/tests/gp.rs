//! Gaussian processes: golden values (`golden/gp.py`), gradients, and data that
//! would upset a careless one.

#![allow(clippy::unwrap_used)]

use bomf_bo::BoError;
use bomf_bo::MetricFault;
use bomf_bo::models::{GaussianProcess, GpOptions, Gram, Hyperparameters, Kernel, Lengthscales};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

fn points(n: usize, d: usize, seed: u64) -> Vec<Vec<f64>> {
    let mut rng = rng(seed);
    (0..n)
        .map(|_| (0..d).map(|_| rng.random()).collect())
        .collect()
}

fn smooth(x: &[f64]) -> f64 {
    10.0 + 3.0 * (4.0 * x[0]).sin() + x[1] * x[1]
}

#[test]
fn golden() {
    let file: serde_json::Value = serde_json::from_str(include_str!("golden/gp.json")).unwrap();
    for case in file["cases"].as_array().unwrap() {
        let list =
            |v: &serde_json::Value| -> Vec<f64> { serde_json::from_value(v.clone()).unwrap() };
        let rows =
            |v: &serde_json::Value| -> Vec<Vec<f64>> { serde_json::from_value(v.clone()).unwrap() };
        let x = rows(&case["x"]);
        let lengthscales = list(&case["lengthscales"]);
        let options = GpOptions {
            kernel: serde_json::from_value(case["kernel"].clone()).unwrap(),
            lengthscales: Some(if lengthscales.len() == x[0].len() {
                Lengthscales::PerDimension
            } else {
                Lengthscales::Isotropic
            }),
            ..GpOptions::default()
        };
        let hyper = Hyperparameters {
            lengthscales,
            outputscale: case["outputscale"].as_f64().unwrap(),
            noise: case["noise"].as_f64().unwrap(),
            mean: case["mean"].as_f64().unwrap(),
        };
        let gp =
            GaussianProcess::with_hyperparameters(&x, &list(&case["y"]), &options, hyper).unwrap();
        // Conditioned by a noise of 1e-3: about 1e4 times rounding.
        let close = |a: f64, b: f64| (a - b).abs() < 1e-10 * (1.0 + b.abs());
        assert!(close(
            gp.log_likelihood(),
            case["log_likelihood"].as_f64().unwrap()
        ));
        let queries = rows(&case["query"]);
        let means = list(&case["posterior_mean"]);
        let variances = list(&case["posterior_variance"]);
        let batch = gp.predict_batch(&queries).unwrap();
        for (i, q) in queries.iter().enumerate() {
            let p = gp.predict(q).unwrap();
            assert!(close(p.mean, means[i]) && close(p.variance, variances[i]));
            assert!(close(batch[i].mean, p.mean) && close(batch[i].variance, p.variance));
        }
    }
}

#[test]
fn gradients_against_differences() {
    let x = points(20, 3, 1);
    let y: Vec<f64> = x.iter().map(|x| smooth(x)).collect();
    let metric = Gram::new(&[[2.0, 0.5, 0.0], [0.5, 1.0, 0.1], [0.0, 0.1, 0.3]]).unwrap();
    for kernel in [Kernel::Matern52, Kernel::Rbf] {
        for metric in [None, Some(metric.clone())] {
            let options = GpOptions {
                kernel,
                metric,
                ..GpOptions::default()
            };
            let gp = GaussianProcess::fit(&x, &y, &options, None, &mut rng(2)).unwrap();
            for q in points(5, 3, 3) {
                let g = gp.predict_with_gradient(&q).unwrap();
                let p = gp.predict(&q).unwrap();
                assert!((g.posterior.mean - p.mean).abs() < 1e-12 * p.mean.abs());
                for i in 0..3 {
                    let h = 1e-5;
                    let at = |step: f64| {
                        let mut q = q.clone();
                        q[i] += step;
                        gp.predict(&q).unwrap()
                    };
                    let (up, down) = (at(h), at(-h));
                    let mean = (up.mean - down.mean) / (2.0 * h);
                    let variance = (up.variance - down.variance) / (2.0 * h);
                    // The variance is a difference of numbers near 1 whose
                    // rounding, 1e-15 times the condition, is divided by h.
                    assert!(
                        (g.mean[i] - mean).abs() < 1e-6 * (1.0 + mean.abs()),
                        "{kernel:?}"
                    );
                    assert!((g.variance[i] - variance).abs() < 1e-5 * (1.0 + variance.abs()));
                }
            }
        }
    }
}

#[test]
fn learns_a_smooth_function() {
    let x = points(40, 2, 4);
    let y: Vec<f64> = x.iter().map(|x| smooth(x)).collect();
    let gp = GaussianProcess::fit(&x, &y, &GpOptions::default(), None, &mut rng(5)).unwrap();
    for q in points(50, 2, 6) {
        let p = gp.predict(&q).unwrap();
        assert!(
            (p.mean - smooth(&q)).abs() < 0.2,
            "{} {}",
            p.mean,
            smooth(&q)
        );
        assert!((p.mean - smooth(&q)).abs() < 6.0 * p.variance.sqrt() + 0.02);
    }
    // A warm start gives no worse a fit.
    let warm = gp.hyperparameters().clone();
    let again =
        GaussianProcess::fit(&x, &y, &GpOptions::default(), Some(&warm), &mut rng(7)).unwrap();
    assert!(again.log_likelihood() > gp.log_likelihood() - 0.5);
}

#[test]
fn irrelevant_coordinates_get_long_lengthscales() {
    let x = points(40, 3, 8);
    let y: Vec<f64> = x.iter().map(|x| (6.0 * x[0]).sin()).collect();
    let gp = GaussianProcess::fit(&x, &y, &GpOptions::default(), None, &mut rng(9)).unwrap();
    let l = &gp.hyperparameters().lengthscales;
    assert!(l[1] > 5.0 * l[0] && l[2] > 5.0 * l[0], "{l:?}");
}

#[test]
fn the_order_of_the_data_does_not_matter() {
    let x = points(15, 2, 10);
    let y: Vec<f64> = x.iter().map(|x| smooth(x)).collect();
    let hyper = Hyperparameters {
        lengthscales: vec![0.4, 0.8],
        outputscale: 1.0,
        noise: 1e-4,
        mean: 0.0,
    };
    let fit = |x: &[Vec<f64>], y: &[f64]| {
        GaussianProcess::with_hyperparameters(x, y, &GpOptions::default(), hyper.clone()).unwrap()
    };
    let a = fit(&x, &y);
    let turned: Vec<Vec<f64>> = x.iter().rev().cloned().collect();
    let values: Vec<f64> = y.iter().rev().copied().collect();
    let b = fit(&turned, &values);
    let (p, q) = (
        a.predict(&[0.3, 0.6]).unwrap(),
        b.predict(&[0.3, 0.6]).unwrap(),
    );
    assert!((p.mean - q.mean).abs() < 1e-9 && (p.variance - q.variance).abs() < 1e-9);
}

#[test]
fn duplicates_constants_outliers_and_single_observations() {
    let options = GpOptions::default();
    let fit = |x: &[Vec<f64>], y: &[f64]| {
        let gp = GaussianProcess::fit(x, y, &options, None, &mut rng(11)).unwrap();
        let p = gp.predict_with_gradient(&vec![0.4; x[0].len()]).unwrap();
        assert!(p.posterior.mean.is_finite() && p.posterior.variance > 0.0);
        assert!(p.mean.iter().chain(&p.variance).all(|g| g.is_finite()));
        gp
    };
    fit(&[vec![0.5, 0.5]], &[3.0]);
    let constant = fit(&points(6, 2, 12), &[7.0; 6]);
    assert!((constant.predict(&[0.2, 0.9]).unwrap().mean - 7.0).abs() < 1e-6);
    let twin = vec![vec![0.3, 0.3]; 8];
    fit(&twin, &[1.0; 8]);
    let noisy = fit(&twin, &[1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 1.0, 2.0]);
    assert!((noisy.predict(&[0.3, 0.3]).unwrap().mean - 1.5).abs() < 0.1);
    let mut y: Vec<f64> = (0..10).map(f64::from).collect();
    y[4] = 1e12;
    fit(&points(10, 2, 13), &y);
    fit(&points(4, 2, 14), &[1e-100, 2e-100, 0.0, 1e-100]);
}

#[test]
fn matrices_that_are_nearly_singular() {
    // Long lengthscales, close points, hardly any noise: rounding decides, and
    // jitter has to help.
    let mut x = points(30, 2, 21);
    for i in 0..30 {
        x.push(x[i].iter().map(|v| v + 1e-9).collect());
    }
    let y: Vec<f64> = x.iter().map(|x| smooth(x)).collect();
    for kernel in [Kernel::Matern52, Kernel::Rbf] {
        let options = GpOptions {
            kernel,
            ..GpOptions::default()
        };
        let hyper = Hyperparameters {
            lengthscales: vec![20.0, 20.0],
            outputscale: 1.0,
            noise: 1e-18,
            mean: 0.0,
        };
        let gp = GaussianProcess::with_hyperparameters(&x, &y, &options, hyper).unwrap();
        for q in points(10, 2, 22).iter().chain(&x[..5]) {
            let p = gp.predict_with_gradient(q).unwrap();
            assert!(p.posterior.variance > 0.0);
            assert!((p.posterior.mean - smooth(q)).abs() < 0.5, "{kernel:?}");
            assert!(p.mean.iter().chain(&p.variance).all(|g| g.is_finite()));
        }
    }
}

#[test]
fn far_away_is_the_prior() {
    let x = points(10, 2, 23);
    let y: Vec<f64> = x.iter().map(|x| smooth(x)).collect();
    let gp = GaussianProcess::fit(&x, &y, &GpOptions::default(), None, &mut rng(24)).unwrap();
    let hyper = gp.hyperparameters();
    for far in [1e6, 1e150] {
        let p = gp.predict_with_gradient(&[far, -far]).unwrap();
        assert!((p.posterior.mean - gp.outcome().undo_mean(hyper.mean)).abs() < 1e-9);
        let variance = gp.outcome().undo_variance(hyper.outputscale);
        assert!((p.posterior.variance - variance).abs() < 1e-9 * variance);
        assert!(p.mean.iter().chain(&p.variance).all(|g| g.abs() < 1e-9));
    }
}

#[test]
fn predictions_of_none() {
    let gp = GaussianProcess::fit(
        &[vec![0.5]],
        &[3.0],
        &GpOptions::default(),
        None,
        &mut rng(25),
    )
    .unwrap();
    assert_eq!(gp.predict_batch(&[]).unwrap(), []);
    assert_eq!((gp.len(), gp.dim(), gp.is_empty()), (1, 1, false));
}

#[test]
fn the_identity_metric_is_euclid() {
    let x = points(12, 3, 15);
    let y: Vec<f64> = x.iter().map(|x| smooth(x)).collect();
    let hyper = Hyperparameters {
        lengthscales: vec![0.7],
        outputscale: 1.0,
        noise: 1e-3,
        mean: 0.0,
    };
    let fit = |options: GpOptions| {
        GaussianProcess::with_hyperparameters(&x, &y, &options, hyper.clone()).unwrap()
    };
    let plain = fit(GpOptions {
        lengthscales: Some(Lengthscales::Isotropic),
        ..GpOptions::default()
    });
    // Any multiple of the identity: a metric's unit does not matter.
    let scaled = fit(GpOptions {
        metric: Some(Gram::new(&[[9.0, 0.0, 0.0], [0.0, 9.0, 0.0], [0.0, 0.0, 9.0]]).unwrap()),
        ..GpOptions::default()
    });
    let q = [0.1, 0.5, 0.9];
    let (p, s) = (plain.predict(&q).unwrap(), scaled.predict(&q).unwrap());
    assert!((p.mean - s.mean).abs() < 1e-9 && (p.variance - s.variance).abs() < 1e-9);
}

#[test]
fn a_blended_metric_lies_between_its_parts() {
    let gram = Gram::new(&[[2.0, 0.5, 0.0], [0.5, 1.0, 0.1], [0.0, 0.1, 0.3]]).unwrap();
    let x = points(12, 3, 26);
    let y: Vec<f64> = x.iter().map(|x| smooth(x)).collect();
    let hyper = Hyperparameters {
        lengthscales: vec![0.7],
        outputscale: 1.0,
        noise: 1e-3,
        mean: 0.0,
    };
    // The covariance of two points is how far a process on one sees the other.
    let distance = |metric: Option<Gram>| {
        let options = GpOptions {
            metric,
            kernel: Kernel::Rbf,
            lengthscales: Some(Lengthscales::Isotropic),
            ..GpOptions::default()
        };
        let exact = Hyperparameters {
            noise: 1e-12,
            ..hyper.clone()
        };
        let one = [vec![0.2, 0.3, 0.5]];
        let gp = GaussianProcess::with_hyperparameters(&one, &[1.0], &options, exact).unwrap();
        let variance = gp.predict(&[0.6, 0.1, 0.3]).unwrap().variance;
        -(1.0 - variance).ln()
    };
    let (own, euclid) = (distance(Some(gram.clone())), distance(None));
    for share in [0.0, 0.25, 0.5, 1.0] {
        let found = distance(Some(gram.blended(share).unwrap()));
        let expected = (1.0 - share) * own + share * euclid;
        assert!((found - expected).abs() < 1e-9, "{share}");
    }
    let options = GpOptions {
        metric: Some(gram.blended(0.5).unwrap()),
        ..GpOptions::default()
    };
    assert!(GaussianProcess::with_hyperparameters(&x, &y, &options, hyper).is_ok());
    for share in [-0.1, 1.1, f64::NAN] {
        assert!(matches!(gram.blended(share), Err(BoError::Option { .. })));
    }
}

#[test]
fn metrics_that_are_none() {
    let fault = |rows: &[[f64; 2]]| match Gram::new(rows).unwrap_err() {
        BoError::Metric { reason } => reason,
        other => panic!("{other}"),
    };
    assert_eq!(fault(&[[1.0, 0.0]]), MetricFault::NotSquare);
    assert_eq!(
        fault(&[[1.0, f64::NAN], [0.0, 1.0]]),
        MetricFault::NotFinite
    );
    assert_eq!(fault(&[[1.0, 0.5], [0.0, 1.0]]), MetricFault::NotSymmetric);
    assert_eq!(
        fault(&[[1.0, 2.0], [2.0, 1.0]]),
        MetricFault::NegativeEigenvalue
    );
    assert_eq!(fault(&[[0.0, 0.0], [0.0, 0.0]]), MetricFault::Zero);
    // All vertices in one place.
    assert_eq!(fault(&[[1.0, 1.0], [1.0, 1.0]]), MetricFault::Zero);
    // Rank one is fine: rows of one trajectory.
    assert!(Gram::new(&[[1.0, -1.0], [-1.0, 1.0]]).is_ok());
}

#[test]
fn refusals() {
    let options = GpOptions::default();
    let fit = |x: &[Vec<f64>], y: &[f64]| {
        GaussianProcess::fit(x, y, &options, None, &mut rng(1)).unwrap_err()
    };
    assert_eq!(fit(&[], &[]), BoError::NoData);
    let two = [vec![0.0], vec![1.0]];
    assert!(matches!(fit(&two, &[1.0]), BoError::Dimension { .. }));
    assert!(matches!(
        fit(&two, &[1.0, f64::NAN]),
        BoError::NotFinite { index: 1, .. }
    ));
    assert!(matches!(
        fit(&[vec![0.0], vec![f64::INFINITY]], &[1.0, 2.0]),
        BoError::NotFinite { index: 1, .. }
    ));
    assert!(matches!(
        fit(&[vec![0.0], vec![0.0, 1.0]], &[1.0, 2.0]),
        BoError::Dimension { .. }
    ));
    let hyper = Hyperparameters {
        lengthscales: vec![-1.0],
        outputscale: 1.0,
        noise: 1e-3,
        mean: 0.0,
    };
    let bad = GaussianProcess::with_hyperparameters(&two, &[1.0, 2.0], &options, hyper);
    assert!(matches!(bad, Err(BoError::Option { .. })));
}
