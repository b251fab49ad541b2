//! Runs of decoders: as language models that learn completions, and as classifiers.

use crate::fixture::{FIXED, Kind, encoder, names, recipe, request, rows, write_data};
use bomf::study::MethodName;
use bomf::{EvalRequest, Silent, Split};
use bomf_checkpoint::Dtype;
use bomf_tune::models::{Config, Head, Model, Network};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// A Llama of two layers with new weights and the tests' tokenizer.
pub fn decoder(dir: &Path) -> PathBuf {
    let words = Config::read(encoder()).unwrap().vocab_size;
    let raw = json!({
        "model_type": "llama", "vocab_size": words, "hidden_size": 32, "intermediate_size": 64,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
        "max_position_embeddings": 64, "tie_word_embeddings": true, "eos_token_id": 3,
        "initializer_range": 0.1,
    });
    let config = Config::from_raw(raw.as_object().unwrap().clone(), dir).unwrap();
    let network = Network::new(config, Head::CausalLm).unwrap();
    let model = Model::initialise(network, &mut ChaCha8Rng::seed_from_u64(1));
    let out = dir.join("decoder");
    let (network, params) = (&model.network, &model.params);
    network
        .write_folder(params, None, Dtype::F32, Some(encoder()), &out, false)
        .unwrap();
    out
}

/// The sentences with their tone as the completion.
pub fn write_completions(dir: &Path) {
    std::fs::create_dir_all(dir).unwrap();
    for (split, n, seed) in [("train", 200, 1), ("validation", 48, 2), ("test", 48, 3)] {
        let lines = rows(Kind::Sentences, n, seed).into_iter();
        let lines = lines.map(|(text, _, label)| {
            let tone = if label == "good" {
                "bright warm"
            } else {
                "dark"
            };
            json!({"prompt": text, "completion": tone}).to_string()
        });
        let text = lines.collect::<Vec<_>>().join("\n");
        std::fs::write(dir.join(format!("{split}.jsonl")), text).unwrap();
    }
}

const LANGUAGE: &str = "task: {kind: causal_lm, metrics: [token_accuracy, perplexity]}";

#[test]
fn a_language_model_learns_completions_and_is_fused() {
    let dir = tempfile::tempdir().unwrap();
    let (data, out) = (dir.path().join("data"), dir.path().join("out"));
    write_completions(&data);
    let mut request = request(&data, &out, recipe(&format!("{LANGUAGE}\n{FIXED}")));
    request.model = decoder(dir.path()).display().to_string();
    let results = bomf::run(&request, &mut Silent).unwrap();
    assert_eq!(results.task_kind, "causal_lm");
    let objectives: Vec<&str> = results.objectives.iter().map(|o| o.name.as_str()).collect();
    assert_eq!(objectives, ["loss", "token_accuracy", "perplexity"]);
    assert_eq!(results.methods.len(), MethodName::OF_EVERY_RUN.len());
    for method in &results.methods {
        let (loss, perplexity) = (method.report["loss"], method.report["perplexity"]);
        assert!((loss.exp() / perplexity - 1.0).abs() < 1e-6);
        let [low, high] = method.report_interval["loss"];
        assert!(low <= loss && loss <= high);
    }
    let bomf = results.methods.iter().find(|m| m.name == MethodName::Bomf);
    let bomf = bomf.unwrap();
    assert!(bomf.select["token_accuracy"] > 0.7, "{:?}", bomf.select);

    // The fused model gives what was reported, example by example.
    let config = std::fs::read_to_string(out.join("fused/config.json")).unwrap();
    let config: Value = serde_json::from_str(&config).unwrap();
    assert_eq!(config["architectures"], json!(["LlamaForCausalLM"]));
    let predictions = dir.path().join("predictions.jsonl");
    let scores = bomf::eval(
        &EvalRequest {
            model: out.join("fused").display().to_string(),
            data,
            split: Split::Test,
            recipe: request.recipe.clone(),
            predictions: Some(predictions.clone()),
            threads: 1,
        },
        &mut Silent,
    )
    .unwrap();
    assert!((scores["loss"] - bomf.report["loss"]).abs() < 1e-6);
    let text = std::fs::read_to_string(predictions).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(lines.len(), 48);
    let sum = |field: &str| {
        lines
            .iter()
            .map(|l| l[field].as_f64().unwrap())
            .sum::<f64>()
    };
    assert!((sum("right") / sum("tokens") - scores["token_accuracy"]).abs() < 1e-9);
}

#[test]
fn a_language_model_trains_adapters() {
    let dir = tempfile::tempdir().unwrap();
    let (data, out) = (dir.path().join("data"), dir.path().join("out"));
    write_completions(&data);
    let mut recipe = recipe(&format!("{LANGUAGE}\n{FIXED}"));
    recipe.finetune.lora = Some(bomf::recipe::LoraOptions::default());
    recipe.finetune.learning_rate = Some(0.02);
    let mut request = request(&data, &out, recipe);
    request.model = decoder(dir.path()).display().to_string();
    let results = bomf::run(&request, &mut Silent).unwrap();
    let curve = &results.finetune.curve;
    assert!(curve[curve.len() - 1].select["loss"] < 0.8 * curve[0].select["loss"]);
    let adapter = names(&out.join("adapters"))[0].clone();
    let config = out
        .join("adapters")
        .join(adapter)
        .join("adapter_config.json");
    let config: Value = serde_json::from_slice(&std::fs::read(config).unwrap()).unwrap();
    assert_eq!(config["task_type"], "CAUSAL_LM");
    assert_eq!(config["modules_to_save"], Value::Null);
    assert_eq!(config["target_modules"].as_array().unwrap().len(), 4);
}

#[test]
fn a_decoder_classifies_by_its_last_token() {
    let dir = tempfile::tempdir().unwrap();
    let (data, out) = (dir.path().join("data"), dir.path().join("out"));
    write_data(&data, Kind::Sentences, "jsonl");
    let mut request = request(&data, &out, recipe(FIXED));
    request.model = decoder(dir.path()).display().to_string();
    let results = bomf::run(&request, &mut Silent).unwrap();
    let best = results.methods.iter().map(|m| m.select["accuracy"]);
    assert!(best.fold(0.0, f64::max) > 0.7);
    let notes = results.notes.join("\n");
    assert!(notes.contains("score.weight"), "{notes}");
}

#[test]
fn an_encoder_is_refused_as_a_language_model() {
    let dir = tempfile::tempdir().unwrap();
    let (data, out) = (dir.path().join("data"), dir.path().join("out"));
    write_completions(&data);
    let recipe = recipe(&format!("{LANGUAGE}\n{FIXED}"));
    let error = bomf::run(&request(&data, &out, recipe), &mut Silent).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("an encoder is no language model that writes"),
        "{text}"
    );
    assert!(!out.exists());
}
