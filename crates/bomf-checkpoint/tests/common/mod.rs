//! What several tests need.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::path::{Path, PathBuf};

use bomf_checkpoint::{Dtype, FolderWriter, ModelLayout, TensorData, TensorSpec};

pub fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name)
}

/// Writes a model of `f32` tensors, given as names, shapes and values.
pub fn write_model(dir: &Path, tensors: &[(&str, &[usize], Vec<f32>)], max_shard: Option<u64>) {
    write_model_as(dir, Dtype::F32, tensors, max_shard);
}

pub fn write_model_as(
    dir: &Path,
    dtype: Dtype,
    tensors: &[(&str, &[usize], Vec<f32>)],
    max_shard: Option<u64>,
) {
    let specs: Vec<_> = tensors
        .iter()
        .map(|(name, shape, _)| TensorSpec::new(*name, dtype, shape))
        .collect();
    let layout = ModelLayout {
        max_shard_bytes: max_shard,
        ..ModelLayout::default()
    };
    let mut writer = FolderWriter::create(dir, false).unwrap();
    writer
        .write_model(&specs, &layout, |i| {
            Ok(TensorData::F32(tensors[i].2.as_slice().into()))
        })
        .unwrap();
    writer.commit().unwrap();
}

/// The names in a folder, hidden ones too, sorted.
pub fn names_in(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// As many cases as `PROPTEST_CASES` asks for, and never fewer than `cases`.
pub fn at_least(cases: u32) -> proptest::test_runner::Config {
    let asked = proptest::test_runner::Config::default();
    proptest::test_runner::Config {
        cases: asked.cases.max(cases),
        ..asked
    }
}
