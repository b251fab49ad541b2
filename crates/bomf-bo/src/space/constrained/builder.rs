//! How a constrained space is declared, and whether any point is left of it.

use std::sync::Arc;

use super::{Constrained, Cut, Predicate};
use crate::error::ConstraintFault;
use crate::optim::{Place, Polyhedral};
use crate::sampling::ScrambledSobol;
use crate::space::{LinearConstraint, Variable};
use crate::{BoError, Result};

/// A finite space up to this size is looked through as a whole.
const ENUMERABLE: u64 = 20_000;

/// Points tried in search of feasible ones before a larger space is refused.
const TRIED: usize = 2000;

/// Feasible points kept from that search, for walks to begin at.
const ANCHORS: usize = 32;

/// What coordinates in `[0, 1]` are known to, as a part of a number's range.
const COORDINATE_ROUNDING: f64 = 1e-12;

/// Declares a [`Constrained`] space.
#[must_use]
pub struct ConstrainedBuilder<S: Polyhedral> {
    pub(super) inner: S,
    pub(super) linear: Vec<LinearConstraint>,
    predicates: Vec<Predicate<S::Point>>,
    known: Vec<Vec<f64>>,
}

impl<S: Polyhedral> ConstrainedBuilder<S> {
    /// Adds `sum_k a_k v_k <= bound`: parameters by name, coefficients by index,
    /// numbers of a product by `(part, name)` or `(part, index)`.
    pub fn at_most<V: Into<Variable>>(
        self,
        terms: impl IntoIterator<Item = (V, f64)>,
        bound: f64,
    ) -> Self {
        self.linear(LinearConstraint::at_most(terms, bound))
    }

    /// Adds `sum_k a_k v_k >= bound`.
    pub fn at_least<V: Into<Variable>>(
        self,
        terms: impl IntoIterator<Item = (V, f64)>,
        bound: f64,
    ) -> Self {
        self.linear(LinearConstraint::at_least(terms, bound))
    }

    /// Adds a linear constraint.
    pub fn linear(mut self, constraint: LinearConstraint) -> Self {
        self.linear.push(constraint);
        self
    }

    /// Adds a predicate under a name for messages. It must depend on the point
    /// alone, and be quick: it is asked of every candidate.
    pub fn predicate(
        mut self,
        name: impl Into<String>,
        holds: impl Fn(&S::Point) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.predicates.push(Predicate {
            name: name.into(),
            holds: Arc::new(holds),
        });
        self
    }

    /// Names a point that keeps all constraints, where they leave so little that
    /// none would be found.
    ///
    /// # Errors
    /// If the point is not in the inner space; whether it keeps the constraints
    /// is looked at by [`Self::build`].
    pub fn known(mut self, point: &S::Point) -> Result<Self> {
        self.known.push(self.inner.encode(point)?);
        Ok(self)
    }

    /// The space.
    ///
    /// # Errors
    /// [`BoError::Variable`] or [`BoError::Constraint`] if a linear constraint
    /// makes no sense or leaves no point, [`BoError::Infeasible`] if a known
    /// point breaks a constraint, [`BoError::NothingFeasible`] if no point was
    /// found that keeps all.
    pub fn build(self) -> Result<Constrained<S>> {
        let mut cuts = Vec::with_capacity(self.linear.len());
        for constraint in self.linear {
            let fault = |reason| BoError::Constraint {
                constraint: constraint.to_string(),
                reason,
            };
            let factors = || constraint.terms.iter().map(|(_, a)| *a);
            if !constraint.at_most.is_finite() || factors().any(|a| !a.is_finite()) {
                return Err(fault(ConstraintFault::NotFinite));
            }
            if factors().all(|a| a == 0.0) {
                return Err(fault(ConstraintFault::NoVariable));
            }
            let mut places = Vec::with_capacity(constraint.terms.len());
            let mut range = 0.0;
            for (variable, a) in &constraint.terms {
                let place = self.inner.place(variable)?;
                if let Place::Linear { scale, .. } = place {
                    range += (a * scale).abs();
                }
                places.push(place);
            }
            let is_linear = places.iter().all(|p| matches!(p, Place::Linear { .. }));
            cuts.push(Cut {
                constraint,
                places: is_linear.then_some(places),
                rounding: COORDINATE_ROUNDING * range,
            });
        }
        let mut space = Constrained {
            inner: self.inner,
            cuts,
            predicates: self.predicates,
            known: self.known,
            anchors: Vec::new(),
            size: None,
        };
        if let Some(index) = space.known.iter().find_map(|x| space.broken_at(x)) {
            return Err(BoError::Infeasible {
                constraint: space.constraint_name(index),
            });
        }
        space.find_anchors()?;
        Ok(space)
    }
}

impl<S: Polyhedral> Constrained<S> {
    /// Starts to constrain `space`.
    pub fn builder(space: S) -> ConstrainedBuilder<S> {
        ConstrainedBuilder {
            inner: space,
            linear: Vec::new(),
            predicates: Vec::new(),
            known: Vec::new(),
        }
    }

    /// Fills the anchors, or says why there are none.
    fn find_anchors(&mut self) -> Result<()> {
        self.anchors = self.known.clone();
        let mut broken = vec![0_usize; self.cuts.len() + self.predicates.len()];
        let mut tried = 0;
        let mut no_room = Vec::new();
        if self.inner.cardinality().is_some_and(|n| n <= ENUMERABLE) {
            let mut feasible = Vec::new();
            for x in self.inner.enumerate() {
                tried += 1;
                match self.broken_at(&x) {
                    None => feasible.push(x),
                    Some(i) => broken[i] += 1,
                }
            }
            self.size = Some(feasible.len() as u64);
            let every = feasible.len().div_ceil(ANCHORS).max(1);
            self.anchors.extend(feasible.into_iter().step_by(every));
        } else {
            self.size = self.inner.cardinality();
            // A fixed sequence: no randomness, the same anchors each time.
            let mut sobol = ScrambledSobol::from_seed(self.inner.design_dim(), 0);
            let spread: Vec<Vec<f64>> = (0..TRIED)
                .map(|_| self.inner.design_point(&sobol.next_point()))
                .collect();
            let feasible = spread.iter().filter(|x| self.keeps(x));
            let inside: Vec<Vec<f64>> = feasible.take(ANCHORS).cloned().collect();
            self.anchors.extend(inside);
            // Points moved onto a constraint stand in where few are inside.
            for x in spread {
                if self.anchors.len() >= ANCHORS {
                    break;
                }
                let Some(i) = self.broken_at(&x) else {
                    continue;
                };
                tried += 1;
                match self.repair(x) {
                    Ok(mended) => self.anchors.push(mended),
                    Err(row) => {
                        no_room.extend(row);
                        broken[row.unwrap_or(i)] += 1;
                    }
                }
            }
        }
        if !self.anchors.is_empty() {
            return Ok(());
        }
        let most = (0..broken.len()).max_by_key(|i| broken[*i]).unwrap_or(0);
        let constraint = self.constraint_name(most);
        // Where the cuts left no room in any attempt they never do.
        Err(if no_room.len() == tried {
            BoError::Constraint {
                constraint,
                reason: ConstraintFault::NoRoom,
            }
        } else {
            BoError::NothingFeasible { tried, constraint }
        })
    }
}
