//! Metrics of texts against the reference packages: see `golden/text_metrics.py`, which made
//! the values.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use bomf_tune::data::Labels;
use bomf_tune::metrics::bootstrap::{BootstrapOptions, bootstrap};
use bomf_tune::metrics::text::{TextMetric, stem, words_13a};
use bomf_tune::metrics::{Metric, MetricError, Predictions};
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

/// Statistics are kept as `f32`: a score in [0, 1] is rounded by half a unit in its last
/// place, 3e-8.
const ROUNDED: f64 = 6e-8;
/// The corpus scores are computed from whole numbers in `f64`, in another order.
const CORPUS: f64 = 1e-12;

fn golden() -> Value {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/golden/text_metrics.json"
    );
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn pairs(golden: &Value) -> Vec<(String, String)> {
    let text = |v: &Value| v.as_str().unwrap().to_owned();
    let pairs = golden["pairs"].as_array().unwrap().iter();
    pairs.map(|pair| (text(&pair[0]), text(&pair[1]))).collect()
}

#[track_caller]
fn each(metric: TextMetric, want: &Value, stemmed: bool) {
    let pairs = pairs(&golden());
    let want = want.as_array().unwrap();
    assert_eq!(want.len(), pairs.len());
    for ((text, reference), want) in pairs.iter().zip(want) {
        let got = f64::from(metric.statistics(text, reference, stemmed)[0]);
        let want = want.as_f64().unwrap();
        let name = metric.name();
        assert!(
            (got - want).abs() < ROUNDED,
            "{name} of {text:?}: {got}, not {want}"
        );
    }
}

#[test]
fn rouge_of_each_text_is_that_of_rouge_score() {
    let golden = golden();
    for (name, metric) in [
        ("rouge1", TextMetric::Rouge1),
        ("rouge2", TextMetric::Rouge2),
        ("rougeL", TextMetric::RougeL),
    ] {
        each(metric, &golden["rouge"][name], false);
        each(metric, &golden["rouge_stemmed"][name], true);
    }
}

#[test]
fn meteor_of_each_text_is_that_of_nltk_without_synonyms() {
    each(TextMetric::Meteor, &golden()["meteor"], false);
}

#[test]
fn bleu_and_chrf_of_each_corpus_are_those_of_sacrebleu() {
    let golden = golden();
    let pairs = pairs(&golden);
    for corpus in golden["corpora"].as_array().unwrap() {
        let bound = |i: usize| corpus["pairs"][i].as_u64().unwrap() as usize;
        let texts = &pairs[bound(0)..bound(1)];
        for metric in [TextMetric::Bleu, TextMetric::Chrf, TextMetric::ChrfPlusPlus] {
            let texts = texts.iter().map(|(a, b)| (a.as_str(), b.as_str()));
            let got = metric.compute(texts, false);
            let want = corpus[metric.name()].as_f64().unwrap();
            let name = metric.name();
            assert!(
                (got - want).abs() < CORPUS,
                "{name} of {corpus}: {got}, not {want}"
            );
        }
    }
}

#[test]
fn words_are_those_of_13a_and_stems_those_of_nltk() {
    let golden = golden();
    let texts = pairs(&golden).into_iter().flat_map(|(a, b)| [a, b]);
    for (text, want) in texts.zip(golden["tokens_13a"].as_array().unwrap()) {
        let want: Vec<&str> = want
            .as_array()
            .unwrap()
            .iter()
            .map(|w| w.as_str().unwrap())
            .collect();
        assert_eq!(words_13a(&text), want, "{text:?}");
    }
    for (word, want) in golden["words"].as_object().unwrap() {
        assert_eq!(stem(word), want.as_str().unwrap(), "{word}");
    }
}

#[test]
fn an_exact_match_leaves_only_white_space_at_the_ends_aside() {
    let score = |a: &str, b: &str| TextMetric::ExactMatch.statistics(a, b, false)[0];
    assert_eq!(score(" yes\n", "yes"), 1.0);
    assert_eq!(score("Yes", "yes"), 0.0);
    assert_eq!(score("", " "), 1.0);
    assert_eq!(score("y es", "yes"), 0.0);
}

/// The statistics of all golden pairs, and labels for as many examples.
fn statistics(metric: TextMetric) -> (Vec<f32>, Labels) {
    let pairs = pairs(&golden());
    let rows = pairs.iter();
    let rows = rows.flat_map(|(a, b)| metric.statistics(a, b, false));
    (rows.collect(), Labels::Tokens(vec![1; pairs.len()]))
}

#[test]
fn a_bootstrap_from_statistics_surrounds_the_metric() {
    for metric in TextMetric::ALL {
        let (values, labels) = statistics(metric);
        let predictions = Predictions::Texts {
            values: &values,
            width: metric.width(),
        };
        let options = BootstrapOptions::default();
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let of = Metric::Text(metric);
        let interval = bootstrap(of, &predictions, &labels, &options, &mut rng).unwrap();
        let whole = of.compute(&predictions, &labels).unwrap();
        assert_eq!(interval.estimate, whole);
        assert!(
            interval.low < whole && whole < interval.high,
            "{metric:?} {interval:?}"
        );
        assert!(interval.std_error > 0.0);
    }
}

#[test]
fn statistics_of_another_width_or_number_are_refused() {
    let (values, labels) = statistics(TextMetric::Bleu);
    let metric = Metric::Text(TextMetric::Bleu);
    let compute = |values: &[f32], width| {
        metric
            .compute(&Predictions::Texts { values, width }, &labels)
            .unwrap_err()
    };
    assert_eq!(compute(&values, 1), MetricError::WrongTask { metric });
    assert!(matches!(
        compute(&values[10..], 10),
        MetricError::LengthMismatch { .. }
    ));
    let mut broken = values.clone();
    broken[25] = f32::NAN;
    assert_eq!(compute(&broken, 10), MetricError::NotFinite { example: 2 });
    let tokens = Predictions::Tokens(&values);
    assert_eq!(
        metric.compute(&tokens, &labels),
        Err(MetricError::WrongTask { metric })
    );
}

proptest! {
    #[test]
    fn every_metric_is_a_share_and_a_text_is_most_like_itself(
        texts in prop::collection::vec(("\\PC{0,40}", "[a-c.,\\- ]{0,40}"), 1..5),
    ) {
        for metric in TextMetric::ALL {
            let score = |texts: &[(String, String)]| {
                metric.compute(texts.iter().map(|(a, b)| (a.as_str(), b.as_str())), true)
            };
            let value = score(&texts);
            prop_assert!((0.0..=1.0 + 1e-9).contains(&value), "{metric:?} {value}");
            // BLEU of short texts is 0, and METEOR of one word a half, whatever they are like.
            if !matches!(metric, TextMetric::Bleu | TextMetric::Meteor) {
                let same: Vec<_> = texts.iter().map(|(_, b)| (b.clone(), b.clone())).collect();
                prop_assert!(score(&same) >= value - 1e-6, "{metric:?} {value}");
            }
        }
    }

    #[test]
    fn stems_are_made_of_any_word(word in "\\PC{0,12}", english in "[a-z]{0,14}") {
        prop_assert!(stem(&word).chars().count() <= word.to_lowercase().chars().count() + 1);
        prop_assert!(stem(&english).is_ascii());
    }
}
