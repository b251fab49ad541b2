//! CoNLL's lines: a word on each, its tag in the last column, a blank line behind each sentence.
//!
//! Columns are parted by white space; those between the first and the last are left out, as are
//! lines with `-DOCSTART-` (Tjong Kim Sang and De Meulder 2003).

use std::path::Path;

use indexmap::{IndexMap, IndexSet};
use serde_json::Value;

use super::error::{DataError, Result};
use super::table::{Cell, Row, Table};

const DOCUMENT: &str = "-DOCSTART-";

pub(super) fn parse(file: &Path, text: &str) -> Result<Table> {
    let mut rows = Vec::new();
    let (mut words, mut tags, mut begin) = (Vec::new(), Vec::new(), 0);
    let mut end = |words: &mut Vec<Value>, tags: &mut Vec<Value>, line| {
        if !words.is_empty() {
            let cells = [words, tags].map(|list| Cell::Json(std::mem::take(list).into()));
            rows.push(Row {
                line,
                cells: cells.into(),
            });
        }
    };
    for (i, content) in text.lines().enumerate() {
        let mut columns = content.split_whitespace();
        let Some(word) = columns.next().filter(|word| *word != DOCUMENT) else {
            end(&mut words, &mut tags, begin);
            continue;
        };
        let Some(tag) = columns.next_back() else {
            return Err(DataError::RaggedRow {
                file: file.to_path_buf(),
                line: i + 1,
                expected: 2,
                found: 1,
            });
        };
        if words.is_empty() {
            begin = i + 1;
        }
        words.push(Value::from(word));
        tags.push(Value::from(tag));
    }
    end(&mut words, &mut tags, begin);
    Ok(Table {
        file: file.to_path_buf(),
        columns: IndexSet::from(["tokens".to_string(), "tags".to_string()]),
        rows,
        class_names: IndexMap::new(),
    })
}
