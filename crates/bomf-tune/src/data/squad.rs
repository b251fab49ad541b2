//! SQuAD's own JSON: articles of paragraphs of questions, in one object.
//!
//! `{"data": [{"paragraphs": [{"context", "qas": [{"id", "question", "answers"}]}]}]}`

use std::path::Path;

use indexmap::{IndexMap, IndexSet};
use serde_json::Value;

use super::error::{DataError, Result};
use super::table::{Cell, Row, Table};

const COLUMNS: [&str; 4] = ["id", "question", "context", "answers"];

/// The questions as rows, numbered from 1; `None` where the text is anything but this format.
pub(super) fn parse(file: &Path, text: &str) -> Option<Result<Table>> {
    // Of JSON lines, this reads no further than the second.
    let mut whole: Value = serde_json::from_str(text).ok()?;
    let articles = match whole.get_mut("data")?.take() {
        Value::Array(articles) => articles,
        _ => return None,
    };
    if !articles.iter().all(|a| a.get("paragraphs").is_some()) {
        return None;
    }
    Some(rows(articles).map_or_else(
        |reason| Err(DataError::broken_json(file, reason)),
        |rows| {
            Ok(Table {
                file: file.to_path_buf(),
                columns: COLUMNS
                    .iter()
                    .map(|c| c.to_string())
                    .collect::<IndexSet<_>>(),
                rows,
                class_names: IndexMap::new(),
            })
        },
    ))
}

fn rows(articles: Vec<Value>) -> Result<Vec<Row>, String> {
    let list = |value: &Value, name: &str| -> Result<Vec<Value>, String> {
        match value.get(name) {
            Some(Value::Array(items)) => Ok(items.clone()),
            _ => Err(format!("`{name}` should be a list")),
        }
    };
    let mut rows = Vec::new();
    for article in &articles {
        for paragraph in list(article, "paragraphs")? {
            let context = paragraph.get("context").cloned().unwrap_or(Value::Null);
            for qa in list(&paragraph, "qas")? {
                let own = |name: &str| Cell::of(qa.get(name).cloned().unwrap_or(Value::Null));
                rows.push(Row {
                    line: rows.len() + 1,
                    cells: vec![
                        own("id"),
                        own("question"),
                        Cell::of(context.clone()),
                        own("answers"),
                    ],
                });
            }
        }
    }
    Ok(rows)
}
