//! Decoders against transformers: see `golden/decoders.py`, which made the values.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod reference;

use bomf_checkpoint::{Checkpoint, Dtype};
use bomf_tune::models::{Head, LabelNames, Model};
use bomf_tune::tape::{Gradients, Tape, Workspace};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use reference::*;

fn rng() -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(0)
}

fn check(folder: &str, head: Head) {
    let dir = golden(folder);
    let file = Checkpoint::open(dir.join("golden.safetensors")).unwrap();
    let (mut model, report) = Model::load(&dir, head, &mut rng()).unwrap();
    assert_eq!((report.initialised, report.unused), (vec![], vec![]));
    let case = read_decoder_case(&file);
    let mut gradients = Gradients::zeros(0, model.params.len());
    let (logits, loss) = forward_backward(&model, &case, &mut gradients);
    assert_close("logits", &logits, &asked(&file, &case), TOLERANCE);
    let want = file.tensor("loss").unwrap().to_f32().unwrap()[0] as f64;
    assert!((loss - want).abs() < TOLERANCE * want, "{loss}, not {want}");
    let is_key_bias = |name: &str| name.ends_with("k_proj.bias");
    for (name, entry) in model.network.layout().entries() {
        let got: Vec<f32> = entry
            .param
            .of(&gradients.values)
            .iter()
            .map(|g| g / case.count as f32)
            .collect();
        let want = file.tensor(&format!("grad.{name}")).unwrap();
        assert_close(name, &got, &want.to_f32().unwrap(), TOLERANCE);
        assert!(got.iter().any(|&g| g != 0.0), "{name} gets no gradient");
    }
    let steps = json(&dir.join("steps.json"));
    let lr = steps["lr"].as_f64().unwrap();
    let (losses, norms) = ten_steps(&mut model, &case, lr, 0);
    assert_close_series("losses", &losses, &floats(&steps["losses"]), STEP_TOLERANCE);
    let want = floats(&steps["grad_norms"]);
    assert_close_series("norms", &norms, &want, STEP_TOLERANCE);
    for (name, entry) in model.network.layout().entries() {
        if is_key_bias(name) {
            continue;
        }
        let squares = entry
            .param
            .of(&model.params)
            .iter()
            .map(|&v| (v as f64).powi(2));
        let l2 = squares.sum::<f64>().sqrt();
        let want = steps["final"][name]["l2"].as_f64().unwrap();
        assert!(
            (l2 - want).abs() < STEP_TOLERANCE * want,
            "{name}: norm {l2}, not {want}"
        );
    }
}

#[test]
fn llama_with_scaled_rotations_and_tied_words_agrees_with_transformers() {
    check("tiny_llama", Head::CausalLm);
}

#[test]
fn mistral_with_a_sliding_window_agrees_with_transformers() {
    check("tiny_mistral", Head::CausalLm);
}

#[test]
fn qwen3_with_normalised_heads_agrees_with_transformers() {
    check("tiny_qwen3", Head::CausalLm);
}

#[test]
fn gpt2_agrees_with_transformers() {
    check("tiny_gpt2", Head::CausalLm);
}

#[test]
fn a_classifier_on_qwen2_with_yarn_agrees_with_transformers() {
    check("tiny_qwen2", Head::Classifier { outputs: 3 });
}

#[test]
fn a_classifier_on_llama_with_biases_agrees_with_transformers() {
    check("tiny_llama_cls", Head::Classifier { outputs: 3 });
}

#[test]
fn scores_of_tokens_are_those_of_the_logits() {
    let dir = golden("tiny_llama");
    let file = Checkpoint::open(dir.join("golden.safetensors")).unwrap();
    let (model, _) = Model::load(&dir, Head::CausalLm, &mut rng()).unwrap();
    let case = read_decoder_case(&file);
    let Target::Classes(labels) = &case.target else {
        panic!("tokens")
    };
    let workspace = Workspace::default();
    let mut tape = Tape::inference(&model.params, &workspace);
    let hidden = model.network.forward(&mut tape, &case.batch);
    let weight = model.network.vocabulary().unwrap();
    let scores = tape.vocabulary_scores(&hidden, weight, labels);
    let logits = asked(&file, &case);
    assert_eq!(scores.len(), 2 * labels.len());
    for ((row, &label), got) in logits.chunks(67).zip(labels).zip(scores.chunks(2)) {
        let label = label as usize;
        let sum: f64 = row.iter().map(|&z| (z as f64).exp()).sum();
        let want = row[label] as f64 - sum.ln();
        assert!((got[0] as f64 - want).abs() < 1e-4, "{} not {want}", got[0]);
        let others = row.iter().enumerate().filter(|(i, _)| *i != label);
        let best = others.map(|(_, &z)| z).fold(f32::NEG_INFINITY, f32::max);
        assert!((got[1] - (row[label] - best)).abs() < 1e-4);
    }
}

#[test]
fn what_is_written_loads_again_and_is_the_same() {
    for (folder, head, labels) in [
        ("tiny_llama", Head::CausalLm, None),
        (
            "tiny_qwen2",
            Head::Classifier { outputs: 3 },
            Some(LabelNames::Classes(
                ["a", "b", "c"].map(String::from).into(),
            )),
        ),
    ] {
        let (model, _) = Model::load(&golden(folder), head, &mut rng()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("model");
        let network = &model.network;
        network
            .write_folder(
                &model.params,
                labels.as_ref(),
                Dtype::F32,
                None,
                &out,
                false,
            )
            .unwrap();
        let (again, report) = Model::load(&out, head, &mut rng()).unwrap();
        assert_eq!(again.params, model.params);
        assert_eq!(report.unused, [""; 0]);
        let theirs = json(&golden(folder).join("config.json"));
        let ours = json(&out.join("config.json"));
        assert_eq!(ours["architectures"], theirs["architectures"]);
        assert_eq!(ours["rope_parameters"], theirs["rope_parameters"]);
    }
}
