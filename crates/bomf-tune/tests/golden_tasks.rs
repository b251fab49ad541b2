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
use bomf_tune::models::Head;
use bomf_tune::train::EncodedSplit;
use reference::tasks::*;
use reference::*;
use serde_json::Value;

/// Scores are sums of shares; seqeval and SQuAD compute them in another order.
const SCORE_TOLERANCE: f64 = 1e-12;

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

#[test]
fn question_answering_agrees_with_transformers() {
    let (split, logits) = check(
        "tiny_bert_qa",
        Head::QuestionAnswering,
        spans,
        span_logits,
        |name| is_unseen(name, Head::QuestionAnswering),
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
    let (split, logits) = check("tiny_distilbert_tags", head, tags, tag_logits, |name| {
        is_unseen(name, head)
    });
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
        |name| is_unseen(name, Head::MultipleChoice),
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
