//! A front that grows point by point.

use crate::dominance::weakly_dominates;
use crate::{ParetoError, Result};

/// The non-dominated points among all that were inserted, with the caller's
/// identifier of each, in order of insertion.
///
/// ```
/// use bomf_pareto::{Front, Insertion};
///
/// let mut front = Front::new(2);
/// front.insert(0, &[1.0, 1.0])?;
/// assert_eq!(front.insert(1, &[2.0, 2.0])?, Insertion::Joined { removed: vec![0] });
/// assert_eq!(front.insert(2, &[0.0, 3.0])?, Insertion::Joined { removed: vec![] });
/// assert_eq!(front.insert(3, &[0.0, 2.0])?, Insertion::Dominated);
/// assert_eq!(front.ids(), [1, 2]);
/// # Ok::<(), bomf_pareto::ParetoError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Front {
    objectives: usize,
    ids: Vec<usize>,
    points: Vec<Vec<f64>>,
}

/// What [`Front::insert`] did with a point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Insertion {
    /// The point stands on the front now; the identifiers it drove off it.
    Joined {
        /// Identifiers of the points that it dominates, in their order.
        removed: Vec<usize>,
    },
    /// A point of the front is at least as good everywhere (or equal).
    Dominated,
    /// The point has a NaN and is compared with none.
    NotComparable,
}

impl Front {
    /// An empty front of points with `m` objectives.
    #[must_use]
    pub fn new(m: usize) -> Self {
        Self {
            objectives: m,
            ids: Vec::new(),
            points: Vec::new(),
        }
    }

    /// Inserts point `y` (shape `m`) under the caller's identifier `id`.
    ///
    /// # Errors
    /// [`ParetoError::Dimension`] if `y` has another number of objectives.
    pub fn insert(&mut self, id: usize, y: &[f64]) -> Result<Insertion> {
        if y.len() != self.objectives {
            return Err(ParetoError::Dimension {
                index: id,
                found: y.len(),
                expected: self.objectives,
            });
        }
        if y.iter().any(|v| v.is_nan()) {
            return Ok(Insertion::NotComparable);
        }
        if self.points.iter().any(|p| weakly_dominates(p, y)) {
            return Ok(Insertion::Dominated);
        }
        let mut removed = Vec::new();
        for k in (0..self.points.len()).rev() {
            if weakly_dominates(y, &self.points[k]) {
                self.points.remove(k);
                removed.push(self.ids.remove(k));
            }
        }
        removed.reverse();
        self.ids.push(id);
        self.points.push(y.to_vec());
        Ok(Insertion::Joined { removed })
    }

    /// Number of objectives `m`.
    #[must_use]
    pub fn objectives(&self) -> usize {
        self.objectives
    }

    /// Number of points on the front.
    #[must_use]
    pub fn len(&self) -> usize {
        self.points.len()
    }

    /// Whether no point stands on the front.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.points.is_empty()
    }

    /// The identifiers of the front's points, in order of insertion.
    #[must_use]
    pub fn ids(&self) -> &[usize] {
        &self.ids
    }

    /// The front's points, `len x m`, in the order of [`Front::ids`].
    #[must_use]
    pub fn points(&self) -> &[Vec<f64>] {
        &self.points
    }
}
