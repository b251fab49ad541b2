//! A file as rows of cells, before anybody knows what the columns mean.

use std::path::{Path, PathBuf};

use indexmap::{IndexMap, IndexSet};
use serde_json::Value;

use super::error::{DataError, Result};
use super::{conll, csv_file, json_lines, parquet_file, squad};

/// One value of one row.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    /// The row says nothing about this column, or says `null`.
    Missing,
    Text(String),
    /// A JSON number, as it is written there.
    Number(String),
    Bool(bool),
    /// An array or an object.
    Json(Value),
    /// Another thing that is never a text nor a label: what it is.
    Other(&'static str),
}

impl Cell {
    pub(super) fn of(value: Value) -> Self {
        match value {
            Value::Null => Cell::Missing,
            Value::Bool(b) => Cell::Bool(b),
            Value::Number(n) => Cell::Number(n.to_string()),
            Value::String(s) => Cell::Text(s),
            list @ (Value::Array(_) | Value::Object(_)) => Cell::Json(list),
        }
    }

    /// What it is, for a message.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Cell::Missing => "missing",
            Cell::Text(_) => "a string",
            Cell::Number(_) => "a number",
            Cell::Bool(_) => "a boolean",
            Cell::Json(Value::Array(_)) => "an array",
            Cell::Json(_) => "an object",
            Cell::Other(kind) => kind,
        }
    }
}

/// The rows of one file.
#[derive(Debug)]
pub(super) struct Table {
    pub file: PathBuf,
    pub columns: IndexSet<String>,
    pub rows: Vec<Row>,
    /// Columns whose classes the file names, in the order of their numbers.
    pub class_names: IndexMap<String, Vec<String>>,
}

#[derive(Debug)]
pub(super) struct Row {
    /// The line on which it begins, or the row where there are no lines; from 1.
    pub line: usize,
    /// At most as many as there are columns; the rest are missing.
    pub cells: Vec<Cell>,
}

impl Row {
    pub(super) fn take(&mut self, column: usize) -> Cell {
        match self.cells.get_mut(column) {
            Some(cell) => std::mem::replace(cell, Cell::Missing),
            None => Cell::Missing,
        }
    }
}

/// The formats that are read, by file extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    JsonLines,
    Csv,
    Tsv,
    Parquet,
    Conll,
}

impl Format {
    pub(super) fn of(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        match extension.as_str() {
            "jsonl" | "ndjson" | "json" => Some(Self::JsonLines),
            "csv" => Some(Self::Csv),
            "tsv" => Some(Self::Tsv),
            "parquet" => Some(Self::Parquet),
            "conll" | "iob" | "iob2" | "bio" => Some(Self::Conll),
            _ => None,
        }
    }
}

impl Table {
    /// Reads a file.
    pub(super) fn read(file: &Path, format: Format) -> Result<Self> {
        if format == Format::Parquet {
            return parquet_file::read(file);
        }
        let bytes = std::fs::read(file).map_err(|error| DataError::Io {
            file: file.to_path_buf(),
            error,
        })?;
        let text = decode(file, &bytes)?;
        match format {
            Format::Csv => csv_file::parse_csv(file, text),
            Format::Tsv => csv_file::parse_tsv(file, text),
            Format::Conll => conll::parse(file, text),
            _ => squad::parse(file, text).unwrap_or_else(|| json_lines::parse(file, text)),
        }
    }

    pub(super) fn column_names(&self) -> Vec<String> {
        self.columns.iter().cloned().collect()
    }
}

fn decode<'a>(file: &Path, bytes: &'a [u8]) -> Result<&'a str> {
    const BOM: &[u8] = b"\xEF\xBB\xBF";
    let utf16 = bytes.starts_with(b"\xFF\xFE") || bytes.starts_with(b"\xFE\xFF");
    let body = bytes.strip_prefix(BOM).unwrap_or(bytes);
    std::str::from_utf8(body).map_err(|e| {
        let before = &body[..e.valid_up_to()];
        DataError::Encoding {
            file: file.to_path_buf(),
            line: 1 + before.iter().filter(|&&b| b == b'\n').count(),
            utf16,
        }
    })
}
