//! Member sets: shapes, weighted averages and the Gram matrix.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;
use std::sync::Arc;

use bomf_checkpoint::{Checkpoint, Dtype, FolderWriter, ModelLayout, TensorData, TensorSpec};
use bomf_fuse::{FuseError, Fusion, Groups, MemberSet, MemberTensor, Values};
use proptest::collection::vec;
use proptest::prelude::*;

fn tensor(name: &str, shape: &[usize], values: &[f32]) -> MemberTensor<'static> {
    MemberTensor {
        name: name.into(),
        shape: shape.to_vec(),
        values: Values::Owned(values.to_vec()),
    }
}

/// Members of one tensor each.
fn flat(members: &[Vec<f32>]) -> MemberSet<'static> {
    let mut set = MemberSet::new();
    for (i, values) in members.iter().enumerate() {
        let tensors = vec![tensor("x", &[values.len()], values)];
        set.push(format!("checkpoint-{i}"), tensors).unwrap();
    }
    set
}

fn fuse(set: &MemberSet<'_>, weights: &[f64]) -> Vec<f32> {
    let mut out = vec![f32::NAN; set.dim()];
    set.fuse_into(weights, &mut out).unwrap();
    out
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

/// Values that look random, the same every time.
fn noise(len: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

/// More than one block and one piece, and no multiple of either.
const LONG: usize = (1 << 17) + 4321;

#[test]
fn tensors_are_matched_by_name_and_laid_out_as_in_the_first_member() {
    let mut set = MemberSet::new();
    let a = vec![tensor("w", &[2, 1], &[1.0, 2.0]), tensor("b", &[], &[3.0])];
    let b = vec![
        tensor("b", &[], &[30.0]),
        tensor("w", &[2, 1], &[10.0, 20.0]),
    ];
    set.push("a", a).unwrap();
    set.push("b", b).unwrap();
    assert_eq!((set.len(), set.dim()), (2, 3));
    let [w, b] = set.segments() else {
        panic!("two segments");
    };
    assert_eq!((w.name.as_str(), w.offset, w.len), ("w", 0, 2));
    assert_eq!((b.name.as_str(), b.offset, b.len), ("b", 2, 1));
    assert_eq!(*set.values(1, 0), [10.0, 20.0]);
    assert_eq!(fuse(&set, &[0.5, 0.5]), [5.5, 11.0, 16.5]);
}

fn push_error(tensors: Vec<MemberTensor<'static>>) -> (String, Option<String>) {
    let mut set = MemberSet::new();
    let first = vec![
        tensor("w", &[2, 2], &[0.0; 4]),
        tensor("b", &[2], &[0.0; 2]),
    ];
    set.push("checkpoint-200", first).unwrap();
    let error = set.push("checkpoint-400", tensors).unwrap_err();
    assert_eq!(set.len(), 1);
    (error.to_string(), error.hint())
}

#[test]
fn members_of_another_architecture_are_refused_by_name() {
    let w = || tensor("w", &[2, 2], &[0.0; 4]);
    let b = || tensor("b", &[2], &[0.0; 2]);
    let (message, hint) = push_error(vec![w(), tensor("b", &[3], &[0.0; 3])]);
    assert_eq!(
        message,
        "tensor `b` is [3] in checkpoint-400 but [2] in checkpoint-200"
    );
    assert_eq!(hint.unwrap(), "fuse checkpoints of one architecture");
    // As many elements, but another shape.
    let (message, _) = push_error(vec![tensor("w", &[4], &[0.0; 4]), b()]);
    assert_eq!(
        message,
        "tensor `w` is [4] in checkpoint-400 but [2, 2] in checkpoint-200"
    );
    let (message, _) = push_error(vec![w()]);
    assert_eq!(
        message,
        "tensor `b` is in checkpoint-200 but not in checkpoint-400"
    );
    let (message, _) = push_error(vec![w(), b(), tensor("c", &[], &[0.0])]);
    assert_eq!(
        message,
        "tensor `c` is in checkpoint-400 but not in checkpoint-200"
    );
    let (message, _) = push_error(vec![w(), w(), b()]);
    assert_eq!(message, "tensor `w` is in checkpoint-400 twice");
    let (message, _) = push_error(vec![w(), tensor("b", &[2], &[0.0; 3])]);
    assert_eq!(
        message,
        "tensor `b` of checkpoint-400 has 3 values where its shape needs 2"
    );
}

#[test]
fn weights_and_outputs_that_do_not_fit_are_refused() {
    let set = flat(&[vec![1.0, 2.0], vec![3.0, 4.0]]);
    let fuse = |w: &[f64], n: usize| set.fuse_into(w, &mut vec![0.0; n]).unwrap_err();
    assert!(matches!(
        fuse(&[1.0], 2),
        FuseError::WeightCount {
            expected: 2,
            found: 1
        }
    ));
    assert!(matches!(
        fuse(&[0.5, f64::NAN], 2),
        FuseError::NonFiniteWeight { index: 1, .. }
    ));
    // Finite, but not as f32.
    assert!(matches!(
        fuse(&[1e300, 0.0], 2),
        FuseError::NonFiniteWeight { index: 0, .. }
    ));
    assert!(matches!(
        fuse(&[0.5, 0.5], 3),
        FuseError::OutputLength {
            expected: 2,
            found: 3
        }
    ));
    let empty = MemberSet::new();
    assert!(matches!(
        empty.fuse_into(&[], &mut []),
        Err(FuseError::NoMembers)
    ));
    assert!(matches!(empty.gram(|_| true), Err(FuseError::NoMembers)));
}

#[test]
fn a_vertex_returns_its_member_byte_for_byte() {
    let mut odd = noise(LONG, 1);
    odd[..6].copy_from_slice(&[
        -0.0,
        f32::from_bits(0x7FC0_1234),
        f32::from_bits(0x7F80_0001),
        f32::INFINITY,
        1e-45,
        f32::MIN,
    ]);
    let set = flat(&[noise(LONG, 2), odd.clone(), vec![f32::NAN; LONG]]);
    assert_eq!(bits(&fuse(&set, &[0.0, 1.0, 0.0])), bits(&odd));
    assert_eq!(bits(&fuse(&set, &[-0.0, 1.0, 0.0])), bits(&odd));
}

#[test]
fn members_of_weight_zero_are_not_read() {
    let set = flat(&[vec![1.0], vec![f32::NAN], vec![3.0]]);
    assert_eq!(fuse(&set, &[0.5, 0.0, 0.5]), [2.0]);
    assert_eq!(fuse(&set, &[0.0, 0.0, 0.0]), [0.0]);
}

#[test]
fn weights_may_be_negative_and_need_not_sum_to_one() {
    let set = flat(&[vec![1.0, 2.0], vec![10.0, 20.0]]);
    assert_eq!(fuse(&set, &[2.0, -0.5]), [-3.0, -6.0]);
}

#[test]
fn the_result_is_the_same_for_any_number_of_threads() {
    let members: Vec<_> = (0..7).map(|i| noise(LONG, i)).collect();
    let set = flat(&members);
    let weights: Vec<f64> = (1..8).map(|i| f64::from(i) / 28.0).collect();
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.unwrap()
            .install(|| (bits(&fuse(&set, &weights)), set.gram(|_| true).unwrap()))
    };
    let one = run(1);
    for threads in [2, 3, 8] {
        assert!(run(threads) == one);
    }
}

#[test]
fn one_segment_alone_is_the_same_as_within_the_whole() {
    let mut set = MemberSet::new();
    for i in 0..3 {
        let long = tensor("long", &[LONG], &noise(LONG, i));
        let short = tensor("short", &[7], &noise(7, i + 10));
        set.push(format!("{i}"), vec![short, long]).unwrap();
    }
    let weights = [0.2, 0.3, 0.5];
    let whole = fuse(&set, &weights);
    for (i, segment) in set.segments().iter().enumerate() {
        let mut part = vec![0.0; segment.len];
        set.fuse_segment_into(&weights, i, &mut part).unwrap();
        assert_eq!(part, whole[segment.offset..segment.offset + segment.len]);
    }
    assert!(set.fuse_segment_into(&weights, 0, &mut [0.0]).is_err());
}

#[test]
fn a_set_without_elements_fuses_to_nothing() {
    let mut set = MemberSet::new();
    set.push("a", vec![]).unwrap();
    set.push("b", vec![]).unwrap();
    assert_eq!(fuse(&set, &[0.5, 0.5]), [0.0; 0]);
    assert_eq!(set.gram(|_| true).unwrap().values(), [0.0; 4]);
}

// What is frozen.

/// Members of three tensors, of which `frozen` is the same in all.
fn partly_frozen(n: u32) -> MemberSet<'static> {
    let mut set = MemberSet::new();
    for i in 0..n {
        let tensors = vec![
            tensor("embeddings.w", &[LONG], &noise(LONG, 1000)),
            tensor("layers.0.w", &[LONG], &noise(LONG, i)),
            tensor("head.w", &[5], &noise(5, i + 500)),
        ];
        set.push(format!("{i}"), tensors).unwrap();
    }
    set
}

#[test]
fn tensors_that_all_members_share_are_recognised_and_copied() {
    let set = partly_frozen(3);
    let frozen: Vec<bool> = (0..3).map(|s| set.is_frozen(s)).collect();
    assert_eq!(frozen, [true, false, false]);
    let third = 1.0 / 3.0;
    let fused = fuse(&set, &[third, third, 1.0 - 2.0 * third]);
    assert_eq!(bits(&fused[..LONG]), bits(&noise(LONG, 1000)));
    // Weights that do not sum to one scale it, and none at all leave nothing of it.
    let fused = fuse(&set, &[1.5, -0.5, 1.0]);
    let doubled: Vec<f32> = noise(LONG, 1000).iter().map(|v| v * 2.0).collect();
    assert_eq!(bits(&fused[..LONG]), bits(&doubled));
    assert_eq!(fuse(&set, &[0.0; 3]), vec![0.0; set.dim()]);
}

#[test]
fn one_bit_of_one_member_makes_a_tensor_unfrozen() {
    let mut last = noise(LONG, 7);
    last[LONG - 1] = f32::from_bits(last[LONG - 1].to_bits() ^ 1);
    let set = flat(&[noise(LONG, 7), noise(LONG, 7), last]);
    assert!(!set.is_frozen(0));
    let signs = flat(&[vec![0.0], vec![-0.0]]);
    assert!(!signs.is_frozen(0));
    let nan = f32::from_bits(0x7fc0_0001);
    let set = flat(&[vec![nan], vec![nan]]);
    assert!(set.is_frozen(0));
    assert_eq!(bits(&fuse(&set, &[0.5, 0.5])), [0x7fc0_0001]);
}

#[test]
fn a_further_member_may_end_what_was_frozen() {
    let mut set = flat(&[vec![1.0, 2.0], vec![1.0, 2.0]]);
    assert!(set.is_frozen(0));
    set.push("another", vec![tensor("x", &[2], &[1.0, 3.0])])
        .unwrap();
    assert!(!set.is_frozen(0));
    assert_eq!(fuse(&set, &[0.25, 0.25, 0.5]), [1.0, 2.5]);
}

#[test]
fn many_threads_may_fuse_the_same_members_at_once() {
    use rayon::prelude::*;
    // None of them has asked before what is frozen.
    let set = partly_frozen(3);
    let weights = [0.2, 0.3, 0.5];
    let all: Vec<Vec<f32>> = (0..32)
        .into_par_iter()
        .map(|_| fuse(&set, &weights))
        .collect();
    assert!(all.iter().all(|fused| bits(fused) == bits(&all[0])));
}

#[test]
fn frozen_tensors_are_not_seen_by_the_gram_matrix() {
    let gram = partly_frozen(3).gram(|_| true).unwrap();
    let moving = partly_frozen(3).gram(|name| name != "embeddings.w");
    assert_eq!(gram, moving.unwrap());
    let infinite = flat(&[vec![f32::INFINITY], vec![f32::INFINITY]]);
    assert_eq!(infinite.gram(|_| true).unwrap().values(), [0.0; 4]);
}

#[test]
fn a_member_that_is_not_finite_is_found() {
    let mut broken = noise(LONG, 1);
    broken[LONG - 1] = f32::NAN;
    let set = flat(&[noise(LONG, 2), broken, vec![f32::INFINITY; LONG]]);
    let finite: Vec<bool> = (0..3).map(|i| set.is_finite(i)).collect();
    assert_eq!(finite, [true, false, false]);
}

// Groups of tensors with weights of their own.

#[test]
fn each_group_has_its_own_weights() {
    let set = partly_frozen(3);
    let groups = Groups::proposed(set.segments(), 4);
    assert_eq!(groups.names(), ["embeddings", "layer 0", "head"]);
    let weights = [[0.2, 0.3, 0.5], [0.0, 1.0, 0.0], [0.5, 0.0, 0.5]];
    let mut fused = vec![f32::NAN; set.dim()];
    set.fuse_groups_into(&groups, &weights, &mut fused).unwrap();
    for (i, segment) in set.segments().iter().enumerate() {
        let whole = fuse(&set, &weights[groups.of(i)]);
        let range = segment.offset..segment.offset + segment.len;
        assert_eq!(bits(&fused[range.clone()]), bits(&whole[range]));
    }
}

#[test]
fn groups_and_weights_that_do_not_fit_are_refused() {
    let set = partly_frozen(2);
    let groups = Groups::proposed(set.segments(), 4);
    let mut out = vec![0.0; set.dim()];
    let mut message = |groups: &Groups, weights: &[Vec<f64>]| {
        let error = set.fuse_groups_into(groups, weights, &mut out);
        error.unwrap_err().to_string()
    };
    let half = vec![0.5; 2];
    assert_eq!(
        message(&groups, std::slice::from_ref(&half)),
        "1 lists of weights for 3 groups of tensors"
    );
    assert_eq!(
        message(&groups, &[half.clone(), vec![1.0], half.clone()]),
        "group `layer 0`: 1 weights for 2 members"
    );
    assert_eq!(
        message(&Groups::one(&set.segments()[..2]), &[half]),
        "the groups are of 2 tensors, but the members have 3"
    );
    let broken = set.fuse_groups_into(
        &groups,
        &[[0.5, 0.5], [0.5, 0.5], [f64::NAN, 1.0]],
        &mut out,
    );
    let hint = broken.unwrap_err().hint();
    assert_eq!(hint.unwrap(), "weights must be finite numbers");
}

#[test]
fn a_fusion_made_again_is_the_one_made_at_once() {
    let set = partly_frozen(3);
    let groups = Groups::proposed(set.segments(), 4);
    let mut fusion = Fusion::new(&set);
    let a = [[0.2, 0.3, 0.5]; 3];
    let b = [[0.2, 0.3, 0.5], [0.2, 0.3, 0.5], [1.0, 0.0, 0.0]];
    // The frozen part is to be scaled here, and copied before and after.
    let c = [[0.5, 0.0, 0.0]; 3];
    for weights in [a, b, b, c, a] {
        let mut expected = vec![0.0; set.dim()];
        set.fuse_groups_into(&groups, &weights, &mut expected)
            .unwrap();
        let found = fusion.fuse_groups(&groups, &weights).unwrap();
        assert_eq!(bits(found), bits(&expected));
    }
    assert_eq!(
        bits(fusion.fuse(&[0.0, 1.0, 0.0]).unwrap()),
        bits(&fuse(&set, &[0.0, 1.0, 0.0]))
    );
    let before = fusion.values().to_vec();
    assert!(fusion.fuse(&[1.0]).is_err());
    assert_eq!(bits(fusion.values()), bits(&before));
}

// Members on disk.

fn write(dir: &Path, dtype: Dtype, values: &[f32]) -> Arc<Checkpoint> {
    let specs = [
        TensorSpec::new("a", dtype, &[values.len()]),
        TensorSpec::new("steps", Dtype::I64, &[1]),
    ];
    let mut writer = FolderWriter::create(dir, false).unwrap();
    writer
        .write_model(&specs, &ModelLayout::default(), |i| match i {
            0 => Ok(TensorData::F32(values.into())),
            _ => Ok(TensorData::Bytes(vec![0; 8].into())),
        })
        .unwrap();
    writer.commit().unwrap();
    Arc::new(Checkpoint::open(dir).unwrap())
}

#[test]
fn members_are_read_from_disk_mapped_or_converted() {
    let root = tempfile::tempdir().unwrap();
    let mapped = write(&root.path().join("f32"), Dtype::F32, &[1.0, 2.0, 3.0]);
    let half = write(&root.path().join("f16"), Dtype::F16, &[3.0, 4.0, 5.0]);
    let names = ["a".to_owned()];
    let members = [("one", mapped), ("two", half)];
    let set = MemberSet::from_checkpoints(members, &names).unwrap();
    assert_eq!(set.labels(), ["one", "two"]);
    assert_eq!(fuse(&set, &[0.5, 0.5]), [2.0, 3.0, 4.0]);
}

#[test]
fn members_of_every_float_type_are_fused_from_where_they_lie() {
    let root = tempfile::tempdir().unwrap();
    let values: Vec<f32> = (0..LONG).map(|i| (i % 200) as f32 / 8.0 - 12.0).collect();
    let names = ["a".to_owned()];
    for dtype in [
        Dtype::F32,
        Dtype::F16,
        Dtype::BF16,
        Dtype::F64,
        Dtype::F8_E4M3,
    ] {
        let members: Vec<_> = (0..6)
            .map(|i| {
                let scaled: Vec<f32> = values.iter().map(|v| v * (i + 1) as f32).collect();
                let dir = root.path().join(format!("{dtype:?}{i}"));
                (format!("{i}"), write(&dir, dtype, &scaled))
            })
            .collect();
        let stored: Vec<Vec<f32>> = members
            .iter()
            .map(|(_, checkpoint)| checkpoint.tensor("a").unwrap().to_f32().unwrap())
            .collect();
        let set = MemberSet::from_checkpoints(members, &names).unwrap();
        let weights = [0.1, 0.2, 0.3, -0.1, 0.25, 0.25];
        assert_eq!(
            bits(&fuse(&set, &weights)),
            bits(&fuse(&flat(&stored), &weights)),
            "{dtype:?}"
        );
        let mut vertex = [0.0; 6];
        vertex[3] = 1.0;
        assert_eq!(bits(&fuse(&set, &vertex)), bits(&stored[3]), "{dtype:?}");
        assert_eq!(
            set.gram(|_| true).unwrap(),
            flat(&stored).gram(|_| true).unwrap()
        );
        assert_eq!(*set.values(2, 0), stored[2]);
    }
}

#[test]
fn the_same_values_in_other_types_are_not_taken_for_frozen() {
    let root = tempfile::tempdir().unwrap();
    let one = write(&root.path().join("f32"), Dtype::F32, &[1.0, 2.0]);
    let two = write(&root.path().join("bf16"), Dtype::BF16, &[1.0, 2.0]);
    let names = ["a".to_owned()];
    let again = [("one", Arc::clone(&one)), ("again", Arc::clone(&one))];
    assert!(
        MemberSet::from_checkpoints(again, &names)
            .unwrap()
            .is_frozen(0)
    );
    let set = MemberSet::from_checkpoints([("one", one), ("two", two)], &names).unwrap();
    assert!(!set.is_frozen(0));
    assert_eq!(fuse(&set, &[0.5, 0.5]), [1.0, 2.0]);
}

#[test]
fn tensors_that_are_missing_or_no_floats_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let one = write(&root.path().join("m"), Dtype::F32, &[1.0]);
    for name in ["b", "steps"] {
        let result = MemberSet::from_checkpoints([("one", Arc::clone(&one))], &[name.to_owned()]);
        assert!(matches!(result, Err(FuseError::Checkpoint(_))));
    }
}

// The Gram matrix.

/// The Gram matrix by its definition.
fn gram_by_definition(members: &[Vec<f32>]) -> Vec<f64> {
    let n = members.len();
    let dim = members[0].len();
    let mean: Vec<f64> = (0..dim)
        .map(|k| members.iter().map(|m| f64::from(m[k])).sum::<f64>() / n as f64)
        .collect();
    let difference = |i: usize, k: usize| f64::from(members[i][k]) - mean[k];
    let entry = |i, j| (0..dim).map(|k| difference(i, k) * difference(j, k)).sum();
    (0..n * n).map(|ij| entry(ij / n, ij % n)).collect()
}

#[test]
fn gram_is_its_definition_even_for_members_close_together() {
    // Checkpoints of one trajectory differ in the fourth digit.
    let base = noise(LONG, 99);
    let members: Vec<Vec<f32>> = (0..4)
        .map(|i| {
            let step = noise(LONG, i);
            base.iter().zip(step).map(|(b, s)| b + 1e-4 * s).collect()
        })
        .collect();
    let gram = flat(&members).gram(|_| true).unwrap();
    let want = gram_by_definition(&members);
    let largest = want.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    for (g, w) in gram.values().iter().zip(&want) {
        assert!((g - w).abs() <= 1e-10 * largest, "{g} instead of {w}");
    }
}

#[test]
fn gram_leaves_out_the_segments_that_it_is_told_to() {
    let mut set = MemberSet::new();
    for i in 0..3u8 {
        let x = f32::from(i);
        let tensors = vec![
            tensor("head", &[2], &[100.0 * x, 7.0]),
            tensor("body", &[2], &[x, -x]),
        ];
        set.push(format!("{i}"), tensors).unwrap();
    }
    let body = set.gram(|name| name != "head").unwrap();
    assert_eq!(body.get(0, 0), 2.0);
    assert_eq!(body.get(0, 2), -2.0);
    assert_eq!(body.get(0, 1), 0.0);
    let all = set.gram(|_| true).unwrap();
    assert_eq!(all.get(0, 0), 10002.0);
}

proptest! {
    #[test]
    fn fusing_is_the_weighted_sum(
        (members, weights) in (1usize..7, 1usize..200).prop_flat_map(|(n, d)| (
            vec(vec(-10f32..10.0, d), n),
            vec(-2f64..2.0, n),
        )),
    ) {
        let fused = fuse(&flat(&members), &weights);
        for (k, &got) in fused.iter().enumerate() {
            let terms = members.iter().zip(&weights).map(|(m, w)| f64::from(m[k]) * w);
            let size: f64 = terms.clone().map(f64::abs).sum();
            let want: f64 = terms.sum();
            // Two roundings a member, each of at most half a unit in the last place.
            let tolerance = 2.0 * members.len() as f64 * f64::from(f32::EPSILON) * size;
            prop_assert!((f64::from(got) - want).abs() <= tolerance + 1e-30);
        }
    }

    #[test]
    fn equal_members_fuse_to_themselves_nearly(
        values in vec(-10f32..10.0, 1..50),
        n in 2usize..6,
    ) {
        let fused = fuse(&flat(&vec![values.clone(); n]), &vec![1.0 / n as f64; n]);
        for (got, want) in fused.iter().zip(&values) {
            prop_assert!((got - want).abs() <= 4.0 * n as f32 * f32::EPSILON * want.abs());
        }
    }

    #[test]
    fn gram_gives_the_distance_of_fused_weights(
        (members, a, b) in (2usize..6, 1usize..60).prop_flat_map(|(n, d)| (
            vec(vec(-10f32..10.0, d), n),
            vec(0.01f64..1.0, n),
            vec(0.01f64..1.0, n),
        )),
    ) {
        let normal = |w: &[f64]| -> Vec<f64> {
            let total: f64 = w.iter().sum();
            w.iter().map(|v| v / total).collect()
        };
        let (a, b) = (normal(&a), normal(&b));
        let gram = flat(&members).gram(|_| true).unwrap();
        let want: f64 = (0..members[0].len())
            .map(|k| {
                let at = |w: &[f64]| -> f64 {
                    members.iter().zip(w).map(|(m, w)| f64::from(m[k]) * w).sum()
                };
                (at(&a) - at(&b)).powi(2)
            })
            .sum();
        let got = gram.squared_distance(&a, &b);
        let scale = gram.values().iter().fold(1.0f64, |m, v| m.max(v.abs()));
        prop_assert!((got - want).abs() <= 1e-12 * scale);
        prop_assert_eq!(gram.squared_distance(&a, &a), 0.0);
    }

    #[test]
    fn gram_is_symmetric_and_its_rows_sum_to_zero(
        members in (1usize..6, 0usize..700).prop_flat_map(|(n, d)| vec(vec(-10f32..10.0, d), n)),
    ) {
        let gram = flat(&members).gram(|_| true).unwrap();
        let scale = gram.values().iter().fold(1.0f64, |m, v| m.max(v.abs()));
        for i in 0..gram.n() {
            let row: f64 = (0..gram.n()).map(|j| gram.get(i, j)).sum();
            prop_assert!(row.abs() <= 1e-12 * scale);
            for j in 0..gram.n() {
                prop_assert_eq!(gram.get(i, j), gram.get(j, i));
            }
        }
    }
}
