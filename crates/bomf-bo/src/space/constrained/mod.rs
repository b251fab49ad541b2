//! Spaces under constraints: linear inequalities in natural units, and
//! predicates that only the caller understands.
//!
//! Linear inequalities between numbers on a linear scale cut the continuous
//! coordinates to a polyhedron with an exact projection
//! ([`Polyhedron`](crate::optim::Polyhedron)): starting designs and candidates
//! are projected onto it or drawn inside it by hit-and-run (Smith, "Efficient
//! Monte Carlo procedures for generating points uniformly distributed over
//! bounded regions", Operations Research 32, 1984), and the acquisition
//! function is maximised on it. An inequality that has a number on a
//! logarithmic scale is no polyhedron in the coordinates; it is kept as
//! predicates are: points are looked at before they are used, and a step out of
//! the region is taken back.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::{LinearConstraint, Space, Variable};
use crate::optim::{Place, Polyhedral};
use crate::{BoError, Result};

mod builder;
mod stored;

pub use builder::ConstrainedBuilder;

/// Design points drawn in place of one that breaks a constraint, before the
/// feasible region counts as small.
const REDRAWN: usize = 16;

/// Steps of a walk to a starting design's point, for each coordinate.
const WALK: usize = 4;

/// A linear inequality with the places of its variables.
#[derive(Debug, Clone)]
pub(crate) struct Cut {
    pub(crate) constraint: LinearConstraint,
    /// Of each term; `None` if one of them is curved.
    pub(crate) places: Option<Vec<Place>>,
    /// What rounding of the coordinates may move the left side by.
    rounding: f64,
}

/// A condition on points, known only by asking.
struct Predicate<P: ?Sized> {
    name: String,
    holds: Arc<dyn Fn(&P) -> bool + Send + Sync>,
}

impl<P: ?Sized> Clone for Predicate<P> {
    fn clone(&self) -> Self {
        Self {
            name: self.name.clone(),
            holds: Arc::clone(&self.holds),
        }
    }
}

/// The points of a space that keep all of some constraints; at least one does.
///
/// ```
/// use bomf_bo::space::{BoxSpace, Constrained, Space};
///
/// let space = BoxSpace::builder()
///     .float("warmup", 0.0, 1.0)
///     .float("decay", 0.0, 1.0)
///     .log_integer("batch", 1, 512)
///     .log_integer("length", 16, 4096)
///     .build()?;
/// let space = Constrained::builder(space)
///     .at_most([("warmup", 1.0), ("decay", 1.0)], 1.0)
///     .predicate("tokens in memory", |c| {
///         c.integer("batch").zip(c.integer("length")).is_some_and(|(b, l)| b * l <= 65_536)
///     })
///     .build()?;
/// let first = space.decode(&space.design_point(&[0.9, 0.8, 0.95, 0.9]))?;
/// assert!(first.float("warmup").unwrap() + first.float("decay").unwrap() <= 1.0 + 1e-9);
/// assert!(space.encode(&first).is_ok());
/// # Ok::<(), bomf_bo::BoError>(())
/// ```
///
/// Serialised as `{"space": .., "linear": [..], "known": [..]}` as long as it
/// has no predicate: code cannot be written down, so that whoever has one saves
/// the inner space and puts the constraints around it again.
pub struct Constrained<S: Polyhedral> {
    inner: S,
    cuts: Vec<Cut>,
    predicates: Vec<Predicate<S::Point>>,
    /// Feasible points that the caller named, by coordinates.
    known: Vec<Vec<f64>>,
    /// Those, and others that were found.
    anchors: Vec<Vec<f64>>,
    size: Option<u64>,
}

impl<S: Polyhedral + Clone> Clone for Constrained<S> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            cuts: self.cuts.clone(),
            predicates: self.predicates.clone(),
            known: self.known.clone(),
            anchors: self.anchors.clone(),
            size: self.size,
        }
    }
}

impl<S: Polyhedral + fmt::Debug> fmt::Debug for Constrained<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let linear: Vec<String> = self.cuts.iter().map(|c| c.constraint.to_string()).collect();
        let predicates: Vec<&str> = self.predicates.iter().map(|p| &p.name[..]).collect();
        f.debug_struct("Constrained")
            .field("inner", &self.inner)
            .field("linear", &linear)
            .field("predicates", &predicates)
            .finish_non_exhaustive()
    }
}

impl<S: Polyhedral> Constrained<S> {
    /// The space without the constraints.
    #[must_use]
    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// The linear constraints.
    pub fn linear(&self) -> impl Iterator<Item = &LinearConstraint> {
        self.cuts.iter().map(|c| &c.constraint)
    }

    /// Whether `point`, of the inner space, keeps all constraints.
    #[must_use]
    pub fn is_feasible(&self, point: &S::Point) -> bool {
        self.broken(point).is_none()
    }

    pub(crate) fn cuts(&self) -> &[Cut] {
        &self.cuts
    }

    pub(crate) fn anchors(&self) -> &[Vec<f64>] {
        &self.anchors
    }

    /// Whether refinement must look at each step by itself.
    pub(crate) fn is_guarded(&self) -> bool {
        !self.predicates.is_empty() || self.cuts.iter().any(|c| c.places.is_none())
    }

    /// The values of a constraint's variables, if all are active.
    pub(crate) fn active(&self, cut: &Cut, point: &S::Point) -> Option<Vec<f64>> {
        let natural = |(v, _): &(Variable, f64)| self.inner.natural(v, point);
        cut.constraint.terms.iter().map(natural).collect()
    }

    fn violation_of(&self, cut: &Cut, point: &S::Point) -> f64 {
        self.active(cut, point).map_or(0.0, |values| {
            cut.constraint.violation(&values, cut.rounding)
        })
    }

    /// By how much coordinates `x` break the linear constraints together.
    pub(crate) fn violation(&self, x: &[f64]) -> f64 {
        let Ok(point) = self.inner.decode(x) else {
            return f64::INFINITY;
        };
        let of = |cut| self.violation_of(cut, point.borrow());
        self.cuts.iter().map(of).sum()
    }

    /// The first constraint that `point` breaks: linear ones first, each by its
    /// number among all.
    fn broken(&self, point: &S::Point) -> Option<usize> {
        let linear = self
            .cuts
            .iter()
            .position(|c| self.violation_of(c, point) > 0.0);
        linear.or_else(|| {
            let predicate = self.predicates.iter().position(|p| !(p.holds)(point))?;
            Some(self.cuts.len() + predicate)
        })
    }

    /// The same for coordinates.
    fn broken_at(&self, x: &[f64]) -> Option<usize> {
        match self.inner.decode(x) {
            Ok(point) => self.broken(point.borrow()),
            Err(_) => Some(0),
        }
    }

    /// Whether the point at coordinates `x` keeps all constraints.
    pub(crate) fn keeps(&self, x: &[f64]) -> bool {
        self.broken_at(x).is_none()
    }

    /// The text or name of constraint `index`.
    fn constraint_name(&self, index: usize) -> String {
        match self.cuts.get(index) {
            Some(cut) => cut.constraint.to_string(),
            None => self
                .predicates
                .get(index - self.cuts.len())
                .map_or_else(String::new, |p| p.name.clone()),
        }
    }
}

impl<S: Polyhedral> Space for Constrained<S> {
    type Point = S::Point;

    fn dim(&self) -> usize {
        self.inner.dim()
    }

    /// # Errors
    /// Those of the inner space, and [`BoError::Infeasible`].
    fn encode(&self, point: &S::Point) -> Result<Vec<f64>> {
        let x = self.inner.encode(point)?;
        match self.broken(point) {
            None => Ok(x),
            Some(index) => Err(BoError::Infeasible {
                constraint: self.constraint_name(index),
            }),
        }
    }

    /// The point of the *inner* space nearest to `x`. (A feasible point comes
    /// back from its coordinates to rounding, which a predicate may take ill.)
    fn decode(&self, x: &[f64]) -> Result<<S::Point as ToOwned>::Owned> {
        self.inner.decode(x)
    }

    /// Number of feasible points, counted up to an inner space of 20,000 points;
    /// beyond that the size of the inner space, which is no less.
    fn cardinality(&self) -> Option<u64> {
        self.size
    }

    fn enumerate(&self) -> Vec<Vec<f64>> {
        let mut all = self.inner.enumerate();
        all.retain(|x| self.keeps(x));
        all
    }

    fn same(&self, a: &[f64], b: &[f64], tolerance: f64) -> bool {
        self.inner.same(a, b, tolerance)
    }

    fn design_dim(&self) -> usize {
        self.inner.design_dim()
    }

    /// The inner space's point, if it is feasible. Else the first feasible one
    /// of some others that `u` leads to, or where the region is small the end
    /// of a walk inside it whose course `u` decides.
    fn design_point(&self, u: &[f64]) -> Vec<f64> {
        let x = self.inner.design_point(u);
        if self.keeps(&x) {
            return x;
        }
        let mut rng = StdRng::seed_from_u64(hash(u));
        for _ in 0..REDRAWN {
            // Independent draws: a sequence would lean away from what it met.
            let other: Vec<f64> = u.iter().map(|_| rng.random()).collect();
            let x = self.inner.design_point(&other);
            if self.keeps(&x) {
                return x;
            }
        }
        let mut x = self.anchor(&mut rng).to_vec();
        for _ in 0..WALK * self.dim() {
            self.step(&mut x, &mut rng);
        }
        x
    }

    fn prior_dim(&self) -> f64 {
        self.inner.prior_dim()
    }

    fn is_symmetric(&self) -> bool {
        self.inner.is_symmetric()
    }
}

/// A seed from uniform numbers (FNV-1a of their bits).
fn hash(u: &[f64]) -> u64 {
    u.iter()
        .flat_map(|v| v.to_bits().to_le_bytes())
        .fold(0xcbf2_9ce4_8422_2325, |h, byte| {
            (h ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
}
