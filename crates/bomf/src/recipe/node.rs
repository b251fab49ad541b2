//! YAML text as a tree of values that know their lines.

use super::RecipeError;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{DuplicateKeyPolicy, Spanned};
use std::fmt;

/// A value and the line it begins on, from 1.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub line: u64,
    pub value: Value,
}

/// A key of a mapping and the line it stands on.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Key {
    pub line: u64,
    pub name: String,
}

/// What YAML can say (core schema: `yes` and `no` are texts, not truth values).
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Integer(i128),
    Number(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.write_str("null"),
            Value::Bool(value) => write!(f, "{value}"),
            Value::Integer(value) => write!(f, "{value}"),
            Value::Number(value) => write!(f, "{value:?}"),
            Value::Text(value) => f.write_str(value),
            Value::List(_) => f.write_str("a list"),
            Value::Map(_) => f.write_str("a mapping"),
        }
    }
}

/// Parses one YAML document; an empty one is null.
pub(crate) fn parse(text: &str, file: &str) -> Result<Node, RecipeError> {
    let options = serde_saphyr::options! {
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        duplicate_keys: DuplicateKeyPolicy::Error,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options::<Spanned<Value>>(text, options)
        .map(Node::from)
        .map_err(|error| RecipeError::Syntax {
            file: file.into(),
            line: error.location().map_or(0, |location| location.line()),
            message: message(&error),
        })
}

impl Node {
    /// This value with another one's fields in place of its own, section by section.
    pub fn changed(self, change: &Node) -> Node {
        let (Value::Map(mut own), Value::Map(new)) = (self.value, &change.value) else {
            return change.clone();
        };
        for (key, value) in new {
            match own.iter_mut().find(|(known, _)| known.name == key.name) {
                Some((known, old)) => {
                    *old = old.clone().changed(value);
                    *known = key.clone();
                }
                None => own.push((key.clone(), value.clone())),
            }
        }
        Node {
            line: change.line,
            value: Value::Map(own),
        }
    }
}

/// The parser's words for people, without the place, which is told before them.
fn message(error: &serde_saphyr::Error) -> String {
    let mut message = error.render_with_formatter(&serde_saphyr::UserMessageFormatter);
    if let Some(location) = error.location() {
        let place = format!(" at line {}, column {}", location.line(), location.column());
        if message.ends_with(&place) {
            message.truncate(message.len() - place.len());
        }
    }
    message
}

impl From<Spanned<Value>> for Node {
    fn from(spanned: Spanned<Value>) -> Self {
        Node {
            line: spanned.referenced.line(),
            value: spanned.value,
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Deserialize::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Integer(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Integer(value.into()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Value, E> {
        Ok(Value::Integer(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Number(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element::<Spanned<Value>>()? {
            list.push(item.into());
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Vec::new();
        while let Some((key, value)) = entries.next_entry::<Spanned<String>, Spanned<Value>>()? {
            let key = Key {
                line: key.referenced.line(),
                name: key.value,
            };
            map.push((key, value.into()));
        }
        Ok(Value::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_know_their_kind_and_line() {
        let node = parse("a: 5e-5\n\nb: [no, 007, 3]\nc:\n  d: ~\n", "x").unwrap();
        let Value::Map(entries) = node.value else {
            panic!("{node:?}")
        };
        assert_eq!(entries[0].1.value, Value::Number(5e-5));
        assert_eq!((entries[1].0.line, entries[1].1.line), (3, 3));
        let Value::List(items) = &entries[1].1.value else {
            panic!("{entries:?}")
        };
        assert_eq!(items[0].value, Value::Text("no".into()));
        assert_eq!(items[1].value, Value::Text("007".into()));
        assert_eq!(items[2].value, Value::Integer(3));
        let Value::Map(inner) = &entries[2].1.value else {
            panic!("{entries:?}")
        };
        assert_eq!((inner[0].0.line, &inner[0].1.value), (5, &Value::Null));
    }

    #[test]
    fn an_empty_document_is_null() {
        for text in ["", "\n", "# nothing\n", "---\n"] {
            assert_eq!(parse(text, "x").unwrap().value, Value::Null, "{text:?}");
        }
    }
}
