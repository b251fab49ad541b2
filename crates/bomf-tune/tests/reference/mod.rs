//! What PyTorch and transformers gave, and how the engine is held against it.
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(dead_code, reason = "each test file uses its own part")]

pub mod tasks;

use bomf_checkpoint::Checkpoint;
use bomf_tune::batch::{Batch, OutputsAt, Sequences};
use bomf_tune::models::Model;
use bomf_tune::optim::{AdamW, AdamWOptions, Schedule};
use bomf_tune::tape::{Gradients, Tape, Workspace};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Largest difference of a logit or a gradient's entry from PyTorch's, as a share
/// of the largest entry: about ten times what float32 loses against float64 there.
pub const TOLERANCE: f64 = 2e-5;
/// Likewise of the losses of ten optimiser steps, which add up rounding.
pub const STEP_TOLERANCE: f64 = 2e-4;

pub fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name)
}

pub fn json(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

pub fn floats(value: &Value) -> Vec<f64> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v.as_f64().unwrap())
        .collect()
}

#[track_caller]
pub fn assert_close(what: &str, got: &[f32], want: &[f32], tolerance: f64) {
    assert_eq!(got.len(), want.len(), "{what}");
    let scale = want.iter().fold(1e-3f64, |m, v| m.max(v.abs() as f64));
    for (i, (g, w)) in got.iter().zip(want).enumerate() {
        let difference = (*g as f64 - *w as f64).abs();
        assert!(
            difference <= tolerance * scale,
            "{what}[{i}]: {g} instead of {w}"
        );
    }
}

/// What a batch is to give.
pub enum Target {
    Classes(Vec<u32>),
    Values(Vec<f32>),
}

pub struct Case {
    pub batch: Batch,
    pub target: Target,
    /// Divides the summed loss.
    pub count: f64,
}

pub fn int64(file: &Checkpoint, name: &str) -> Vec<i64> {
    let bytes = file.tensor(name).unwrap().bytes();
    bytes
        .chunks_exact(8)
        .map(|b| i64::from_le_bytes(b.try_into().unwrap()))
        .collect()
}

/// The padded batch of a golden file, without its padding.
pub fn read_case(file: &Checkpoint, masked_lm: bool) -> Case {
    let [ids, mask, types] =
        ["input_ids", "attention_mask", "token_type_ids"].map(|name| int64(file, name));
    let width = file.tensor("input_ids").unwrap().shape()[1];
    let mut sequences = Sequences::default();
    let (mut outputs, mut output_offsets, mut words) = (Vec::new(), vec![0], Vec::new());
    let labels = file.tensor("labels").unwrap();
    let mut token = 0;
    for row in 0..ids.len() / width {
        let real: Vec<usize> = (row * width..(row + 1) * width)
            .filter(|&i| mask[i] == 1)
            .collect();
        let pick = |v: &[i64]| real.iter().map(|&i| v[i] as u32).collect::<Vec<_>>();
        sequences.push(&pick(&ids), &pick(&types));
        if masked_lm {
            for &i in &real {
                let label = int64(file, "labels")[i];
                if label >= 0 {
                    outputs.push((token + i - real[0]) as u32);
                    words.push(label as u32);
                }
            }
            output_offsets.push(outputs.len());
        }
        token += real.len();
    }
    let n = sequences.len();
    if masked_lm {
        let count = words.len() as f64;
        let batch = sequences.into_batch(outputs, output_offsets);
        return Case {
            batch,
            target: Target::Classes(words),
            count,
        };
    }
    let batch = sequences.batch(&(0..n).collect::<Vec<_>>());
    let target = match labels.to_f32() {
        Ok(values) => Target::Values(values),
        Err(_) => Target::Classes(int64(file, "labels").iter().map(|&l| l as u32).collect()),
    };
    Case {
        batch,
        target,
        count: n as f64,
    }
}

/// The padded batch of a decoder's golden file, without its padding: a classifier's, or a
/// language model's, whose prompts have no labels.
pub fn read_decoder_case(file: &Checkpoint) -> Case {
    let [ids, mask, labels] = ["input_ids", "attention_mask", "labels"].map(|n| int64(file, n));
    let width = file.tensor("input_ids").unwrap().shape()[1];
    let is_lm = labels.len() == ids.len();
    let mut sequences = Sequences::new(match is_lm {
        true => OutputsAt::Targets,
        false => OutputsAt::Last,
    });
    for row in 0..ids.len() / width {
        let real: Vec<usize> = (row * width..(row + 1) * width)
            .filter(|&i| mask[i] == 1)
            .collect();
        let words: Vec<u32> = real.iter().map(|&i| ids[i] as u32).collect();
        match is_lm {
            // A first token is nobody's target, labelled or not.
            true => {
                let targets = real[1..].iter().filter(|&&i| labels[i] >= 0).count();
                sequences.push_completion(&words, targets);
            }
            false => sequences.push(&words, &vec![0; words.len()]),
        }
    }
    let all: Vec<usize> = (0..sequences.len()).collect();
    let classes: Vec<u32> = match is_lm {
        true => all
            .iter()
            .flat_map(|&i| sequences.targets(i))
            .copied()
            .collect(),
        false => labels.iter().map(|&l| l as u32).collect(),
    };
    Case {
        batch: sequences.batch(&all),
        count: classes.len() as f64,
        target: Target::Classes(classes),
    }
}

/// The rows of padded logits at which outputs are asked.
pub fn asked(file: &Checkpoint, case: &Case) -> Vec<f32> {
    let tensor = file.tensor("logits").unwrap();
    let all = tensor.to_f32().unwrap();
    let [_, width, entries] = tensor.shape() else {
        return all;
    };
    let batch = &case.batch;
    let mut rows = Vec::new();
    for (i, w) in batch.output_offsets.windows(2).enumerate() {
        for &row in &batch.outputs[w[0]..w[1]] {
            let place = i * width + batch.positions[row as usize] as usize;
            rows.extend_from_slice(&all[place * entries..][..*entries]);
        }
    }
    rows
}

/// Logits and loss; adds to `gradients` those of the summed loss.
pub fn forward_backward(model: &Model, case: &Case, gradients: &mut Gradients) -> (Vec<f32>, f64) {
    let workspace = Workspace::default();
    let mut tape = Tape::training(&model.params, gradients, None, &workspace);
    let logits = model.network.forward(&mut tape, &case.batch);
    if let (Some(weight), Target::Classes(ids)) = (model.network.vocabulary(), &case.target) {
        let values = {
            let mut tape = Tape::inference(&model.params, &workspace);
            let hidden = model.network.forward(&mut tape, &case.batch);
            tape.linear(&hidden, weight, None).to_vec()
        };
        let loss = tape.vocabulary_loss(&logits, weight, ids, 1.0);
        drop(logits);
        tape.backward();
        return (values, loss / case.count);
    }
    let loss = match &case.target {
        Target::Classes(ids) => tape.cross_entropy(&logits, ids, 1.0),
        Target::Values(values) => tape.squared_error(&logits, values, 1.0),
    };
    let values = logits.to_vec();
    drop(logits);
    tape.backward();
    (values, loss / case.count)
}

/// Losses and gradient norms of ten optimiser steps on the parameters from `first` on.
pub fn ten_steps(model: &mut Model, case: &Case, lr: f64, first: usize) -> (Vec<f64>, Vec<f64>) {
    let mut optimiser = AdamW::new(model.network.layout(), first, AdamWOptions::default());
    let (mut losses, mut norms) = (Vec::new(), Vec::new());
    for step in 0..=10 {
        let mut gradients = Gradients::zeros(first, model.params.len());
        losses.push(forward_backward(model, case, &mut gradients).1);
        if step < 10 {
            let lr = lr * Schedule::Constant.factor(step, 10, 2);
            norms.push(optimiser.step(&mut model.params, &gradients, 1.0 / case.count, lr));
        }
    }
    (losses, norms)
}

#[track_caller]
pub fn assert_close_series(what: &str, got: &[f64], want: &[f64], tolerance: f64) {
    assert_eq!(got.len(), want.len(), "{what}");
    for (i, (g, w)) in got.iter().zip(want).enumerate() {
        assert!(
            (g - w).abs() <= tolerance * w.abs().max(0.1),
            "{what}[{i}]: {g} instead of {w}"
        );
    }
}

/// A key's bias shifts a whole row of scores, which softmax does not see: its gradient is
/// nothing but rounding.
pub fn is_key_bias(name: &str) -> bool {
    ["key.bias", "k_lin.bias"]
        .iter()
        .any(|end| name.ends_with(end))
}
