//! State dicts of `torch.save`: bytes against Python's, and one clear error for each thing that is
//! not read.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::fs;
use std::path::PathBuf;

use bomf_checkpoint::{Checkpoint, CheckpointError, list_checkpoints};
use common::golden;

/// What PyTorch calls a type of safetensors.
fn torch_name(dtype: bomf_checkpoint::Dtype) -> &'static str {
    use bomf_checkpoint::Dtype as D;
    match dtype {
        D::F64 => "float64",
        D::F32 => "float32",
        D::F16 => "float16",
        D::BF16 => "bfloat16",
        D::F8_E4M3 => "float8_e4m3fn",
        D::F8_E5M2 => "float8_e5m2",
        D::C64 => "complex64",
        D::I64 => "int64",
        D::I32 => "int32",
        D::I16 => "int16",
        D::I8 => "int8",
        D::U8 => "uint8",
        D::U16 => "uint16",
        D::BOOL => "bool",
        other => panic!("{other} is not in the golden files"),
    }
}

fn check_golden(dir: &str) {
    let checkpoint = Checkpoint::open(golden(dir)).unwrap();
    let text = fs::read_to_string(golden("pytorch/expected.json")).unwrap();
    let expected: serde_json::Value = serde_json::from_str(&text).unwrap();
    let tensors = expected["tensors"].as_object().unwrap();
    assert_eq!(checkpoint.len(), tensors.len());
    for (name, want) in tensors {
        let tensor = checkpoint.tensor(name).unwrap();
        let hex: String = tensor.bytes().iter().map(|b| format!("{b:02x}")).collect();
        let shape: Vec<u64> = tensor.shape().iter().map(|&d| d as u64).collect();
        assert_eq!(serde_json::json!(shape), want["shape"], "{name}");
        assert_eq!(torch_name(tensor.dtype()), want["dtype"], "{name}");
        assert_eq!(hex, want["bytes"], "{name}");
    }
    assert_eq!(checkpoint.metadata()["format"], "pt");
}

#[test]
fn a_single_file_reads_as_pytorch_reads_it() {
    check_golden("pytorch/single");
}

#[test]
fn shards_read_as_pytorch_reads_them() {
    check_golden("pytorch/sharded");
}

#[test]
fn floats_lie_where_the_file_has_them() {
    let checkpoint = Checkpoint::open(golden("pytorch/single")).unwrap();
    for name in ["embed.weight", "layer.weight", "layer.rows"] {
        let tensor = checkpoint.tensor(name).unwrap();
        assert_eq!(tensor.as_f32_slice().unwrap(), tensor.to_f32().unwrap());
    }
    let rows = checkpoint.tensor("layer.rows").unwrap().to_f32().unwrap();
    assert_eq!(rows, (12..24).map(|v| v as f32).collect::<Vec<_>>());
}

#[test]
fn a_tensor_with_other_strides_is_gathered_once() {
    let checkpoint = Checkpoint::open(golden("pytorch/single")).unwrap();
    let first = checkpoint.tensor("layer.transposed").unwrap();
    let again = checkpoint.tensor("layer.transposed").unwrap();
    assert_eq!(first.shape(), [4, 3]);
    assert_eq!(first.to_f32().unwrap()[..4], [0.0, 4.0, 8.0, 1.0]);
    assert!(std::ptr::eq(first.bytes(), again.bytes()));
}

#[test]
fn tied_weights_are_known() {
    let single = Checkpoint::open(golden("pytorch/single")).unwrap();
    assert_eq!(single.tied(), [["embed.weight", "head.weight"]]);
    let safetensors = Checkpoint::open(golden("single")).unwrap();
    assert!(safetensors.tied().is_empty());
}

fn other(name: &str) -> PathBuf {
    golden("pytorch/other").join(name)
}

#[test]
fn other_dialects_are_read() {
    let module = Checkpoint::open(other("module.bin")).unwrap();
    assert_eq!(module.names().collect::<Vec<_>>(), ["bias", "weight"]);
    for file in ["protocol-4.bin", "protocol-5.bin", "no-checksums.bin"] {
        let checkpoint = Checkpoint::open(other(file)).unwrap();
        let x = checkpoint.tensor("x").unwrap();
        assert_eq!(x.to_f32().unwrap(), [0.0, 1.0, 2.0, 3.0], "{file}");
    }
}

/// Message and hint, with the file's path shortened to its name.
fn refusal(file: &str) -> (String, String) {
    let path = other(file);
    let error = Checkpoint::open(&path).unwrap_err();
    let short = |text: String| text.replace(&path.display().to_string(), file);
    (short(error.to_string()), short(error.hint().unwrap()))
}

#[test]
fn a_file_that_asks_for_code_is_refused_by_name_and_nothing_is_run() {
    let (message, hint) = refusal("command.bin");
    assert_eq!(
        message,
        "`command.bin` asks for code to be run: `posix.system`"
    );
    assert_eq!(
        hint,
        "nothing was run; if you trust the file, make one of tensors alone in Python: \
         f = \"command.bin\"; torch.save(torch.load(f, weights_only=False), f)"
    );
    let (message, _) = refusal("numpy.bin");
    assert!(
        message.contains("`numpy._core.multiarray._reconstruct`"),
        "{message}"
    );
    let (message, _) = refusal("complex128.bin");
    assert!(
        message.contains("`torch.ComplexDoubleStorage`"),
        "{message}"
    );
}

#[test]
fn the_old_format_is_refused_with_how_to_convert_it() {
    let (message, hint) = refusal("legacy.bin");
    assert_eq!(
        message,
        "`legacy.bin` is in the format of PyTorch before 1.6, which is not read"
    );
    assert_eq!(hint, "f = \"legacy.bin\"; torch.save(torch.load(f), f)");
}

#[test]
fn a_program_of_torchscript_is_told_from_a_state_dict() {
    let (message, hint) = refusal("torchscript.bin");
    assert_eq!(
        message,
        "`torchscript.bin` is in TorchScript format, which is not supported yet"
    );
    assert!(hint.contains("torch.save(model.state_dict(), f)"), "{hint}");
}

#[test]
fn what_is_no_state_dict_is_said() {
    let (message, hint) = refusal("nested.bin");
    assert_eq!(
        message,
        "`state_dict` in `nested.bin` is a dictionary, not a tensor"
    );
    assert!(hint.contains("torch.load(f)[\"state_dict\"]"), "{hint}");
    let (message, _) = refusal("counter.bin");
    assert_eq!(message, "`step` in `counter.bin` is a number, not a tensor");
    let (message, _) = refusal("tensor.bin");
    assert_eq!(
        message,
        "`tensor.bin` holds a tensor, not a dictionary of tensors"
    );
    let (message, hint) = refusal("expanded.bin");
    assert!(message.contains("shape [1000], strides [0]"), "{message}");
    assert!(hint.contains(".contiguous()"), "{hint}");
}

/// The error for a folder whose `pytorch_model.bin` has these bytes.
fn error_of(bytes: &[u8]) -> CheckpointError {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("pytorch_model.bin"), bytes).unwrap();
    Checkpoint::open(dir.path()).unwrap_err()
}

#[test]
fn damage_is_told_apart() {
    let whole = fs::read(golden("pytorch/single/pytorch_model.bin")).unwrap();
    let cut = error_of(&whole[..whole.len() - 1]);
    assert!(cut.to_string().contains("cut short"), "{cut}");
    assert!(error_of(&[]).to_string().contains("cut short"));
    let lfs = error_of(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n");
    assert!(matches!(lfs, CheckpointError::LfsPointer { .. }));
    // The first tensor's name, in the pickle.
    let at = whole.windows(5).position(|w| w == b"embed").unwrap();
    let mut flipped = whole.clone();
    flipped[at] ^= 1;
    let flipped = error_of(&flipped);
    assert!(flipped.to_string().contains("checksum"), "{flipped}");
}

#[test]
fn safetensors_come_first_where_both_are_there() {
    let dir = tempfile::tempdir().unwrap();
    let single = golden("single/model.safetensors");
    fs::copy(single, dir.path().join("model.safetensors")).unwrap();
    fs::write(dir.path().join("pytorch_model.bin"), "broken").unwrap();
    assert_eq!(Checkpoint::open(dir.path()).unwrap().len(), 9);
}

#[test]
fn folders_of_pytorch_files_are_listed() {
    let dir = tempfile::tempdir().unwrap();
    for step in [200, 30] {
        let folder = dir.path().join(format!("checkpoint-{step}"));
        fs::create_dir(&folder).unwrap();
        fs::copy(
            golden("pytorch/single/pytorch_model.bin"),
            folder.join("pytorch_model.bin"),
        )
        .unwrap();
    }
    let found = list_checkpoints(dir.path()).unwrap();
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].step, Some(30));
    for checkpoint in found {
        assert!(bomf_checkpoint::is_model_folder(&checkpoint.path));
        assert!(Checkpoint::open(checkpoint.path).is_ok());
    }
}
