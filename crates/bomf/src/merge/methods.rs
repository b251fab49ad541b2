//! The methods that recipes can name, described.

use crate::Error;
use bomf_fuse::method::{Base, Method, ParamSpec, Scope, Statistics, Value};
use bomf_fuse::registry;
use serde::Serialize;

/// What a method says of itself.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MethodInfo {
    /// Its name in recipes.
    pub name: &'static str,
    /// What it does, in one line.
    pub summary: &'static str,
    /// The paper it comes from; empty if there is none.
    pub paper: &'static str,
    /// Whether it wants a base model: `required`, `optional` or `unused`.
    pub base: &'static str,
    /// How many models it takes, the base model not counted.
    pub models: String,
    /// What statistics of each model it needs: `fisher`, `gram`, or none.
    pub statistics: Option<&'static str>,
    /// Its parameters.
    pub parameters: Vec<ParameterInfo>,
}

/// What a method says of a parameter.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ParameterInfo {
    /// Its name in recipes.
    pub name: &'static str,
    /// Whether it is one for all models or one for each: `method` or `model`.
    pub scope: &'static str,
    /// What values it takes, in words.
    pub values: String,
    /// The value where the recipe gives none; without one, the recipe must.
    pub default: Option<serde_json::Value>,
    /// What it does, in one line.
    pub help: &'static str,
}

/// Every method, in the order of the registry.
pub fn methods() -> Vec<MethodInfo> {
    registry::all().iter().map(|m| info(*m)).collect()
}

/// The method of this name.
///
/// # Errors
/// [`bomf_fuse::FuseError::UnknownMethod`], with the nearest name.
pub fn method(name: &str) -> Result<MethodInfo, Error> {
    Ok(info(registry::get(name)?))
}

fn info(method: &dyn Method) -> MethodInfo {
    let spec = method.spec();
    MethodInfo {
        name: spec.name,
        summary: spec.summary,
        paper: spec.paper,
        base: match spec.base {
            Base::Required => "required",
            Base::Optional => "optional",
            Base::Unused => "unused",
        },
        models: match spec.models {
            (least, usize::MAX) => format!("{least} or more"),
            (least, most) if least == most => format!("{least}"),
            (least, most) => format!("{least} to {most}"),
        },
        statistics: method.statistics().map(Statistics::as_str),
        parameters: spec.params.iter().map(parameter).collect(),
    }
}

fn parameter(spec: &ParamSpec) -> ParameterInfo {
    ParameterInfo {
        name: spec.name,
        scope: match spec.scope {
            Scope::Method => "method",
            Scope::Model => "model",
        },
        values: spec.kind.to_string(),
        default: spec.default.map(|default| match default {
            Value::Number(number) => number.into(),
            Value::Flag(flag) => flag.into(),
        }),
        help: spec.help,
    }
}
