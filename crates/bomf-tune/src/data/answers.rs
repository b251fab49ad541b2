//! Questions on a text: their answers, and the windows over the text in which a model looks for
//! them.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::error::{DataError, Result};
use super::raw::{Place, RawSplit};
use super::table::Cell;

/// What an answer to a question is held against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Its name in the file, else its line there.
    pub id: String,
    /// The answers that are right; none where the text holds no answer.
    pub answers: Vec<String>,
    /// Where the first answer stands in the text, in bytes; what training aims at.
    pub span: Option<Range<usize>>,
}

/// How an answer is read off a model's outputs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AnswerRules {
    /// How many of the likeliest first and last tokens are combined.
    pub n_best_size: usize,
    /// The most tokens of an answer.
    pub max_answer_length: usize,
    /// There is no answer where that scores higher than the best answer by more than this.
    pub null_score_diff_threshold: f32,
    /// Whether a question may have no answer at all.
    pub has_no_answers: bool,
}

impl Default for AnswerRules {
    /// 20 of each, answers of 30 tokens, and always one.
    fn default() -> Self {
        AnswerRules {
            n_best_size: 20,
            max_answer_length: 30,
            null_score_diff_threshold: 0.0,
            has_no_answers: false,
        }
    }
}

/// One window: a sequence of the question and a part of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// Tokens of the sequence.
    pub tokens: u32,
    /// The place of the text's first token in the sequence.
    pub first: u32,
    /// Where each of the text's tokens stands in the text, in bytes.
    pub offsets: Vec<(u32, u32)>,
    /// The places of the answer's first and last token in the sequence; twice 0, the first
    /// token, where it does not lie in this window.
    pub target: [u32; 2],
}

/// The questions of a split; and, once it is tokenised, their windows.
#[derive(Debug, Clone, PartialEq)]
pub struct Answers {
    pub(crate) questions: Arc<[Question]>,
    pub(crate) windows: Arc<[Window]>,
    /// Where the windows of each question end.
    pub(crate) ends: Arc<[usize]>,
    /// The text of each question.
    pub(crate) contexts: Arc<[Arc<str>]>,
    pub(crate) rules: AnswerRules,
}

impl Answers {
    /// Questions that are not tokenised yet.
    pub fn new(questions: Vec<Question>) -> Self {
        Answers {
            questions: questions.into(),
            windows: Arc::default(),
            ends: Arc::default(),
            contexts: Arc::default(),
            rules: AnswerRules::default(),
        }
    }

    /// The same questions with their texts and windows, as many as there are questions.
    #[must_use]
    pub fn tokenised(
        &self,
        contexts: Vec<Arc<str>>,
        windows: Vec<Vec<Window>>,
        rules: AnswerRules,
    ) -> Self {
        let ends = windows.iter().scan(0, |end, own| {
            *end += own.len();
            Some(*end)
        });
        Answers {
            questions: self.questions.clone(),
            ends: ends.collect(),
            windows: windows.into_iter().flatten().collect(),
            contexts: contexts.into(),
            rules,
        }
    }

    /// The questions.
    pub fn questions(&self) -> &[Question] {
        &self.questions
    }

    /// All windows, question after question; none before the split is tokenised.
    pub fn windows(&self) -> &[Window] {
        &self.windows
    }

    /// Which of the windows are of question `i`.
    pub fn windows_of(&self, i: usize) -> Range<usize> {
        let start = i.checked_sub(1).map_or(0, |before| self.ends[before]);
        start..self.ends[i]
    }

    /// How answers are read off.
    pub fn rules(&self) -> AnswerRules {
        self.rules
    }

    /// The text of question `i`, once the split is tokenised.
    pub fn context(&self, i: usize) -> &str {
        self.contexts.get(i).map_or("", |context| context)
    }

    /// The questions at these places, which may repeat; with their windows, if they have any.
    pub(super) fn select(&self, places: &[usize]) -> Self {
        let questions = places.iter().map(|&i| self.questions[i].clone());
        let chosen = Answers::new(questions.collect());
        if self.ends.is_empty() {
            return chosen;
        }
        let contexts = places.iter().map(|&i| self.contexts[i].clone());
        let windows = places
            .iter()
            .map(|&i| self.windows[self.windows_of(i)].to_vec());
        chosen.tokenised(contexts.collect(), windows.collect(), self.rules)
    }
}

/// The question of a row, and whether its answer had to be looked for.
pub(super) fn question(
    at: Place<'_>,
    id: Cell,
    answers: Cell,
    context: &str,
) -> Result<(Question, bool)> {
    let id = match id {
        Cell::Text(id) | Cell::Number(id) => id,
        _ => at.line.to_string(),
    };
    let answers: Vec<(String, Option<u64>)> = given(at, answers)?
        .into_iter()
        .filter(|(text, _)| !text.trim().is_empty())
        .collect();
    let mut places = answers.iter().filter_map(|(text, start)| {
        let (place, moved) = locate(context, text, *start)?;
        Some((place..place + text.len(), moved))
    });
    let (span, moved) = match places.next() {
        Some((span, moved)) => (Some(span), moved),
        None => (None, false),
    };
    if let (Some((answer, _)), None) = (answers.first(), &span) {
        return Err(DataError::AnswerNotInText {
            file: at.file.to_path_buf(),
            line: at.line,
            answer: answer.clone(),
        });
    }
    let answers = answers.iter().map(|(text, _)| text.clone()).collect();
    Ok((Question { id, answers, span }, moved))
}

/// The answers of a row, each with the place (in characters) that the file gives.
fn given(at: Place<'_>, cell: Cell) -> Result<Vec<(String, Option<u64>)>> {
    const WANTED: &str = "a list of answers";
    let wrong = |value: &Value| at.unlike(WANTED, kind_of(value));
    let text_of = |value: &Value| match value {
        Value::String(text) => Ok(text.clone()),
        other => Err(wrong(other)),
    };
    match cell {
        Cell::Missing => Ok(Vec::new()),
        Cell::Text(text) => Ok(vec![(text, None)]),
        Cell::Json(Value::Array(items)) => items
            .iter()
            .map(|item| match item {
                Value::Object(object) => {
                    let text = object.get("text").ok_or_else(|| wrong(item))?;
                    let start = object.get("answer_start").and_then(Value::as_u64);
                    Ok((text_of(text)?, start))
                }
                other => Ok((text_of(other)?, None)),
            })
            .collect(),
        Cell::Json(Value::Object(object)) => {
            let list = |name: &str| match object.get(name) {
                Some(Value::Array(items)) => items.clone(),
                Some(Value::Null) | None => Vec::new(),
                Some(one) => vec![one.clone()],
            };
            if !object.contains_key("text") {
                return Err(at.unlike(WANTED, "an object without `text`"));
            }
            let starts = list("answer_start");
            let texts = list("text");
            let pairs = texts.iter().enumerate();
            pairs
                .map(|(i, text)| Ok((text_of(text)?, starts.get(i).and_then(Value::as_u64))))
                .collect()
        }
        other => Err(at.unlike(WANTED, other.kind())),
    }
}

/// What a JSON value is, for a message.
pub(super) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// The byte at which `answer` begins: where the file says (in characters), else the nearest place
/// at which it stands (then `true`); the first one where the file says nothing.
fn locate(context: &str, answer: &str, start: Option<u64>) -> Option<(usize, bool)> {
    let Some(start) = start else {
        return context.find(answer).map(|place| (place, false));
    };
    let nth = usize::try_from(start).unwrap_or(usize::MAX);
    let byte = context.char_indices().nth(nth).map(|(byte, _)| byte);
    let byte = byte.unwrap_or(context.len());
    if context[byte..].starts_with(answer) {
        return Some((byte, false));
    }
    let places = context.match_indices(answer).map(|(place, _)| place);
    let nearest = places.min_by_key(|place| place.abs_diff(byte));
    nearest.map(|place| (place, true))
}

/// Says how many answers do not stand where the files say.
pub(super) fn note_moved(raw: &[RawSplit], notes: &mut Vec<String>) {
    for split in raw.iter().filter(|split| split.moved > 0) {
        notes.push(format!(
            "{} of the {} {} answers do not stand at their `answer_start`; the nearest place at \
             which they do is taken",
            split.moved,
            split.questions.len(),
            split.name
        ));
    }
}

impl DataError {
    /// A file that is JSON, but not what it should be.
    pub(super) fn broken_json(file: &Path, reason: impl Into<String>) -> Self {
        DataError::BrokenJson {
            file: file.to_path_buf(),
            line: 1,
            reason: reason.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_found_by_characters_and_then_nearby() {
        let context = "Zoë saw a cat and a cat.";
        assert_eq!(locate(context, "cat", Some(10)), Some((11, false)));
        assert_eq!(locate(context, "cat", Some(19)), Some((21, true)));
        assert_eq!(locate(context, "cat", Some(999)), Some((21, true)));
        assert_eq!(locate(context, "cat", None), Some((11, false)));
        assert_eq!(locate(context, "dog", Some(0)), None);
    }
}
