//! Opening checkpoints: values against Python's, and one clear error for each kind of damage.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::fs;
use std::path::Path;

use bomf_checkpoint::{Checkpoint, CheckpointError, Dtype};
use common::{golden, write_model, write_model_as};

fn check_golden(dir: &str) {
    let checkpoint = Checkpoint::open(golden(dir)).unwrap();
    let text = fs::read_to_string(golden("expected.json")).unwrap();
    let expected: serde_json::Value = serde_json::from_str(&text).unwrap();
    let tensors = expected["tensors"].as_object().unwrap();
    assert_eq!(tensors.len(), 7);
    for (name, want) in tensors {
        let tensor = checkpoint.tensor(name).unwrap();
        let shape: Vec<u64> = tensor.shape().iter().map(|&d| d as u64).collect();
        assert_eq!(serde_json::json!(shape), want["shape"], "{name}");
        let bits: Vec<i32> = tensor
            .to_f32()
            .unwrap()
            .iter()
            .map(|v| v.to_bits() as i32)
            .collect();
        assert_eq!(serde_json::json!(bits), want["f32_bits"], "{name}");
    }
    assert_eq!(checkpoint.metadata()["format"], "pt");
    assert_eq!(checkpoint.len(), 9);
}

#[test]
fn single_file_reads_as_python_reads_it() {
    check_golden("single");
}

#[test]
fn sharded_checkpoint_reads_as_python_reads_it() {
    check_golden("sharded");
}

#[test]
fn a_path_to_the_file_itself_is_taken() {
    let checkpoint = Checkpoint::open(golden("single/model.safetensors")).unwrap();
    assert_eq!(checkpoint.len(), 9);
}

#[test]
fn tensors_are_ordered_by_name_however_files_are_laid_out() {
    let single = Checkpoint::open(golden("single")).unwrap();
    let sharded = Checkpoint::open(golden("sharded")).unwrap();
    let names: Vec<_> = single.names().collect();
    assert!(names.is_sorted());
    assert_eq!(names, sharded.names().collect::<Vec<_>>());
    assert_eq!(single.num_parameters(), sharded.num_parameters());
    for (a, b) in single.tensors().zip(sharded.tensors()) {
        assert_eq!(
            (a.name(), a.dtype(), a.shape()),
            (b.name(), b.dtype(), b.shape())
        );
        assert_eq!(a.bytes(), b.bytes());
    }
}

#[test]
fn integers_and_booleans_are_refused_as_floats() {
    let checkpoint = Checkpoint::open(golden("single")).unwrap();
    for (name, dtype) in [
        ("embeddings.position_ids", Dtype::I64),
        ("mask", Dtype::BOOL),
    ] {
        let tensor = checkpoint.tensor(name).unwrap();
        assert!(!tensor.is_float());
        assert!(matches!(
            tensor.to_f32(),
            Err(CheckpointError::NotFloat { tensor, dtype: d }) if tensor == name && d == dtype
        ));
    }
}

#[test]
fn aligned_f32_is_seen_without_a_copy_and_other_types_are_not() {
    let checkpoint = Checkpoint::open(golden("single")).unwrap();
    let weight = checkpoint.tensor("encoder.layer.10.weight").unwrap();
    assert_eq!(weight.as_f32_slice().unwrap(), weight.to_f32().unwrap());
    let half = checkpoint.tensor("encoder.layer.2.weight").unwrap();
    assert!(half.as_f32_slice().is_none());
}

#[test]
fn misaligned_tensors_are_read_through_a_copy() {
    // Old writers did not pad the header: here it is padded so that the data are misaligned.
    for (dtype, bytes) in [
        ("F32", 1.5f32.to_le_bytes().to_vec()),
        ("F16", half::f16::from_f32(1.5).to_le_bytes().to_vec()),
        ("BF16", half::bf16::from_f32(1.5).to_le_bytes().to_vec()),
        ("F64", 1.5f64.to_le_bytes().to_vec()),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let mut header = format!(
            r#"{{"x":{{"dtype":"{dtype}","shape":[1],"data_offsets":[0,{}]}}}}"#,
            bytes.len()
        );
        while header.len() % 8 != 1 {
            header.push(' ');
        }
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend(header.bytes());
        file.extend(bytes);
        fs::write(dir.path().join("model.safetensors"), file).unwrap();
        let checkpoint = Checkpoint::open(dir.path()).unwrap();
        let x = checkpoint.tensor("x").unwrap();
        assert!(x.as_f32_slice().is_none());
        assert_eq!(x.to_f32().unwrap(), [1.5], "{dtype}");
    }
}

#[test]
fn a_buffer_of_the_wrong_length_is_refused() {
    let checkpoint = Checkpoint::open(golden("single")).unwrap();
    let scale = checkpoint.tensor("scale").unwrap();
    assert_eq!((scale.len(), scale.shape()), (1, &[][..]));
    assert!(matches!(
        scale.read_f32_into(&mut [0.0; 2]),
        Err(CheckpointError::WrongLength {
            expected: 1,
            found: 2,
            ..
        })
    ));
    assert!(checkpoint.tensor("nothing").unwrap().is_empty());
}

#[test]
fn an_unknown_tensor_is_named_with_its_checkpoint() {
    let checkpoint = Checkpoint::open(golden("single")).unwrap();
    assert!(checkpoint.get("pooler").is_none());
    let error = checkpoint.tensor("pooler").unwrap_err();
    assert!(error.to_string().starts_with("no tensor `pooler` in "));
}

/// Opens a folder after `spoil` has worked on it, and returns message and hint.
fn error_after(spoil: impl FnOnce(&Path)) -> (CheckpointError, String) {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("model");
    let tensors: [(&str, &[usize], Vec<f32>); 2] =
        [("a", &[4], vec![1.0; 4]), ("b", &[4], vec![2.0; 4])];
    write_model(&dir, &tensors, Some(16));
    write_model(&root.path().join("single"), &tensors, None);
    fs::copy(
        root.path().join("single/model.safetensors"),
        root.path().join("single.bytes"),
    )
    .unwrap();
    spoil(&dir);
    let error = Checkpoint::open(&dir).unwrap_err();
    let message = error.to_string().replace(&dir.display().to_string(), "DIR");
    (error, message)
}

fn make_single(dir: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(dir.with_file_name("single.bytes")).unwrap();
    change(&mut bytes);
    fs::remove_dir_all(dir).unwrap();
    fs::create_dir(dir).unwrap();
    fs::write(dir.join("model.safetensors"), bytes).unwrap();
}

#[test]
fn a_missing_folder_is_said() {
    let (error, message) = error_after(|dir| fs::remove_dir_all(dir).unwrap());
    assert_eq!(message, "model folder `DIR` does not exist");
    assert!(error.hint().is_some());
}

#[test]
fn a_folder_without_weights_is_said() {
    let (_, message) = error_after(|dir| {
        fs::remove_dir_all(dir).unwrap();
        fs::create_dir(dir).unwrap();
    });
    assert_eq!(
        message,
        "no `model.safetensors`, `pytorch_model.bin` or index of either in `DIR`"
    );
}

#[test]
fn another_format_is_named_with_how_to_convert_it() {
    let (error, message) = error_after(|dir| {
        fs::remove_dir_all(dir).unwrap();
        fs::create_dir(dir).unwrap();
        fs::write(dir.join("tf_model.h5"), b"HDF").unwrap();
    });
    assert_eq!(
        message,
        "`DIR/tf_model.h5` is in TensorFlow format, which is not supported yet"
    );
    assert!(error.hint().unwrap().contains("safe_serialization=True"));
}

#[test]
fn a_truncated_file_is_told_from_a_damaged_one() {
    let (error, message) = error_after(|dir| make_single(dir, |b| b.truncate(b.len() - 5)));
    assert!(message.starts_with("`DIR/model.safetensors` is truncated: "));
    assert!(matches!(
        error,
        CheckpointError::Truncated { expected, found, .. } if expected == found + 5
    ));
    let (error, _) = error_after(|dir| make_single(dir, |b| b.truncate(20)));
    assert!(matches!(
        error,
        CheckpointError::Truncated { found: 20, .. }
    ));
    let (error, _) = error_after(|dir| make_single(dir, Vec::clear));
    assert!(matches!(error, CheckpointError::Truncated { found: 0, .. }));
}

#[test]
fn a_broken_header_is_said() {
    let (_, message) = error_after(|dir| make_single(dir, |b| b[8] = b'!'));
    assert!(message.starts_with("`DIR/model.safetensors` has a broken safetensors header: "));
    let (error, _) = error_after(|dir| make_single(dir, |b| b[7] = 0xFF));
    assert!(matches!(error, CheckpointError::BrokenHeader { .. }));
    // Bytes behind the last tensor.
    let (error, _) = error_after(|dir| make_single(dir, |b| b.push(0)));
    assert!(matches!(error, CheckpointError::BrokenHeader { .. }));
}

#[test]
fn a_git_lfs_pointer_is_recognised() {
    let (error, _) = error_after(|dir| {
        make_single(dir, |b| {
            *b = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n".to_vec();
        });
    });
    assert!(matches!(error, CheckpointError::LfsPointer { .. }));
    assert!(error.hint().unwrap().contains("git lfs pull"));
}

#[test]
fn a_missing_shard_is_named() {
    let shard = "model-00002-of-00002.safetensors";
    let (error, message) = error_after(|dir| fs::remove_file(dir.join(shard)).unwrap());
    assert_eq!(
        message,
        format!(
            "shard `{shard}` is missing: `DIR/model.safetensors.index.json` puts tensor `b` there"
        )
    );
    assert!(error.hint().unwrap().contains(shard));
}

fn with_index(index: &str) -> CheckpointError {
    error_after(|dir| fs::write(dir.join("model.safetensors.index.json"), index).unwrap()).0
}

#[test]
fn an_index_that_does_not_fit_is_refused() {
    let one = "model-00001-of-00002.safetensors";
    assert!(matches!(
        with_index("{"),
        CheckpointError::BrokenJson { .. }
    ));
    assert!(matches!(
        with_index(r#"{"weight_map": 3}"#),
        CheckpointError::BrokenJson { .. }
    ));
    assert!(matches!(
        with_index(&format!(r#"{{"weight_map": {{"c": "{one}"}}}}"#)),
        CheckpointError::NotInShard { tensor, .. } if tensor == "c"
    ));
    for outside in ["../x.safetensors", "/x.safetensors", "", ".", "a/b", "./a"] {
        assert!(matches!(
            with_index(&format!(r#"{{"weight_map": {{"c": "{outside}"}}}}"#)),
            CheckpointError::ShardOutsideFolder { .. }
        ));
    }
}

#[test]
fn other_precisions_round_trip() {
    for dtype in [
        Dtype::F8_E5M2,
        Dtype::F16,
        Dtype::BF16,
        Dtype::F64,
        Dtype::F32,
    ] {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("m");
        let values = vec![0.5, -1.25, 0.0, -0.0, f32::INFINITY, 1024.0, 2.0];
        write_model_as(&dir, dtype, &[("x", &[7], values.clone())], None);
        let checkpoint = Checkpoint::open(&dir).unwrap();
        let x = checkpoint.tensor("x").unwrap();
        assert_eq!(x.dtype(), dtype);
        let bits = |v: &[f32]| v.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&x.to_f32().unwrap()), bits(&values));
    }
}

#[test]
fn eight_bits_are_read_as_the_golden_file_has_them() {
    let checkpoint = Checkpoint::open(golden("pytorch/single")).unwrap();
    for name in ["e4m3", "e5m2"] {
        let values = checkpoint.tensor(name).unwrap().to_f32().unwrap();
        assert_eq!(values.len(), 6);
        assert!(
            values.iter().all(|v| v.abs() < 4.0 && *v != 0.0),
            "{values:?}"
        );
    }
}
