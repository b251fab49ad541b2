//! Parquet, as Hugging Face keeps its data sets: flat columns of strings, numbers and booleans.
//!
//! Nested columns are named and not read. Where the file's metadata hold the features of
//! Hugging Face's `datasets` (key `huggingface`), the numbers of a `ClassLabel` are told by their
//! names.

use std::path::Path;

use indexmap::{IndexMap, IndexSet};
use parquet::basic::{Compression, ConvertedType, LogicalType, Type as Physical};
use parquet::errors::ParquetError;
use parquet::file::metadata::{FileMetaData, RowGroupMetaData};
use parquet::file::reader::{FileReader, RowGroupReader, SerializedFileReader};
use parquet::schema::types::ColumnDescriptor;
use serde_json::Value;

use super::error::{DataError, Result};
use super::parquet_page::{Fault, Stored, read_values};
use super::table::{Cell, Row, Table};

/// The most rows that a byte of a file may stand for. Texts that differ take more than a byte
/// each; a file with fewer is broken, or made to fill the memory.
const MAX_ROWS_PER_BYTE: u64 = 1000;

/// Where a column's cells come from.
enum Column {
    /// This leaf of the schema.
    Leaf(usize),
    /// Nowhere, as it is no text and no label: what it is.
    Other(&'static str),
}

pub(super) fn read(file: &Path) -> Result<Table> {
    let open = std::fs::File::open(file).map_err(|error| DataError::Io {
        file: file.to_path_buf(),
        error,
    })?;
    let length = open.metadata().map_or(0, |metadata| metadata.len());
    let broken = |error: ParquetError| broken(file, words(&error.to_string()));
    let reader = SerializedFileReader::new(open).map_err(broken)?;
    let metadata = reader.metadata();
    let columns = columns(file, metadata.file_metadata())?;
    let class_names = class_names(metadata.file_metadata(), &columns);
    let names: Vec<Option<&Vec<String>>> = columns.keys().map(|c| class_names.get(c)).collect();
    check_rows(file, metadata.file_metadata(), length)?;
    let mut rows = Vec::new();
    for group in 0..metadata.num_row_groups() {
        check_columns(file, metadata.row_group(group), length)?;
        let group = reader.get_row_group(group).map_err(broken)?;
        let mut cells = Vec::with_capacity(columns.len());
        for ((name, column), names) in columns.iter().zip(&names) {
            cells.push(match column {
                Column::Leaf(leaf) => Cells::Read(read_column(file, &*group, *leaf, name, *names)?),
                Column::Other(what) => Cells::Other(what),
            });
        }
        append(file, &mut rows, cells)?;
    }
    Ok(Table {
        file: file.to_path_buf(),
        columns: columns.into_keys().collect(),
        rows,
        class_names,
    })
}

fn broken(file: &Path, reason: String) -> DataError {
    DataError::BrokenParquet {
        file: file.to_path_buf(),
        reason,
    }
}

/// What the library says, in one line and without its own name.
fn words(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    line.strip_prefix("Parquet error: ")
        .unwrap_or(line)
        .to_owned()
}

/// The columns at the top, in order.
fn columns(file: &Path, metadata: &FileMetaData) -> Result<IndexMap<String, Column>> {
    let schema = metadata.schema_descr();
    let mut columns = IndexMap::new();
    for field in schema.root_schema().get_fields() {
        let name = field.name().to_owned();
        if columns
            .insert(name.clone(), Column::Other("nested"))
            .is_some()
        {
            return Err(DataError::DuplicateColumn {
                file: file.to_path_buf(),
                column: name,
            });
        }
    }
    for leaf in 0..schema.num_columns() {
        let descriptor = schema.column(leaf);
        if descriptor.path().parts().len() == 1 && descriptor.max_rep_level() == 0 {
            let column = match unread(&descriptor) {
                Some(what) => Column::Other(what),
                None => Column::Leaf(leaf),
            };
            columns.insert(descriptor.name().to_owned(), column);
        }
    }
    Ok(columns)
}

/// What a flat column holds where that is neither a string nor a number nor a boolean.
fn unread(column: &ColumnDescriptor) -> Option<&'static str> {
    use ConvertedType as C;
    match (column.converted_type(), column.physical_type()) {
        (C::DECIMAL, _) => Some("a decimal"),
        (C::DATE, _) => Some("a date"),
        (C::TIME_MILLIS | C::TIME_MICROS | C::TIMESTAMP_MILLIS | C::TIMESTAMP_MICROS, _)
        | (_, Physical::INT96) => Some("a time"),
        (_, Physical::FIXED_LEN_BYTE_ARRAY) => Some("bytes"),
        _ => match column.logical_type_ref() {
            Some(LogicalType::Timestamp { .. } | LogicalType::Time { .. }) => Some("a time"),
            _ => None,
        },
    }
}

/// The names of the classes of each `ClassLabel` column:
/// `{"info": {"features": {"label": {"names": ["neg", "pos"], "_type": "ClassLabel"}}}}`.
fn class_names(
    metadata: &FileMetaData,
    columns: &IndexMap<String, Column>,
) -> IndexMap<String, Vec<String>> {
    let entries = metadata.key_value_metadata().into_iter().flatten();
    let text = entries
        .filter(|entry| entry.key == "huggingface")
        .find_map(|entry| entry.value.as_deref());
    let info: Value = text
        .and_then(|t| serde_json::from_str(t).ok())
        .unwrap_or_default();
    let names = |column: &String| -> Option<Vec<String>> {
        let feature = info.get("info")?.get("features")?.get(column)?;
        if feature.get("_type")? != "ClassLabel" {
            return None;
        }
        let names = feature.get("names")?.as_array()?.iter();
        let names: Option<Vec<String>> = names.map(|n| Some(n.as_str()?.trim().into())).collect();
        // Names that name nothing, or two things, are no help.
        let is_distinct = |names: &Vec<String>| {
            let set: IndexSet<&String> = names.iter().filter(|n| !n.is_empty()).collect();
            set.len() == names.len()
        };
        names.filter(is_distinct)
    };
    let named = |column: &String| names(column).map(|names| (column.clone(), names));
    columns.keys().filter_map(named).collect()
}

/// Refuses what the library does not decompress, and bytes outside of the file, with which it
/// would panic.
fn check_columns(file: &Path, group: &RowGroupMetaData, length: u64) -> Result<()> {
    for column in group.columns() {
        let start = column.dictionary_page_offset();
        let start = u64::try_from(start.unwrap_or(column.data_page_offset())).ok();
        let size = u64::try_from(column.compressed_size()).ok();
        let end = start
            .zip(size)
            .and_then(|(start, size)| start.checked_add(size));
        if end.is_none_or(|end| end > length) {
            return Err(broken(file, "a column lies outside of the file".into()));
        }
        let name = match column.compression() {
            Compression::UNCOMPRESSED
            | Compression::SNAPPY
            | Compression::GZIP(_)
            | Compression::LZ4
            | Compression::LZ4_RAW => continue,
            Compression::ZSTD(_) => "zstd",
            Compression::BROTLI(_) => "brotli",
            Compression::LZO => "lzo",
        };
        return Err(DataError::ParquetFeature {
            file: file.to_path_buf(),
            feature: format!("{name} compression"),
        });
    }
    Ok(())
}

/// A column of one row group.
enum Cells {
    Read(Vec<Cell>),
    /// All alike.
    Other(&'static str),
}

/// Appends the columns of a row group as rows.
fn append(file: &Path, rows: &mut Vec<Row>, columns: Vec<Cells>) -> Result<()> {
    let mut lengths = columns.iter().filter_map(|column| match column {
        Cells::Read(cells) => Some(cells.len()),
        Cells::Other(_) => None,
    });
    // Where nothing is read, one row says what there is.
    let length = lengths.next().unwrap_or(1);
    if lengths.any(|other| other != length) {
        return Err(broken(file, "its columns differ in length".into()));
    }
    let first = rows.len();
    rows.extend((0..length).map(|i| Row {
        line: first + i + 1,
        cells: Vec::with_capacity(columns.len()),
    }));
    let rows = &mut rows[first..];
    for column in columns {
        match column {
            Cells::Read(cells) => rows
                .iter_mut()
                .zip(cells)
                .for_each(|(r, c)| r.cells.push(c)),
            Cells::Other(what) => rows
                .iter_mut()
                .for_each(|r| r.cells.push(Cell::Other(what))),
        }
    }
    Ok(())
}

/// The cells of one column in one row group.
fn read_column(
    file: &Path,
    group: &dyn RowGroupReader,
    leaf: usize,
    name: &str,
    names: Option<&Vec<String>>,
) -> Result<Vec<Cell>> {
    use ConvertedType as C;
    let metadata = group.metadata();
    let column = metadata.column(leaf).column_descr();
    let is_unsigned = matches!(
        column.converted_type(),
        C::UINT_8 | C::UINT_16 | C::UINT_32 | C::UINT_64
    );
    let integer = |value: i128| match usize::try_from(value).ok().and_then(|i| names?.get(i)) {
        Some(name) => Cell::Text(name.clone()),
        None => Cell::Number(value.to_string()),
    };
    let cell = |stored: Stored<'_>| match stored {
        Stored::Bool(value) => Cell::Bool(value),
        Stored::Int32(value) if is_unsigned => integer((value as u32).into()),
        Stored::Int32(value) => integer(value.into()),
        Stored::Int64(value) if is_unsigned => integer((value as u64).into()),
        Stored::Int64(value) => integer(value.into()),
        Stored::Float(value) => float(value.into(), format!("{value:?}")),
        Stored::Double(value) => float(value, format!("{value:?}")),
        Stored::Bytes(value) => text(value),
    };
    let rows = usize::try_from(metadata.num_rows()).unwrap_or(0);
    let pages = group.get_column_page_reader(leaf).map_err(Fault::from);
    let cells = pages.and_then(|mut pages| {
        let is_optional = column.max_def_level() > 0;
        let kind = column.physical_type();
        read_values(&mut *pages, kind, is_optional, rows, Cell::Missing, cell)
    });
    let cells = cells.map_err(|fault| match fault {
        Fault::Broken(reason) => broken(file, format!("column `{name}`: {}", words(&reason))),
        Fault::Encoding(encoding) => DataError::ParquetFeature {
            file: file.to_path_buf(),
            feature: format!("{encoding} encoding"),
        },
    })?;
    if cells.len() != rows {
        let found = cells.len();
        let reason = format!("column `{name}` has {found} values for {rows} rows");
        return Err(broken(file, reason));
    }
    Ok(cells)
}

/// Refuses a file that says of itself that it has more rows than it can hold.
fn check_rows(file: &Path, metadata: &FileMetaData, length: u64) -> Result<()> {
    let rows = metadata.num_rows();
    match u64::try_from(rows) {
        Ok(count) if count <= length.saturating_mul(MAX_ROWS_PER_BYTE) => Ok(()),
        _ => Err(broken(file, format!("{rows} rows in {length} bytes"))),
    }
}

/// A number as JSON would have it; pandas says NaN where there is none.
fn float(value: f64, written: String) -> Cell {
    match value.is_nan() {
        true => Cell::Missing,
        false => Cell::Number(written),
    }
}

/// Old writers do not say that bytes are a string.
fn text(bytes: &[u8]) -> Cell {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cell::Text(text.to_owned()),
        Err(_) => Cell::Other("bytes"),
    }
}
