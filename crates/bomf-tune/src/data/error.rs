//! What can be wrong with a user's data, said once and with its place.

use std::io;
use std::path::PathBuf;

/// How many labels or columns a message spells out.
const MAX_LISTED: usize = 12;
/// How many characters of each it shows.
const MAX_NAME_CHARS: usize = 40;

/// Why a data set could not be read. [`DataError::hint`] says how to mend it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The data folder does not exist or is not a folder.
    #[error("data folder `{}` does not exist", dir.display())]
    NotAFolder {
        /// The path.
        dir: PathBuf,
    },
    /// There is no file for a split that cannot be done without.
    #[error("no `{split}` file in `{}`", dir.display())]
    MissingSplit {
        /// The data folder.
        dir: PathBuf,
        /// The split's name.
        split: &'static str,
        /// The files that are there, sorted.
        found: Vec<String>,
    },
    /// Two files claim to be the same split.
    #[error("both `{}` and `{}` could be the {split} split", first.display(), second.display())]
    TwoFiles {
        /// The split's name.
        split: &'static str,
        /// One file.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// A file of a format that is not read.
    #[error("`{}`: {format} files are not supported yet", file.display())]
    UnsupportedFormat {
        /// The file.
        file: PathBuf,
        /// The format's name.
        format: String,
    },
    /// A Parquet file that is cut off or broken.
    #[error("`{}`: not a whole Parquet file: {reason}", file.display())]
    BrokenParquet {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A Parquet file compressed or encoded in a way that is not read.
    #[error("`{}`: Parquet with {feature} is not supported", file.display())]
    ParquetFeature {
        /// The file.
        file: PathBuf,
        /// The compression or the encoding.
        feature: String,
    },
    /// One of the numbered files of a split is not there.
    #[error("`{}` is missing, one of {count} files of the {split} split", file.display())]
    MissingShard {
        /// The split's name.
        split: &'static str,
        /// The file.
        file: PathBuf,
        /// How many there should be.
        count: usize,
    },
    /// The file system refused.
    #[error("cannot read `{}`: {error}", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// Bytes that are not UTF-8.
    #[error("{}:{line}: not valid UTF-8", file.display())]
    Encoding {
        /// The file.
        file: PathBuf,
        /// The line with the first bad byte, from 1.
        line: usize,
        /// Whether the file looks like UTF-16.
        utf16: bool,
    },
    /// A line that is no JSON object.
    #[error("{}:{line}: {reason}", file.display())]
    BrokenJson {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// A row with too few or too many fields.
    #[error("{}:{line}: {found} fields, but the header has {expected}", file.display())]
    RaggedRow {
        /// The file.
        file: PathBuf,
        /// The line on which the row begins, from 1.
        line: usize,
        /// The number of columns.
        expected: usize,
        /// The number of fields in this row.
        found: usize,
    },
    /// A quoted CSV field that never ends.
    #[error("{}:{line}: a quote is opened here and never closed", file.display())]
    UnclosedQuote {
        /// The file.
        file: PathBuf,
        /// The line on which the row begins, from 1.
        line: usize,
    },
    /// Two columns of one name.
    #[error("{}:1: two columns are called `{column}`", file.display())]
    DuplicateColumn {
        /// The file.
        file: PathBuf,
        /// The name.
        column: String,
    },
    /// A file without any example.
    #[error("`{}` has no examples", file.display())]
    EmptyFile {
        /// The file.
        file: PathBuf,
    },
    /// A column that was named in the options, or is in the train split, is not there.
    #[error("`{}` has no column `{column}`, only {}", file.display(), list(found))]
    MissingColumn {
        /// The file.
        file: PathBuf,
        /// The column looked for.
        column: String,
        /// The columns there are.
        found: Vec<String>,
    },
    /// No column looks like the text or the label.
    #[error("`{}`: which column is the {role}? Found {}", file.display(), list(found))]
    CannotGuess {
        /// The file.
        file: PathBuf,
        /// "text", "label" or what else the task needs.
        role: &'static str,
        /// The columns there are.
        found: Vec<String>,
    },
    /// A row without a value in a column that is needed.
    #[error("{}:{line}: no value in column `{column}`", file.display())]
    MissingValue {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column.
        column: String,
    },
    /// A text that is not a string.
    #[error("{}:{line}: column `{column}` should be a string, but is {found}", file.display())]
    NotText {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column.
        column: String,
        /// What it is instead.
        found: &'static str,
    },
    /// A value that is not what the task needs there.
    #[error("{}:{line}: column `{column}` should be {wanted}, but is {found}", file.display())]
    Unlike {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column.
        column: String,
        /// What it should be.
        wanted: &'static str,
        /// What it is instead.
        found: &'static str,
    },
    /// None of a question's answers stands in its text.
    #[error("{}:{line}: the answer `{answer}` does not stand in the text", file.display())]
    AnswerNotInText {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The first answer.
        answer: String,
    },
    /// A right choice that is not among the choices.
    #[error("{}:{line}: `{label}` is none of the {choices} choices", file.display())]
    NoSuchChoice {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What stands there.
        label: String,
        /// How many choices there are.
        choices: usize,
    },
    /// An example with fewer or more choices than the first.
    #[error("`{}`: example {example} has {found} choices, not {expected}", file.display())]
    UnevenChoices {
        /// The file.
        file: PathBuf,
        /// The example's number, from 1.
        example: usize,
        /// How many it has.
        found: usize,
        /// How many the first example has, at least 2.
        expected: usize,
    },
    /// Not as many tags as words.
    #[error("{}:{line}: {words} words, but {tags} tags", file.display())]
    UnevenTags {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The number of words.
        words: usize,
        /// The number of tags.
        tags: usize,
    },
    /// A label that is neither a string nor a number nor a boolean.
    #[error("{}:{line}: column `{column}` should be a label, but is {found}", file.display())]
    NotALabel {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column.
        column: String,
        /// What it is instead.
        found: &'static str,
    },
    /// A regression label that is not a finite number.
    #[error("{}:{line}: label `{value}` is not a finite number", file.display())]
    NotANumber {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The label as it stands there.
        value: String,
    },
    /// A label that is not among the known ones.
    #[error("{}:{line}: unknown label `{label}`; known are {}", file.display(), list(known))]
    UnknownLabel {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The label.
        label: String,
        /// The labels of the train split, or those given in the options.
        known: Vec<String>,
    },
    /// Classification with a single class.
    #[error("every example of `{}` has the label `{label}`", file.display())]
    OneClass {
        /// The file.
        file: PathBuf,
        /// That label.
        label: String,
    },
    /// Labels that are nearly all different: texts rather than classes.
    #[error(
        "column `{column}` of `{}` has {distinct} different labels in {examples} examples: \
         these are no classes",
        file.display()
    )]
    TooManyClasses {
        /// The file.
        file: PathBuf,
        /// The label column.
        column: String,
        /// How many different labels there are.
        distinct: usize,
        /// How many examples there are.
        examples: usize,
    },
    /// The label names given in the options name one label twice.
    #[error("label `{label}` is named twice")]
    DuplicateLabelName {
        /// The label.
        label: String,
    },
    /// Too few examples to carve a split off.
    #[error(
        "`{}` has {examples} examples: too few to carve a {split} split off",
        file.display()
    )]
    TooFewExamples {
        /// The file.
        file: PathBuf,
        /// How many it has.
        examples: usize,
        /// The split that should have been carved off.
        split: &'static str,
    },
    /// Fractions for carving that leave nothing to train on.
    #[error("split fractions {validation} and {test} must lie in (0, 1) and sum to less than 1")]
    BadFractions {
        /// The fraction for the validation split.
        validation: f64,
        /// The fraction for the test split.
        test: f64,
    },
}

impl DataError {
    /// How to mend it, in one line, where there is something to say.
    pub fn hint(&self) -> Option<String> {
        use DataError as E;
        let hint = match self {
            E::NotAFolder { .. } => {
                "give a folder with train.jsonl (or .csv, .tsv, .parquet), validation.* and test.*"
                    .into()
            }
            E::MissingSplit { split, found, .. } => format!(
                "name it {split}.jsonl, {split}.csv, {split}.tsv or {split}.parquet; found {}",
                list(found)
            ),
            E::TwoFiles { .. } => "keep one of them in this folder".into(),
            E::BrokenParquet { .. } => "is it cut off? Fetch it again".into(),
            E::ParquetFeature { .. } => "write it anew: python -c \"import pandas; \
                 pandas.read_parquet('x.parquet').to_parquet('x.parquet', compression='snappy')\""
                .into(),
            E::MissingShard { .. } => "fetch all of them".into(),
            E::UnsupportedFormat { .. } => "use JSON lines (.jsonl), CSV, TSV or Parquet".into(),
            E::Encoding { utf16: true, .. } => {
                "the file looks like UTF-16: iconv -f UTF-16 -t UTF-8".into()
            }
            E::Encoding { .. } => "convert it, for example: iconv -f LATIN1 -t UTF-8".into(),
            E::BrokenJson { .. } => "one JSON object on each line is expected".into(),
            E::RaggedRow { .. } => "quote fields that hold the separator, or use JSON lines".into(),
            E::UnclosedQuote { .. } => "double the quotes inside quoted fields".into(),
            E::DuplicateColumn { .. } => "rename one of them".into(),
            E::EmptyFile { .. } => "remove the file to have the split carved off train".into(),
            E::MissingColumn { found, .. } | E::CannotGuess { found, .. } => {
                if let [only] = &found[..]
                    && only.contains([';', '\t', ','])
                {
                    "the separator of .csv files is a comma, that of .tsv files a tab".into()
                } else {
                    "name the columns: text, text_pair, label".into()
                }
            }
            E::MissingValue { .. } => "fill it in or remove the line".into(),
            E::NotText { .. } => "name another text column, or make it a string".into(),
            E::AnswerNotInText { .. } => {
                "an answer must be a part of its text, letter by letter; one that cannot be found \
                 there is learnt by a generating model (task causal_lm)"
                    .into()
            }
            E::NoSuchChoice { .. } => {
                "name the right choice by its number (from 0), its letter (A is the first) or its \
                 text"
                    .into()
            }
            E::UnevenChoices { .. } => {
                "every example must have as many choices as the first".into()
            }
            E::UnevenTags { .. } => "each word has one tag".into(),
            E::NotANumber { .. } => "for classes, say so: task classification".into(),
            E::UnknownLabel { label, .. } if label == "-1" => {
                "-1 marks splits without labels: remove the file to have one carved off train"
                    .into()
            }
            E::UnknownLabel { .. } => "every label must occur in the train split".into(),
            E::OneClass { .. } => "classification needs at least two classes".into(),
            E::TooManyClasses { .. } => {
                "name another label column, or say task: regression for numbers".into()
            }
            E::TooFewExamples { .. } => "give the split as a file of its own".into(),
            _ => return None,
        };
        Some(hint)
    }
}

/// The result of reading data.
pub type Result<T, E = DataError> = std::result::Result<T, E>;

/// Names for a message: the first dozen, and how many more there are.
pub(super) fn list(names: &[String]) -> String {
    if names.is_empty() {
        return "none".into();
    }
    let shown: Vec<_> = names
        .iter()
        .take(MAX_LISTED)
        .map(|n| match n.char_indices().nth(MAX_NAME_CHARS) {
            Some((end, _)) => format!("`{}…`", &n[..end]),
            None => format!("`{n}`"),
        })
        .collect();
    match names.len().saturating_sub(MAX_LISTED) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
