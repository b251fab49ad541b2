//! Finding the file of a split.

use std::path::{Path, PathBuf};

use super::error::{DataError, Result};
use super::table::Format;

/// What the file of a split may be called.
fn stems(split: &str) -> &'static [&'static str] {
    match split {
        "train" => &["train", "training"],
        "validation" => &["validation", "valid", "val", "dev"],
        _ => &["test"],
    }
}

/// The file of a split and its format; `None` if there is none.
pub(super) fn find_split(dir: &Path, split: &'static str) -> Result<Option<(PathBuf, Format)>> {
    let mut found: Option<(PathBuf, Format)> = None;
    let mut unsupported = None;
    for name in file_names(dir)? {
        let path = dir.join(&name);
        if !belongs(&name, split) || !path.is_file() {
            continue;
        }
        match (Format::of(&path), &found) {
            (Some(_), Some((first, _))) => {
                return Err(DataError::TwoFiles {
                    split,
                    first: first.clone(),
                    second: path,
                });
            }
            (Some(format), None) => found = Some((path, format)),
            (None, _) => unsupported = unsupported.or(Some(path)),
        }
    }
    match (found, unsupported) {
        (None, Some(file)) => Err(DataError::UnsupportedFormat {
            format: format_name(&file),
            file,
        }),
        (found, _) => Ok(found),
    }
}

/// The error for a split that has no file.
pub(super) fn missing(dir: &Path, split: &'static str) -> DataError {
    DataError::MissingSplit {
        dir: dir.to_path_buf(),
        split,
        found: file_names(dir).unwrap_or_default(),
    }
}

/// `train.jsonl` is the train split; so would `train-00000-of-00001.parquet` be.
fn belongs(file_name: &str, split: &str) -> bool {
    let Some((stem, extensions)) = file_name.split_once('.') else {
        return false;
    };
    let stem = stem.to_ascii_lowercase();
    let is_shard = |s: &str| stem.starts_with(&format!("{s}-")) && extensions == "parquet";
    stems(split).iter().any(|s| stem == *s || is_shard(s))
}

fn format_name(file: &Path) -> String {
    let extension = file
        .extension()
        .map(|e| e.to_string_lossy().to_ascii_lowercase());
    match extension.as_deref() {
        Some("parquet") => "Parquet".into(),
        Some(other) => format!("`.{other}`"),
        None => "such".into(),
    }
}

/// The names in a folder, sorted.
fn file_names(dir: &Path) -> Result<Vec<String>> {
    let failed = |error| DataError::Io {
        file: dir.to_path_buf(),
        error,
    };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        names.push(name.to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}
