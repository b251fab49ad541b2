//! JSON lines: one object on each line; blank lines are skipped.

use std::path::Path;

use indexmap::{IndexMap, IndexSet};
use serde_json::{Map, Value};

use super::error::{DataError, Result};
use super::table::{Cell, Row, Table};

pub(super) fn parse(file: &Path, text: &str) -> Result<Table> {
    let mut columns: IndexSet<String> = IndexSet::new();
    let mut rows = Vec::new();
    for (i, content) in text.lines().enumerate() {
        if content.trim().is_empty() {
            continue;
        }
        let line = i + 1;
        let object = object_of(content).map_err(|reason| DataError::BrokenJson {
            file: file.to_path_buf(),
            line,
            reason,
        })?;
        let mut cells = Vec::with_capacity(columns.len());
        for (key, value) in object {
            let column = columns.insert_full(key).0;
            if cells.len() <= column {
                cells.resize(column + 1, Cell::Missing);
            }
            cells[column] = Cell::of(value);
        }
        rows.push(Row { line, cells });
    }
    Ok(Table {
        file: file.to_path_buf(),
        columns,
        rows,
        class_names: IndexMap::new(),
    })
}

fn object_of(content: &str) -> Result<Map<String, Value>, String> {
    match serde_json::from_str(content) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err("not a JSON object".into()),
        Err(error) => {
            // The parser has seen a single line, so it always speaks of line 1.
            let text = error.to_string();
            let reason = text.split(" at line ").next().unwrap_or(&text);
            Err(format!("{reason} (column {})", error.column()))
        }
    }
}
