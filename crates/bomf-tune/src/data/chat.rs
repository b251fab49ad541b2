//! Conversations: lists of messages, each with who says it and what is said.
//!
//! Known are objects with `role` and `content` (OpenAI's form), and with `from` and `value`
//! (ShareGPT's, where `human` is the user and `gpt` the assistant). What is said is a text, or a
//! list of parts with a `text` each.
//!
//! A model learns what the assistant says. Each of its replies becomes an example, of which
//! everything said before is the prompt; a conversation is split up after the splits are carved
//! off, so that its replies stay together.

use serde::Serialize;
use serde_json::{Map, Value};

use super::answers::kind_of;
use super::error::Result;
use super::labels::Labels;
use super::raw::Place;
use super::table::{Cell, Table};
use super::{Example, Split};

/// The role whose messages are learnt.
const ASSISTANT: &str = "assistant";

/// What messages are to be.
const WANTED: &str = "a list of messages (`role` and `content`, or `from` and `value`)";

/// Names of columns with conversations, the likelier first.
const CHATS: [&str; 5] = [
    "messages",
    "conversations",
    "conversation",
    "chat",
    "dialogue",
];

/// Something that somebody said.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Message {
    /// `system`, `user`, `assistant`, or whatever a template knows.
    pub role: String,
    /// What was said.
    pub content: String,
}

impl Message {
    /// Of this role.
    pub fn new(role: &str, content: &str) -> Self {
        Message {
            role: role.into(),
            content: content.into(),
        }
    }
}

/// A conversation of which the first messages are given.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Chat {
    /// All messages, in their order.
    pub messages: Vec<Message>,
    /// How many of them are given; of an example of a [`Dataset`](super::Dataset) all but the
    /// last.
    pub given: usize,
}

impl Chat {
    /// A user's question and the assistant's answer.
    pub fn of_pair(prompt: &str, completion: &str) -> Self {
        Chat {
            messages: vec![
                Message::new("user", prompt),
                Message::new(ASSISTANT, completion),
            ],
            given: 1,
        }
    }

    /// The messages that are given.
    pub fn prompt(&self) -> &[Message] {
        &self.messages[..self.given.min(self.messages.len())]
    }

    /// The conversation up to each reply that is to be learnt. Nobody learns what is said first.
    fn turns(&self) -> impl Iterator<Item = Chat> {
        let is_learnt = |&i: &usize| self.messages[i].role == ASSISTANT;
        let places = (self.given.max(1)..self.messages.len()).filter(is_learnt);
        places.map(|i| Chat {
            messages: self.messages[..=i].to_vec(),
            given: i,
        })
    }
}

/// The column with conversations, where there is one.
pub(super) fn find(table: &Table) -> Option<&str> {
    CHATS.iter().find_map(|name| {
        let (place, name) = (table.columns.iter().enumerate())
            .find(|(_, column)| column.eq_ignore_ascii_case(name))?;
        let mut cells = table.rows.iter().filter_map(|row| row.cells.get(place));
        let is_list = cells.any(|cell| matches!(cell, Cell::Json(Value::Array(_))));
        is_list.then_some(name.as_str())
    })
}

/// Reads a conversation; `completion` are messages that go on from it, where these alone are to
/// be learnt.
pub(super) fn chat_of(
    at: Place<'_>,
    cell: Cell,
    completion: Option<(Place<'_>, Cell)>,
) -> Result<Example> {
    let mut chat = Chat {
        messages: messages_of(at, cell)?,
        given: 0,
    };
    let mut place = at;
    if let Some((at, cell)) = completion {
        chat.given = chat.messages.len();
        chat.messages.extend(messages_of(at, cell)?);
        place = at;
    }
    let has_turn = chat.turns().next().is_some();
    has_turn
        .then(|| Example {
            chat: Some(chat),
            ..Example::default()
        })
        .ok_or_else(|| {
            place.unlike(
                "messages with one of an assistant behind another message",
                "without one",
            )
        })
}

fn messages_of(at: Place<'_>, cell: Cell) -> Result<Vec<Message>> {
    let items = match cell {
        Cell::Json(Value::Array(items)) => items,
        Cell::Missing => return Err(at.missing()),
        other => return Err(at.unlike(WANTED, other.kind())),
    };
    items.iter().map(|item| message_of(at, item)).collect()
}

fn message_of(at: Place<'_>, item: &Value) -> Result<Message> {
    let Value::Object(object) = item else {
        return Err(at.unlike(WANTED, kind_of(item)));
    };
    let text = |name: &str| object.get(name).and_then(Value::as_str);
    let role = match (text("role"), text("from")) {
        (Some(role), _) => role,
        (None, Some("human")) => "user",
        (None, Some("gpt")) => ASSISTANT,
        (None, Some(from)) => from,
        (None, None) => return Err(at.unlike(WANTED, "a message without `role`")),
    };
    let content = content_of(object)
        .ok_or_else(|| at.unlike(WANTED, "a message without a text in `content` (or `value`)"))?;
    Ok(Message {
        role: role.into(),
        content,
    })
}

fn content_of(object: &Map<String, Value>) -> Option<String> {
    match object.get("content").or_else(|| object.get("value"))? {
        Value::String(text) => Some(text.clone()),
        Value::Array(parts) => {
            let texts = parts.iter().map(|part| part.get("text")?.as_str());
            texts.collect::<Option<String>>()
        }
        _ => None,
    }
}

/// Makes an example of every reply that is to be learnt; how many conversations there were.
pub(super) fn split_up(split: &mut Split) -> Option<usize> {
    let chats = split.texts.iter().filter(|e| e.chat.is_some()).count();
    if chats == 0 {
        return None;
    }
    let mut texts = Vec::new();
    for example in std::mem::take(&mut split.texts) {
        match &example.chat {
            Some(chat) => texts.extend(chat.turns().map(example_of)),
            None => texts.push(example),
        }
    }
    split.labels = Labels::Tokens(vec![0; texts.len()]);
    split.texts = texts;
    Some(chats)
}

fn example_of(turn: Chat) -> Example {
    let lines = turn.prompt().iter();
    let lines: Vec<String> = lines
        .map(|m| format!("{}: {}", m.role, m.content))
        .collect();
    Example {
        text: lines.join("\n"),
        text_pair: turn.messages.last().map(|message| message.content.clone()),
        parts: Vec::new(),
        chat: Some(turn),
    }
}
