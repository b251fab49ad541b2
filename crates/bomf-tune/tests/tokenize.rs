//! Tokenizers: any length, any bytes.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod tiny;

use bomf_tune::TuneError;
use bomf_tune::models::Config;
use bomf_tune::pretrain::train_tokenizer;
use bomf_tune::tokenize::TextTokenizer;
use proptest::prelude::*;
use std::fs;
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
