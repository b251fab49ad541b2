//! Runs whose objectives are of what the models write: by decoders, and by T5.

use crate::decoders::{decoder, write_completions};
use crate::fixture::{FIXED, encoder, names, recipe, request};
use bomf::study::{MethodName, Results};
use bomf::{EvalRequest, GenerateRequest, Prompts, RunRequest, Silent, Split};
use bomf_checkpoint::Dtype;
use bomf_tune::models::{Config, Head, Model, Network};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// A T5 of two blocks each way with new weights and the tests' tokenizer.
fn t5(dir: &Path) -> PathBuf {
    let words = Config::read(encoder()).unwrap().vocab_size;
    let raw = json!({
        "model_type": "t5", "vocab_size": words, "d_model": 32, "d_ff": 64, "d_kv": 8,
        "num_layers": 2, "num_heads": 4, "feed_forward_proj": "gated-gelu",
        "tie_word_embeddings": false, "eos_token_id": 3, "pad_token_id": 0, "dropout_rate": 0.0,
    });
    let config = Config::from_raw(raw.as_object().unwrap().clone(), dir).unwrap();
    let network = Network::new(config, Head::CausalLm).unwrap();
    let model = Model::initialise(network, &mut ChaCha8Rng::seed_from_u64(1));
    let out = dir.join("t5");
    let (network, params) = (&model.network, &model.params);
    network
        .write_folder(params, None, Dtype::F32, Some(encoder()), &out, false)
        .unwrap();
    out
}

/// Runs, and then evaluates the fused model on the test split: what the run reported, what
/// the evaluation gave, and its predictions.
fn run_and_evaluate(request: &RunRequest) -> (Results, bomf::study::Scores, Vec<Value>) {
    let results = bomf::run(request, &mut Silent).unwrap();
    let predictions = request.out.with_extension("jsonl");
    let evaluation = EvalRequest {
        model: request.out.join("fused").display().to_string(),
        data: request.data.clone(),
        split: Split::Test,
        recipe: request.recipe.clone(),
        predictions: Some(predictions.clone()),
        threads: 1,
    };
    let scores = bomf::eval(&evaluation, &mut Silent).unwrap();
    let text = std::fs::read_to_string(predictions).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    (results, scores, lines.collect())
}

#[test]
fn a_language_model_is_fused_by_what_it_writes() {
    let dir = tempfile::tempdir().unwrap();
    let (data, out) = (dir.path().join("data"), dir.path().join("out"));
    write_completions(&data);
    let task = "task: {kind: causal_lm, metrics: [rouge_l, bleu, exact_match], \
                generation: {max_new_tokens: 4}}";
    let mut request = request(&data, &out, recipe(&format!("{task}\n{FIXED}")));
    request.model = decoder(dir.path()).display().to_string();
    let (results, scores, lines) = run_and_evaluate(&request);
    let objectives: Vec<&str> = results.objectives.iter().map(|o| o.name.as_str()).collect();
    assert_eq!(objectives, ["loss", "rouge_l", "bleu", "exact_match"]);
    // All but the mean of predictions, which writes nothing.
    let named: Vec<MethodName> = results.methods.iter().map(|m| m.name).collect();
    assert_eq!(named.len(), MethodName::OF_EVERY_RUN.len() - 1);
    assert!(!named.contains(&MethodName::PredictionEnsemble));
    for method in &results.methods {
        for name in ["rouge_l", "exact_match"] {
            let [low, high] = method.report_interval[name];
            let value = method.report[name];
            assert!((0.0..=1.0).contains(&value), "{value}");
            assert!(low <= value && value <= high);
        }
    }
    let bomf = results.methods.iter().find(|m| m.name == MethodName::Bomf);
    let bomf = bomf.unwrap();
    assert!(bomf.select["exact_match"] > 0.6, "{:?}", bomf.select);
    assert_eq!(results.stage2.surrogates.len(), 4);
    for (name, value) in &scores {
        assert!((bomf.report[name] - value).abs() < 1e-6, "{name}");
    }
    let right = lines
        .iter()
        .filter(|line| line["text"] == line["reference"]);
    assert_eq!(right.count() as f64 / 48.0, scores["exact_match"]);
    // What the run says of itself reads back, generation and all.
    let settled = std::fs::read_to_string(out.join("recipe.yaml")).unwrap();
    assert!(settled.contains("max_new_tokens: 4"), "{settled}");
    bomf::Recipe::from_yaml(&settled, "recipe.yaml").unwrap();
}

#[test]
fn t5_learns_targets_and_is_fused_by_beams() {
    let dir = tempfile::tempdir().unwrap();
    let (data, out) = (dir.path().join("data"), dir.path().join("out"));
    write_completions(&data);
    let task = "task: {kind: seq2seq, metrics: [rouge_l, chrf, token_accuracy], \
                generation: {max_new_tokens: 4, beams: 2}}";
    let mut recipe = recipe(&format!("{task}\n{FIXED}"));
    recipe.finetune.learning_rate = Some(0.005);
    let mut request = request(&data, &out, recipe);
    request.model = t5(dir.path()).display().to_string();
    let (results, scores, lines) = run_and_evaluate(&request);
    assert_eq!(results.task_kind, "seq2seq");
    let curve = &results.finetune.curve;
    assert!(curve[curve.len() - 1].select["loss"] < 0.8 * curve[0].select["loss"]);
    let bomf = results.methods.iter().find(|m| m.name == MethodName::Bomf);
    for (name, value) in &scores {
        assert!((bomf.unwrap().report[name] - value).abs() < 1e-6, "{name}");
    }
    assert!(scores["rouge_l"] > 0.5, "{scores:?}");
    assert_eq!(lines.len(), 48);
    let config = std::fs::read_to_string(out.join("fused/config.json")).unwrap();
    let config: Value = serde_json::from_str(&config).unwrap();
    assert_eq!(
        config["architectures"],
        json!(["T5ForConditionalGeneration"])
    );
}

#[test]
fn t5_trains_adapters_below_a_light_search() {
    let dir = tempfile::tempdir().unwrap();
    let (data, out) = (dir.path().join("data"), dir.path().join("out"));
    write_completions(&data);
    let mut recipe = recipe(&format!("task: {{kind: seq2seq}}\n{FIXED}"));
    recipe.finetune.lora = Some(bomf::recipe::LoraOptions::default());
    recipe.finetune.learning_rate = Some(0.02);
    let mut request = request(&data, &out, recipe);
    request.model = t5(dir.path()).display().to_string();
    let results = bomf::run(&request, &mut Silent).unwrap();
    let curve = &results.finetune.curve;
    assert!(curve[curve.len() - 1].select["loss"] < 0.9 * curve[0].select["loss"]);
    assert_eq!(results.methods.len(), MethodName::OF_EVERY_RUN.len());
    let adapter = names(&out.join("adapters"))[0].clone();
    let config = out
        .join("adapters")
        .join(adapter)
        .join("adapter_config.json");
    let config: Value = serde_json::from_slice(&std::fs::read(config).unwrap()).unwrap();
    assert_eq!(config["task_type"], "SEQ_2_SEQ_LM");
}

#[test]
fn a_kind_that_the_model_or_the_data_are_not_made_for_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (data, out) = (dir.path().join("data"), dir.path().join("out"));
    write_completions(&data);
    let (llama, t5) = (decoder(dir.path()), t5(dir.path()));
    let cases = [
        (&llama, "kind: seq2seq", "causal_lm"),
        (&t5, "kind: causal_lm", "seq2seq"),
        (
            &t5,
            "kind: seq2seq, columns: {text: prompt}",
            "the column of the targets",
        ),
        (
            &llama,
            "kind: causal_lm, columns: {text: prompt}, metrics: [bleu]",
            "no prompt",
        ),
    ];
    for (model, task, expected) in cases {
        let recipe = recipe(&format!("task: {{{task}}}\n{FIXED}"));
        let mut request = request(&data, &out, recipe);
        request.model = model.display().to_string();
        let error = bomf::run(&request, &mut Silent).unwrap_err().to_string();
        assert!(error.contains(expected), "{task}: {error}");
        assert!(!out.exists());
    }
}

#[test]
fn prompts_of_a_split_or_by_themselves_are_written_on() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    write_completions(&data);
    for model in [decoder(dir.path()), t5(dir.path())] {
        let generate = |prompts: Prompts| {
            let mut recipe = bomf::Recipe::default();
            recipe.task.generation.options.max_new_tokens = 5;
            let request = GenerateRequest {
                model: model.display().to_string(),
                prompts,
                recipe,
                threads: 1,
            };
            bomf::generate(&request, &mut Silent).unwrap()
        };
        let split = Split::Validation;
        let all = generate(Prompts::Data {
            dir: data.clone(),
            split,
        });
        assert_eq!(all.len(), 48);
        assert!(all[0].reference.is_some());
        let alone = generate(Prompts::Texts(vec![all[7].prompt.clone()]));
        assert_eq!(alone.len(), 1);
        assert_eq!((alone[0].index, &alone[0].reference), (0, &None));
        assert_eq!(alone[0].text, all[7].text);
    }
}
