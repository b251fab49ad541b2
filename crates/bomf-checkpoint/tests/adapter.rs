//! Adapters as PEFT saves them, and one clear error for each thing that is wrong with one.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::fs;
use std::path::Path;

use bomf_checkpoint::{
    Adapter, AdapterError, AdapterHeader, Bias, CheckpointError, FolderWriter, LayerFactors,
    LayerKind, TargetModules,
};
use common::golden;
use serde_json::{Value, json};

fn open(name: &str) -> Adapter {
    Adapter::open(golden("adapters").join(name)).unwrap()
}

#[test]
fn every_kind_of_module_is_read() {
    let adapter = open("plain");
    let layers: Vec<_> = adapter
        .layers()
        .map(|l| (l.module, l.kind, l.sides(), l.r, l.scale))
        .collect();
    let linear = LayerKind::Linear;
    assert_eq!(
        layers,
        [
            ("conv", LayerKind::Conv, (4, 18), 2, 1.5),
            ("embed", LayerKind::Embedding, (6, 7), 2, 1.5),
            ("layers.0.q", linear, (8, 6), 2, 1.5),
            ("layers.0.v", linear, (5, 6), 2, 1.5),
            ("layers.1.q", linear, (8, 6), 2, 1.5),
            ("layers.1.v", linear, (5, 6), 2, 1.5),
        ]
    );
    let saved: Vec<_> = adapter.saved().map(|(name, t)| (name, t.len())).collect();
    assert_eq!(saved, [("classifier.bias", 2), ("classifier.weight", 12)]);
    let layer = adapter.layer("embed").unwrap();
    assert_eq!(layer.base_tensor(), "embed.weight");
    assert!(layer.magnitude.is_none() && adapter.layer("norm").is_none());
}

#[test]
fn patterns_give_ranks_and_scales() {
    let adapter = open("patterns");
    let layers: Vec<_> = adapter.layers().map(|l| (l.module, l.r, l.scale)).collect();
    assert_eq!(
        layers,
        [
            ("conv", 2, 2.0),
            ("embed", 3, 2.0 / 3.0),
            ("layers.0.q", 4, 1.0),
            ("layers.0.v", 3, 4.0 / 3.0),
            ("layers.1.q", 3, 7.0 / 3.0),
            ("layers.1.v", 1, 4.0),
        ]
    );
    // lora_alpha 3, r 4.
    assert!(open("rslora").layers().all(|l| l.scale == 1.5));
}

#[test]
fn magnitudes_and_biases_are_read() {
    let dora = open("dora");
    assert!(dora.config().use_dora);
    for layer in dora.layers() {
        assert_eq!(layer.magnitude.unwrap().len(), layer.sides().0);
    }
    let biases = open("biases");
    assert_eq!(biases.config().bias, Bias::All);
    let names: Vec<_> = biases.saved().map(|(name, _)| name).collect();
    assert!(
        names.contains(&"layers.0.q.bias") && names.contains(&"norm.bias"),
        "{names:?}"
    );
    assert!(open("transposed").config().fan_in_fan_out);
}

/// An adapter of one module, 2 x 3 of rank 1, after its configuration was changed.
fn with_config(change: impl FnOnce(&mut Value)) -> Result<Adapter, CheckpointError> {
    changed(change, |_| {})
}

fn changed(
    change: impl FnOnce(&mut Value),
    spoil: impl FnOnce(&Path),
) -> Result<Adapter, CheckpointError> {
    let root = tempfile::tempdir().unwrap();
    let mut writer = FolderWriter::create(root.path().join("a"), false).unwrap();
    let header = AdapterHeader {
        base_model: Some("base".into()),
        ..AdapterHeader::default()
    };
    let layer = LayerFactors {
        module: "layers.0.q".into(),
        kind: LayerKind::Linear,
        r: 1,
        a: vec![1.0; 3],
        a_shape: vec![1, 3],
        b: vec![2.0; 2],
        b_shape: vec![2, 1],
    };
    writer.write_adapter(&header, &[layer], &[]).unwrap();
    let dir = writer.commit().unwrap();
    let path = dir.join("adapter_config.json");
    let mut config = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut config);
    fs::write(&path, config.to_string()).unwrap();
    spoil(&dir);
    Adapter::open(dir)
}

#[test]
fn what_is_written_is_read_again() {
    let adapter = with_config(|_| {}).unwrap();
    let config = adapter.config();
    assert_eq!((config.r, config.lora_alpha), (1, 1.0));
    assert_eq!(config.base_model.as_deref(), Some("base"));
    let names = vec!["layers.0.q".to_owned()];
    assert_eq!(config.target_modules, Some(TargetModules::Names(names)));
    let layer = adapter.layer("layers.0.q").unwrap();
    assert_eq!(layer.scale, 1.0);
    assert_eq!(layer.a.to_f32().unwrap(), [1.0; 3]);
    assert_eq!(layer.b.to_f32().unwrap(), [2.0; 2]);
}

/// The error and its message, without the folder's name.
fn refusal(change: impl FnOnce(&mut Value)) -> (AdapterError, String) {
    let CheckpointError::Adapter(error) = with_config(change).unwrap_err() else {
        panic!("it is the adapter's fault");
    };
    let message = error.to_string();
    (error, message)
}

#[test]
fn other_kinds_of_adapters_are_refused_by_name() {
    let (_, message) = refusal(|c| c["peft_type"] = json!("IA3"));
    assert!(
        message.ends_with("has `peft_type` \"IA3\", not \"LORA\""),
        "{message}"
    );
    let (_, message) = refusal(|c| c["peft_type"] = Value::Null);
    assert!(
        message.ends_with("has `peft_type` none, not \"LORA\""),
        "{message}"
    );
}

#[test]
fn options_that_would_change_the_result_are_refused_and_others_are_not() {
    for (field, value) in [
        ("use_qalora", json!(true)),
        ("lora_bias", json!(true)),
        ("layer_replication", json!([[0, 2]])),
        ("alora_invocation_tokens", json!([1])),
        ("trainable_token_indices", json!([1])),
        ("target_parameters", json!(["w"])),
        ("megatron_config", json!({"a": 1})),
        ("kasa_config", json!({"a": 1})),
        ("init_lora_weights", json!("pissa_niter_4")),
        ("init_lora_weights", json!("olora")),
        ("loftq_config", json!({"loftq_bits": 4})),
        ("what_is_to_come", json!(3)),
    ] {
        let (error, message) = refusal(|c| c[field] = value.clone());
        let wanted = format!("sets `{field}` to {value}, which is not supported");
        assert!(message.ends_with(&wanted), "{message}");
        assert!(error.hint().is_some());
    }
    for (field, value) in [
        ("use_qalora", json!(false)),
        ("loftq_config", json!({})),
        ("what_is_to_come", Value::Null),
        ("init_lora_weights", json!("gaussian")),
        ("layers_to_transform", json!([0])),
        ("lora_dropout", json!(0.1)),
        ("peft_version", json!("0.21.2")),
    ] {
        with_config(|c| c[field] = value).unwrap();
    }
}

#[test]
fn values_that_cannot_be_are_refused() {
    for (field, value) in [
        ("r", json!(0)),
        ("r", json!(1.5)),
        ("r", Value::Null),
        ("lora_alpha", json!("8")),
        ("bias", json!("some")),
        ("use_dora", json!("yes")),
        ("target_modules", json!([1])),
        ("alpha_pattern", json!({"(": 1})),
        ("alpha_pattern", json!({"(?=q)": 1})),
        ("rank_pattern", json!({"q": 0})),
    ] {
        let (error, message) = refusal(|c| c[field] = value.clone());
        assert!(matches!(error, AdapterError::BadField { .. }), "{message}");
        assert!(message.contains(&format!("`{field}`")), "{message}");
    }
}

#[test]
fn ranks_that_do_not_agree_are_refused() {
    let (error, _) = refusal(|c| c["r"] = json!(2));
    assert!(matches!(
        error,
        AdapterError::OtherRank {
            expected: 2,
            found: (1, 1),
            ..
        }
    ));
    // The end of a name is enough, but not a part of its last word.
    let (error, _) = refusal(|c| c["rank_pattern"] = json!({"0.q": 3}));
    assert!(matches!(error, AdapterError::OtherRank { expected: 3, .. }));
    with_config(|c| c["rank_pattern"] = json!({"ayers.0.q": 3, "q": 1})).unwrap();
    let (error, _) = refusal(|c| c["use_dora"] = json!(true));
    assert!(
        error
            .to_string()
            .ends_with("DoRA is on, but it has no magnitudes")
    );
}

#[test]
fn files_that_are_missing_or_broken_are_named() {
    let missing = |file: &str| changed(|_| {}, |dir| fs::remove_file(dir.join(file)).unwrap());
    for file in ["adapter_config.json", "adapter_model.safetensors"] {
        let error = missing(file).unwrap_err();
        assert!(matches!(
            error,
            CheckpointError::Adapter(AdapterError::NoAdapter { .. })
        ));
        assert!(error.hint().unwrap().contains("save_pretrained"));
    }
    let error = changed(
        |_| {},
        |dir| fs::write(dir.join("adapter_config.json"), "{").unwrap(),
    );
    assert!(matches!(error, Err(CheckpointError::BrokenJson { .. })));
    let error = changed(
        |_| {},
        |dir| fs::write(dir.join("adapter_model.safetensors"), "").unwrap(),
    );
    assert!(matches!(error, Err(CheckpointError::Truncated { .. })));
}

/// Writes tensors as an adapter's weights, beside the configuration of the others.
fn with_tensors(tensors: &[(&str, &[usize])]) -> String {
    let result = changed(
        |_| {},
        |dir| {
            let specs: Vec<_> = tensors
                .iter()
                .map(|(name, shape)| {
                    let name = format!("base_model.model.{name}");
                    bomf_checkpoint::TensorSpec::new(name, bomf_checkpoint::Dtype::F32, shape)
                })
                .collect();
            let mut writer = FolderWriter::create(dir.join("new"), false).unwrap();
            let zeros = |i: usize| {
                let values = vec![0.0; specs[i].num_elements()];
                Ok(bomf_checkpoint::TensorData::F32(values.into()))
            };
            writer
                .write_tensors("adapter_model.safetensors", &specs, zeros)
                .unwrap();
            let new = writer.commit().unwrap().join("adapter_model.safetensors");
            fs::rename(new, dir.join("adapter_model.safetensors")).unwrap();
        },
    );
    result.unwrap_err().to_string()
}

#[test]
fn tensors_that_do_not_fit_together_are_named() {
    let (a, b) = ("q.lora_A.weight", "q.lora_B.weight");
    for (tensors, wanted) in [
        (
            vec![(a, &[1, 3][..])],
            "it needs one factor A and one factor B",
        ),
        (
            vec![(a, &[1, 3]), (b, &[1])],
            "its factors' shapes do not belong together",
        ),
        (
            vec![(a, &[1, 3]), (b, &[2, 1, 1])],
            "its factors' shapes do not belong together",
        ),
        (
            vec![(a, &[1, 0]), (b, &[2, 1])],
            "its factors' shapes do not belong together",
        ),
        (
            vec![(a, &[1, 3]), (b, &[2, 2])],
            "factors of rank 1 and 2, but its configuration says 1",
        ),
        (
            vec![
                (a, &[1, 3]),
                (b, &[2, 1]),
                ("q.lora_magnitude_vector", &[2]),
            ],
            "it has magnitudes, but DoRA is off",
        ),
        (
            vec![(a, &[1, 3]), (b, &[2, 1]), ("q.lora_embedding_A", &[1, 3])],
            "it needs one factor A and one factor B",
        ),
        (
            vec![(a, &[1, 3]), (b, &[2, 1]), ("q.lora_B.bias", &[2])],
            "it belongs to no kind of adapter that is read here",
        ),
        (vec![("classifier.weight", &[2, 3])], "adapts no module"),
    ] {
        let message = with_tensors(&tensors);
        assert!(message.ends_with(wanted), "{message}");
    }
}
