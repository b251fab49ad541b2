//! Model folders: every way a BERT's tensors are named and stored, and round trips.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod tiny;

use bomf_checkpoint::{Checkpoint, Dtype};
use bomf_tune::models::{Head, LabelNames, LoadReport, Model};
use tiny::copy::{Copy, Rename};
use tiny::{golden, load, rng};

const THREE: Head = Head::Classifier { outputs: 3 };

/// The copy holds the same parameters, with nothing missing and nothing left over.
#[track_caller]
fn check_same(folder: &str, head: Head, copy: Copy) {
    let (model, report) = copy.load(folder, head).unwrap();
    assert_eq!(report, LoadReport::default());
    let want = load(folder, head, 0.0).params;
    let stored: Vec<f32> = match copy.dtype {
        Dtype::F16 => want
            .iter()
            .map(|&v| half::f16::from_f32(v).to_f32())
            .collect(),
        Dtype::BF16 => want
            .iter()
            .map(|&v| half::bf16::from_f32(v).to_f32())
            .collect(),
        _ => want,
    };
    assert_eq!(model.params, stored);
}

#[test]
fn tensors_are_found_whatever_stands_before_their_names() {
    let strip = |name: &str| Some(name.strip_prefix("bert.").unwrap_or(name).to_string());
    let deeper = |name: &str| match name.strip_prefix("bert.") {
        Some(rest) => Some(format!("model.encoder.{rest}")),
        None => Some(name.to_string()),
    };
    let wrapped = |name: &str| Some(format!("module.{name}"));
    let prefixes: [Rename; 3] = [&strip, &deeper, &wrapped];
    for rename in prefixes {
        let copy = Copy {
            rename,
            ..Copy::default()
        };
        check_same("tiny_bert", THREE, copy);
    }
    let two = Head::Classifier { outputs: 2 };
    let strip = |name: &str| Some(name.strip_prefix("roberta.").unwrap_or(name).to_string());
    let copy = Copy {
        rename: &strip,
        ..Copy::default()
    };
    check_same("tiny_roberta", two, copy);
    let strip = |name: &str| Some(name.strip_prefix("distilbert.").unwrap_or(name).to_string());
    let copy = Copy {
        rename: &strip,
        ..Copy::default()
    };
    check_same("tiny_distilbert", Head::Classifier { outputs: 1 }, copy);
}

#[test]
fn norms_may_have_the_names_of_the_first_checkpoints() {
    let old = |name: &str| {
        let name = name.replace("LayerNorm.weight", "LayerNorm.gamma");
        Some(name.replace("LayerNorm.bias", "LayerNorm.beta"))
    };
    let copy = Copy {
        rename: &old,
        ..Copy::default()
    };
    check_same("tiny_bert", THREE, copy);
}

#[test]
fn tensors_may_be_stored_in_half_precision_and_in_shards() {
    for dtype in [Dtype::F32, Dtype::F16, Dtype::BF16] {
        for max_shard_bytes in [None, Some(4000)] {
            let copy = Copy {
                dtype,
                max_shard_bytes,
                ..Copy::default()
            };
            check_same("tiny_bert", THREE, copy);
        }
    }
}

#[test]
fn a_missing_pooler_and_a_head_of_other_labels_start_anew_and_are_reported() {
    let pooler = |name: &str| (!name.contains("pooler")).then(|| name.to_string());
    let copy = Copy {
        rename: &pooler,
        ..Copy::default()
    };
    let (model, report) = copy.load("tiny_bert", THREE).unwrap();
    assert_eq!(
        report.initialised,
        ["bert.pooler.dense.weight", "bert.pooler.dense.bias"]
    );
    assert_eq!(report.unused, [""; 0]);
    let layout = model.network.layout();
    let weight = layout.get("bert.pooler.dense.weight").unwrap().param;
    assert!(weight.of(&model.params).iter().any(|&w| w != 0.0));

    let (model, report) = Copy::default()
        .load("tiny_bert", Head::Classifier { outputs: 5 })
        .unwrap();
    let head = ["classifier.weight", "classifier.bias"];
    assert_eq!(report.initialised, head);
    assert_eq!(report.unused, ["classifier.bias", "classifier.weight"]);
    // The encoder is the checkpoint's all the same.
    let want = load("tiny_bert", THREE, 0.0);
    let first = want.network.layout().get(head[0]).unwrap().param.offset;
    assert_eq!(model.params[..first], want.params[..first]);
}

#[test]
fn a_new_head_is_the_seeds() {
    let five = Head::Classifier { outputs: 5 };
    let draw = |seed| {
        let (model, _) = Model::load(&golden("tiny_bert"), five, &mut rng(seed)).unwrap();
        model.params
    };
    assert_eq!(draw(1), draw(1));
    assert_ne!(draw(1), draw(2));
}

#[test]
fn a_pre_trained_encoder_becomes_a_classifier() {
    let (_, report) = Copy::default().load("tiny_bert_mlm", THREE).unwrap();
    let new = [
        "bert.pooler.dense.weight",
        "bert.pooler.dense.bias",
        "classifier.weight",
        "classifier.bias",
    ];
    assert_eq!(report.initialised, new);
    assert!(
        report
            .unused
            .iter()
            .all(|name| name.starts_with("cls.predictions."))
    );
}

#[test]
fn a_written_folder_reads_back_bit_for_bit() {
    let cases = [
        ("tiny_bert", THREE),
        ("tiny_bert_mlm", Head::MaskedLm),
        ("tiny_roberta", Head::Classifier { outputs: 2 }),
        ("tiny_distilbert", Head::Classifier { outputs: 1 }),
    ];
    for (folder, head) in cases {
        let model = load(folder, head, 0.0);
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("model");
        let labels = match head {
            Head::Classifier { outputs: 1 } => Some(LabelNames::Regression),
            Head::Classifier { outputs } => {
                let names = (0..outputs).map(|i| format!("class {i}")).collect();
                Some(LabelNames::Classes(names))
            }
            _ => None,
        };
        let write = |overwrite| {
            let (network, params) = (&model.network, &model.params);
            network.write_folder(
                params,
                labels.as_ref(),
                Dtype::F32,
                None,
                &target,
                overwrite,
            )
        };
        write(false).unwrap();
        let (read, report) = Model::load(&target, head, &mut rng(1)).unwrap();
        assert_eq!(report, LoadReport::default(), "{folder}");
        assert_eq!(read.params, model.params, "{folder}");
        assert_eq!(LabelNames::from_config(read.network.config()), labels);
        if let Some(labels) = &labels {
            assert_eq!(labels.head(), head);
        }
        assert!(write(false).is_err());
        write(true).unwrap();
        let names: Vec<&str> = model.network.layout().entries().map(|(n, _)| n).collect();
        let checkpoint = Checkpoint::open(&target).unwrap();
        let tensors = model.network.tensors(&checkpoint, &target).unwrap();
        assert_eq!(tensors.iter().map(|t| t.name()).collect::<Vec<_>>(), names);
    }
}
