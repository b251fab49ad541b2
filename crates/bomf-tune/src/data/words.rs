//! Token classification: words and their tags.

use std::path::Path;
use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::Value;

use super::answers::kind_of;
use super::error::{DataError, Result};
use super::labels::RawLabel;
use super::raw::Place;
use super::table::Cell;

/// The tags of a split's words.
#[derive(Debug, Clone, PartialEq)]
pub struct Tags {
    /// Numbers of the tags, example after example.
    pub ids: Vec<u32>,
    /// How many words each example has; of a tokenised split those that were kept.
    pub counts: Vec<u32>,
    /// The names of the tags in the order of their numbers.
    pub names: Arc<[String]>,
}

impl Tags {
    /// The tags of each example.
    pub fn examples(&self) -> impl Iterator<Item = &[u32]> {
        let mut rest = &self.ids[..];
        self.counts.iter().map(move |&count| {
            let (own, others) = rest.split_at(count as usize);
            rest = others;
            own
        })
    }

    pub(super) fn select(&self, places: &[usize]) -> Self {
        let examples: Vec<&[u32]> = self.examples().collect();
        Tags {
            ids: places.iter().flat_map(|&i| examples[i]).copied().collect(),
            counts: places.iter().map(|&i| self.counts[i]).collect(),
            names: self.names.clone(),
        }
    }
}

/// The number of a tag: that of its name, or where it is none a number itself.
pub fn label_of_name(name: &str, names: &IndexMap<String, u32>) -> Option<u32> {
    let by_number = || {
        let number: u32 = name.parse().ok()?;
        ((number as usize) < names.len()).then_some(number)
    };
    names.get(name).copied().or_else(by_number)
}

pub(super) fn tag(label: &RawLabel, file: &Path, names: &IndexMap<String, u32>) -> Result<u32> {
    match label_of_name(&label.text, names) {
        Some(number) => Ok(number),
        None => label.class(file, names),
    }
}

/// The words of a row: a list of strings.
pub(super) fn words_of(at: Place<'_>, cell: Cell) -> Result<Vec<String>> {
    const WANTED: &str = "a list of words";
    let items = match cell {
        Cell::Json(Value::Array(items)) => items,
        Cell::Missing => return Err(at.missing()),
        other => return Err(at.unlike(WANTED, other.kind())),
    };
    let word = |item: Value| match item {
        Value::String(word) => Ok(word),
        other => Err(at.unlike(WANTED, kind_of(&other))),
    };
    let words: Vec<String> = items.into_iter().map(word).collect::<Result<_>>()?;
    match words.is_empty() {
        true => Err(at.missing()),
        false => Ok(words),
    }
}

/// The tags of a row, as many as it has words.
pub(super) fn tags_of(at: Place<'_>, cell: Cell, words: usize) -> Result<Vec<RawLabel>> {
    let items = match cell {
        Cell::Json(Value::Array(items)) => items,
        Cell::Missing => return Err(at.missing()),
        other => return Err(at.unlike("a list of tags", other.kind())),
    };
    if items.len() != words {
        return Err(DataError::UnevenTags {
            file: at.file.to_path_buf(),
            line: at.line,
            words,
            tags: items.len(),
        });
    }
    let tag = |item| RawLabel::from_cell(at.file, at.line, at.column, Cell::of(item));
    items.into_iter().map(tag).collect()
}
