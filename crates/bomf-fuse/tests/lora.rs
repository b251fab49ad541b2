//! Adapters against PEFT, and what holds for any.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bomf_checkpoint::{
    Adapter, AdapterHeader, Checkpoint, FolderWriter, LayerFactors, LayerKind, ModelLayout,
    TensorData, TensorSpec,
};
use bomf_fuse::lora::{Adapted, Merge, NewAdapter, Rank, Weighted, combine, extract};
use bomf_fuse::{FuseError, Weights};
use proptest::prelude::*;

/// Products of ranks up to 9 of numbers of about one, in `f32`, in another order than PEFT's.
const CLOSE: f64 = 1e-5;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../bomf-checkpoint/tests/golden/adapters")
        .join(name)
}

fn base() -> Checkpoint {
    Checkpoint::open(golden("base")).unwrap()
}

fn adapter(name: &str) -> Adapter {
    Adapter::open(golden(name)).unwrap()
}

type Model = BTreeMap<String, Vec<f64>>;

fn values(checkpoint: &Checkpoint) -> Model {
    let tensors = checkpoint.tensors();
    let value = |v: &f32| f64::from(*v);
    tensors
        .map(|t| {
            (
                t.name().to_owned(),
                t.to_f32().unwrap().iter().map(value).collect(),
            )
        })
        .collect()
}

/// What PEFT merges an adapter to.
fn merged_by_peft(name: &str) -> Model {
    values(&Checkpoint::open(golden(name).join("merged.safetensors")).unwrap())
}

fn merge(base: &Checkpoint, adapters: &[Weighted<'_>]) -> Model {
    let merge = Merge::new(base, adapters).unwrap();
    let value = |spec: &TensorSpec| {
        let values = match merge.tensor(&spec.name).unwrap() {
            TensorData::F32(values) => values.iter().map(|&v| f64::from(v)).collect(),
            TensorData::Bytes(bytes) => {
                let (chunks, _) = bytes.as_chunks::<4>();
                chunks
                    .iter()
                    .map(|b| f64::from(f32::from_le_bytes(*b)))
                    .collect()
            }
        };
        (spec.name.clone(), values)
    };
    merge.specs().iter().map(value).collect()
}

fn assert_close(found: &Model, expected: &Model, tolerance: f64) {
    assert!(found.keys().eq(expected.keys()));
    for (name, expected) in expected {
        let pairs = found[name].iter().zip(expected);
        let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(worst <= tolerance, "{name} is off by {worst}");
    }
}

fn adapted(base: &Checkpoint, adapter: &Adapter) -> Model {
    let adapted = Adapted::new(base, adapter).unwrap();
    let names = adapted.names().into_iter();
    let read = |name: &str| {
        let source = adapted.source(name).unwrap();
        let mut values = vec![f32::NAN; source.len()];
        // In parts that are no multiples of rows.
        for (i, part) in values.chunks_mut(7).enumerate() {
            source.read(7 * i, part);
        }
        (
            name.to_owned(),
            values.iter().map(|&v| f64::from(v)).collect(),
        )
    };
    names.map(read).collect()
}

#[test]
fn a_model_seen_through_an_adapter_is_what_peft_merges() {
    for (base_name, names) in [
        (
            "base",
            &["plain", "rslora", "patterns", "dora", "biases", "lora-only"][..],
        ),
        ("base-transposed", &["transposed", "transposed-dora"][..]),
    ] {
        let base = Checkpoint::open(golden(base_name)).unwrap();
        for name in names {
            let adapter = adapter(name);
            let found = adapted(&base, &adapter);
            assert_close(&found, &merged_by_peft(name), CLOSE);
            // What is changed has no bytes that could be copied in its place.
            let adapted = Adapted::new(&base, &adapter).unwrap();
            let own = values(&base);
            for (tensor, values) in &found {
                let is_as_before = own.get(tensor) == Some(values);
                assert!(
                    is_as_before || adapted.bytes(tensor).is_none(),
                    "{name} {tensor}"
                );
            }
        }
    }
}

#[test]
fn an_adapter_of_another_model_is_refused_before_anything_is_read() {
    let (base, adapter) = (base(), adapter("transposed"));
    assert!(Adapted::new(&base, &adapter).is_err());
}

/// `W + sum_i w_i (W_i - W)` of merged models.
fn mixture(base: &Model, members: &[(f64, Model)]) -> Model {
    let mut out = base.clone();
    for (weight, member) in members {
        for (name, values) in member {
            let pairs = values.iter().zip(&base[name]);
            for (o, (v, w)) in out.get_mut(name).unwrap().iter_mut().zip(pairs) {
                *o += weight * (v - w);
            }
        }
    }
    out
}

/// Writes an adapter and opens it again.
fn reopened(new: &NewAdapter) -> (tempfile::TempDir, Adapter) {
    let root = tempfile::tempdir().unwrap();
    let mut writer = FolderWriter::create(root.path().join("adapter"), false).unwrap();
    let saved: Vec<_> = new
        .saved
        .iter()
        .map(|t| {
            let spec = TensorSpec::new(&t.name, bomf_checkpoint::Dtype::F32, &t.shape);
            (spec, TensorData::F32(t.values.as_slice().into()))
        })
        .collect();
    writer
        .write_adapter(&new.header, &new.layers, &saved)
        .unwrap();
    let folder = writer.commit().unwrap();
    let adapter = Adapter::open(folder).unwrap();
    (root, adapter)
}

fn weighted<'a>(adapters: &'a [Adapter], weights: &[f64]) -> Vec<Weighted<'a>> {
    let pairs = adapters.iter().zip(weights);
    pairs
        .map(|(adapter, &weight)| Weighted { adapter, weight })
        .collect()
}

#[test]
fn one_adapter_is_merged_as_peft_merges_it() {
    for name in ["plain", "patterns", "rslora", "dora", "biases", "lora-only"] {
        let adapter = adapter(name);
        let found = merge(
            &base(),
            &[Weighted {
                adapter: &adapter,
                weight: 1.0,
            }],
        );
        assert_close(&found, &merged_by_peft(name), CLOSE);
    }
    let base = Checkpoint::open(golden("base-transposed")).unwrap();
    for name in ["transposed", "transposed-dora"] {
        let adapter = adapter(name);
        let found = merge(
            &base,
            &[Weighted {
                adapter: &adapter,
                weight: 1.0,
            }],
        );
        assert_close(&found, &merged_by_peft(name), CLOSE);
    }
}

#[test]
fn several_adapters_add_up_to_the_mixture_of_their_models() {
    let names = ["plain", "patterns", "rslora", "dora", "biases", "lora-only"];
    let weights = [0.5, -0.25, 1.5, 0.75, 0.125, 0.0];
    let adapters = names.map(adapter);
    let found = merge(&base(), &weighted(&adapters, &weights));
    let members = names.map(merged_by_peft);
    let members: Vec<_> = weights.into_iter().zip(members).collect();
    assert_close(&found, &mixture(&values(&base()), &members), CLOSE);
}

#[test]
fn what_no_adapter_changes_is_handed_on_byte_for_byte() {
    let (base, adapter) = (base(), adapter("rslora"));
    let merge = Merge::new(
        &base,
        &[Weighted {
            adapter: &adapter,
            weight: 1.0,
        }],
    )
    .unwrap();
    assert_eq!(merge.changed(), ["layers.0.q.weight", "layers.1.q.weight"]);
    let norm = merge.tensor("norm.weight").unwrap();
    assert!(
        matches!(norm, TensorData::Bytes(b) if *b == *base.tensor("norm.weight").unwrap().bytes())
    );
}

#[test]
fn one_adapter_of_concatenated_rank_is_exact() {
    let adapters = ["plain", "patterns"].map(adapter);
    let members = weighted(&adapters, &[0.25, 0.75]);
    let new = combine(&members, Rank::Exact).unwrap();
    assert_eq!(new.error(), 0.0);
    let ranks: Vec<_> = new
        .report
        .iter()
        .map(|l| (l.module.as_str(), l.r))
        .collect();
    assert_eq!(
        ranks,
        [
            ("conv", 4),
            ("embed", 5),
            ("layers.0.q", 6),
            ("layers.0.v", 5),
            ("layers.1.q", 5),
            ("layers.1.v", 3),
        ]
    );
    let (_root, one) = reopened(&new);
    let found = merge(
        &base(),
        &[Weighted {
            adapter: &one,
            weight: 1.0,
        }],
    );
    assert_close(&found, &merge(&base(), &members), CLOSE);
    assert_eq!(one.config().modules_to_save, ["classifier"]);
}

#[test]
fn enough_rank_loses_nothing_and_too_little_says_what_it_loses() {
    let adapters = ["plain", "patterns"].map(adapter);
    let members = weighted(&adapters, &[0.25, 0.75]);
    let whole = merge(&base(), &members);
    let full = combine(&members, Rank::Fixed(6)).unwrap();
    let (_root, one) = reopened(&full);
    assert!(full.error() < 1e-12);
    assert_close(
        &merge(
            &base(),
            &[Weighted {
                adapter: &one,
                weight: 1.0,
            }],
        ),
        &whole,
        CLOSE,
    );

    for rank in [Rank::Fixed(2), Rank::Energy(0.9)] {
        let cut = combine(&members, rank).unwrap();
        let (_root, one) = reopened(&cut);
        let found = merge(
            &base(),
            &[Weighted {
                adapter: &one,
                weight: 1.0,
            }],
        );
        for layer in &cut.report {
            let name = format!("{}.weight", layer.module);
            let pairs = found[&name].iter().zip(&whole[&name]);
            let lost = pairs.map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
            assert!(
                (lost - layer.norm * layer.error).abs() < CLOSE,
                "{layer:?} lost {lost}"
            );
            match rank {
                Rank::Fixed(r) => assert!(layer.r <= r),
                _ => assert!(layer.error.powi(2) <= 0.1 + 1e-12),
            }
        }
        assert!(cut.error() > 0.01);
    }
}

#[test]
fn the_same_adapter_twice_keeps_its_rank() {
    let adapters = ["plain", "plain"].map(adapter);
    let members = weighted(&adapters, &[0.5, 0.5]);
    let new = combine(&members, Rank::Fixed(100)).unwrap();
    assert!(new.report.iter().all(|l| l.r <= 2 && l.full_rank == 4));
    let (_root, one) = reopened(&new);
    let found = merge(
        &base(),
        &[Weighted {
            adapter: &one,
            weight: 1.0,
        }],
    );
    assert_close(&found, &merged_by_peft("plain"), CLOSE);
}

#[test]
fn what_cannot_be_fused_is_said() {
    let adapters = ["plain", "dora", "biases", "rslora"].map(adapter);
    let both = |second: usize, weights: [f64; 2]| {
        let members = [
            Weighted {
                adapter: &adapters[0],
                weight: weights[0],
            },
            Weighted {
                adapter: &adapters[second],
                weight: weights[1],
            },
        ];
        combine(&members, Rank::Exact).unwrap_err()
    };
    assert!(matches!(
        both(1, [0.5, 0.5]),
        FuseError::NeedsBase {
            what: "DoRA magnitudes",
            ..
        }
    ));
    assert!(matches!(
        both(2, [0.5, 0.5]),
        FuseError::NeedsBase {
            what: "trained biases",
            ..
        }
    ));
    assert!(
        matches!(both(3, [0.5, 0.5]), FuseError::SavedBySome { tensor, .. } if tensor == "classifier.bias")
    );
    assert!(matches!(
        both(0, [0.5, 0.6]),
        FuseError::SavedWeights { .. }
    ));
    assert!(matches!(
        both(0, [f64::NAN, 0.6]),
        FuseError::NonFiniteWeight { index: 0, .. }
    ));
    let one = [Weighted {
        adapter: &adapters[0],
        weight: 1.0,
    }];
    assert!(matches!(
        combine(&[], Rank::Exact),
        Err(FuseError::NoMembers)
    ));
    assert!(matches!(
        combine(&one, Rank::Fixed(0)),
        Err(FuseError::NoRank)
    ));
    for energy in [0.0, 1.5, f64::NAN] {
        let error = combine(&one, Rank::Energy(energy)).unwrap_err();
        assert!(matches!(error, FuseError::BadEnergy { .. }));
    }
    let other = Checkpoint::open(golden("base-transposed")).unwrap();
    let error = Merge::new(&other, &one).unwrap_err();
    assert!(matches!(error, FuseError::NoBaseTensor { .. }), "{error}");
}

/// A model of named `f32` tensors.
fn model(tensors: &[(&str, Vec<usize>, Vec<f32>)]) -> (tempfile::TempDir, Checkpoint) {
    let root = tempfile::tempdir().unwrap();
    let spec = |(name, shape, _): &(&str, Vec<usize>, Vec<f32>)| {
        TensorSpec::new(*name, bomf_checkpoint::Dtype::F32, shape)
    };
    let specs: Vec<_> = tensors.iter().map(spec).collect();
    let mut writer = FolderWriter::create(root.path().join("m"), false).unwrap();
    let fetch = |i: usize| Ok(TensorData::F32(tensors[i].2.as_slice().into()));
    writer
        .write_model(&specs, &ModelLayout::default(), fetch)
        .unwrap();
    let folder = writer.commit().unwrap();
    (root, Checkpoint::open(folder).unwrap())
}

#[test]
fn what_peft_merged_is_taken_out_again() {
    let base = base();
    for name in ["plain", "patterns", "lora-only"] {
        let merged = Checkpoint::open(golden(name).join("merged.safetensors")).unwrap();
        let new = extract(&base, &merged, 4, 0).unwrap();
        assert!(new.error() < CLOSE, "{name}: {}", new.error());
        let (_root, one) = reopened(&new);
        let found = merge(
            &base,
            &[Weighted {
                adapter: &one,
                weight: 1.0,
            }],
        );
        assert_close(&found, &merged_by_peft(name), CLOSE);
    }
    assert!(matches!(
        extract(&base, &base, 4, 0),
        Err(FuseError::NothingChanged { .. })
    ));
}

/// Numbers that look random, without a generator.
fn noise(len: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 24) as f32 - 0.5
    };
    (0..len).map(|_| next()).collect()
}

#[test]
fn a_great_difference_is_found_by_sampling_as_well_as_by_decomposing_it() {
    // Beyond the side up to which differences are decomposed as a whole; singular values 1 / k.
    let (m, n, k) = (300, 420, 60);
    let (b, a) = (noise(m * k, 1), noise(k * n, 2));
    let mut d = vec![0.0f32; m * n];
    for i in 0..m {
        for (t, a) in a.chunks_exact(n).enumerate() {
            let c = b[i * k + t] / (t + 1) as f32;
            d[i * n..(i + 1) * n]
                .iter_mut()
                .zip(a)
                .for_each(|(d, a)| *d += c * a);
        }
    }
    let (_r1, base) = model(&[("x.weight", vec![m, n], vec![0.0; m * n])]);
    let (_r2, tuned) = model(&[("x.weight", vec![m, n], d)]);
    let new = extract(&base, &tuned, 8, 3).unwrap();
    // The best error comes from the decomposition of the same difference as a whole product.
    let factors = LayerFactors {
        module: "x".into(),
        kind: LayerKind::Linear,
        r: k,
        a: a.chunks_exact(n)
            .enumerate()
            .flat_map(|(t, row)| row.iter().map(move |v| v / (t + 1) as f32))
            .collect(),
        a_shape: vec![k, n],
        b,
        b_shape: vec![m, k],
    };
    let exact = NewAdapter {
        header: AdapterHeader::default(),
        layers: vec![factors],
        saved: Vec::new(),
        report: Vec::new(),
    };
    let (_root, exact) = reopened(&exact);
    let best = combine(
        &[Weighted {
            adapter: &exact,
            weight: 1.0,
        }],
        Rank::Fixed(8),
    )
    .unwrap();
    let (found, best) = (new.report[0].error, best.report[0].error);
    assert!(
        best > 0.05 && found >= best - CLOSE && found < 1.01 * best,
        "{found} {best}"
    );

    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| extract(&base, &tuned, 8, 3).unwrap())
    };
    assert_eq!(with(1), with(3));
    assert_eq!(with(1), new);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_adapters_fuse_to_the_sum_of_their_changes(
        (m, n) in (1usize..6, 1usize..6),
        ranks in prop::collection::vec(1usize..4, 1..4),
        weights in prop::collection::vec(-2.0..2.0f64, 4),
        seed in 0u64..1000,
    ) {
        let adapters: Vec<_> = ranks.iter().enumerate().map(|(i, &r)| {
            reopened(&NewAdapter {
                header: AdapterHeader::default(),
                layers: vec![LayerFactors {
                    module: "x".into(),
                    kind: LayerKind::Linear,
                    r,
                    a: noise(r * n, seed + 10 * i as u64),
                    a_shape: vec![r, n],
                    b: noise(m * r, seed + 10 * i as u64 + 5),
                    b_shape: vec![m, r],
                }],
                saved: Vec::new(),
                report: Vec::new(),
            })
        }).collect();
        let members: Vec<_> = adapters
            .iter()
            .zip(&weights)
            .map(|((_, adapter), &weight)| Weighted { adapter, weight })
            .collect();
        let (_root, base) = model(&[("x.weight", vec![m, n], noise(m * n, seed + 99))]);
        let whole = merge(&base, &members);
        for rank in [Rank::Exact, Rank::Fixed(100), Rank::Energy(1.0)] {
            let new = combine(&members, rank).unwrap();
            let (_root, one) = reopened(&new);
            let found = merge(&base, &[Weighted { adapter: &one, weight: 1.0 }]);
            assert_close(&found, &whole, CLOSE);
        }
    }
}
