//! Spaces that are products of boxes and simplexes once what is discrete is held.

use super::{Block, BoxRegion, ProductRegion, SearchSpace};
use crate::space::{BoxSpace, Domain, SimplexSpace, Space, Value, Variable};
use crate::{BoError, Result};

/// Where a number of a point stands among its coordinates.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Place {
    /// The number is `offset + scale * x[at]`.
    Linear {
        /// The coordinate.
        at: usize,
        /// Natural units a unit of the coordinate.
        scale: f64,
        /// The number at coordinate zero.
        offset: f64,
    },
    /// The number is some other function of the coordinates (that of a
    /// logarithmic scale).
    Curved,
}

/// What constraints need to know of the space that they cut.
pub trait Polyhedral: SearchSpace {
    /// The region in which the continuous coordinates may move from `x` (shape
    /// `d`, a point of the space): bounds that are equal hold the others.
    fn region(&self, x: &[f64]) -> ProductRegion;

    /// The same with integers free to take any value of their range.
    fn relaxed_region(&self, x: &[f64]) -> ProductRegion;

    /// The points that differ from `x` in one discrete parameter, near and far.
    fn neighbours(&self, x: &[f64]) -> Vec<Vec<f64>>;

    /// Moves `x` (shape `d`) onto the coordinates of the nearest point.
    fn snap(&self, x: &mut [f64]);

    /// Where `variable` stands.
    ///
    /// # Errors
    /// [`BoError::Variable`] if the space has no such number.
    fn place(&self, variable: &Variable) -> Result<Place>;

    /// The number that `variable` is in `point`; `None` where it is not active.
    fn natural(&self, variable: &Variable, point: &Self::Point) -> Option<f64>;
}

impl BoxSpace {
    fn region_of(&self, free: &[bool], x: &[f64]) -> ProductRegion {
        let bound = |end: f64| {
            let of = |(free, x): (&bool, &f64)| if *free { end } else { *x };
            free.iter().zip(x).map(of).collect()
        };
        ProductRegion::new(vec![Block::Box(BoxRegion {
            lower: bound(0.0),
            upper: bound(1.0),
        })])
    }
}

impl Polyhedral for BoxSpace {
    fn region(&self, x: &[f64]) -> ProductRegion {
        self.region_of(&self.free(x), x)
    }

    fn relaxed_region(&self, x: &[f64]) -> ProductRegion {
        let mut free = self.free(x);
        for (i, value) in self.values(x).iter().enumerate() {
            if matches!(value, Some(Value::Integer(_))) {
                free[self.slot(i)].fill(true);
            }
        }
        self.region_of(&free, x)
    }

    fn neighbours(&self, x: &[f64]) -> Vec<Vec<f64>> {
        BoxSpace::neighbours(self, x)
    }

    fn snap(&self, x: &mut [f64]) {
        BoxSpace::snap(self, x);
    }

    fn place(&self, variable: &Variable) -> Result<Place> {
        let unknown = || BoError::Variable {
            variable: variable.to_string(),
        };
        let Variable::Parameter(name) = variable else {
            return Err(unknown());
        };
        let i = self
            .parameters()
            .iter()
            .position(|p| p.name == *name)
            .ok_or_else(unknown)?;
        let at = self.slot(i).start;
        // The same arithmetic as that of `Domain`.
        let linear = |low: f64, high: f64| Place::Linear {
            at,
            scale: high - low,
            offset: low,
        };
        match &self.parameters()[i].domain {
            Domain::Float { log: true, .. } | Domain::Integer { log: true, .. } => {
                Ok(Place::Curved)
            }
            Domain::Float { low, high, .. } => Ok(linear(*low, *high)),
            Domain::Integer { low, high, .. } => Ok(linear(*low as f64 - 0.5, *high as f64 + 0.5)),
            Domain::Categorical { .. } => Err(unknown()),
        }
    }

    fn natural(&self, variable: &Variable, point: &Self::Point) -> Option<f64> {
        match variable {
            Variable::Parameter(name) => point.float(name),
            _ => None,
        }
    }
}

impl Polyhedral for SimplexSpace {
    fn region(&self, _: &[f64]) -> ProductRegion {
        ProductRegion::new(vec![Block::Simplex(self.dim())])
    }

    fn relaxed_region(&self, x: &[f64]) -> ProductRegion {
        self.region(x)
    }

    fn neighbours(&self, _: &[f64]) -> Vec<Vec<f64>> {
        Vec::new()
    }

    fn snap(&self, x: &mut [f64]) {
        crate::space::project_onto_simplex(x);
    }

    fn place(&self, variable: &Variable) -> Result<Place> {
        match variable {
            Variable::Coefficient(at) if *at < self.dim() => Ok(Place::Linear {
                at: *at,
                scale: 1.0,
                offset: 0.0,
            }),
            _ => Err(BoError::Variable {
                variable: variable.to_string(),
            }),
        }
    }

    fn natural(&self, variable: &Variable, point: &[f64]) -> Option<f64> {
        match variable {
            Variable::Coefficient(at) => point.get(*at).copied(),
            _ => None,
        }
    }
}
