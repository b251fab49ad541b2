//! One value for each parameter of a box.

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The value of one parameter, in its natural unit.
///
/// Serialised as the bare number or string.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// Of an integer parameter.
    Integer(i64),
    /// Of a float parameter, linear or logarithmic.
    Float(f64),
    /// Of a categorical parameter: the choice's name.
    Categorical(String),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(v) => write!(f, "{v}"),
            Self::Float(v) => write!(f, "{v}"),
            Self::Categorical(v) => write!(f, "{v}"),
        }
    }
}

impl From<&str> for Value {
    fn from(choice: &str) -> Self {
        Self::Categorical(choice.to_owned())
    }
}

impl From<String> for Value {
    fn from(choice: String) -> Self {
        Self::Categorical(choice)
    }
}

impl From<bool> for Value {
    /// The choice `true` or `false` of a boolean parameter.
    fn from(value: bool) -> Self {
        Self::Categorical(value.to_string())
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<i32> for Value {
    fn from(value: i32) -> Self {
        Self::Integer(value.into())
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

/// A point of a [`BoxSpace`](super::BoxSpace): parameter names with their
/// values, in the order of the space. Parameters that are not active have none.
///
/// Serialised as a map from name to value; that order is kept both ways where
/// the format keeps it. Whoever makes one by hand may use any order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Configuration {
    entries: Vec<(String, Value)>,
}

impl Configuration {
    /// A configuration without values, to be filled with [`Self::set`].
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the value of parameter `name`, replacing an earlier one.
    pub fn set(&mut self, name: impl Into<String>, value: Value) {
        let name = name.into();
        match self.entries.iter_mut().find(|(n, _)| *n == name) {
            Some((_, v)) => *v = value,
            None => self.entries.push((name, value)),
        }
    }

    /// The value of parameter `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.entries.iter().find(|(n, _)| n == name).map(|(_, v)| v)
    }

    /// The number that parameter `name` holds, if it is a float or an integer.
    #[must_use]
    pub fn float(&self, name: &str) -> Option<f64> {
        match self.get(name)? {
            Value::Float(v) => Some(*v),
            Value::Integer(v) => Some(*v as f64),
            Value::Categorical(_) => None,
        }
    }

    /// The integer that parameter `name` holds.
    #[must_use]
    pub fn integer(&self, name: &str) -> Option<i64> {
        match self.get(name)? {
            Value::Integer(v) => Some(*v),
            _ => None,
        }
    }

    /// The choice that parameter `name` holds.
    #[must_use]
    pub fn categorical(&self, name: &str) -> Option<&str> {
        match self.get(name)? {
            Value::Categorical(v) => Some(v),
            _ => None,
        }
    }

    /// Whether boolean parameter `name` is `true`.
    #[must_use]
    pub fn boolean(&self, name: &str) -> Option<bool> {
        self.categorical(name)?.parse().ok()
    }

    /// Names and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.entries.iter().map(|(n, v)| (n.as_str(), v))
    }

    /// Number of values.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl<N: Into<String>> FromIterator<(N, Value)> for Configuration {
    /// Of two values for one name the later one stays.
    fn from_iter<I: IntoIterator<Item = (N, Value)>>(iter: I) -> Self {
        let mut this = Self::new();
        for (name, value) in iter {
            this.set(name, value);
        }
        this
    }
}

impl fmt::Display for Configuration {
    /// `name=value` pairs, separated by commas.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (name, value)) in self.entries.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            write!(f, "{comma}{name}={value}")?;
        }
        Ok(())
    }
}

impl Serialize for Configuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.entries.len()))?;
        for (name, value) in &self.entries {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Configuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Configuration;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map from parameter names to values")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Configuration, A::Error> {
                let mut configuration = Configuration::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    configuration.set(name, value);
                }
                Ok(configuration)
            }
        }
        deserializer.deserialize_map(Entries)
    }
}
