//! Parquet files of pyarrow (`parquet/make.py`): values, labels, shards, and one clear error for
//! each fault.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use bomf_tune::data::{DataError, DataOptions, Dataset, Labels, Task, read_dataset};
use common::{folder, without_folder};
use tempfile::TempDir;

/// Rows of every file.
const ROWS: usize = 24;

fn bytes(name: &str) -> Vec<u8> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parquet");
    fs::read(dir.join(format!("{name}.parquet"))).unwrap()
}

/// A folder with these files of `parquet/` under other names.
fn copies(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (to, from) in files {
        let path = dir.path().join(to);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes(from)).unwrap();
    }
    dir
}

fn read(name: &str) -> Result<Dataset, DataError> {
    let dir = copies(&[("train.parquet", name)]);
    read_dataset(dir.path(), &DataOptions::default())
}

fn message(files: &[(&str, &str)]) -> String {
    let dir = copies(files);
    let error = read_dataset(dir.path(), &DataOptions::default()).unwrap_err();
    without_folder(&error, dir.path())
}

#[test]
fn every_encoding_gives_what_json_lines_give() {
    let line = |i: usize| {
        let text = format!("text {i}: größer, \\\"{}\\\"", i % 5);
        format!("{{\"text\": \"{text}\", \"label\": {}}}\n", i % 2)
    };
    let lines: String = (0..ROWS).map(line).collect();
    let json = folder(&[("train.jsonl", &lines)]);
    let json = read_dataset(json.path(), &DataOptions::default()).unwrap();
    for name in [
        "codec-none",
        "codec-snappy",
        "codec-gzip",
        "codec-lz4",
        "pages-v2",
        "groups",
        "large",
        "nested-beside",
        "class-label-broken",
    ] {
        let parquet = read(name).unwrap();
        assert_eq!(parquet.label_names, json.label_names, "{name}");
        for (a, b) in parquet.splits().into_iter().zip(json.splits()) {
            assert_eq!((&a.texts, &a.labels), (&b.texts, &b.labels), "{name}");
        }
    }
}

#[test]
fn labels_are_strings_numbers_or_booleans() {
    for (name, task, label_names) in [
        ("bool", Task::Classification, &["false", "true"][..]),
        ("bool-v2", Task::Classification, &["false", "true"]),
        ("uint8", Task::Classification, &["200", "201"]),
        ("string", Task::Classification, &["no", "yes"]),
        ("float", Task::Classification, &["0", "1", "2"]),
        ("double", Task::Regression, &[]),
    ] {
        let dataset = read(name).unwrap();
        assert_eq!(dataset.task, task, "{name}");
        assert_eq!(dataset.label_names, label_names, "{name}");
    }
    let dataset = read("double").unwrap();
    let all = dataset.splits().map(|split| split.labels.values().unwrap());
    let mut all = all.concat();
    all.sort_by(f32::total_cmp);
    let expected: Vec<f32> = (0..ROWS).map(|i| i as f32 / 4.0).collect();
    assert_eq!(all, expected);
}

#[test]
fn classes_have_the_names_and_the_order_that_the_file_declares() {
    let dataset = read("class-label").unwrap();
    assert_eq!(
        dataset.label_names,
        ["not_equivalent", "equivalent", "unsure"]
    );
    let number = |text: &str| text[5..text.find(':').unwrap()].parse::<u32>().unwrap();
    for split in dataset.splits() {
        let expected = split.texts.iter().map(|e| number(&e.text) % 2).collect();
        assert_eq!(split.labels, Labels::Class(expected));
    }
    let noted = |words: &str| dataset.notes.iter().any(|note| note.contains(words));
    assert!(noted("`unsure`, as the file says"), "{:?}", dataset.notes);
    assert!(noted(
        "labels without an example in the train split: `unsure`"
    ));

    // What is told goes before what the file declares.
    let names = ["equivalent", "not_equivalent"].map(String::from).to_vec();
    let options = DataOptions {
        label_names: Some(names.clone()),
        ..DataOptions::default()
    };
    let dir = copies(&[("train.parquet", "class-label")]);
    let dataset = read_dataset(dir.path(), &options).unwrap();
    assert_eq!(dataset.label_names, names);
}

#[test]
fn faults_are_said_with_file_and_row() {
    for (name, expected) in [
        ("null-text", "train.parquet:5: no value in column `text`"),
        ("nan-label", "train.parquet:5: no value in column `label`"),
        (
            "nested-text",
            "train.parquet:1: column `text` should be a string, but is nested",
        ),
        (
            "nested-label",
            "train.parquet:1: column `label` should be a label, but is nested",
        ),
        (
            "time-label",
            "train.parquet:1: column `label` should be a label, but is a time",
        ),
        (
            "bytes-text",
            "train.parquet:1: column `text` should be a string, but is bytes",
        ),
        ("empty", "`train.parquet` has no examples"),
        (
            "codec-zstd",
            "`train.parquet`: Parquet with zstd compression is not supported",
        ),
        (
            "codec-brotli",
            "`train.parquet`: Parquet with brotli compression is not supported",
        ),
        (
            "delta",
            "`train.parquet`: Parquet with DELTA_BYTE_ARRAY encoding is not supported",
        ),
        (
            "class-label-hidden",
            "train.parquet:1: unknown label `-1`; known are `not_equivalent`, `equivalent`, \
             `unsure`",
        ),
    ] {
        assert_eq!(message(&[("train.parquet", name)]), expected);
    }
}

#[test]
fn shards_are_read_in_order_from_the_folder_or_below_it() {
    let one = read("codec-snappy").unwrap();
    for below in ["", "data/"] {
        let files = [
            format!("{below}train-00000-of-00003.parquet"),
            format!("{below}train-00001-of-00003-b42a775f.parquet"),
            format!("{below}train-00002-of-00003.parquet"),
            format!("{below}validation-00000-of-00001.parquet"),
            format!("{below}test.parquet"),
        ];
        let sources = ["codec-snappy", "empty", "groups", "groups", "pages-v2"];
        let files: Vec<_> = files.iter().map(String::as_str).zip(sources).collect();
        let dir = copies(&files);
        let dataset = read_dataset(dir.path(), &DataOptions::default()).unwrap();
        let lengths = dataset.splits().map(|split| split.len());
        assert_eq!(lengths, [2 * ROWS, ROWS, ROWS]);
        let texts = &dataset.train.texts;
        assert_eq!(texts[..ROWS], texts[ROWS..]);
        assert_eq!(texts[..ROWS], dataset.test.texts);
        assert_eq!(dataset.dir, dir.path());
        assert_eq!(dataset.label_names, one.label_names);
    }
}

#[test]
fn a_fault_in_a_later_shard_is_said_with_its_file() {
    let (first, second) = (
        "train-00000-of-00002.parquet",
        "train-00001-of-00002.parquet",
    );
    let with = |name| message(&[(first, "codec-snappy"), (second, name)]);
    assert_eq!(
        with("null-text"),
        format!("{second}:5: no value in column `text`")
    );
    let dir = copies(&[(first, "codec-snappy"), (second, "string")]);
    let options = DataOptions {
        label_names: Some(vec!["0".into(), "1".into()]),
        ..DataOptions::default()
    };
    let error = read_dataset(dir.path(), &options).unwrap_err();
    let expected = format!("{second}:1: unknown label `yes`; known are `0`, `1`");
    assert_eq!(without_folder(&error, dir.path()), expected);
    assert_eq!(
        message(&[("train-00000-of-00001.parquet", "empty")]),
        "`train-00000-of-00001.parquet` has no examples"
    );
}

#[test]
fn shards_that_do_not_make_one_set_are_refused() {
    let shard = |i: usize, of: usize| format!("train-{i:05}-of-{of:05}.parquet");
    let said = |names: &[String]| {
        let files: Vec<_> = names.iter().map(|n| (n.as_str(), "groups")).collect();
        message(&files)
    };
    for present in [[0, 1], [0, 2], [1, 2]] {
        let missing = 3 - present[0] - present[1];
        assert_eq!(
            said(&present.map(|i| shard(i, 3))),
            format!(
                "`{}` is missing, one of 3 files of the train split",
                shard(missing, 3)
            )
        );
    }
    // One of another set does not fill the gap.
    let two = format!(
        "both `{}` and `{}` could be the train split",
        shard(0, 3),
        shard(1, 4)
    );
    assert_eq!(said(&[shard(0, 3), shard(1, 4), shard(2, 3)]), two);
    for (first, second) in [
        (shard(0, 1), "train.parquet".to_string()),
        (shard(0, 1), shard(0, 2)),
        (shard(0, 1), "training-00000-of-00001.parquet".to_string()),
        ("train-00000-of-00001-aa.parquet".to_string(), shard(0, 1)),
    ] {
        let expected = format!("both `{first}` and `{second}` could be the train split");
        assert_eq!(said(&[second, first]), expected);
    }
}

/// The fault of one file, which must be said in one line.
fn fault(path: &Path, bytes: &[u8]) -> Option<String> {
    fs::write(path, bytes).unwrap();
    let read = read_dataset(path.parent().unwrap(), &DataOptions::default());
    let error = read.err()?;
    let text = error.to_string();
    assert!(
        text.lines().count() == 1 && text.contains("train.parquet"),
        "{text}"
    );
    Some(text)
}

#[test]
fn a_file_cut_off_anywhere_is_said_to_be_no_whole_one() {
    let dir = tempfile::tempdir().unwrap();
    let path: PathBuf = dir.path().join("train.parquet");
    for name in ["codec-snappy", "groups"] {
        let bytes = bytes(name);
        for length in 0..bytes.len() {
            let said = fault(&path, &bytes[..length]).unwrap();
            assert!(
                said.contains("not a whole Parquet file"),
                "{length}: {said}"
            );
        }
    }
}

#[test]
fn a_broken_byte_anywhere_never_panics() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("train.parquet");
    for name in [
        "codec-none",
        "codec-snappy",
        "codec-lz4",
        "pages-v2",
        "delta",
        "bool",
    ] {
        let bytes = bytes(name);
        let changes = [0x01, 0x80, 0xFF].into_iter().cycle();
        for (place, change) in (0..bytes.len()).zip(changes) {
            let mut broken = bytes.clone();
            broken[place] ^= change;
            fault(&path, &broken);
        }
    }
}
