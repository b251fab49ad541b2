//! Metrics against scikit-learn, SciPy and PyTorch (`golden/metrics.py`), their properties and
//! edge cases, and the bootstrap.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use bomf_tune::data::{Labels, Task};
use bomf_tune::metrics::bootstrap::{
    BootstrapOptions, bootstrap, bootstrap_mean, bootstrap_statistic, paired_bootstrap,
    paired_bootstrap_mean,
};
use bomf_tune::metrics::{
    Direction, Metric, MetricError, Predictions, cross_entropy, mean_squared_error,
};
use proptest::collection::vec;
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

/// Both sides compute in `f64`, in different orders of summation.
const TOLERANCE: f64 = 1e-12;
/// Values of a million with differences of one: the squares lose six digits more.
const FAR_TOLERANCE: f64 = 1e-9;

fn logits(values: &[f32], classes: usize) -> Predictions<'_> {
    Predictions::Logits { values, classes }
}

fn class(ids: &[u32]) -> Labels {
    Labels::Class(ids.to_vec())
}

/// Logits that are greatest at the given class.
fn one_hot(predicted: &[u32], classes: usize) -> Vec<f32> {
    let row = |&k: &u32| (0..classes as u32).map(move |c| f32::from(u8::from(c == k)));
    predicted.iter().flat_map(row).collect()
}

fn floats(value: &Value) -> Vec<f32> {
    let values = value.as_array().unwrap();
    values.iter().map(|v| v.as_f64().unwrap() as f32).collect()
}

fn assert_close(got: f64, want: &Value, tolerance: f64, what: &str) {
    let want = want.as_f64().unwrap();
    let scale = want.abs().max(1.0);
    assert!(
        (got - want).abs() <= tolerance * scale,
        "{what}: {got} instead of {want}"
    );
}

#[test]
fn classification_metrics_are_those_of_scikit_learn() {
    let golden: Value = serde_json::from_str(include_str!("golden/metrics.json")).unwrap();
    let cases = golden["classification"].as_array().unwrap();
    assert_eq!(cases.len(), 10);
    for case in cases {
        let name = case["name"].as_str().unwrap();
        let classes = case["classes"].as_u64().unwrap() as usize;
        let ids: Vec<u32> = serde_json::from_value(case["labels"].clone()).unwrap();
        let labels = Labels::Class(ids.clone());
        let values = floats(&case["logits"]);
        let expected = &case["expected"];
        let check = |metric: Metric, want: &Value| {
            let got = metric.compute(&logits(&values, classes), &labels).unwrap();
            assert_close(got, want, TOLERANCE, &format!("{metric} of {name}"));
        };
        check(Metric::Accuracy, &expected["accuracy"]);
        check(Metric::F1Macro, &expected["f1_macro"]);
        check(Metric::Matthews, &expected["matthews"]);
        for (k, want) in expected["f1_of_class"]
            .as_array()
            .unwrap()
            .iter()
            .enumerate()
        {
            let positive = k as u32;
            check(Metric::F1 { positive }, want);
        }
        let loss = cross_entropy(&values, classes, &ids).unwrap();
        assert_close(loss, &expected["cross_entropy"], TOLERANCE, name);
    }
}

#[test]
fn regression_metrics_are_those_of_scipy() {
    let golden: Value = serde_json::from_str(include_str!("golden/metrics.json")).unwrap();
    let cases = golden["regression"].as_array().unwrap();
    assert_eq!(cases.len(), 5);
    for case in cases {
        let name = case["name"].as_str().unwrap();
        let values = floats(&case["values"]);
        let targets = floats(&case["labels"]);
        let labels = Labels::Value(targets.clone());
        let expected = &case["expected"];
        for metric in [Metric::Pearson, Metric::Spearman, Metric::Mse] {
            let got = metric
                .compute(&Predictions::Values(&values), &labels)
                .unwrap();
            let what = format!("{metric} of {name}");
            assert_close(got, &expected[metric.name()], FAR_TOLERANCE, &what);
        }
        let loss = mean_squared_error(&values, &targets).unwrap();
        assert_close(loss, &expected["mse"], FAR_TOLERANCE, name);
    }
}

#[test]
fn correlation_with_a_constant_is_zero() {
    // The mean of 0.1 over ten is not exactly 0.1: constancy must not be judged by the variance.
    let constant = [0.1f32; 10];
    let varying: Vec<f32> = (0..10u8).map(f32::from).collect();
    for metric in [Metric::Pearson, Metric::Spearman] {
        for (x, y) in [(&constant[..], &varying[..]), (&varying, &constant)] {
            let labels = Labels::Value(y.to_vec());
            let got = metric.compute(&Predictions::Values(x), &labels).unwrap();
            assert_eq!(got, 0.0);
        }
    }
    let one = Labels::Value(vec![3.0]);
    let got = Metric::Pearson.compute(&Predictions::Values(&[2.0]), &one);
    assert_eq!(got.unwrap(), 0.0);
}

#[test]
fn f1_of_a_class_that_does_not_exist_is_zero() {
    let values = one_hot(&[0, 1], 2);
    let got = Metric::F1 { positive: 7 }.compute(&logits(&values, 2), &class(&[0, 1]));
    assert_eq!(got.unwrap(), 0.0);
}

#[test]
fn cross_entropy_of_equal_logits_is_the_logarithm_of_the_classes() {
    let loss = cross_entropy(&[5.0; 12], 4, &[0, 3, 2]).unwrap();
    assert!((loss - 4f64.ln()).abs() < TOLERANCE);
    // One logit alone is certain.
    assert_eq!(cross_entropy(&[3.0], 1, &[0]).unwrap(), 0.0);
}

#[test]
fn predictions_that_do_not_belong_to_the_labels_are_refused() {
    let metric = Metric::Accuracy;
    let compute = |p: Predictions<'_>, l: Labels| metric.compute(&p, &l).unwrap_err();
    assert_eq!(
        compute(logits(&[0.0; 4], 2), class(&[0])),
        MetricError::LengthMismatch {
            predictions: 2,
            labels: 1
        }
    );
    assert_eq!(
        compute(logits(&[0.0; 5], 2), class(&[0, 1])),
        MetricError::RaggedLogits {
            values: 5,
            classes: 2
        }
    );
    assert_eq!(
        compute(logits(&[], 0), class(&[])),
        MetricError::RaggedLogits {
            values: 0,
            classes: 0
        }
    );
    assert_eq!(compute(logits(&[], 2), class(&[])), MetricError::Empty);
    assert_eq!(
        compute(logits(&[0.0; 4], 2), class(&[0, 2])),
        MetricError::LabelOutOfRange {
            example: 1,
            label: 2,
            classes: 2
        }
    );
    let wrong = compute(Predictions::Values(&[0.0]), class(&[0]));
    assert_eq!(wrong, MetricError::WrongTask { metric });
    assert!(wrong.hint().is_some());
}

#[test]
fn a_diverged_model_is_an_error_and_not_a_score() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let not_finite = MetricError::NotFinite { example: 1 };
        let values = [0.0, 1.0, bad, 1.0];
        let got = Metric::Accuracy.compute(&logits(&values, 2), &class(&[0, 1]));
        assert_eq!(got, Err(not_finite.clone()));
        assert_eq!(cross_entropy(&values, 2, &[0, 1]), Err(not_finite.clone()));
        let labels = Labels::Value(vec![1.0, 2.0]);
        let got = Metric::Pearson.compute(&Predictions::Values(&[0.0, bad]), &labels);
        assert_eq!(got, Err(not_finite.clone()));
        assert_eq!(
            mean_squared_error(&[1.0, 2.0], &[0.0, bad]),
            Err(not_finite)
        );
    }
}

#[test]
fn names_lead_back_to_their_metrics() {
    for metric in Metric::ALL {
        assert_eq!(Metric::named(metric.name(), metric.task()), Ok(metric));
        assert_eq!(metric.to_string(), metric.name());
    }
    assert_eq!(Metric::from_name("MCC"), Ok(Metric::Matthews));
    assert_eq!("macro-f1".parse(), Ok(Metric::F1Macro));
    let unknown = Metric::from_name("acuracy").unwrap_err();
    assert!(unknown.hint().unwrap().contains("accuracy"));
}

#[test]
fn the_usual_metrics_fit_their_task() {
    for (task, classes) in [
        (Task::Classification, 2),
        (Task::Classification, 77),
        (Task::Regression, 0),
    ] {
        let metrics = Metric::for_task(task, classes);
        assert!(!metrics.is_empty());
        for metric in metrics {
            assert_eq!(metric.task(), task);
            assert_eq!(metric.direction(), Direction::Maximize);
        }
    }
    assert_eq!(Metric::Mse.direction(), Direction::Minimize);
}

#[test]
fn bootstrap_of_a_mean_has_the_textbook_standard_error() {
    let values: Vec<f64> = (0..400).map(|i| f64::from(i % 20)).collect();
    let options = BootstrapOptions {
        resamples: 4000,
        level: 0.95,
    };
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let interval = bootstrap_mean(&values, &options, &mut rng).unwrap();
    assert_eq!(interval.estimate, 9.5);
    // The standard deviation of 0..19 is sqrt((20^2 - 1) / 12).
    let expected = (399.0f64 / 12.0).sqrt() / 20.0;
    // The standard error of a standard deviation of 4000 values is 1.1 %; four of those.
    assert!((interval.std_error / expected - 1.0).abs() < 0.045);
    let half_width = (interval.high - interval.low) / 2.0;
    assert!((half_width / (1.96 * expected) - 1.0).abs() < 0.08);
}

#[test]
fn bootstrap_depends_on_the_seed_alone() {
    let values = one_hot(&[0, 1, 1, 0, 1, 0, 0, 1], 2);
    let labels = class(&[0, 1, 0, 0, 1, 1, 0, 1]);
    let run = |seed| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let options = BootstrapOptions::default();
        bootstrap(
            Metric::F1Macro,
            &logits(&values, 2),
            &labels,
            &options,
            &mut rng,
        )
        .unwrap()
    };
    assert_eq!(run(3), run(3));
    assert_ne!(run(3), run(4));
}

#[test]
fn a_prediction_set_does_not_differ_from_itself() {
    let values = one_hot(&[0, 1, 1, 0, 1], 2);
    let labels = class(&[0, 1, 0, 0, 1]);
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let same = logits(&values, 2);
    let options = BootstrapOptions::default();
    let got = paired_bootstrap(Metric::Accuracy, &same, &same, &labels, &options, &mut rng);
    let got = got.unwrap();
    assert_eq!((got.interval.low, got.interval.high), (0.0, 0.0));
    assert_eq!(got.share_greater, 0.5);
}

#[test]
fn pairing_cancels_what_is_hard_for_both() {
    // The second model is wrong where the first one is, and on two examples more.
    let n = 200;
    let labels: Vec<u32> = (0..n).map(|i| i % 2).collect();
    let first: Vec<u32> = (0..n)
        .map(|i| if i < 60 { 1 - i % 2 } else { i % 2 })
        .collect();
    let second: Vec<u32> = (0..n)
        .map(|i| if i < 62 { 1 - i % 2 } else { i % 2 })
        .collect();
    let (first, second) = (one_hot(&first, 2), one_hot(&second, 2));
    let labels = class(&labels);
    let options = BootstrapOptions::default();
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let metric = Metric::Accuracy;
    let (a, b) = (logits(&first, 2), logits(&second, 2));
    let paired = paired_bootstrap(metric, &a, &b, &labels, &options, &mut rng).unwrap();
    let alone = bootstrap(metric, &a, &labels, &options, &mut rng).unwrap();
    assert!((paired.interval.estimate - 0.01).abs() < TOLERANCE);
    assert!(paired.interval.std_error < alone.std_error / 4.0);
    // No resample favours the second; those without the two examples (e^-2) are level.
    assert!(paired.interval.low >= 0.0);
    assert!((paired.share_greater - (1.0 - 0.5 * (-2.0f64).exp())).abs() < 0.03);
}

#[test]
fn bootstrap_refuses_what_makes_no_sense() {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let options = BootstrapOptions::default();
    assert_eq!(
        bootstrap_mean(&[], &options, &mut rng),
        Err(MetricError::Empty)
    );
    assert_eq!(
        bootstrap_mean(&[1.0, f64::NAN], &options, &mut rng),
        Err(MetricError::NotFinite { example: 1 })
    );
    assert!(matches!(
        paired_bootstrap_mean(&[1.0], &[1.0, 2.0], &options, &mut rng),
        Err(MetricError::LengthMismatch { .. })
    ));
    for (resamples, level) in [(0, 0.95), (10, 0.0), (10, 1.0), (10, f64::NAN)] {
        let options = BootstrapOptions { resamples, level };
        let got = bootstrap_statistic(3, |_| 0.0, &options, &mut rng);
        assert!(matches!(got, Err(MetricError::BadBootstrap { .. })));
    }
}

/// A bootstrap with a single resample: its value is `low`.
fn one_resample(metric: Metric, values: &[f32], labels: &Labels, seed: u64) -> f64 {
    let options = BootstrapOptions {
        resamples: 1,
        level: 0.5,
    };
    let predictions = match labels {
        Labels::Class(_) => logits(values, values.len() / labels.len()),
        Labels::Value(_) => Predictions::Values(values),
        Labels::Tokens(_) => Predictions::Tokens(values),
        Labels::Answers(_) => Predictions::Answers(values),
        Labels::Tags(tags) => Predictions::Tags {
            values,
            tags: tags.names.len(),
        },
    };
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let interval = bootstrap(metric, &predictions, labels, &options, &mut rng);
    interval.unwrap().low
}

/// The places that the same resample draws.
fn places_drawn(n: usize, seed: u64) -> Vec<usize> {
    let mut places = Vec::new();
    let options = BootstrapOptions {
        resamples: 1,
        level: 0.5,
    };
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let collect = |counts: &[u32]| {
        places = counts
            .iter()
            .enumerate()
            .flat_map(|(i, &c)| std::iter::repeat_n(i, c as usize))
            .collect();
        0.0
    };
    bootstrap_statistic(n, collect, &options, &mut rng).unwrap();
    places
}

proptest! {
    #[test]
    fn classification_on_a_resample_is_that_of_the_examples_written_out(
        examples in vec((0u32..3, 0u32..3), 2..30),
        seed in any::<u64>(),
    ) {
        let (ids, predicted): (Vec<_>, Vec<_>) = examples.into_iter().unzip();
        let places = places_drawn(ids.len(), seed);
        let pick = |v: &[u32]| places.iter().map(|&i| v[i]).collect::<Vec<_>>();
        let drawn = one_hot(&pick(&predicted), 3);
        let drawn_labels = class(&pick(&ids));
        for metric in Metric::ALL.into_iter().filter(|m| m.task() == Task::Classification) {
            let got = one_resample(metric, &one_hot(&predicted, 3), &class(&ids), seed);
            let want = metric.compute(&logits(&drawn, 3), &drawn_labels).unwrap();
            prop_assert!((got - want).abs() < TOLERANCE);
        }
    }

    #[test]
    fn regression_on_a_resample_is_that_of_the_examples_written_out(
        examples in vec((-4i8..4, -4i8..4), 2..30),
        seed in any::<u64>(),
    ) {
        let (x, y): (Vec<_>, Vec<_>) = examples
            .into_iter()
            .map(|(a, b)| (f32::from(a), f32::from(b)))
            .unzip();
        let places = places_drawn(x.len(), seed);
        let pick = |v: &[f32]| places.iter().map(|&i| v[i]).collect::<Vec<_>>();
        let drawn = pick(&x);
        let drawn_labels = Labels::Value(pick(&y));
        for metric in [Metric::Pearson, Metric::Spearman, Metric::Mse] {
            let got = one_resample(metric, &x, &Labels::Value(y.clone()), seed);
            let want = metric.compute(&Predictions::Values(&drawn), &drawn_labels).unwrap();
            prop_assert!((got - want).abs() < TOLERANCE * want.abs().max(1.0), "{} {}", got, want);
        }
    }

    #[test]
    fn metrics_lie_in_their_ranges(examples in vec((0u32..4, 0u32..4), 1..40)) {
        let (ids, predicted): (Vec<_>, Vec<_>) = examples.into_iter().unzip();
        let values = one_hot(&predicted, 4);
        for metric in Metric::ALL.into_iter().filter(|m| m.task() == Task::Classification) {
            let got = metric.compute(&logits(&values, 4), &class(&ids)).unwrap();
            let low = if metric == Metric::Matthews { -1.0 } else { 0.0 };
            prop_assert!((low - TOLERANCE..=1.0 + TOLERANCE).contains(&got));
        }
    }

    #[test]
    fn the_order_of_examples_does_not_matter(
        examples in vec((0u32..3, 0u32..3), 2..30),
        turn in 0usize..30,
    ) {
        let mut turned = examples.clone();
        turned.rotate_left(turn % examples.len());
        for metric in Metric::ALL.into_iter().filter(|m| m.task() == Task::Classification) {
            let compute = |pairs: &[(u32, u32)]| {
                let (ids, predicted): (Vec<_>, Vec<_>) = pairs.iter().copied().unzip();
                metric.compute(&logits(&one_hot(&predicted, 3), 3), &class(&ids)).unwrap()
            };
            prop_assert_eq!(compute(&examples), compute(&turned));
        }
    }

    #[test]
    fn spearman_sees_only_the_order(values in vec(-50f32..50.0, 2..40), shift in -3f32..3.0) {
        let labels: Vec<f32> = values.iter().map(|v| (v * 0.7 + shift).sin()).collect();
        let labels = Labels::Value(labels);
        // A cube keeps the order, unless rounding makes two values equal.
        let monotone: Vec<f32> = values.iter().map(|v| (v * 2.0).powi(3)).collect();
        let spearman = |x: &[f32]| Metric::Spearman.compute(&Predictions::Values(x), &labels).unwrap();
        let distinct: std::collections::BTreeSet<_> = values.iter().map(|v| v.to_bits()).collect();
        let images: std::collections::BTreeSet<_> = monotone.iter().map(|v| v.to_bits()).collect();
        prop_assume!(distinct.len() == images.len());
        prop_assert!((spearman(&values) - spearman(&monotone)).abs() < TOLERANCE);
    }
}
