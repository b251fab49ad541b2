//! Declarations of parameters that several methods have.

use crate::method::{Kind, ParamSpec, Scope, Value};

/// A number from `low` to `high`.
pub(crate) const fn number(
    name: &'static str,
    help: &'static str,
    scope: Scope,
    range: (f64, f64),
    default: Option<f64>,
) -> ParamSpec {
    ParamSpec {
        name,
        help,
        kind: Kind::Number {
            low: range.0,
            high: range.1,
        },
        scope,
        default: match default {
            Some(value) => Some(Value::Number(value)),
            None => None,
        },
    }
}

/// Yes or no, for the whole method.
pub(crate) const fn flag(name: &'static str, help: &'static str, default: bool) -> ParamSpec {
    ParamSpec {
        name,
        help,
        kind: Kind::Flag,
        scope: Scope::Method,
        default: Some(Value::Flag(default)),
    }
}

/// Any finite number.
pub(crate) const FINITE: (f64, f64) = (f64::MIN, f64::MAX);

/// Any finite number that is not negative.
pub(crate) const NOT_NEGATIVE: (f64, f64) = (0.0, f64::MAX);

/// A model's weight, which every recipe must give.
pub(crate) const WEIGHT: ParamSpec =
    number("weight", "the model's weight", Scope::Model, FINITE, None);

/// Read so that recipes of mergekit run as they are.
pub(crate) const INT8_MASK: ParamSpec = flag(
    "int8_mask",
    "without effect: masks are made as they are used and stored nowhere",
    false,
);
