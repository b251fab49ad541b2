//! Gradient checkpointing: blocks that are computed again give the same gradients to the bit.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod reference;
mod tiny;

use bomf_checkpoint::Checkpoint;
use bomf_tune::batch::Batch;
use bomf_tune::lora::{LoraOptions, Targets};
use bomf_tune::models::{Head, Model};
use bomf_tune::tape::{Gradients, Tape, Workspace};
use reference::{Target, read_case, read_decoder_case};
use tiny::{golden, load, rng, sequences, wide};

/// Of every dropout.
const RATE: f32 = 0.2;

/// Outputs and gradients of one pass with dropout, and the bytes that it took.
fn pass(model: &Model, batch: &Batch, targets: &Target, first: usize) -> (Vec<u32>, usize) {
    let workspace = Workspace::default();
    let mut gradients = Gradients::zeros(first, model.params.len());
    let mut tape = Tape::training(&model.params, &mut gradients, Some(7), &workspace);
    let out = model.network.forward(&mut tape, batch);
    let mut bits: Vec<u32> = out.iter().map(|v| v.to_bits()).collect();
    let loss = match (targets, model.network.vocabulary()) {
        (Target::Classes(ids), Some(weight)) => tape.vocabulary_loss(&out, weight, ids, 1.0),
        (Target::Classes(ids), None) => tape.cross_entropy(&out, ids, 1.0),
        (Target::Values(values), _) => tape.squared_error(&out, values, 1.0),
    };
    assert!(loss.is_finite());
    drop(out);
    tape.backward();
    assert!(gradients.values.iter().any(|&g| g != 0.0));
    bits.extend(gradients.values.iter().map(|g| g.to_bits()));
    (bits, workspace.bytes())
}

fn check(model: &mut Model, batch: &Batch, targets: &Target, first: usize) {
    model.network.set_gradient_checkpointing(false);
    let (plain, _) = pass(model, batch, targets, first);
    model.network.set_gradient_checkpointing(true);
    let (again, _) = pass(model, batch, targets, first);
    assert!(plain == again);
}

#[test]
fn gradients_of_every_architecture_are_the_same_to_the_bit() {
    let classes = |outputs| Head::Classifier { outputs };
    for (folder, head) in [
        ("tiny_bert", classes(3)),
        ("tiny_roberta", classes(2)),
        ("tiny_distilbert", classes(1)),
        ("tiny_modernbert", classes(3)),
        ("tiny_gpt2", Head::CausalLm),
        ("tiny_llama", Head::CausalLm),
        ("tiny_mistral", Head::CausalLm),
        ("tiny_qwen3", Head::CausalLm),
        ("tiny_qwen2", classes(3)),
        ("tiny_t5", Head::CausalLm),
    ] {
        let mut model = load(folder, head, RATE);
        let (batch, targets) = match head {
            _ if folder == "tiny_t5" => {
                let mut pairs =
                    bomf_tune::batch::Sequences::new(bomf_tune::batch::OutputsAt::Targets);
                pairs.push_completion(&[5, 9, 8, 1, 0, 7, 6, 1], 3);
                pairs.push_completion(&[11, 1, 0, 4, 1], 2);
                (pairs.batch(&[0, 1]), Target::Classes(vec![7, 6, 1, 4, 1]))
            }
            Head::CausalLm => {
                let dir = golden(folder);
                let file = Checkpoint::open(dir.join("golden.safetensors")).unwrap();
                let case = read_decoder_case(&file);
                (case.batch, case.target)
            }
            _ => {
                let dir = golden(folder);
                let file = Checkpoint::open(dir.join("golden.safetensors")).unwrap();
                let case = match folder {
                    "tiny_qwen2" => read_decoder_case(&file),
                    _ => read_case(&file, false),
                };
                (case.batch, case.target)
            }
        };
        check(&mut model, &batch, &targets, 0);
        let options = LoraOptions {
            target_modules: Targets::AllLinear,
            dropout: 0.1,
            ..LoraOptions::default()
        };
        model.adapt(&options, &mut rng(1)).unwrap();
        let range = model.network.adapters().unwrap().range();
        for (i, p) in model.params[range].iter_mut().enumerate() {
            *p += 0.05 * (i as f32).sin();
        }
        let first = model.network.first_trainable(0).unwrap();
        check(&mut model, &batch, &targets, first);
    }
}

/// Frozen blocks have nothing to come back for; the network keeps the choice through adapters.
#[test]
fn gradients_above_a_cut_are_the_same_to_the_bit() {
    let mut model = wide(4, 2, RATE, 3);
    let batch = sequences(&[9, 30, 4], 2, &mut rng(2)).batch(&[0, 1, 2]);
    let targets = Target::Classes(vec![0, 1, 1]);
    for frozen in 0..4 {
        let first = model.network.first_trainable(frozen).unwrap();
        check(&mut model, &batch, &targets, first);
    }
    model.adapt(&LoraOptions::default(), &mut rng(1)).unwrap();
    let first = model.network.first_trainable(0).unwrap();
    let bytes = |model: &Model| pass(model, &batch, &targets, first).1;
    let again = bytes(&model);
    model.network.set_gradient_checkpointing(false);
    assert!(again < bytes(&model));
}

#[test]
fn many_blocks_take_little_more_memory_than_one() {
    let batch = sequences(&[40; 16], 2, &mut rng(2)).batch(&(0..16).collect::<Vec<_>>());
    let targets = Target::Classes(vec![1; 16]);
    let bytes = |layers, on| {
        let mut model = wide(layers, 2, RATE, 3);
        model.network.set_gradient_checkpointing(on);
        pass(&model, &batch, &targets, 0).1
    };
    let (few, many) = (bytes(2, true), bytes(12, true));
    let (all_few, all_many) = (bytes(2, false), bytes(12, false));
    // A block more is one matrix of hidden states more.
    assert!(
        many - few < (all_many - all_few) / 5,
        "{few} to {many}, {all_few} to {all_many}"
    );
    assert!(2 * many < all_many);
}
