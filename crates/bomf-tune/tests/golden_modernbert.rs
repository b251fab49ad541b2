//! ModernBERT against transformers: see `golden/modernbert.py`, which made the values.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod reference;

use bomf_checkpoint::Checkpoint;
use bomf_tune::batch::{OutputsAt, Sequences};
use bomf_tune::data::Labels;
use bomf_tune::lora::{LoraOptions, Targets, read_options};
use bomf_tune::models::{Config, Dropout, Head, LabelNames, Model};
use bomf_tune::tape::{Gradients, Tape, Workspace};
use bomf_tune::train::{EncodedSplit, FrozenStates};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use reference::tasks::*;
use reference::*;
use serde_json::{Map, Value, json};
use std::path::Path;

/// The outputs of merged weights differ by the rounding of `W + s B A`.
const MERGED: f64 = 1e-5;

/// The key rows of a fused bias are not seen by softmax where positions do not turn them; here
/// they do, so that every parameter has a gradient.
fn nothing_is_unseen(_: &str) -> bool {
    false
}

fn all_logits(file: &Checkpoint) -> Vec<f32> {
    file.tensor("logits").unwrap().to_f32().unwrap()
}

fn classes(file: &Checkpoint) -> EncodedSplit {
    let mut sequences = Sequences::new(OutputsAt::First);
    for (ids, types, _) in rows(file, "attention_mask") {
        sequences.push(&ids, &types);
    }
    let labels = int64(file, "labels").iter().map(|&l| l as u32).collect();
    EncodedSplit::new(sequences, Labels::Class(labels))
}

fn values(file: &Checkpoint) -> EncodedSplit {
    let mut sequences = Sequences::new(OutputsAt::All);
    for (ids, types, _) in rows(file, "attention_mask") {
        sequences.push(&ids, &types);
    }
    let labels = file.tensor("labels").unwrap().to_f32().unwrap();
    EncodedSplit::new(sequences, Labels::Value(labels))
}

#[test]
fn a_classifier_of_the_first_token_agrees_with_transformers() {
    let head = Head::Classifier { outputs: 3 };
    check(
        "tiny_modernbert",
        head,
        classes,
        all_logits,
        nothing_is_unseen,
    );
}

#[test]
fn a_regression_on_the_mean_with_biases_agrees_with_transformers() {
    let head = Head::Classifier { outputs: 1 };
    let folder = "tiny_modernbert_mean";
    check(folder, head, values, all_logits, nothing_is_unseen);
}

#[test]
fn token_classification_agrees_with_transformers() {
    let head = Head::TokenClassifier { outputs: 4 };
    check(
        "tiny_modernbert_tags",
        head,
        tags,
        tag_logits,
        nothing_is_unseen,
    );
}

#[test]
fn question_answering_agrees_with_transformers() {
    check(
        "tiny_modernbert_qa",
        Head::QuestionAnswering,
        spans,
        span_logits,
        // It adds a constant to all that a softmax compares.
        |name| name == "classifier.bias",
    );
}

fn load(folder: &str, head: Head) -> Model {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    Model::load(&golden(folder), head, &mut rng).unwrap().0
}

fn split() -> EncodedSplit {
    classes(&Checkpoint::open(golden("tiny_modernbert").join("golden.safetensors")).unwrap())
}

fn logits(model: &Model, split: &EncodedSplit) -> Vec<f32> {
    let workspace = Workspace::default();
    let all: Vec<usize> = (0..split.sequences.len()).collect();
    let mut tape = Tape::inference(&model.params, &workspace);
    let network = &model.network;
    network
        .forward(&mut tape, &split.sequences.batch(&all))
        .to_vec()
}

const HEAD: Head = Head::Classifier { outputs: 3 };

#[test]
fn adapters_of_every_layer_merge_and_are_written_under_pefts_names() {
    let mut model = load("tiny_modernbert", HEAD);
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let options = LoraOptions {
        target_modules: Targets::AllLinear,
        ..LoraOptions::default()
    };
    model.adapt(&options, &mut rng).unwrap();
    let adapters = model.network.adapters().unwrap().clone();
    assert_eq!(adapters.iter().len(), 4 * 4);
    for (i, p) in model.params[adapters.range()].iter_mut().enumerate() {
        *p += 0.1 * (i as f32).sin();
    }
    let split = split();
    let merged = Model {
        network: model.network.without_adapters().unwrap(),
        params: model.merged_params(),
    };
    let adapted = logits(&model, &split);
    assert_close("merged", &logits(&merged, &split), &adapted, MERGED);
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("adapter");
    let network = &model.network;
    network
        .write_adapter(&model.params, "base", &out, false)
        .unwrap();
    let file = Checkpoint::open(out.join("adapter_model.safetensors")).unwrap();
    for name in [
        "base_model.model.model.layers.0.attn.Wqkv.lora_A.weight",
        "base_model.model.model.layers.3.mlp.Wi.lora_B.weight",
        "base_model.model.head.dense.weight",
        "base_model.model.classifier.bias",
    ] {
        assert!(file.get(name).is_some(), "{name}");
    }
    let config = json(&out.join("adapter_config.json"));
    assert_eq!(config["modules_to_save"], json!(["head", "classifier"]));
    let mut again = load("tiny_modernbert", HEAD);
    again.adapt(&read_options(&out).unwrap(), &mut rng).unwrap();
    again.network.read_adapter(&out, &mut again.params).unwrap();
    assert_eq!(again.params, model.params);
}

#[test]
fn by_default_the_fused_projection_is_adapted() {
    let mut model = load("tiny_modernbert", HEAD);
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    model.adapt(&LoraOptions::default(), &mut rng).unwrap();
    let adapters = model.network.adapters().unwrap().iter();
    let modules: Vec<&str> = adapters.map(|a| a.module.as_str()).collect();
    assert_eq!(modules.len(), 4);
    assert!(modules.iter().all(|name| name.ends_with("attn.Wqkv")));
}

/// Frozen blocks computed once give what they give each time, and the blocks above learn.
#[test]
fn lower_blocks_can_be_frozen() {
    let model = load("tiny_modernbert", HEAD);
    let split = split();
    let all: Vec<usize> = (0..split.sequences.len()).collect();
    let batch = split.sequences.batch(&all);
    let first = model.network.first_trainable(2).unwrap();
    let name = "model.layers.2.attn_norm.weight";
    let entry = model.network.layout().get(name).unwrap();
    assert_eq!(first, entry.param.offset);
    let never = || false;
    let (network, params) = (&model.network, &model.params);
    let frozen =
        FrozenStates::new(network, params, &split.sequences, 2, usize::MAX, &never).unwrap();
    let workspace = Workspace::default();
    let outputs = bomf_tune::train::outputs(network, params, &split.sequences, &frozen, &workspace);
    assert_close("logits", &outputs, &logits(&model, &split), 1e-6);
    let mut gradients = Gradients::zeros(first, params.len());
    let mut tape = Tape::training(params, &mut gradients, None, &workspace);
    let out = network.forward(&mut tape, &batch);
    split.loss(network, &mut tape, &out, &batch, &all, 1.0);
    drop(out);
    tape.backward();
    for (name, entry) in network.layout().entries() {
        if let Some(own) = gradients.of(entry.param) {
            assert!(own.iter().any(|&g| g != 0.0), "{name} gets no gradient");
        }
    }
}

#[test]
fn what_is_written_is_read_again() {
    let model = load("tiny_modernbert_mean", Head::Classifier { outputs: 1 });
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("model");
    let (network, labels) = (&model.network, Some(&LabelNames::Regression));
    let dtype = bomf_checkpoint::Dtype::F32;
    network
        .write_folder(&model.params, labels, dtype, None, &out, false)
        .unwrap();
    let theirs = golden("tiny_modernbert_mean").join("model.safetensors");
    let (ours, theirs) = (
        Checkpoint::open(&out).unwrap(),
        Checkpoint::open(theirs).unwrap(),
    );
    assert_eq!(ours.names().count(), theirs.names().count());
    for tensor in theirs.tensors() {
        let own = ours.tensor(tensor.name()).unwrap();
        assert_eq!((own.shape(), own.bytes()), (tensor.shape(), tensor.bytes()));
    }
    let written = json(&out.join("config.json"));
    assert_eq!(
        written["architectures"],
        json!(["ModernBertForSequenceClassification"])
    );
}

/// Masks are drawn from the seed: the same twice, another with another, none without dropout.
#[test]
fn dropout_is_where_the_reference_has_it() {
    let mut model = load("tiny_modernbert", HEAD);
    let split = split();
    let all: Vec<usize> = (0..split.sequences.len()).collect();
    let batch = split.sequences.batch(&all);
    let run = |model: &Model, seed| {
        let workspace = Workspace::default();
        let mut gradients = Gradients::zeros(0, model.params.len());
        let mut tape = Tape::training(&model.params, &mut gradients, Some(seed), &workspace);
        model.network.forward(&mut tape, &batch).to_vec()
    };
    assert_eq!(
        run(&model, 1),
        logits(&model, &split),
        "its own rates are 0"
    );
    for part in 0..3 {
        let mut dropout = Dropout::uniform(0.0);
        match part {
            0 => dropout.hidden = 0.3,
            1 => dropout.attention = 0.3,
            _ => dropout.classifier = 0.3,
        }
        model.network.set_dropout(dropout);
        assert_eq!(run(&model, 1), run(&model, 1));
        assert_ne!(run(&model, 1), run(&model, 2), "{dropout:?}");
    }
}

fn read(change: impl Fn(&mut Map<String, Value>)) -> Result<Config, String> {
    let path = golden("tiny_modernbert").join("config.json");
    let Value::Object(mut raw) = json(&path) else {
        panic!("an object")
    };
    change(&mut raw);
    let config = Config::from_raw(raw, Path::new("config.json"));
    config.map_err(|error| error.to_string())
}

#[test]
fn the_fields_of_the_first_checkpoints_say_the_same() {
    let new = read(|_| {}).unwrap();
    let old = read(|raw| {
        raw.shift_remove("layer_types");
        raw.shift_remove("rope_parameters");
        raw.insert("global_attn_every_n_layers".into(), json!(3));
        raw.insert("global_rope_theta".into(), json!(400.0));
        raw.insert("local_rope_theta".into(), json!(50.0));
        raw.insert("position_embedding_type".into(), json!("absolute"));
    })
    .unwrap();
    assert_eq!(old.modern_bert, new.modern_bert);
    let modern = new.modern_bert.unwrap();
    assert_eq!(
        (modern.side, modern.local),
        (3, vec![false, true, true, false])
    );
    // Without a base of their own, local blocks have the others'.
    let one = read(|raw| {
        raw.shift_remove("rope_parameters");
        raw.insert("global_rope_theta".into(), json!(400.0));
        raw.insert("local_rope_theta".into(), Value::Null);
    });
    let one = one.unwrap().modern_bert.unwrap();
    assert_eq!(one.local_rope, one.global_rope);
}

#[test]
fn what_is_not_built_in_is_refused_by_name() {
    let with = |name: &'static str, value: Value| {
        read(move |raw| drop(raw.insert(name.into(), value.clone()))).unwrap_err()
    };
    for (name, value) in [
        ("classifier_pooling", json!("max")),
        ("layer_types", json!(["full_attention"])),
        ("hidden_activation", json!("mish")),
        ("embedding_dropout", json!(0.5)),
        ("num_attention_heads", json!(5)),
        ("norm_bias", json!("yes")),
    ] {
        let error = with(name, value.clone());
        let word = match name {
            "num_attention_heads" => "rotated",
            "hidden_activation" => "mish",
            name => name,
        };
        assert!(error.contains(word), "{name} {value}: {error}");
    }
    let types = json!([
        "full_attention",
        "chunked_attention",
        "full_attention",
        "full_attention"
    ]);
    assert!(with("layer_types", types).contains("chunked_attention"));
    let rope = json!({"sliding_attention": {"rope_type": "dynamic", "factor": 2.0}});
    let error = with("rope_parameters", rope);
    assert!(
        error.contains("dynamic") && error.contains("sliding_attention"),
        "{error}"
    );
    let never = read(|raw| {
        raw.shift_remove("layer_types");
        raw.insert("global_attn_every_n_layers".into(), json!(0));
    });
    assert!(never.unwrap_err().contains("global_attn_every_n_layers"));
}
