//! Reading data sets: one clear error for each fault, with file and line.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::fs;

use bomf_tune::data::{DataError, DataOptions, Task, read_dataset};
use common::{folder, lines, message, read, read_with, without_folder};

#[test]
fn faults_are_said_with_file_and_line() {
    for (name, content, expected) in [
        ("train.jsonl", "", "`train.jsonl` has no examples"),
        ("train.csv", "text,label\n", "`train.csv` has no examples"),
        ("train.tsv", "\n\n", "`train.tsv` has no examples"),
        (
            "train.jsonl",
            "{\"text\": \"a\", \"label\": 0}\n\n{\"text\": \"b\", \"label\": }\n",
            "train.jsonl:3: expected value (column 24)",
        ),
        (
            "train.jsonl",
            "\n[1, 2]\n",
            "train.jsonl:2: not a JSON object",
        ),
        (
            "train.jsonl",
            "{\"text\": \"a\", \"label\": 0}\n{\"text\": \"b\"}\n",
            "train.jsonl:2: no value in column `label`",
        ),
        (
            "train.jsonl",
            "{\"text\": \"a\", \"label\": 0}\n{\"text\": null, \"label\": 1}\n",
            "train.jsonl:2: no value in column `text`",
        ),
        (
            "train.jsonl",
            "{\"text\": [\"a\"], \"label\": 0}\n",
            "train.jsonl:1: column `text` should be a string, but is an array",
        ),
        (
            "train.jsonl",
            "{\"text\": 5, \"label\": 0}\n",
            "train.jsonl:1: column `text` should be a string, but is a number",
        ),
        (
            "train.jsonl",
            "{\"text\": \"a\", \"label\": {\"x\": 1}}\n",
            "train.jsonl:1: column `label` should be a label, but is an object",
        ),
        (
            "train.jsonl",
            "{\"sentence\": \"a\", \"verdict\": 0}\n",
            "`train.jsonl`: which column is the label? Found `sentence`, `verdict`",
        ),
        (
            "train.csv",
            "a,b,label\n1,2,3\n",
            "`train.csv`: which column is the text? Found `a`, `b`, `label`",
        ),
        (
            "train.csv",
            "text,label\na,0\n\nb\n",
            "train.csv:4: 1 fields, but the header has 2",
        ),
        (
            "train.csv",
            "text,label\n\"a\nb\",0\nc,1,2\n",
            "train.csv:4: 3 fields, but the header has 2",
        ),
        (
            "train.tsv",
            "text\tlabel\na\t0\n\nb\n",
            "train.tsv:4: 1 fields, but the header has 2",
        ),
        (
            "train.csv",
            "text,label\na,0\n\nb,\"1\nc,0\nd,1\n",
            "train.csv:4: a quote is opened here and never closed",
        ),
        (
            "train.csv",
            "text,label,text\na,0,b\n",
            "train.csv:1: two columns are called `text`",
        ),
        (
            "train.csv",
            "text,label\na,0\nb,\n",
            "train.csv:3: no value in column `label`",
        ),
        (
            "train.jsonl",
            "{\"text\": \"a\", \"label\": 1}\n{\"text\": \"b\", \"label\": 1}\n",
            "every example of `train.jsonl` has the label `1`",
        ),
    ] {
        assert_eq!(message(name, content), expected);
    }
}

#[test]
fn labels_that_are_all_different_are_no_classes() {
    let line = |i| format!("{{\"text\": \"t\", \"label\": \"summary {i}\"}}\n");
    let content: String = (0..50).map(line).collect();
    assert_eq!(
        message("train.jsonl", &content),
        "column `label` of `train.jsonl` has 50 different labels in 50 examples: these are no classes"
    );
}

#[test]
fn an_unknown_label_is_said_with_file_and_line_and_the_known_ones() {
    let dir = folder(&[
        ("train.jsonl", &lines(4, 2)),
        (
            "dev.jsonl",
            "{\"text\": \"a\", \"label\": 0}\n\n{\"text\": \"b\", \"label\": -1}\n",
        ),
        ("test.jsonl", &lines(4, 2)),
    ]);
    let error = read_dataset(dir.path(), &DataOptions::default()).unwrap_err();
    assert_eq!(
        without_folder(&error, dir.path()),
        "dev.jsonl:3: unknown label `-1`; known are `0`, `1`"
    );
    assert!(
        error
            .hint()
            .unwrap()
            .contains("-1 marks splits without labels")
    );
}

#[test]
fn every_split_needs_the_columns_of_the_first() {
    let content = lines(4, 2);
    let dir = folder(&[
        ("train.jsonl", &content),
        ("dev.csv", "sentence,label\na,0\n"),
        ("test.jsonl", &content),
    ]);
    let error = read_dataset(dir.path(), &DataOptions::default()).unwrap_err();
    assert_eq!(
        without_folder(&error, dir.path()),
        "`dev.csv` has no column `text`, only `sentence`, `label`"
    );
}

#[test]
fn a_column_that_is_told_must_exist() {
    let options = DataOptions {
        text: Some("txt".into()),
        ..DataOptions::default()
    };
    let error = read_with(&[("train.csv", "text;label\na;0\n")], &options).unwrap_err();
    assert!(matches!(&error, DataError::MissingColumn { column, .. } if column == "txt"));
    assert!(error.hint().unwrap().contains("comma"));
}

#[test]
fn regression_labels_must_be_finite_numbers() {
    let options = DataOptions {
        task: Some(Task::Regression),
        ..DataOptions::default()
    };
    for (label, shown) in [
        ("\"good\"", "good"),
        ("\"nan\"", "nan"),
        ("\"inf\"", "inf"),
        ("1e300", "1e300"),
        ("true", "true"),
    ] {
        let content = format!(
            "{{\"text\": \"a\", \"label\": 0.5}}\n{{\"text\": \"b\", \"label\": {label}}}\n"
        );
        match read_with(&[("train.jsonl", &content)], &options) {
            Err(DataError::NotANumber { line: 2, value, .. }) => {
                assert!(value.starts_with(shown) || value.parse() == shown.parse::<f64>());
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn bad_encodings_are_said_with_their_line() {
    let dir = folder(&[]);
    let write = |bytes: &[u8]| fs::write(dir.path().join("train.csv"), bytes).unwrap();
    let error = || read_dataset(dir.path(), &DataOptions::default()).unwrap_err();
    write(b"text,label\na,0\ncaf\xE9,1\n");
    assert_eq!(
        without_folder(&error(), dir.path()),
        "train.csv:3: not valid UTF-8"
    );
    assert!(error().hint().unwrap().contains("LATIN1"));
    write(b"\xFF\xFEt\0e\0x\0t\0");
    assert!(error().hint().unwrap().contains("UTF-16"));
}

#[test]
fn folders_that_cannot_be_read_are_said() {
    let missing = read_dataset("no/such/folder", &DataOptions::default());
    assert!(matches!(missing, Err(DataError::NotAFolder { .. })));
    let error = read(&[("data.jsonl", "")]).unwrap_err();
    assert!(error.hint().unwrap().contains("found `data.jsonl`"));
    let error = read(&[("train.jsonl", ""), ("train.csv", "")]).unwrap_err();
    assert!(matches!(error, DataError::TwoFiles { split: "train", .. }));
    let error = read(&[("train.jsonl.gz", "")]).unwrap_err();
    assert!(matches!(error, DataError::UnsupportedFormat { .. }));
    // What is not read does not matter beside a file that is.
    assert!(read(&[("train.jsonl", &lines(40, 2)), ("train.jsonl.gz", "")]).is_ok());
}

#[test]
fn options_that_make_no_sense_are_refused() {
    for (validation_fraction, test_fraction) in [(0.0, 0.1), (0.5, 0.5), (f64::NAN, 0.1)] {
        let options = DataOptions {
            validation_fraction,
            test_fraction,
            ..DataOptions::default()
        };
        let result = read_with(&[("train.jsonl", &lines(40, 2))], &options);
        assert!(matches!(result, Err(DataError::BadFractions { .. })));
    }
    let options = DataOptions {
        label_names: Some(vec!["0".into(), "0".into()]),
        ..DataOptions::default()
    };
    let result = read_with(&[("train.jsonl", &lines(40, 2))], &options);
    assert!(matches!(result, Err(DataError::DuplicateLabelName { .. })));
}
