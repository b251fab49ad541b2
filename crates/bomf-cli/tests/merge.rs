//! `bomf merge`, `verify`, `diff` and `methods` from outside, on tiny checkpoints.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests may unwrap as tests do"
)]

mod support;

use serde_json::{Value, json};
use support::*;

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
        ("no_tokenizer", format!("{}tokenizer: {{source: base, pad_to_multiple_of: 8}}\n", models("a", "b"))),
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
fn other_vocabularies_are_noted_and_the_chat_template_goes_along() {
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

/// A model of an embedding, a norm and perhaps an output head.
fn with_head(folder: &std::path::Path, head: Option<f32>, embedding: f32, is_tied: bool) {
    let mut tensors = vec![
        ("model.embed_tokens.weight", vec![embedding; 3]),
        ("model.norm.weight", vec![1.0; 3]),
    ];
    tensors.extend(head.map(|head| ("lm_head.weight", vec![head; 3])));
    write_model(folder, "F32", &tensors);
    let config = json!({"model_type": "llama", "tie_word_embeddings": is_tied});
    std::fs::write(folder.join("config.json"), config.to_string()).unwrap();
}

#[test]
fn a_tied_head_is_stored_once_and_never_mixed_up_with_one_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    with_head(&folder.join("a"), Some(1.0), 1.0, true);
    with_head(&folder.join("b"), None, 3.0, true);
    with_head(&folder.join("c"), Some(7.0), 5.0, false);
    let merge = |models: &[&str]| {
        let models = models
            .iter()
            .map(|m| format!("  - {{model: {m}, parameters: {{weight: 1}}}}\n"));
        let models: String = models.collect();
        write_recipe(folder, &format!("merge_method: linear\nmodels:\n{models}"));
        bomf(
            folder,
            &["merge", "recipe.yaml", "-o", "out", "--overwrite"],
        )
    };
    let has_head = || {
        let bytes = std::fs::read(folder.join("out/model.safetensors")).unwrap();
        String::from_utf8_lossy(&bytes).contains("lm_head")
    };

    let output = merge(&["a", "b"]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("`lm_head.weight` of a is left out"), "{told}");
    assert!(!has_head());
    assert_eq!(
        elements(folder, "out", "model.embed_tokens.weight"),
        [2.0; 3]
    );
    done(folder, &["verify", "out"]);

    // A head of its own has no place in a model without.
    let output = merge(&["b", "c"]);
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("c has an output head of its own"), "{told}");
    assert!(
        told.contains("name the model with the head as base_model, or first"),
        "{told}"
    );

    // The other way round, what is tied is read from the embedding.
    let output = merge(&["c", "b", "a"]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        told.contains("the output head of b is its input embedding"),
        "{told}"
    );
    assert!(has_head());
    let mean = (7.0 + 3.0 + 1.0) / 3.0;
    assert_eq!(elements(folder, "out", "lm_head.weight"), [mean; 3]);
    assert_eq!(
        elements(folder, "out", "model.embed_tokens.weight"),
        [3.0; 3]
    );
    done(folder, &["verify", "out"]);
}

/// An adapter that PEFT wrote, its base model, and what PEFT makes of both.
fn adapters() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let golden = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../bomf-checkpoint/tests/golden/adapters");
    for name in ["base", "plain"] {
        std::fs::create_dir(folder.path().join(name)).unwrap();
        for entry in std::fs::read_dir(golden.join(name)).unwrap() {
            let from = entry.unwrap().path();
            let to = folder.path().join(name).join(from.file_name().unwrap());
            std::fs::copy(from, to).unwrap();
        }
    }
    folder
}

#[test]
fn a_model_with_an_adapter_is_merged_as_the_model_it_makes() {
    let folder = adapters();
    let folder = folder.path();
    write_recipe(
        folder,
        "\
merge_method: linear
models:
  - model: base
    parameters: {weight: 3}
  - model: base+plain
    parameters: {weight: 1}
",
    );
    done(folder, &["merge", "recipe.yaml", "-o", "out"]);
    done(folder, &["verify", "out"]);
    // A quarter of the way from the base model to what PEFT makes of it.
    let greatest = |a: &str, b: &str| {
        let json = done(folder, &["diff", a, b, "--output-format", "json"]);
        let diff: Value = serde_json::from_str(&json).unwrap();
        let tensors = diff["tensors"].as_array().unwrap().clone();
        let number = |tensor: &Value| tensor["max_abs"].as_f64().unwrap();
        tensors.iter().map(number).fold(0.0, f64::max)
    };
    let (whole, quarter) = (
        greatest("base", "plain/merged.safetensors"),
        greatest("base", "out"),
    );
    assert!(
        (quarter / whole - 0.25).abs() < 1e-4,
        "{quarter} of {whole}"
    );
    // Products in `f32`, summed in another order than PEFT's.
    assert!(greatest("base+plain", "plain/merged.safetensors") < 1e-5 * whole.max(1.0));

    let record = std::fs::read(folder.join("out/bomf.json")).unwrap();
    let record: Value = serde_json::from_slice(&record).unwrap();
    let files = record["models"][1]["files"].as_array().unwrap();
    let names: Vec<&str> = files
        .iter()
        .map(|file| file["name"].as_str().unwrap())
        .collect();
    let expected = [
        "model.safetensors",
        "adapter_config.json",
        "adapter_model.safetensors",
    ];
    assert_eq!(names, expected);
    let config = folder.join("plain/adapter_config.json");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("{text}\n")).unwrap();
    let output = bomf(folder, &["verify", "out"]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        told.contains("adapter_config.json of base+plain is not the file"),
        "{told}"
    );
}

#[test]
fn digests_of_inputs_are_remembered_until_these_change() {
    let folder = two_models();
    let folder = folder.path();
    let set_old = |name: &str| {
        let file = std::fs::File::options().write(true).open(folder.join(name));
        let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(100);
        file.unwrap().set_modified(long_ago).unwrap();
    };
    set_old("a/model.safetensors");
    set_old("b/model.safetensors");
    let digests = |out: &str| {
        done(folder, &["merge", "recipe.yaml", "-o", out]);
        let record = std::fs::read(folder.join(out).join("bomf.json")).unwrap();
        let record: Value = serde_json::from_slice(&record).unwrap();
        ["a", "b"].map(|model| {
            let number = usize::from(model == "b");
            let file = &record["models"][number]["files"][0];
            file["sha256"].as_str().unwrap().to_owned()
        })
    };
    let first = digests("one");
    let cache = folder.join(".cache/bomf/digests.json");
    let remembered = std::fs::read_to_string(&cache).unwrap();
    assert!(
        first.iter().all(|digest| remembered.contains(digest)),
        "{remembered}"
    );
    // What is remembered is believed: `a` is not read again.
    let other = "0".repeat(64);
    std::fs::write(&cache, remembered.replace(&first[0], &other)).unwrap();
    assert_eq!(digests("two"), [other.clone(), first[1].clone()]);
    // `verify` believes nothing.
    let output = bomf(folder, &["verify", "two"]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        told.contains("model.safetensors of a is not the file"),
        "{told}"
    );
    // A file that changed is digested again.
    model(&folder.join("a"), "F32", 1.0);
    set_old("a/model.safetensors");
    assert_eq!(digests("three"), first);
}

#[test]
fn methods_are_listed_with_their_parameters() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let all = done(folder, &["methods"]);
    for name in ["linear", "slerp", "ties", "dare_ties", "passthrough"] {
        assert!(all.lines().any(|line| line.starts_with(name)), "{all}");
    }
    let fisher = done(folder, &["methods", "fisher"]);
    assert!(fisher.contains("statistics: fisher"), "{fisher}");
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
