//! Which columns are the text, its pair and the label: as told, or guessed from their names.

use super::error::{DataError, Result, list};
use super::labels::Task;
use super::table::Table;
use super::task_columns;
use super::{DataOptions, chat};

/// Names of pairs of columns, the likelier first.
const PAIRS: [(&str, &str); 14] = [
    ("text", "text_pair"),
    ("sentence1", "sentence2"),
    ("premise", "hypothesis"),
    ("question1", "question2"),
    ("question", "sentence"),
    ("question", "answer"),
    ("question", "passage"),
    ("question", "context"),
    ("query", "passage"),
    ("query", "document"),
    ("text1", "text2"),
    ("text_a", "text_b"),
    ("sentence_a", "sentence_b"),
    ("s1", "s2"),
];

/// Names of columns with prompts and their completions, the likelier first.
const COMPLETIONS: [(&str, &str); 12] = [
    ("prompt", "completion"),
    ("prompt", "response"),
    ("instruction", "output"),
    ("instruction", "response"),
    ("question", "answer"),
    ("input", "output"),
    ("source", "target"),
    ("document", "summary"),
    ("dialogue", "summary"),
    ("article", "highlights"),
    ("meaning_representation", "human_reference"),
    ("context", "completion"),
];

/// Names of single text columns, the likelier first.
const TEXTS: [&str; 14] = [
    "text",
    "sentence",
    "review",
    "content",
    "comment",
    "tweet",
    "utterance",
    "document",
    "question",
    "query",
    "title",
    "body",
    "input",
    "string",
];

/// Names of label columns, the likelier first.
const LABELS: [&str; 15] = [
    "label",
    "labels",
    "score",
    "target",
    "class",
    "category",
    "sentiment",
    "similarity",
    "similarity_score",
    "gold_label",
    "is_duplicate",
    "rating",
    "stars",
    "y",
    "output",
];

/// The columns that are used, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns {
    /// The text, or the first of two; the question; the words.
    pub text: String,
    /// The second text, for tasks on pairs; the text with the answer.
    pub text_pair: Option<String>,
    /// The label, answers, tags; empty for a causal language model, which has none.
    pub label: String,
    /// The list of choices, or the columns with one each; empty for other tasks.
    pub choices: Vec<String>,
}

/// Where the columns stand in a table.
#[derive(Debug)]
pub(super) struct Places {
    pub text: usize,
    pub text_pair: Option<usize>,
    pub label: Option<usize>,
    pub choices: Vec<usize>,
    /// Of the questions' names.
    pub id: Option<usize>,
}

impl Columns {
    /// Chooses the columns from the options or by their names; what was guessed goes to `notes`.
    pub(super) fn choose(
        table: &Table,
        options: &DataOptions,
        notes: &mut Vec<String>,
    ) -> Result<Self> {
        if let Some(columns) = task_columns::choose(table, options, notes)? {
            return Ok(columns);
        }
        let given = [&options.text, &options.text_pair, &options.label];
        for name in given.into_iter().flatten() {
            index_of(table, name)?;
        }
        let mut guessed = Vec::new();
        let is_lm = options.task == Some(Task::CausalLm);
        let label = match &options.label {
            _ if is_lm => String::new(),
            Some(name) => name.clone(),
            None => {
                let name = guess_label(table, options)?;
                guessed.push(format!("label `{name}`"));
                name
            }
        };
        let (text, text_pair) = match (&options.text, &options.text_pair) {
            (Some(text), pair) => (text.clone(), pair.clone()),
            (None, pair) => {
                let (text, guessed_pair) = guess_texts(table, &label, pair.as_deref(), is_lm)?;
                guessed.insert(0, format!("text `{text}`"));
                if let Some(pair) = &guessed_pair {
                    guessed.insert(1, format!("text_pair `{pair}`"));
                }
                (text, pair.clone().or(guessed_pair))
            }
        };
        if !guessed.is_empty() {
            let unused: Vec<_> = table
                .column_names()
                .into_iter()
                .filter(|c| *c != text && *c != label && Some(c) != text_pair.as_ref())
                .collect();
            let mut note = format!("columns guessed: {}", guessed.join(", "));
            if !unused.is_empty() {
                note.push_str(&format!("; not used: {}", list(&unused)));
            }
            notes.push(note);
        }
        Ok(Self {
            text,
            text_pair,
            label,
            choices: Vec::new(),
        })
    }

    /// Where the columns stand in a table.
    pub(super) fn places(&self, table: &Table) -> Result<Places> {
        let place = |name: &String| index_of(table, name);
        Ok(Places {
            text: place(&self.text)?,
            text_pair: self.text_pair.as_ref().map(place).transpose()?,
            label: match self.label.as_str() {
                "" => None,
                _ => Some(place(&self.label)?),
            },
            choices: self.choices.iter().map(place).collect::<Result<_>>()?,
            id: find(table, "id").and_then(|name| table.columns.get_index_of(name)),
        })
    }
}

pub(super) fn index_of(table: &Table, name: &str) -> Result<usize> {
    table
        .columns
        .get_index_of(name)
        .ok_or_else(|| DataError::MissingColumn {
            file: table.file.clone(),
            column: name.to_owned(),
            found: table.column_names(),
        })
}

/// The column of this name, upper and lower case alike.
pub(super) fn find<'a>(table: &'a Table, name: &str) -> Option<&'a str> {
    table
        .columns
        .iter()
        .find(|c| c.eq_ignore_ascii_case(name))
        .map(String::as_str)
}

pub(super) fn cannot_guess(table: &Table, role: &'static str) -> DataError {
    DataError::CannotGuess {
        file: table.file.clone(),
        role,
        found: table.column_names(),
    }
}

fn guess_label(table: &Table, options: &DataOptions) -> Result<String> {
    let taken =
        |c: &str| options.text.as_deref() == Some(c) || options.text_pair.as_deref() == Some(c);
    LABELS
        .iter()
        .filter_map(|name| find(table, name))
        .find(|c| !taken(c))
        .map(str::to_owned)
        .ok_or_else(|| cannot_guess(table, "label"))
}

fn guess_texts(
    table: &Table,
    label: &str,
    pair: Option<&str>,
    is_lm: bool,
) -> Result<(String, Option<String>)> {
    let free = |c: &&str| *c != label && Some(*c) != pair;
    if is_lm
        && pair.is_none()
        && let Some(name) = chat::find(table)
    {
        return Ok((name.to_owned(), None));
    }
    if pair.is_none() {
        let pairs: &[(&str, &str)] = if is_lm { &COMPLETIONS } else { &PAIRS };
        for (first, second) in pairs {
            let both = (
                find(table, first).filter(free),
                find(table, second).filter(free),
            );
            if let (Some(first), Some(second)) = both {
                return Ok((first.to_owned(), Some(second.to_owned())));
            }
        }
    }
    let named = TEXTS.iter().find_map(|n| find(table, n).filter(free));
    let mut rest = table.columns.iter().map(String::as_str).filter(free);
    // A single column that is left over must be it.
    let only = match (rest.next(), rest.next()) {
        (Some(only), None) => Some(only),
        _ => None,
    };
    named
        .or(only)
        .map(|text| (text.to_owned(), None))
        .ok_or_else(|| cannot_guess(table, "text"))
}
