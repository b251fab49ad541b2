//! Data sets: a folder of files becomes three splits of texts and labels.
//!
//! A folder holds `train`, `validation` (also called `dev`, `valid` or `val`; it drives the
//! search) and `test` (touched once, at the end), each as JSON lines (`.jsonl`, `.ndjson`,
//! `.json`), CSV (`.csv`), TSV (`.tsv`) or Parquet (`.parquet`, one file or Hugging Face's shards
//! `train-00000-of-00002.parquet`, in the folder or in its subfolder `data`). What is not told is
//! guessed, and what is guessed is told: see [`Dataset::notes`]. Anything wrong is one
//! [`DataError`] with file and line, or row.
//!
//! Questions on a text ([`Task::QuestionAnswering`]), rows with several choices
//! ([`Task::MultipleChoice`]) and tagged words ([`Task::TokenClassification`]) have their own
//! columns, lists among them; the first may also be SQuAD's own JSON
//! (`train-v2.0.json`), the last CoNLL's lines (`.conll`). A causal language model may learn from
//! conversations ([`Chat`]): lists of messages in JSON lines.
//!
//! Text is UTF-8, with or without a byte order mark; lines end with LF or CRLF; blank lines are
//! skipped.

mod answers;
mod carve;
mod chat;
mod choices;
mod choose;
mod columns;
mod conll;
mod csv_file;
mod error;
mod json_lines;
mod labels;
mod oddities;
mod parquet_file;
mod parquet_page;
mod raw;
mod source;
mod squad;
mod table;
mod task_columns;
mod words;

use std::path::{Path, PathBuf};

pub use answers::{AnswerRules, Answers, Question, Window};
pub use chat::{Chat, Message};
pub use columns::Columns;
pub use error::{DataError, Result};
pub use labels::{Labels, Task, positive_class};
pub use words::{Tags, label_of_name};

use source::find_split;

/// The part of the train split that becomes the test split where there is none.
pub const DEFAULT_TEST_FRACTION: f64 = 0.15;
/// The part of the train split that becomes the validation split where there is none.
pub const DEFAULT_VALIDATION_FRACTION: f64 = 0.10;

/// One input: a text, or a pair of them; for a causal language model a text, or a prompt
/// and its completion; a question and the text with its answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Example {
    /// The text, or the first of two.
    pub text: String,
    /// The second text.
    pub text_pair: Option<String>,
    /// The choices of multiple choice, or the words of token classification (of which `text`
    /// then is the whole); empty for other tasks.
    pub parts: Vec<String>,
    /// The conversation that a causal language model goes on with, where it is one: all but the
    /// last message is the prompt. `text` and `text_pair` are for people then.
    pub chat: Option<Chat>,
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
    /// The column that lists the choices of multiple choice, or the columns with one each;
    /// guessed if empty.
    pub choices: Vec<String>,
    /// The task; guessed from the labels if `None`: classification or regression.
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
            choices: Vec::new(),
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
    /// The names of the classes, or of the tags, in the order of their numbers; empty for other
    /// tasks.
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
    /// The number of classes; 0 for tasks without.
    pub fn num_classes(&self) -> usize {
        self.label_names.len()
    }

    /// The number of outputs that a row has: a logit a class or a choice, one value, two of a
    /// token.
    pub fn num_outputs(&self) -> usize {
        match self.task {
            Task::Classification | Task::TokenClassification => self.num_classes(),
            Task::MultipleChoice => self.num_choices(),
            // How likely an answer begins there, and ends there.
            Task::QuestionAnswering => 2,
            Task::Regression => 1,
            // The logarithm of a token's probability, and its lead.
            Task::CausalLm => 2,
        }
    }

    /// The number of choices of every example; 0 for tasks without.
    pub fn num_choices(&self) -> usize {
        let first = self.splits().into_iter().find_map(|s| s.texts.first());
        match self.task {
            Task::MultipleChoice => first.map_or(0, |example| example.parts.len()),
            _ => 0,
        }
    }

    /// Whether its examples are conversations.
    pub fn has_chats(&self) -> bool {
        let first = self.splits().into_iter().find_map(|s| s.texts.first());
        first.is_some_and(|example| example.chat.is_some())
    }

    /// The three splits: train, validation, test.
    pub fn splits(&self) -> [&Split; 3] {
        [&self.train, &self.validation, &self.test]
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
        raw.push(raw::read_split(
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
    let task = choose::task(first, options, &mut notes);
    let label_names = match task {
        Task::Classification | Task::TokenClassification => {
            choose::label_names(first, &columns, options, &mut notes)?
        }
        _ => Vec::new(),
    };
    choices::check_even(&raw)?;
    answers::note_moved(&raw, &mut notes);
    let mut splits = raw::number_labels(raw, task, &label_names)?;
    carve::carve_missing(&mut splits, options, &mut notes)?;

    for split in splits.values_mut() {
        if let Some(chats) = chat::split_up(split) {
            notes.push(format!(
                "{} split: {} replies of the assistant in {chats} conversations",
                split.name,
                split.len()
            ));
        }
    }

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
    oddities::note(&train, &validation, &test, &mut notes);
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
