//! AdamW against its definition in `f64`, clipping, decay, and the schedules.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use bomf_tune::optim::{AdamW, AdamWOptions, Schedule};
use bomf_tune::params::{Init, Layout};
use bomf_tune::tape::Gradients;
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// Rounding of ten steps in `f32`.
const TOLERANCE: f64 = 1e-5;
const OPTIONS: AdamWOptions = AdamWOptions {
    beta1: 0.9,
    beta2: 0.98,
    epsilon: 1e-6,
    weight_decay: 0.1,
    max_grad_norm: 1.0,
};

/// A matrix, a vector and another matrix.
fn layout() -> Layout {
    let mut layout = Layout::default();
    layout.matrix("first.weight", 4, 5, 0.1);
    layout.vector("first.bias", 4, Init::Zeros);
    layout.matrix("second.weight", 2, 4, 0.1);
    layout
}

fn normal(count: usize, seed: u64) -> Vec<f32> {
    let rng = ChaCha8Rng::seed_from_u64(seed);
    StandardNormal.sample_iter(rng).take(count).collect()
}

/// Algorithm 2 of Loshchilov and Hutter (2019), one entry at a time.
fn reference(options: AdamWOptions, params: &[f32], gradients: &[Vec<f32>], lr: f64) -> Vec<f64> {
    let mut p: Vec<f64> = params.iter().map(|&p| p as f64).collect();
    let (mut m, mut v) = (vec![0.0; p.len()], vec![0.0; p.len()]);
    let decays: Vec<bool> = layout()
        .entries()
        .flat_map(|(_, e)| vec![e.decays(); e.param.len()])
        .collect();
    for (t, gradient) in (1..).zip(gradients) {
        let norm = gradient
            .iter()
            .map(|&g| (g as f64).powi(2))
            .sum::<f64>()
            .sqrt();
        let clip = (options.max_grad_norm / (norm + 1e-6)).min(1.0);
        for i in 0..p.len() {
            let g = gradient[i] as f64 * clip;
            m[i] = options.beta1 * m[i] + (1.0 - options.beta1) * g;
            v[i] = options.beta2 * v[i] + (1.0 - options.beta2) * g * g;
            let m_hat = m[i] / (1.0 - options.beta1.powi(t));
            let v_hat: f64 = v[i] / (1.0 - options.beta2.powi(t));
            let decay = if decays[i] { options.weight_decay } else { 0.0 };
            p[i] -= lr * (m_hat / (v_hat.sqrt() + options.epsilon) + decay * p[i]);
        }
    }
    p
}

#[test]
fn ten_steps_follow_the_definition_with_and_without_clipping() {
    let layout = layout();
    for max_grad_norm in [0.5, 1.0, f64::INFINITY] {
        let options = AdamWOptions {
            max_grad_norm,
            ..OPTIONS
        };
        let start = normal(layout.len(), 1);
        let gradients: Vec<Vec<f32>> = (0..10)
            .map(|t| {
                normal(layout.len(), 10 + t)
                    .iter()
                    .map(|g| g * 0.3)
                    .collect()
            })
            .collect();
        let mut params = start.clone();
        let mut optimiser = AdamW::new(&layout, 0, options);
        for values in &gradients {
            let gradients = Gradients {
                first: 0,
                values: values.clone(),
            };
            let norm = optimiser.step(&mut params, &gradients, 1.0, 0.01);
            let want = values
                .iter()
                .map(|&g| (g as f64).powi(2))
                .sum::<f64>()
                .sqrt();
            assert!((norm - want).abs() < TOLERANCE * want);
        }
        let want = reference(options, &start, &gradients, 0.01);
        for (i, (&got, want)) in params.iter().zip(want).enumerate() {
            assert!(
                (got as f64 - want).abs() < TOLERANCE,
                "{i}: {got}, not {want}"
            );
        }
    }
}

/// Rows of a table that see no gradient, one from the start, one for a while, one at
/// the end: every parameter is, to the bit, what the same steps give it when each of
/// its unit's neighbours has been awake from the start.
#[test]
fn rows_without_a_gradient_decay_to_the_bit_and_wake_when_they_get_one() {
    const COLS: usize = 130;
    const ROWS: usize = 3;
    // One more row keeps the length from being a multiple of anything.
    let mut layout = Layout::default();
    layout.matrix("table", ROWS + 1, COLS, 0.1);
    let start = normal(layout.len(), 8);
    let options = AdamWOptions {
        max_grad_norm: f64::INFINITY,
        ..OPTIONS
    };
    let gradient = |step: u64, row: usize| match (row, step) {
        (0, _) | (1, 0..=3) | (2, 6..) => vec![0.0; COLS],
        _ => normal(COLS, 100 * step + row as u64),
    };
    let run = |wake: f32| {
        let mut params = start.clone();
        let mut optimiser = AdamW::new(&layout, 0, options);
        for step in 0..10 {
            let mut values: Vec<f32> = (0..=ROWS).flat_map(|row| gradient(step, row)).collect();
            // Too small to leave a trace in any moment, but not zero.
            values
                .iter_mut()
                .filter(|v| **v == 0.0)
                .for_each(|v| *v = wake);
            let gradients = Gradients { first: 0, values };
            optimiser.step(&mut params, &gradients, 1.0, 0.01);
        }
        params
    };
    let (asleep, awake) = (run(0.0), run(f32::from_bits(1)));
    let bits = |v: &[f32]| v.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&asleep), bits(&awake));
    let keep = 1.0f32 - 0.01 * 0.1;
    let decayed = start[..COLS]
        .iter()
        .map(|&p| (0..10).fold(p, |p, _| p * keep));
    assert_eq!(bits(&asleep[..COLS]), bits(&decayed.collect::<Vec<_>>()));
}

#[test]
fn only_matrices_decay() {
    let layout = layout();
    let start = normal(layout.len(), 2);
    let mut params = start.clone();
    let zero = Gradients::zeros(0, layout.len());
    AdamW::new(&layout, 0, OPTIONS).step(&mut params, &zero, 1.0, 0.5);
    for (name, entry) in layout.entries() {
        let factor = if name.ends_with("weight") { 0.95 } else { 1.0 };
        for (new, old) in entry.param.of(&params).iter().zip(entry.param.of(&start)) {
            assert!((new - factor * old).abs() < 1e-6, "{name}");
        }
    }
}

#[test]
fn frozen_parameters_stay_and_the_others_go_as_without_them() {
    let layout = layout();
    let first = layout.get("first.bias").unwrap().param.offset;
    let start = normal(layout.len(), 3);
    let gradient = normal(layout.len(), 4);
    let mut frozen = start.clone();
    let tail = Gradients {
        first,
        values: gradient[first..].to_vec(),
    };
    AdamW::new(&layout, first, OPTIONS).step(&mut frozen, &tail, 1e-3, 0.1);
    assert_eq!(frozen[..first], start[..first]);
    let mut whole = start.clone();
    let all = Gradients {
        first: 0,
        values: gradient,
    };
    AdamW::new(&layout, 0, OPTIONS).step(&mut whole, &all, 1e-3, 0.1);
    // Below the clipping norm the lower gradients have no say.
    assert_eq!(frozen[first..], whole[first..]);
}

#[test]
fn a_gradient_that_is_not_finite_changes_nothing() {
    let layout = layout();
    for broken in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let start = normal(layout.len(), 5);
        let mut params = start.clone();
        let mut gradients = Gradients::zeros(0, layout.len());
        gradients.values[7] = broken;
        let norm = AdamW::new(&layout, 0, OPTIONS).step(&mut params, &gradients, 1.0, 0.1);
        assert!(!norm.is_finite());
        assert_eq!(params, start);
    }
}

const SCHEDULES: [Schedule; 5] = [
    Schedule::Constant,
    Schedule::Linear,
    Schedule::Cosine,
    Schedule::WarmupStableDecay,
    Schedule::Swa,
];

/// transformers 5.24.0: `get_wsd_schedule(optimizer, 4, 5, num_training_steps=50)`, the factors of
/// steps 2, 10, 45, 46, 47, 49 and 50.
#[test]
fn warm_up_stable_decay_is_that_of_transformers() {
    let expected = [
        (2, 0.5),
        (10, 1.0),
        (45, 1.0),
        (46, 0.904_508_497_187_473_7),
        (47, 0.654_508_497_187_473_7),
        (49, 0.095_491_502_812_526_33),
        (50, 0.0),
    ];
    for (step, factor) in expected {
        let found = Schedule::WarmupStableDecay.factor(step, 50, 4);
        assert!((found - factor).abs() < 1e-12, "{step}: {found} {factor}");
    }
}

#[test]
fn the_schedule_of_weight_averaging_falls_to_a_plateau() {
    let factor = |step| Schedule::Swa.factor(step, 1000, 0);
    assert_eq!((factor(0), factor(375)), (1.0, 1.0));
    assert!((factor(525) - 0.75).abs() < 1e-12);
    assert_eq!((factor(675), factor(999)), (0.5, 0.5));
}

proptest! {
    /// Accumulation: gradients of a sum, scaled down, are gradients of the mean.
    #[test]
    fn the_scale_undoes_a_power_of_two_exactly(power in 0i32..8, seed in 0u64..1000) {
        let layout = layout();
        let gradient = normal(layout.len(), seed);
        let run = |factor: f32| {
            let mut params = normal(layout.len(), 6);
            let values = gradient.iter().map(|g| g * factor).collect();
            let gradients = Gradients { first: 0, values };
            let mut optimiser = AdamW::new(&layout, 0, OPTIONS);
            for _ in 0..3 {
                optimiser.step(&mut params, &gradients, 1.0 / factor as f64, 0.01);
            }
            params
        };
        prop_assert_eq!(run(1.0), run(2f32.powi(power)));
    }

    /// A step's length a parameter is bounded by the learning rate, up to the factor
    /// `(1 - β₁) / √(1 - β₂)` (Kingma and Ba 2015, section 2.1) and the decay.
    #[test]
    fn the_first_step_is_no_longer_than_the_learning_rate(seed in 0u64..1000, size in -6f32..6.0) {
        let layout = layout();
        let start = normal(layout.len(), 7);
        let mut params = start.clone();
        let values = normal(layout.len(), seed).iter().map(|g| g * 10f32.powf(size)).collect();
        let gradients = Gradients { first: 0, values };
        AdamW::new(&layout, 0, OPTIONS).step(&mut params, &gradients, 1.0, 0.01);
        for (new, old) in params.iter().zip(&start) {
            prop_assert!((new - old).abs() <= 0.01 * (1.0 + 0.1 * old.abs()) + 1e-6);
        }
    }

    #[test]
    fn a_schedule_stays_within_zero_and_one(step in 0u64..300, steps in 1u64..300, warmup in 0u64..400) {
        for schedule in SCHEDULES {
            let factor = schedule.factor(step, steps, warmup);
            prop_assert!((0.0..=1.0).contains(&factor), "{factor}");
        }
    }

    #[test]
    fn a_schedule_rises_to_one_and_then_never_rises(steps in 2u64..300, share in 0.0f64..0.9) {
        let warmup = (steps as f64 * share) as u64;
        for schedule in SCHEDULES {
            let factors: Vec<f64> = (0..=steps).map(|s| schedule.factor(s, steps, warmup)).collect();
            let (up, down) = factors.split_at(warmup as usize);
            prop_assert!(up.is_sorted());
            // Where the warm-up is as long as the rest, a fall may have begun before its end.
            if share < 0.3 {
                prop_assert_eq!(down[0], 1.0);
            }
            prop_assert!(down.is_sorted_by(|a, b| a >= b));
            let end = match schedule {
                Schedule::Constant => 1.0,
                Schedule::Swa => 0.5,
                _ => 0.0,
            };
            prop_assert_eq!(factors[steps as usize], end);
        }
    }

    #[test]
    fn a_layout_has_no_gaps_and_keeps_its_order(shapes in prop::collection::vec((1usize..9, 1usize..9), 0..20)) {
        let mut layout = Layout::default();
        for (i, &(rows, cols)) in shapes.iter().enumerate() {
            if i == shapes.len() / 2 {
                layout.begin_head().unwrap();
            }
            let param = if rows == 1 {
                layout.vector(format!("p{i}"), cols, Init::Ones)
            } else {
                layout.matrix(format!("p{i}"), rows, cols, 0.02)
            };
            prop_assert_eq!(param.len(), rows * cols);
        }
        let mut end = 0;
        for (i, (name, entry)) in layout.entries().enumerate() {
            prop_assert_eq!(name, format!("p{i}"));
            prop_assert_eq!(entry.param.offset, end);
            prop_assert_eq!(entry.shape.iter().product::<usize>(), entry.param.len());
            prop_assert_eq!(entry.decays(), shapes[i].0 > 1);
            prop_assert_eq!(entry.head, i >= shapes.len() / 2);
            prop_assert_eq!(layout.get(name), Some(entry));
            end += entry.param.len();
        }
        prop_assert_eq!(layout.len(), end);
        prop_assert_eq!(layout.is_empty(), end == 0);
    }
}

#[test]
fn parameters_start_as_their_layout_says() {
    let mut layout = Layout::default();
    layout.matrix("normal", 200, 300, 0.02);
    layout.vector("zeros", 50, Init::Zeros);
    layout.vector("ones", 50, Init::Ones);
    let draw = |seed| {
        let mut flat = vec![f32::NAN; layout.len()];
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        for (_, entry) in layout.entries() {
            Layout::initialise(entry, &mut flat, &mut rng);
        }
        flat
    };
    let flat = draw(1);
    assert_eq!(flat, draw(1));
    assert_ne!(flat, draw(2));
    let of = |name: &str| layout.get(name).unwrap().param.of(&flat);
    let values = of("normal");
    let n = values.len() as f64;
    let mean = values.iter().map(|&v| v as f64).sum::<f64>() / n;
    let std = (values.iter().map(|&v| (v as f64).powi(2)).sum::<f64>() / n).sqrt();
    // Four standard errors of 60 000 draws.
    assert!(mean.abs() < 4.0 * 0.02 / n.sqrt(), "{mean}");
    assert!((std / 0.02 - 1.0).abs() < 4.0 / (2.0 * n).sqrt(), "{std}");
    assert!(of("zeros").iter().all(|&v| v == 0.0));
    assert!(of("ones").iter().all(|&v| v == 1.0));
}
