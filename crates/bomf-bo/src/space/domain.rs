//! What values a parameter may take, and their place on the unit interval.
//!
//! A linear float at `v` stands at `(v - low) / (high - low)`, a logarithmic one
//! at the same of the logarithms. An integer stands in the middle of its own of
//! `high - low + 1` equal bins (equal in the logarithm of the bin edges
//! `v ± 1/2` on a logarithmic scale), so that a uniform point of the unit
//! interval rounds to each integer of a linear scale equally often. A
//! categorical parameter with `c` choices takes `c` coordinates, one of them 1
//! and the rest 0 (for `c = 1`: the single 1).

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Value;
use crate::error::DomainFault;

/// Integers up to here are told apart by their place on the unit interval, also
/// on a logarithmic scale: there a place is known to `2^-53`, and so the largest
/// `v` to `ln(v) v 2^-53`, which is less than half up to `2^47`.
const EXACT_INTEGER: i64 = 1 << 43;

/// The values that a parameter may take.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Domain {
    /// Floats in `[low, high]`.
    Float {
        /// Smallest value.
        low: f64,
        /// Largest value.
        high: f64,
        /// Whether the scale is logarithmic (then `low > 0`).
        log: bool,
    },
    /// Integers in `[low, high]`, both included.
    Integer {
        /// Smallest value.
        low: i64,
        /// Largest value.
        high: i64,
        /// Whether the scale is logarithmic (then `low >= 1`).
        log: bool,
    },
    /// One of some names, without order.
    Categorical {
        /// The names.
        choices: Vec<String>,
    },
}

impl Domain {
    /// Whether the domain makes sense; what is wrong with it otherwise.
    pub(super) fn check(&self) -> Result<(), DomainFault> {
        match self {
            Self::Float { low, high, log } => {
                if !low.is_finite() || !high.is_finite() {
                    return Err(DomainFault::NotFinite);
                }
                if low >= high {
                    return Err(DomainFault::Bounds);
                }
                if *log && *low <= 0.0 {
                    return Err(DomainFault::LogOfNonPositive);
                }
            }
            Self::Integer { low, high, log } => {
                if low > high {
                    return Err(DomainFault::Bounds);
                }
                if *low < -EXACT_INTEGER || *high > EXACT_INTEGER {
                    return Err(DomainFault::TooWide);
                }
                if *log && *low < 1 {
                    return Err(DomainFault::LogOfNonPositive);
                }
            }
            Self::Categorical { choices } => {
                if choices.is_empty() {
                    return Err(DomainFault::NoChoice);
                }
                if (1..choices.len()).any(|i| choices[..i].contains(&choices[i])) {
                    return Err(DomainFault::DuplicateChoice);
                }
            }
        }
        Ok(())
    }

    pub(super) fn is_float(&self) -> bool {
        matches!(self, Self::Float { .. })
    }

    /// Where each of its coordinates stands while the parameter is not active.
    pub(super) fn centre(&self) -> f64 {
        match self {
            Self::Categorical { choices } => 1.0 / choices.len() as f64,
            _ => 0.5,
        }
    }

    /// All values; none for floats.
    pub(super) fn values(&self) -> Vec<Value> {
        match self {
            Self::Float { .. } => Vec::new(),
            Self::Integer { low, high, .. } => (*low..=*high).map(Value::Integer).collect(),
            Self::Categorical { choices } => {
                choices.iter().cloned().map(Value::Categorical).collect()
            }
        }
    }

    /// Number of unit coordinates that it takes.
    pub(super) fn width(&self) -> usize {
        match self {
            Self::Categorical { choices } => choices.len(),
            _ => 1,
        }
    }

    /// Number of values; `None` for floats.
    pub(super) fn cardinality(&self) -> Option<u64> {
        match self {
            Self::Float { .. } => None,
            Self::Integer { low, high, .. } => Some(high.abs_diff(*low).saturating_add(1)),
            Self::Categorical { choices } => Some(choices.len() as u64),
        }
    }

    /// The unit coordinates of `value`, appended to `out`; false if the value
    /// is not in the domain. An integer stands for a float of the same size.
    pub(crate) fn encode(&self, value: &Value, out: &mut Vec<f64>) -> bool {
        match (self, value) {
            (Self::Float { low, high, log }, value) => {
                let v = match value {
                    Value::Float(v) => *v,
                    Value::Integer(v) => *v as f64,
                    Value::Categorical(_) => return false,
                };
                if !(*low..=*high).contains(&v) {
                    return false;
                }
                let scale = Scale::new(*low, *high, *log);
                out.push(scale.to_unit(v));
                true
            }
            (Self::Integer { low, high, log }, Value::Integer(v)) => {
                if !(*low..=*high).contains(v) {
                    return false;
                }
                let scale = Scale::bins(*low, *high, *log);
                let edge = *v as f64;
                out.push(0.5 * (scale.to_unit(edge - 0.5) + scale.to_unit(edge + 0.5)));
                true
            }
            (Self::Categorical { choices }, Value::Categorical(v)) => {
                if !choices.contains(v) {
                    return false;
                }
                out.extend(choices.iter().map(|c| f64::from(u8::from(c == v))));
                true
            }
            _ => false,
        }
    }

    /// The value whose unit coordinates are nearest to `unit`.
    pub(crate) fn decode(&self, unit: &[f64]) -> Value {
        match self {
            Self::Float { low, high, log } => {
                let v = Scale::new(*low, *high, *log).to_natural(unit[0]);
                Value::Float(v.clamp(*low, *high))
            }
            Self::Integer { low, high, log } => {
                let v = Scale::bins(*low, *high, *log).to_natural(unit[0]);
                Value::Integer((v.round() as i64).clamp(*low, *high))
            }
            Self::Categorical { choices } => {
                let mut best = 0;
                for (i, u) in unit.iter().enumerate() {
                    if *u > unit[best] {
                        best = i;
                    }
                }
                Value::Categorical(choices[best].clone())
            }
        }
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scale = |log: &bool| if *log { " (log)" } else { "" };
        match self {
            Self::Float { low, high, log } => {
                write!(f, "the floats [{low}, {high}]{}", scale(log))
            }
            Self::Integer { low, high, log } => {
                write!(f, "the integers [{low}, {high}]{}", scale(log))
            }
            Self::Categorical { choices } => write!(f, "the choices {choices:?}"),
        }
    }
}

/// A linear or logarithmic map between `[low, high]` and `[0, 1]`.
struct Scale {
    /// The bounds themselves, met exactly.
    ends: (f64, f64),
    low: f64,
    range: f64,
    log: bool,
}

impl Scale {
    fn new(low: f64, high: f64, log: bool) -> Self {
        let (a, b) = if log {
            (low.ln(), high.ln())
        } else {
            (low, high)
        };
        Self {
            ends: (low, high),
            low: a,
            range: b - a,
            log,
        }
    }

    fn bins(low: i64, high: i64, log: bool) -> Self {
        Self::new(low as f64 - 0.5, high as f64 + 0.5, log)
    }

    fn to_unit(&self, v: f64) -> f64 {
        let v = if self.log { v.ln() } else { v };
        ((v - self.low) / self.range).clamp(0.0, 1.0)
    }

    fn to_natural(&self, unit: f64) -> f64 {
        if unit <= 0.0 {
            return self.ends.0;
        }
        if unit >= 1.0 {
            return self.ends.1;
        }
        let v = self.low + unit * self.range;
        if self.log { v.exp() } else { v }
    }
}
