//! Boxes and simplexes cut by half-spaces.

use super::basis::Basis;
use super::nearest::{Constraints, nearest};
use super::{ProductRegion, Region};
use crate::linalg::dot;
use crate::{BoError, Result};

/// `normal' x <= bound`.
#[derive(Debug, Clone, PartialEq)]
pub struct HalfSpace {
    /// The outward normal, shape `d`, not zero.
    pub normal: Vec<f64>,
    /// The right-hand side.
    pub bound: f64,
}

/// A half-space (of a normal of length one) holds with equality if it is met to
/// within this: far above rounding, far below any difference that matters.
const ON_PLANE: f64 = 1e-10;

/// A product of boxes and simplexes, cut by half-spaces; not empty.
#[derive(Debug, Clone, PartialEq)]
pub struct Polyhedron {
    base: ProductRegion,
    /// Normals of length one.
    cuts: Vec<HalfSpace>,
    /// A point of it.
    inside: Vec<f64>,
}

impl Polyhedron {
    /// The points of `base` in all of `cuts`.
    ///
    /// # Errors
    /// [`BoError::Dimension`] if a normal has not the length of `base`,
    /// [`BoError::HalfSpace`] if one is zero or not finite,
    /// [`BoError::EmptyRegion`] if no point is left.
    pub fn new(base: ProductRegion, cuts: Vec<HalfSpace>) -> Result<Self> {
        let d = base.dim();
        let mut unit = Vec::with_capacity(cuts.len());
        for (index, cut) in cuts.into_iter().enumerate() {
            if cut.normal.len() != d {
                return Err(BoError::Dimension {
                    what: "the normal of a half-space",
                    found: cut.normal.len(),
                    expected: d,
                });
            }
            let length = dot(&cut.normal, &cut.normal).sqrt();
            if !(length > 0.0 && length.is_finite() && cut.bound.is_finite()) {
                return Err(BoError::HalfSpace { index });
            }
            unit.push(HalfSpace {
                normal: cut.normal.iter().map(|v| v / length).collect(),
                bound: cut.bound / length,
            });
        }
        let mut this = Self {
            base,
            cuts: unit,
            inside: Vec::new(),
        };
        let mut centre = vec![0.5; d];
        this.base.project(&mut centre);
        this.inside = this.nearest(&centre)?;
        Ok(this)
    }

    /// Whether `x` is in all half-spaces, to within `1e-10` of their distance.
    #[must_use]
    pub fn is_within_cuts(&self, x: &[f64]) -> bool {
        self.cuts
            .iter()
            .all(|c| c.slack(x) >= -ON_PLANE * (1.0 + c.bound.abs()))
    }

    /// Whether every coordinate is held.
    pub(super) fn is_point(&self) -> bool {
        self.base.is_point()
    }

    fn nearest(&self, z: &[f64]) -> Result<Vec<f64>> {
        let mut warm = z.to_vec();
        self.base.project(&mut warm);
        if self.cuts.iter().all(|c| c.slack(&warm) >= 0.0) {
            return Ok(warm);
        }
        let (lower, upper) = self.base.bounds();
        let constraints = Constraints {
            lower,
            upper,
            sums: self.base.simplexes().map(|r| (r, 1.0)).collect(),
            rows: self.cuts.iter().map(|c| (&c.normal[..], c.bound)).collect(),
        };
        nearest(&constraints, z, &warm).map_err(|empty| BoError::EmptyRegion { index: empty.row })
    }
}

impl HalfSpace {
    /// How far inside `x` is, in lengths of the normal.
    fn slack(&self, x: &[f64]) -> f64 {
        self.bound - dot(&self.normal, x)
    }

    /// Whether `x` is on the plane.
    fn is_active(&self, x: &[f64]) -> bool {
        self.slack(x) <= ON_PLANE * (1.0 + self.bound.abs())
    }
}

impl Region for Polyhedron {
    /// Should rounding keep the nearest point from being found, `x` becomes
    /// some point of the region.
    fn project(&self, x: &mut [f64]) {
        match self.nearest(x) {
            Ok(point) => x.copy_from_slice(&point),
            Err(_) => x.copy_from_slice(&self.inside),
        }
    }

    fn project_on_tangent(&self, x: &[f64], v: &mut [f64]) {
        let z = v.to_vec();
        self.base.project_on_tangent(x, v);
        let active: Vec<&HalfSpace> = self.cuts.iter().filter(|c| c.is_active(x)).collect();
        if active.iter().all(|c| dot(&c.normal, v) <= 0.0) {
            return;
        }
        let (mut lower, mut upper) = self.base.bounds();
        for i in 0..x.len() {
            let (low, high) = (lower[i], upper[i]);
            lower[i] = if x[i] <= low { 0.0 } else { f64::NEG_INFINITY };
            upper[i] = if x[i] >= high { 0.0 } else { f64::INFINITY };
        }
        let constraints = Constraints {
            lower,
            upper,
            sums: self.base.simplexes().map(|r| (r, 0.0)).collect(),
            rows: active.iter().map(|c| (&c.normal[..], 0.0)).collect(),
        };
        match nearest(&constraints, &z, v) {
            Ok(direction) => v.copy_from_slice(&direction),
            // Rounding: no direction is better than a wrong one.
            Err(_) => v.fill(0.0),
        }
    }

    fn on_bound(&self, x: &[f64], i: usize) -> bool {
        self.base.on_bound(x, i)
    }

    fn max_step(&self, x: &[f64], v: &[f64]) -> f64 {
        let mut t = self.base.max_step(x, v);
        for cut in &self.cuts {
            let rate = dot(&cut.normal, v);
            if rate > 0.0 {
                t = t.min(cut.slack(x) / rate);
            }
        }
        t.max(0.0)
    }

    fn settle(&self, x: &mut [f64]) {
        self.base.settle(x);
    }

    fn project_on_face(&self, free: &[bool], v: &mut [f64]) {
        self.base.project_on_face(free, v);
    }

    fn face_normals(&self, x: &[f64], direction: &[f64], free: &[bool]) -> Vec<Vec<f64>> {
        let length = dot(direction, direction).sqrt();
        let held = self
            .cuts
            .iter()
            .filter(|c| c.is_active(x) && dot(&c.normal, direction) >= -ON_PLANE * length)
            .map(|c| {
                let mut normal = c.normal.clone();
                self.base.project_on_face(free, &mut normal);
                normal
            })
            .collect();
        let mut normals = Basis::new(held).q;
        normals.retain(|n| n.iter().any(|v| *v != 0.0));
        normals
    }
}
