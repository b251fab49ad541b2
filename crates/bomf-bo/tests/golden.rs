//! Models and acquisition functions against BoTorch (`golden/bo.py`).

#![allow(clippy::unwrap_used)]

use bomf_bo::Acquisition;
use bomf_bo::acquisition::analytic::{LogEhvi, LogEi};
use bomf_bo::models::{GaussianProcess, GpOptions, Hyperparameters, Lengthscales};
use serde_json::Value;

/// Two correct double-precision computations agree to this: kernel matrices
/// have condition numbers up to 1e6, of 16 digits.
const AGREEMENT: f64 = 1e-8;

fn cases(list: &str) -> Vec<Value> {
    let golden: Value = serde_json::from_str(include_str!("golden/bo.json")).unwrap();
    let cases = golden[list].as_array().unwrap().clone();
    assert!(!cases.is_empty());
    cases
}

/// `inputs` of the script.
fn inputs(seed: u64, n: usize, d: usize) -> Vec<Vec<f64>> {
    let mut state = seed;
    let mut uniform = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    (0..n)
        .map(|_| (0..d).map(|_| uniform()).collect())
        .collect()
}

/// `outcome` of the script.
fn outcome(x: &[f64], j: usize) -> f64 {
    let peak = 0.2 + 0.2 * j as f64;
    let mut total = 3.0 + j as f64;
    for v in x {
        total -= (v - peak) * (v - peak);
    }
    total + 4.0 * (x[0] - 0.1) * (x[0] - 0.5) * (x[0] - 0.9)
}

fn number(v: &Value) -> f64 {
    v.as_f64().unwrap()
}

fn numbers(v: &Value) -> Vec<f64> {
    serde_json::from_value(v.clone()).unwrap()
}

fn whole(v: &Value) -> usize {
    v.as_u64().unwrap() as usize
}

fn data(case: &Value) -> Vec<Vec<f64>> {
    let seed = case["seed"].as_u64().unwrap();
    inputs(seed, whole(&case["n"]), whole(&case["d"]))
}

fn process(case: &Value, j: usize) -> GaussianProcess {
    let x = data(case);
    let y: Vec<f64> = x.iter().map(|x| outcome(x, j)).collect();
    let lengthscales = numbers(&case["lengthscales"]);
    let options = GpOptions {
        kernel: serde_json::from_value(case["kernel"].clone()).unwrap(),
        lengthscales: Some(if lengthscales.len() == 1 {
            Lengthscales::Isotropic
        } else {
            Lengthscales::PerDimension
        }),
        ..GpOptions::default()
    };
    let hyper = Hyperparameters {
        lengthscales,
        outputscale: number(&case["outputscale"]),
        noise: number(&case["noise"]),
        mean: number(&case["mean"]),
    };
    GaussianProcess::with_hyperparameters(&x, &y, &options, hyper).unwrap()
}

/// Agreement relative to the size of the expected value.
fn assert_close(found: f64, expected: f64, what: &str, case: &Value) {
    let gap = (found - expected).abs() / expected.abs();
    assert!(
        gap < AGREEMENT,
        "{what}: {found}, not {expected} ({gap:e}): {case}"
    );
}

/// Values and gradients at `queries`; a gradient's coordinates relative to its
/// length.
fn check(acquisition: &dyn Acquisition, queries: &[Vec<f64>], case: &Value) {
    let values = numbers(&case["values"]);
    let gradients: Vec<Vec<f64>> = serde_json::from_value(case["gradients"].clone()).unwrap();
    assert_eq!(values.len(), queries.len());
    let batch = acquisition.values(queries).unwrap();
    for (i, x) in queries.iter().enumerate() {
        let mut gradient = vec![0.0; x.len()];
        let value = acquisition.value_and_gradient(x, &mut gradient).unwrap();
        assert_close(batch[i], values[i], "value in a batch", case);
        assert_close(value, values[i], "value", case);
        let length = gradients[i].iter().map(|g| g * g).sum::<f64>().sqrt();
        for (found, expected) in gradient.iter().zip(&gradients[i]) {
            let gap = (found - expected).abs() / length;
            assert!(
                gap < AGREEMENT,
                "gradient: {found}, not {expected} ({gap:e}): {case}"
            );
        }
    }
}

#[test]
fn processes() {
    for case in cases("processes") {
        let gp = process(&case, 0);
        assert_close(
            gp.log_likelihood(),
            number(&case["log_likelihood"]),
            "log likelihood",
            &case,
        );
        let seed = case["seed"].as_u64().unwrap();
        let queries = inputs(seed + 500, 3, whole(&case["d"]));
        let (means, variances) = (
            numbers(&case["posterior_mean"]),
            numbers(&case["posterior_variance"]),
        );
        let batch = gp.predict_batch(&queries).unwrap();
        for (i, x) in queries.iter().enumerate() {
            for p in [gp.predict(x).unwrap(), batch[i]] {
                assert_close(p.mean, means[i], "mean", &case);
                assert_close(p.variance, variances[i], "variance", &case);
            }
        }
    }
}

#[test]
fn log_expected_improvement() {
    for case in cases("improvements") {
        let gp = process(&case, 0);
        let acquisition = LogEi::new(&gp, number(&case["best"]));
        check(&acquisition, &inputs(531, 3, 3), &case);
    }
}

#[test]
fn log_expected_hypervolume_improvement() {
    for case in cases("hypervolume_improvements") {
        let m = whole(&case["m"]);
        let models: Vec<GaussianProcess> = (0..m).map(|j| process(&case, j)).collect();
        let front: Vec<Vec<f64>> = data(&case)
            .iter()
            .map(|x| (0..m).map(|j| outcome(x, j)).collect())
            .collect();
        let acquisition = LogEhvi::new(&models, &front, &numbers(&case["ref_point"])).unwrap();
        let all = inputs(540 + m as u64, 100, 3);
        let kept: Vec<usize> = serde_json::from_value(case["queries"].clone()).unwrap();
        let queries: Vec<Vec<f64>> = kept.iter().map(|i| all[*i].clone()).collect();
        check(&acquisition, &queries, &case);
    }
}
