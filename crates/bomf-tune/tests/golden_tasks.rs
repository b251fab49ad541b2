//! Question answering, token classification and multiple choice against transformers, SQuAD's
//! evaluation and seqeval, smoothed labels against PyTorch: see `golden/tasks.py`, `answers.py`,
//! `tags.py` and `smoothing.py`.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod reference;

use bomf_checkpoint::Checkpoint;
use bomf_tune::batch::{OutputsAt, Sequences};
use bomf_tune::data::{AnswerRules, Answers, Labels, Question, Tags, Window};
use bomf_tune::kernels::cross_entropy::smoothed;
use bomf_tune::metrics::{self, Metric, Predictions};
use bomf_tune::models::{Head, Model};
use bomf_tune::optim::{AdamW, AdamWOptions, Schedule};
use bomf_tune::tape::{Gradients, Tape, Workspace};
use bomf_tune::train::{EncodedSplit, FrozenStates, outputs};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use reference::*;
use serde_json::Value;

/// Scores are sums of shares; seqeval and SQuAD compute them in another order.
const SCORE_TOLERANCE: f64 = 1e-12;

/// The padded rows of a golden file without their padding: ids, segments and, of the row's other
/// tensor `name`, its values.
fn rows(file: &Checkpoint, name: &str) -> Vec<(Vec<u32>, Vec<u32>, Vec<i64>)> {
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
fn loss(model: &Model, split: &EncodedSplit, gradients: &mut Gradients) -> (f64, usize) {
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

/// What adds a constant to all that a softmax compares, which it does not see: the gradient is
/// nothing but rounding.
fn is_unseen(name: &str, head: Head) -> bool {
    let ends: &[&str] = match head {
        Head::MultipleChoice => &["classifier.bias"],
        Head::QuestionAnswering => &["qa_outputs.bias", "layer.1.output.LayerNorm.bias"],
        _ => &[],
    };
    is_key_bias(name) || ends.iter().any(|end| name.ends_with(end))
}

/// Logits, loss, gradients and ten steps; the reference's logits are picked by `logits`.
fn check(
    folder: &str,
    head: Head,
    split: impl Fn(&Checkpoint) -> EncodedSplit,
    logits: impl Fn(&Checkpoint) -> Vec<f32>,
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
        if is_unseen(name, head) {
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

#[test]
fn question_answering_agrees_with_transformers() {
    let (split, logits) = check(
        "tiny_bert_qa",
        Head::QuestionAnswering,
        |file| {
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
        },
        |file| {
            let mask = int64(file, "attention_mask");
            let all = file.tensor("logits").unwrap().to_f32().unwrap();
            let real = (0..mask.len()).filter(|&i| mask[i] == 1);
            real.flat_map(|i| [all[2 * i], all[2 * i + 1]]).collect()
        },
    );
    // The loss of an evaluation is the one of training.
    let Labels::Answers(answers) = &split.labels else {
        panic!()
    };
    let file = Checkpoint::open(golden("tiny_bert_qa").join("golden.safetensors")).unwrap();
    let wanted = f64::from(file.tensor("loss").unwrap().to_f32().unwrap()[0]);
    let losses = metrics::answer_losses(&logits, answers).unwrap();
    let mean = losses.iter().sum::<f64>() / losses.len() as f64;
    assert!((mean - wanted).abs() < TOLERANCE * wanted);
}

#[test]
fn token_classification_agrees_with_transformers() {
    let head = Head::TokenClassifier { outputs: 4 };
    let (split, logits) = check(
        "tiny_distilbert_tags",
        head,
        |file| {
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
        },
        |file| {
            let labels = int64(file, "labels");
            let all = file.tensor("logits").unwrap().to_f32().unwrap();
            let asked = (0..labels.len()).filter(|&i| labels[i] >= 0);
            asked.flat_map(|i| all[4 * i..4 * i + 4].to_vec()).collect()
        },
    );
    let Labels::Tags(tags) = &split.labels else {
        panic!()
    };
    let losses = metrics::tag_losses(&logits, tags).unwrap();
    let mean = losses.iter().sum::<f64>() / losses.len() as f64;
    let mean_of_words = metrics::cross_entropy(&logits, 4, &tags.ids).unwrap();
    assert!((mean - mean_of_words).abs() < SCORE_TOLERANCE);
}

#[test]
fn multiple_choice_agrees_with_transformers() {
    check(
        "tiny_roberta_choice",
        Head::MultipleChoice,
        |file| {
            let mut sequences = Sequences::in_parts(OutputsAt::First, 3);
            for (ids, types, _) in rows(file, "attention_mask") {
                sequences.push(&ids, &types);
            }
            let labels = int64(file, "labels").iter().map(|&l| l as u32).collect();
            EncodedSplit::new(sequences, Labels::Class(labels))
        },
        |file| file.tensor("logits").unwrap().to_f32().unwrap(),
    );
}

fn strings(value: &Value) -> Vec<String> {
    let items = value.as_array().unwrap().iter();
    items.map(|v| v.as_str().unwrap().to_owned()).collect()
}

fn number(value: &Value) -> u32 {
    value.as_u64().unwrap() as u32
}

/// One question with scores that leave no doubt where its answer is.
fn certain(prediction: &str, answers: Vec<String>) -> (Answers, Vec<f32>) {
    let context = format!("{prediction}.");
    let window = Window {
        tokens: 3,
        first: 1,
        offsets: vec![(0, prediction.len() as u32), (0, context.len() as u32)],
        target: [0, 0],
    };
    let question = Question {
        id: "x".into(),
        answers,
        span: None,
    };
    let rules = AnswerRules {
        has_no_answers: true,
        ..AnswerRules::default()
    };
    let answers = Answers::new(vec![question]).tokenised(
        vec![context.as_str().into()],
        vec![vec![window]],
        rules,
    );
    let place = if prediction.is_empty() { 0 } else { 1 };
    let mut scores = vec![-9.0; 6];
    scores[2 * place] = 9.0;
    scores[2 * place + 1] = 9.0;
    (answers, scores)
}

#[test]
fn answers_are_compared_as_squad_compares_them() {
    let golden = json(&golden("answers.json"));
    for case in golden["texts"].as_array().unwrap() {
        let prediction = case["prediction"].as_str().unwrap();
        let (answers, scores) = certain(prediction, strings(&case["answers"]));
        let labels = Labels::Answers(answers);
        for (metric, name) in [
            (Metric::AnswerExactMatch, "exact"),
            (Metric::AnswerF1, "f1"),
        ] {
            let got = metric.compute(&Predictions::Answers(&scores), &labels);
            let got = got.unwrap();
            let wanted = case[name].as_f64().unwrap();
            assert!(
                (got - wanted).abs() < SCORE_TOLERANCE,
                "{name} of {case}: {got}"
            );
        }
    }
}

#[test]
fn answers_are_read_off_as_transformers_reads_them() {
    let golden = json(&golden("answers.json"));
    for case in golden["cases"].as_array().unwrap() {
        let context = case["context"].as_str().unwrap();
        let answers = strings(&case["answers"]);
        let span = answers.first().map(|answer| {
            let start = context.find(answer.as_str()).unwrap();
            start..start + answer.len()
        });
        let question = Question {
            id: "x".into(),
            answers,
            span,
        };
        let (mut windows, mut scores) = (Vec::new(), Vec::new());
        for window in case["windows"].as_array().unwrap() {
            let offsets = window["offsets"].as_array().unwrap().iter();
            windows.push(Window {
                tokens: number(&window["tokens"]),
                first: number(&window["first"]),
                offsets: offsets.map(|o| (number(&o[0]), number(&o[1]))).collect(),
                target: [0, 0],
            });
            let (start, end) = (floats(&window["start"]), floats(&window["end"]));
            let pairs = start.iter().zip(&end);
            scores.extend(pairs.flat_map(|(s, e)| [*s as f32, *e as f32]));
        }
        let rules = &case["rules"];
        for (name, has_no_answers) in [("with_none", true), ("always", false)] {
            let rules = AnswerRules {
                n_best_size: number(&rules["n_best_size"]) as usize,
                max_answer_length: number(&rules["max_answer_length"]) as usize,
                null_score_diff_threshold: rules["null_score_diff_threshold"].as_f64().unwrap()
                    as f32,
                has_no_answers,
            };
            let answers = Answers::new(vec![question.clone()]);
            let answers = answers.tokenised(vec![context.into()], vec![windows.clone()], rules);
            let judged = metrics::judge(&scores, &answers).unwrap().remove(0);
            let text = judged.span.map(|span| &context[span]).unwrap_or_default();
            let wanted = &case[name];
            assert_eq!(text, wanted["text"].as_str().unwrap(), "{case}");
            assert_eq!(judged.exact_match, wanted["exact"].as_f64().unwrap());
            assert!((judged.f1 - wanted["f1"].as_f64().unwrap()).abs() < SCORE_TOLERANCE);
            // What is modelled says the same.
            assert_eq!(judged.lead > 0.0, judged.exact_match == 1.0);
            if judged.exact_match == 0.0 {
                assert_eq!(judged.rival_f1, judged.f1, "{case}");
            }
        }
    }
}

#[test]
fn entities_are_seqevals() {
    for case in json(&golden("tags.json")).as_array().unwrap() {
        let names = strings(&case["names"]);
        let ids = |name: &str| -> Vec<Vec<u32>> {
            let rows = case[name].as_array().unwrap().iter();
            rows.map(|row| row.as_array().unwrap().iter().map(number).collect())
                .collect()
        };
        let (actual, predicted) = (ids("actual"), ids("predicted"));
        let tags = Tags {
            ids: actual.concat(),
            counts: actual.iter().map(|row| row.len() as u32).collect(),
            names: names.clone().into(),
        };
        let wanted: usize = case["entities"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row.as_array().unwrap().len())
            .sum();
        assert_eq!(metrics::entities_there(&tags), wanted, "{}", case["name"]);
        let width = names.len();
        let mut logits = vec![0.0; tags.ids.len() * width];
        for (row, &tag) in logits.chunks_mut(width).zip(&predicted.concat()) {
            row[tag as usize] = 1.0;
        }
        let predictions = Predictions::Tags {
            values: &logits,
            tags: width,
        };
        let labels = Labels::Tags(tags);
        for (metric, name) in [
            (Metric::EntityPrecision, "precision"),
            (Metric::EntityRecall, "recall"),
            (Metric::EntityF1, "f1"),
            (Metric::TagAccuracy, "accuracy"),
        ] {
            let got = metric.compute(&predictions, &labels).unwrap();
            let wanted = case[name].as_f64().unwrap();
            assert!(
                (got - wanted).abs() < SCORE_TOLERANCE,
                "{} {name}: {got}",
                case["name"]
            );
        }
    }
}

#[test]
fn smoothed_labels_give_pytorchs_loss_and_gradient() {
    for case in json(&golden("smoothing.json")).as_array().unwrap() {
        let floats =
            |name: &str| -> Vec<f32> { floats(&case[name]).iter().map(|&v| v as f32).collect() };
        let labels: Vec<u32> = case["labels"]
            .as_array()
            .unwrap()
            .iter()
            .map(number)
            .collect();
        let mut logits = floats("logits");
        let smoothing = case["smoothing"].as_f64().unwrap() as f32;
        let loss = smoothed(&mut logits, &labels, smoothing, 1.0);
        let wanted = case["loss"].as_f64().unwrap();
        assert!(
            (loss - wanted).abs() < TOLERANCE * wanted.max(1.0),
            "{loss} instead of {wanted}"
        );
        assert_close("gradient", &logits, &floats("gradient"), TOLERANCE);
    }
}
