//! Data sets in temporary folders.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::fs;
use std::path::Path;

use bomf_tune::data::{DataError, DataOptions, Dataset, read_dataset};
use tempfile::TempDir;

/// A folder with these files.
pub fn folder(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, content) in files {
        fs::write(dir.path().join(name), content).unwrap();
    }
    dir
}

pub fn read(files: &[(&str, &str)]) -> Result<Dataset, DataError> {
    read_with(files, &DataOptions::default())
}

pub fn read_with(files: &[(&str, &str)], options: &DataOptions) -> Result<Dataset, DataError> {
    read_dataset(folder(files).path(), options)
}

/// The message for a train file, without its folder.
pub fn message(name: &str, content: &str) -> String {
    let dir = folder(&[(name, content)]);
    let error = read_dataset(dir.path(), &DataOptions::default()).unwrap_err();
    without_folder(&error, dir.path())
}

pub fn without_folder(error: &DataError, dir: &Path) -> String {
    error
        .to_string()
        .replace(&format!("{}/", dir.display()), "")
}

/// The three splits with the same content.
pub fn thrice<'a>(extension: &'a str, content: &'a str) -> Vec<(String, &'a str)> {
    ["train", "validation", "test"]
        .map(|split| (format!("{split}.{extension}"), content))
        .to_vec()
}

pub fn read_thrice(extension: &str, content: &str) -> Result<Dataset, DataError> {
    let files = thrice(extension, content);
    let files: Vec<_> = files.iter().map(|(n, c)| (n.as_str(), *c)).collect();
    read(&files)
}

/// `n` lines whose class is the remainder by `classes`.
pub fn lines(n: usize, classes: usize) -> String {
    let line = |i| format!("{{\"text\": \"text {i}\", \"label\": {}}}\n", i % classes);
    (0..n).map(line).collect()
}
