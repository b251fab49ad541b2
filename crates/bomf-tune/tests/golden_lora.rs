//! LoRA against PEFT: see `golden/lora.py`, which made the values.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod reference;

use bomf_checkpoint::Checkpoint;
use bomf_tune::lora::{LoraOptions, Targets, read_options};
use bomf_tune::models::{Head, Model};
use bomf_tune::tape::Gradients;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use reference::*;
use std::collections::BTreeSet;

/// The outputs of merged weights differ by the rounding of `W + s B A`.
const MERGED: f64 = 1e-5;

fn classifier(outputs: usize) -> Head {
    Head::Classifier { outputs }
}

/// A base model of the golden folders with the adapter that PEFT wrote.
fn load(base: &str, adapter: &str, head: Head) -> Model {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let (mut model, _) = Model::load(&golden(base), head, &mut rng).unwrap();
    let dir = golden(adapter);
    model.adapt(&read_options(&dir).unwrap(), &mut rng).unwrap();
    let params = &mut model.params;
    model.network.read_adapter(&dir, params).unwrap();
    model
}

fn check(base: &str, adapter: &str, head: Head) {
    let mut model = load(base, adapter, head);
    let stored = Checkpoint::open(golden(base).join("golden.safetensors")).unwrap();
    let case = match head {
        Head::CausalLm => read_decoder_case(&stored),
        _ => read_case(&stored, false),
    };
    let file = Checkpoint::open(golden(adapter).join("golden.safetensors")).unwrap();
    let first = model.network.first_trainable(0).unwrap();
    let mut gradients = Gradients::zeros(first, model.params.len());
    let (logits, loss) = forward_backward(&model, &case, &mut gradients);
    assert_close("logits", &logits, &asked(&file, &case), TOLERANCE);
    let want = file.tensor("loss").unwrap().to_f32().unwrap()[0] as f64;
    assert!((loss - want).abs() < TOLERANCE * want, "{loss}, not {want}");
    let trained = |model: &Model| -> Vec<(String, bomf_tune::params::Param)> {
        let entries = model.network.layout().entries();
        let tail = entries.filter(|(_, entry)| entry.param.offset >= first);
        tail.map(|(name, entry)| (name.to_string(), entry.param))
            .collect()
    };
    // Every tensor that PEFT trains, and no other.
    assert_eq!(trained(&model).len() + 2, file.names().count());
    for (name, param) in trained(&model) {
        let got: Vec<f32> = gradients.values[param.offset - first..][..param.len()]
            .iter()
            .map(|g| g / case.count as f32)
            .collect();
        let stored = format!("grad.base_model.model.{name}");
        let want = file.tensor(&stored).unwrap().to_f32().unwrap();
        assert_close(&name, &got, &want, TOLERANCE);
        assert!(got.iter().any(|&g| g != 0.0), "{name} gets no gradient");
    }

    // Merged, it gives the same.
    let merged = Model {
        network: model.network.without_adapters().unwrap(),
        params: model.merged_params(),
    };
    let mut none = Gradients::zeros(merged.params.len(), merged.params.len());
    let (same, _) = forward_backward(&merged, &case, &mut none);
    assert_close("merged", &same, &logits, MERGED);

    let steps = json(&golden(adapter).join("steps.json"));
    let frozen = model.params[..first].to_vec();
    let lr = steps["lr"].as_f64().unwrap();
    let (losses, norms) = ten_steps(&mut model, &case, lr, first);
    assert_close_series("losses", &losses, &floats(&steps["losses"]), STEP_TOLERANCE);
    let want = floats(&steps["grad_norms"]);
    assert_close_series("norms", &norms, &want, STEP_TOLERANCE);
    assert_eq!(model.params[..first], frozen, "the base model stays");
    for (name, param) in trained(&model) {
        let squares = param.of(&model.params).iter().map(|&v| (v as f64).powi(2));
        let l2 = squares.sum::<f64>().sqrt();
        let want = steps["final"][format!("base_model.model.{name}")]["l2"].as_f64();
        let want = want.unwrap();
        assert!(
            (l2 - want).abs() < STEP_TOLERANCE * want,
            "{name}: norm {l2}, not {want}"
        );
    }
}

#[test]
fn bert_with_lora_agrees_with_peft() {
    check("tiny_bert", "lora_bert", classifier(3));
}

#[test]
fn roberta_with_rslora_on_every_layer_agrees_with_peft() {
    check("tiny_roberta", "lora_roberta", classifier(2));
}

#[test]
fn distilbert_with_rslora_on_an_activated_layer_agrees_with_peft() {
    check("tiny_distilbert", "lora_distilbert", classifier(1));
}

#[test]
fn llama_with_lora_on_stacked_and_gated_layers_agrees_with_peft() {
    check("tiny_llama", "lora_llama", Head::CausalLm);
}

/// PEFT's factors of a weight that is stored as `[in, out]`: merged, it gives the same.
#[test]
fn adapters_of_a_transposed_weight_merge_into_it() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let dir = golden("tiny_gpt2");
    let (mut model, _) = Model::load(&dir, Head::CausalLm, &mut rng).unwrap();
    let options = LoraOptions {
        target_modules: Targets::AllLinear,
        ..LoraOptions::default()
    };
    model.adapt(&options, &mut rng).unwrap();
    let range = model.network.adapters().unwrap().range();
    for (i, p) in model.params[range].iter_mut().enumerate() {
        *p += 0.1 * (i as f32).sin();
    }
    let case = read_decoder_case(&Checkpoint::open(dir.join("golden.safetensors")).unwrap());
    let run = |model: &Model| {
        let mut none = Gradients::zeros(model.params.len(), model.params.len());
        forward_backward(model, &case, &mut none).0
    };
    let merged = Model {
        network: model.network.without_adapters().unwrap(),
        params: model.merged_params(),
    };
    assert_close("merged", &run(&merged), &run(&model), MERGED);
    let out = tempfile::tempdir().unwrap();
    let out = out.path().join("adapter");
    let network = &model.network;
    network
        .write_adapter(&model.params, "gpt2", &out, false)
        .unwrap();
    assert_eq!(
        json(&out.join("adapter_config.json"))["fan_in_fan_out"],
        true
    );
    assert_eq!(network.adapters().unwrap().iter().len(), 8);
}

#[test]
fn what_is_written_is_what_peft_wrote() {
    for (base, adapter, head) in [
        ("tiny_bert", "lora_bert", classifier(3)),
        ("tiny_roberta", "lora_roberta", classifier(2)),
        ("tiny_distilbert", "lora_distilbert", classifier(1)),
        ("tiny_llama", "lora_llama", Head::CausalLm),
    ] {
        let model = load(base, adapter, head);
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("adapter");
        let network = &model.network;
        network
            .write_adapter(&model.params, base, &out, false)
            .unwrap();
        let theirs = Checkpoint::open(golden(adapter).join("adapter_model.safetensors")).unwrap();
        let ours = Checkpoint::open(out.join("adapter_model.safetensors")).unwrap();
        let names = |c: &Checkpoint| c.names().map(String::from).collect::<BTreeSet<_>>();
        assert_eq!(names(&ours), names(&theirs));
        for tensor in theirs.tensors() {
            let own = ours.tensor(tensor.name()).unwrap();
            assert_eq!((own.shape(), own.bytes()), (tensor.shape(), tensor.bytes()));
        }
        let [own, peft] = [&out, &golden(adapter)].map(|d| json(&d.join("adapter_config.json")));
        for field in [
            "peft_type",
            "task_type",
            "r",
            "use_rslora",
            "lora_dropout",
            "bias",
        ] {
            assert_eq!(own[field], peft[field], "{field} of {adapter}");
        }
        let alpha = |v: &serde_json::Value| v["lora_alpha"].as_f64();
        assert_eq!(alpha(&own), alpha(&peft));
        assert_eq!(
            read_options(&out).unwrap(),
            read_options(&golden(adapter)).unwrap()
        );
    }
}

#[test]
fn the_defaults_of_an_architecture_are_pefts() {
    let dir = golden("lora_bert");
    let theirs = read_options(&dir).unwrap();
    let head = Head::Classifier { outputs: 3 };
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let (mut model, _) = Model::load(&golden("tiny_bert"), head, &mut rng).unwrap();
    let before = model.params.clone();
    let options = LoraOptions {
        target_modules: Targets::Default,
        ..theirs.clone()
    };
    model.adapt(&options, &mut rng).unwrap();
    let own = model.network.adapters().unwrap().iter();
    let own: BTreeSet<String> = own.map(|a| a.module.clone()).collect();
    let Targets::Names(theirs) = theirs.target_modules else {
        panic!("names")
    };
    assert_eq!(own, theirs.into_iter().collect());
    // New adapters change nothing, and leave nothing when they are taken off.
    assert_eq!(model.merged_params(), before);
    model.drop_adapters().unwrap();
    assert_eq!(model.params, before);
}

#[test]
fn a_layer_that_is_not_there_is_refused_by_name() {
    let head = Head::Classifier { outputs: 3 };
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let (mut model, _) = Model::load(&golden("tiny_bert"), head, &mut rng).unwrap();
    let options = LoraOptions {
        target_modules: Targets::Names(vec!["query".into(), "q_proj".into()]),
        ..Default::default()
    };
    let error = model.adapt(&options, &mut rng).unwrap_err();
    let text = "the model has no linear layer `q_proj` to adapt";
    assert_eq!(error.to_string(), text);
    let hint = "its linear layers are query, key, value, dense";
    assert_eq!(error.hint().as_deref(), Some(hint));
    assert!(model.network.adapters().is_none());
}
