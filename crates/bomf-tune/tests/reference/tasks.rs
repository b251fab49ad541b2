//! Heads beside the classifiers' against transformers: what `golden/tasks.py` and
//! `golden/modernbert.py` wrote.

use super::*;
use bomf_tune::data::{AnswerRules, Answers, Labels, Question, Tags, Window};
use bomf_tune::models::Head;
use bomf_tune::train::{EncodedSplit, FrozenStates, outputs};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// The padded rows of a golden file without their padding: ids, segments and, of the row's other
/// tensor `name`, its values.
pub fn rows(file: &Checkpoint, name: &str) -> Vec<(Vec<u32>, Vec<u32>, Vec<i64>)> {
    let [ids, mask, types, other] =
        ["input_ids", "attention_mask", "token_type_ids", name].map(|n| int64(file, n));
    let width = *file.tensor("input_ids").unwrap().shape().last().unwrap();
    let row = |start: usize| {
        let real = || (start..start + width).filter(|&i| mask[i] == 1);
        let pick = |v: &[i64]| real().map(|i| v[i] as u32).collect::<Vec<_>>();
        let other = real().filter_map(|i| other.get(i).copied()).collect();
        (pick(&ids), pick(&types), other)
    };
    (0..ids.len() / width).map(|r| row(r * width)).collect()
}

/// Loss (a mean over its terms) and gradients of the whole split.
pub fn loss(model: &Model, split: &EncodedSplit, gradients: &mut Gradients) -> (f64, usize) {
    let workspace = Workspace::default();
    let all: Vec<usize> = (0..split.sequences.len()).collect();
    let batch = split.sequences.batch(&all);
    let mut tape = Tape::training(&model.params, gradients, None, &workspace);
    let logits = model.network.forward(&mut tape, &batch);
    let (sum, terms) = split.loss(&model.network, &mut tape, &logits, &batch, &all, 1.0);
    drop(logits);
    tape.backward();
    (sum / terms as f64, terms)
}

/// Logits, loss, gradients and ten steps; the reference's logits are picked by `logits`, and the
/// gradients of what `is_unseen` names are nothing but rounding.
pub fn check(
    folder: &str,
    head: Head,
    split: impl Fn(&Checkpoint) -> EncodedSplit,
    logits: impl Fn(&Checkpoint) -> Vec<f32>,
    is_unseen: impl Fn(&str) -> bool,
) -> (EncodedSplit, Vec<f32>) {
    let dir = golden(folder);
    let file = Checkpoint::open(dir.join("golden.safetensors")).unwrap();
    let (mut model, report) = Model::load(&dir, head, &mut ChaCha8Rng::seed_from_u64(0)).unwrap();
    assert_eq!((report.initialised, report.unused), (vec![], vec![]));
    let split = split(&file);
    let (network, sequences) = (&model.network, &split.sequences);
    let none = FrozenStates::none();
    let got = outputs(
        network,
        &model.params,
        sequences,
        &none,
        &Workspace::default(),
    );
    assert_close("logits", &got, &logits(&file), TOLERANCE);
    let mut gradients = Gradients::zeros(0, model.params.len());
    let (found, terms) = loss(&model, &split, &mut gradients);
    let wanted = f64::from(file.tensor("loss").unwrap().to_f32().unwrap()[0]);
    assert!(
        (found - wanted).abs() < TOLERANCE * wanted,
        "{found} instead of {wanted}"
    );
    for (name, entry) in model.network.layout().entries() {
        let own = &gradients.values[entry.param.offset..][..entry.param.len()];
        let own: Vec<f32> = own.iter().map(|g| g / terms as f32).collect();
        let wanted = file.tensor(&format!("grad.{name}")).unwrap();
        if is_unseen(name) {
            assert!(own.iter().all(|g| g.abs() < 1e-5), "{name}: {own:?}");
            continue;
        }
        assert_close(name, &own, &wanted.to_f32().unwrap(), TOLERANCE);
        assert!(own.iter().any(|&g| g != 0.0), "{name} gets no gradient");
    }
    let steps = json(&dir.join("steps.json"));
    let lr = steps["lr"].as_f64().unwrap();
    let mut optimiser = AdamW::new(model.network.layout(), 0, AdamWOptions::default());
    let mut losses = Vec::new();
    for step in 0..=10 {
        let mut gradients = Gradients::zeros(0, model.params.len());
        losses.push(loss(&model, &split, &mut gradients).0);
        let lr = lr * Schedule::Constant.factor(step, 10, 2);
        optimiser.step(&mut model.params, &gradients, 1.0 / terms as f64, lr);
    }
    assert_close_series("losses", &losses, &floats(&steps["losses"]), STEP_TOLERANCE);
    (split, got)
}

/// The split of a golden file of question answering.
pub fn spans(file: &Checkpoint) -> EncodedSplit {
    let (starts, ends) = (int64(file, "starts"), int64(file, "ends"));
    let mut sequences = Sequences::new(OutputsAt::All);
    let mut windows = Vec::new();
    for (i, (ids, types, _)) in rows(file, "attention_mask").iter().enumerate() {
        sequences.push(ids, types);
        windows.push(vec![Window {
            tokens: ids.len() as u32,
            first: 1,
            offsets: (0..ids.len() as u32 - 2).map(|k| (k, k + 1)).collect(),
            target: [starts[i] as u32, ends[i] as u32],
        }]);
    }
    let question = |i: usize| Question {
        id: i.to_string(),
        answers: vec!["x".into()],
        span: None,
    };
    let answers = Answers::new((0..windows.len()).map(question).collect());
    let contexts = vec!["abcdefghijklmnopqrst".into(); windows.len()];
    let answers = answers.tokenised(contexts, windows, AnswerRules::default());
    EncodedSplit::new(sequences, Labels::Answers(answers))
}

/// The reference's logits of its real tokens.
pub fn span_logits(file: &Checkpoint) -> Vec<f32> {
    let mask = int64(file, "attention_mask");
    let all = file.tensor("logits").unwrap().to_f32().unwrap();
    let real = (0..mask.len()).filter(|&i| mask[i] == 1);
    real.flat_map(|i| [all[2 * i], all[2 * i + 1]]).collect()
}

/// The split of a golden file of token classification with four tags.
pub fn tags(file: &Checkpoint) -> EncodedSplit {
    let mut sequences = Sequences::new(OutputsAt::Places);
    let (mut ids, mut counts) = (Vec::new(), Vec::new());
    for (tokens, types, labels) in rows(file, "labels") {
        let places: Vec<u32> = (0..tokens.len() as u32)
            .filter(|&i| labels[i as usize] >= 0)
            .collect();
        ids.extend(places.iter().map(|&i| labels[i as usize] as u32));
        counts.push(places.len() as u32);
        sequences.push_at(&tokens, &types, &places);
    }
    let names = ["O", "B-X", "I-X", "B-Y"].map(String::from);
    let names = names.into();
    EncodedSplit::new(sequences, Labels::Tags(Tags { ids, counts, names }))
}

/// The reference's logits of the tokens that have tags.
pub fn tag_logits(file: &Checkpoint) -> Vec<f32> {
    let labels = int64(file, "labels");
    let all = file.tensor("logits").unwrap().to_f32().unwrap();
    let asked = (0..labels.len()).filter(|&i| labels[i] >= 0);
    asked.flat_map(|i| all[4 * i..4 * i + 4].to_vec()).collect()
}
