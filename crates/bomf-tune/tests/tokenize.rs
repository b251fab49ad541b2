//! Tokenizers: any length, any bytes.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod tiny;

use bomf_tune::TuneError;
use bomf_tune::batch::OutputsAt;
use bomf_tune::models::Config;
use bomf_tune::pretrain::train_tokenizer;
use bomf_tune::tokenize::TextTokenizer;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use tempfile::TempDir;
use tiny::golden;

/// A folder with a tokenizer of the test's own.
fn tokenizer_folder() -> TempDir {
    let lines = vec!["the old man and the sea".to_string(); 20];
    let dir = tempfile::tempdir().unwrap();
    let tokenizer = train_tokenizer(&lines, 60).unwrap();
    tokenizer
        .save(dir.path().join("tokenizer.json"), false)
        .unwrap();
    dir
}

#[test]
fn texts_and_pairs_are_cut_to_any_length() {
    let dir = tokenizer_folder();
    let config = Config::read(&golden("tiny_bert")).unwrap();
    let texts = [
        ("the old man and the sea", None),
        ("", None),
        ("the old man", Some("the sea and the old man and the sea")),
        ("", Some("")),
    ];
    for max_length in 0..=40 {
        let tokenizer = match TextTokenizer::load(dir.path(), &config, max_length) {
            Ok(tokenizer) => tokenizer,
            // [CLS] and two [SEP] find no room.
            Err(error) => {
                assert!(max_length < 3, "{error}");
                assert!(error.to_string().contains("3 special tokens"), "{error}");
                continue;
            }
        };
        let sequences = tokenizer.encode(texts.into_iter()).unwrap();
        // No model's positions are left behind.
        let longest = max_length.min(config.max_length());
        for i in 0..sequences.len() {
            let ids = sequences.ids(i);
            assert!((1..=longest).contains(&ids.len()), "{max_length}: {ids:?}");
            assert!(sequences.type_ids(i).iter().all(|&t| t < 2));
        }
    }
    let tokenizer = TextTokenizer::load(dir.path(), &config, 20).unwrap();
    assert_eq!(
        tokenizer.encode(texts.into_iter().take(0)).unwrap().len(),
        0
    );
}

/// A decoder's configuration with this token at the end of texts.
fn decoder(end: Value) -> Config {
    let raw = json!({
        "model_type": "llama", "vocab_size": 100, "hidden_size": 8, "intermediate_size": 8,
        "num_hidden_layers": 1, "num_attention_heads": 2, "max_position_embeddings": 64,
        "eos_token_id": end,
    });
    let raw = raw.as_object().unwrap().clone();
    Config::from_raw(raw, Path::new("config.json")).unwrap()
}

/// [CLS] and [SEP] of the test's tokenizer, which stand around the first text.
const FIRST: u32 = 2;
const LAST: u32 = 3;

#[test]
fn a_completion_is_to_be_predicted_with_its_end_and_a_prompt_is_not() {
    let dir = tokenizer_folder();
    let tokenizer = TextTokenizer::load(dir.path(), &decoder(json!([9, 10])), 40).unwrap();
    let texts = [
        ("the old man", Some("the sea")),
        ("the sea", None),
        ("the", Some("")),
    ];
    let sequences = tokenizer.encode_completions(texts.into_iter()).unwrap();
    assert_eq!(sequences.outputs_at(), OutputsAt::Targets);
    let word = |i: usize, place: usize| sequences.ids(i)[place];
    let (the, sea) = (word(0, 1), word(1, 2));
    assert_eq!(sequences.targets(0), [the, sea, 9]);
    assert_eq!(sequences.ids(0)[..2], [FIRST, the]);
    // A text by itself is to be predicted behind its first token.
    assert_eq!(sequences.ids(1), [FIRST, the, sea, LAST, 9]);
    assert_eq!(sequences.targets(1), [the, sea, LAST, 9]);
    // An empty completion ends the text.
    assert_eq!(sequences.targets(2), [9]);
}

#[test]
fn what_is_too_long_loses_its_prompt_first() {
    let dir = tokenizer_folder();
    let texts = [("the old man and the sea", Some("the old man"))];
    let config = decoder(json!(9));
    let whole = TextTokenizer::load(dir.path(), &config, 40).unwrap();
    let whole = whole.encode_completions(texts.into_iter()).unwrap();
    let (ids, targets) = (whole.ids(0), whole.targets(0));
    for max_length in 3..ids.len() {
        let tokenizer = TextTokenizer::load(dir.path(), &config, max_length).unwrap();
        let cut = tokenizer.encode_completions(texts.into_iter()).unwrap();
        assert_eq!(cut.ids(0).len(), max_length);
        let kept = targets.len().min(max_length - 1);
        assert_eq!(cut.targets(0), &targets[..kept]);
        let prompt = ids.len() - targets.len();
        let head = &ids[prompt - (max_length - kept)..prompt];
        assert_eq!(&cut.ids(0)[..max_length - kept], head);
    }
}

#[test]
fn an_example_with_nothing_to_predict_is_refused() {
    let dir = tokenizer_folder();
    let tokenizer = TextTokenizer::load(dir.path(), &decoder(Value::Null), 40).unwrap();
    let texts = [("the", Some(""))];
    let error = tokenizer.encode_completions(texts.into_iter()).unwrap_err();
    assert!(
        error.to_string().contains("no token to be predicted"),
        "{error}"
    );
}

#[test]
fn a_tokenizer_of_a_larger_vocabulary_is_refused() {
    let dir = tokenizer_folder();
    let mut config = Config::read(&golden("tiny_bert")).unwrap();
    config.vocab_size = 6;
    let tokenizer = TextTokenizer::load(dir.path(), &config, 20).unwrap();
    let error = tokenizer
        .encode([("the sea", None)].into_iter())
        .unwrap_err();
    assert!(
        matches!(error, TuneError::Vocabulary { id, vocab_size: 6 } if id >= 6),
        "{error}"
    );
}

#[test]
fn a_segment_that_the_model_does_not_know_is_refused() {
    let dir = tokenizer_folder();
    let path = dir.path().join("tokenizer.json");
    let json = fs::read_to_string(&path).unwrap();
    let odd = json.replace("\"type_id\":1", "\"type_id\":2");
    assert_ne!(json, odd);
    fs::write(&path, odd).unwrap();
    let config = Config::read(&golden("tiny_bert")).unwrap();
    let tokenizer = TextTokenizer::load(dir.path(), &config, 20).unwrap();
    let pair = ("the sea", Some("the man"));
    let error = tokenizer.encode([pair].into_iter()).unwrap_err();
    assert!(error.to_string().contains("gives segment 2"), "{error}");
}

#[test]
fn a_missing_tokenizer_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config::read(&golden("tiny_bert")).unwrap();
    let error = TextTokenizer::load(dir.path(), &config, 20).unwrap_err();
    assert!(error.to_string().contains("tokenizer.json"), "{error}");
    assert!(matches!(error, TuneError::Read { .. }));
}

proptest! {
    #[test]
    fn bytes_that_are_no_tokenizer_are_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("tokenizer.json"), bytes).unwrap();
        let config = Config::read(&golden("tiny_bert")).unwrap();
        let error = TextTokenizer::load(dir.path(), &config, 20).unwrap_err();
        let kind = matches!(&error, TuneError::Tokenizer { .. });
        prop_assert!(kind, "{error}");
        prop_assert!(error.to_string().contains("tokenizer.json"));
    }
}
