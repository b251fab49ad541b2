//! Parameters that are there only under a condition.
//!
//! A parameter is *active* in a configuration if each of its conditions holds:
//! the parent is active itself and has one of the listed values. A parameter
//! without conditions is always active. Conditions nest; parents may be declared
//! before or after their children, but in no circle.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Domain, Parameter, Value};
use crate::error::ConditionFault;
use crate::{BoError, Result};

/// A parameter is active only when `parent` has one of `values`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// The name of another parameter of the space, an integer or a choice.
    pub parent: String,
    /// The values under which the parameter is active.
    pub values: Vec<Value>,
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is ", self.parent)?;
        for (i, value) in self.values.iter().enumerate() {
            let or = if i == 0 { "" } else { " or " };
            write!(f, "{or}{value}")?;
        }
        Ok(())
    }
}

/// Branches after which [`Activity::cardinality`] stops counting. Each stands
/// for at least one configuration.
const COUNTED: usize = 1 << 20;

/// The conditions of a space, resolved.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Activity {
    /// All parameters, parents before children, else in their own order.
    order: Vec<usize>,
    /// Of each parameter: its parents, with the values that they must have.
    rules: Vec<Vec<(usize, Vec<Value>)>>,
    /// Of each parameter: every value of it that some condition names.
    named: Vec<Vec<Value>>,
}

impl Activity {
    /// # Errors
    /// [`BoError::Condition`].
    pub(super) fn new(parameters: &[Parameter]) -> Result<Self> {
        let n = parameters.len();
        let mut rules = vec![Vec::new(); n];
        let mut named = vec![Vec::new(); n];
        for (i, p) in parameters.iter().enumerate() {
            for condition in &p.conditions {
                let parent =
                    resolve(parameters, condition).map_err(|reason| BoError::Condition {
                        name: p.name.clone(),
                        parent: condition.parent.clone(),
                        reason,
                    })?;
                rules[i].push((parent, condition.values.clone()));
                for value in &condition.values {
                    if !named[parent].contains(value) {
                        named[parent].push(value.clone());
                    }
                }
            }
        }
        let order = sorted(parameters, &rules)?;
        Ok(Self {
            order,
            rules,
            named,
        })
    }

    /// All parameters, parents before children.
    pub(super) fn order(&self) -> &[usize] {
        &self.order
    }

    /// Whether some parameter has a condition.
    pub(super) fn is_conditional(&self) -> bool {
        self.rules.iter().any(|r| !r.is_empty())
    }

    /// Whether parameter `i` is active, given its parents' values (`None` where
    /// they are inactive).
    pub(super) fn is_active(&self, i: usize, values: &[Option<Value>]) -> bool {
        self.rules[i].iter().all(|(parent, allowed)| {
            values[*parent]
                .as_ref()
                .is_some_and(|v| allowed.contains(v))
        })
    }

    /// Number of configurations; `None` if a float is active in one of them.
    /// `u64::MAX` stands for that many and for too many to count.
    pub(super) fn cardinality(&self, parameters: &[Parameter]) -> Option<u64> {
        let mut values = vec![None; parameters.len()];
        let mut left = COUNTED;
        self.count(parameters, 0, &mut values, &mut left)
    }

    fn count(
        &self,
        parameters: &[Parameter],
        at: usize,
        values: &mut Vec<Option<Value>>,
        left: &mut usize,
    ) -> Option<u64> {
        let Some(&i) = self.order.get(at) else {
            *left = left.saturating_sub(1);
            return Some(1);
        };
        if *left == 0 {
            return Some(u64::MAX);
        }
        values[i] = None;
        if !self.is_active(i, values) {
            return self.count(parameters, at + 1, values, left);
        }
        let own = parameters[i].domain.cardinality()?;
        // Values that no condition names are alike: one stands for all.
        let others = own - self.named[i].len() as u64;
        let mut total = 0_u64;
        let mut classes: Vec<(Option<Value>, u64)> =
            self.named[i].iter().map(|v| (Some(v.clone()), 1)).collect();
        if others > 0 {
            let other = self.unnamed(i, &parameters[i].domain);
            classes.push((other, others));
        }
        for (value, size) in classes {
            values[i] = value;
            let rest = self.count(parameters, at + 1, values, left)?;
            total = total.saturating_add(size.saturating_mul(rest));
        }
        values[i] = None;
        Some(total)
    }

    /// A value of parameter `i` that no condition names.
    fn unnamed(&self, i: usize, domain: &Domain) -> Option<Value> {
        let is_other = |v: &Value| !self.named[i].contains(v);
        match domain {
            Domain::Float { .. } => None,
            Domain::Integer { low, high, .. } => (*low..=*high).map(Value::Integer).find(is_other),
            Domain::Categorical { choices } => choices
                .iter()
                .cloned()
                .map(Value::Categorical)
                .find(is_other),
        }
    }
}

/// The parent's index, if the condition makes sense.
fn resolve(parameters: &[Parameter], condition: &Condition) -> Result<usize, ConditionFault> {
    let at = parameters
        .iter()
        .position(|q| q.name == condition.parent)
        .ok_or_else(|| ConditionFault::UnknownParent {
            known: names(parameters),
        })?;
    let domain = &parameters[at].domain;
    if matches!(domain, Domain::Float { .. }) {
        return Err(ConditionFault::FloatParent);
    }
    if condition.values.is_empty() {
        return Err(ConditionFault::NoValue);
    }
    for value in &condition.values {
        if !domain.encode(value, &mut Vec::new()) {
            return Err(ConditionFault::Value {
                value: value.to_string(),
                domain: domain.to_string(),
            });
        }
    }
    Ok(at)
}

/// The names of all parameters, for a message.
pub(super) fn names(parameters: &[Parameter]) -> String {
    let quoted: Vec<String> = parameters.iter().map(|p| format!("`{}`", p.name)).collect();
    quoted.join(", ")
}

/// Parents before children, else in the order of declaration.
fn sorted(parameters: &[Parameter], rules: &[Vec<(usize, Vec<Value>)>]) -> Result<Vec<usize>> {
    let n = parameters.len();
    let mut order = Vec::with_capacity(n);
    let mut placed = vec![false; n];
    while order.len() < n {
        let ready = |i: &usize| !placed[*i] && rules[*i].iter().all(|(p, _)| placed[*p]);
        match (0..n).find(ready) {
            Some(i) => {
                placed[i] = true;
                order.push(i);
            }
            None => {
                // Whatever is left has a parent that is left: following parents
                // runs into the circle, and once around gives its members.
                let first_left = |i: usize| {
                    let mut parents = rules[i].iter().map(|(p, _)| *p);
                    parents.find(|p| !placed[*p]).unwrap_or(i)
                };
                let mut at = (0..n).find(|i| !placed[*i]).unwrap_or(0);
                for _ in 0..n {
                    at = first_left(at);
                }
                let mut circle = vec![parameters[at].name.clone()];
                let mut next = first_left(at);
                while next != at {
                    circle.push(parameters[next].name.clone());
                    next = first_left(next);
                }
                return Err(BoError::Condition {
                    name: parameters[at].name.clone(),
                    parent: parameters[first_left(at)].name.clone(),
                    reason: ConditionFault::Cycle { circle },
                });
            }
        }
    }
    Ok(order)
}
