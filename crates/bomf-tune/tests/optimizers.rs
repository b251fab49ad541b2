//! Stochastic gradient descent and Adafactor against torch and transformers: see
//! `golden/optimizers.py`, which made the values; and what they hold in general.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use bomf_tune::optim::{
    Adafactor, AdafactorOptions, AdamWOptions, Optimizer, OptimizerOptions, Sgd, SgdOptions,
};
use bomf_tune::params::{Init, Layout};
use bomf_tune::tape::Gradients;
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use serde_json::Value;
use std::path::Path;

/// Rounding of ten steps in `f32`, on parameters of about 1.
const TOLERANCE: f32 = 2e-6;

fn layout() -> Layout {
    let mut layout = Layout::default();
    layout.matrix("first.weight", 4, 5, 0.1);
    layout.vector("first.bias", 4, Init::Zeros);
    layout.matrix("second.weight", 2, 4, 0.1);
    layout.table("table.weight", 3, 4, 0.1);
    layout
}

fn floats(value: &Value) -> Vec<f32> {
    let values = value.as_array().unwrap().iter();
    values.map(|v| v.as_f64().unwrap() as f32).collect()
}

fn check(name: &str, options: impl Fn(&Value) -> OptimizerOptions) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/optimizers.json");
    let golden: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let case = &golden["cases"][name];
    let mut params = floats(&golden["start"]);
    let mut optimizer = Optimizer::new(&layout(), 0, options(case));
    let lr = golden["lr"].as_f64().unwrap();
    let norms = floats(&case["norms"]);
    for (step, gradient) in golden["gradients"].as_array().unwrap().iter().enumerate() {
        let values = floats(gradient);
        let gradients = Gradients { first: 0, values };
        let lr = lr * (step as f64 / 2.0).min(1.0);
        let norm = optimizer.step(&mut params, &gradients, 1.0, lr) as f32;
        assert!((norm - norms[step]).abs() <= 1e-6 * norm, "norm at {step}");
        for (i, (p, want)) in params.iter().zip(floats(&case["after"][step])).enumerate() {
            let difference = (p - want).abs();
            assert!(
                difference <= TOLERANCE * want.abs().max(1.0),
                "{name}, step {step}: parameter {i} is {p}, not {want}"
            );
        }
    }
}

fn sgd(case: &Value) -> OptimizerOptions {
    SgdOptions {
        momentum: case["momentum"].as_f64().unwrap(),
        nesterov: case["nesterov"].as_bool().unwrap_or(false),
        weight_decay: case["weight_decay"].as_f64().unwrap(),
        max_grad_norm: 1.0,
    }
    .into()
}

fn adafactor(case: &Value) -> OptimizerOptions {
    AdafactorOptions {
        weight_decay: case["weight_decay"].as_f64().unwrap(),
        ..AdafactorOptions::default()
    }
    .into()
}

#[test]
fn gradient_descent_agrees_with_torch() {
    check("sgd", sgd);
    check("sgd_momentum", sgd);
    check("sgd_nesterov", sgd);
}

#[test]
fn adafactor_agrees_with_transformers() {
    check("adafactor", adafactor);
    check("adafactor_without_decay", adafactor);
}

fn normal(count: usize, seed: u64) -> Vec<f32> {
    let rng = ChaCha8Rng::seed_from_u64(seed);
    StandardNormal.sample_iter(rng).take(count).collect()
}

fn all() -> [OptimizerOptions; 5] {
    let momentum = |momentum| SgdOptions {
        momentum,
        nesterov: momentum > 0.5,
        weight_decay: 0.1,
        max_grad_norm: 1.0,
    };
    [
        AdamWOptions::default().into(),
        adafactor(&serde_json::json!({"weight_decay": 0.1})),
        momentum(0.0).into(),
        momentum(0.5).into(),
        momentum(0.9).into(),
    ]
}

/// Only the tail from `first` on moves, and as it does by itself.
#[test]
fn frozen_parameters_stay() {
    let layout = layout();
    let first = layout.get("second.weight").unwrap().param.offset;
    for options in all() {
        let start = normal(layout.len(), 1);
        let (mut frozen, mut whole) = (start.clone(), start.clone());
        let values = normal(layout.len() - first, 2);
        let mut padded = vec![0.0; first];
        padded.extend_from_slice(&values);
        let tail = Gradients { first, values };
        let all = Gradients {
            first: 0,
            values: padded,
        };
        Optimizer::new(&layout, first, options).step(&mut frozen, &tail, 1.0, 0.1);
        Optimizer::new(&layout, 0, options).step(&mut whole, &all, 1.0, 0.1);
        assert_eq!(frozen[..first], start[..first]);
        assert_eq!(frozen[first..], whole[first..], "{options:?}");
        assert_ne!(frozen[first..], start[first..]);
    }
}

#[test]
fn a_gradient_that_is_not_finite_changes_nothing() {
    let layout = layout();
    for options in all() {
        let run = |broken: &[f32]| {
            let mut params = normal(layout.len(), 1);
            let mut optimizer = Optimizer::new(&layout, 0, options);
            for bad in broken {
                let mut values = normal(layout.len(), 3);
                values[7] = *bad;
                let before = params.clone();
                let norm = optimizer.step(&mut params, &Gradients { first: 0, values }, 1.0, 0.1);
                assert!(!norm.is_finite() && params == before);
            }
            let values = normal(layout.len(), 4);
            optimizer.step(&mut params, &Gradients { first: 0, values }, 1.0, 0.1);
            params
        };
        assert_eq!(run(&[f32::NAN, f32::INFINITY]), run(&[]), "{options:?}");
    }
}

/// Without any gradient there is the decay, and no division by nothing.
#[test]
fn a_gradient_of_zeros_leaves_the_decay() {
    let layout = layout();
    for options in all() {
        let start = normal(layout.len(), 1);
        let mut params = start.clone();
        let gradients = Gradients::zeros(0, layout.len());
        let mut optimizer = Optimizer::new(&layout, 0, options);
        for _ in 0..3 {
            optimizer.step(&mut params, &gradients, 1.0, 0.1);
        }
        for (_, entry) in layout.entries() {
            let (p, s) = (entry.param.of(&params), entry.param.of(&start));
            let shrunk = p
                .iter()
                .zip(s)
                .all(|(p, s)| p.abs() < s.abs() && p * s > 0.0);
            assert!(if entry.decays() { shrunk } else { p == s }, "{options:?}");
        }
    }
}

/// Without decay, each tensor's step is no longer than the learning rate, in root mean square.
#[test]
fn updates_of_adafactor_are_bounded() {
    let layout = layout();
    for seed in 0..50 {
        let mut params = vec![0.0; layout.len()];
        let options = AdafactorOptions {
            max_grad_norm: f64::INFINITY,
            ..Default::default()
        };
        let mut optimizer = Adafactor::new(&layout, 0, options);
        for step in 0..5 {
            let before = params.clone();
            let size = 10f32.powi((seed % 9) as i32 - 4 + step);
            let values = normal(layout.len(), 100 * seed + step as u64);
            let values = values.iter().map(|g| g * size).collect();
            optimizer.step(&mut params, &Gradients { first: 0, values }, 1.0, 0.1);
            for (_, entry) in layout.entries() {
                let (p, b) = (entry.param.of(&params), entry.param.of(&before));
                let squares: f32 = p.iter().zip(b).map(|(p, b)| (p - b).powi(2)).sum();
                let rms = (squares / p.len() as f32).sqrt();
                assert!(rms <= 0.1 * (1.0 + 1e-4), "{rms}");
            }
        }
    }
}

#[test]
fn momentum_carries_a_step_on() {
    let layout = layout();
    let options = SgdOptions {
        weight_decay: 0.0,
        ..SgdOptions::default()
    };
    let mut optimizer = Sgd::new(&layout, 0, options);
    let mut params = vec![0.0; layout.len()];
    let mut gradients = Gradients::zeros(0, layout.len());
    gradients.values[0] = 1.0;
    optimizer.step(&mut params, &gradients, 1.0, 0.5);
    gradients.values[0] = 0.0;
    optimizer.step(&mut params, &gradients, 1.0, 0.5);
    // 0.5 and then 0.9 of it.
    assert!((params[0] + 0.95).abs() < 1e-6, "{}", params[0]);
}

proptest! {
    // Thread pools and large matrices: fewer cases.
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Sums are over fixed pieces.
    #[test]
    fn a_step_is_the_same_on_any_number_of_threads(
        seed in 0u64..1000, rows in 1usize..700, cols in 1usize..700,
    ) {
        let mut layout = Layout::default();
        layout.vector("bias", cols, Init::Zeros);
        layout.matrix("weight", rows, cols, 0.1);
        let (start, values) = (normal(layout.len(), seed), normal(layout.len(), seed + 1));
        for options in all() {
            let run = |threads: usize| {
                let (mut params, values) = (start.clone(), values.clone());
                let gradients = Gradients { first: 0, values };
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| {
                    let mut optimizer = Optimizer::new(&layout, 0, options);
                    for _ in 0..2 {
                        optimizer.step(&mut params, &gradients, 0.5, 0.1);
                    }
                });
                params
            };
            prop_assert_eq!(run(1), run(3));
        }
    }
}
