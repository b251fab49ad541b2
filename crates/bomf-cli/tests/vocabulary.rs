//! `bomf merge` of models whose vocabularies differ.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests may unwrap as tests do"
)]

mod support;

use serde_json::{Value, json};
use std::path::Path;
use support::*;

const EMBEDDING: &str = "model.embed_tokens.weight";

/// A model with a number for each token, and a tokenizer that knows them in this order.
fn with_tokens(folder: &Path, tokens: &[&str], special: &str, rows: Vec<f32>) {
    let norm = ("model.norm.weight", vec![1.0; 2]);
    write_model(folder, "F32", &[(EMBEDDING, rows.clone()), norm]);
    let vocabulary: serde_json::Map<String, Value> = tokens
        .iter()
        .enumerate()
        .map(|(number, token)| ((*token).to_owned(), number.into()))
        .collect();
    let number = vocabulary[special].clone();
    let added = json!({
        "id": number, "content": special, "single_word": false, "lstrip": false,
        "rstrip": false, "normalized": false, "special": true,
    });
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [added],
        "normalizer": null, "pre_tokenizer": {"type": "Whitespace"}, "post_processor": null,
        "decoder": null,
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": special},
    });
    let write =
        |name: &str, value: Value| std::fs::write(folder.join(name), value.to_string()).unwrap();
    write("tokenizer.json", tokenizer);
    write(
        "config.json",
        json!({"vocab_size": rows.len(), "eos_token_id": number}),
    );
}

/// `a` knows x, y and the special `<a>`; `b` knows `<b>`, y and z.
fn models() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    with_tokens(
        &folder.path().join("a"),
        &["x", "y", "<a>"],
        "<a>",
        vec![1.0, 2.0, 3.0],
    );
    with_tokens(
        &folder.path().join("b"),
        &["<b>", "y", "z"],
        "<b>",
        vec![10.0, 20.0, 30.0],
    );
    folder
}

fn recipe(folder: &Path, tokenizer: &str) {
    let models = "\
merge_method: linear
models: [{model: a, parameters: {weight: 1}}, {model: b, parameters: {weight: 1}}]
";
    write_recipe(folder, &format!("{models}{tokenizer}\n"));
}

fn json_of(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn the_union_of_vocabularies_has_a_row_for_each_token_of_either() {
    let folder = models();
    let folder = folder.path();
    recipe(folder, "tokenizer_source: union");
    let told = bomf(folder, &["merge", "recipe.yaml", "-o", "out"]);
    assert!(told.status.success(), "{told:?}");
    let notes = String::from_utf8(told.stderr).unwrap();
    assert!(
        notes.contains("tokens of b that are added to those of a: 2"),
        "{notes}"
    );
    // x and <a> are the first model's alone, <b> and z the second's, and y is the mean.
    assert_eq!(
        elements(folder, "out", EMBEDDING),
        [1.0, 11.0, 3.0, 10.0, 30.0]
    );
    let config = json_of(&folder.join("out/config.json"));
    assert_eq!(
        (&config["vocab_size"], &config["eos_token_id"]),
        (&json!(5), &json!(2))
    );
    let tokenizer = json_of(&folder.join("out/tokenizer.json"));
    let added: Vec<(u64, &str, bool)> = tokenizer["added_tokens"]
        .as_array()
        .unwrap()
        .iter()
        .map(|t| {
            let (id, text) = (t["id"].as_u64().unwrap(), t["content"].as_str().unwrap());
            (id, text, t["special"].as_bool().unwrap())
        })
        .collect();
    assert_eq!(added, [(2, "<a>", true), (3, "<b>", true), (4, "z", false)]);
    done(folder, &["verify", "out"]);
}

#[test]
fn the_tokens_of_one_model_bring_its_numbers_along() {
    let folder = models();
    let folder = folder.path();
    // The rows of a are matched to b's tokens, and the special token of a is not among them.
    recipe(folder, "tokenizer_source: b");
    done(folder, &["merge", "recipe.yaml", "-o", "out"]);
    assert_eq!(elements(folder, "out", EMBEDDING), [10.0, 11.0, 30.0]);
    let config = json_of(&folder.join("out/config.json"));
    assert_eq!(
        (&config["vocab_size"], &config["eos_token_id"]),
        (&json!(3), &json!(null))
    );
    let (ours, theirs) = ("out/tokenizer.json", "b/tokenizer.json");
    assert_eq!(json_of(&folder.join(ours)), json_of(&folder.join(theirs)));
    done(folder, &["verify", "out"]);
}

#[test]
fn rows_of_tokens_and_their_number_are_the_recipes() {
    let folder = models();
    let folder = folder.path();
    recipe(
        folder,
        "tokenizer: {source: base, pad_to_multiple_of: 4, tokens: {y: {source: b, force: true}, \
         new: {source: {kind: model_token, model: b, token: z}}, none: {source: {kind: zero}}}}",
    );
    done(folder, &["merge", "recipe.yaml", "-o", "out"]);
    let mean = (1.0 + 20.0 + 3.0 + 30.0 + 0.0) / 5.0;
    let expected = [1.0, 20.0, 3.0, 30.0, 0.0, mean, mean, mean];
    for (found, expected) in elements(folder, "out", EMBEDDING).iter().zip(expected) {
        assert!((found - expected).abs() < 1e-5, "{found} {expected}");
    }
    assert_eq!(json_of(&folder.join("out/config.json"))["vocab_size"], 8);
}

#[test]
fn what_cannot_be_matched_is_refused_and_leaves_nothing() {
    let folder = models();
    let folder = folder.path();
    let cases = [
        (
            "tokenizer: {tokens: {y: {source: {kind: model_token, model: b, token: x}}}}",
            "b has no token `x`",
        ),
        (
            "tokenizer: {tokens: {y: {source: {kind: model_token, model: b, token_id: 3}}}}",
            "b has no token number 3",
        ),
        (
            "tokenizer: {tokens: {x: {source: b, force: true}}}",
            "b has no token `x`",
        ),
    ];
    for (tokenizer, expected) in cases {
        recipe(folder, tokenizer);
        let output = bomf(folder, &["merge", "recipe.yaml", "-o", "out"]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(told.contains(expected), "{told}");
        nothing_is_left(folder, tokenizer);
    }
    recipe(folder, "tokenizer_source: union");
    std::fs::rename(folder.join("a/tokenizer.json"), folder.join("a/vocab.txt")).unwrap();
    let output = bomf(folder, &["merge", "recipe.yaml", "-o", "out"]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("one is in vocab.txt"), "{told}");
    std::fs::remove_file(folder.join("a/vocab.txt")).unwrap();
    let output = bomf(folder, &["merge", "recipe.yaml", "-o", "out"]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("a has no tokenizer.json"), "{told}");
    nothing_is_left(folder, "no tokenizer");
}
