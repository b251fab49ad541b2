//! Generation against transformers: see `golden/generation.py`, which made the values.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod reference;

use bomf_tune::TuneError;
use bomf_tune::batch::{OutputsAt, Sequences};
use bomf_tune::generate::{EarlyStopping, GenerationError, GenerationOptions, Sampling, generate};
use bomf_tune::lora::LoraOptions;
use bomf_tune::models::{Head, Model};
use bomf_tune::tape::Workspace;
use bomf_tune::train::Control;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use reference::{golden, json};
use serde_json::Value;

fn load(folder: &str) -> Model {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    Model::load(&golden(folder), Head::CausalLm, &mut rng)
        .unwrap()
        .0
}

fn ids(value: &Value) -> Vec<u32> {
    let ids = value.as_array().unwrap().iter();
    ids.map(|id| id.as_u64().unwrap() as u32).collect()
}

fn options(value: &Value) -> GenerationOptions {
    let count = |name: &str| value[name].as_u64().map(|v| v as usize);
    let number = |name: &str| value[name].as_f64().map(|v| v as f32);
    GenerationOptions {
        max_new_tokens: count("max_new_tokens").unwrap(),
        beams: count("num_beams").unwrap_or(1),
        length_penalty: number("length_penalty").unwrap_or(1.0),
        early_stopping: match &value["early_stopping"] {
            Value::Bool(true) => EarlyStopping::First,
            Value::String(_) => EarlyStopping::Never,
            _ => EarlyStopping::Heuristic,
        },
        repetition_penalty: number("repetition_penalty").unwrap_or(1.0),
        sampling: None,
    }
}

/// Sequences as generation takes them: of T5 with the token that the decoder begins with.
fn prompts(model: &Model, rows: &[Vec<u32>]) -> Sequences {
    let mut sequences = Sequences::new(OutputsAt::Last);
    let start = model
        .network
        .config()
        .encoder_decoder
        .as_ref()
        .map(|d| d.start);
    for row in rows {
        let row: Vec<u32> = row.iter().copied().chain(start).collect();
        sequences.push(&row, &vec![0; row.len()]);
    }
    sequences
}

fn run(
    model: &Model,
    rows: &[Vec<u32>],
    ends: &[u32],
    options: &GenerationOptions,
) -> Vec<Vec<u32>> {
    let (network, prompts) = (&model.network, prompts(model, rows));
    let workspace = Workspace::default();
    let go_on = &mut |_| Control::Continue;
    generate(
        network,
        &model.params,
        &prompts,
        ends,
        options,
        &workspace,
        go_on,
    )
    .unwrap()
}

#[test]
fn every_model_writes_what_transformers_writes_by_every_method() {
    let golden = json(&golden("generation.json"));
    for case in golden["cases"].as_array().unwrap() {
        let model = load(case["folder"].as_str().unwrap());
        let rows = |name: &str| -> Vec<Vec<u32>> {
            case[name].as_array().unwrap().iter().map(ids).collect()
        };
        let got = run(
            &model,
            &rows("prompts"),
            &ids(&case["ends"]),
            &options(&case["options"]),
        );
        assert_eq!(got, rows("texts"), "{} {}", case["folder"], case["options"]);
    }
}

/// Prompts of many lengths, more than fit into one group.
fn many(n: usize, longest: usize) -> Vec<Vec<u32>> {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    (0..n)
        .map(|_| {
            let length = rng.random_range(1..=longest);
            (0..length).map(|_| rng.random_range(3..60)).collect()
        })
        .collect()
}

#[test]
fn a_text_does_not_depend_on_its_neighbours() {
    for (folder, beams) in [("tiny_llama", 1), ("tiny_llama", 3), ("tiny_t5", 2)] {
        let model = load(folder);
        let options = GenerationOptions {
            max_new_tokens: 6,
            beams,
            ..Default::default()
        };
        let rows = many(150, 9);
        let together = run(&model, &rows, &[7, 11], &options);
        for i in [0, 33, 149] {
            let alone = run(&model, &rows[i..=i], &[7, 11], &options);
            assert_eq!(alone[0], together[i], "{folder} {beams} {i}");
        }
    }
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let model = load("tiny_qwen3");
    let sampling = Sampling {
        temperature: 1.3,
        top_k: Some(20),
        top_p: 0.9,
        seed: 3,
    };
    for (beams, sampling) in [(1, Some(sampling)), (4, None)] {
        let options = GenerationOptions {
            max_new_tokens: 7,
            beams,
            sampling,
            ..Default::default()
        };
        let with = |threads: usize| {
            let pool = rayon_pool(threads);
            pool.install(|| run(&model, &many(40, 8), &[9], &options))
        };
        assert_eq!(with(1), with(3));
    }
}

fn rayon_pool(threads: usize) -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .unwrap()
}

#[test]
fn draws_come_from_the_seed_and_the_number_of_the_example() {
    let model = load("tiny_gpt2");
    let rows = vec![vec![5, 9, 20]; 12];
    let with = |seed: u64| {
        let sampling = Sampling {
            temperature: 2.0,
            top_k: None,
            top_p: 1.0,
            seed,
        };
        let options = GenerationOptions {
            max_new_tokens: 8,
            sampling: Some(sampling),
            ..Default::default()
        };
        run(&model, &rows, &[], &options)
    };
    let first = with(1);
    assert_eq!(first, with(1));
    assert_ne!(first, with(2));
    assert!(
        first.iter().any(|text| *text != first[0]),
        "examples draw for themselves"
    );
    assert!(first.iter().all(|text| text.len() == 8));
}

#[test]
fn adapters_take_part() {
    let mut model = load("tiny_llama");
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    model.adapt(&LoraOptions::default(), &mut rng).unwrap();
    let range = model.network.adapters().unwrap().range();
    for v in &mut model.params[range] {
        *v = rng.random_range(-0.5..0.5);
    }
    let options = GenerationOptions {
        max_new_tokens: 8,
        ..Default::default()
    };
    let rows = many(10, 6);
    let adapted = run(&model, &rows, &[], &options);
    let params = model.merged_params();
    let merged = Model {
        network: model.network.without_adapters().unwrap(),
        params,
    };
    assert_eq!(adapted, run(&merged, &rows, &[], &options));
    assert_ne!(adapted, run(&load("tiny_llama"), &rows, &[], &options));
}

#[test]
fn a_text_ends_where_the_model_can_read_no_further() {
    // 16 positions.
    let model = load("tiny_gpt2");
    let options = GenerationOptions {
        max_new_tokens: 50,
        beams: 2,
        ..Default::default()
    };
    let texts = run(&model, &[vec![4; 10], vec![5; 15]], &[], &options);
    assert_eq!(texts.iter().map(Vec::len).collect::<Vec<_>>(), [6, 1]);
}

#[test]
fn nothing_to_write_and_what_cannot_be_written_are_said() {
    let model = load("tiny_gpt2");
    assert_eq!(
        run(&model, &[], &[], &GenerationOptions::default()),
        Vec::<Vec<u32>>::new()
    );
    let attempt = |model: &Model, options: &GenerationOptions, control: Control| {
        let prompts = prompts(model, &many(100, 5));
        let workspace = Workspace::default();
        let observe = &mut |_| control;
        generate(
            &model.network,
            &model.params,
            &prompts,
            &[],
            options,
            &workspace,
            observe,
        )
    };
    let two = GenerationOptions {
        max_new_tokens: 2,
        ..Default::default()
    };
    let stopped = attempt(&model, &two, Control::Stop);
    assert!(matches!(stopped, Err(TuneError::Interrupted)));
    let sampling = Sampling {
        temperature: 0.0,
        top_k: None,
        top_p: 1.0,
        seed: 0,
    };
    for options in [
        GenerationOptions {
            max_new_tokens: 0,
            ..two.clone()
        },
        GenerationOptions {
            beams: 0,
            ..two.clone()
        },
        GenerationOptions {
            repetition_penalty: 0.0,
            ..two.clone()
        },
        GenerationOptions {
            length_penalty: f32::NAN,
            ..two.clone()
        },
        GenerationOptions {
            sampling: Some(sampling),
            ..two.clone()
        },
        GenerationOptions {
            sampling: Some(sampling),
            beams: 2,
            ..two.clone()
        },
    ] {
        let error = attempt(&model, &options, Control::Continue).unwrap_err();
        let is_bad = matches!(
            error,
            TuneError::Generation(GenerationError::BadOption { .. })
        );
        assert!(is_bad, "{error}");
    }
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let head = Head::Classifier { outputs: 3 };
    let (classifier, _) = Model::load(&golden("tiny_qwen2"), head, &mut rng).unwrap();
    let error = attempt(&classifier, &two, Control::Continue).unwrap_err();
    assert_eq!(
        error.to_string(),
        "a model of type qwen2 with this head writes no text"
    );
}
