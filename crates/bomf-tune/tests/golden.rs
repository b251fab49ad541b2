//! The engine against PyTorch and transformers: see `golden/encoders.py` and
//! `golden/minilm.py`, which made the values, and `golden/versions.json`.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod reference;

use bomf_checkpoint::Checkpoint;
use bomf_tune::models::{Head, Model};
use bomf_tune::tape::Gradients;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use reference::*;
use serde_json::Value;
use std::path::PathBuf;

fn check(folder: &str, head: Head) {
    let dir = golden(folder);
    let file = Checkpoint::open(dir.join("golden.safetensors")).unwrap();
    let (mut model, report) = Model::load(&dir, head, &mut ChaCha8Rng::seed_from_u64(0)).unwrap();
    assert_eq!(report.initialised, [""; 0]);
    let case = read_case(&file, head == Head::MaskedLm);
    let mut gradients = Gradients::zeros(0, model.params.len());
    let (logits, loss) = forward_backward(&model, &case, &mut gradients);
    let want = file.tensor("logits").unwrap().to_f32().unwrap();
    if head != Head::MaskedLm {
        assert_close("logits", &logits, &want, TOLERANCE);
    }
    let want_loss = file.tensor("loss").unwrap().to_f32().unwrap()[0] as f64;
    assert!(
        (loss - want_loss).abs() < TOLERANCE * want_loss,
        "{loss} instead of {want_loss}"
    );
    // The bf16 file holds outputs only.
    if folder.ends_with("bf16") {
        return;
    }
    for (name, entry) in model.network.layout().entries() {
        let got: Vec<f32> = gradients.values[entry.param.offset..][..entry.param.len()]
            .iter()
            .map(|g| g / case.count as f32)
            .collect();
        let want = file
            .tensor(&format!("grad.{name}"))
            .unwrap()
            .to_f32()
            .unwrap();
        // A key's bias shifts a whole row of scores, which softmax does not see: its
        // gradient is nothing but rounding.
        if is_key_bias(name) {
            assert!(got.iter().all(|g| g.abs() < 1e-5), "{name}: {got:?}");
            continue;
        }
        assert_close(name, &got, &want, TOLERANCE);
        assert!(got.iter().any(|&g| g != 0.0), "{name} gets no gradient");
    }
    let steps = json(&dir.join("steps.json"));
    let (losses, norms) = ten_steps(&mut model, &case, steps["lr"].as_f64().unwrap(), 0);
    assert_close_series("losses", &losses, &floats(&steps["losses"]), STEP_TOLERANCE);
    assert_close_series(
        "norms",
        &norms,
        &floats(&steps["grad_norms"]),
        STEP_TOLERANCE,
    );
    for (name, entry) in model.network.layout().entries() {
        if is_key_bias(name) {
            continue;
        }
        let values = entry.param.of(&model.params);
        let l2 = values
            .iter()
            .map(|&v| (v as f64).powi(2))
            .sum::<f64>()
            .sqrt();
        let want = steps["final"][name]["l2"].as_f64().unwrap();
        assert!(
            (l2 - want).abs() < STEP_TOLERANCE * want,
            "{name}: norm {l2}, not {want}"
        );
    }
}

#[test]
fn bert_agrees_with_transformers() {
    check("tiny_bert", Head::Classifier { outputs: 3 });
}

#[test]
fn bert_stored_in_bf16_agrees_with_transformers() {
    check("tiny_bert_bf16", Head::Classifier { outputs: 3 });
}

#[test]
fn roberta_agrees_with_transformers() {
    check("tiny_roberta", Head::Classifier { outputs: 2 });
}

#[test]
fn distilbert_regression_agrees_with_transformers() {
    check("tiny_distilbert", Head::Classifier { outputs: 1 });
}

#[test]
fn the_masked_language_model_agrees_with_transformers() {
    check("tiny_bert_mlm", Head::MaskedLm);
}

/// Needs the real weights, which are not in the repository: set `BOMF_MINILM` to the
/// folder of all-MiniLM-L6-v2.
#[test]
fn the_real_minilm_agrees_with_transformers() {
    let Some(dir) = std::env::var_os("BOMF_MINILM").map(PathBuf::from) else {
        println!("SKIPPED: set BOMF_MINILM to the folder of all-MiniLM-L6-v2 to run this test");
        return;
    };
    let golden = json(&golden("minilm.json"));
    let head = Head::Classifier { outputs: 2 };
    let (mut model, report) = Model::load(&dir, head, &mut ChaCha8Rng::seed_from_u64(0)).unwrap();
    assert_eq!(report.initialised, ["classifier.weight", "classifier.bias"]);
    let weight = model
        .network
        .layout()
        .get("classifier.weight")
        .unwrap()
        .param;
    let bias = model.network.layout().get("classifier.bias").unwrap().param;
    let rows = golden["classifier_weight"].as_array().unwrap();
    let values: Vec<f64> = rows
        .iter()
        .flat_map(floats)
        .chain(floats(&golden["classifier_bias"]))
        .collect();
    assert_eq!(weight.offset + weight.len(), bias.offset);
    for (place, value) in model.params[weight.offset..].iter_mut().zip(&values) {
        *place = *value as f32;
    }

    // The tokenizer gives the same ids.
    let tokenizer =
        bomf_tune::tokenize::TextTokenizer::load(&dir, model.network.config(), 128).unwrap();
    let pairs = golden["pairs"].as_array().unwrap();
    let texts = pairs
        .iter()
        .map(|p| (p["text"].as_str().unwrap(), p["text_pair"].as_str()));
    let sequences = tokenizer.encode(texts).unwrap();
    for (i, ids) in golden["input_ids"].as_array().unwrap().iter().enumerate() {
        assert_eq!(
            sequences.ids(i),
            floats(ids).iter().map(|&id| id as u32).collect::<Vec<_>>()
        );
    }
    let labels = pairs
        .iter()
        .map(|p| p["label"].as_u64().unwrap() as u32)
        .collect();
    let batch = sequences.batch(&(0..pairs.len()).collect::<Vec<_>>());
    let case = Case {
        batch,
        target: Target::Classes(labels),
        count: pairs.len() as f64,
    };

    let mut gradients = Gradients::zeros(0, model.params.len());
    let (logits, loss) = forward_backward(&model, &case, &mut gradients);
    let flat = |value: &Value| -> Vec<f32> {
        value
            .as_array()
            .unwrap()
            .iter()
            .flat_map(floats)
            .map(|v| v as f32)
            .collect()
    };
    assert_close("logits", &logits, &flat(&golden["logits"]), TOLERANCE);
    let want = golden["loss"].as_f64().unwrap();
    assert!((loss - want).abs() < TOLERANCE, "{loss} instead of {want}");
    let samples = |values: &[f32], index: &Value| -> Vec<f32> {
        floats(index).iter().map(|&i| values[i as usize]).collect()
    };
    let to_f32 = |value: &Value| floats(value).iter().map(|&v| v as f32).collect::<Vec<_>>();
    for (name, entry) in model.network.layout().entries() {
        let want = &golden["parameters"][name];
        let got: Vec<f32> = gradients.values[entry.param.offset..][..entry.param.len()]
            .iter()
            .map(|g| g / case.count as f32)
            .collect();
        let l2 = got.iter().map(|&g| (g as f64).powi(2)).sum::<f64>().sqrt();
        let want_l2 = want["grad_l2"].as_f64().unwrap();
        assert!(
            (l2 - want_l2).abs() < 1e-4 * want_l2 + 1e-7,
            "{name}: {l2}, not {want_l2}"
        );
        let got = samples(&got, &want["index"]);
        for (g, w) in got.iter().zip(to_f32(&want["grad"])) {
            assert!(
                (g - w).abs() as f64 <= TOLERANCE * want_l2 + 1e-7,
                "{name}: {g}, not {w}"
            );
        }
    }
    let lr = golden["settings"]["lr"].as_f64().unwrap();
    let (losses, norms) = ten_steps(&mut model, &case, lr, 0);
    assert_close_series(
        "losses",
        &losses,
        &floats(&golden["losses"]),
        STEP_TOLERANCE,
    );
    assert_close_series(
        "norms",
        &norms,
        &floats(&golden["grad_norms"]),
        STEP_TOLERANCE,
    );
}
