//! Processes with derivative observations: golden values
//! (`golden/derivative.py`, GPyTorch's kernels), the process of values alone,
//! differences, and what derivatives are for.

#![allow(clippy::unwrap_used)]

use bomf_bo::BoError;
use bomf_bo::models::{
    DerivativeGp, DerivativeHyperparameters, DirectionalDerivative, GaussianProcess, GpOptions,
    Gram, Hyperparameters, Kernel, Lengthscales,
};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Conditioned by a noise of 1e-3: about 1e4 times rounding.
const ROUNDING: f64 = 1e-10;

fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

fn close(a: f64, b: f64, tolerance: f64) -> bool {
    (a - b).abs() <= tolerance * (1.0 + b.abs())
}

fn points(n: usize, d: usize, seed: u64) -> Vec<Vec<f64>> {
    let mut rng = rng(seed);
    (0..n)
        .map(|_| (0..d).map(|_| rng.random()).collect())
        .collect()
}

fn smooth(x: &[f64]) -> f64 {
    10.0 + 3.0 * (4.0 * x[0]).sin() + x[1] * x[1] + x[0] * x[2]
}

fn gradient(x: &[f64]) -> [f64; 3] {
    [12.0 * (4.0 * x[0]).cos() + x[2], 2.0 * x[1], x[0]]
}

fn along(x: &[f64], direction: &[f64]) -> DirectionalDerivative {
    DirectionalDerivative {
        x: x.to_vec(),
        direction: direction.to_vec(),
        value: gradient(x).iter().zip(direction).map(|(a, b)| a * b).sum(),
    }
}

fn partials(x: &[f64]) -> Vec<DirectionalDerivative> {
    (0..3)
        .map(|i| {
            let unit: Vec<f64> = (0..3).map(|j| f64::from(u8::from(i == j))).collect();
            along(x, &unit)
        })
        .collect()
}

fn hyper(lengthscales: Vec<f64>, noise: f64) -> DerivativeHyperparameters {
    DerivativeHyperparameters {
        values: Hyperparameters {
            lengthscales,
            outputscale: 1.3,
            noise,
            mean: 0.2,
        },
        derivative_noise: noise,
    }
}

#[test]
fn golden() {
    let file: serde_json::Value =
        serde_json::from_str(include_str!("golden/derivative.json")).unwrap();
    let list = |v: &serde_json::Value| -> Vec<f64> { serde_json::from_value(v.clone()).unwrap() };
    let rows =
        |v: &serde_json::Value| -> Vec<Vec<f64>> { serde_json::from_value(v.clone()).unwrap() };
    let cases = file["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 8);
    for case in cases {
        let x = rows(&case["x"]);
        let d = x[0].len();
        let unit = |i: usize| -> Vec<f64> {
            let mut v = vec![0.0; d];
            v[i] = 1.0;
            v
        };
        let derivatives: Vec<DirectionalDerivative> = x
            .iter()
            .zip(rows(&case["gradients"]))
            .flat_map(|(x, g)| {
                g.into_iter()
                    .enumerate()
                    .map(|(i, value)| DirectionalDerivative {
                        x: x.clone(),
                        direction: unit(i),
                        value,
                    })
            })
            .collect();
        let lengthscales = list(&case["lengthscales"]);
        let options = GpOptions {
            kernel: serde_json::from_value(case["kernel"].clone()).unwrap(),
            lengthscales: Some(if lengthscales.len() == d {
                Lengthscales::PerDimension
            } else {
                Lengthscales::Isotropic
            }),
            ..GpOptions::default()
        };
        let number = |name: &str| case[name].as_f64().unwrap();
        let hyper = DerivativeHyperparameters {
            values: Hyperparameters {
                lengthscales,
                outputscale: number("outputscale"),
                noise: number("noise"),
                mean: number("mean"),
            },
            derivative_noise: number("derivative_noise"),
        };
        let y = list(&case["y"]);
        let gp = DerivativeGp::with_hyperparameters(&x, &y, &derivatives, &options, hyper).unwrap();
        assert!(close(
            gp.log_likelihood(),
            number("log_likelihood"),
            ROUNDING
        ));
        let queries = rows(&case["query"]);
        let batch = gp.predict_batch(&queries).unwrap();
        for (i, q) in queries.iter().enumerate() {
            let p = gp.predict(q).unwrap();
            assert!(close(p.mean, list(&case["posterior_mean"])[i], ROUNDING));
            assert!(close(
                p.variance,
                list(&case["posterior_variance"])[i],
                ROUNDING
            ));
            assert!(close(batch[i].mean, p.mean, ROUNDING));
            assert!(close(batch[i].variance, p.variance, ROUNDING));
            let by_direction = (0..d).map(|j| gp.predict_derivative(q, &unit(j)).unwrap());
            for (j, p) in by_direction.enumerate() {
                assert!(close(
                    p.mean,
                    rows(&case["derivative_mean"])[i][j],
                    ROUNDING
                ));
                let variance = rows(&case["derivative_variance"])[i][j];
                assert!(close(p.variance, variance, ROUNDING));
            }
        }
    }
}

#[test]
fn without_derivatives_it_is_the_process_of_values() {
    let x = points(14, 3, 1);
    let y: Vec<f64> = x.iter().map(|x| smooth(x)).collect();
    for (kernel, lengthscales) in [
        (Kernel::Matern52, Lengthscales::PerDimension),
        (Kernel::Rbf, Lengthscales::Isotropic),
    ] {
        let options = GpOptions {
            kernel,
            lengthscales: Some(lengthscales),
            ..GpOptions::default()
        };
        let plain = GaussianProcess::fit(&x, &y, &options, None, &mut rng(2)).unwrap();
        let hyper = DerivativeHyperparameters {
            values: plain.hyperparameters().clone(),
            derivative_noise: 1e-3,
        };
        let same = DerivativeGp::with_hyperparameters(&x, &y, &[], &options, hyper).unwrap();
        // Fitted noise near its lower bound: 1e7 times rounding.
        let tolerance = 1e-8;
        assert!(close(
            same.log_likelihood(),
            plain.log_likelihood(),
            tolerance
        ));
        for q in points(6, 3, 3) {
            let (a, b) = (
                plain.predict_with_gradient(&q).unwrap(),
                same.predict_with_gradient(&q).unwrap(),
            );
            assert!(close(b.posterior.mean, a.posterior.mean, tolerance));
            assert!(close(b.posterior.variance, a.posterior.variance, tolerance));
            for i in 0..3 {
                assert!(close(b.mean[i], a.mean[i], tolerance));
                assert!(close(b.variance[i], a.variance[i], tolerance));
            }
        }
        // And it fits as well.
        let fitted = DerivativeGp::fit(&x, &y, &[], &options, None, &mut rng(2)).unwrap();
        let (a, b) = (plain.log_likelihood(), fitted.log_likelihood());
        assert!((a - b).abs() < 0.1, "{a} {b}");
    }
}

#[test]
fn values_and_derivatives_are_met_where_they_were_observed() {
    let x = points(6, 3, 4);
    let y: Vec<f64> = x.iter().map(|x| smooth(x)).collect();
    let elsewhere = points(3, 3, 5);
    let mut derivatives = partials(&x[0]);
    derivatives.push(along(&x[1], &[0.5, -1.0, 2.0]));
    // Places without a value.
    derivatives.extend(elsewhere.iter().map(|x| along(x, &[1.0, -1.0, 0.0])));
    for kernel in [Kernel::Matern52, Kernel::Rbf] {
        let options = GpOptions {
            kernel,
            ..GpOptions::default()
        };
        let gp = DerivativeGp::with_hyperparameters(
            &x,
            &y,
            &derivatives,
            &options,
            hyper(vec![0.7, 0.9, 1.1], 1e-8),
        )
        .unwrap();
        for (x, y) in x.iter().zip(&y) {
            // What a noise of 1e-8 lets it miss.
            assert!(close(gp.predict(x).unwrap().mean, *y, 1e-5));
        }
        for own in &derivatives {
            let p = gp.predict_derivative(&own.x, &own.direction).unwrap();
            assert!(close(p.mean, own.value, 1e-4), "{} {}", p.mean, own.value);
            assert!(p.variance.sqrt() < 1e-2 * gp.outcome().scale);
            // The derivative of the mean is the mean of the derivative.
            let g = gp.predict_with_gradient(&own.x).unwrap().mean;
            let slope: f64 = g.iter().zip(&own.direction).map(|(a, b)| a * b).sum();
            assert!(close(slope, p.mean, 1e-8));
        }
    }
}

#[test]
fn gradients_against_differences() {
    let x = points(7, 3, 6);
    let y: Vec<f64> = x.iter().map(|x| smooth(x)).collect();
    let mut derivatives = partials(&x[2]);
    derivatives.push(along(&[0.2, 0.8, 0.5], &[1.0, 1.0, -2.0]));
    let metric = Gram::new(&[[2.0, 0.5, 0.0], [0.5, 1.0, 0.1], [0.0, 0.1, 0.3]]).unwrap();
    for kernel in [Kernel::Matern52, Kernel::Rbf] {
        for metric in [None, Some(metric.clone())] {
            let lengths = if metric.is_some() { 1 } else { 3 };
            let options = GpOptions {
                kernel,
                metric,
                ..GpOptions::default()
            };
            let gp = DerivativeGp::with_hyperparameters(
                &x,
                &y,
                &derivatives,
                &options,
                hyper(vec![0.8; lengths], 1e-3),
            )
            .unwrap();
            for q in points(5, 3, 7) {
                let g = gp.predict_with_gradient(&q).unwrap();
                assert_eq!(g.posterior, gp.predict(&q).unwrap());
                for i in 0..3 {
                    let h = 1e-5;
                    let at = |step: f64| {
                        let mut x = q.clone();
                        x[i] += step;
                        gp.predict(&x).unwrap()
                    };
                    let (above, below) = (at(h), at(-h));
                    let mean = (above.mean - below.mean) / (2.0 * h);
                    let variance = (above.variance - below.variance) / (2.0 * h);
                    assert!(close(g.mean[i], mean, 1e-6), "{kernel:?} {i}");
                    assert!(close(g.variance[i], variance, 1e-6), "{kernel:?} {i}");
                }
            }
        }
    }
}

/// Root mean square error over the cube.
fn miss(predict: impl Fn(&[f64]) -> f64) -> f64 {
    let queries = points(200, 3, 9);
    let sum: f64 = queries
        .iter()
        .map(|q| (predict(q) - smooth(q)).powi(2))
        .sum();
    (sum / 200.0).sqrt()
}

#[test]
fn with_gradients_a_smooth_function_needs_fewer_points() {
    let x = points(20, 3, 8);
    let y: Vec<f64> = x.iter().map(|x| smooth(x)).collect();
    for kernel in [Kernel::Matern52, Kernel::Rbf] {
        let options = GpOptions {
            kernel,
            ..GpOptions::default()
        };
        let plain = GaussianProcess::fit(&x, &y, &options, None, &mut rng(1)).unwrap();
        let derivatives: Vec<_> = x[..10].iter().flat_map(|x| partials(x)).collect();
        let with = DerivativeGp::fit(
            &x[..10],
            &y[..10],
            &derivatives,
            &options,
            None,
            &mut rng(1),
        )
        .unwrap();
        let plain = miss(|q| plain.predict(q).unwrap().mean);
        let with = miss(|q| with.predict(q).unwrap().mean);
        assert!(with < 0.7 * plain, "{kernel:?}: {with} {plain}");
    }
}

#[test]
fn a_warm_start_and_a_seed_repeat_a_fit() {
    let x = points(8, 3, 8);
    let y: Vec<f64> = x.iter().map(|x| smooth(x)).collect();
    let derivatives: Vec<_> = x.iter().flat_map(|x| partials(x)).collect();
    let options = GpOptions::default();
    let fit = |warm: Option<&DerivativeHyperparameters>| {
        DerivativeGp::fit(&x, &y, &derivatives, &options, warm, &mut rng(1)).unwrap()
    };
    let first = fit(None);
    assert_eq!(first.hyperparameters(), fit(None).hyperparameters());
    let again = fit(Some(first.hyperparameters()));
    // The stopping rule's millionth of a value near 50.
    assert!(again.log_likelihood() > first.log_likelihood() - 0.1);
}

#[test]
fn noisy_derivatives_are_told_from_exact_values() {
    let x = points(12, 3, 8);
    let y: Vec<f64> = x.iter().map(|x| smooth(x)).collect();
    let mut source = rng(3);
    let mut derivatives: Vec<_> = x.iter().flat_map(|x| partials(x)).collect();
    for own in &mut derivatives {
        own.value += 6.0 * (source.random::<f64>() - 0.5);
    }
    let options = GpOptions {
        kernel: Kernel::Rbf,
        ..GpOptions::default()
    };
    let gp = DerivativeGp::fit(&x, &y, &derivatives, &options, None, &mut rng(1)).unwrap();
    let hyper = gp.hyperparameters();
    // Uniform of width 6: a variance of 3, over that of the outcomes; 36 draws
    // tell it to a factor of two.
    let expected = 3.0 / gp.outcome().scale.powi(2);
    let ratio = hyper.derivative_noise / expected;
    assert!((0.4..2.5).contains(&ratio), "{ratio}");
    assert!(hyper.values.noise < 0.01 * hyper.derivative_noise);
}

#[test]
fn on_the_simplex_tangents_suffice() {
    // A function of mixtures that only changes along the simplex is known.
    let mix = |w: &[f64]| (3.0 * w[0]).sin() + w[1] * w[2];
    let slope = |w: &[f64], v: &[f64]| 3.0 * (3.0 * w[0]).cos() * v[0] + v[1] * w[2] + w[1] * v[2];
    let mut source = rng(10);
    let x: Vec<Vec<f64>> = (0..6)
        .map(|_| bomf_bo::sampling::uniform_simplex(3, &mut source))
        .collect();
    let y: Vec<f64> = x.iter().map(|w| mix(w)).collect();
    let derivatives: Vec<DirectionalDerivative> = x
        .iter()
        .flat_map(|w| {
            (0..3).map(move |i| {
                // Towards vertex i: three directions, of which two are free.
                let direction: Vec<f64> =
                    (0..3).map(|j| f64::from(u8::from(i == j)) - w[j]).collect();
                DirectionalDerivative {
                    x: w.clone(),
                    value: slope(w, &direction),
                    direction,
                }
            })
        })
        .collect();
    let options = GpOptions {
        lengthscales: Some(Lengthscales::Isotropic),
        ..GpOptions::default()
    };
    let plain = GaussianProcess::fit(&x, &y, &options, None, &mut rng(1)).unwrap();
    let with = DerivativeGp::fit(&x, &y, &derivatives, &options, None, &mut rng(1)).unwrap();
    let (mut a, mut b) = (0.0, 0.0);
    for _ in 0..100 {
        let q = bomf_bo::sampling::uniform_simplex(3, &mut source);
        a += (plain.predict(&q).unwrap().mean - mix(&q)).powi(2);
        b += (with.predict(&q).unwrap().mean - mix(&q)).powi(2);
    }
    assert!(b < 0.2 * a, "{b} {a}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    /// A direction's length is a unit: it changes no prediction.
    #[test]
    fn the_length_of_a_direction_does_not_matter(seed in 0_u64..1000, length in 0.01_f64..100.0) {
        let x = points(5, 3, seed);
        let y: Vec<f64> = x.iter().map(|x| smooth(x)).collect();
        let direction = &points(1, 3, seed + 1)[0];
        let one = along(&x[0], direction);
        let long = DirectionalDerivative {
            x: one.x.clone(),
            direction: one.direction.iter().map(|v| length * v).collect(),
            value: length * one.value,
        };
        let options = GpOptions::default();
        let predict = |d: &DirectionalDerivative| {
            let hyper = hyper(vec![0.7; 3], 1e-3);
            let d = std::slice::from_ref(d);
            let gp = DerivativeGp::with_hyperparameters(&x, &y, d, &options, hyper).unwrap();
            gp.predict(&[0.3, 0.6, 0.1]).unwrap()
        };
        let (a, b) = (predict(&one), predict(&long));
        prop_assert!(close(b.mean, a.mean, 1e-9) && close(b.variance, a.variance, 1e-9));
    }

    /// A derivative never makes a prediction less certain.
    #[test]
    fn a_derivative_never_adds_variance(seed in 0_u64..1000) {
        let x = points(5, 3, seed);
        let y: Vec<f64> = x.iter().map(|x| smooth(x)).collect();
        let options = GpOptions::default();
        let direction = &points(1, 3, seed + 1)[0];
        let q = &points(1, 3, seed + 2)[0];
        let variance = |d: &[DirectionalDerivative]| {
            let hyper = hyper(vec![0.7; 3], 1e-3);
            let gp = DerivativeGp::with_hyperparameters(&x, &y, d, &options, hyper).unwrap();
            gp.predict(q).unwrap().variance
        };
        prop_assert!(variance(&[along(&x[1], direction)]) <= variance(&[]) * (1.0 + ROUNDING));
    }
}

#[test]
fn data_that_would_upset_a_careless_process() {
    let x = points(4, 3, 1);
    let y: Vec<f64> = x.iter().map(|x| smooth(x)).collect();
    let options = GpOptions::default();
    // One value; the same derivative twice; values that are all equal.
    let twice = vec![partials(&x[0])[1].clone(); 2];
    for (n, derivatives) in [(1, partials(&x[0])), (4, twice)] {
        let gp = DerivativeGp::fit(&x[..n], &y[..n], &derivatives, &options, None, &mut rng(1));
        assert!(gp.unwrap().predict(&x[3]).unwrap().mean.is_finite());
    }
    let flat = DerivativeGp::fit(&x, &[2.0; 4], &partials(&x[0]), &options, None, &mut rng(1));
    assert!(flat.unwrap().predict(&[0.5; 3]).unwrap().variance > 0.0);
}

#[test]
fn what_cannot_be_is_refused() {
    let x = points(4, 3, 1);
    let y: Vec<f64> = x.iter().map(|x| smooth(x)).collect();
    let options = GpOptions::default();
    let build = |x: &[Vec<f64>], y: &[f64], d: &[DirectionalDerivative], hyper| {
        DerivativeGp::with_hyperparameters(x, y, d, &options, hyper).map(|_| ())
    };
    let fine = || hyper(vec![0.7; 3], 1e-3);
    assert_eq!(
        build(&[], &[], &partials(&x[0]), fine()),
        Err(BoError::NoData)
    );
    assert!(matches!(
        build(&x, &y[..3], &[], fine()),
        Err(BoError::Dimension { .. })
    ));
    let mut d = partials(&x[0]);
    d[1].direction = vec![0.0; 3];
    assert_eq!(
        build(&x, &y, &d, fine()),
        Err(BoError::ZeroDirection { index: 1 })
    );
    d[1].direction = vec![1.0; 2];
    assert!(matches!(
        build(&x, &y, &d, fine()),
        Err(BoError::Dimension { .. })
    ));
    d[1].direction = vec![1.0; 3];
    d[2].value = f64::NAN;
    assert!(matches!(
        build(&x, &y, &d, fine()),
        Err(BoError::NotFinite { index: 2, .. })
    ));
    let mut loud = fine();
    loud.derivative_noise = 0.0;
    assert!(matches!(
        build(&x, &y, &[], loud),
        Err(BoError::Option {
            option: "derivative_noise",
            ..
        })
    ));
    assert!(matches!(
        build(&x, &y, &[], hyper(vec![0.7; 2], 1e-3)),
        Err(BoError::Dimension { .. })
    ));
    let gp = DerivativeGp::with_hyperparameters(&x, &y, &[], &options, fine()).unwrap();
    assert!(matches!(gp.predict(&[0.1]), Err(BoError::Dimension { .. })));
    assert!(gp.predict_derivative(&x[0], &[0.0; 3]).is_err());
}
