//! Alignment of units: what was permuted is found again.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;

use bomf_checkpoint::Dtype;
use bomf_fuse::align::{Aligned, Alignment, Heads, units};
use bomf_fuse::method::Source;
use bomf_fuse::{FuseError, TensorInfo, Weights};
use proptest::prelude::*;

type Tensor = (Vec<usize>, Vec<f32>);

/// A model in memory.
#[derive(Clone, Default)]
struct Model(BTreeMap<String, Tensor>);

impl Weights for Model {
    fn name(&self) -> String {
        "model".into()
    }

    fn names(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }

    fn info(&self, name: &str) -> Option<TensorInfo<'_>> {
        let (shape, _) = self.0.get(name)?;
        Some(TensorInfo {
            dtype: Dtype::F32,
            shape,
        })
    }

    fn source(&self, name: &str) -> Option<Box<dyn Source + '_>> {
        Some(Box::new(&self.0.get(name)?.1[..]))
    }

    fn bytes(&self, name: &str) -> Option<&[u8]> {
        self.0.get(name).map(|_| &[][..])
    }
}

/// A small generator of numbers.
struct Draws(u64);

impl Draws {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 16
    }

    fn order(&mut self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        for i in (1..n).rev() {
            order.swap(i, self.next() as usize % (i + 1));
        }
        order
    }
}

const LAYERS: usize = 2;
const HIDDEN: usize = 12;
const WIDE: usize = 10;
const HEADS: usize = 6;
const HEAD: usize = 2;

/// Modules of a layer with their outputs and inputs.
type Modules = &'static [(&'static str, usize, usize)];

/// The families, by modules; whether they are stored as `[in, out]`; heads of keys and values.
const FAMILIES: [(&str, Modules, bool, usize); 4] = [
    (
        "bert.encoder.layer.",
        &[
            ("attention.self.query", HIDDEN, HIDDEN),
            ("attention.self.key", HIDDEN, HIDDEN),
            ("attention.self.value", HIDDEN, HIDDEN),
            ("attention.output.dense", HIDDEN, HIDDEN),
            ("intermediate.dense", WIDE, HIDDEN),
            ("output.dense", HIDDEN, WIDE),
        ],
        false,
        HEADS,
    ),
    (
        "distilbert.transformer.layer.",
        &[
            ("attention.q_lin", HIDDEN, HIDDEN),
            ("attention.k_lin", HIDDEN, HIDDEN),
            ("attention.v_lin", HIDDEN, HIDDEN),
            ("attention.out_lin", HIDDEN, HIDDEN),
            ("ffn.lin1", WIDE, HIDDEN),
            ("ffn.lin2", HIDDEN, WIDE),
        ],
        false,
        HEADS,
    ),
    (
        "transformer.h.",
        &[
            ("attn.c_attn", 3 * HIDDEN, HIDDEN),
            ("attn.c_proj", HIDDEN, HIDDEN),
            ("mlp.c_fc", WIDE, HIDDEN),
            ("mlp.c_proj", HIDDEN, WIDE),
        ],
        true,
        HEADS,
    ),
    (
        "model.layers.",
        &[
            ("self_attn.q_proj", HIDDEN, HIDDEN),
            ("self_attn.k_proj", 2 * HEAD, HIDDEN),
            ("self_attn.v_proj", 2 * HEAD, HIDDEN),
            ("self_attn.o_proj", HIDDEN, HIDDEN),
            ("mlp.gate_proj", WIDE, HIDDEN),
            ("mlp.up_proj", WIDE, HIDDEN),
            ("mlp.down_proj", HIDDEN, WIDE),
        ],
        false,
        2,
    ),
];

fn model(family: usize, seed: u64) -> (Model, Heads) {
    let (stack, modules, inputs_first, key_values) = FAMILIES[family];
    let mut draws = Draws(seed | 1);
    let mut model = Model::default();
    let mut add = |name: String, shape: Vec<usize>| {
        let len = shape.iter().product();
        let values = (0..len).map(|_| draws.next() as f32 / (1u64 << 48) as f32 - 0.5);
        model.0.insert(name, (shape, values.collect()));
    };
    add("embeddings.weight".into(), vec![5, HIDDEN]);
    for layer in 0..LAYERS {
        for &(module, outputs, inputs) in modules {
            let shape = match inputs_first {
                true => vec![inputs, outputs],
                false => vec![outputs, inputs],
            };
            add(format!("{stack}{layer}.{module}.weight"), shape);
            add(format!("{stack}{layer}.{module}.bias"), vec![outputs]);
        }
    }
    let heads = Heads {
        queries: HEADS,
        key_values,
    };
    (model, heads)
}

/// The elements of a tensor in another order along an axis.
fn take((shape, values): &Tensor, axis: usize, from: &[usize]) -> Tensor {
    let stride: usize = shape[axis + 1..].iter().product();
    let length = shape[axis];
    let at = |k: usize| {
        let (outer, place, inner) = (k / (length * stride), k / stride % length, k % stride);
        values[(outer * length + from[place]) * stride + inner]
    };
    (shape.clone(), (0..values.len()).map(at).collect())
}

/// Units of `width` elements in another order, the rest after them as it is.
fn expanded(order: &[usize], width: usize) -> Vec<usize> {
    order
        .iter()
        .flat_map(|u| (0..width).map(move |i| u * width + i))
        .collect()
}

/// The model with its hidden units and heads in a random order, written down by hand for each
/// family rather than by what is tested.
fn shuffled(model: &Model, family: usize, seed: u64) -> Model {
    let (stack, modules, inputs_first, key_values) = FAMILIES[family];
    let (first, second) = if inputs_first { (1, 0) } else { (0, 1) };
    let mut draws = Draws(seed | 1);
    let mut out = model.clone();
    for layer in 0..LAYERS {
        let hidden = draws.order(WIDE);
        let groups = draws.order(key_values);
        let members = HEADS / key_values;
        let queries: Vec<usize> = groups
            .iter()
            .flat_map(|g| {
                let own = draws.order(members);
                own.into_iter().map(move |i| g * members + i)
            })
            .collect();
        let (keys, queries) = (expanded(&groups, HEAD), expanded(&queries, HEAD));
        let three: Vec<usize> = (0..3)
            .flat_map(|part| queries.iter().map(move |k| part * HIDDEN + k))
            .collect();
        for &(module, _, _) in modules {
            let order = match module {
                "attn.c_attn" => Some((&three, first)),
                m if m.contains("query") || m.contains("q_") => Some((&queries, first)),
                m if m.starts_with("att") && (m.contains("output") || m.contains("out_")) => {
                    Some((&queries, second))
                }
                "self_attn.o_proj" | "attn.c_proj" => Some((&queries, second)),
                "output.dense" | "ffn.lin2" | "mlp.down_proj" | "mlp.c_proj" => {
                    Some((&hidden, second))
                }
                m if m.starts_with("mlp") || m.starts_with("ffn") => Some((&hidden, first)),
                "intermediate.dense" => Some((&hidden, first)),
                _ => Some((&keys, first)),
            };
            let Some((order, axis)) = order else { continue };
            let weight = format!("{stack}{layer}.{module}.weight");
            let changed = take(&out.0[&weight], axis, order);
            out.0.insert(weight, changed);
            if axis == first {
                let bias = format!("{stack}{layer}.{module}.bias");
                let changed = take(&out.0[&bias], 0, order);
                out.0.insert(bias, changed);
            }
        }
    }
    out
}

fn read(model: &dyn Weights) -> BTreeMap<String, Vec<f32>> {
    let values = |name: &str| {
        let source = model.source(name).unwrap();
        let mut values = vec![0.0; source.len()];
        source.read(0, &mut values);
        values
    };
    let names = model.names().into_iter();
    names.map(|name| (name.to_owned(), values(name))).collect()
}

proptest! {
    #[test]
    fn a_model_whose_units_were_shuffled_is_found_again_to_the_bit(
        family in 0..FAMILIES.len(),
        seed in 1u64..1 << 40,
        order in 1u64..1 << 40,
    ) {
        let (model, heads) = model(family, seed);
        let other = shuffled(&model, family, order);
        let alignment = Alignment::find(&model, &other, heads, 0.0).unwrap();
        prop_assert_eq!(alignment.groups, 2 * LAYERS);
        let aligned = Aligned::new(&other, alignment);
        prop_assert_eq!(read(&aligned), read(&model));
    }
}

#[test]
fn a_model_that_was_trained_on_from_the_reference_stays_as_it_is() {
    for family in 0..FAMILIES.len() {
        let (reference, heads) = model(family, 3);
        let mut trained = reference.clone();
        for (i, (_, values)) in trained.0.values_mut().enumerate() {
            for (k, x) in values.iter_mut().enumerate() {
                *x += 1e-2 * ((i + k) % 7) as f32;
            }
        }
        let alignment = Alignment::find(&reference, &trained, heads, 0.0).unwrap();
        assert_eq!(alignment.moved, 0);
        assert_eq!(read(&Aligned::new(&trained, alignment)), read(&trained));
    }
}

#[test]
#[expect(clippy::needless_range_loop, reason = "the number names the family")]
fn little_entropy_tends_to_the_permutation_and_much_to_the_mean_of_all_units() {
    for family in 0..FAMILIES.len() {
        let (reference, heads) = model(family, 5);
        let other = shuffled(&reference, family, 9);
        let mixed = |regularisation| {
            let alignment = Alignment::find(&reference, &other, heads, regularisation).unwrap();
            read(&Aligned::new(&other, alignment))
        };
        // exp(-1/0.002) of another unit.
        let sharp = mixed(2e-3);
        for (name, values) in read(&reference) {
            for (a, b) in values.iter().zip(&sharp[&name]) {
                assert!((a - b).abs() < 1e-6, "{name}: {a} {b}");
            }
        }
        let flat = mixed(1e7);
        let (stack, modules, inputs_first, _) = FAMILIES[family];
        let (down, ..) = modules.last().unwrap();
        let name = format!("{stack}0.{down}.weight");
        let (shape, values) = &other.0[&name];
        let (rows, columns) = (shape[0], shape[1]);
        for k in 0..values.len() {
            let line: Vec<f32> = match inputs_first {
                false => values[k / columns * columns..][..columns].to_vec(),
                true => (0..rows)
                    .map(|r| values[r * columns + k % columns])
                    .collect(),
            };
            let mean = line.iter().sum::<f32>() / line.len() as f32;
            assert!((flat[&name][k] - mean).abs() < 1e-5, "{name}");
        }
    }
}

#[test]
fn tensors_without_units_keep_their_bytes_and_others_have_none() {
    let (model, heads) = model(0, 3);
    let alignment = Alignment::find(&model, &model, heads, 0.0).unwrap();
    let aligned = Aligned::new(&model, alignment);
    assert!(aligned.bytes("embeddings.weight").is_some());
    assert!(
        aligned
            .bytes("bert.encoder.layer.0.output.dense.weight")
            .is_none()
    );
    assert!(aligned.source("no such tensor").is_none());
    assert_eq!(
        aligned.info("embeddings.weight"),
        model.info("embeddings.weight")
    );
}

#[test]
fn what_cannot_be_aligned_is_said() {
    let heads = Heads {
        queries: 5,
        key_values: 5,
    };
    let find = |model: &Model, heads, regularisation| {
        Alignment::find(model, model, heads, regularisation).unwrap_err()
    };
    for family in 0..FAMILIES.len() {
        let error = find(&model(family, 1).0, heads, 0.0);
        assert!(matches!(error, FuseError::BadHeads { .. }), "{error}");
        assert!(error.hint().is_some());
    }
    let (bert, heads) = model(0, 1);
    let error = find(&Model::default(), heads, 0.0);
    assert!(matches!(error, FuseError::NothingToAlign { .. }), "{error}");
    for bad in [-1.0, f64::NAN, f64::INFINITY] {
        let error = find(&bert, heads, bad);
        assert!(
            matches!(error, FuseError::BadRegularisation { .. }),
            "{error}"
        );
    }
    let mut other = bert.clone();
    other.0.remove("bert.encoder.layer.1.output.dense.weight");
    let error = Alignment::find(&bert, &other, heads, 0.0).unwrap_err();
    assert!(matches!(error, FuseError::NoUnitTensor { .. }), "{error}");
    let short = bert
        .0
        .clone()
        .into_iter()
        .map(|(name, tensor)| match name.ends_with("bias") {
            true => (name, (vec![1], vec![0.5])),
            false => (name, tensor),
        });
    let error = find(&Model(short.collect()), heads, 0.0);
    assert!(matches!(error, FuseError::UnitShape { .. }), "{error}");
    let (llama, heads) = model(3, 1);
    assert_eq!(
        units::groups(&llama, heads).unwrap()[1]
            .within
            .as_ref()
            .unwrap()
            .0,
        3
    );
}

#[test]
fn values_that_are_not_finite_are_aligned_somehow() {
    let (reference, heads) = model(3, 1);
    let mut broken = reference.clone();
    for (_, values) in broken.0.values_mut() {
        values[0] = f32::NAN;
        *values.last_mut().unwrap() = f32::INFINITY;
    }
    for regularisation in [0.0, 0.1] {
        let alignment = Alignment::find(&reference, &broken, heads, regularisation).unwrap();
        read(&Aligned::new(&broken, alignment));
    }
}
