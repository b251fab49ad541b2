//! Boxes of named parameters.

use serde::{Deserialize, Serialize};

use super::{Configuration, Domain, Space, Value};
use crate::{BoError, Result};

/// A named parameter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Parameter {
    /// Its name, unique in its space.
    pub name: String,
    /// The values that it may take.
    pub domain: Domain,
}

/// A product of parameters, with the map of its configurations onto the unit
/// cube.
///
/// ```
/// use bomf_bo::space::{BoxSpace, Space};
///
/// let space = BoxSpace::builder()
///     .log_float("learning_rate", 1e-6, 1e-3)
///     .integer("batch_size", 4, 32)
///     .categorical("schedule", ["constant", "linear"])
///     .build()?;
/// assert_eq!(space.dim(), 4); // one coordinate a number, one a choice
/// let c = space.decode(&[0.5, 1.0, 0.2, 0.7])?;
/// assert_eq!(c.integer("batch_size"), Some(32));
/// assert_eq!(c.categorical("schedule"), Some("linear"));
/// # Ok::<(), bomf_bo::BoError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct BoxSpace {
    parameters: Vec<Parameter>,
    dim: usize,
}

impl BoxSpace {
    /// A space of `parameters`, in their order.
    ///
    /// # Errors
    /// [`BoError::EmptySpace`], [`BoError::DuplicateParameter`] or
    /// [`BoError::Domain`].
    pub fn new(parameters: Vec<Parameter>) -> Result<Self> {
        if parameters.is_empty() {
            return Err(BoError::EmptySpace);
        }
        for (i, p) in parameters.iter().enumerate() {
            if parameters[..i].iter().any(|q| q.name == p.name) {
                return Err(BoError::DuplicateParameter {
                    name: p.name.clone(),
                });
            }
            p.domain.check().map_err(|reason| BoError::Domain {
                name: p.name.clone(),
                reason,
            })?;
        }
        let dim = parameters.iter().map(|p| p.domain.width()).sum();
        Ok(Self { parameters, dim })
    }

    /// Starts a space that is declared parameter by parameter.
    #[must_use]
    pub fn builder() -> BoxSpaceBuilder {
        BoxSpaceBuilder::default()
    }

    /// The parameters, in order.
    #[must_use]
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// Moves `unit` (shape `dim`) onto the coordinates of its nearest
    /// configuration, so that a model sees what will be evaluated.
    pub(crate) fn snap(&self, unit: &mut [f64]) {
        let mut at = 0;
        let mut own = Vec::new();
        for p in &self.parameters {
            let width = p.domain.width();
            let slot = &mut unit[at..at + width];
            at += width;
            match &p.domain {
                Domain::Float { .. } => slot[0] = slot[0].clamp(0.0, 1.0),
                domain => {
                    own.clear();
                    let value = domain.decode(slot);
                    if domain.encode(&value, &mut own) {
                        slot.copy_from_slice(&own);
                    }
                }
            }
        }
    }

    /// Which unit coordinates vary continuously.
    pub(crate) fn continuous(&self) -> Vec<bool> {
        self.parameters
            .iter()
            .flat_map(|p| {
                let is_float = matches!(p.domain, Domain::Float { .. });
                std::iter::repeat_n(is_float, p.domain.width())
            })
            .collect()
    }

    /// The points that differ from the snapped point `unit` in one discrete
    /// parameter: each other choice, and integers near and far (steps of 1 and
    /// of an eighth of the range, both ways).
    pub(crate) fn neighbours(&self, unit: &[f64]) -> Vec<Vec<f64>> {
        let mut all = Vec::new();
        let mut at = 0;
        for p in &self.parameters {
            let width = p.domain.width();
            let own = &unit[at..at + width];
            let others: Vec<Value> = match (&p.domain, p.domain.decode(own)) {
                (Domain::Integer { low, high, .. }, Value::Integer(v)) => {
                    let far = (high.abs_diff(*low) / 8) as i64;
                    let mut steps = vec![v - 1, v + 1];
                    if far > 1 {
                        steps.extend([v - far, v + far]);
                    }
                    steps.retain(|s| (*low..=*high).contains(s));
                    steps.into_iter().map(Value::Integer).collect()
                }
                (Domain::Categorical { choices }, Value::Categorical(v)) => choices
                    .iter()
                    .filter(|c| **c != v)
                    .map(|c| Value::Categorical(c.clone()))
                    .collect(),
                _ => Vec::new(),
            };
            for value in others {
                let mut coordinates = Vec::with_capacity(width);
                if p.domain.encode(&value, &mut coordinates) {
                    let mut neighbour = unit.to_vec();
                    neighbour[at..at + width].copy_from_slice(&coordinates);
                    all.push(neighbour);
                }
            }
            at += width;
        }
        all
    }
}

impl Space for BoxSpace {
    type Point = Configuration;

    /// One a float or integer, one a choice.
    fn dim(&self) -> usize {
        self.dim
    }

    /// Number of configurations; `None` if a parameter is a float.
    /// (`u64::MAX` where there are more.)
    fn cardinality(&self) -> Option<u64> {
        self.parameters.iter().try_fold(1_u64, |n, p| {
            Some(n.saturating_mul(p.domain.cardinality()?))
        })
    }

    /// The unit coordinates (shape `dim`) of a configuration.
    ///
    /// # Errors
    /// [`BoError::MissingParameter`], [`BoError::UnknownParameter`] or
    /// [`BoError::Value`].
    fn encode(&self, configuration: &Configuration) -> Result<Vec<f64>> {
        for (name, _) in configuration.iter() {
            if !self.parameters.iter().any(|p| p.name == name) {
                return Err(BoError::UnknownParameter {
                    name: name.to_owned(),
                });
            }
        }
        let mut unit = Vec::with_capacity(self.dim);
        for p in &self.parameters {
            let value = configuration
                .get(&p.name)
                .ok_or_else(|| BoError::MissingParameter {
                    name: p.name.clone(),
                })?;
            if !p.domain.encode(value, &mut unit) {
                return Err(BoError::Value {
                    name: p.name.clone(),
                    value: value.to_string(),
                    domain: p.domain.to_string(),
                });
            }
        }
        Ok(unit)
    }

    /// The configuration nearest to `unit` (shape `dim`): coordinates outside
    /// the cube are clipped, integers rounded, the largest coordinate of a
    /// categorical parameter taken (the first of equals).
    ///
    /// # Errors
    /// [`BoError::Dimension`] or [`BoError::NotFinite`].
    fn decode(&self, unit: &[f64]) -> Result<Configuration> {
        if unit.len() != self.dim {
            return Err(BoError::Dimension {
                what: "a point of the unit cube",
                found: unit.len(),
                expected: self.dim,
            });
        }
        if let Some(&value) = unit.iter().find(|u| u.is_nan()) {
            return Err(BoError::NotFinite {
                what: "the coordinates",
                index: 0,
                value,
            });
        }
        let mut rest = unit;
        Ok(self
            .parameters
            .iter()
            .map(|p| {
                let (own, others) = rest.split_at(p.domain.width());
                rest = others;
                (p.name.clone(), p.domain.decode(own))
            })
            .collect())
    }

    /// All points of a finite space as unit coordinates, in a fixed order; call
    /// it for small [`Self::cardinality`] only. Empty if a parameter is a float.
    fn enumerate(&self) -> Vec<Vec<f64>> {
        let mut all = vec![Vec::with_capacity(self.dim)];
        for p in &self.parameters {
            let values: Vec<Value> = match &p.domain {
                Domain::Float { .. } => return Vec::new(),
                Domain::Integer { low, high, .. } => (*low..=*high).map(Value::Integer).collect(),
                Domain::Categorical { choices } => {
                    choices.iter().cloned().map(Value::Categorical).collect()
                }
            };
            let mut longer = Vec::with_capacity(all.len() * values.len());
            for start in &all {
                for value in &values {
                    let mut unit: Vec<f64> = start.clone();
                    if p.domain.encode(value, &mut unit) {
                        longer.push(unit);
                    }
                }
            }
            all = longer;
        }
        all
    }

    fn same(&self, a: &[f64], b: &[f64], tolerance: f64) -> bool {
        self.continuous()
            .iter()
            .zip(a.iter().zip(b))
            .all(|(continuous, (a, b))| a == b || (*continuous && (a - b).abs() <= tolerance))
    }

    fn design_dim(&self) -> usize {
        self.dim
    }

    fn design_point(&self, u: &[f64]) -> Vec<f64> {
        let mut x = u.to_vec();
        self.snap(&mut x);
        x
    }

    fn prior_dim(&self) -> f64 {
        self.dim as f64
    }

    fn is_symmetric(&self) -> bool {
        false
    }
}

/// Declares a [`BoxSpace`] parameter by parameter.
#[derive(Debug, Clone, Default)]
pub struct BoxSpaceBuilder {
    parameters: Vec<Parameter>,
}

impl BoxSpaceBuilder {
    /// Adds a parameter with any domain.
    #[must_use]
    pub fn parameter(mut self, name: impl Into<String>, domain: Domain) -> Self {
        self.parameters.push(Parameter {
            name: name.into(),
            domain,
        });
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

    /// The space.
    ///
    /// # Errors
    /// As [`BoxSpace::new`].
    pub fn build(self) -> Result<BoxSpace> {
        BoxSpace::new(self.parameters)
    }
}
