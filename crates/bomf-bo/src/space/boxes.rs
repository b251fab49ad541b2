//! Boxes of named parameters.

use serde::{Deserialize, Serialize};

use super::condition::Activity;
use super::{BoxSpaceBuilder, Condition, Configuration, Domain, Space, Value};
use crate::{BoError, Result};

/// A named parameter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameter {
    /// Its name, unique in its space.
    pub name: String,
    /// The values that it may take.
    pub domain: Domain,
    /// When it is active: if all of these hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

impl Parameter {
    /// A parameter that is always active.
    #[must_use]
    pub fn new(name: impl Into<String>, domain: Domain) -> Self {
        Self {
            name: name.into(),
            domain,
            conditions: Vec::new(),
        }
    }

    /// Its conditions, for a message.
    fn condition(&self) -> String {
        let all: Vec<String> = self.conditions.iter().map(Condition::to_string).collect();
        all.join(" and ")
    }
}

/// A product of parameters, with the map of its configurations onto the unit
/// cube.
///
/// A parameter with a [`Condition`] that does not hold is *inactive*: the
/// configuration leaves it out, its coordinates stand still at the centre
/// (`1/2`, and `1/c` for each of `c` choices), so that a model sees no
/// difference where there is none, and no search varies them. At the centre a
/// model's predictions for an inactive parameter borrow least from one end of
/// its range.
///
/// Serialised as `{"parameters": [..]}`; reading it back checks what
/// [`BoxSpace::new`] checks.
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Declared", into = "Declared")]
pub struct BoxSpace {
    pub(super) parameters: Vec<Parameter>,
    /// Where the coordinates of each parameter begin.
    starts: Vec<usize>,
    dim: usize,
    pub(super) activity: Activity,
}

/// A box as it is stored, not yet checked.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Declared {
    parameters: Vec<Parameter>,
}

impl TryFrom<Declared> for BoxSpace {
    type Error = BoError;

    fn try_from(declared: Declared) -> Result<Self> {
        Self::new(declared.parameters)
    }
}

impl From<BoxSpace> for Declared {
    fn from(space: BoxSpace) -> Self {
        Self {
            parameters: space.parameters,
        }
    }
}

impl BoxSpace {
    /// A space of `parameters`, in their order.
    ///
    /// # Errors
    /// [`BoError::EmptySpace`], [`BoError::DuplicateParameter`],
    /// [`BoError::Domain`] or [`BoError::Condition`].
    pub fn new(parameters: Vec<Parameter>) -> Result<Self> {
        if parameters.is_empty() {
            return Err(BoError::EmptySpace);
        }
        let mut starts = Vec::with_capacity(parameters.len());
        let mut dim = 0;
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
            starts.push(dim);
            dim += p.domain.width();
        }
        let activity = Activity::new(&parameters)?;
        Ok(Self {
            parameters,
            starts,
            dim,
            activity,
        })
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

    /// Whether some parameter is not always active.
    #[must_use]
    pub fn is_conditional(&self) -> bool {
        self.activity.is_conditional()
    }

    /// The coordinates of parameter `i`.
    pub(crate) fn slot(&self, i: usize) -> std::ops::Range<usize> {
        self.starts[i]..self.starts[i] + self.parameters[i].domain.width()
    }

    /// The value of each parameter at `unit` (shape `dim`), `None` where it is
    /// not active.
    pub(crate) fn values(&self, unit: &[f64]) -> Vec<Option<Value>> {
        let mut values = vec![None; self.parameters.len()];
        for &i in self.activity.order() {
            if self.activity.is_active(i, &values) {
                values[i] = Some(self.parameters[i].domain.decode(&unit[self.slot(i)]));
            }
        }
        values
    }

    /// Moves `unit` (shape `dim`) onto the coordinates of its nearest
    /// configuration, so that a model sees what will be evaluated.
    pub(crate) fn snap(&self, unit: &mut [f64]) {
        let mut own = Vec::new();
        let values = self.values(unit);
        for (i, (p, value)) in self.parameters.iter().zip(values).enumerate() {
            let slot = &mut unit[self.slot(i)];
            match (&p.domain, value) {
                (domain, None) => slot.fill(domain.centre()),
                (Domain::Float { .. }, _) => slot[0] = slot[0].clamp(0.0, 1.0),
                (domain, Some(value)) => {
                    own.clear();
                    if domain.encode(&value, &mut own) {
                        slot.copy_from_slice(&own);
                    }
                }
            }
        }
    }

    /// Which unit coordinates belong to floats.
    pub(super) fn continuous(&self) -> Vec<bool> {
        self.parameters
            .iter()
            .flat_map(|p| std::iter::repeat_n(p.domain.is_float(), p.domain.width()))
            .collect()
    }
}

impl Space for BoxSpace {
    type Point = Configuration;

    /// One a float or integer, one a choice.
    fn dim(&self) -> usize {
        self.dim
    }

    /// Number of configurations; `None` if a parameter is a float.
    /// (`u64::MAX` where there are more, or too many conditions to count them.)
    fn cardinality(&self) -> Option<u64> {
        self.activity.cardinality(&self.parameters)
    }

    /// The unit coordinates (shape `dim`) of a configuration.
    ///
    /// # Errors
    /// [`BoError::MissingParameter`], [`BoError::UnknownParameter`],
    /// [`BoError::InactiveParameter`] or [`BoError::Value`].
    fn encode(&self, configuration: &Configuration) -> Result<Vec<f64>> {
        for (name, _) in configuration.iter() {
            if !self.parameters.iter().any(|p| p.name == name) {
                return Err(BoError::UnknownParameter {
                    name: name.to_owned(),
                });
            }
        }
        let mut unit = vec![0.0; self.dim];
        let mut values = vec![None; self.parameters.len()];
        let mut own = Vec::new();
        for &i in self.activity.order() {
            let p = &self.parameters[i];
            let slot = &mut unit[self.slot(i)];
            let value = configuration.get(&p.name);
            if !self.activity.is_active(i, &values) {
                if value.is_some() {
                    return Err(BoError::InactiveParameter {
                        name: p.name.clone(),
                        condition: p.condition(),
                    });
                }
                slot.fill(p.domain.centre());
                continue;
            }
            let value = value.ok_or_else(|| BoError::MissingParameter {
                name: p.name.clone(),
            })?;
            own.clear();
            if !p.domain.encode(value, &mut own) {
                return Err(BoError::Value {
                    name: p.name.clone(),
                    value: value.to_string(),
                    domain: p.domain.to_string(),
                });
            }
            slot.copy_from_slice(&own);
            values[i] = Some(value.clone());
        }
        Ok(unit)
    }

    /// The configuration nearest to `unit` (shape `dim`): coordinates outside
    /// the cube are clipped, integers rounded, the largest coordinate of a
    /// categorical parameter taken (the first of equals), and what is not
    /// active left out.
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
        Ok(self
            .parameters
            .iter()
            .zip(self.values(unit))
            .filter_map(|(p, value)| Some((p.name.clone(), value?)))
            .collect())
    }

    /// All points of a finite space as unit coordinates, in a fixed order; call
    /// it for small [`Self::cardinality`] only. Empty if a parameter is a float.
    fn enumerate(&self) -> Vec<Vec<f64>> {
        if self.cardinality().is_none() {
            return Vec::new();
        }
        let mut all = vec![(vec![0.0; self.dim], vec![None; self.parameters.len()])];
        for &i in self.activity.order() {
            let domain = &self.parameters[i].domain;
            let mut longer = Vec::with_capacity(all.len());
            for (unit, values) in &all {
                let mut with = |value: Option<Value>, coordinates: &[f64]| {
                    let (mut unit, mut values): (Vec<f64>, Vec<_>) = (unit.clone(), values.clone());
                    unit[self.slot(i)].copy_from_slice(coordinates);
                    values[i] = value;
                    longer.push((unit, values));
                };
                if self.activity.is_active(i, values) {
                    for value in domain.values() {
                        let mut own = Vec::with_capacity(domain.width());
                        if domain.encode(&value, &mut own) {
                            with(Some(value), &own);
                        }
                    }
                } else {
                    with(None, &vec![domain.centre(); domain.width()]);
                }
            }
            all = longer;
        }
        all.into_iter().map(|(unit, _)| unit).collect()
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
