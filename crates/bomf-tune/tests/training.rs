//! Training as a whole: it learns, it is repeatable, it says when it diverges.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod tiny;

use bomf_tune::TuneError;
use bomf_tune::models::{Head, Model};
use bomf_tune::optim::{AdafactorOptions, OptimizerOptions, Schedule, SgdOptions};
use bomf_tune::tape::Workspace;
use bomf_tune::train::{
    Control, EncodedSplit, FineTuning, FrozenStates, TrainObserver, TrainOptions, TrainPoint,
    TrainSnapshot, TrainState, Trained, outputs, train, train_from,
};
use proptest::prelude::*;
use tiny::{frozen, is_key_bias, load, rng, sequences, split, wide, with_threads};

/// Logits of one sequence with other sequences around it: sums of products in another
/// order, as a share of logits of about 1.
const ROUNDING: f32 = 2e-5;

/// Keeps what it is told; stops after so many steps.
struct Record {
    points: Vec<TrainPoint>,
    stop_after: u64,
}

impl TrainObserver for Record {
    type Error = TuneError;
    fn after_step(&mut self, point: TrainPoint, _: &Model) -> Result<Control, TuneError> {
        self.points.push(point);
        let last = point.step == self.stop_after;
        Ok(if last {
            Control::Stop
        } else {
            Control::Continue
        })
    }
}

fn options() -> TrainOptions {
    TrainOptions {
        epochs: 1.0,
        batch_size: 8,
        gradient_accumulation_steps: 1,
        learning_rate: 1e-3,
        warmup_ratio: 0.1,
        schedule: Schedule::Linear,
        optimizer: OptimizerOptions::default(),
        seed: 3,
    }
}

fn run(
    model: &mut Model,
    split: &EncodedSplit,
    frozen: &FrozenStates,
    options: &TrainOptions,
) -> (Result<Trained, TuneError>, Vec<TrainPoint>) {
    let mut record = Record {
        points: Vec::new(),
        stop_after: u64::MAX,
    };
    let objective = FineTuning { split, frozen };
    let outcome = train(model, &objective, options, &mut record);
    (outcome, record.points)
}

#[test]
fn a_tiny_model_memorises_sixteen_examples() {
    let split = split(16, 12, Some(2), 1);
    let mut model = wide(2, 2, 0.0, 1);
    let options = TrainOptions {
        epochs: 60.0,
        ..options()
    };
    let (outcome, points) = run(&mut model, &split, &FrozenStates::none(), &options);
    assert_eq!(outcome.unwrap().steps, 120);
    let last = points[119].loss;
    assert!(
        points[0].loss > 0.3 && last < 0.05,
        "{} to {last}",
        points[0].loss
    );
    let all = evaluate(&model, &split, &FrozenStates::none());
    let right = |(logits, &label): (&[f32], &u32)| (logits[1] > logits[0]) == (label == 1);
    let labels = split.labels.classes().unwrap();
    assert!(all.chunks(2).zip(labels).all(right));
}

#[test]
fn a_tiny_model_memorises_sixteen_numbers_with_its_lower_layer_frozen() {
    let split = split(16, 12, None, 2);
    let mut model = wide(2, 1, 0.0, 2);
    let before = model.params.clone();
    let states = frozen(&model, &split, 1, true);
    let options = TrainOptions {
        epochs: 60.0,
        ..options()
    };
    let (outcome, points) = run(&mut model, &split, &states, &options);
    outcome.unwrap();
    assert!(points[119].loss < 0.05, "{}", points[119].loss);
    let first = model.network.first_trainable(1).unwrap();
    assert_eq!(model.params[..first], before[..first]);
    for (name, entry) in model.network.layout().entries() {
        let changed = entry.param.of(&model.params) != entry.param.of(&before);
        assert_eq!(changed, entry.param.offset >= first, "{name}");
    }
}

fn evaluate(model: &Model, split: &EncodedSplit, states: &FrozenStates) -> Vec<f32> {
    let workspace = Workspace::default();
    outputs(
        &model.network,
        &model.params,
        &split.sequences,
        states,
        &workspace,
    )
}

/// Parameters after some steps with dropout, accumulation and clipping.
fn trained(threads: usize, seed: u64) -> Vec<f32> {
    with_threads(threads, || {
        let split = split(64, 40, Some(3), 4);
        let mut model = wide(2, 3, 0.1, 3);
        let options = TrainOptions {
            gradient_accumulation_steps: 2,
            epochs: 2.0,
            seed,
            ..options()
        };
        let (outcome, _) = run(&mut model, &split, &FrozenStates::none(), &options);
        assert_eq!(outcome.unwrap().steps, 8);
        model.params
    })
}

/// Writes the state of each step but the last.
struct Saving {
    points: Vec<TrainPoint>,
    folder: std::path::PathBuf,
}

impl TrainObserver for Saving {
    type Error = TuneError;
    fn after_step(&mut self, point: TrainPoint, _: &Model) -> Result<Control, TuneError> {
        self.points.push(point);
        Ok(Control::Continue)
    }
    fn may_save(&mut self, snapshot: &TrainSnapshot<'_>) -> Result<(), TuneError> {
        let step = self.points.len();
        snapshot.write(&self.folder.join(step.to_string()), &format!("note {step}"))
    }
}

#[test]
fn a_run_goes_on_from_any_step_to_the_same_bits() {
    // The last batch of an epoch is a short one, and only some tokens occur in each.
    let split = split(21, 40, Some(3), 4);
    let dir = tempfile::tempdir().unwrap();
    let plain = SgdOptions {
        momentum: 0.0,
        ..SgdOptions::default()
    };
    let cases: [(usize, OptimizerOptions); 5] = [
        (0, OptimizerOptions::default()),
        (1, OptimizerOptions::default()),
        (0, AdafactorOptions::default().into()),
        (1, SgdOptions::default().into()),
        (0, plain.into()),
    ];
    for (case, (frozen_layers, optimizer)) in cases.into_iter().enumerate() {
        let fresh = || wide(2, 3, 0.1, 3);
        let frozen = frozen(&fresh(), &split, frozen_layers, true);
        let objective = FineTuning {
            split: &split,
            frozen: &frozen,
        };
        let options = TrainOptions {
            gradient_accumulation_steps: 2,
            batch_size: 4,
            epochs: 3.0,
            optimizer,
            ..options()
        };
        let mut model = fresh();
        let mut saving = Saving {
            points: Vec::new(),
            folder: dir.path().join(case.to_string()),
        };
        let whole = train(&mut model, &objective, &options, &mut saving).unwrap();
        assert_eq!(whole.steps, 9);
        for step in 1..9 {
            let state = TrainState::read(&saving.folder.join(step.to_string())).unwrap();
            assert_eq!(
                (state.steps(), &*state.note),
                (step, &*format!("note {step}"))
            );
            let mut again = fresh();
            let mut record = Record {
                points: Vec::new(),
                stop_after: u64::MAX,
            };
            let done = train_from(&mut again, &objective, &options, Some(state), &mut record);
            assert_eq!(done.unwrap(), whole);
            assert_eq!(record.points, saving.points[step as usize..]);
            let bits = |model: &Model| model.params.iter().map(|p| p.to_bits()).collect::<Vec<_>>();
            assert!(
                bits(&again) == bits(&model),
                "{optimizer:?} from step {step}"
            );
        }
    }
}

#[test]
fn the_state_of_another_run_and_half_a_state_are_refused() {
    let (one, other) = (split(16, 12, Some(2), 1), split(17, 12, Some(2), 1));
    let dir = tempfile::tempdir().unwrap();
    let none = FrozenStates::none();
    let mut saving = Saving {
        points: Vec::new(),
        folder: dir.path().into(),
    };
    let objective = |split| FineTuning {
        split,
        frozen: &none,
    };
    train(
        &mut wide(2, 2, 0.1, 3),
        &objective(&one),
        &options(),
        &mut saving,
    )
    .unwrap();
    let state = || TrainState::read(&dir.path().join("1")).unwrap();
    for (mut model, split) in [(wide(2, 2, 0.1, 3), &other), (wide(2, 3, 0.1, 3), &one)] {
        let before = model.params.clone();
        let objective = objective(split);
        let mut record = Record {
            points: Vec::new(),
            stop_after: u64::MAX,
        };
        let error = train_from(
            &mut model,
            &objective,
            &options(),
            Some(state()),
            &mut record,
        );
        assert!(matches!(error, Err(TuneError::OtherRun)));
        assert_eq!(model.params, before);
    }
    // Nor the state of another optimiser.
    for optimizer in [
        SgdOptions::default().into(),
        AdafactorOptions::default().into(),
    ] {
        let options = TrainOptions {
            optimizer,
            ..options()
        };
        let mut record = Record {
            points: Vec::new(),
            stop_after: u64::MAX,
        };
        let (mut model, objective) = (wide(2, 2, 0.1, 3), objective(&one));
        let error = train_from(&mut model, &objective, &options, Some(state()), &mut record);
        assert!(matches!(error, Err(TuneError::OtherRun)));
    }
    std::fs::remove_file(dir.path().join("1/model.safetensors")).unwrap();
    assert!(TrainState::read(&dir.path().join("1")).is_err());
    assert!(TrainState::read(&dir.path().join("none")).is_err());
}

#[test]
fn the_same_seed_trains_the_same_parameters_on_any_number_of_threads() {
    let one = trained(1, 3);
    assert_eq!(one, trained(1, 3));
    let two = trained(2, 3);
    assert_eq!(two, trained(2, 3));
    assert_eq!(one, two);
    assert_ne!(one, trained(1, 4));
}

#[test]
fn outputs_are_the_same_on_one_thread_and_on_two() {
    let split = split(150, 40, Some(2), 5);
    let model = wide(2, 2, 0.1, 4);
    for layers in 0..2 {
        let states = frozen(&model, &split, layers, true);
        let of = |threads| with_threads(threads, || evaluate(&model, &split, &states));
        let one = of(1);
        assert_eq!(one.len(), 300);
        assert_eq!(one, of(2));
        assert_eq!(one, of(3));
    }
}

#[test]
fn accumulated_batches_train_as_one_large_batch() {
    let split = split(32, 20, Some(2), 6);
    let run = |batch_size, gradient_accumulation_steps| {
        let mut model = wide(2, 2, 0.0, 5);
        let options = TrainOptions {
            batch_size,
            gradient_accumulation_steps,
            learning_rate: 1e-4,
            ..options()
        };
        let (outcome, points) = run(&mut model, &split, &FrozenStates::none(), &options);
        assert_eq!(outcome.unwrap().examples, 32);
        assert_eq!(points.len(), 4);
        (model, points)
    };
    let ((whole, points), (parts, others)) = (run(8, 1), run(2, 4));
    for (point, other) in points.iter().zip(&others) {
        assert!((point.loss - other.loss).abs() < 1e-4 * point.loss);
        assert!((point.gradient_norm - other.gradient_norm).abs() < 1e-3 * point.gradient_norm);
    }
    for (name, entry) in whole.network.layout().entries() {
        if is_key_bias(name) {
            continue;
        }
        let distance = |a: &[f32], b: &[f32]| {
            let squares = a.iter().zip(b).map(|(a, b)| (a - b).powi(2));
            (squares.sum::<f32>() / a.len() as f32).sqrt()
        };
        let difference = distance(entry.param.of(&whole.params), entry.param.of(&parts.params));
        // Four steps move an entry by up to 3e-4.
        assert!(difference < 1e-5, "{name}: {difference}");
    }
}

#[test]
fn a_diverging_run_says_so_and_at_which_step() {
    let split = split(32, 20, Some(2), 7);
    let mut model = wide(2, 2, 0.1, 6);
    let options = TrainOptions {
        learning_rate: 1e37,
        warmup_ratio: 0.0,
        epochs: 4.0,
        ..options()
    };
    let (outcome, points) = run(&mut model, &split, &FrozenStates::none(), &options);
    match outcome {
        Err(error @ TuneError::Diverged { step }) => {
            assert_eq!(step, points.len() as u64 + 1);
            let message = error.to_string();
            assert!(message.contains(&format!("step {step}")), "{message}");
            assert!(error.hint().unwrap().contains("learning rate"));
        }
        other => panic!("{other:?} after {points:?}"),
    }
}

#[test]
fn a_label_that_is_not_a_number_diverges_at_the_first_step() {
    let mut split = split(8, 20, None, 8);
    split.labels = bomf_tune::data::Labels::Value(vec![f32::NAN; 8]);
    let mut model = wide(1, 1, 0.0, 7);
    let before = model.params.clone();
    let (outcome, points) = run(&mut model, &split, &FrozenStates::none(), &options());
    assert!(matches!(outcome, Err(TuneError::Diverged { step: 1 })));
    assert_eq!(points, []);
    assert_eq!(model.params, before);
}

#[test]
fn what_cannot_be_trained_is_refused() {
    let empty = split(0, 20, Some(2), 9);
    let mut model = wide(2, 2, 0.0, 8);
    let (outcome, _) = run(&mut model, &empty, &FrozenStates::none(), &options());
    assert_eq!(
        outcome.unwrap_err().to_string(),
        "the train split has no examples"
    );
    assert!(evaluate(&model, &empty, &FrozenStates::none()).is_empty());
    let error = model.network.first_trainable(2).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot freeze 2 layers of a model that has 2"
    );
}

#[test]
fn an_observer_stops_a_run_and_a_run_ends_where_it_was_planned_to() {
    let split = split(20, 10, Some(2), 10);
    let mut model = wide(1, 2, 0.0, 9);
    let frozen = FrozenStates::none();
    let objective = FineTuning {
        split: &split,
        frozen: &frozen,
    };
    for (stop_after, epochs, steps, examples) in [
        (2, 3.0, 2, 16),
        (99, 1.0, 3, 20),
        (99, 1.5, 5, 36),
        (99, 0.0, 1, 8),
    ] {
        let mut record = Record {
            points: Vec::new(),
            stop_after,
        };
        let options = TrainOptions {
            epochs,
            ..options()
        };
        let done = train(&mut model, &objective, &options, &mut record).unwrap();
        assert_eq!((done.steps, done.examples), (steps, examples));
        let numbers: Vec<u64> = record.points.iter().map(|p| p.step).collect();
        assert_eq!(numbers, (1..=steps).collect::<Vec<_>>());
        assert!(record.points.iter().all(|p| p.steps_per_epoch == 3));
    }
}

#[test]
fn batches_of_nothing_are_batches_of_one() {
    let split = split(3, 10, Some(2), 12);
    let mut model = wide(1, 2, 0.0, 11);
    let options = TrainOptions {
        batch_size: 0,
        gradient_accumulation_steps: 0,
        ..options()
    };
    let (outcome, _) = run(&mut model, &split, &FrozenStates::none(), &options);
    assert_eq!(outcome.unwrap().steps, 3);
}

#[test]
fn building_frozen_states_can_be_interrupted() {
    let split = split(20, 10, Some(2), 11);
    let model = wide(2, 2, 0.0, 10);
    let (network, sequences) = (&model.network, &split.sequences);
    let states = FrozenStates::new(network, &model.params, sequences, 1, usize::MAX, &|| true);
    assert!(matches!(states, Err(TuneError::Interrupted)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// What a sequence gives depends neither on the sequences beside it nor on their
    /// order.
    #[test]
    fn a_sequence_gives_the_same_in_any_company(
        lengths in prop::collection::vec(1usize..=18, 1..9),
        seed in 0u64..1000,
        order in any::<prop::sample::Index>(),
    ) {
        for (folder, outputs) in [("tiny_bert", 3), ("tiny_roberta", 2), ("tiny_distilbert", 1)] {
            let model = load(folder, Head::Classifier { outputs }, 0.1);
            let sequences = sequences(&lengths, 1, &mut rng(seed));
            let logits = |indices: &[usize]| {
                let batch = sequences.batch(indices);
                let workspace = Workspace::default();
                let mut tape = bomf_tune::tape::Tape::inference(&model.params, &workspace);
                model.network.forward(&mut tape, &batch).to_vec()
            };
            let mut indices: Vec<usize> = (0..lengths.len()).collect();
            let all = logits(&indices);
            indices.rotate_left(order.index(lengths.len()));
            indices.reverse();
            let turned = logits(&indices);
            for (place, &i) in indices.iter().enumerate() {
                let packed = &all[i * outputs..][..outputs];
                let alone = logits(&[i]);
                for (k, want) in packed.iter().enumerate() {
                    let scale = want.abs().max(1.0);
                    prop_assert!((alone[k] - want).abs() < ROUNDING * scale);
                    prop_assert!((turned[place * outputs + k] - want).abs() < ROUNDING * scale);
                }
            }
        }
    }

    #[test]
    fn the_planned_steps_cover_every_example(
        examples in 1usize..500, batch in 1usize..40, accumulation in 1usize..5, epochs in 0.0f64..5.0,
    ) {
        let options = TrainOptions {
            batch_size: batch,
            gradient_accumulation_steps: accumulation,
            epochs,
            ..options()
        };
        let per_epoch = options.steps_per_epoch(examples);
        let step = (batch * accumulation) as u64;
        prop_assert!(per_epoch * step >= examples as u64);
        prop_assert!((per_epoch - 1) * step < examples as u64);
        let steps = options.num_steps(examples) as f64;
        prop_assert!(steps >= 1.0 && (steps - per_epoch as f64 * epochs).abs() <= 1.0);
    }
}
