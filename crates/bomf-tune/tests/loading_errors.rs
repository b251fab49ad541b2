//! Model folders that cannot be loaded: one clear error for each way to be broken.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod tiny;

use bomf_checkpoint::Checkpoint;
use bomf_tune::TuneError;
use bomf_tune::models::{Config, Head, LabelNames, Model};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use std::fs;
use std::path::Path;
use tiny::copy::Copy;
use tiny::{golden, load, rng};

const THREE: Head = Head::Classifier { outputs: 3 };

/// Loads a folder that `spoil` has spoilt, and compares the message.
#[track_caller]
fn check(spoil: impl Fn(&Path), expected: &str) {
    let dir = Copy::default().of("tiny_bert");
    let model = dir.path().join("model");
    spoil(&model);
    let error = Model::load(&model, THREE, &mut rng(1)).unwrap_err();
    let message = error.to_string().replace(&*model.to_string_lossy(), "DIR");
    assert_eq!(message, expected);
}

/// Changes one field of `config.json`; null removes it.
fn set(dir: &Path, field: &str, value: Value) {
    let path = dir.join("config.json");
    let mut config: Map<String, Value> =
        serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    config.insert(field.into(), value);
    fs::write(&path, serde_json::to_string(&config).unwrap()).unwrap();
}

#[test]
fn a_broken_configuration_is_refused_with_its_file_and_field() {
    let fields = [
        (
            "model_type",
            json!("mamba"),
            "model type `mamba` is not supported",
        ),
        (
            "model_type",
            json!(7),
            "model type `(none)` is not supported",
        ),
        ("hidden_size", json!(null), "`hidden_size` is missing"),
        ("hidden_size", json!(0), "`hidden_size` is 0"),
        (
            "hidden_size",
            json!(-24),
            "`hidden_size` is -24, not a whole number",
        ),
        (
            "hidden_size",
            json!("24"),
            "`hidden_size` is \"24\", not a whole number",
        ),
        (
            "vocab_size",
            json!(1.5),
            "`vocab_size` is 1.5, not a whole number",
        ),
        (
            "vocab_size",
            json!(1u64 << 40),
            "`vocab_size` is 1099511627776, above 16777216",
        ),
        (
            "num_hidden_layers",
            json!(5000),
            "`num_hidden_layers` is 5000, above 4096",
        ),
        ("type_vocab_size", json!(0), "`type_vocab_size` is 0"),
        (
            "num_attention_heads",
            json!(5),
            "5 attention heads do not divide the hidden size 24",
        ),
        (
            "hidden_act",
            json!("mish"),
            "activation `mish` is not supported",
        ),
        ("hidden_act", json!(3), "`hidden_act` is 3, not a name"),
        (
            "hidden_dropout_prob",
            json!(1.0),
            "`hidden_dropout_prob` is 1, outside [0, 1)",
        ),
        (
            "hidden_dropout_prob",
            json!(-0.5),
            "`hidden_dropout_prob` is -0.5, outside [0, 1)",
        ),
        (
            "layer_norm_eps",
            json!("small"),
            "`layer_norm_eps` is \"small\", not a number",
        ),
        (
            "position_embedding_type",
            json!("relative_key"),
            "position embeddings `relative_key` are not supported",
        ),
        (
            "is_decoder",
            json!(true),
            "`is_decoder` is true; only encoders are supported",
        ),
    ];
    for (field, value, expected) in fields {
        check(
            |dir| set(dir, field, value.clone()),
            &format!("DIR/config.json: {expected}"),
        );
    }
}

/// A small Llama's configuration with some fields changed.
fn decoder(changes: Value) -> Result<Config, TuneError> {
    let mut raw = json!({
        "model_type": "llama", "vocab_size": 50, "hidden_size": 24, "intermediate_size": 32,
        "num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": 32,
    });
    let fields = raw.as_object_mut().unwrap();
    fields.extend(changes.as_object().unwrap().clone());
    Config::from_raw(fields.clone(), Path::new("config.json"))
}

#[test]
fn a_decoder_that_is_not_built_in_is_refused_with_the_field() {
    for (changes, expected) in [
        (
            json!({"num_key_value_heads": 3}),
            "3 heads of keys and values do not divide 4 attention heads",
        ),
        (
            json!({"num_attention_heads": 5}),
            "5 attention heads do not divide the hidden size 24",
        ),
        (
            json!({"head_dim": 5}),
            "heads of 5 columns cannot be rotated",
        ),
        (
            json!({"rope_scaling": {"type": "dynamic", "factor": 2.0}}),
            "rotary embeddings scaled by `dynamic` are not supported (default, linear, llama3 and \
             yarn are)",
        ),
        (
            json!({"rope_theta": 0.5}),
            "`rope_theta` is 0.5, not a number above 1",
        ),
        (
            json!({"quantization_config": {"bits": 4}}),
            "the weights are quantised; take the model's original weights",
        ),
        (
            json!({"model_type": "mistral", "sliding_window": 0}),
            "`sliding_window` is 0",
        ),
        (
            json!({"model_type": "qwen3", "use_sliding_window": true, "layer_types": ["linear"]}),
            "attention of type \"linear\" is not supported",
        ),
        (
            json!({"model_type": "gpt2", "n_embd": 10, "n_head": 3}),
            "3 attention heads do not divide the hidden size 10",
        ),
        (
            json!({"model_type": "gpt2", "scale_attn_by_inverse_layer_idx": true}),
            "`scale_attn_by_inverse_layer_idx` is true, which is not supported",
        ),
        (
            json!({"model_type": "gpt2", "embd_pdrop": 0.2}),
            "`embd_pdrop` is 0.2 and `resid_pdrop` 0.1; they must be equal here",
        ),
        (json!({"mlp_bias": 1}), "`mlp_bias` is 1, not true or false"),
    ] {
        let error = decoder(changes.clone()).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("config.json: {expected}"),
            "{changes}"
        );
    }
}

#[test]
fn the_windows_of_a_decoder_are_as_its_type_says() {
    let sliding = |changes| {
        let decoder = decoder(changes).unwrap().decoder.unwrap();
        (decoder.window, decoder.sliding)
    };
    let none = (None, vec![false, false]);
    assert_eq!(sliding(json!({"sliding_window": 8})), none);
    assert_eq!(
        sliding(json!({"model_type": "mistral", "sliding_window": 8})),
        (Some(8), vec![true, true])
    );
    let absent = json!({"model_type": "mistral", "sliding_window": null});
    assert_eq!(sliding(absent), none);
    let qwen = |used: bool| {
        json!({"model_type": "qwen2", "sliding_window": 8, "use_sliding_window": used,
               "max_window_layers": 1})
    };
    assert_eq!(sliding(qwen(false)), none);
    assert_eq!(sliding(qwen(true)), (Some(8), vec![false, true]));
}

#[test]
fn a_broken_file_is_refused_with_its_path() {
    check(
        |dir| fs::remove_file(dir.join("config.json")).unwrap(),
        "cannot read DIR/config.json: No such file or directory (os error 2)",
    );
    check(
        |dir| fs::write(dir.join("config.json"), "{\"model_type\": ").unwrap(),
        "DIR/config.json: EOF while parsing a value at line 1 column 15",
    );
    check(
        |dir| fs::remove_file(dir.join("model.safetensors")).unwrap(),
        "no `model.safetensors`, `pytorch_model.bin` or index of either in `DIR`",
    );
    for text in ["[]", "7", "\"bert\"", ""] {
        let dir = Copy::default().of("tiny_bert");
        let model = dir.path().join("model");
        fs::write(model.join("config.json"), text).unwrap();
        let error = Model::load(&model, THREE, &mut rng(1)).unwrap_err();
        assert!(matches!(error, TuneError::Config { .. }), "{text}: {error}");
    }
}

#[test]
fn a_tensor_that_does_not_fit_is_refused_with_its_name_and_shapes() {
    check(
        |dir| set(dir, "vocab_size", json!(68)),
        "tensor `bert.embeddings.word_embeddings.weight` is [67, 24] in DIR \
         but [68, 24] by its config.json",
    );
    check(
        |dir| set(dir, "intermediate_size", json!(64)),
        "tensor `bert.encoder.layer.0.intermediate.dense.weight` is [32, 24] in DIR \
         but [64, 24] by its config.json",
    );
    check(
        |dir| set(dir, "num_hidden_layers", json!(3)),
        "tensor `bert.encoder.layer.2.attention.self.query.weight` is missing from DIR",
    );
}

/// The sizes would take a petabyte: they are compared before memory is taken.
#[test]
fn absurd_sizes_are_refused_before_memory_is_taken() {
    let spoil = |dir: &Path| {
        for field in ["vocab_size", "hidden_size", "intermediate_size"] {
            set(dir, field, json!(1 << 24));
        }
    };
    check(
        spoil,
        "tensor `bert.embeddings.word_embeddings.weight` is [67, 24] in DIR \
         but [16777216, 16777216] by its config.json",
    );
}

#[test]
fn a_checkpoint_without_a_tensor_of_the_encoder_is_refused_with_its_name() {
    let source = Checkpoint::open(golden("tiny_bert")).unwrap();
    let model = load("tiny_bert", THREE, 0.0);
    for (name, entry) in model.network.layout().entries() {
        assert!(source.contains(name));
        let without = |n: &str| (n != name).then(|| n.to_string());
        let copy = Copy {
            rename: &without,
            ..Copy::default()
        };
        let outcome = copy.load("tiny_bert", THREE);
        match outcome {
            Ok((_, report)) => {
                assert!(entry.head, "{name}");
                assert_eq!(report.initialised, [name]);
            }
            Err(TuneError::MissingTensor { name: missing, .. }) => {
                assert!(!entry.head);
                assert_eq!(missing, name);
            }
            Err(other) => panic!("{other}"),
        }
    }
}

/// Fusion reads checkpoints as they are: nothing is made up there.
#[test]
fn without_a_generator_a_missing_head_is_an_error() {
    let model = load("tiny_bert", Head::Classifier { outputs: 5 }, 0.0);
    let mut params = vec![0.0; model.params.len()];
    let dir = golden("tiny_bert");
    let none: Option<&mut rand_chacha::ChaCha8Rng> = None;
    let error = model
        .network
        .read_params(&dir, &mut params, none)
        .unwrap_err();
    assert!(matches!(&error, TuneError::Shape { name, .. } if name == "classifier.weight"));
    let checkpoint = Checkpoint::open(&dir).unwrap();
    let error = model.network.tensors(&checkpoint, &dir).unwrap_err();
    assert!(matches!(&error, TuneError::Shape { name, .. } if name == "classifier.weight"));
}

#[test]
fn only_bert_has_a_masked_language_model_head() {
    for folder in ["tiny_roberta", "tiny_distilbert"] {
        let error = Model::load(&golden(folder), Head::MaskedLm, &mut rng(1)).unwrap_err();
        assert!(error.to_string().contains("only BERT"), "{error}");
    }
}

/// Any JSON that a field might hold.
fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (0u64..40).prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (0.0f64..1.0).prop_map(Value::from),
        ".{0,6}".prop_map(Value::from),
        prop::sample::select(vec!["gelu", "relu", "absolute"]).prop_map(Value::from),
        Just(json!([1, 2])),
        Just(json!({"a": 1})),
    ]
}

const FIELDS: [&str; 26] = [
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "hidden_act",
    "max_position_embeddings",
    "type_vocab_size",
    "layer_norm_eps",
    "hidden_dropout_prob",
    "attention_probs_dropout_prob",
    "classifier_dropout",
    "initializer_range",
    "pad_token_id",
    "dim",
    "n_layers",
    "n_heads",
    "hidden_dim",
    "activation",
    "dropout",
    "attention_dropout",
    "seq_classif_dropout",
    "position_embedding_type",
    "is_decoder",
    "id2label",
    "problem_type",
];

proptest! {
    #[test]
    fn no_configuration_makes_the_reader_panic(
        model_type in prop::sample::select(vec!["bert", "roberta", "distilbert"]),
        base in any::<bool>(),
        fields in prop::collection::vec((prop::sample::select(FIELDS.to_vec()), any_value()), 0..5),
        others in prop::collection::vec((".{0,8}", any_value()), 0..3),
    ) {
        let mut raw = if base {
            let text = fs::read_to_string(golden(&format!("tiny_{model_type}")).join("config.json"));
            serde_json::from_str(&text.unwrap()).unwrap()
        } else {
            Map::from_iter([("model_type".to_string(), json!(model_type))])
        };
        raw.extend(others);
        raw.extend(fields.into_iter().map(|(name, value)| (name.to_string(), value)));
        match Config::from_raw(raw.clone(), Path::new("config.json")) {
            Ok(config) => {
                prop_assert_eq!(&config.raw, &raw);
                prop_assert!((1..=config.max_positions).contains(&config.max_length()));
                prop_assert_eq!(config.hidden_size % config.num_heads, 0);
                let rates = [config.dropout.hidden, config.dropout.attention, config.dropout.classifier];
                prop_assert!(rates.iter().all(|rate| (0.0..1.0).contains(rate)));
                LabelNames::from_config(&config);
            }
            Err(error) => prop_assert!(error.to_string().starts_with("config.json: ")),
        }
    }
}
