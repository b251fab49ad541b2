//! CSV (RFC 4180, comma) and TSV (tab), both with a header line; blank lines are skipped.
//!
//! Tab-separated files come in two habits: GLUE's have no quoting at all and are full of stray
//! quotes; those of spreadsheets quote like CSV. Here a tab always separates and a line always
//! ends a row, and a field loses its surrounding quotes only where it is well-formed as a quoted
//! field, that is, where all quotes inside are doubled.

use std::path::Path;

use csv::{ErrorKind, ReaderBuilder, StringRecord};
use indexmap::{IndexMap, IndexSet};

use super::error::{DataError, Result};
use super::table::{Cell, Row, Table};

pub(super) fn parse_csv(file: &Path, text: &str) -> Result<Table> {
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes());
    let mut record = StringRecord::new();
    let mut columns = None;
    let mut rows = Vec::new();
    let mut last_start = 0;
    loop {
        match reader.read_record(&mut record) {
            Ok(false) => break,
            Ok(true) => {}
            Err(error) => return Err(csv_error(file, error)),
        }
        let (line, start) = record
            .position()
            .map_or((0, 0), |p| (p.line() as usize, p.byte() as usize));
        last_start = start;
        // The reader's position may lie before blank lines.
        let line = line + blank_lines_at(text, start);
        let fields = record.iter().map(str::to_owned);
        match &columns {
            None => columns = Some(header(file, fields)?),
            Some(columns) => rows.push(row(file, line, columns, fields.collect())?),
        }
    }
    check_quotes(file, text, last_start)?;
    Ok(Table {
        file: file.to_path_buf(),
        columns: columns.unwrap_or_default(),
        rows,
        class_names: IndexMap::new(),
    })
}

/// An unclosed quote swallows the rest of the file: the last record then runs over several lines
/// and has an odd number of quotes.
fn check_quotes(file: &Path, text: &str, last_start: usize) -> Result<()> {
    let last = text.get(last_start..).unwrap_or("").trim();
    let quotes = last.bytes().filter(|&b| b == b'"').count();
    if quotes % 2 == 1 && last.contains('\n') {
        let before = text.get(..last_start).unwrap_or("");
        return Err(DataError::UnclosedQuote {
            file: file.to_path_buf(),
            line: 1 + count_lines(before) + blank_lines_at(text, last_start),
        });
    }
    Ok(())
}

fn count_lines(text: &str) -> usize {
    text.bytes().filter(|&b| b == b'\n').count()
}

fn blank_lines_at(text: &str, start: usize) -> usize {
    let rest = text.get(start..).unwrap_or("");
    let blank = rest.len() - rest.trim_start_matches(['\r', '\n']).len();
    count_lines(&rest[..blank])
}

fn csv_error(file: &Path, error: csv::Error) -> DataError {
    let line = error.position().map_or(0, |p| p.line() as usize);
    let file = file.to_path_buf();
    match error.into_kind() {
        ErrorKind::Io(error) => DataError::Io { file, error },
        // The text was checked before, so that nothing else can come up here.
        _ => DataError::Encoding {
            file,
            line,
            utf16: false,
        },
    }
}

pub(super) fn parse_tsv(file: &Path, text: &str) -> Result<Table> {
    let mut columns = None;
    let mut rows = Vec::new();
    for (i, content) in text.lines().enumerate() {
        if content.is_empty() {
            continue;
        }
        let fields = content.split('\t').map(unquote);
        match &columns {
            None => columns = Some(header(file, fields)?),
            Some(columns) => rows.push(row(file, i + 1, columns, fields.collect())?),
        }
    }
    Ok(Table {
        file: file.to_path_buf(),
        columns: columns.unwrap_or_default(),
        rows,
        class_names: IndexMap::new(),
    })
}

fn unquote(field: &str) -> String {
    let inner = field
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    match inner {
        Some(inner) if !inner.replace("\"\"", "").contains('"') => inner.replace("\"\"", "\""),
        _ => field.to_owned(),
    }
}

fn header(file: &Path, fields: impl Iterator<Item = String>) -> Result<IndexSet<String>> {
    let mut columns = IndexSet::new();
    for field in fields {
        let name = field.trim().to_owned();
        if !columns.insert(name.clone()) {
            return Err(DataError::DuplicateColumn {
                file: file.to_path_buf(),
                column: name,
            });
        }
    }
    Ok(columns)
}

fn row(file: &Path, line: usize, columns: &IndexSet<String>, fields: Vec<String>) -> Result<Row> {
    if fields.len() != columns.len() {
        return Err(DataError::RaggedRow {
            file: file.to_path_buf(),
            line,
            expected: columns.len(),
            found: fields.len(),
        });
    }
    Ok(Row {
        line,
        cells: fields.into_iter().map(Cell::Text).collect(),
    })
}
