//! Reading data sets: properties. Whatever the bytes are, there is a data set or an error, and
//! never a panic.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::collections::HashSet;
use std::fs;

use bomf_tune::data::{DataError, DataOptions, Task, read_dataset};
use common::{folder, read_thrice, read_with};
use proptest::prelude::*;

/// Reads the bytes in each format, as train split and as validation split.
fn read_bytes(bytes: &[u8]) {
    for extension in ["jsonl", "csv", "tsv"] {
        let dir = folder(&[("test.csv", "text,label\na,0\n")]);
        fs::write(dir.path().join(format!("train.{extension}")), bytes).unwrap();
        fs::write(dir.path().join(format!("dev.{extension}")), bytes).unwrap();
        for options in [
            DataOptions::default(),
            DataOptions {
                task: Some(Task::Regression),
                text: Some("text".into()),
                ..DataOptions::default()
            },
        ] {
            match read_dataset(dir.path(), &options) {
                Ok(data) => {
                    for split in data.splits() {
                        assert_eq!(split.texts.len(), split.labels.len());
                    }
                }
                Err(error) => {
                    assert!(!error.to_string().is_empty());
                    let _ = error.hint();
                }
            }
        }
    }
}

/// Bytes that come close to each format.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let parts: Vec<&[u8]> = vec![
        b"text,label\n",
        b"text\tlabel\n",
        b"{\"text\": \"a\", \"label\": 0}\n",
        b"{\"text\": \"b\", \"label\": 1.5}",
        b"{\"text\": \"\\ud800\", \"label\": null}",
        b"a,0\n",
        b"\"b\"\"\",1",
        b"c\t1\r\n",
        b"\"",
        b"{",
        b"[[[[",
        b"\n",
        b"\r",
        b"\xEF\xBB\xBF",
        b"\xFF",
        b"\0",
        b"1e999",
    ];
    proptest::collection::vec(prop::sample::select(parts), 0..20).prop_map(|p| p.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        read_bytes(&bytes);
    }

    #[test]
    fn random_pieces_of_the_formats_never_panic(bytes in pieces()) {
        read_bytes(&bytes);
    }

    #[test]
    fn any_text_survives_every_format(
        texts in proptest::collection::vec("\\PC{1,30}", 2..8),
        csv_quotes in any::<bool>(),
    ) {
        // Trimming is for labels and headers, never for texts.
        let ids = |i: usize| i % 2;
        let json: String = texts
            .iter()
            .enumerate()
            .map(|(i, t)| format!("{}\n", serde_json::json!({"text": t, "label": ids(i)})))
            .collect();
        let quoted = |t: &str| {
            if csv_quotes || t.contains(['"', ',']) {
                format!("\"{}\"", t.replace('"', "\"\""))
            } else {
                t.to_owned()
            }
        };
        let rows = texts.iter().enumerate().map(|(i, t)| format!("{},{}\n", quoted(t), ids(i)));
        let csv = format!("text,label\n{}", rows.collect::<String>());
        for (extension, content) in [("jsonl", json), ("csv", csv)] {
            let data = read_thrice(extension, &content).unwrap();
            let got: Vec<_> = data.train.texts.iter().map(|e| &e.text).collect();
            prop_assert_eq!(got, texts.iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn carving_keeps_every_example_once_and_every_class_in_train(
        sizes in proptest::collection::vec(1usize..40, 2..5),
        seed in any::<u64>(),
    ) {
        let mut content = String::new();
        for (class, &size) in sizes.iter().enumerate() {
            for i in 0..size {
                content += &format!("{{\"text\": \"t{class} {i}\", \"label\": {class}}}\n");
            }
        }
        let total: usize = sizes.iter().sum();
        let options = DataOptions { seed, ..DataOptions::default() };
        match read_with(&[("train.jsonl", &content)], &options) {
            Ok(data) => {
                let all: HashSet<_> = data.splits().iter().flat_map(|s| s.texts.clone()).collect();
                prop_assert_eq!(all.len(), total);
                prop_assert_eq!(data.splits().iter().map(|s| s.len()).sum::<usize>(), total);
                let in_train: HashSet<_> = data.train.labels.classes().unwrap().iter().collect();
                prop_assert_eq!(in_train.len(), sizes.len());
                let want = total as f64 * 0.15;
                // A class may have to keep its last example.
                prop_assert!((data.test.len() as f64 - want).abs() <= sizes.len() as f64);
            }
            Err(DataError::TooFewExamples { .. }) => prop_assert!(total < 40),
            Err(other) => prop_assert!(false, "{other}"),
        }
    }
}
