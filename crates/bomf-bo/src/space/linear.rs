//! Linear inequalities between the numbers of a point.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A number of a point, in its natural unit.
///
/// Serialised as the bare name or index, or as a pair of a part's index and
/// what is meant in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Variable {
    /// A float or integer parameter of a box, by name.
    Parameter(String),
    /// A coefficient of a simplex, by index.
    Coefficient(usize),
    /// A number of one part of a product, by the part's index.
    InPart(usize, Box<Variable>),
}

impl From<&str> for Variable {
    fn from(name: &str) -> Self {
        Self::Parameter(name.to_owned())
    }
}

impl From<String> for Variable {
    fn from(name: String) -> Self {
        Self::Parameter(name)
    }
}

impl From<usize> for Variable {
    fn from(index: usize) -> Self {
        Self::Coefficient(index)
    }
}

impl<V: Into<Variable>> From<(usize, V)> for Variable {
    fn from((part, variable): (usize, V)) -> Self {
        Self::InPart(part, Box::new(variable.into()))
    }
}

impl fmt::Display for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parameter(name) => f.write_str(name),
            Self::Coefficient(index) => write!(f, "w[{index}]"),
            Self::InPart(part, variable) => write!(f, "part {part}'s {variable}"),
        }
    }
}

/// A constraint is kept if it is missed by no more than this part of the numbers
/// in it: what coefficients lose that were added up, or written and read.
const MISSED: f64 = 1e-9;

/// `sum_k a_k v_k <= b` over numbers `v_k` of a point, in natural units.
///
/// In force wherever all of its variables are active: it says nothing of a
/// configuration that leaves one of them out.
///
/// ```
/// use bomf_bo::space::LinearConstraint;
/// let c = LinearConstraint::at_most([("warmup", 1.0), ("decay", 1.0)], 100.0);
/// assert_eq!(c.to_string(), "warmup + decay <= 100");
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinearConstraint {
    /// The variables with their factors `a_k`.
    pub terms: Vec<(Variable, f64)>,
    /// The bound `b`.
    pub at_most: f64,
}

impl LinearConstraint {
    /// `sum_k a_k v_k <= bound`.
    pub fn at_most<V: Into<Variable>>(
        terms: impl IntoIterator<Item = (V, f64)>,
        bound: f64,
    ) -> Self {
        Self {
            terms: terms.into_iter().map(|(v, a)| (v.into(), a)).collect(),
            at_most: bound,
        }
    }

    /// `sum_k a_k v_k >= bound`, turned around.
    pub fn at_least<V: Into<Variable>>(
        terms: impl IntoIterator<Item = (V, f64)>,
        bound: f64,
    ) -> Self {
        Self::at_most(terms.into_iter().map(|(v, a)| (v, -a)), -bound)
    }

    /// By how much it is violated by values of its variables (shape of the
    /// terms), as a part of the numbers in it; zero if it is kept, to within
    /// `rounding` and that of the numbers.
    pub(super) fn violation(&self, values: &[f64], rounding: f64) -> f64 {
        let parts = || self.terms.iter().zip(values).map(|((_, a), v)| a * v);
        let scale: f64 = parts().map(f64::abs).sum::<f64>() + self.at_most.abs();
        let missed = parts().sum::<f64>() - self.at_most;
        if missed > MISSED * scale + rounding {
            missed / (scale + rounding)
        } else {
            0.0
        }
    }
}

impl fmt::Display for LinearConstraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A constraint that only has negative factors was an `at_least`.
        let turn = !self.terms.is_empty() && self.terms.iter().all(|(_, a)| *a < 0.0);
        let sign = if turn { -1.0 } else { 1.0 };
        for (i, (variable, a)) in self.terms.iter().enumerate() {
            let a = sign * a;
            match (i, a < 0.0) {
                (0, false) => {}
                (0, true) => f.write_str("-")?,
                (_, false) => f.write_str(" + ")?,
                (_, true) => f.write_str(" - ")?,
            }
            if a.abs() == 1.0 {
                write!(f, "{variable}")?;
            } else {
                write!(f, "{} {variable}", a.abs())?;
            }
        }
        let relation = if turn { ">=" } else { "<=" };
        // Not `-0` where the bound is zero.
        write!(f, " {relation} {}", sign * self.at_most + 0.0)
    }
}
