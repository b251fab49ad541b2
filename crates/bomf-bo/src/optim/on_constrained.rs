//! Candidates and refinement under constraints.
//!
//! What the inner space proposes is kept where it is feasible, moved to the
//! nearest feasible point where linear constraints can tell it, and made up for
//! by walks inside the region where that leaves too few.

use std::borrow::Borrow;

use rand::seq::IndexedRandom;
use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use super::local::climb;
use super::maximise::ascend;
use super::{
    Block, HalfSpace, Place, Polyhedral, Polyhedron, ProductRegion, Region, Scored, SearchSpace,
    SolverOptions,
};
use crate::linalg::axpy;
use crate::space::Constrained;
use crate::{Acquisition, BoError, Result};

/// Largest part of the candidates that were moved onto a constraint; where more
/// would be, walks fill the inside.
const MENDED: f64 = 1.0 / 3.0;

/// Moves to discrete neighbours before a point counts as beyond repair.
const DESCENT: usize = 64;

/// Shrinkings of a step that predicates forbid.
const SHRINKINGS: usize = 20;

/// Steps of a walk between two candidates taken from it.
const THINNING: usize = 3;

/// A chord shorter than this leads nowhere.
const CHORD: f64 = 1e-9;

impl<S: Polyhedral> Constrained<S> {
    /// What the linear constraints in force at `x` leave of `base`.
    ///
    /// # Errors
    /// [`BoError::EmptyRegion`], its index that of the constraint.
    fn cut(&self, base: ProductRegion, x: &[f64]) -> Result<Polyhedron> {
        let point = self.inner().decode(x)?;
        let mut half_spaces = Vec::with_capacity(self.cuts().len());
        let mut indices = Vec::with_capacity(self.cuts().len());
        for (index, cut) in self.cuts().iter().enumerate() {
            let Some(places) = &cut.places else {
                continue;
            };
            if self.active(cut, point.borrow()).is_none() {
                continue;
            }
            let mut normal = vec![0.0; x.len()];
            let mut bound = cut.constraint.at_most;
            for ((_, a), place) in cut.constraint.terms.iter().zip(places) {
                if let Place::Linear { at, scale, offset } = place {
                    normal[*at] += a * scale;
                    bound -= a * offset;
                }
            }
            // Terms that cancel leave nothing to project on.
            if normal.iter().any(|v| *v != 0.0) {
                half_spaces.push(HalfSpace { normal, bound });
                indices.push(index);
            }
        }
        Polyhedron::new(base, half_spaces).map_err(|error| match error {
            BoError::EmptyRegion { index } => BoError::EmptyRegion {
                index: index.and_then(|i| indices.get(i).copied()),
            },
            other => other,
        })
    }

    /// The nearest feasible point to `x` for its discrete coordinates, if there
    /// is one.
    fn mend_continuous(&self, x: &[f64]) -> Option<Vec<f64>> {
        let polyhedron = self.cut(self.inner().region(x), x).ok()?;
        let mut mended = x.to_vec();
        polyhedron.project(&mut mended);
        self.keeps(&mended).then_some(mended)
    }

    /// A feasible point near `x`: integers first taken along with the rest and
    /// rounded, then discrete coordinates moved while that lessens what is
    /// broken.
    ///
    /// # Errors
    /// The constraint that has no room, if one has none for any values of the
    /// numbers; `None` if the search simply failed.
    pub(crate) fn repair(&self, mut x: Vec<f64>) -> Result<Vec<f64>, Option<usize>> {
        self.inner().snap(&mut x);
        if self.keeps(&x) {
            return Ok(x);
        }
        match self.cut(self.inner().relaxed_region(&x), &x) {
            Ok(polyhedron) => {
                polyhedron.project(&mut x);
                self.inner().snap(&mut x);
            }
            Err(BoError::EmptyRegion { index }) => return Err(index),
            Err(_) => return Err(None),
        }
        for _ in 0..DESCENT {
            if self.keeps(&x) {
                return Ok(x);
            }
            let violation = self.violation(&x);
            if violation <= 0.0 {
                // A predicate, which knows no direction.
                return Err(None);
            }
            if let Some(mended) = self.mend_continuous(&x) {
                return Ok(mended);
            }
            let best = self
                .inner()
                .neighbours(&x)
                .into_iter()
                .map(|y| (self.violation(&y), y))
                .min_by(|a, b| a.0.total_cmp(&b.0));
            match best {
                Some((less, y)) if less < violation => x = y,
                _ => return Err(None),
            }
        }
        Err(None)
    }

    /// One of the feasible points known from the start.
    pub(crate) fn anchor<R: Rng + ?Sized>(&self, rng: &mut R) -> &[f64] {
        self.anchors().choose(rng).map_or(&[], |x| x)
    }

    /// One random step inside the feasible region: to a discrete neighbour, or
    /// to a random place on a chord through `x`. Stays where that fails.
    pub(crate) fn step<R: Rng + ?Sized>(&self, x: &mut Vec<f64>, rng: &mut R) {
        if rng.random() {
            let neighbours = self.inner().neighbours(x);
            if let Some(next) = neighbours.choose(rng) {
                if self.keeps(next) {
                    x.clone_from(next);
                } else if let Some(mended) = self.mend_continuous(next) {
                    *x = mended;
                }
                return;
            }
        }
        let base = self.inner().region(x);
        let free: Vec<bool> = base
            .blocks()
            .iter()
            .flat_map(|block| match block {
                Block::Box(region) => region
                    .lower
                    .iter()
                    .zip(&region.upper)
                    .map(|(l, u)| l < u)
                    .collect(),
                Block::Simplex(n) => vec![true; *n],
            })
            .collect();
        let Ok(region) = self.cut(base, x) else {
            return;
        };
        let mut way: Vec<f64> = x.iter().map(|_| rng.sample(StandardNormal)).collect();
        region.project_on_face(&free, &mut way);
        let back: Vec<f64> = way.iter().map(|v| -v).collect();
        let mut chord = (-region.max_step(x, &back), region.max_step(x, &way));
        if chord.1 - chord.0 < CHORD {
            // In a corner: a direction that leads inside.
            region.project_on_tangent(x, &mut way);
            chord = (0.0, region.max_step(x, &way));
        }
        if !(chord.1 - chord.0).is_finite() {
            return;
        }
        for _ in 0..SHRINKINGS {
            let t = chord.0 + (chord.1 - chord.0) * rng.random::<f64>();
            let mut next = x.clone();
            axpy(t, &way, &mut next);
            region.project(&mut next);
            if self.keeps(&next) {
                *x = next;
                return;
            }
            if t < 0.0 {
                chord.0 = t;
            } else {
                chord.1 = t;
            }
        }
    }
}

impl<S: Polyhedral> SearchSpace for Constrained<S> {
    fn candidates<R: Rng + ?Sized>(
        &self,
        incumbents: &[Vec<f64>],
        count: usize,
        rng: &mut R,
    ) -> Vec<Vec<f64>> {
        let mut points = Vec::with_capacity(count);
        let mut outside = Vec::new();
        for x in self.inner().candidates(incumbents, count, rng) {
            if self.keeps(&x) {
                points.push(x);
            } else {
                outside.push(x);
            }
        }
        let mendable = ((MENDED * count as f64) as usize).max(1);
        let every = outside.len().div_ceil(mendable).max(1);
        let mended = outside.into_iter().step_by(every);
        points.extend(mended.filter_map(|x| self.repair(x).ok()));

        let starts: Vec<&Vec<f64>> = incumbents.iter().chain(self.anchors()).collect();
        let missing = count
            .saturating_sub(points.len())
            .max(usize::from(points.is_empty()));
        if !starts.is_empty() && missing > 0 {
            let length = missing.div_ceil(starts.len());
            let mut walked = Vec::with_capacity(missing + length);
            for start in starts {
                let mut x = start.clone();
                for _ in 0..length.min(missing.saturating_sub(walked.len())) {
                    for _ in 0..THINNING {
                        self.step(&mut x, rng);
                    }
                    walked.push(x.clone());
                }
            }
            points.append(&mut walked);
        }
        points
    }

    fn refine(
        &self,
        acquisition: &dyn Acquisition,
        start: &Scored,
        options: &SolverOptions,
    ) -> Result<Scored> {
        let guarded = Guarded {
            space: self,
            inner: acquisition,
        };
        climb(
            acquisition,
            start,
            |from| match self.cut(self.inner().region(&from.x), &from.x) {
                Ok(region) if !region.is_point() => {
                    let found = if self.is_guarded() {
                        ascend(&guarded, &region, from, options)?
                    } else {
                        ascend(acquisition, &region, from, options)?
                    };
                    // Rounding of the projection may break what `from` kept.
                    Ok(if self.keeps(&found.x) {
                        found
                    } else {
                        from.clone()
                    })
                }
                Ok(_) | Err(BoError::EmptyRegion { .. }) => Ok(from.clone()),
                Err(other) => Err(other),
            },
            |x| {
                let feasible = |y: Vec<f64>| {
                    if self.keeps(&y) {
                        Some(y)
                    } else {
                        self.mend_continuous(&y)
                    }
                };
                self.inner()
                    .neighbours(x)
                    .into_iter()
                    .filter_map(feasible)
                    .collect()
            },
        )
    }
}

/// An acquisition function that is worth nothing outside the feasible region.
struct Guarded<'a, S: Polyhedral> {
    space: &'a Constrained<S>,
    inner: &'a dyn Acquisition,
}

impl<S: Polyhedral> Acquisition for Guarded<'_, S> {
    fn dim(&self) -> usize {
        self.inner.dim()
    }

    fn values(&self, points: &[Vec<f64>]) -> Result<Vec<f64>> {
        let mut values = self.inner.values(points)?;
        for (value, x) in values.iter_mut().zip(points) {
            if !self.space.keeps(x) {
                *value = f64::NEG_INFINITY;
            }
        }
        Ok(values)
    }

    fn value_and_gradient(&self, x: &[f64], gradient: &mut [f64]) -> Result<f64> {
        if self.space.keeps(x) {
            self.inner.value_and_gradient(x, gradient)
        } else {
            gradient.fill(0.0);
            Ok(f64::NEG_INFINITY)
        }
    }
}
