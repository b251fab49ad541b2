//! Writing folders: the bytes, and that nothing half-written is ever seen.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use bomf_checkpoint::{
    Checkpoint, CheckpointError, Dtype, FolderWriter, ModelLayout, TensorData, TensorSpec,
    write_bytes_atomic, write_json_atomic,
};
use common::{golden, names_in, write_model, write_model_as};
use half::{bf16, f16};
use proptest::collection::vec;
use proptest::prelude::*;

/// Copies a checkpoint's tensors as they are.
fn copy(from: &Checkpoint, to: &Path, max_shard_bytes: Option<u64>) {
    let specs: Vec<_> = from
        .tensors()
        .map(|t| TensorSpec::new(t.name(), t.dtype(), t.shape()))
        .collect();
    let tensors: Vec<_> = from.tensors().collect();
    let layout = ModelLayout {
        max_shard_bytes,
        metadata: from.metadata().clone(),
    };
    let mut writer = FolderWriter::create(to, false).unwrap();
    writer
        .write_model(&specs, &layout, |i| {
            Ok(TensorData::Bytes(tensors[i].bytes().into()))
        })
        .unwrap();
    writer.commit().unwrap();
}

#[test]
fn a_copy_is_byte_for_byte_what_python_writes() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("copy");
    copy(&Checkpoint::open(golden("single")).unwrap(), &dir, None);
    let ours = fs::read(dir.join("model.safetensors")).unwrap();
    let python = fs::read(golden("single/model.safetensors")).unwrap();
    assert!(ours == python);
}

#[test]
fn shards_hold_no_more_than_they_may_and_read_back_as_one() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("sharded");
    let original = Checkpoint::open(golden("single")).unwrap();
    copy(&original, &dir, Some(60));
    let names = names_in(&dir);
    assert!(names.contains(&"model.safetensors.index.json".to_owned()));
    let shards: Vec<_> = names
        .iter()
        .filter(|n| n.ends_with(".safetensors"))
        .collect();
    assert!(shards.len() > 2);
    let last = format!("model-{0:05}-of-{0:05}.safetensors", shards.len());
    assert!(dir.join(last).exists());
    for shard in shards {
        let shard = Checkpoint::open(dir.join(shard)).unwrap();
        let bytes: usize = shard.tensors().map(|t| t.bytes().len()).sum();
        assert!(bytes <= 60 || shard.len() == 1);
        assert_eq!(shard.metadata()["format"], "pt");
    }
    let copy = Checkpoint::open(&dir).unwrap();
    for (a, b) in original.tensors().zip(copy.tensors()) {
        assert_eq!(
            (a.name(), a.shape(), a.bytes()),
            (b.name(), b.shape(), b.bytes())
        );
    }
    let index = fs::read_to_string(dir.join("model.safetensors.index.json")).unwrap();
    let index: serde_json::Value = serde_json::from_str(&index).unwrap();
    let total: usize = original.tensors().map(|t| t.bytes().len()).sum();
    assert_eq!(index["metadata"]["total_size"], total);
}

#[test]
fn nothing_is_seen_before_commit_and_nothing_remains_after_a_drop() {
    let root = tempfile::tempdir().unwrap();
    let target = root.path().join("fused");
    let mut writer = FolderWriter::create(&target, false).unwrap();
    writer.write_bytes("config.json", b"{}").unwrap();
    assert!(!target.exists());
    drop(writer);
    assert_eq!(names_in(root.path()), [""; 0]);
}

#[test]
fn a_failing_tensor_leaves_nothing_behind() {
    let root = tempfile::tempdir().unwrap();
    let target = root.path().join("fused");
    let specs = [TensorSpec::new("x", Dtype::F32, &[2])];
    let mut writer = FolderWriter::create(&target, false).unwrap();
    let result = writer.write_model(&specs, &ModelLayout::default(), |_| {
        Ok(TensorData::F32(vec![1.0; 3].into()))
    });
    assert!(matches!(
        result,
        Err(CheckpointError::WrongLength {
            expected: 2,
            found: 3,
            ..
        })
    ));
    drop(writer);
    assert_eq!(names_in(root.path()), [""; 0]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_a_typed_error_with_the_files_final_path() {
    let root = tempfile::tempdir().unwrap();
    let target = root.path().join("fused");
    let mut writer = FolderWriter::create(&target, false).unwrap();
    // Every write to this device fails as on a full disk.
    std::os::unix::fs::symlink("/dev/full", writer.staging().join("model.safetensors")).unwrap();
    for dtype in [Dtype::F32, Dtype::F16] {
        let specs = [TensorSpec::new("x", dtype, &[100_000])];
        let result = writer.write_model(&specs, &ModelLayout::default(), |_| {
            Ok(TensorData::F32(vec![1.0; 100_000].into()))
        });
        match result {
            Err(CheckpointError::DiskFull { path }) => {
                assert_eq!(path, target.join("model.safetensors"));
            }
            other => panic!("{other:?}"),
        }
    }
    drop(writer);
    assert_eq!(names_in(root.path()), [""; 0]);
}

#[test]
fn a_full_target_is_kept_unless_told_otherwise() {
    let root = tempfile::tempdir().unwrap();
    let target = root.path().join("fused");
    write_model(&target, &[("x", &[1], vec![1.0])], None);
    assert!(matches!(
        FolderWriter::create(&target, false),
        Err(CheckpointError::TargetExists { .. })
    ));
    // The old files stay readable through their mapping until they are closed.
    let old = Checkpoint::open(&target).unwrap();
    let mut writer = FolderWriter::create(&target, true).unwrap();
    let specs = [TensorSpec::new("y", Dtype::F32, &[1])];
    writer
        .write_model(&specs, &ModelLayout::default(), |_| {
            Ok(TensorData::F32(old.tensor("x").unwrap().to_f32()?.into()))
        })
        .unwrap();
    assert_eq!(old.tensor("x").unwrap().to_f32().unwrap(), [1.0]);
    assert_eq!(writer.commit().unwrap(), target);
    assert_eq!(old.tensor("x").unwrap().to_f32().unwrap(), [1.0]);
    let new = Checkpoint::open(&target).unwrap();
    assert_eq!(new.names().collect::<Vec<_>>(), ["y"]);
    assert_eq!(names_in(root.path()), ["fused"]);
}

#[test]
fn a_folder_that_is_no_model_is_never_replaced() {
    let root = tempfile::tempdir().unwrap();
    let target = root.path().join("home");
    fs::create_dir(&target).unwrap();
    fs::write(target.join("thesis.tex"), "years of work").unwrap();
    assert!(matches!(
        FolderWriter::create(&target, true),
        Err(CheckpointError::NotAModelFolder { .. })
    ));
    assert!(matches!(
        FolderWriter::create(target.join("thesis.tex"), true),
        Err(CheckpointError::TargetExists { .. })
    ));
    assert!(matches!(
        FolderWriter::create(target.join(".."), true),
        Err(CheckpointError::BadTarget { .. })
    ));
}

#[test]
fn somebody_elses_folder_made_meanwhile_is_left_alone() {
    let root = tempfile::tempdir().unwrap();
    let target = root.path().join("fused");
    let mut writer = FolderWriter::create(&target, false).unwrap();
    writer.write_bytes("a", b"ours").unwrap();
    fs::create_dir(&target).unwrap();
    fs::write(target.join("b"), "theirs").unwrap();
    assert!(matches!(
        writer.commit(),
        Err(CheckpointError::TargetExists { .. })
    ));
    assert_eq!(names_in(&target), ["b"]);
    assert_eq!(names_in(root.path()), ["fused"]);
}

#[test]
fn an_empty_folder_and_missing_parents_are_fine() {
    let root = tempfile::tempdir().unwrap();
    let empty = root.path().join("empty");
    fs::create_dir(&empty).unwrap();
    write_model(&empty, &[("x", &[1], vec![1.0])], None);
    write_model(&root.path().join("a/b/c"), &[("x", &[1], vec![1.0])], None);
    assert!(Checkpoint::open(root.path().join("a/b/c")).is_ok());
}

#[test]
fn sidecars_are_copied_and_own_files_are_kept() {
    let root = tempfile::tempdir().unwrap();
    let from = root.path().join("from");
    fs::create_dir(&from).unwrap();
    let carried = [
        "config.json",
        "merges.txt",
        "special_tokens_map.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "vocab.txt",
    ];
    for name in carried {
        fs::write(from.join(name), name).unwrap();
    }
    for name in ["optimizer.pt", "model.safetensors", "trainer_state.json"] {
        fs::write(from.join(name), name).unwrap();
    }
    let target = root.path().join("to");
    let mut writer = FolderWriter::create(&target, false).unwrap();
    writer
        .write_json("config.json", &BTreeMap::from([("a", 1)]))
        .unwrap();
    assert_eq!(writer.copy_sidecars(&from).unwrap(), &carried[1..]);
    writer.commit().unwrap();
    assert_eq!(names_in(&target), carried);
    assert_eq!(
        fs::read_to_string(target.join("vocab.txt")).unwrap(),
        "vocab.txt"
    );
    assert_eq!(
        fs::read_to_string(target.join("config.json")).unwrap(),
        "{\n  \"a\": 1\n}\n"
    );
}

#[test]
fn values_beyond_the_range_of_f16_are_refused_and_infinities_kept() {
    let root = tempfile::tempdir().unwrap();
    let specs = [TensorSpec::new("x", Dtype::F16, &[2])];
    let mut writer = FolderWriter::create(root.path().join("m"), false).unwrap();
    let mut write = |x: f32| {
        writer.write_model(&specs, &ModelLayout::default(), |_| {
            Ok(TensorData::F32(vec![1.0, x].into()))
        })
    };
    assert!(matches!(
        write(-70000.0),
        Err(CheckpointError::OutOfRange {
            value: -70000.0,
            ..
        })
    ));
    // 65519 rounds down to the greatest f16.
    for fine in [65519.0, f32::INFINITY, f32::NAN] {
        write(fine).unwrap();
    }
}

#[test]
fn eight_bits_saturate_or_are_refused_as_the_type_has_infinities_or_not() {
    let root = tempfile::tempdir().unwrap();
    let mut writer = FolderWriter::create(root.path().join("m"), false).unwrap();
    let mut write = |dtype, x: f32| {
        let specs = [TensorSpec::new("x", dtype, &[2])];
        writer.write_model(&specs, &ModelLayout::default(), |_| {
            Ok(TensorData::F32(vec![1.0, x].into()))
        })
    };
    assert!(matches!(
        write(Dtype::F8_E5M2, -65000.0),
        Err(CheckpointError::OutOfRange { .. })
    ));
    write(Dtype::F8_E5M2, 61000.0).unwrap();
    write(Dtype::F8_E4M3, -65000.0).unwrap();
    let folder = writer.commit().unwrap();
    let checkpoint = bomf_checkpoint::Checkpoint::open(folder).unwrap();
    let x = checkpoint.tensor("x").unwrap();
    assert_eq!(x.to_f32().unwrap(), [1.0, -448.0]);
}

#[test]
fn floats_for_an_integer_tensor_and_twins_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let mut writer = FolderWriter::create(root.path().join("m"), false).unwrap();
    let mut write = |specs: &[TensorSpec]| {
        writer.write_model(specs, &ModelLayout::default(), |_| {
            Ok(TensorData::F32(vec![1.0].into()))
        })
    };
    let x = |dtype| TensorSpec::new("x", dtype, &[1]);
    assert!(matches!(
        write(&[x(Dtype::I64)]),
        Err(CheckpointError::NotFloat { .. })
    ));
    assert!(matches!(
        write(&[x(Dtype::F32), x(Dtype::F32)]),
        Err(CheckpointError::DuplicateTensor { .. })
    ));
}

#[test]
fn single_files_are_replaced_whole() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("pareto.json");
    write_json_atomic(&path, &[1, 2]).unwrap();
    write_bytes_atomic(&path, b"[3]").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"[3]");
    assert_eq!(names_in(root.path()), ["pareto.json"]);
    let missing = root.path().join("no/such/folder.json");
    assert!(write_bytes_atomic(missing, b"").is_err());
}

#[cfg(unix)]
#[test]
fn files_and_folders_get_the_usual_permissions() {
    use std::os::unix::fs::PermissionsExt;
    let root = tempfile::tempdir().unwrap();
    let mode = |p: &Path| fs::metadata(p).unwrap().permissions().mode() & 0o777;
    fs::write(root.path().join("plain"), "").unwrap();
    fs::create_dir(root.path().join("plain_dir")).unwrap();
    write_bytes_atomic(root.path().join("ours"), b"").unwrap();
    write_model(
        &root.path().join("ours_dir"),
        &[("x", &[1], vec![1.0])],
        None,
    );
    assert_eq!(
        mode(&root.path().join("ours")),
        mode(&root.path().join("plain"))
    );
    assert_eq!(
        mode(&root.path().join("ours_dir")),
        mode(&root.path().join("plain_dir"))
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn floats_are_rounded_once_to_nearest_even(
        values in vec(-60000.0..60000.0f32, 1..5000),
        tiny in vec(-1e-4..1e-4f32, 1..50),
        max_shard in prop::option::of(1u64..20_000),
    ) {
        for dtype in [Dtype::F16, Dtype::BF16] {
            let root = tempfile::tempdir().unwrap();
            let dir = root.path().join("m");
            let tensors: [(&str, &[usize], Vec<f32>); 2] = [
                ("b", &[values.len()], values.clone()),
                ("a", &[tiny.len(), 1], tiny.clone()),
            ];
            write_model_as(&dir, dtype, &tensors, max_shard);
            let checkpoint = Checkpoint::open(&dir).unwrap();
            for (name, _, original) in &tensors {
                let read = checkpoint.tensor(name).unwrap().to_f32().unwrap();
                for (r, &o) in read.iter().zip(original) {
                    let want = match dtype {
                        Dtype::F16 => f16::from_f32(o).to_f32(),
                        _ => bf16::from_f32(o).to_f32(),
                    };
                    prop_assert_eq!(r.to_bits(), want.to_bits());
                }
            }
        }
    }
}
