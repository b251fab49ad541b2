//! The files of a split as examples whose labels are not numbered yet, and their numbering.

use std::path::{Path, PathBuf};

use indexmap::IndexMap;

use super::answers::{self, Answers, Question};
use super::columns::Columns;
use super::error::{DataError, Result};
use super::labels::{Labels, RawLabel, Task};
use super::source::Source;
use super::table::{Cell, Table};
use super::words::{self, Tags};
use super::{DataOptions, Example, Split};
use super::{chat, choices};

/// A split whose labels are not numbered yet.
pub(super) struct RawSplit {
    pub name: &'static str,
    /// The files, and where the examples of each end; at least one.
    pub files: Vec<(PathBuf, usize)>,
    pub texts: Vec<Example>,
    /// A label an example; of tagged words one a word.
    pub labels: Vec<RawLabel>,
    /// How many words each example has; empty for other tasks.
    pub words: Vec<u32>,
    /// The answers of each question, and how many do not stand where the file says; empty for
    /// other tasks.
    pub questions: Vec<Question>,
    pub moved: usize,
    /// The right choice of each example; empty for other tasks.
    pub right: Vec<u32>,
    /// The names of the classes that the file itself declares for the label column.
    pub class_names: Option<Vec<String>>,
}

impl RawSplit {
    /// The first file.
    pub fn file(&self) -> PathBuf {
        self.files
            .first()
            .map_or_else(PathBuf::new, |(file, _)| file.clone())
    }

    /// Something of every label, with its file.
    fn each<T>(&self, of: impl Fn(&Path, &RawLabel) -> Result<T>) -> Result<Vec<T>> {
        // Where the words of tagged examples end; labels and examples are one otherwise.
        let end = |examples: usize| match self.words.is_empty() {
            true => examples,
            false => self.words[..examples].iter().map(|&n| n as usize).sum(),
        };
        let mut all = Vec::with_capacity(self.labels.len());
        let mut start = 0;
        for (file, examples) in &self.files {
            let end = end(*examples);
            for label in &self.labels[start..end] {
                all.push(of(file, label)?);
            }
            start = end;
        }
        Ok(all)
    }
}

/// Reads the files of a split; the first of all files decides on the columns.
pub(super) fn read_split(
    name: &'static str,
    source: &Source,
    columns: &mut Option<Columns>,
    options: &DataOptions,
    notes: &mut Vec<String>,
) -> Result<RawSplit> {
    let mut split = RawSplit {
        name,
        files: Vec::new(),
        texts: Vec::new(),
        labels: Vec::new(),
        words: Vec::new(),
        questions: Vec::new(),
        moved: 0,
        right: Vec::new(),
        class_names: None,
    };
    for file in &source.files {
        let table = Table::read(file, source.format)?;
        if table.rows.is_empty() && source.files.len() == 1 {
            return Err(DataError::EmptyFile { file: file.clone() });
        }
        let columns = match columns {
            Some(columns) => columns,
            None => columns.insert(Columns::choose(&table, options, notes)?),
        };
        append(&mut split, table, columns, options.task)?;
    }
    if split.texts.is_empty() {
        return Err(DataError::EmptyFile { file: split.file() });
    }
    Ok(split)
}

fn append(
    split: &mut RawSplit,
    mut table: Table,
    columns: &Columns,
    task: Option<Task>,
) -> Result<()> {
    let places = columns.places(&table)?;
    let file = std::mem::take(&mut table.file);
    for row in &mut table.rows {
        let line = row.line;
        // The label first, as one column may be used twice.
        let cell = places.label.and_then(|label| row.cells.get(label)).cloned();
        let label = cell.unwrap_or(Cell::Missing);
        let place = Place {
            file: &file,
            line,
            column: &columns.label,
        };
        if task == Some(Task::TokenClassification) {
            let at = Place {
                column: &columns.text,
                ..place
            };
            let words = words::words_of(at, row.take(places.text))?;
            let tags = words::tags_of(place, label, words.len())?;
            split.words.push(words.len() as u32);
            split.labels.extend(tags);
            split.texts.push(Example {
                text: words.join(" "),
                parts: words,
                ..Example::default()
            });
            continue;
        }
        let is_chat = matches!(row.cells.get(places.text), Some(Cell::Json(_)));
        if task == Some(Task::CausalLm) && is_chat {
            let at = |column| Place { column, ..place };
            let completion = match (places.text_pair, &columns.text_pair) {
                (Some(i), Some(name)) => Some((at(name), row.take(i))),
                _ => None,
            };
            let prompt = row.take(places.text);
            let example = chat::chat_of(at(&columns.text), prompt, completion)?;
            split.texts.push(example);
            split.labels.push(RawLabel::none(line));
            continue;
        }
        let text_pair = match (places.text_pair, &columns.text_pair) {
            (Some(i), Some(name)) => Some(text_of(&file, line, name, row.take(i))?),
            _ => None,
        };
        let text = text_of(&file, line, &columns.text, row.take(places.text))?;
        let mut parts = Vec::new();
        match task {
            Some(Task::QuestionAnswering) => {
                let id = places.id.map_or(Cell::Missing, |i| row.take(i));
                let context = text_pair.as_deref().unwrap_or_default();
                let (question, moved) = answers::question(place, id, label, context)?;
                split.questions.push(question);
                split.moved += usize::from(moved);
            }
            Some(Task::MultipleChoice) => {
                let cells = places.choices.iter().map(|&i| row.take(i)).collect();
                let choices = choices::choices_of(&file, line, &columns.choices, cells)?;
                split.right.push(choices.right(place, label)?);
                parts = choices.texts;
            }
            _ => split.labels.push(match places.label {
                Some(_) => RawLabel::from_cell(&file, line, &columns.label, label)?,
                None => RawLabel::none(line),
            }),
        }
        split.texts.push(Example {
            text,
            text_pair,
            parts,
            chat: None,
        });
    }
    if split.class_names.is_none() {
        split.class_names = table.class_names.swap_remove(&columns.label);
    }
    split.files.push((file, split.texts.len()));
    Ok(())
}

/// Where a value stands, for messages.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub file: &'a Path,
    pub line: usize,
    pub column: &'a str,
}

impl Place<'_> {
    /// The error for a value that is missing.
    pub fn missing(&self) -> DataError {
        DataError::MissingValue {
            file: self.file.to_path_buf(),
            line: self.line,
            column: self.column.to_owned(),
        }
    }

    /// The error for a value of another kind than `wanted`.
    pub fn unlike(&self, wanted: &'static str, found: &'static str) -> DataError {
        DataError::Unlike {
            file: self.file.to_path_buf(),
            line: self.line,
            column: self.column.to_owned(),
            wanted,
            found,
        }
    }
}

pub(super) fn text_of(file: &Path, line: usize, column: &str, cell: Cell) -> Result<String> {
    match cell {
        Cell::Text(text) => Ok(text),
        Cell::Missing => Err(DataError::MissingValue {
            file: file.to_path_buf(),
            line,
            column: column.to_owned(),
        }),
        other => Err(DataError::NotText {
            file: file.to_path_buf(),
            line,
            column: column.to_owned(),
            found: other.kind(),
        }),
    }
}

/// Gives every label its number.
pub(super) fn number_labels(
    raw: Vec<RawSplit>,
    task: Task,
    label_names: &[String],
) -> Result<IndexMap<&'static str, Split>> {
    let ids: IndexMap<String, u32> = label_names.iter().cloned().zip(0..).collect();
    let mut splits = IndexMap::new();
    for split in raw {
        let labels = match task {
            Task::Classification => Labels::Class(split.each(|file, l| l.class(file, &ids))?),
            Task::Regression => Labels::Value(split.each(|file, l| l.value(file))?),
            Task::CausalLm => Labels::Tokens(vec![0; split.texts.len()]),
            Task::MultipleChoice => Labels::Class(split.right),
            Task::QuestionAnswering => Labels::Answers(Answers::new(split.questions)),
            Task::TokenClassification => Labels::Tags(Tags {
                ids: split.each(|file, l| words::tag(l, file, &ids))?,
                counts: split.words,
                names: label_names.into(),
            }),
        };
        let split = Split {
            name: split.name,
            file: split
                .files
                .first()
                .map_or_else(PathBuf::new, |(file, _)| file.clone()),
            texts: split.texts,
            labels,
        };
        splits.insert(split.name, split);
    }
    Ok(splits)
}
