//! Products of boxes and simplexes: hyperparameters beside coefficients, or one
//! simplex for each group of layers.

use serde::{Deserialize, Serialize};

use super::{BoxSpace, Configuration, SimplexSpace, Space};
use crate::{BoError, Result};

/// One factor of a [`ProductSpace`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Part {
    /// Named parameters.
    Box(BoxSpace),
    /// Coefficients that sum to one.
    Simplex(SimplexSpace),
}

impl From<BoxSpace> for Part {
    fn from(space: BoxSpace) -> Self {
        Self::Box(space)
    }
}

impl From<SimplexSpace> for Part {
    fn from(space: SimplexSpace) -> Self {
        Self::Simplex(space)
    }
}

/// The point of one [`Part`].
///
/// Serialised as the configuration's map, or as the list of coefficients.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum PartPoint {
    /// Coefficients of a simplex.
    Simplex(Vec<f64>),
    /// A configuration of a box.
    Box(Configuration),
}

/// A point of a [`ProductSpace`]: one point a part, in its order.
///
/// Serialised as the list of them.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProductPoint {
    /// The points of the parts.
    pub parts: Vec<PartPoint>,
}

impl ProductPoint {
    /// The configuration of part `i`, if that is a box.
    #[must_use]
    pub fn configuration(&self, i: usize) -> Option<&Configuration> {
        match self.parts.get(i)? {
            PartPoint::Box(configuration) => Some(configuration),
            PartPoint::Simplex(_) => None,
        }
    }

    /// The coefficients of part `i`, if that is a simplex.
    #[must_use]
    pub fn coefficients(&self, i: usize) -> Option<&[f64]> {
        match self.parts.get(i)? {
            PartPoint::Box(_) => None,
            PartPoint::Simplex(w) => Some(w),
        }
    }
}

impl FromIterator<Vec<f64>> for ProductPoint {
    /// A point of a product of simplexes.
    fn from_iter<I: IntoIterator<Item = Vec<f64>>>(blocks: I) -> Self {
        Self {
            parts: blocks.into_iter().map(PartPoint::Simplex).collect(),
        }
    }
}

/// A product of boxes and simplexes. Its coordinates are those of its parts, one
/// behind another.
///
/// ```
/// use bomf_bo::space::{BoxSpace, ProductSpace, SimplexSpace, Space};
///
/// let knobs = BoxSpace::builder().float("temperature", 0.5, 2.0).build()?;
/// let space = ProductSpace::new([knobs.into(), SimplexSpace::new(3)?.into()])?;
/// let point = space.decode(&[0.0, 0.5, 0.5, 0.0])?;
/// assert_eq!(point.configuration(0).and_then(|c| c.float("temperature")), Some(0.5));
/// assert_eq!(point.coefficients(1), Some(&[0.5, 0.5, 0.0][..]));
/// # Ok::<(), bomf_bo::BoError>(())
/// ```
///
/// Serialised as `{"parts": [{"box": ..}, {"simplex": ..}]}`, checked when read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Declared", into = "Declared")]
pub struct ProductSpace {
    parts: Vec<Part>,
}

/// A product as it is stored, not yet checked.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Declared {
    parts: Vec<Part>,
}

impl TryFrom<Declared> for ProductSpace {
    type Error = BoError;

    fn try_from(declared: Declared) -> Result<Self> {
        Self::new(declared.parts)
    }
}

impl From<ProductSpace> for Declared {
    fn from(space: ProductSpace) -> Self {
        Self { parts: space.parts }
    }
}

impl Part {
    fn dim(&self) -> usize {
        match self {
            Self::Box(space) => space.dim(),
            Self::Simplex(space) => space.dim(),
        }
    }

    fn design_dim(&self) -> usize {
        match self {
            Self::Box(space) => space.design_dim(),
            Self::Simplex(space) => space.design_dim(),
        }
    }

    fn cardinality(&self) -> Option<u64> {
        match self {
            Self::Box(space) => space.cardinality(),
            Self::Simplex(space) => space.cardinality(),
        }
    }

    fn encode(&self, i: usize, point: &PartPoint) -> Result<Vec<f64>> {
        let wrong = |expected| BoError::PartKind { part: i, expected };
        let of_part = |source: BoError| BoError::Part {
            part: i,
            source: Box::new(source),
        };
        match (self, point) {
            (Self::Box(space), PartPoint::Box(c)) => space.encode(c).map_err(of_part),
            (Self::Simplex(space), PartPoint::Simplex(w)) => space.encode(w).map_err(of_part),
            (Self::Box(_), PartPoint::Simplex(_)) => Err(wrong("a configuration")),
            (Self::Simplex(_), PartPoint::Box(_)) => Err(wrong("coefficients")),
        }
    }

    fn decode(&self, x: &[f64]) -> Result<PartPoint> {
        Ok(match self {
            Self::Box(space) => PartPoint::Box(space.decode(x)?),
            Self::Simplex(space) => PartPoint::Simplex(space.decode(x)?),
        })
    }
}

impl ProductSpace {
    /// The product of `parts`, in their order. Parameters of different parts may
    /// have one name.
    ///
    /// # Errors
    /// [`BoError::EmptySpace`] without parts.
    pub fn new(parts: impl IntoIterator<Item = Part>) -> Result<Self> {
        let parts: Vec<Part> = parts.into_iter().collect();
        if parts.is_empty() {
            return Err(BoError::EmptySpace);
        }
        Ok(Self { parts })
    }

    /// One simplex a block, of `sizes[i]` coefficients each: block-wise
    /// mixtures.
    ///
    /// # Errors
    /// [`BoError::EmptySpace`] without blocks, or if a size is zero.
    pub fn simplexes(sizes: &[usize]) -> Result<Self> {
        let parts: Result<Vec<Part>> = sizes
            .iter()
            .map(|n| Ok(SimplexSpace::new(*n)?.into()))
            .collect();
        Self::new(parts?)
    }

    /// The parts, in order.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Each part with the range of its coordinates.
    pub(crate) fn ranges(&self) -> impl Iterator<Item = (&Part, std::ops::Range<usize>)> {
        let mut start = 0;
        self.parts.iter().map(move |part| {
            let range = start..start + part.dim();
            start = range.end;
            (part, range)
        })
    }
}

impl Space for ProductSpace {
    type Point = ProductPoint;

    fn dim(&self) -> usize {
        self.parts.iter().map(Part::dim).sum()
    }

    /// # Errors
    /// [`BoError::Dimension`] or [`BoError::PartKind`] if the parts are not
    /// those of the space, [`BoError::Part`] if one is not in its space.
    fn encode(&self, point: &ProductPoint) -> Result<Vec<f64>> {
        if point.parts.len() != self.parts.len() {
            return Err(BoError::Dimension {
                what: "the list of parts",
                found: point.parts.len(),
                expected: self.parts.len(),
            });
        }
        let mut x = Vec::with_capacity(self.dim());
        for (i, (part, point)) in self.parts.iter().zip(&point.parts).enumerate() {
            x.extend(part.encode(i, point)?);
        }
        Ok(x)
    }

    fn decode(&self, x: &[f64]) -> Result<ProductPoint> {
        if x.len() != self.dim() {
            return Err(BoError::Dimension {
                what: "a point of the product",
                found: x.len(),
                expected: self.dim(),
            });
        }
        let parts: Result<Vec<PartPoint>> = self
            .ranges()
            .enumerate()
            .map(|(i, (part, range))| {
                part.decode(&x[range]).map_err(|source| BoError::Part {
                    part: i,
                    source: Box::new(source),
                })
            })
            .collect();
        Ok(ProductPoint { parts: parts? })
    }

    fn cardinality(&self) -> Option<u64> {
        self.parts
            .iter()
            .try_fold(1_u64, |n, p| Some(n.saturating_mul(p.cardinality()?)))
    }

    fn enumerate(&self) -> Vec<Vec<f64>> {
        if self.cardinality().is_none() {
            return Vec::new();
        }
        let mut all = vec![Vec::with_capacity(self.dim())];
        for part in &self.parts {
            let own = match part {
                Part::Box(space) => space.enumerate(),
                Part::Simplex(space) => space.enumerate(),
            };
            all = all
                .iter()
                .flat_map(|start| own.iter().map(|x| [&start[..], x].concat()))
                .collect();
        }
        all
    }

    fn same(&self, a: &[f64], b: &[f64], tolerance: f64) -> bool {
        self.ranges().all(|(part, range)| {
            let (a, b) = (&a[range.clone()], &b[range]);
            match part {
                Part::Box(space) => space.same(a, b, tolerance),
                Part::Simplex(space) => space.same(a, b, tolerance),
            }
        })
    }

    fn design_dim(&self) -> usize {
        self.parts.iter().map(Part::design_dim).sum()
    }

    fn design_point(&self, u: &[f64]) -> Vec<f64> {
        let mut rest = u;
        let mut x = Vec::with_capacity(self.dim());
        for part in &self.parts {
            let (own, others) = rest.split_at(part.design_dim());
            rest = others;
            x.extend(match part {
                Part::Box(space) => space.design_point(own),
                Part::Simplex(space) => space.design_point(own),
            });
        }
        x
    }

    /// Squared distances add up, and so do these.
    fn prior_dim(&self) -> f64 {
        let of = |part: &Part| match part {
            Part::Box(space) => space.prior_dim(),
            Part::Simplex(space) => space.prior_dim(),
        };
        self.parts.iter().map(of).sum()
    }

    /// If every part is: blocks of coefficients alike.
    fn is_symmetric(&self) -> bool {
        self.parts.iter().all(|part| match part {
            Part::Box(space) => space.is_symmetric(),
            Part::Simplex(space) => space.is_symmetric(),
        })
    }
}
