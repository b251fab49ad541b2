//! Methods that work on statistics: `golden/statistics.py` wrote the golden values.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use bomf_fuse::method::{Inputs, Method, Params, Source, Statistic, Value};
use bomf_fuse::methods::fisher::squared_norm;
use bomf_fuse::{FuseError, Result, registry};
use proptest::prelude::*;
use safetensors::SafeTensors;
use support::in_blocks;

/// What is computed in `f64` on either side is rounded once; solutions of well-conditioned
/// systems of a dozen unknowns have ten digits more than that.
const ROUNDED: f32 = 2.0 * f32::EPSILON;

/// A method's inputs of the form of one weight.
struct Case {
    shape: [usize; 2],
    models: Vec<Vec<f32>>,
    statistics: Vec<Vec<f32>>,
    inputs_first: bool,
}

impl Case {
    fn fuse(&self, method: &str, given: &[(&str, Value)], weights: &[f64]) -> Result<Vec<f32>> {
        let method: &dyn Method = registry::get(method)?;
        let statistics = self.statistics.iter().map(|values| Statistic {
            source: values as &dyn Source,
            inputs_first: self.inputs_first,
            norm: squared_norm(values).sqrt(),
        });
        let inputs = Inputs {
            name: "w",
            shape: &self.shape,
            models: self.models.iter().map(|m| m as &dyn Source).collect(),
            base: None,
            statistics: statistics.collect(),
        };
        let params = Params::new(method.spec(), self.models.len(), |name, model| {
            match (name, model) {
                ("weight", Some(i)) => weights.get(i).map(|w| Value::Number(*w)),
                _ => given.iter().find(|(n, _)| *n == name).map(|(_, v)| *v),
            }
        })?;
        let fuser = method.prepare(&inputs, &params, 0)?;
        Ok(in_blocks(&*fuser, &inputs, &[7]))
    }
}

fn near(out: &[f32], expected: &[f32], what: &str) {
    let scale = expected.iter().fold(0.0f32, |m, x| m.max(x.abs()));
    assert_eq!(out.len(), expected.len());
    for (out, expected) in out.iter().zip(expected) {
        let difference = (out - expected).abs();
        assert!(
            difference <= ROUNDED * scale,
            "{what}: {out} for {expected}"
        );
    }
}

#[test]
fn the_papers_formulas_are_met() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/golden/statistics.safetensors"
    );
    let data = std::fs::read(path).unwrap();
    let golden = SafeTensors::deserialize(&data).unwrap();
    let tensor = |name: String| {
        let bytes = golden.tensor(&name).unwrap().data().as_chunks::<4>().0;
        bytes
            .iter()
            .map(|b| f32::from_le_bytes(*b))
            .collect::<Vec<f32>>()
    };
    let (one, number, flag) = ([1.0; 3], Value::Number, Value::Flag);
    let weights = [0.5, 1.0, 2.0];
    #[expect(clippy::type_complexity, reason = "a table")]
    let cases: [(&str, &str, &[(&str, Value)], &[f64]); 6] = [
        ("fisher", "fisher", &[], &one),
        (
            "fisher",
            "fisher_floor",
            &[("floor", number(1e-2))],
            &weights,
        ),
        (
            "fisher",
            "fisher_normalized",
            &[("normalize", flag(true))],
            &weights,
        ),
        ("regmean", "regmean", &[], &one),
        (
            "regmean",
            "regmean_whole",
            &[("alpha", number(1.0))],
            &weights,
        ),
        (
            "regmean",
            "regmean_diagonal",
            &[("alpha", number(0.0))],
            &one,
        ),
    ];
    for shape in ["wide", "tall", "row"] {
        let dims = golden.tensor(&format!("{shape}.model0")).unwrap();
        for (method, name, given, weights) in cases {
            let kind = if method == "fisher" { "fisher" } else { "gram" };
            let each = |what: &str| {
                (0..3)
                    .map(|i| tensor(format!("{shape}.{what}{i}")))
                    .collect()
            };
            let case = Case {
                shape: [dims.shape()[0], dims.shape()[1]],
                models: each("model"),
                statistics: each(kind),
                inputs_first: false,
            };
            let out = case.fuse(method, given, weights).unwrap();
            near(
                &out,
                &tensor(format!("{shape}.{name}")),
                &format!("{shape}.{name}"),
            );
        }
    }
}

/// The transpose of `[rows, columns]`.
fn transposed(x: &[f32], [rows, columns]: [usize; 2]) -> Vec<f32> {
    (0..rows * columns)
        .map(|i| x[(i % rows) * columns + i / rows])
        .collect()
}

fn random(len: usize, seed: u64) -> Vec<f32> {
    support::Tensors::random(&[len], 0, seed).base
}

/// `X'X` and `X` of random rows.
fn gram(rows: usize, columns: usize, seed: u64) -> Vec<f32> {
    let x = random(rows * columns, seed);
    let dot = |i: usize, j: usize| -> f32 { x.chunks(columns).map(|row| row[i] * row[j]).sum() };
    (0..columns * columns)
        .map(|k| dot(k / columns, k % columns))
        .collect()
}

#[test]
fn a_weight_stored_the_other_way_round_gives_the_same_layer() {
    let shape = [70, 6];
    let models = [random(420, 1), random(420, 2)];
    let statistics = vec![gram(20, 6, 3), gram(20, 6, 4)];
    let plain = Case {
        shape,
        models: models.to_vec(),
        statistics: statistics.clone(),
        inputs_first: false,
    };
    let turned = Case {
        shape: [6, 70],
        models: models.iter().map(|m| transposed(m, shape)).collect(),
        statistics,
        inputs_first: true,
    };
    let a = plain.fuse("regmean", &[], &[]).unwrap();
    let b = turned.fuse("regmean", &[], &[]).unwrap();
    assert_eq!(transposed(&a, shape), b);
}

#[test]
fn an_input_that_was_never_seen_is_averaged() {
    let mut statistics = vec![gram(20, 4, 3), gram(20, 4, 4)];
    for gram in &mut statistics {
        for k in 0..4 {
            gram[2 * 4 + k] = 0.0;
            gram[k * 4 + 2] = 0.0;
        }
    }
    let case = Case {
        shape: [3, 4],
        models: vec![random(12, 1), random(12, 2)],
        statistics,
        inputs_first: false,
    };
    let out = case.fuse("regmean", &[], &[1.0, 3.0]).unwrap();
    for row in 0..3 {
        let i = row * 4 + 2;
        let mean = 0.25 * case.models[0][i] + 0.75 * case.models[1][i];
        assert!((out[i] - mean).abs() <= ROUNDED);
    }
}

#[test]
fn too_few_inputs_for_the_whole_matrix_are_refused_and_a_lower_alpha_mends_it() {
    // Three rows of inputs in all for eight weights an output.
    let case = Case {
        shape: [2, 8],
        models: vec![random(16, 1), random(16, 2)],
        statistics: vec![gram(2, 8, 3), gram(1, 8, 4)],
        inputs_first: false,
    };
    let error = case
        .fuse("regmean", &[("alpha", Value::Number(1.0))], &[])
        .unwrap_err();
    assert!(matches!(error, FuseError::Unsolvable { .. }), "{error}");
    assert!(error.hint().unwrap().contains("lower `alpha`"));
    assert!(case.fuse("regmean", &[], &[]).is_ok());
}

#[test]
fn damaged_gram_matrices_are_refused() {
    for damage in [f32::NAN, f32::INFINITY, -1.0] {
        let mut case = Case {
            shape: [2, 3],
            models: vec![random(6, 1), random(6, 2)],
            statistics: vec![gram(9, 3, 3), gram(9, 3, 4)],
            inputs_first: false,
        };
        case.statistics[1][4] = damage * 100.0;
        let error = case.fuse("regmean", &[], &[]).unwrap_err();
        assert!(
            matches!(error, FuseError::Unsolvable { .. }),
            "{damage}: {error}"
        );
        case.statistics[1].pop();
        let error = case.fuse("regmean", &[], &[]).unwrap_err();
        let is_it = matches!(
            error,
            FuseError::StatisticLength {
                model: 1,
                expected: 9,
                found: 8,
                ..
            }
        );
        assert!(is_it, "{error}");
    }
}

#[test]
fn elements_of_which_nothing_is_known_are_averaged() {
    let mut case = Case {
        shape: [1, 3],
        models: vec![vec![1.0, 2.0, 3.0], vec![5.0, 6.0, 7.0]],
        statistics: vec![vec![0.0, 1.0, 0.0], vec![0.0, 1.0, 2.0]],
        inputs_first: false,
    };
    let zero = [("floor", Value::Number(0.0))];
    assert_eq!(
        case.fuse("fisher", &zero, &[1.0, 3.0]).unwrap(),
        [4.0, 5.0, 7.0]
    );
    // A model without any information, with a norm of zero, has the floor alone.
    case.statistics[0].fill(0.0);
    let normal = [("normalize", Value::Flag(true)), zero[0]];
    assert_eq!(
        case.fuse("fisher", &normal, &[1.0, 3.0]).unwrap(),
        [4.0, 6.0, 7.0]
    );
    let error = case.fuse("fisher", &zero, &[0.0, 0.0]).unwrap_err();
    assert!(matches!(error, FuseError::ZeroWeights { .. }));
}

#[test]
fn nan_in_fisher_information_is_seen_in_its_element() {
    let case = Case {
        shape: [1, 2],
        models: vec![vec![1.0, 2.0], vec![5.0, 6.0]],
        statistics: vec![vec![f32::NAN, 1.0], vec![1.0, 1.0]],
        inputs_first: false,
    };
    let out = case.fuse("fisher", &[], &[]).unwrap();
    assert!(out[0].is_nan());
    assert_eq!(out[1], 4.0);
}

proptest! {
    /// An average lies between what it is an average of.
    #[test]
    fn fisher_weighting_stays_within_the_models(
        models in prop::collection::vec(prop::collection::vec(-1e3f32..1e3, 6), 1..5),
        seed: u64,
    ) {
        let n = models.len();
        let statistics = (0..n as u64).map(|i| {
            random(6, seed.wrapping_add(i)).iter().map(|x| x * x).collect()
        });
        let case = Case { shape: [2, 3], statistics: statistics.collect(), models, inputs_first: false };
        let out = case.fuse("fisher", &[], &[]).unwrap();
        for (k, out) in out.iter().enumerate() {
            let of = case.models.iter().map(|m| m[k]);
            let low = of.clone().fold(f32::INFINITY, f32::min);
            let high = of.fold(f32::NEG_INFINITY, f32::max);
            // Rounded to the nearest once, from f64.
            let slack = f32::EPSILON * low.abs().max(high.abs());
            prop_assert!(low - slack <= *out && *out <= high + slack, "{out} of {low} to {high}");
        }
    }
}
