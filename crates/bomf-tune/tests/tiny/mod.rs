//! Small models and splits for tests.
#![allow(dead_code, reason = "each test file uses its own part")]

pub mod copy;

use bomf_tune::batch::Sequences;
use bomf_tune::data::Labels;
use bomf_tune::models::{Config, Dropout, Head, Model, Network};
use bomf_tune::train::{EncodedSplit, FrozenStates};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use std::path::{Path, PathBuf};

/// Entries of every tiny model's vocabulary.
pub const VOCAB: u32 = 67;

pub fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

pub fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name)
}

/// A model of the golden folders, with one dropout rate everywhere.
pub fn load(name: &str, head: Head, dropout: f32) -> Model {
    let (mut model, _) = Model::load(&golden(name), head, &mut rng(0)).unwrap();
    model.network.set_dropout(Dropout::uniform(dropout));
    model
}

/// A BERT of `layers` blocks, wide enough for its products to run on several
/// threads, with new weights.
pub fn wide(layers: usize, outputs: usize, dropout: f32, seed: u64) -> Model {
    let raw = json!({
        "model_type": "bert", "vocab_size": VOCAB, "hidden_size": 64,
        "num_hidden_layers": layers, "num_attention_heads": 4, "intermediate_size": 192,
        "max_position_embeddings": 48, "initializer_range": 0.12,
    });
    let raw = raw.as_object().unwrap().clone();
    let config = Config::from_raw(raw, Path::new("config.json")).unwrap();
    let mut network = Network::new(config, Head::Classifier { outputs }).unwrap();
    network.set_dropout(Dropout::uniform(dropout));
    Model::initialise(network, &mut rng(seed))
}

/// Random sequences of these lengths, `segments` of them (1 or 2).
pub fn sequences(lengths: &[usize], segments: u32, rng: &mut ChaCha8Rng) -> Sequences {
    let mut sequences = Sequences::default();
    for &len in lengths {
        let ids: Vec<u32> = (0..len).map(|_| rng.random_range(5..VOCAB)).collect();
        let types: Vec<u32> = (0..len).map(|_| rng.random_range(0..segments)).collect();
        sequences.push(&ids, &types);
    }
    sequences
}

/// A split of `n` random sequences of 3 to `longest` tokens, with classes or values.
pub fn split(n: usize, longest: usize, classes: Option<u32>, seed: u64) -> EncodedSplit {
    let mut rng = rng(seed);
    let lengths: Vec<usize> = (0..n).map(|_| rng.random_range(3..=longest)).collect();
    let sequences = sequences(&lengths, 2, &mut rng);
    let labels = match classes {
        Some(classes) => Labels::Class((0..n).map(|_| rng.random_range(0..classes)).collect()),
        None => Labels::Value((0..n).map(|_| rng.random_range(-1.0..1.0)).collect()),
    };
    EncodedSplit::new(sequences, labels)
}

/// Nothing frozen, or the lower blocks, their outputs kept or computed each time.
pub fn frozen(model: &Model, split: &EncodedSplit, layers: usize, keep: bool) -> FrozenStates {
    let bytes = if keep { usize::MAX } else { 0 };
    let (network, sequences) = (&model.network, &split.sequences);
    FrozenStates::new(network, &model.params, sequences, layers, bytes, &|| false).unwrap()
}

/// Runs `f` in a rayon pool of so many threads.
pub fn with_threads<T: Send>(threads: usize, f: impl FnOnce() -> T + Send) -> T {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
    pool.build().unwrap().install(f)
}

/// A key's bias shifts a whole row of scores, which softmax does not see: its
/// gradient is nothing but rounding, and Adam makes steps of any rounding.
pub fn is_key_bias(name: &str) -> bool {
    name.ends_with("key.bias") || name.ends_with("k_lin.bias")
}
