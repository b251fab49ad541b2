//! What a method says of itself: its name and paper, the models it takes, and its parameters.

use std::fmt;

use crate::error::{FuseError, Result};

/// A parameter's value for one tensor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    /// A number.
    Number(f64),
    /// Yes or no.
    Flag(bool),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Number(number) => number.fmt(f),
            Value::Flag(flag) => flag.fmt(f),
        }
    }
}

/// What values a parameter takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// A finite number from `low` to `high`.
    Number {
        /// The least value.
        low: f64,
        /// The greatest value.
        high: f64,
    },
    /// A whole number from `low` to `high`.
    Integer {
        /// The least value.
        low: i64,
        /// The greatest value.
        high: i64,
    },
    /// Yes or no.
    Flag,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Kind::Number { low, high } => match (low == f64::MIN, high == f64::MAX) {
                (true, true) => write!(f, "a finite number"),
                (false, true) => write!(f, "a finite number of at least {low}"),
                (true, false) => write!(f, "a finite number of at most {high}"),
                (false, false) => write!(f, "a number from {low} to {high}"),
            },
            Kind::Integer { low, high } => write!(f, "a whole number from {low} to {high}"),
            Kind::Flag => write!(f, "true or false"),
        }
    }
}

/// Whether a parameter is one for all models or one a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// One for the whole method.
    Method,
    /// One for each model.
    Model,
}

/// A parameter that a method declares.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ParamSpec {
    /// Its name in recipes.
    pub name: &'static str,
    /// What it does, in one line.
    pub help: &'static str,
    /// Its values.
    pub kind: Kind,
    /// For the method or for each model.
    pub scope: Scope,
    /// The value where the recipe gives none; without one, the recipe must.
    pub default: Option<Value>,
}

impl ParamSpec {
    /// Whether the parameter takes a value.
    pub fn takes(&self, value: Value) -> bool {
        match (self.kind, value) {
            (Kind::Number { low, high }, Value::Number(x)) => low <= x && x <= high,
            (Kind::Integer { low, high }, Value::Number(x)) => {
                x.fract() == 0.0 && low as f64 <= x && x <= high as f64
            }
            (Kind::Flag, Value::Flag(_)) => true,
            _ => false,
        }
    }
}

/// Whether a method wants a base model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Base {
    /// It cannot do without: it works on differences from the base.
    Required,
    /// It can use one.
    Optional,
    /// It has no use for one.
    Unused,
}

/// What a method says of itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MethodSpec {
    /// Its name in recipes.
    pub name: &'static str,
    /// What it does, in one line.
    pub summary: &'static str,
    /// The paper it comes from, with its arXiv number; empty if there is none.
    pub paper: &'static str,
    /// Whether it wants a base model.
    pub base: Base,
    /// The least and the greatest number of models, the base model not counted.
    pub models: (usize, usize),
    /// Its parameters.
    pub params: &'static [ParamSpec],
}

impl MethodSpec {
    /// Whether the method can work on so many models, with a base model or without.
    ///
    /// # Errors
    /// [`FuseError::ModelCount`], [`FuseError::MissingBase`].
    pub fn check_models(&'static self, models: usize, base: bool) -> Result<()> {
        let (low, high) = self.models;
        if models < low || models > high {
            return Err(FuseError::ModelCount {
                method: self.name,
                low,
                high,
                found: models,
            });
        }
        if self.base == Base::Required && !base {
            return Err(FuseError::MissingBase { method: self.name });
        }
        Ok(())
    }
}
