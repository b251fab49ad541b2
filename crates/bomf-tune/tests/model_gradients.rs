//! Whole models with dropout active against central differences; frozen layers;
//! accumulation.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod differences;
mod tiny;

use bomf_tune::batch::Batch;
use bomf_tune::data::Labels;
use bomf_tune::lora::{LoraOptions, Targets};
use bomf_tune::models::{Dropout, Head, Model};
use bomf_tune::tape::{Gradients, Tape, Workspace};
use bomf_tune::train::{EncodedSplit, FineTuning, FrozenStates, Objective, outputs};
use differences::{derivative, moved, signs};
use tiny::{frozen, is_key_bias, load, rng, sequences, split, wide};

/// All weights of a matrix move at once, and through several layers: the fifth
/// derivative is large, and the step smaller than a single operation's.
const STEP: f32 = 1.0 / 1024.0;
/// Difference along a direction, as a share of the gradient's norm, which is some
/// ten to a hundred here. Rounding of the loss, 1e-6, over the step is 1e-3.
const TOLERANCE: f64 = 2e-3;
/// Gradients of single parameters below this share of the whole gradient's norm are
/// compared at that scale.
const SMALLEST: f64 = 0.05;
/// Sums in another order, as a share of the largest entry.
const ROUNDING: f32 = 1e-5;
const SEED: u64 = 5;
const RATE: f32 = 0.2;

enum Labelled {
    Classes(Vec<u32>),
    Values(Vec<f32>),
}

fn loss(tape: &mut Tape, model: &Model, batch: &Batch, labels: &Labelled) -> f64 {
    let logits = model.network.forward(tape, batch);
    match labels {
        Labelled::Classes(ids) => tape.cross_entropy(&logits, ids, 1.0),
        Labelled::Values(values) => tape.squared_error(&logits, values, 1.0),
    }
}

fn gradients(model: &Model, batch: &Batch, labels: &Labelled, first: usize) -> Vec<f32> {
    let mut gradients = Gradients::zeros(first, model.params.len());
    let workspace = Workspace::default();
    let mut tape = Tape::training(&model.params, &mut gradients, Some(SEED), &workspace);
    loss(&mut tape, model, batch, labels);
    tape.backward();
    gradients.values
}

fn norm(x: &[f32]) -> f64 {
    x.iter().map(|&x| (x as f64).powi(2)).sum::<f64>().sqrt()
}

#[track_caller]
fn check(model: &Model, batch: &Batch, labels: &Labelled) {
    let all = gradients(model, batch, labels, 0);
    let workspace = Workspace::default();
    let mut parts = vec![("all parameters", 0, all.len(), 0)];
    parts.extend([1, 2].map(|seed| ("all parameters", 0, all.len(), seed)));
    for (name, entry) in model.network.layout().entries() {
        parts.push((name, entry.param.offset, entry.param.len(), 3));
    }
    for (name, start, len, seed) in parts {
        let direction = signs(len, &mut rng(seed));
        let at = |t| {
            let params = moved(&model.params, start, &direction, t);
            let mut none = Gradients::zeros(params.len(), params.len());
            let mut tape = Tape::training(&params, &mut none, Some(SEED), &workspace);
            loss(&mut tape, model, batch, labels)
        };
        let got = &all[start..start + len];
        let along: f64 = got
            .iter()
            .zip(&direction)
            .map(|(&g, &d)| (g * d) as f64)
            .sum();
        // All weights together bend the loss far more than one tensor's do.
        let step = if len == all.len() { STEP / 4.0 } else { STEP };
        let want = derivative(at, step);
        let scale = norm(got).max(SMALLEST * norm(&all));
        assert!(
            (along - want).abs() <= TOLERANCE * scale,
            "{name}: {along} along direction {seed}, by differences {want}; norm {}",
            norm(got)
        );
    }
}

const LENGTHS: [usize; 5] = [1, 4, 9, 17, 18];

#[test]
fn bert_with_dropout() {
    let model = load("tiny_bert", Head::Classifier { outputs: 3 }, RATE);
    let batch = sequences(&LENGTHS, 2, &mut rng(1)).batch(&[0, 1, 2, 3, 4]);
    check(&model, &batch, &Labelled::Classes(vec![0, 2, 1, 1, 0]));
}

#[test]
fn roberta_with_dropout() {
    let model = load("tiny_roberta", Head::Classifier { outputs: 2 }, RATE);
    let batch = sequences(&LENGTHS, 1, &mut rng(2)).batch(&[0, 1, 2, 3, 4]);
    check(&model, &batch, &Labelled::Classes(vec![0, 1, 1, 1, 0]));
}

#[test]
fn distilbert_with_dropout() {
    let mut model = load("tiny_distilbert", Head::Classifier { outputs: 1 }, RATE);
    // Keeps clear of the kink of the head's `relu`: half its units on, half off.
    let bias = model
        .network
        .layout()
        .get("pre_classifier.bias")
        .unwrap()
        .param;
    for (i, b) in model.params[bias.offset..][..bias.len()]
        .iter_mut()
        .enumerate()
    {
        *b = if i % 2 == 0 { 9.0 } else { -9.0 };
    }
    let batch = sequences(&LENGTHS, 1, &mut rng(3)).batch(&[0, 1, 2, 3, 4]);
    check(
        &model,
        &batch,
        &Labelled::Values(vec![0.5, -1.0, 2.0, 0.0, 1.0]),
    );
}

/// Adapters on every linear layer, with a dropout of their own; B is not zero.
#[test]
fn bert_with_adapters_and_dropout() {
    let mut model = load("tiny_bert", Head::Classifier { outputs: 3 }, RATE);
    let options = LoraOptions {
        r: 3,
        alpha: 2.0,
        dropout: RATE as f64,
        target_modules: Targets::AllLinear,
        rslora: true,
    };
    model.adapt(&options, &mut rng(11)).unwrap();
    let range = model.network.adapters().unwrap().range();
    let noise = differences::normal(range.len(), &mut rng(12));
    for (p, noise) in model.params[range].iter_mut().zip(noise) {
        *p += 0.2 * noise;
    }
    let batch = sequences(&LENGTHS, 2, &mut rng(1)).batch(&[0, 1, 2, 3, 4]);
    check(&model, &batch, &Labelled::Classes(vec![0, 2, 1, 1, 0]));
}

/// What is frozen below adapters, the factors' gradients and the head's are the same.
#[test]
fn adapters_get_the_same_gradient_whatever_else_is_frozen() {
    let mut model = wide(3, 2, RATE, 1);
    let options = LoraOptions::default();
    model.adapt(&options, &mut rng(2)).unwrap();
    let batch = sequences(&[7, 3, 20], 2, &mut rng(5)).batch(&[0, 1, 2]);
    let labels = Labelled::Classes(vec![0, 1, 1]);
    let all = gradients(&model, &batch, &labels, 0);
    for frozen in [0, 1, 2] {
        let first = model.network.first_trainable(frozen).unwrap();
        assert!(first >= model.network.adapters().unwrap().range().start);
        assert_eq!(gradients(&model, &batch, &labels, first), all[first..]);
    }
}

#[test]
fn masked_language_model_with_dropout_and_a_sequence_without_outputs() {
    let model = load("tiny_bert_mlm", Head::MaskedLm, RATE);
    let sequences = sequences(&[6, 5, 12], 2, &mut rng(4));
    let batch = sequences.into_batch(vec![1, 4, 12, 13, 22], vec![0, 2, 2, 5]);
    check(&model, &batch, &Labelled::Classes(vec![7, 30, 66, 5, 12]));
}

#[test]
fn a_frozen_part_leaves_the_gradient_of_the_rest_as_it_is() {
    let model = wide(3, 2, RATE, 1);
    let batch = sequences(&[7, 3, 20], 2, &mut rng(5)).batch(&[0, 1, 2]);
    let labels = Labelled::Classes(vec![0, 1, 1]);
    let all = gradients(&model, &batch, &labels, 0);
    for layers in 0..3 {
        let first = model.network.first_trainable(layers).unwrap();
        assert_eq!(gradients(&model, &batch, &labels, first), all[first..]);
    }
}

/// Gradients and loss of the examples `parts`, batch by batch.
fn accumulated(
    model: &Model,
    split: &EncodedSplit,
    frozen: &FrozenStates,
    parts: &[&[usize]],
) -> (Vec<f32>, f64) {
    let objective = FineTuning { split, frozen };
    let first = objective.first_trainable(&model.network).unwrap();
    let mut gradients = Gradients::zeros(first, model.params.len());
    let (workspace, mut rng) = (Workspace::default(), rng(9));
    let mut sum = 0.0;
    for indices in parts {
        let (loss, count) =
            objective.accumulate(model, &mut gradients, indices, &mut rng, &workspace);
        assert_eq!(count, indices.len());
        sum += loss;
    }
    (gradients.values, sum)
}

#[track_caller]
fn assert_same_within_rounding(got: &[f32], want: &[f32]) {
    let scale = want.iter().fold(1.0f32, |m, w| m.max(w.abs()));
    for (i, (g, w)) in got.iter().zip(want).enumerate() {
        assert!((g - w).abs() <= ROUNDING * scale, "{i}: {g} and {w}");
    }
}

#[test]
fn hidden_states_kept_or_computed_each_time_give_the_same() {
    let model = wide(3, 2, RATE, 2);
    let split = split(40, 30, Some(2), 6);
    let batches: [&[usize]; 2] = [&[3, 1, 17, 39], &[0, 22]];
    for layers in 1..3 {
        let kept = frozen(&model, &split, layers, true);
        let computed = frozen(&model, &split, layers, false);
        let (g, loss) = accumulated(&model, &split, &kept, &batches);
        let (h, other) = accumulated(&model, &split, &computed, &batches);
        assert!((loss - other).abs() < ROUNDING as f64 * loss);
        assert_same_within_rounding(&g, &h);
        let of = |states| {
            let workspace = Workspace::default();
            outputs(
                &model.network,
                &model.params,
                &split.sequences,
                states,
                &workspace,
            )
        };
        assert_eq!(of(&kept), of(&computed));
        assert_eq!(of(&kept), of(&FrozenStates::none()));
    }
}

/// Without dropout, nothing tells that the states come from a forward pass before.
#[test]
fn frozen_states_give_the_gradients_of_a_whole_forward_pass() {
    let mut model = wide(3, 2, RATE, 3);
    model.network.set_dropout(Dropout::uniform(0.0));
    let split = split(9, 30, Some(2), 7);
    let parts: [&[usize]; 1] = [&[0, 3, 8]];
    let (all, loss) = accumulated(&model, &split, &FrozenStates::none(), &parts);
    for layers in 1..3 {
        let states = frozen(&model, &split, layers, true);
        let (tail, other) = accumulated(&model, &split, &states, &parts);
        assert!((loss - other).abs() < ROUNDING as f64 * loss);
        assert_same_within_rounding(&tail, &all[all.len() - tail.len()..]);
    }
}

#[test]
fn two_half_batches_give_the_gradient_of_one() {
    let model = wide(2, 3, 0.0, 4);
    for classes in [Some(3), None] {
        let mut split = split(8, 30, classes, 8);
        let model = match &mut split.labels {
            Labels::Class(_) => &model,
            _ => &wide(2, 1, 0.0, 4),
        };
        let none = FrozenStates::none();
        let whole: [&[usize]; 1] = [&[0, 1, 2, 3, 4, 5, 6, 7]];
        let halves: [&[usize]; 2] = [&[0, 1, 2, 3], &[4, 5, 6, 7]];
        let (one, loss) = accumulated(model, &split, &none, &whole);
        let (two, sum) = accumulated(model, &split, &none, &halves);
        assert!((loss - sum).abs() < ROUNDING as f64 * loss);
        assert_same_within_rounding(&two, &one);
    }
}

#[test]
fn every_parameter_of_a_batch_gets_a_gradient_but_the_keys_biases() {
    let model = wide(2, 3, RATE, 5);
    let batch = sequences(&[10, 48], 2, &mut rng(10)).batch(&[0, 1]);
    let all = gradients(&model, &batch, &Labelled::Classes(vec![0, 2]), 0);
    for (name, entry) in model.network.layout().entries() {
        let largest = entry
            .param
            .of(&all)
            .iter()
            .fold(0.0f32, |m, g| m.max(g.abs()));
        if is_key_bias(name) {
            assert!(largest < 1e-5, "{name}: {largest}");
        } else {
            assert!(largest > 1e-4, "{name}: {largest}");
        }
    }
}
