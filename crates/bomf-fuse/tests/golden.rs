//! The methods against mergekit's own functions: `golden/methods.py` wrote the values.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use bomf_fuse::method::{Method, Params, Value};
use bomf_fuse::registry;
use safetensors::SafeTensors;
use serde_json::Value as Json;
use support::{Tensors, fuse};

/// One rounding step of `f32`, at the magnitude of the greatest number that went into the element:
/// what the last digit of a sum is worth.
const STEP: f32 = f32::EPSILON;

/// Where PyTorch joins products and sums (`addcmul`) or divides by way of the reciprocal, it rounds
/// elsewhere than we do.
const JOINED: f32 = 2.0 * STEP;

/// Methods with sums over the whole tensor, which mergekit runs in `f32` and in another order:
/// their coefficients differ by the rounding of these sums.
const SUMS: f32 = 8.0 * STEP;

struct Golden {
    data: Vec<u8>,
    index: Json,
}

impl Golden {
    fn read() -> Self {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/");
        let index = std::fs::read_to_string(format!("{folder}methods.json")).unwrap();
        Self {
            data: std::fs::read(format!("{folder}methods.safetensors")).unwrap(),
            index: serde_json::from_str(&index).unwrap(),
        }
    }

    fn tensor(&self, name: &str) -> Vec<f32> {
        let tensors = SafeTensors::deserialize(&self.data).unwrap();
        let tensor = tensors.tensor(name).unwrap();
        let bytes = tensor.data().as_chunks::<4>().0;
        bytes.iter().map(|b| f32::from_le_bytes(*b)).collect()
    }

    fn inputs(&self, shape: &str, case: &Json) -> Tensors {
        let dims = self.index["shapes"][shape].as_array().unwrap();
        let models = case["models"].as_u64().unwrap();
        Tensors {
            shape: dims.iter().map(|d| d.as_u64().unwrap() as usize).collect(),
            base: self.tensor(&format!("{shape}.base")),
            models: (0..models)
                .map(|i| self.tensor(&format!("{shape}.model{i}")))
                .collect(),
            optional_base: case["base"].as_bool().unwrap(),
        }
    }

    fn shapes(&self) -> impl Iterator<Item = &str> {
        self.index["shapes"]
            .as_object()
            .unwrap()
            .keys()
            .map(|k| &k[..])
    }
}

fn method(case: &Json) -> &'static dyn Method {
    registry::get(case["method"].as_str().unwrap()).unwrap()
}

/// The case's parameters, by the names that mergekit gives them.
fn params(case: &Json) -> Params {
    let spec = method(case).spec();
    let given = case["parameters"].as_object().unwrap();
    let known = |name: &str| spec.params.iter().any(|p| p.name == name);
    assert!(given.keys().all(|name| known(name)), "{given:?}");
    let models = case["models"].as_u64().unwrap() as usize;
    Params::new(spec, models, |name, model| {
        let value = match (given.get(name)?, model) {
            (Json::Array(values), Some(i)) => &values[i],
            (value, _) => value,
        };
        Some(match value {
            Json::Bool(flag) => Value::Flag(*flag),
            number => Value::Number(number.as_f64().unwrap()),
        })
    })
    .unwrap()
}

fn tolerance(case: &str) -> f32 {
    match case {
        _ if case.starts_with("linear") => JOINED,
        "nearswap" => JOINED,
        "ties_rescaled" | "sce" | "sce_whole" | "karcher" | "karcher_two_steps" => SUMS,
        _ if case.contains("slerp") || case.starts_with("model_stock") => SUMS,
        // The same operations in the same order.
        _ => 0.0,
    }
}

#[test]
fn every_method_gives_what_mergekit_gives() {
    let golden = Golden::read();
    for case in golden.index["cases"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        for shape in golden.shapes() {
            let tensors = golden.inputs(shape, case);
            let out = fuse(method(case), &tensors, &params(case), 0).unwrap();
            let expected = golden.tensor(&format!("{shape}.{name}"));
            assert_eq!(out.len(), expected.len());
            let mut worst = 0.0f32;
            for (i, (out, expected)) in out.iter().zip(&expected).enumerate() {
                let inputs = tensors.models.iter().chain([&tensors.base]);
                let scale = inputs.map(|t| t[i].abs()).fold(expected.abs(), f32::max);
                worst = worst.max((out - expected).abs() / scale);
            }
            let tolerance = tolerance(name);
            assert!(
                worst <= tolerance,
                "{shape}.{name}: {worst:e} > {tolerance:e}"
            );
        }
    }
}

/// The seeds of the random methods' draws here.
const SEEDS: u64 = 4000;

/// Standard errors by which two means may differ: of a thousand elements, the draws being fixed.
const ERRORS: f64 = 5.5;

#[test]
fn random_methods_have_mergekits_mean_and_sparsity() {
    let golden = Golden::read();
    let draws = golden.index["draws"].as_u64().unwrap();
    for case in golden.index["random"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        for shape in case["changed"].as_object().unwrap().keys() {
            let tensors = golden.inputs(shape, case);
            let params = params(case);
            let mean = golden.tensor(&format!("{shape}.{name}.mean"));
            let std = golden.tensor(&format!("{shape}.{name}.std"));
            let mut sums = vec![0.0f64; mean.len()];
            let mut changed = 0;
            for seed in 0..SEEDS {
                let out = fuse(method(case), &tensors, &params, seed).unwrap();
                for ((sum, out), base) in sums.iter_mut().zip(&out).zip(&tensors.base) {
                    *sum += f64::from(*out);
                    changed += usize::from(out != base);
                }
            }
            let per_draw = (1.0 / SEEDS as f64 + 1.0 / draws as f64).sqrt();
            for (i, sum) in sums.iter().enumerate() {
                let difference = (sum / SEEDS as f64 - f64::from(mean[i])).abs();
                // An element that is always the same still has the rounding of its mean.
                let bound = ERRORS * f64::from(std[i]) * per_draw + 1e-6;
                assert!(
                    difference <= bound,
                    "{shape}.{name}[{i}]: {difference} > {bound}"
                );
            }
            let share = changed as f64 / (SEEDS as usize * mean.len()) as f64;
            let expected = case["changed"][shape].as_f64().unwrap();
            let deviation = (expected * (1.0 - expected) / mean.len() as f64).sqrt();
            let bound = ERRORS * deviation * per_draw;
            assert!(
                (share - expected).abs() <= bound,
                "{shape}.{name}: {share} for {expected}"
            );
        }
    }
}
