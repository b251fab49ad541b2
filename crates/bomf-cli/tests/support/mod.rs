//! Tiny checkpoints and recipes, and `bomf` run on them from outside.

#![allow(dead_code, reason = "not every test needs everything")]

use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Output};

/// Runs `bomf` in a folder, without colours and without the hub.
pub fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bomf"));
    command
        .args(arguments)
        .current_dir(folder)
        .env("NO_COLOR", "1")
        .env("HF_HUB_OFFLINE", "1")
        .env("HF_HOME", folder)
        .env("XDG_CACHE_HOME", folder.join(".cache"))
        .env_remove("RUST_LOG");
    command
}

pub fn bomf(folder: &Path, arguments: &[&str]) -> Output {
    command(folder, arguments).output().unwrap()
}

/// Runs `bomf`, which must succeed, and returns stdout.
pub fn done(folder: &Path, arguments: &[&str]) -> String {
    let output = bomf(folder, arguments);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Writes `model.safetensors` with tensors of one type: `F32` or `BF16`, given as `f32`.
pub fn write_model(folder: &Path, dtype: &str, tensors: &[(&str, Vec<f32>)]) {
    std::fs::create_dir_all(folder).unwrap();
    let size = if dtype == "F32" { 4 } else { 2 };
    let mut header = serde_json::Map::new();
    header.insert("__metadata__".into(), json!({"format": "pt"}));
    let (mut data, mut end) = (Vec::new(), 0);
    for (name, values) in tensors {
        let start = end;
        end += values.len() * size;
        let entry = json!({"dtype": dtype, "shape": [values.len()], "data_offsets": [start, end]});
        header.insert((*name).into(), entry);
        for value in values {
            data.extend_from_slice(&value.to_le_bytes()[4 - size..]);
        }
    }
    let mut header = serde_json::to_vec(&header).unwrap();
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header);
    file.extend(data);
    std::fs::write(folder.join("model.safetensors"), file).unwrap();
    let config = json!({"model_type": "llama", "num_hidden_layers": 2, "torch_dtype": "float32"});
    std::fs::write(folder.join("config.json"), config.to_string()).unwrap();
}

/// A model of two layers whose elements are all `value`.
pub fn model(folder: &Path, dtype: &str, value: f32) {
    let tensors: Vec<(&str, Vec<f32>)> = [
        "model.embed_tokens.weight",
        "model.layers.0.mlp.weight",
        "model.layers.1.mlp.weight",
        "model.norm.weight",
    ]
    .map(|name| (name, vec![value; 5]))
    .to_vec();
    write_model(folder, dtype, &tensors);
}

/// A folder with the models `a` (ones) and `b` (threes), and a recipe for their mean.
pub fn two_models() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    model(&folder.path().join("a"), "F32", 1.0);
    model(&folder.path().join("b"), "F32", 3.0);
    write_recipe(folder.path(), LINEAR);
    folder
}

pub fn write_recipe(folder: &Path, text: &str) {
    std::fs::write(folder.join("recipe.yaml"), text).unwrap();
}

pub const LINEAR: &str = "\
merge_method: linear
models:
  - model: a
    parameters: {weight: 1}
  - model: b
    parameters: {weight: [1, 3]}
";

/// The elements of a tensor of a merged model, by `bomf diff` against a model of zeros.
pub fn elements(folder: &Path, model: &str, tensor: &str) -> Vec<f32> {
    let bytes = std::fs::read(folder.join(model).join("model.safetensors")).unwrap();
    let (head, rest) = bytes.split_first_chunk::<8>().unwrap();
    let (header, data) = rest.split_at(u64::from_le_bytes(*head) as usize);
    let header: Value = serde_json::from_slice(header).unwrap();
    let place = |i: usize| header[tensor]["data_offsets"][i].as_u64().unwrap() as usize;
    let bytes = &data[place(0)..place(1)];
    match header[tensor]["dtype"].as_str().unwrap() {
        "F32" => bytes
            .as_chunks()
            .0
            .iter()
            .map(|b| f32::from_le_bytes(*b))
            .collect(),
        "BF16" => {
            let upper = bytes.as_chunks().0.iter().map(|b| u16::from_le_bytes(*b));
            upper.map(|u| f32::from_bits(u32::from(u) << 16)).collect()
        }
        other => panic!("{other}"),
    }
}

/// Neither the output nor a folder that was to become it.
pub fn nothing_is_left(folder: &Path, when: &str) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(name != "out" && !name.ends_with(".tmp"), "{when}: {name}");
    }
}
