//! Finding the files of a split.

use std::path::{Path, PathBuf};

use super::error::{DataError, Result};
use super::table::Format;

const SPLITS: [&str; 3] = ["train", "validation", "test"];

/// The subfolder in which Hugging Face keeps the files.
const DATA: &str = "data";

/// The files of a split, in order, and their format.
#[derive(Debug)]
pub(super) struct Source {
    pub files: Vec<PathBuf>,
    pub format: Format,
}

/// What the file of a split may be called.
fn stems(split: &str) -> &'static [&'static str] {
    match split {
        "train" => &["train", "training"],
        "validation" => &["validation", "valid", "val", "dev"],
        _ => &["test"],
    }
}

/// The folder that holds the splits: `dir`, or its subfolder `data` where only that has some.
pub(super) fn folder(dir: &Path) -> Result<PathBuf> {
    let has_splits = |dir: &Path| -> Result<bool> {
        let names = file_names(dir)?;
        let is_split = |name: &String| SPLITS.iter().any(|split| place(name, split).is_some());
        Ok(names.iter().any(is_split))
    };
    let below = dir.join(DATA);
    match !has_splits(dir)? && below.is_dir() && has_splits(&below)? {
        true => Ok(below),
        false => Ok(dir.to_path_buf()),
    }
}

/// The files of a split; `None` if there are none.
pub(super) fn find_split(dir: &Path, split: &'static str) -> Result<Option<Source>> {
    let mut found: Vec<(PathBuf, Option<Shard>)> = Vec::new();
    let mut first_format = None;
    let mut unsupported = None;
    for name in file_names(dir)? {
        let path = dir.join(&name);
        let Some(place) = place(&name, split).filter(|_| path.is_file()) else {
            continue;
        };
        match Format::of(&path) {
            Some(format) => {
                first_format.get_or_insert(format);
                found.push((path, place));
            }
            None => unsupported = unsupported.or(Some(path)),
        }
    }
    match (first_format, unsupported) {
        (Some(format), _) => Ok(Some(Source {
            files: in_order(dir, split, found)?,
            format,
        })),
        (None, Some(file)) => Err(DataError::UnsupportedFormat {
            format: format_name(&file),
            file,
        }),
        (None, None) => Ok(None),
    }
}

/// Checks that these files, sorted by name, are one file or all shards of one set.
fn in_order(
    dir: &Path,
    split: &'static str,
    found: Vec<(PathBuf, Option<Shard>)>,
) -> Result<Vec<PathBuf>> {
    let set = |shard: &Option<Shard>| shard.as_ref().map(|s| (s.stem.clone(), s.count));
    let first = found.first().and_then(|(_, shard)| set(shard));
    let other = match first {
        Some(_) => found.iter().find(|(_, place)| set(place) != first),
        None => found.get(1),
    };
    if let (Some((one, _)), Some((other, _))) = (found.first(), other) {
        return Err(DataError::TwoFiles {
            split,
            first: one.clone(),
            second: other.clone(),
        });
    }
    if let Some((stem, count)) = first {
        let is_there = |i: usize| {
            found
                .iter()
                .any(|(_, s)| s.as_ref().is_some_and(|s| s.index == i))
        };
        if let Some(missing) = (0..count).find(|&i| !is_there(i)) {
            return Err(DataError::MissingShard {
                split,
                file: dir.join(format!("{stem}-{missing:05}-of-{count:05}.parquet")),
                count,
            });
        }
        // One index twice, under two hashes.
        if let [.., (one, _), (other, _)] = &found[..]
            && found.len() > count
        {
            return Err(DataError::TwoFiles {
                split,
                first: one.clone(),
                second: other.clone(),
            });
        }
    }
    Ok(found.into_iter().map(|(file, _)| file).collect())
}

/// The error for a split that has no file.
pub(super) fn missing(dir: &Path, split: &'static str) -> DataError {
    DataError::MissingSplit {
        dir: dir.to_path_buf(),
        split,
        found: file_names(dir).unwrap_or_default(),
    }
}

/// `train-00002-of-00005.parquet`: the third of five.
struct Shard {
    stem: String,
    index: usize,
    count: usize,
}

/// Whether a file belongs to the split, and as which part: `train.jsonl` is the train split, and
/// `train-00000-of-00001.parquet` a shard of it, as is one with a hash after that.
fn place(file_name: &str, split: &str) -> Option<Option<Shard>> {
    // SQuAD's own files bear a version, as in `train-v2.0.json`.
    let squads = |version| file_name.strip_suffix(version);
    let (stem, extensions) = match ["-v1.1.json", "-v2.0.json"].into_iter().find_map(squads) {
        Some(stem) => (stem, "json"),
        None => file_name.split_once('.')?,
    };
    let is_named = |stem: &str| stems(split).contains(&stem.to_ascii_lowercase().as_str());
    if is_named(stem) {
        return Some(None);
    }
    let mut parts = stem.split('-');
    let (stem, index, of, count) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let number = |text: &str| {
        let is_number = text.len() == 5 && text.bytes().all(|b| b.is_ascii_digit());
        is_number.then(|| text.parse().ok()).flatten()
    };
    (extensions == "parquet" && of == "of" && is_named(stem)).then_some(Some(Shard {
        stem: stem.to_owned(),
        index: number(index)?,
        count: number(count)?,
    }))
}

fn format_name(file: &Path) -> String {
    let extension = file
        .extension()
        .map(|e| e.to_string_lossy().to_ascii_lowercase());
    match extension.as_deref() {
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
