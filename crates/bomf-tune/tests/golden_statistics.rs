//! Fisher information and Gram matrices against PyTorch: see `golden/statistics.py`, which made
//! the values.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod reference;

use bomf_checkpoint::Checkpoint;
use bomf_tune::TuneError;
use bomf_tune::batch::{OutputsAt, Sequences};
use bomf_tune::data::Labels;
use bomf_tune::models::{Head, Model};
use bomf_tune::statistics::{Expectation, fisher, input_grams};
use bomf_tune::train::{Control, EncodedSplit};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use reference::*;

/// Squares have twice the relative error of what is squared.
const SQUARED: f64 = 2.0 * TOLERANCE;

struct Reference {
    model: Model,
    split: EncodedSplit,
    file: Checkpoint,
}

impl Reference {
    fn read(folder: &str, outputs: usize) -> Self {
        let dir = golden(folder);
        let head = Head::Classifier { outputs };
        let (model, _) = Model::load(&dir, head, &mut ChaCha8Rng::seed_from_u64(0)).unwrap();
        let file = Checkpoint::open(dir.join("golden.safetensors")).unwrap();
        let is_decoder = folder.contains("llama");
        let mut sequences = Sequences::new(match is_decoder {
            true => OutputsAt::Last,
            false => OutputsAt::First,
        });
        let [ids, mask] = ["input_ids", "attention_mask"].map(|name| int64(&file, name));
        let types = match is_decoder {
            true => vec![0; ids.len()],
            false => int64(&file, "token_type_ids"),
        };
        let width = file.tensor("input_ids").unwrap().shape()[1];
        for row in 0..ids.len() / width {
            let real = (row * width..(row + 1) * width).filter(|&i| mask[i] == 1);
            let pick = |v: &[i64]| real.clone().map(|i| v[i] as u32).collect::<Vec<_>>();
            sequences.push(&pick(&ids), &pick(&types));
        }
        let labels = file.tensor("labels").unwrap();
        let labels = match labels.to_f32() {
            Ok(values) => Labels::Value(values),
            Err(_) => Labels::Class(int64(&file, "labels").iter().map(|&l| l as u32).collect()),
        };
        Self {
            model,
            split: EncodedSplit::new(sequences, labels),
            file: Checkpoint::open(dir.join("statistics.safetensors")).unwrap(),
        }
    }

    fn all(&self) -> Vec<usize> {
        (0..self.split.sequences.len()).collect()
    }

    fn fisher(&self, expectation: Expectation) -> Vec<f32> {
        let Model { network, params } = &self.model;
        let go_on = &mut |_| Control::Continue;
        fisher(
            network,
            params,
            &self.split,
            &self.all(),
            expectation,
            go_on,
        )
        .unwrap()
    }
}

const MODELS: [(&str, usize); 4] = [
    ("tiny_bert", 3),
    ("tiny_roberta", 2),
    ("tiny_distilbert", 1),
    ("tiny_llama_cls", 3),
];

#[test]
fn fisher_information_agrees_with_pytorch() {
    for (folder, outputs) in MODELS {
        let reference = Reference::read(folder, outputs);
        for (kind, expectation) in [
            ("fisher", Expectation::Model),
            ("empirical", Expectation::Data),
        ] {
            let found = reference.fisher(expectation);
            for (name, entry) in reference.model.network.layout().entries() {
                let want = reference.file.tensor(&format!("{kind}.{name}")).unwrap();
                let got = entry.param.of(&found);
                let what = format!("{folder} {kind} {name}");
                assert_close(&what, got, &want.to_f32().unwrap(), SQUARED);
            }
        }
    }
}

#[test]
fn gram_matrices_agree_with_pytorch() {
    for (folder, outputs) in MODELS {
        let reference = Reference::read(folder, outputs);
        let Model { network, params } = &reference.model;
        let sequences = &reference.split.sequences;
        let go_on = &mut |_| Control::Continue;
        let found = input_grams(network, params, sequences, &reference.all(), go_on).unwrap();
        let linear = network.layout().entries().filter(|(_, e)| e.linear).count();
        assert_eq!(found.len(), linear, "{folder}");
        for layer in &found {
            let want = reference
                .file
                .tensor(&format!("gram.{}", layer.name))
                .unwrap();
            let what = format!("{folder} {}", layer.name);
            assert_close(&what, &layer.values, &want.to_f32().unwrap(), TOLERANCE);
        }
    }
}

#[test]
fn a_weight_stored_as_inputs_by_outputs_has_its_inputs_watched() {
    let dir = golden("tiny_gpt2");
    let (model, _) = Model::load(&dir, Head::CausalLm, &mut ChaCha8Rng::seed_from_u64(0)).unwrap();
    let mut sequences = Sequences::new(OutputsAt::Targets);
    sequences.push_completion(&[5, 7, 9, 11], 2);
    let split = EncodedSplit::new(sequences, Labels::Tokens(vec![2]));
    let go_on = &mut |_| Control::Continue;
    let Model { network, params } = &model;
    let found = input_grams(network, params, &split.sequences, &[0], go_on).unwrap();
    for layer in &found {
        assert!(layer.weight.transposed);
        assert_eq!(
            layer.values.len(),
            layer.weight.inputs().pow(2),
            "{}",
            layer.name
        );
    }
    let of_data = fisher(network, params, &split, &[0], Expectation::Data, go_on).unwrap();
    assert!(of_data.iter().any(|f| *f > 0.0));
    let error = fisher(network, params, &split, &[0], Expectation::Model, go_on).unwrap_err();
    assert!(matches!(error, TuneError::NoExactFisher) && error.hint().is_some());
}

#[test]
fn statistics_stop_when_asked_and_no_examples_give_zeros() {
    let reference = Reference::read("tiny_bert", 3);
    let Model { network, params } = &reference.model;
    let stop = &mut |_| Control::Stop;
    let split = &reference.split;
    let found = fisher(network, params, split, &[0, 1], Expectation::Data, stop);
    assert!(matches!(found, Err(TuneError::Interrupted)));
    // After the last one there is nothing to stop.
    assert!(fisher(network, params, split, &[0], Expectation::Data, stop).is_ok());
    let none = fisher(network, params, split, &[], Expectation::Data, stop).unwrap();
    assert!(none.iter().all(|f| *f == 0.0));
    let none = input_grams(network, params, &split.sequences, &[], stop).unwrap();
    assert!(none.is_empty());
}
