//! Spaces of any kind, whose points are lists of parts.

use bomf_bo::optim::SearchSpace;
use bomf_bo::space::{
    BoxSpace, Configuration, PartPoint, ProductPoint, ProductSpace, SimplexSpace,
};
use bomf_bo::{BoError, Result};
use serde::{Deserialize, Serialize};

/// A space of any kind.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnySpace {
    Box(BoxSpace),
    Simplex(SimplexSpace),
    Product(ProductSpace),
}

/// A space whose points can be written as a list of parts.
pub trait Parts: SearchSpace + Send + Sync + Clone {
    fn point(&self, parts: &ProductPoint) -> Result<<Self::Point as ToOwned>::Owned>;
    fn parts(&self, point: &Self::Point) -> ProductPoint;
}

/// The only part of a point.
fn only(parts: &ProductPoint) -> Result<&PartPoint> {
    match &parts.parts[..] {
        [part] => Ok(part),
        parts => Err(BoError::Dimension {
            what: "the list of parts",
            found: parts.len(),
            expected: 1,
        }),
    }
}

fn other_kind<T>(expected: &'static str) -> Result<T> {
    Err(BoError::PartKind { part: 0, expected })
}

impl Parts for BoxSpace {
    fn point(&self, parts: &ProductPoint) -> Result<Configuration> {
        match only(parts)? {
            PartPoint::Box(configuration) => Ok(configuration.clone()),
            _ => other_kind("a configuration"),
        }
    }

    fn parts(&self, point: &Configuration) -> ProductPoint {
        ProductPoint {
            parts: vec![PartPoint::Box(point.clone())],
        }
    }
}

impl Parts for SimplexSpace {
    fn point(&self, parts: &ProductPoint) -> Result<Vec<f64>> {
        match only(parts)? {
            PartPoint::Simplex(weights) => Ok(weights.clone()),
            _ => other_kind("coefficients"),
        }
    }

    fn parts(&self, point: &[f64]) -> ProductPoint {
        ProductPoint {
            parts: vec![PartPoint::Simplex(point.to_vec())],
        }
    }
}

impl Parts for ProductSpace {
    fn point(&self, parts: &ProductPoint) -> Result<ProductPoint> {
        Ok(parts.clone())
    }

    fn parts(&self, point: &ProductPoint) -> ProductPoint {
        point.clone()
    }
}
