//! Boxes declared parameter by parameter.

use super::{BoxSpace, Condition, Domain, Parameter, Value};
use crate::error::ConditionFault;
use crate::{BoError, Result};

/// Declares a [`BoxSpace`] parameter by parameter.
#[derive(Debug, Clone, Default)]
pub struct BoxSpaceBuilder {
    parameters: Vec<Parameter>,
    /// The parent of a condition that came before any parameter.
    orphan: Option<String>,
}

impl BoxSpaceBuilder {
    /// Adds a parameter with any domain.
    #[must_use]
    pub fn parameter(mut self, name: impl Into<String>, domain: Domain) -> Self {
        self.parameters.push(Parameter::new(name, domain));
        self
    }

    /// Adds a float in `[low, high]`.
    #[must_use]
    pub fn float(self, name: impl Into<String>, low: f64, high: f64) -> Self {
        let log = false;
        self.parameter(name, Domain::Float { low, high, log })
    }

    /// Adds a float in `[low, high]`, `low > 0`, on a logarithmic scale.
    #[must_use]
    pub fn log_float(self, name: impl Into<String>, low: f64, high: f64) -> Self {
        let log = true;
        self.parameter(name, Domain::Float { low, high, log })
    }

    /// Adds an integer in `[low, high]`, both included.
    #[must_use]
    pub fn integer(self, name: impl Into<String>, low: i64, high: i64) -> Self {
        let log = false;
        self.parameter(name, Domain::Integer { low, high, log })
    }

    /// Adds an integer in `[low, high]`, `low >= 1`, on a logarithmic scale.
    #[must_use]
    pub fn log_integer(self, name: impl Into<String>, low: i64, high: i64) -> Self {
        let log = true;
        self.parameter(name, Domain::Integer { low, high, log })
    }

    /// Adds a choice among names.
    #[must_use]
    pub fn categorical<C: Into<String>>(
        self,
        name: impl Into<String>,
        choices: impl IntoIterator<Item = C>,
    ) -> Self {
        let choices = choices.into_iter().map(Into::into).collect();
        self.parameter(name, Domain::Categorical { choices })
    }

    /// Adds a choice between `false` and `true`, read by
    /// [`Configuration::boolean`](super::Configuration::boolean).
    #[must_use]
    pub fn boolean(self, name: impl Into<String>) -> Self {
        self.categorical(name, ["false", "true"])
    }

    /// Makes the parameter declared last active only when `parent` has one of
    /// `values`. Several conditions must all hold.
    ///
    /// ```
    /// use bomf_bo::space::{BoxSpace, Space};
    ///
    /// let space = BoxSpace::builder()
    ///     .categorical("optimizer", ["adam", "sgd"])
    ///     .float("momentum", 0.0, 0.99)
    ///     .when("optimizer", ["sgd"])
    ///     .build()?;
    /// let adam = space.decode(&[1.0, 0.0, 0.3])?;
    /// assert_eq!(adam.to_string(), "optimizer=adam");
    /// let sgd = space.decode(&[0.0, 1.0, 0.0])?;
    /// assert_eq!(sgd.to_string(), "optimizer=sgd, momentum=0");
    /// # Ok::<(), bomf_bo::BoError>(())
    /// ```
    #[must_use]
    pub fn when<V: Into<Value>>(
        mut self,
        parent: impl Into<String>,
        values: impl IntoIterator<Item = V>,
    ) -> Self {
        let parent = parent.into();
        match self.parameters.last_mut() {
            Some(p) => p.conditions.push(Condition {
                parent,
                values: values.into_iter().map(Into::into).collect(),
            }),
            None => self.orphan = Some(parent),
        }
        self
    }

    /// The space.
    ///
    /// # Errors
    /// As [`BoxSpace::new`], and [`BoError::Condition`] if a condition came
    /// before any parameter.
    pub fn build(self) -> Result<BoxSpace> {
        if let Some(parent) = self.orphan {
            return Err(BoError::Condition {
                name: String::new(),
                parent,
                reason: ConditionFault::NoParameter,
            });
        }
        BoxSpace::new(self.parameters)
    }
}
