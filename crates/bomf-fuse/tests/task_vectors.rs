//! The family of task vectors: what is kept, who has a say, what is made up for.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use bomf_fuse::method::{Method, Params, Value};
use bomf_fuse::{FuseError, registry};
use support::{Tensors, bits, fuse, params_with};

fn get(name: &str) -> &'static dyn Method {
    registry::get(name).unwrap()
}

fn numbers(name: &str, models: usize, given: &[(&str, f64)]) -> Params {
    params_with(get(name), models, |name, _| {
        let number = given.iter().find(|(n, _)| *n == name);
        number.map(|(_, value)| Value::Number(*value))
    })
}

/// With a flag set, beside numbers.
fn with_flag(name: &str, models: usize, flag: (&str, bool), given: &[(&str, f64)]) -> Params {
    params_with(get(name), models, |name, _| {
        if name == flag.0 {
            return Some(Value::Flag(flag.1));
        }
        let number = given.iter().find(|(n, _)| *n == name);
        number.map(|(_, value)| Value::Number(*value))
    })
}

fn tensors(base: &[f32], models: &[&[f32]]) -> Tensors {
    Tensors {
        shape: vec![base.len()],
        base: base.to_vec(),
        models: models.iter().map(|m| m.to_vec()).collect(),
        optional_base: true,
    }
}

#[test]
fn ties_by_hand() {
    let base = [1.0; 6];
    let a = [3.0, 0.0, 1.5, 1.0, 5.0, 1.25];
    let b = [2.0, 4.0, 0.0, 1.0, -3.0, 1.0];
    // Kept are 2, -1 and 4 of a; of b 3, -4 and, of two differences of one, the first: 1. The sums
    // are 3, 2, 0, 0, 0, 0; a sum of zero is positive.
    let params = numbers(
        "ties",
        2,
        &[("weight", 1.0), ("density", 0.5), ("lambda", 1.0)],
    );
    let out = fuse(get("ties"), &tensors(&base, &[&a, &b]), &params, 0).unwrap();
    assert_eq!(out, [2.5, 4.0, 1.0, 1.0, 5.0, 1.0]);
}

#[test]
fn the_density_is_met_to_the_element_whatever_the_ties() {
    let base = vec![0.0; 5000];
    // Magnitudes in three values.
    let model: Vec<f32> = (0..5000)
        .map(|i| [1.0, -2.0, 2.0, 3.0, -1.0][i % 5])
        .collect();
    let tensors = tensors(&base, &[&model]);
    for density in [0.0001, 0.1, 0.3333, 0.6, 0.95] {
        let given = [
            ("weight", 1.0),
            ("density", density),
            ("gamma", 0.25),
            ("lambda", 1.0),
        ];
        let kept = |name| {
            let out = fuse(get(name), &tensors, &numbers(name, 1, &given), 0).unwrap();
            for (out, model) in out.iter().zip(&model) {
                assert!(*out == 0.0 || out == model);
            }
            out
        };
        let count = |out: &[f32]| out.iter().filter(|x| **x != 0.0).count();
        let ties = kept("ties");
        let expected = ((density * 5000.0) as usize).max(1);
        assert_eq!(count(&ties), expected);
        let crumbs = kept("breadcrumbs");
        assert_eq!(count(&crumbs), (density * 5000.0) as usize);
        // Up to 1250 of the greatest are left out, but no more than leaves enough.
        let left_out = 1250.min(5000 - (density * 5000.0) as usize);
        let greatest = crumbs.iter().filter(|x| x.abs() == 3.0).count();
        assert_eq!(greatest, 1000usize.saturating_sub(left_out));
        // The first of equal ones are kept.
        let last = ties.iter().rposition(|x| *x != 0.0).unwrap();
        let least = ties[last].abs();
        let before = model[..last]
            .iter()
            .zip(&ties)
            .filter(|(m, _)| m.abs() == least);
        assert!(before.into_iter().all(|(m, kept)| m == kept));
    }
}

#[test]
fn density_one_is_plain_task_arithmetic() {
    let tensors = Tensors::random(&[30, 41], 3, 4);
    let plain = numbers("task_arithmetic", 3, &[]);
    let plain = fuse(get("task_arithmetic"), &tensors, &plain, 0).unwrap();
    for name in ["dare_linear", "della_linear", "breadcrumbs"] {
        let params = numbers(name, 3, &[("density", 1.0)]);
        let out = fuse(get(name), &tensors, &params, 0).unwrap();
        assert_eq!(bits(&out), bits(&plain), "{name}");
    }
    // One model always agrees with itself.
    let mut alone = tensors.clone();
    alone.models.truncate(1);
    let plain = numbers("task_arithmetic", 1, &[]);
    let plain = fuse(get("task_arithmetic"), &alone, &plain, 0).unwrap();
    for name in ["dare_ties", "breadcrumbs_ties"] {
        let params = numbers(name, 1, &[("density", 1.0)]);
        let out = fuse(get(name), &alone, &params, 0).unwrap();
        assert_eq!(bits(&out), bits(&plain), "{name}");
    }
}

#[test]
fn density_zero_leaves_a_model_out() {
    let mut tensors = Tensors::random(&[6, 7], 2, 4);
    tensors.models[0][3] = f32::NAN;
    for name in ["ties", "dare_linear", "dare_ties", "della", "breadcrumbs"] {
        let params = params_with(get(name), 2, |name, model| match (name, model) {
            ("density", Some(0)) => Some(Value::Number(0.0)),
            ("density", _) => Some(Value::Number(1.0)),
            ("weight", _) => Some(Value::Number(0.5)),
            ("lambda", _) => Some(Value::Number(1.0)),
            ("normalize", _) => Some(Value::Flag(false)),
            _ => None,
        });
        let out = fuse(get(name), &tensors, &params, 0).unwrap();
        for ((out, base), model) in out.iter().zip(&tensors.base).zip(&tensors.models[1]) {
            assert_eq!(*out, base + 0.5 * (model - base), "{name}");
        }
    }
}

#[test]
fn two_models_in_either_order_give_the_same_bits() {
    let tensors = Tensors::random(&[20, 33], 2, 9);
    let mut turned = tensors.clone();
    turned.models.reverse();
    let names = [
        "linear",
        "task_arithmetic",
        "ties",
        "breadcrumbs",
        "breadcrumbs_ties",
        "ram",
        "model_stock",
        "sce",
    ];
    for name in names {
        let params = numbers(name, 2, &[("weight", 0.75), ("density", 0.4)]);
        let out = fuse(get(name), &tensors, &params, 0).unwrap();
        let other = fuse(get(name), &turned, &params, 0).unwrap();
        assert_eq!(bits(&out), bits(&other), "{name}");
    }
}

/// Standard deviations by which a share of independent draws may be off: the draws are fixed, so
/// that a test holds always or never.
const DEVIATIONS: f64 = 5.0;

#[test]
fn rescaling_keeps_the_sum_of_magnitudes() {
    // The sum of as many rounded products.
    const ROUNDING: f64 = 1e-6;
    let tensors = Tensors::random(&[50, 400], 1, 3);
    let sum = |out: &[f32]| -> f64 {
        let pairs = out.iter().zip(&tensors.base);
        pairs.map(|(x, base)| f64::from((x - base).abs())).sum()
    };
    let whole = sum(&tensors.models[0]);
    for name in ["ties", "dare_linear", "della_linear", "breadcrumbs"] {
        let given = [("weight", 1.0), ("density", 0.4), ("lambda", 1.0)];
        let params = with_flag(name, 1, ("rescale", true), &given);
        let mut at_zero = tensors.clone();
        at_zero.base.fill(0.0);
        at_zero.models[0] = tensors.models[0]
            .iter()
            .zip(&tensors.base)
            .map(|(x, b)| x - b)
            .collect();
        let out = fuse(get(name), &at_zero, &params, 5).unwrap();
        let out: Vec<f32> = out.iter().zip(&tensors.base).map(|(d, b)| d + b).collect();
        let ratio = sum(&out) / whole;
        assert!((ratio - 1.0).abs() < ROUNDING, "{name}: {ratio}");
    }
}

#[test]
fn dare_keeps_each_element_with_its_density() {
    let tensors = Tensors::random(&[100, 1000], 1, 3);
    for density in [0.05, 0.5, 0.9] {
        let given = [("weight", 1.0), ("density", density), ("lambda", 1.0)];
        let params = with_flag("dare_linear", 1, ("rescale", false), &given);
        let out = fuse(get("dare_linear"), &tensors, &params, 11).unwrap();
        let kept = out
            .iter()
            .zip(&tensors.base)
            .filter(|(x, base)| x != base)
            .count();
        let (share, n) = (kept as f64 / 1e5, 1e5);
        let deviation = (density * (1.0 - density) / n).sqrt();
        assert!(
            (share - density).abs() < DEVIATIONS * deviation,
            "{share} for {density}"
        );
    }
}

/// The share that DELLA keeps in each tenth of the ranks in a row, over `rows` of them.
fn kept_by_rank(tensors: &Tensors, row: usize, strided: usize, seeds: u64) -> [f64; 10] {
    let given = [
        ("weight", 1.0),
        ("density", 0.5),
        ("epsilon", 0.4),
        ("lambda", 1.0),
    ];
    let params = with_flag("della_linear", 1, ("rescale", false), &given);
    let model = &tensors.models[0];
    let mut kept = [0.0; 10];
    let mut total = [0.0; 10];
    for seed in 0..seeds {
        let out = fuse(get("della_linear"), tensors, &params, seed).unwrap();
        for group in 0..tensors.len() / (row * strided) {
            for r in 0..strided {
                let mut elements: Vec<usize> =
                    (0..row).map(|j| (group * row + j) * strided + r).collect();
                elements.sort_by_key(|&e| model[e].abs().to_bits());
                for (rank, e) in elements.iter().enumerate() {
                    let tenth = rank * 10 / row;
                    total[tenth] += 1.0;
                    kept[tenth] += f64::from(u8::from(out[*e] != 0.0));
                }
            }
        }
    }
    std::array::from_fn(|i| kept[i] / total[i])
}

#[test]
fn della_keeps_elements_by_their_rank_in_the_row() {
    // Rows in memory, rows too long for that, rows intertwined, both; few rows and short ones.
    let cases: [(&[usize], usize, usize, u64); 6] = [
        (&[20, 1500], 1500, 1, 2),
        (&[100_000], 100_000, 1, 1),
        (&[2, 500, 40], 500, 40, 2),
        (&[2, 1000, 90], 1000, 90, 1),
        (&[40, 50], 50, 1, 20),
        (&[1200, 700], 700, 1, 1),
    ];
    for (shape, row, stride, seeds) in cases {
        let mut tensors = Tensors::random(shape, 1, 5);
        tensors.base.fill(0.0);
        // As of bf16: few digits, many ties; and with all their digits.
        for digits in [0xffff_0000u32, u32::MAX] {
            let mut tensors = tensors.clone();
            for x in &mut tensors.models[0] {
                *x = f32::from_bits(x.to_bits() & digits);
                if *x == 0.0 {
                    *x = 1.0;
                }
            }
            let shares = kept_by_rank(&tensors, row, stride, seeds);
            let n = tensors.len() as f64 * seeds as f64 / 10.0;
            for (i, share) in shares.iter().enumerate() {
                let expected = 0.1 + 0.8 * (i as f64 + 0.5) / 10.0;
                let deviation = (expected * (1.0 - expected) / n).sqrt();
                // Where ties cross from one tenth to the next, or ranks are interpolated.
                let blurred = 0.004;
                assert!(
                    (share - expected).abs() < DEVIATIONS * deviation + blurred,
                    "{shape:?} {digits:x} tenth {i}: {share} for {expected}"
                );
            }
        }
    }
}

#[test]
fn della_of_one_element_a_row_keeps_it_with_the_density() {
    let mut tensors = Tensors::random(&[40_000, 1], 1, 5);
    tensors.base.fill(0.0);
    tensors.models[0].fill(1.0);
    let given = [
        ("weight", 1.0),
        ("density", 0.3),
        ("epsilon", 0.2),
        ("lambda", 1.0),
    ];
    let params = with_flag("della_linear", 1, ("rescale", false), &given);
    let out = fuse(get("della_linear"), &tensors, &params, 3).unwrap();
    let share = out.iter().filter(|x| **x != 0.0).count() as f64 / 4e4;
    assert!(
        (share - 0.3).abs() < DEVIATIONS * (0.21f64 / 4e4).sqrt(),
        "{share}"
    );
}

#[test]
fn an_epsilon_that_leaves_the_range_is_an_error() {
    let tensors = Tensors::random(&[4, 5], 2, 1);
    for (density, epsilon) in [(0.9, 0.1), (0.2, 0.2), (0.1, 0.3)] {
        let params = numbers("della", 2, &[("density", density), ("epsilon", epsilon)]);
        let error = fuse(get("della"), &tensors, &params, 0).unwrap_err();
        assert!(
            matches!(error, FuseError::EpsilonRange { model: 0, .. }),
            "{error}"
        );
        assert!(error.to_string().contains("density - epsilon"));
    }
    // Nothing is drawn at a density of one.
    let params = numbers("della", 2, &[("density", 1.0), ("epsilon", 0.3)]);
    assert!(fuse(get("della"), &tensors, &params, 0).is_ok());
}

#[test]
fn models_and_tensors_of_other_names_draw_other_masks() {
    let mut tensors = Tensors::random(&[2000], 2, 1);
    tensors.models[1] = tensors.models[0].clone();
    let given = [("density", 0.5), ("lambda", 1.0)];
    let of = |weights: [f64; 2]| {
        let params = params_with(get("dare_linear"), 2, |name, model| match (name, model) {
            ("weight", Some(i)) => Some(Value::Number(weights[i])),
            ("rescale", _) => Some(Value::Flag(false)),
            (name, _) => given
                .iter()
                .find(|g| g.0 == name)
                .map(|g| Value::Number(g.1)),
        });
        fuse(get("dare_linear"), &tensors, &params, 1).unwrap()
    };
    let (first, second) = (of([1.0, 0.0]), of([0.0, 1.0]));
    let same = first.iter().zip(&second).filter(|(a, b)| a == b).count();
    assert!((800..1200).contains(&same), "{same} of 2000");
}
