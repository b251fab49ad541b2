//! Multiple choice: the choices of a row, and which of them is right.

use std::path::Path;

use serde_json::Value;

use super::answers::kind_of;
use super::error::{DataError, Result};
use super::raw::{Place, RawSplit, text_of};
use super::table::Cell;

/// The choices of one row, with the names that the file gives them (`A`, `B`), if any.
pub(super) struct Choices {
    pub texts: Vec<String>,
    names: Vec<String>,
}

/// Reads the choices from one cell with a list, or from several with one each.
pub(super) fn choices_of(
    file: &Path,
    line: usize,
    columns: &[String],
    mut cells: Vec<Cell>,
) -> Result<Choices> {
    if cells.len() > 1 {
        let pairs = cells.into_iter().zip(columns);
        let texts = pairs.map(|(cell, column)| text_of(file, line, column, cell));
        return Ok(Choices {
            texts: texts.collect::<Result<_>>()?,
            names: Vec::new(),
        });
    }
    let at = Place {
        file,
        line,
        column: columns.first().map_or("", String::as_str),
    };
    let strings = |value: &Value| -> Result<Vec<String>> {
        const WANTED: &str = "a list of choices";
        let Value::Array(items) = value else {
            return Err(at.unlike(WANTED, kind_of(value)));
        };
        let text = |item: &Value| match item {
            Value::String(text) => Ok(text.clone()),
            Value::Number(number) => Ok(number.to_string()),
            // A list of objects with a text each, as some have it.
            Value::Object(object) => match object.get("text") {
                Some(Value::String(text)) => Ok(text.clone()),
                _ => Err(at.unlike(WANTED, "an object without `text`")),
            },
            other => Err(at.unlike(WANTED, kind_of(other))),
        };
        items.iter().map(text).collect()
    };
    match cells.pop().unwrap_or(Cell::Missing) {
        Cell::Json(Value::Object(object)) => {
            let texts = object.get("text").map_or_else(
                || Err(at.unlike("a list of choices", "an object without `text`")),
                strings,
            )?;
            let names = object.get("label").map_or(Ok(Vec::new()), strings)?;
            Ok(Choices { texts, names })
        }
        Cell::Json(value) => Ok(Choices {
            texts: strings(&value)?,
            names: Vec::new(),
        }),
        Cell::Missing => Err(at.missing()),
        other => Err(at.unlike("a list of choices", other.kind())),
    }
}

impl Choices {
    /// The place of the right choice, from 0: named by its own name, by its number (from 0), by
    /// a letter (`A` is the first), or by its text.
    pub fn right(&self, at: Place<'_>, label: Cell) -> Result<u32> {
        let label = match label {
            Cell::Text(text) if !text.trim().is_empty() => text.trim().to_owned(),
            Cell::Number(number) => number,
            Cell::Missing | Cell::Text(_) => return Err(at.missing()),
            other => return Err(at.unlike("the right choice", other.kind())),
        };
        let named = |name: &String| *name == label;
        let by_letter = || match label.as_bytes() {
            [letter @ b'A'..=b'Z'] => Some(usize::from(letter - b'A')),
            [letter @ b'a'..=b'z'] => Some(usize::from(letter - b'a')),
            _ => None,
        };
        let place = match self.names.is_empty() {
            false => self.names.iter().position(named),
            true => (label.parse().ok())
                .or_else(|| self.texts.iter().position(|text| text.trim() == label))
                .or_else(by_letter),
        };
        let place = place.filter(|&place: &usize| place < self.texts.len());
        place
            .map(|place| place as u32)
            .ok_or_else(|| DataError::NoSuchChoice {
                file: at.file.to_path_buf(),
                line: at.line,
                label,
                choices: self.texts.len(),
            })
    }
}

/// Every example must have as many choices as the first.
pub(super) fn check_even(raw: &[RawSplit]) -> Result<()> {
    let examples = || raw.iter().flat_map(|split| &split.texts);
    if raw.iter().all(|split| split.right.is_empty()) {
        return Ok(());
    }
    let expected = examples().next().map_or(0, |example| example.parts.len());
    for split in raw {
        for (number, example) in split.texts.iter().enumerate() {
            let found = example.parts.len();
            if found != expected || found < 2 {
                return Err(DataError::UnevenChoices {
                    file: split.file(),
                    example: number + 1,
                    found,
                    expected: expected.max(2),
                });
            }
        }
    }
    Ok(())
}
