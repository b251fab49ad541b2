//! Data sets: a folder of files becomes three splits of texts and labels.
//!
//! A folder holds `train`, `validation` (also called `dev`, `valid` or `val`; it drives the
//! search) and `test` (touched once, at the end), each as JSON lines (`.jsonl`, `.ndjson`,
//! `.json`), CSV (`.csv`), TSV (`.tsv`) or Parquet (`.parquet`, one file or Hugging Face's shards
//! `train-00000-of-00002.parquet`, in the folder or in its subfolder `data`). What is not told is
//! guessed, and what is guessed is told: see [`Dataset::notes`]. Anything wrong is one
//! [`DataError`] with file and line, or row.
//!
//! Text is UTF-8, with or without a byte order mark; lines end with LF or CRLF; blank lines are
//! skipped.

mod carve;
mod columns;
mod csv_file;
mod error;
mod json_lines;
mod labels;
mod parquet_file;
mod parquet_page;
mod source;
mod table;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

pub use columns::Columns;
pub use error::{DataError, Result};
pub use labels::{Labels, Task, positive_class};

use labels::RawLabel;
use source::{Source, find_split};
use table::{Cell, Table};

/// The part of the train split that becomes the test split where there is none.
pub const DEFAULT_TEST_FRACTION: f64 = 0.15;
/// The part of the train split that becomes the validation split where there is none.
pub const DEFAULT_VALIDATION_FRACTION: f64 = 0.10;

/// With fewer examples than this, many classes with one example each are taken as they are.
const MIN_EXAMPLES_TO_JUDGE: usize = 50;

/// One input: a text, or a pair of them; for a causal language model a text, or a prompt
/// and its completion.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Example {
    /// The text, or the first of two.
    pub text: String,
    /// The second text.
    pub text_pair: Option<String>,
}

/// One part of a data set.
#[derive(Debug, Clone, PartialEq)]
pub struct Split {
    /// `train`, `validation` or `test`.
    pub name: &'static str,
    /// The file that it was read from, the first of several (the train file, if it was carved off
    /// that).
    pub file: PathBuf,
    /// The inputs.
    pub texts: Vec<Example>,
    /// Their labels, as many as there are inputs.
    pub labels: Labels,
}

impl Split {
    /// The number of examples.
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// Whether it has no examples.
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// Takes the examples at `places` into a split of their own.
    fn select(&self, name: &'static str, places: &[usize]) -> Self {
        Self {
            name,
            file: self.file.clone(),
            texts: places.iter().map(|&i| self.texts[i].clone()).collect(),
            labels: self.labels.select(places),
        }
    }
}

/// How to read a data set. The default guesses everything.
#[derive(Debug, Clone, PartialEq)]
pub struct DataOptions {
    /// The column of the text; guessed if `None`.
    pub text: Option<String>,
    /// The column of the second text. If `None`, it is guessed when `text` is guessed too, and
    /// there is none when `text` is given.
    pub text_pair: Option<String>,
    /// The column of the label; guessed if `None`.
    pub label: Option<String>,
    /// The task; guessed from the labels if `None`.
    pub task: Option<Task>,
    /// The names of the classes in the order of their numbers; if `None`, those that a Parquet file
    /// declares, else those of the train split, by value if all are whole numbers and by name
    /// otherwise.
    pub label_names: Option<Vec<String>>,
    /// Do without a train split where there is none (it is then empty), for evaluation alone.
    pub allow_no_train: bool,
    /// The part of the train split to carve off as validation split where there is none.
    pub validation_fraction: f64,
    /// The part of the train split to carve off as test split where there is none.
    pub test_fraction: f64,
    /// The seed with which splits are carved off.
    pub seed: u64,
}

impl Default for DataOptions {
    fn default() -> Self {
        Self {
            text: None,
            text_pair: None,
            label: None,
            task: None,
            label_names: None,
            allow_no_train: false,
            validation_fraction: DEFAULT_VALIDATION_FRACTION,
            test_fraction: DEFAULT_TEST_FRACTION,
            seed: 0,
        }
    }
}

/// A data set with its three splits.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    /// The folder that it was read from.
    pub dir: PathBuf,
    /// What is to be learnt.
    pub task: Task,
    /// The columns that were used.
    pub columns: Columns,
    /// The names of the classes, in the order of their numbers; empty for regression.
    pub label_names: Vec<String>,
    /// What the models learn from.
    pub train: Split,
    /// What the search looks at.
    pub validation: Split,
    /// What is touched once, at the end.
    pub test: Split,
    /// What was guessed, carved off, or looks odd, in words for the user.
    pub notes: Vec<String>,
}

impl Dataset {
    /// The number of classes; 0 for regression.
    pub fn num_classes(&self) -> usize {
        self.label_names.len()
    }

    /// The number of outputs that a model's head needs: a logit a class, or one value.
    pub fn num_outputs(&self) -> usize {
        match self.task {
            Task::Classification => self.num_classes(),
            Task::Regression => 1,
            // The logarithm of a token's probability, and its lead.
            Task::CausalLm => 2,
        }
    }

    /// The three splits: train, validation, test.
    pub fn splits(&self) -> [&Split; 3] {
        [&self.train, &self.validation, &self.test]
    }
}

/// A split whose labels are not numbered yet.
struct RawSplit {
    name: &'static str,
    /// The files, and where the examples of each end; at least one.
    files: Vec<(PathBuf, usize)>,
    texts: Vec<Example>,
    labels: Vec<RawLabel>,
    /// The names of the classes that the file itself declares for the label column.
    class_names: Option<Vec<String>>,
}

impl RawSplit {
    fn file(&self) -> PathBuf {
        self.files
            .first()
            .map_or_else(PathBuf::new, |(file, _)| file.clone())
    }
}

/// Reads a data set from a folder.
///
/// # Errors
/// [`DataError`], one for the first thing that is wrong.
pub fn read_dataset(dir: impl AsRef<Path>, options: &DataOptions) -> Result<Dataset> {
    let dir = dir.as_ref();
    check_fractions(options)?;
    if !dir.is_dir() {
        return Err(DataError::NotAFolder {
            dir: dir.to_path_buf(),
        });
    }
    let folder = source::folder(dir)?;
    let train = find_split(&folder, "train")?;
    let validation = find_split(&folder, "validation")?;
    let test = find_split(&folder, "test")?;
    let without_train = options.allow_no_train && validation.is_some();
    if train.is_none() && !without_train {
        return Err(source::missing(dir, "train"));
    }

    let mut notes = Vec::new();
    let mut columns = None;
    let mut raw = Vec::new();
    let found = [("train", train), ("validation", validation), ("test", test)];
    for (name, source) in found {
        let Some(source) = source else {
            continue;
        };
        raw.push(read_split(
            name,
            &source,
            &mut columns,
            options,
            &mut notes,
        )?);
    }
    let (Some(columns), Some(first)) = (columns, raw.first()) else {
        return Err(source::missing(dir, "train"));
    };

    // What the file declares counts as what is told, where nothing else is.
    let declared = match options.label_names {
        None => first.class_names.as_ref(),
        Some(_) => None,
    };
    if let Some(names) = declared {
        notes.push(format!(
            "labels in order: {}, as the file says",
            error::list(names)
        ));
    }
    let options = &DataOptions {
        label_names: options.label_names.as_ref().or(declared).cloned(),
        ..options.clone()
    };
    let task = choose_task(first, options, &mut notes);
    let label_names = match task {
        Task::Classification => choose_label_names(first, &columns, options, &mut notes)?,
        Task::Regression | Task::CausalLm => Vec::new(),
    };
    let mut splits = number_labels(raw, task, &label_names)?;
    carve_missing(&mut splits, options, &mut notes)?;

    let mut take = |name: &'static str| splits.shift_remove(name);
    let (Some(validation), Some(test)) = (take("validation"), take("test")) else {
        return Err(source::missing(dir, "test"));
    };
    let train = take("train").unwrap_or_else(|| Split {
        name: "train",
        file: validation.file.clone(),
        texts: Vec::new(),
        labels: validation.labels.select(&[]),
    });
    note_oddities(&train, &validation, &test, &mut notes);
    Ok(Dataset {
        dir: dir.to_path_buf(),
        task,
        columns,
        label_names,
        train,
        validation,
        test,
        notes,
    })
}

fn check_fractions(options: &DataOptions) -> Result<()> {
    let (v, t) = (options.validation_fraction, options.test_fraction);
    if v > 0.0 && t > 0.0 && v + t < 1.0 {
        Ok(())
    } else {
        Err(DataError::BadFractions {
            validation: v,
            test: t,
        })
    }
}

/// Reads the files of a split; the first of all files decides on the columns.
fn read_split(
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
        append(&mut split, table, columns)?;
    }
    if split.texts.is_empty() {
        return Err(DataError::EmptyFile { file: split.file() });
    }
    Ok(split)
}

fn append(split: &mut RawSplit, mut table: Table, columns: &Columns) -> Result<()> {
    let (text, text_pair, label) = columns.indices(&table)?;
    let file = table.file;
    for row in &mut table.rows {
        let line = row.line;
        // The label first, as one column may be used twice.
        let cell = label.and_then(|label| row.cells.get(label)).cloned();
        let cell = cell.unwrap_or(Cell::Missing);
        let label = match label {
            Some(_) => RawLabel::from_cell(&file, line, &columns.label, cell)?,
            None => RawLabel::none(line),
        };
        split.labels.push(label);
        let text_pair = match (text_pair, &columns.text_pair) {
            (Some(i), Some(name)) => Some(text_of(&file, line, name, row.take(i))?),
            _ => None,
        };
        let text = text_of(&file, line, &columns.text, row.take(text))?;
        split.texts.push(Example { text, text_pair });
    }
    if split.class_names.is_none() {
        split.class_names = table.class_names.swap_remove(&columns.label);
    }
    split.files.push((file, split.texts.len()));
    Ok(())
}

fn text_of(file: &Path, line: usize, column: &str, cell: Cell) -> Result<String> {
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

fn choose_task(first: &RawSplit, options: &DataOptions, notes: &mut Vec<String>) -> Task {
    // Names of classes say that there are classes.
    match (options.task, &options.label_names) {
        (Some(task), _) => task,
        (None, Some(_)) => Task::Classification,
        (None, None) => {
            let (task, reason) = labels::guess_task(&first.labels);
            let name = match task {
                Task::Classification => "classification",
                Task::Regression => "regression",
                Task::CausalLm => "causal_lm",
            };
            notes.push(format!("task guessed: {name} ({reason})"));
            task
        }
    }
}

fn choose_label_names(
    first: &RawSplit,
    columns: &Columns,
    options: &DataOptions,
    notes: &mut Vec<String>,
) -> Result<Vec<String>> {
    let names = match &options.label_names {
        Some(names) => {
            let mut seen = HashSet::new();
            if let Some(twice) = names.iter().find(|n| !seen.insert(*n)) {
                return Err(DataError::DuplicateLabelName {
                    label: twice.clone(),
                });
            }
            let used: HashSet<_> = first.labels.iter().map(|l| &l.text).collect();
            let unused: Vec<_> = names
                .iter()
                .filter(|n| !used.contains(n))
                .cloned()
                .collect();
            if !unused.is_empty() {
                notes.push(format!(
                    "labels without an example in the {} split: {}",
                    first.name,
                    error::list(&unused)
                ));
            }
            names.clone()
        }
        None => {
            let names = labels::order_names(&first.labels);
            let examples = first.labels.len();
            if examples >= MIN_EXAMPLES_TO_JUDGE && names.len() * 2 > examples {
                return Err(DataError::TooManyClasses {
                    file: first.file(),
                    column: columns.label.clone(),
                    distinct: names.len(),
                    examples,
                });
            }
            notes.push(format!("labels in order: {}", error::list(&names)));
            names
        }
    };
    if let [] | [_] = &names[..] {
        return Err(DataError::OneClass {
            file: first.file(),
            label: names.first().cloned().unwrap_or_default(),
        });
    }
    Ok(names)
}

fn number_labels(
    raw: Vec<RawSplit>,
    task: Task,
    label_names: &[String],
) -> Result<IndexMap<&'static str, Split>> {
    let ids: IndexMap<String, u32> = label_names.iter().cloned().zip(0..).collect();
    let mut splits = IndexMap::new();
    for split in raw {
        let mut labels = match task {
            Task::Classification => Labels::Class(Vec::new()),
            Task::Regression => Labels::Value(Vec::new()),
            Task::CausalLm => Labels::Tokens(Vec::new()),
        };
        let mut start = 0;
        for (file, end) in &split.files {
            for label in &split.labels[start..*end] {
                match &mut labels {
                    Labels::Class(all) => all.push(label.class(file, &ids)?),
                    Labels::Value(all) => all.push(label.value(file)?),
                    Labels::Tokens(all) => all.push(0),
                }
            }
            start = *end;
        }
        let split = Split {
            name: split.name,
            file: split.file(),
            texts: split.texts,
            labels,
        };
        splits.insert(split.name, split);
    }
    Ok(splits)
}

/// Carves the test split and then the validation split off, where they are missing.
///
/// Both fractions are of what the donor had at first. The donor is the train split; without one,
/// the validation split gives the test split.
fn carve_missing(
    splits: &mut IndexMap<&'static str, Split>,
    options: &DataOptions,
    notes: &mut Vec<String>,
) -> Result<()> {
    let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
    let donor = if splits.contains_key("train") {
        "train"
    } else {
        "validation"
    };
    let n = splits.get(donor).map_or(0, Split::len);
    let wanted = [
        ("test", options.test_fraction),
        ("validation", options.validation_fraction),
    ];
    for (name, fraction) in wanted {
        if splits.contains_key(name) {
            continue;
        }
        let Some(source) = splits.get(donor) else {
            continue;
        };
        let target = (n as f64 * fraction).round() as usize;
        let (chosen, rest) = carve::carve(&source.texts, &source.labels, target, &mut rng);
        if chosen.is_empty() || rest.is_empty() {
            return Err(DataError::TooFewExamples {
                file: source.file.clone(),
                examples: n,
                split: name,
            });
        }
        notes.push(format!(
            "no {name} file: {} of the {n} {donor} examples carved off (seed {})",
            chosen.len(),
            options.seed
        ));
        let (carved, kept) = (source.select(name, &chosen), source.select(donor, &rest));
        splits.insert(name, carved);
        splits.insert(donor, kept);
    }
    Ok(())
}

/// Says what a careful reader of the data would stumble over.
fn note_oddities(train: &Split, validation: &Split, test: &Split, notes: &mut Vec<String>) {
    for (a, b) in [(train, validation), (train, test), (validation, test)] {
        let seen: HashSet<&Example> = a.texts.iter().collect();
        let shared = b.texts.iter().filter(|e| seen.contains(e)).count();
        if shared > 0 {
            notes.push(format!(
                "{shared} of the {} {} examples are also in the {} split, word for word",
                b.len(),
                b.name,
                a.name
            ));
        }
    }
    for split in [train, validation, test] {
        let empty = split.texts.iter().filter(|e| e.text.trim().is_empty());
        let count = empty.count();
        if count > 0 {
            notes.push(format!(
                "{count} of the {} {} examples have an empty text",
                split.len(),
                split.name
            ));
        }
    }
}
