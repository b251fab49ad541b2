//! Values and sections of a parsed document, each read with what it may hold.

use super::RecipeError;
use super::node::{Key, Node, Value};
use std::fmt;

/// Words that are spelled at least this alike (Jaro-Winkler, 1 is equal) are worth
/// a "did you mean": `epoch` and `epochs` have 0.97, `lerning_rate` and
/// `learning_rate` 0.97, but `step` and `type` 0.72.
const ALIKE: f64 = 0.8;

/// The word that is spelled most like `word`.
pub(crate) fn nearest<'a>(
    word: &str,
    among: impl IntoIterator<Item = &'a &'static str>,
) -> Option<&'static str> {
    among
        .into_iter()
        .map(|&known| (strsim::jaro_winkler(word, known), known))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}

/// An interval of numbers, its ends in or out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Range {
    low: f64,
    low_in: bool,
    high: f64,
    high_in: bool,
}

impl Range {
    pub const FINITE: Range = Range::from(f64::MIN).to(f64::MAX);

    pub const fn from(low: f64) -> Self {
        Range {
            low,
            low_in: true,
            high: f64::MAX,
            high_in: true,
        }
    }

    pub const fn above(low: f64) -> Self {
        Range {
            low_in: false,
            ..Range::from(low)
        }
    }

    pub const fn to(self, high: f64) -> Self {
        Range {
            high,
            high_in: true,
            ..self
        }
    }

    pub const fn below(self, high: f64) -> Self {
        Range {
            high,
            high_in: false,
            ..self
        }
    }

    /// No end of the interval is met by NaN.
    pub fn contains(self, value: f64) -> bool {
        let low = value > self.low || (self.low_in && value == self.low);
        let high = value < self.high || (self.high_in && value == self.high);
        low && high
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.low == f64::MIN, self.low_in) {
            (true, _) => {}
            (false, true) => write!(f, "of at least {}", self.low)?,
            (false, false) => write!(f, "above {}", self.low)?,
        }
        let both = self.low != f64::MIN && self.high != f64::MAX;
        f.write_str(if both { " and " } else { "" })?;
        match (self.high == f64::MAX, self.high_in) {
            (true, _) => Ok(()),
            (false, true) => write!(f, "at most {}", self.high),
            (false, false) => write!(f, "below {}", self.high),
        }
    }
}

/// One value and how to speak of it.
#[derive(Debug, Clone)]
pub(crate) struct Field<'a> {
    pub file: &'a str,
    pub path: String,
    pub node: &'a Node,
}

impl<'a> Field<'a> {
    /// "`path` is ..., but must be ...".
    pub fn wrong(&self, expected: impl Into<String>) -> RecipeError {
        RecipeError::BadValue {
            file: self.file.into(),
            line: self.node.line,
            field: self.path.clone(),
            value: match &self.node.value {
                Value::Text(text) => format!("`{text}`"),
                other => other.to_string(),
            },
            expected: expected.into(),
            nearest: None,
        }
    }

    /// As [`wrong`](Self::wrong), of what has no path of its own.
    pub fn wrong_place(&self, path: &str, expected: &str) -> RecipeError {
        let field = Field {
            path: path.into(),
            ..self.clone()
        };
        field.wrong(expected)
    }

    pub fn integer(&self, low: u64, high: u64) -> Result<u64, RecipeError> {
        let whole = match self.node.value {
            Value::Integer(value) => u64::try_from(value).ok(),
            // `1e3` is a number to YAML and a whole one to people.
            Value::Number(value) if value.fract() == 0.0 && (0.0..1e15).contains(&value) => {
                Some(value as u64)
            }
            _ => None,
        };
        whole
            .filter(|value| (low..=high).contains(value))
            .ok_or_else(|| {
                self.wrong(match high {
                    u64::MAX => format!("a whole number of at least {low}"),
                    high => format!("a whole number from {low} to {high}"),
                })
            })
    }

    pub fn count(&self, low: usize, high: usize) -> Result<usize, RecipeError> {
        Ok(self.integer(low as u64, high as u64)? as usize)
    }

    pub fn number(&self, range: Range) -> Result<f64, RecipeError> {
        let value = match self.node.value {
            Value::Integer(value) => Some(value as f64),
            Value::Number(value) => Some(value),
            _ => None,
        };
        value
            .filter(|&value| range.contains(value))
            .ok_or_else(|| match range == Range::FINITE {
                true => self.wrong("a number"),
                false => self.wrong(format!("a number {range}")),
            })
    }

    pub fn boolean(&self) -> Result<bool, RecipeError> {
        match self.node.value {
            Value::Bool(value) => Ok(value),
            _ => Err(self.wrong("true or false")),
        }
    }

    /// A text; whole numbers and truth values count as the text they were written
    /// as, other numbers must be quoted (1.0 and 1.00 would look the same).
    pub fn text(&self) -> Result<String, RecipeError> {
        match &self.node.value {
            Value::Text(text) if !text.is_empty() => Ok(text.clone()),
            value @ (Value::Integer(_) | Value::Bool(_)) => Ok(value.to_string()),
            Value::Number(_) => Err(self.wrong("a text: put it in quotes")),
            _ => Err(self.wrong("a text that is not empty")),
        }
    }

    pub fn word<T: Copy>(&self, named: &[(&'static str, T)]) -> Result<T, RecipeError> {
        let Value::Text(text) = &self.node.value else {
            return Err(self.wrong(one_of(named)));
        };
        if let Some((_, value)) = named.iter().find(|(name, _)| name == text) {
            return Ok(*value);
        }
        let words: Vec<&'static str> = named.iter().map(|(name, _)| *name).collect();
        let mut error = self.wrong(one_of(named));
        if let RecipeError::BadValue { nearest: near, .. } = &mut error {
            *near = nearest(text, &words);
        }
        Err(error)
    }

    pub fn items(&self) -> Result<Vec<Field<'a>>, RecipeError> {
        let Value::List(items) = &self.node.value else {
            return Err(self.wrong("a list"));
        };
        Ok(items
            .iter()
            .enumerate()
            .map(|(index, node)| Field {
                file: self.file,
                path: format!("{}[{index}]", self.path),
                node,
            })
            .collect())
    }

    /// The entries of a mapping whose keys are names of something.
    pub fn entries<T: Copy>(
        &self,
        named: &[(&'static str, T)],
    ) -> Result<Vec<(T, Field<'a>)>, RecipeError> {
        let Value::Map(entries) = &self.node.value else {
            return Err(self.wrong("a mapping"));
        };
        entries
            .iter()
            .map(|(key, node)| {
                let field = Field {
                    file: self.file,
                    path: join(&self.path, &key.name),
                    node,
                };
                match named.iter().find(|(name, _)| *name == key.name) {
                    Some((_, value)) => Ok((*value, field)),
                    None => Err(unknown(
                        self.file,
                        &self.path,
                        key,
                        named.iter().map(|(name, _)| *name).collect(),
                    )),
                }
            })
            .collect()
    }

    /// The value as a section; null is an empty one.
    pub fn section(&self) -> Result<Section<'a>, RecipeError> {
        let entries = match &self.node.value {
            Value::Map(entries) => entries.as_slice(),
            Value::Null => &[],
            _ => return Err(self.wrong("a mapping of fields")),
        };
        Ok(Section {
            file: self.file,
            path: self.path.clone(),
            entries,
            known: Vec::new(),
        })
    }
}

/// A mapping with a fixed set of fields, which is what was asked of it.
#[derive(Debug)]
pub(crate) struct Section<'a> {
    pub file: &'a str,
    path: String,
    entries: &'a [(Key, Node)],
    known: Vec<&'static str>,
}

impl<'a> Section<'a> {
    /// The field, if it is there and not null.
    pub fn field(&mut self, name: &'static str) -> Option<Field<'a>> {
        self.known.push(name);
        self.entries
            .iter()
            .find(|(key, node)| key.name == name && node.value != Value::Null)
            .map(|(_, node)| Field {
                file: self.file,
                path: join(&self.path, name),
                node,
            })
    }

    /// Reads the field into `value`, which stays as it is where the field is left
    /// out or null.
    pub fn read<T>(
        &mut self,
        name: &'static str,
        value: &mut T,
        read: impl FnOnce(Field<'a>) -> Result<T, RecipeError>,
    ) -> Result<(), RecipeError> {
        if let Some(field) = self.field(name) {
            *value = read(field)?;
        }
        Ok(())
    }

    /// A field that is a section itself; an empty one where it is left out.
    pub fn section(&mut self, name: &'static str) -> Result<Section<'a>, RecipeError> {
        match self.field(name) {
            Some(field) => field.section(),
            None => Ok(Section {
                file: self.file,
                path: join(&self.path, name),
                entries: &[],
                known: Vec::new(),
            }),
        }
    }

    /// Refuses fields that nobody asked for.
    pub fn finish(self) -> Result<(), RecipeError> {
        match self
            .entries
            .iter()
            .find(|(key, _)| !self.known.contains(&key.name.as_str()))
        {
            None => Ok(()),
            Some((key, _)) => Err(unknown(self.file, &self.path, key, self.known)),
        }
    }
}

fn unknown(file: &str, section: &str, key: &Key, known: Vec<&'static str>) -> RecipeError {
    RecipeError::UnknownField {
        file: file.into(),
        line: key.line,
        field: key.name.clone(),
        section: section.into(),
        nearest: nearest(&key.name, &known),
        known,
    }
}

fn one_of<T>(named: &[(&'static str, T)]) -> String {
    let words: Vec<&str> = named.iter().map(|(name, _)| *name).collect();
    match words.split_last() {
        Some((last, [])) => (*last).into(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => "nothing".into(),
    }
}

fn join(path: &str, name: &str) -> String {
    match path {
        "" => name.into(),
        path => format!("{path}.{name}"),
    }
}
