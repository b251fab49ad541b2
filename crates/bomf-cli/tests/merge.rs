//! `bomf merge`, `verify`, `diff` and `methods` from outside, on tiny checkpoints.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests may unwrap as tests do"
)]

use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

/// Runs `bomf` in a folder, without colours and without the hub.
fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bomf"));
    command
        .args(arguments)
        .current_dir(folder)
        .env("NO_COLOR", "1")
        .env("HF_HUB_OFFLINE", "1")
        .env("HF_HOME", folder)
        .env_remove("RUST_LOG");
    command
}

fn bomf(folder: &Path, arguments: &[&str]) -> Output {
    command(folder, arguments).output().unwrap()
}

/// Runs `bomf`, which must succeed, and returns stdout.
fn done(folder: &Path, arguments: &[&str]) -> String {
    let output = bomf(folder, arguments);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Writes `model.safetensors` with tensors of one type: `F32` or `BF16`, given as `f32`.
fn write_model(folder: &Path, dtype: &str, tensors: &[(&str, Vec<f32>)]) {
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
fn model(folder: &Path, dtype: &str, value: f32) {
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
fn two_models() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    model(&folder.path().join("a"), "F32", 1.0);
    model(&folder.path().join("b"), "F32", 3.0);
    write_recipe(folder.path(), LINEAR);
    folder
}

fn write_recipe(folder: &Path, text: &str) {
    std::fs::write(folder.join("recipe.yaml"), text).unwrap();
}

const LINEAR: &str = "\
merge_method: linear
models:
  - model: a
    parameters: {weight: 1}
  - model: b
    parameters: {weight: [1, 3]}
";

/// The elements of a tensor of a merged model, by `bomf diff` against a model of zeros.
fn elements(folder: &Path, model: &str, tensor: &str) -> Vec<f32> {
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

#[test]
fn models_are_merged_verified_and_compared() {
    let folder = two_models();
    let folder = folder.path();
    let told = done(folder, &["merge", "recipe.yaml", "-o", "out"]);
    assert!(
        told.starts_with("linear of 2 models: 4 tensors, 20 parameters"),
        "{told}"
    );
    // Outside the layers the gradient's first value holds.
    assert_eq!(elements(folder, "out", "model.norm.weight"), [2.0; 5]);
    assert_eq!(
        elements(folder, "out", "model.layers.0.mlp.weight"),
        [2.0; 5]
    );
    assert_eq!(
        elements(folder, "out", "model.layers.1.mlp.weight"),
        [2.5; 5]
    );
    let config = std::fs::read(folder.join("out/config.json")).unwrap();
    assert_eq!(config, std::fs::read(folder.join("a/config.json")).unwrap());

    let record = std::fs::read(folder.join("out/bomf.json")).unwrap();
    let record: Value = serde_json::from_slice(&record).unwrap();
    assert_eq!(record["recipe"], LINEAR);
    assert_eq!(record["models"][1]["name"], "b");
    let digest = record["models"][0]["files"][0]["sha256"].as_str().unwrap();
    assert_eq!(digest.len(), 64);

    let told = done(folder, &["verify", "out"]);
    assert!(
        told.starts_with("the same, byte for byte: 4 tensors"),
        "{told}"
    );
    let told = done(folder, &["diff", "a", "out"]);
    assert!(told.contains("0 of 4 tensors are the same"), "{told}");
    assert!(told.contains("model.layers.1"), "{told}");
    let json = done(folder, &["diff", "a", "out", "--output-format", "json"]);
    let diff: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(diff["tensors"][2]["relative"], 1.5);
    assert_eq!(diff["layers"].as_array().unwrap().len(), 3);
    assert!(done(folder, &["diff", "a", "a"]).starts_with("the same"));
}

#[test]
fn what_was_changed_afterwards_is_named() {
    let folder = two_models();
    let folder = folder.path();
    done(folder, &["merge", "recipe.yaml", "-o", "out"]);
    let path = folder.join("out/model.safetensors");
    let mut bytes = std::fs::read(&path).unwrap();
    // The last byte is one of the last tensor by name.
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let output = bomf(folder, &["verify", "out"]);
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stderr).unwrap();
    let expected = "error: out is not what its recipe gives: tensor `model.norm.weight` differs \
                    from its byte 19 on\n";
    assert!(told.ends_with(expected), "{told}");

    bytes.pop();
    std::fs::write(&path, &bytes).unwrap();
    let told = String::from_utf8(bomf(folder, &["verify", "out"]).stdout).unwrap();
    assert!(told.contains("model.safetensors differs"), "{told}");

    model(&folder.join("b"), "F32", 4.0);
    let output = bomf(folder, &["verify", "out", "--output-format", "json"]);
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["is_same"], false);
    let input = json!({"input": {"model": "b", "file": "model.safetensors"}});
    assert_eq!(found["differences"][0], input);
}

#[test]
fn slices_are_stacked_and_the_configuration_says_so() {
    let folder = two_models();
    let folder = folder.path();
    write_recipe(
        folder,
        "\
merge_method: passthrough
slices:
  - sources: [{model: a, layer_range: [0, 2]}]
  - sources: [{model: b, layer_range: [1, 2], parameters: {scale: 0.5}}]
dtype: bfloat16
",
    );
    done(folder, &["merge", "recipe.yaml", "-o", "out"]);
    assert_eq!(
        elements(folder, "out", "model.embed_tokens.weight"),
        [1.0; 5]
    );
    assert_eq!(
        elements(folder, "out", "model.layers.1.mlp.weight"),
        [1.0; 5]
    );
    assert_eq!(
        elements(folder, "out", "model.layers.2.mlp.weight"),
        [1.5; 5]
    );
    // After the layers the last slice counts, with its scale.
    assert_eq!(elements(folder, "out", "model.norm.weight"), [1.5; 5]);
    let config = std::fs::read(folder.join("out/config.json")).unwrap();
    let config: Value = serde_json::from_slice(&config).unwrap();
    assert_eq!(config["num_hidden_layers"], 3);
    assert_eq!(config["torch_dtype"], "bfloat16");
    done(folder, &["verify", "out"]);
}

#[test]
fn the_bytes_do_not_depend_on_threads_memory_or_shards() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for (name, seed) in [("a", 1.0f32), ("b", 2.0), ("base", 3.0)] {
        let wave = |length: usize| (0..length).map(|i| (i as f32 * seed).sin()).collect();
        let tensors = [
            ("model.embed_tokens.weight", wave(300_001)),
            ("model.layers.0.w", wave(70_000)),
            ("model.layers.1.w", wave(3)),
        ];
        write_model(&folder.join(name), "BF16", &tensors);
    }
    write_recipe(
        folder,
        "\
merge_method: dare_ties
base_model: base
models: [{model: a}, {model: b}]
parameters: {weight: 0.6, density: 0.5}
",
    );
    let merge = |out: &'static str, more: &[&'static str]| {
        let mut arguments = vec!["merge", "recipe.yaml", "--seed", "7", "-o", out];
        arguments.extend(more);
        done(folder, &arguments);
    };
    merge("one", &["--threads", "1"]);
    merge("two", &["--threads", "2", "--max-memory", "300kB"]);
    merge("shards", &["--threads", "3", "--max-shard-size", "150kB"]);
    let read = |name: &str| std::fs::read(folder.join(name).join("model.safetensors")).unwrap();
    assert_eq!(read("one"), read("two"));
    assert!(
        folder
            .join("shards/model-00002-of-00002.safetensors")
            .exists()
    );
    let told = done(folder, &["diff", "one", "shards"]);
    assert!(told.starts_with("the same"), "{told}");
    done(folder, &["verify", "shards", "--threads", "1"]);
}

#[test]
fn wrong_recipes_and_models_end_with_2_and_leave_nothing() {
    let folder = two_models();
    let folder = folder.path();
    write_model(
        &folder.join("wide"),
        "F32",
        &[("model.norm.weight", vec![0.0; 7])],
    );
    std::fs::create_dir(folder.join("empty")).unwrap();
    let truncated = folder.join("truncated");
    model(&truncated, "F32", 1.0);
    let whole = std::fs::read(truncated.join("model.safetensors")).unwrap();
    std::fs::write(
        truncated.join("model.safetensors"),
        &whole[..whole.len() - 9],
    )
    .unwrap();
    let sharded = folder.join("sharded");
    std::fs::create_dir(&sharded).unwrap();
    let index = json!({"weight_map": {"model.norm.weight": "model-00001-of-00001.safetensors"}});
    std::fs::write(
        sharded.join("model.safetensors.index.json"),
        index.to_string(),
    )
    .unwrap();

    let models = |a: &str, b: &str| {
        format!(
            "merge_method: linear\nparameters: {{weight: 1}}\nmodels: [{{model: {a}}}, {{model: {b}}}]\n"
        )
    };
    let cases: &[(&str, String)] = &[
        ("unknown_method", "merge_method: tise\nmodels: [{model: a}]\n".into()),
        ("unknown_merge_field", "merge_method: linear\nmodel: [{model: a}]\n".into()),
        ("unknown_parameter", "merge_method: ties\nbase_model: a\nmodels:\n  - model: b\n    parameters: {wieght: 1}\n".into()),
        ("no_models", "merge_method: linear\n".into()),
        ("no_base", "merge_method: ties\nparameters: {weight: 1}\nmodels: [{model: a}]\n".into()),
        ("no_weight", "merge_method: linear\nmodels: [{model: a}, {model: b}]\n".into()),
        ("out_of_range", "merge_method: ties\nbase_model: a\nmodels: [{model: b}]\nparameters:\n  weight: 1\n  density: 1.5\n".into()),
        ("adapter", models("a", "b+adapter")),
        ("named_twice", models("a", "a")),
        ("bad_layers", "merge_method: passthrough\nslices:\n  - sources: [{model: a, layer_range: [1, 3]}]\n".into()),
        ("missing_model", models("a", "./c")),
        ("model_of_the_hub", models("a", "owner/name")),
        ("missing_tensor", models("a", "wide")),
        ("other_shape", models("wide", "a")),
        ("no_weights", models("a", "empty")),
        ("truncated", models("a", "truncated")),
        ("missing_shard", models("a", "sharded")),
        ("token_embeddings", format!("{}tokenizer: {{source: base, pad_to_multiple_of: 8}}\n", models("a", "b"))),
    ];
    let mut told = String::new();
    for (name, recipe) in cases {
        write_recipe(folder, recipe);
        let output = bomf(folder, &["merge", "recipe.yaml", "-o", "out"]);
        assert_eq!(output.status.code(), Some(2), "{name}: {output:?}");
        assert!(output.stdout.is_empty(), "{name}");
        let error = String::from_utf8(output.stderr).unwrap();
        let place = folder.canonicalize().unwrap();
        let error = error.replace(&place.display().to_string(), "HERE");
        told.push_str(&format!("# {name}\n{error}\n"));
        nothing_is_left(folder, name);
    }
    insta::assert_snapshot!("merge_errors", told);
}

/// Neither the output nor a folder that was to become it.
fn nothing_is_left(folder: &Path, when: &str) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(name != "out" && !name.ends_with(".tmp"), "{when}: {name}");
    }
}

#[test]
fn an_output_that_stands_there_is_replaced_only_when_asked() {
    let folder = two_models();
    let folder = folder.path();
    done(folder, &["merge", "recipe.yaml", "-o", "out"]);
    let output = bomf(folder, &["merge", "recipe.yaml", "-o", "out"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    done(
        folder,
        &[
            "merge",
            "recipe.yaml",
            "-o",
            "out",
            "--overwrite",
            "--no-hash",
        ],
    );
    let record = std::fs::read_to_string(folder.join("out/bomf.json")).unwrap();
    assert!(!record.contains("sha256"), "{record}");
    done(folder, &["verify", "out"]);
    // An input is never replaced: the output could not be verified.
    let output = bomf(folder, &["merge", "recipe.yaml", "-o", "a", "--overwrite"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

#[test]
fn nan_passes_through_and_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_model(
        &folder.join("a"),
        "BF16",
        &[("w", vec![1.0, f32::NAN, 3.0])],
    );
    write_model(
        &folder.join("b"),
        "BF16",
        &[("w", vec![1.0, 2.0, f32::INFINITY])],
    );
    write_recipe(folder, &LINEAR.replace("[1, 3]", "1"));
    let output = bomf(folder, &["merge", "recipe.yaml", "-o", "out"]);
    assert!(output.status.success(), "{output:?}");
    let notes = String::from_utf8(output.stderr).unwrap();
    assert!(
        notes.contains("tensor `w` has 2 values that are not finite"),
        "{notes}"
    );
    let found = elements(folder, "out", "w");
    assert!(
        found[0] == 1.0 && found[1].is_nan() && found[2] == f32::INFINITY,
        "{found:?}"
    );
}

#[test]
fn a_killed_merge_leaves_nothing_under_the_final_name() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let tensors = [
        ("model.layers.0.w", vec![1.5; 3_000_000]),
        ("x", vec![0.5; 3_000_000]),
    ];
    for name in ["a", "b"] {
        write_model(&folder.join(name), "F32", &tensors);
    }
    write_recipe(folder, LINEAR);
    // Shared among many threads of other tests the merge takes longer: the moments are spread
    // from its beginning to far beyond its usual end.
    for delay in [0, 3, 10, 20, 35, 60, 100, 160] {
        let mut child = command(folder, &["merge", "recipe.yaml", "-o", "out", "--quiet"])
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(delay));
        let _ = child.kill();
        let is_done = child.wait().unwrap().success();
        let out = folder.join("out");
        assert!(
            is_done || !out.exists() || out.join("bomf.json").exists(),
            "{delay} ms"
        );
        if out.exists() {
            // Whatever stands under the final name is whole.
            done(folder, &["verify", "out", "--quiet"]);
            std::fs::remove_dir_all(&out).unwrap();
        }
    }
}

#[test]
fn one_vocabulary_is_asked_for_and_the_chat_template_goes_along() {
    let folder = two_models();
    let folder = folder.path();
    let tokenizer = |b: u32| json!({"model": {"vocab": {"a": 0, "b": b}}, "added_tokens": [{"id": 9, "content": "<s>"}]});
    let write =
        |name: &str, value: Value| std::fs::write(folder.join(name), value.to_string()).unwrap();
    write("a/tokenizer.json", tokenizer(1));
    write("b/tokenizer.json", tokenizer(2));
    write(
        "a/tokenizer_config.json",
        json!({"chat_template": "{{ a }}"}),
    );
    write(
        "b/tokenizer_config.json",
        json!({"chat_template": "{{ b }}", "x": 1}),
    );

    // Not asked for, it is only noted.
    let output = bomf(folder, &["merge", "recipe.yaml", "-o", "plain"]);
    let note = String::from_utf8(output.stderr).unwrap();
    assert!(
        note.contains("the vocabularies of b and a differ (token `b` is number 2 and number 1)"),
        "{note}"
    );
    write_recipe(folder, &format!("{LINEAR}tokenizer_source: base\n"));
    let output = bomf(folder, &["merge", "recipe.yaml", "-o", "out"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    nothing_is_left(folder, "other vocabulary");

    write("b/tokenizer.json", tokenizer(1));
    write_recipe(
        folder,
        &format!("{LINEAR}tokenizer: {{source: b}}\nchat_template: '{{{{ c }}}}'\n"),
    );
    done(folder, &["merge", "recipe.yaml", "-o", "out"]);
    let config = std::fs::read(folder.join("out/tokenizer_config.json")).unwrap();
    let config: Value = serde_json::from_slice(&config).unwrap();
    assert_eq!(config, json!({"chat_template": "{{ c }}", "x": 1}));
    let template = std::fs::read_to_string(folder.join("out/chat_template.jinja")).unwrap();
    assert_eq!(template, "{{ c }}");
    done(folder, &["verify", "out"]);
}

#[test]
fn methods_are_listed_with_their_parameters() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let all = done(folder, &["methods"]);
    for name in ["linear", "slerp", "ties", "dare_ties", "passthrough"] {
        assert!(all.lines().any(|line| line.starts_with(name)), "{all}");
    }
    let one = done(folder, &["methods", "ties"]);
    assert!(one.contains("density (model)"), "{one}");
    let json = done(folder, &["methods", "--output-format", "json"]);
    let methods: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(methods[0]["name"], "linear");
    let output = bomf(folder, &["methods", "tise"]);
    assert_eq!(output.status.code(), Some(2));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("hint: did you mean `ties`?"), "{error}");
}
