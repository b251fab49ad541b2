//! T5 against transformers: see `golden/t5.py`, which made the values.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod reference;

use bomf_checkpoint::{Checkpoint, Dtype};
use bomf_tune::TuneError;
use bomf_tune::batch::{OutputsAt, Sequences};
use bomf_tune::kernels::relative::Buckets;
use bomf_tune::lora::LoraOptions;
use bomf_tune::models::{Config, Head, LabelNames, Model};
use bomf_tune::tape::{Gradients, Tape, Workspace};
use bomf_tune::train::FrozenStates;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use reference::*;
use serde_json::Value;

const MODELS: [&str; 2] = ["tiny_t5", "tiny_t5_gated"];
/// The token that the golden models' decoders begin with.
const START: u32 = 0;

fn rng() -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(0)
}

fn load(folder: &str) -> Model {
    let (model, report) = Model::load(&golden(folder), Head::CausalLm, &mut rng()).unwrap();
    assert_eq!((report.initialised, report.unused), (vec![], vec![]));
    model
}

/// Source, start and target of each golden pair, one behind the other.
fn sequences(file: &Checkpoint) -> Sequences {
    let [ids, mask, labels] = ["input_ids", "attention_mask", "labels"].map(|n| int64(file, n));
    let rows = file.tensor("input_ids").unwrap().shape()[0];
    let (width, wide) = (ids.len() / rows, labels.len() / rows);
    let mut sequences = Sequences::new(OutputsAt::Targets);
    for row in 0..rows {
        let source = (row * width..(row + 1) * width).filter(|&i| mask[i] == 1);
        let mut all: Vec<u32> = source.map(|i| ids[i] as u32).collect();
        let target = labels[row * wide..(row + 1) * wide].iter();
        let target: Vec<u32> = target.filter(|l| **l >= 0).map(|&l| l as u32).collect();
        all.push(START);
        all.extend(&target);
        sequences.push_completion(&all, target.len());
    }
    sequences
}

fn case(file: &Checkpoint) -> Case {
    let sequences = sequences(file);
    let all: Vec<usize> = (0..sequences.len()).collect();
    let targets = all.iter().flat_map(|&i| sequences.targets(i));
    let targets: Vec<u32> = targets.copied().collect();
    Case {
        batch: sequences.batch(&all),
        count: targets.len() as f64,
        target: Target::Classes(targets),
    }
}

/// The logits before each token of the targets.
fn logits_of_targets(file: &Checkpoint) -> Vec<f32> {
    let (logits, labels) = (file.tensor("logits").unwrap(), int64(file, "labels"));
    let entries = logits.shape()[2];
    let logits = logits.to_f32().unwrap();
    let rows = logits.chunks(entries).zip(&labels);
    let asked = rows.filter(|(_, label)| **label >= 0);
    asked.flat_map(|(row, _)| row).copied().collect()
}

#[test]
fn logits_losses_gradients_and_steps_agree_with_transformers() {
    for folder in MODELS {
        let mut model = load(folder);
        let file = Checkpoint::open(golden(folder).join("golden.safetensors")).unwrap();
        let case = case(&file);
        let mut gradients = Gradients::zeros(0, model.params.len());
        let (logits, loss) = forward_backward(&model, &case, &mut gradients);
        assert_close("logits", &logits, &logits_of_targets(&file), TOLERANCE);
        let want = f64::from(file.tensor("loss").unwrap().to_f32().unwrap()[0]);
        assert!((loss - want).abs() < TOLERANCE * want, "{loss}, not {want}");
        for (name, entry) in model.network.layout().entries() {
            let got = entry.param.of(&gradients.values).iter();
            let got: Vec<f32> = got.map(|g| g / case.count as f32).collect();
            let want = file.tensor(&format!("grad.{name}")).unwrap();
            assert_close(name, &got, &want.to_f32().unwrap(), TOLERANCE);
            assert!(got.iter().any(|&g| g != 0.0), "{name} gets no gradient");
        }
        let steps = json(&golden(folder).join("steps.json"));
        let (losses, norms) = ten_steps(&mut model, &case, steps["lr"].as_f64().unwrap(), 0);
        assert_close_series("losses", &losses, &floats(&steps["losses"]), STEP_TOLERANCE);
        assert_close_series(
            "norms",
            &norms,
            &floats(&steps["grad_norms"]),
            STEP_TOLERANCE,
        );
    }
}

#[test]
fn distances_fall_into_the_buckets_of_the_reference() {
    let want = json(&golden("t5_buckets.json"));
    for (name, bidirectional) in [("bidirectional", true), ("causal", false)] {
        let buckets = Buckets {
            count: 32,
            max_distance: 128,
            bidirectional,
        };
        let got: Vec<f64> = (-200..=200).map(|d| buckets.of(d) as f64).collect();
        assert_eq!(got, floats(&want[name]), "{name}");
    }
}

#[test]
fn states_below_a_cut_in_either_half_stand_for_the_whole() {
    for folder in MODELS {
        let model = load(folder);
        let file = Checkpoint::open(golden(folder).join("golden.safetensors")).unwrap();
        let sequences = sequences(&file);
        let batch = sequences.batch(&(0..sequences.len()).collect::<Vec<_>>());
        let workspace = Workspace::default();
        let mut tape = Tape::inference(&model.params, &workspace);
        let whole = model.network.forward(&mut tape, &batch).to_vec();
        for cut in 1..model.network.num_layers() {
            let mut tape = Tape::inference(&model.params, &workspace);
            let below = model.network.lower(&mut tape, &batch, cut);
            let states = tape.constant(&below, 24);
            let above = model.network.upper(&mut tape, states, &batch, cut);
            assert_eq!(*above, *whole, "{folder} cut at {cut}");
        }
        let states = FrozenStates::new(
            &model.network,
            &model.params,
            &sequences,
            1,
            1 << 20,
            &|| false,
        );
        assert_eq!(states.unwrap().layers(), 1);
    }
}

#[test]
fn what_is_written_loads_again_and_is_the_same() {
    for folder in MODELS {
        let model = load(folder);
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("model");
        let labels = Some(&LabelNames::Vocabulary);
        let network = &model.network;
        network
            .write_folder(&model.params, labels, Dtype::F32, None, &out, false)
            .unwrap();
        let (again, report) = Model::load(&out, Head::CausalLm, &mut rng()).unwrap();
        assert_eq!(again.params, model.params);
        assert_eq!(report.unused, [""; 0]);
        let ours = json(&out.join("config.json"));
        assert_eq!(ours["architectures"][0], "T5ForConditionalGeneration");
        let theirs = json(&golden(folder).join("config.json"));
        assert_eq!(ours["tie_word_embeddings"], theirs["tie_word_embeddings"]);
    }
}

#[test]
fn adapters_go_on_queries_and_values_of_both_halves() {
    let mut model = load("tiny_t5");
    model.adapt(&LoraOptions::default(), &mut rng()).unwrap();
    let adapters = model.network.adapters().unwrap();
    // Queries and values: one attention a block of the encoder, two of the decoder.
    assert_eq!(adapters.iter().len(), 2 * (2 + 2 * 2));
}

#[test]
fn a_classifier_on_t5_and_odd_options_are_refused() {
    let error = Model::load(
        &golden("tiny_t5"),
        Head::Classifier { outputs: 2 },
        &mut rng(),
    );
    assert!(error.unwrap_err().to_string().contains("seq2seq"));
    let with = |name: &str, value: Value| {
        let mut raw = json(&golden("tiny_t5").join("config.json"));
        raw[name] = value;
        let raw = raw.as_object().unwrap().clone();
        Config::from_raw(raw, std::path::Path::new("config.json"))
    };
    for (name, value) in [
        ("feed_forward_proj", Value::from("gated-swishy")),
        ("relative_attention_num_buckets", Value::from(6)),
        ("relative_attention_max_distance", Value::from(4)),
        ("decoder_start_token_id", Value::from(61)),
        ("num_decoder_layers", Value::from(0)),
    ] {
        let error = with(name, value).unwrap_err();
        assert!(matches!(error, TuneError::Config { .. }), "{name}: {error}");
    }
    let scaled = with("scale_decoder_outputs", Value::Bool(false)).unwrap();
    let parts = scaled.encoder_decoder.unwrap();
    assert!(
        !parts.scaled && !parts.tied,
        "as transformers 5 writes v1.1"
    );
}
