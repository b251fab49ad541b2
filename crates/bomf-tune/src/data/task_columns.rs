//! The columns of tasks that have their own: questions, choices, words.

use super::DataOptions;
use super::columns::{Columns, cannot_guess, find, index_of};
use super::error::{Result, list};
use super::labels::Task;
use super::table::Table;

const QUESTIONS: [&str; 2] = ["question", "query"];
const CONTEXTS: [&str; 5] = ["context", "passage", "document", "paragraph", "text"];
const ANSWERS: [&str; 2] = ["answers", "answer"];

/// What the choices of a row are to continue or answer: two columns, else one.
const STEMS: [(&str, &str); 5] = [
    ("context", "question"),
    ("article", "question"),
    ("passage", "question"),
    ("sent1", "sent2"),
    ("premise", "question"),
];
const SINGLE_STEMS: [&str; 10] = [
    "question", "prompt", "context", "ctx", "premise", "goal", "sentence", "text", "query", "sent1",
];
const CHOICES: [&str; 5] = ["choices", "endings", "options", "candidates", "answers"];
/// Choices in columns of their own: `ending0`, `choice1`, `option_a`.
const FAMILIES: [&str; 7] = [
    "ending",
    "choice",
    "option",
    "answer",
    "sol",
    "opt",
    "alternative",
];
const RIGHT: [&str; 8] = [
    "label",
    "answer",
    "answerkey",
    "answer_key",
    "correct",
    "gold",
    "target",
    "labels",
];

const WORDS: [&str; 3] = ["tokens", "words", "text"];
const TAGS: [&str; 8] = [
    "ner_tags",
    "tags",
    "labels",
    "pos_tags",
    "upos",
    "chunk_tags",
    "ner",
    "label",
];

/// Chooses what is not told by the names of the columns; `None` for tasks of texts and labels.
pub(super) fn choose(
    table: &Table,
    options: &DataOptions,
    notes: &mut Vec<String>,
) -> Result<Option<Columns>> {
    let mut guesses = Guesses {
        table,
        made: Vec::new(),
    };
    let columns = match options.task {
        Some(Task::QuestionAnswering) => Columns {
            text: guesses.told_or(&options.text, "question", &QUESTIONS)?,
            text_pair: Some(guesses.told_or(&options.text_pair, "context", &CONTEXTS)?),
            label: guesses.told_or(&options.label, "answers", &ANSWERS)?,
            choices: Vec::new(),
        },
        Some(Task::TokenClassification) => Columns {
            text: guesses.told_or(&options.text, "words", &WORDS)?,
            text_pair: None,
            label: guesses.told_or(&options.label, "tags", &TAGS)?,
            choices: Vec::new(),
        },
        Some(Task::MultipleChoice) => guesses.multiple_choice(options)?,
        _ => return Ok(None),
    };
    if !guesses.made.is_empty() {
        let is_used = |c: &String| {
            *c == columns.text
                || *c == columns.label
                || Some(c) == columns.text_pair.as_ref()
                || columns.choices.contains(c)
        };
        let unused: Vec<_> = (table.column_names().into_iter())
            .filter(|c| !is_used(c))
            .collect();
        let mut note = format!("columns guessed: {}", guesses.made.join(", "));
        if !unused.is_empty() {
            note.push_str(&format!("; not used: {}", list(&unused)));
        }
        notes.push(note);
    }
    Ok(Some(columns))
}

struct Guesses<'a> {
    table: &'a Table,
    made: Vec<String>,
}

impl Guesses<'_> {
    fn told_or(
        &mut self,
        told: &Option<String>,
        role: &'static str,
        names: &[&str],
    ) -> Result<String> {
        if let Some(name) = told {
            index_of(self.table, name)?;
            return Ok(name.clone());
        }
        let found = names.iter().find_map(|name| find(self.table, name));
        let found = found.ok_or_else(|| cannot_guess(self.table, role))?;
        self.made.push(format!("{role} `{found}`"));
        Ok(found.to_owned())
    }

    fn multiple_choice(&mut self, options: &DataOptions) -> Result<Columns> {
        let table = self.table;
        let pair = STEMS.iter().find_map(|(first, second)| {
            Some((
                find(table, first)?.to_owned(),
                find(table, second)?.to_owned(),
            ))
        });
        let (text, text_pair) = match (&options.text, pair) {
            (Some(_), _) | (None, None) => (
                self.told_or(&options.text, "text", &SINGLE_STEMS)?,
                options.text_pair.clone(),
            ),
            (None, Some((text, second))) => {
                self.made.push(format!("text `{text}`"));
                let second = match &options.text_pair {
                    Some(told) => told.clone(),
                    None => {
                        self.made.push(format!("text_pair `{second}`"));
                        second
                    }
                };
                (text, Some(second))
            }
        };
        let label = self.told_or(&options.label, "label", &RIGHT)?;
        let choices = match &options.choices[..] {
            [] => {
                let choices = self.choices(&label)?;
                self.made.push(format!("choices {}", list(&choices)));
                choices
            }
            told => told.to_vec(),
        };
        for name in choices.iter().chain(&text_pair) {
            index_of(table, name)?;
        }
        Ok(Columns {
            text,
            text_pair,
            label,
            choices,
        })
    }

    /// A column with a list of them, or columns with one each.
    fn choices(&self, label: &str) -> Result<Vec<String>> {
        let lists = CHOICES.iter().filter_map(|name| find(self.table, name));
        if let Some(name) = lists.into_iter().find(|name| *name != label) {
            return Ok(vec![name.to_owned()]);
        }
        let family = |stem: &str| -> Vec<String> {
            let is_one = |column: &&String| {
                let lower = column.to_ascii_lowercase();
                let rest = lower.strip_prefix(stem).map(|r| r.trim_start_matches('_'));
                rest.is_some_and(|rest| {
                    let is_number = rest.bytes().all(|b| b.is_ascii_digit());
                    !rest.is_empty() && (is_number || rest.len() == 1) && column.as_str() != label
                })
            };
            let mut all: Vec<String> = self.table.columns.iter().filter(is_one).cloned().collect();
            // By length first, so that choice10 comes behind choice9.
            all.sort_by_key(|name| (name.len(), name.to_ascii_lowercase()));
            all
        };
        let mut families = FAMILIES.iter().map(|stem| family(stem));
        families
            .find(|family| family.len() > 1)
            .ok_or_else(|| cannot_guess(self.table, "list of choices"))
    }
}
