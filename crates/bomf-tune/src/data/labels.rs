//! Labels: what they are, in which order they are numbered, and which task they make.

use std::collections::BTreeSet;
use std::path::Path;

use indexmap::IndexMap;

use super::answers::Answers;
use super::error::{DataError, Result};
use super::table::Cell;
use super::words::Tags;

/// More distinct values than this, all written with a decimal point, are a scale and not classes.
const MAX_FLOAT_CLASSES: usize = 20;

/// What is to be learnt from the labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// One of several classes.
    Classification,
    /// A number.
    Regression,
    /// The next token: text that continues a prompt, or text by itself.
    CausalLm,
    /// Where in a text the answer to a question stands, if it does.
    QuestionAnswering,
    /// Which of an example's choices is right.
    MultipleChoice,
    /// A tag for each word.
    TokenClassification,
}

/// The labels of a split.
#[derive(Debug, Clone, PartialEq)]
pub enum Labels {
    /// Class numbers, indices into [`Dataset::label_names`](super::Dataset::label_names), or into
    /// an example's choices.
    Class(Vec<u32>),
    /// Numbers, all finite.
    Value(Vec<f32>),
    /// How many tokens of each example are to be predicted; all 0 before it is tokenised.
    Tokens(Vec<u32>),
    /// The answers to each question, with their windows once it is tokenised.
    Answers(Answers),
    /// The tags of each example's words.
    Tags(Tags),
}

impl Labels {
    /// The number of examples.
    pub fn len(&self) -> usize {
        match self {
            Labels::Class(ids) => ids.len(),
            Labels::Value(values) => values.len(),
            Labels::Tokens(counts) => counts.len(),
            Labels::Answers(answers) => answers.questions().len(),
            Labels::Tags(tags) => tags.counts.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The class numbers, if these are classes.
    pub fn classes(&self) -> Option<&[u32]> {
        match self {
            Labels::Class(ids) => Some(ids),
            _ => None,
        }
    }

    /// The numbers, if these are numbers.
    pub fn values(&self) -> Option<&[f32]> {
        match self {
            Labels::Value(values) => Some(values),
            _ => None,
        }
    }

    /// The labels at these places, which may repeat.
    ///
    /// # Panics
    /// If a place is out of range.
    pub fn select(&self, places: &[usize]) -> Self {
        match self {
            Labels::Class(ids) => Labels::Class(places.iter().map(|&i| ids[i]).collect()),
            Labels::Value(values) => Labels::Value(places.iter().map(|&i| values[i]).collect()),
            Labels::Tokens(counts) => Labels::Tokens(places.iter().map(|&i| counts[i]).collect()),
            Labels::Answers(answers) => Labels::Answers(answers.select(places)),
            Labels::Tags(tags) => Labels::Tags(tags.select(places)),
        }
    }
}

/// A label as it stands in a file.
#[derive(Debug, Clone)]
pub(super) struct RawLabel {
    pub line: usize,
    /// Its name as a class.
    pub text: String,
    /// Its value, if it is a finite number.
    number: Option<f64>,
    /// Written with a point or an exponent.
    has_point: bool,
}

impl RawLabel {
    pub(super) fn from_cell(file: &Path, line: usize, column: &str, cell: Cell) -> Result<Self> {
        let found = cell.kind();
        let (text, is_json_number) = match cell {
            Cell::Text(text) if !text.trim().is_empty() => (text.trim().to_owned(), false),
            Cell::Number(text) => (text, true),
            Cell::Bool(b) => (b.to_string(), false),
            Cell::Other(_) | Cell::Json(_) => {
                return Err(DataError::NotALabel {
                    file: file.to_path_buf(),
                    line,
                    column: column.to_owned(),
                    found,
                });
            }
            Cell::Missing | Cell::Text(_) => {
                return Err(DataError::MissingValue {
                    file: file.to_path_buf(),
                    line,
                    column: column.to_owned(),
                });
            }
        };
        let number = parse_number(&text);
        let has_point = text.contains(['.', 'e', 'E']);
        let text = match number {
            // JSON writers that know only floats say 1.0 for class 1.
            Some(value) if is_json_number && has_point && value.fract() == 0.0 => {
                format!("{value:.0}")
            }
            _ => text,
        };
        Ok(Self {
            line,
            text,
            number,
            has_point,
        })
    }

    /// That of an example without one.
    pub(super) fn none(line: usize) -> Self {
        Self {
            line,
            text: String::new(),
            number: None,
            has_point: false,
        }
    }

    /// The number of its class.
    pub(super) fn class(&self, file: &Path, names: &IndexMap<String, u32>) -> Result<u32> {
        let unknown = || DataError::UnknownLabel {
            file: file.to_path_buf(),
            line: self.line,
            label: self.text.clone(),
            known: names.keys().cloned().collect(),
        };
        names.get(&self.text).copied().ok_or_else(unknown)
    }

    /// Its value in a regression.
    pub(super) fn value(&self, file: &Path) -> Result<f32> {
        match self.number.map(|v| v as f32) {
            Some(value) if value.is_finite() => Ok(value),
            _ => Err(DataError::NotANumber {
                file: file.to_path_buf(),
                line: self.line,
                value: self.text.clone(),
            }),
        }
    }
}

/// A finite number; `inf`, `nan` and the like may well be names of classes.
fn parse_number(text: &str) -> Option<f64> {
    let first = text.bytes().find(|b| !matches!(b, b'+' | b'-'))?;
    if !(first.is_ascii_digit() || first == b'.') {
        return None;
    }
    text.parse().ok().filter(|v: &f64| v.is_finite())
}

/// The task that the labels look like, and the reason in words.
///
/// Regression if all are numbers and one of them is not whole, or if all are numbers written with
/// a decimal point and there are more than 20 different ones; otherwise classification.
pub(super) fn guess_task(labels: &[RawLabel]) -> (Task, String) {
    let distinct: BTreeSet<&str> = labels.iter().map(|l| l.text.as_str()).collect();
    let n = distinct.len();
    if labels.iter().any(|l| l.number.is_none()) {
        return (
            Task::Classification,
            format!("{n} distinct labels, not all of them numbers"),
        );
    }
    if labels
        .iter()
        .any(|l| l.number.is_some_and(|v| v.fract() != 0.0))
    {
        return (Task::Regression, "the labels are fractional numbers".into());
    }
    if n > MAX_FLOAT_CLASSES && labels.iter().all(|l| l.has_point) {
        return (
            Task::Regression,
            format!("the labels are {n} distinct numbers with a decimal point"),
        );
    }
    (
        Task::Classification,
        format!("{n} distinct labels, all of them whole numbers"),
    )
}

/// The names of the classes in the order of their numbers: by value if all are whole numbers,
/// otherwise by name (byte order).
pub(super) fn order_names(labels: &[RawLabel]) -> Vec<String> {
    let distinct: BTreeSet<&str> = labels.iter().map(|l| l.text.as_str()).collect();
    let mut names: Vec<String> = distinct.into_iter().map(str::to_owned).collect();
    let as_int = |name: &String| name.parse::<i128>().ok();
    if names.iter().all(|n| as_int(n).is_some()) {
        names.sort_by_key(as_int);
    }
    names
}

/// The class that binary metrics such as F1 look for, judged by the names of two classes.
///
/// `yes` rather than `no`, `equivalent` rather than `not_equivalent`, `acceptable` rather than
/// `unacceptable`, `spam` rather than `other`; class 1 where the names say nothing, or where there
/// are not two of them.
pub fn positive_class(label_names: &[String]) -> u32 {
    const POSITIVE: [&str; 4] = ["yes", "true", "positive", "pos"];
    const NEGATIVE: [&str; 9] = [
        "no", "false", "negative", "neg", "other", "none", "normal", "neutral", "ham",
    ];
    const NEGATIONS: [&str; 6] = ["not", "non", "no", "un", "in", "dis"];
    let [first, second] = label_names else {
        return 1;
    };
    let (first, second) = (first.to_lowercase(), second.to_lowercase());
    let negates = |a: &str, b: &str| {
        a.strip_suffix(b)
            .is_some_and(|prefix| NEGATIONS.contains(&prefix.trim_end_matches(['_', '-', ' '])))
    };
    let first_is_positive = negates(&second, &first)
        || (!negates(&first, &second)
            && !POSITIVE.contains(&second.as_str())
            && (POSITIVE.contains(&first.as_str()) || NEGATIVE.contains(&second.as_str())));
    u32::from(!first_is_positive)
}
