//! The values of a method's parameters for one tensor.

use super::{MethodSpec, ParamSpec, Scope, Value};
use crate::error::{FuseError, Result};

/// The parameters of one method for one tensor: every declared one has a valid value.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Params {
    /// By name, for the method.
    pub method: Vec<(&'static str, Value)>,
    /// By model, then by name.
    pub models: Vec<Vec<(&'static str, Value)>>,
}

impl Params {
    /// The declared parameters of a method for `models` models: what `given` says of each (asked
    /// with the model's number for those that every model has), or else its default.
    ///
    /// ```
    /// use bomf_fuse::method::{Params, Value};
    /// let ties = bomf_fuse::registry::get("ties")?.spec();
    /// let params = Params::new(ties, 2, |name, model| match (name, model) {
    ///     ("weight", Some(_)) => Some(Value::Number(0.5)),
    ///     ("density", Some(0)) => Some(Value::Number(0.2)),
    ///     _ => None,
    /// })?;
    /// assert_eq!(params.numbers("density"), [0.2, 1.0]);
    /// assert!(params.flag("normalize"));
    /// # Ok::<(), bomf_fuse::FuseError>(())
    /// ```
    ///
    /// # Errors
    /// [`FuseError::MissingParameter`], [`FuseError::InvalidParameter`].
    pub fn new(
        spec: &'static MethodSpec,
        models: usize,
        given: impl Fn(&str, Option<usize>) -> Option<Value>,
    ) -> Result<Self> {
        let value = |param: &'static ParamSpec, model| {
            let value = given(param.name, model).or(param.default);
            let value = value.ok_or(FuseError::MissingParameter {
                method: spec.name,
                parameter: param.name,
                model,
            })?;
            if !param.takes(value) {
                return Err(FuseError::InvalidParameter {
                    method: spec.name,
                    parameter: param.name,
                    model,
                    kind: param.kind,
                    found: value,
                });
            }
            Ok((param.name, value))
        };
        let of = |scope| spec.params.iter().filter(move |p| p.scope == scope);
        Ok(Self {
            method: of(Scope::Method)
                .map(|p| value(p, None))
                .collect::<Result<_>>()?,
            models: (0..models)
                .map(|i| of(Scope::Model).map(|p| value(p, Some(i))).collect())
                .collect::<Result<_>>()?,
        })
    }

    /// A number of the method.
    ///
    /// # Panics
    /// If the method declares no such number.
    pub fn number(&self, name: &str) -> f64 {
        number(&self.method, name)
    }

    /// A flag of the method.
    ///
    /// # Panics
    /// If the method declares no such flag.
    pub fn flag(&self, name: &str) -> bool {
        flag(&self.method, name)
    }

    /// A number of each model, in their order.
    ///
    /// # Panics
    /// If the method declares no such number.
    pub fn numbers(&self, name: &str) -> Vec<f64> {
        self.models.iter().map(|m| number(m, name)).collect()
    }
}

fn number(values: &[(&'static str, Value)], name: &str) -> f64 {
    match values.iter().find(|(n, _)| *n == name) {
        Some((_, Value::Number(value))) => *value,
        _ => panic!("the method declares no number `{name}`"),
    }
}

fn flag(values: &[(&'static str, Value)], name: &str) -> bool {
    match values.iter().find(|(n, _)| *n == name) {
        Some((_, Value::Flag(value))) => *value,
        _ => panic!("the method declares no flag `{name}`"),
    }
}
