//! What holds for every method of the registry.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use bomf_fuse::method::{Base, Inputs, Method, Scope, Source, Value};
use bomf_fuse::{FuseError, registry};
use proptest::collection::vec;
use proptest::prelude::*;
use support::{
    Read, Tensors, as_statistics, bits, fuse, in_blocks, is_random, models_for, params, params_with,
};

/// Vectors, matrices, more axes, rows of one element, none at all.
const SHAPES: [&[usize]; 12] = [
    &[],
    &[0],
    &[1],
    &[37],
    &[4, 0],
    &[5, 1],
    &[1, 9],
    &[3, 50],
    &[64, 33],
    &[2, 300],
    &[2, 3, 4],
    &[3, 7, 2, 2],
];

fn each(mut test: impl FnMut(&'static dyn Method, &Tensors)) {
    for method in registry::all() {
        for shape in SHAPES {
            test(*method, &Tensors::random(shape, models_for(*method), 5));
        }
    }
}

#[test]
fn any_partition_into_blocks_gives_the_same_bits() {
    each(|method, tensors| {
        let name = method.spec().name;
        let params = params(method, tensors.models.len());
        tensors.with(method, |inputs| {
            let fuser = method.prepare(inputs, &params, 1).unwrap();
            let whole = in_blocks(&*fuser, inputs, &[inputs.len()]);
            for lengths in [&[1][..], &[7], &[16, 3, 40], &[33], &[50, 1]] {
                let parts = in_blocks(&*fuser, inputs, lengths);
                assert_eq!(bits(&parts), bits(&whole), "{name} {:?}", inputs.shape);
            }
        });
    });
}

proptest! {
    #[test]
    fn any_drawn_partition_gives_the_same_bits(
        method in 0..registry::all().len(),
        shape in vec(1usize..40, 0..4),
        lengths in vec(1usize..200, 1..6),
        seed: u64,
    ) {
        let method = registry::all()[method];
        let tensors = Tensors::random(&shape, models_for(method), seed);
        let params = params(method, tensors.models.len());
        let (whole, parts) = tensors.with(method, |inputs| {
            let fuser = method.prepare(inputs, &params, seed).unwrap();
            (in_blocks(&*fuser, inputs, &[inputs.len()]), in_blocks(&*fuser, inputs, &lengths))
        });
        prop_assert_eq!(bits(&parts), bits(&whole), "{}", method.spec().name);
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    // Several pieces of the passes, and rows that no piece holds whole.
    // Groups of rows along the second axis, short and long.
    let shapes: [&[usize]; 5] = [
        &[300, 211],
        &[70_001],
        &[2, 33_000],
        &[2, 90, 150],
        &[2, 300, 230],
    ];
    for shape in shapes {
        for method in registry::all() {
            let tensors = Tensors::random(shape, models_for(*method), 8);
            let params = params(*method, tensors.models.len());
            let fused = [1, 2, 5].map(|threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
                let pool = pool.build().unwrap();
                pool.install(|| bits(&fuse(*method, &tensors, &params, 2).unwrap()))
            });
            assert!(
                fused[0] == fused[1] && fused[0] == fused[2],
                "{}",
                method.spec().name
            );
        }
    }
}

#[test]
fn tensors_that_must_be_read_give_the_same_bits() {
    each(|method, tensors| {
        let params = params(method, tensors.models.len());
        let seen = fuse(method, tensors, &params, 3).unwrap();
        let base = Read(tensors.base.clone());
        let models: Vec<Read> = tensors.models.iter().cloned().map(Read).collect();
        let kept = tensors.statistics(method);
        let inputs = Inputs {
            statistics: as_statistics(&kept),
            name: "layer.weight",
            shape: &tensors.shape,
            models: models.iter().map(|m| m as &dyn Source).collect(),
            base: (method.spec().base != Base::Unused).then_some(&base as &dyn Source),
        };
        let fuser = method.prepare(&inputs, &params, 3).unwrap();
        let read = in_blocks(&*fuser, &inputs, &[11]);
        assert_eq!(bits(&read), bits(&seen), "{}", method.spec().name);
    });
}

#[test]
fn a_nan_in_any_input_is_seen_in_its_element() {
    each(|method, tensors| {
        let params = params(method, tensors.models.len());
        let len = tensors.len();
        if len == 0 {
            return;
        }
        let base_too = usize::from(method.spec().base != Base::Unused);
        for which in 0..tensors.models.len() + base_too {
            let mut tensors = tensors.clone();
            match which.checked_sub(tensors.models.len()) {
                None => tensors.models[which][len / 2] = f32::NAN,
                Some(_) => tensors.base[len / 2] = f32::NAN,
            }
            let out = fuse(method, &tensors, &params, 3).unwrap();
            assert!(
                out[len / 2].is_nan(),
                "{} {:?}",
                method.spec().name,
                tensors.shape
            );
        }
    });
}

#[test]
fn no_input_makes_a_method_panic() {
    const HARD: [f32; 9] = [
        f32::NAN,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::MAX,
        f32::MIN,
        f32::MIN_POSITIVE / 4.0,
        0.0,
        -0.0,
        1.0,
    ];
    each(|method, tensors| {
        let params = params(method, tensors.models.len());
        for shift in 0..HARD.len() {
            let mut tensors = tensors.clone();
            let hard = |i: usize| HARD[i % HARD.len()];
            for (k, model) in tensors.models.iter_mut().enumerate() {
                for (i, x) in model.iter_mut().enumerate() {
                    *x = hard(i * (k + 1) + shift);
                }
            }
            for (i, x) in tensors.base.iter_mut().enumerate() {
                *x = hard(i / 2 + shift);
            }
            // All alike too: an error or a tensor, no panic.
            let _ = fuse(method, &tensors, &params, 3);
            for tensor in tensors.models.iter_mut().chain([&mut tensors.base]) {
                tensor.fill(hard(shift));
            }
            let _ = fuse(method, &tensors, &params, 3);
        }
    });
}

#[test]
fn equal_models_give_that_model() {
    // Sums of a few rounded products, differences and quotients.
    const ROUNDING: f32 = 8.0 * f32::EPSILON;
    each(|method, tensors| {
        let name = method.spec().name;
        let params = params_with(method, tensors.models.len(), |name, _| match name {
            "scale" => Some(Value::Number(1.0)),
            _ => None,
        });
        let mut tensors = tensors.clone();
        for model in &mut tensors.models {
            model.copy_from_slice(&tensors.base);
        }
        let out = fuse(method, &tensors, &params, 3).unwrap();
        for (out, x) in out.iter().zip(&tensors.base) {
            assert!(
                (out - x).abs() <= ROUNDING * x.abs(),
                "{name}: {out} for {x}"
            );
        }
    });
}

#[test]
fn zeros_give_zeros() {
    each(|method, tensors| {
        let params = params(method, tensors.models.len());
        let mut tensors = tensors.clone();
        for tensor in tensors.models.iter_mut().chain([&mut tensors.base]) {
            tensor.fill(0.0);
        }
        let out = fuse(method, &tensors, &params, 3).unwrap();
        assert!(out.iter().all(|x| *x == 0.0), "{}", method.spec().name);
    });
}

#[test]
fn the_seed_matters_to_random_methods_alone() {
    for method in registry::all() {
        let tensors = Tensors::random(&[20, 30], models_for(*method), 5);
        let params = params(*method, tensors.models.len());
        let fused = |seed| bits(&fuse(*method, &tensors, &params, seed).unwrap());
        assert_eq!(fused(1), fused(1));
        assert_eq!(
            fused(1) != fused(2),
            is_random(*method),
            "{}",
            method.spec().name
        );
    }
}

#[test]
fn inputs_that_do_not_fit_are_named() {
    for method in registry::all() {
        let spec = method.spec();
        let n = models_for(*method);
        let params = params(*method, n);
        let mut tensors = Tensors::random(&[4, 5], n, 1);
        if spec.base == Base::Required {
            let models = tensors.models.iter().map(|m| m as &dyn Source).collect();
            let inputs = Inputs {
                name: "w",
                shape: &[4, 5],
                models,
                base: None,
                statistics: Vec::new(),
            };
            let error = method.prepare(&inputs, &params, 0).err();
            assert!(
                matches!(error, Some(FuseError::MissingBase { method }) if method == spec.name)
            );
        }
        tensors.models[n - 1].pop();
        let error = fuse(*method, &tensors, &params, 0).err();
        let expected = Some(n - 1);
        assert!(
            matches!(error, Some(FuseError::InputLength { model, expected: 20, found: 19, .. }) if model == expected),
            "{error:?}"
        );
        tensors.models.clear();
        let error = fuse(*method, &tensors, &params, 0).err();
        assert!(
            matches!(error, Some(FuseError::ModelCount { found: 0, .. })),
            "{error:?}"
        );
    }
}

#[test]
fn declarations_are_in_order() {
    let names: Vec<_> = registry::all().iter().map(|m| m.spec().name).collect();
    for (i, method) in registry::all().iter().enumerate() {
        let spec = method.spec();
        assert!(
            !names[..i].contains(&spec.name),
            "{} is there twice",
            spec.name
        );
        assert_eq!(registry::get(spec.name).unwrap().spec(), spec);
        assert!(spec.models.0 >= 1 && spec.models.0 <= spec.models.1);
        for (j, param) in spec.params.iter().enumerate() {
            assert!(spec.params[..j].iter().all(|p| p.name != param.name));
            assert!(
                param.default.is_none_or(|value| param.takes(value)),
                "{}",
                param.name
            );
            assert!(!param.takes(Value::Number(f64::NAN)));
            assert!(!param.takes(Value::Number(f64::INFINITY)));
        }
    }
}

#[test]
fn parameters_are_checked() {
    let ties = registry::get("ties").unwrap().spec();
    let given = |density| {
        let number = move |name: &str, _| match name {
            "weight" => Some(Value::Number(1.0)),
            "density" => Some(Value::Number(density)),
            _ => None,
        };
        bomf_fuse::method::Params::new(ties, 2, number)
    };
    assert_eq!(given(0.5).unwrap().numbers("density"), [0.5, 0.5]);
    let error = given(1.5).unwrap_err();
    assert_eq!(
        error.to_string(),
        "parameter `density` of `ties` is 1.5 for model 0"
    );
    assert_eq!(
        error.hint().as_deref(),
        Some("it takes a number from 0 to 1")
    );
    let none = bomf_fuse::method::Params::new(ties, 2, |_, _| None).unwrap_err();
    assert_eq!(
        none.to_string(),
        "`ties` needs the parameter `weight` for model 0"
    );
    let scopes: Vec<_> = ties.params.iter().map(|p| (p.name, p.scope)).collect();
    assert!(
        scopes.contains(&("weight", Scope::Model)) && scopes.contains(&("lambda", Scope::Method))
    );
}

#[test]
fn an_unknown_name_is_answered_with_the_nearest() {
    let hint = |name| registry::get(name).err().and_then(|e| e.hint()).unwrap();
    assert_eq!(hint("Task-Arithmetic"), "did you mean `task_arithmetic`?");
    assert_eq!(hint("tie"), "did you mean `ties`?");
    assert!(hint("xyz").starts_with("the methods are linear, slerp"));
}
