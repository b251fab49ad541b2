//! Mixtures of `n` members: one set of coefficients for the whole model, or one for each of
//! its blocks (embeddings, groups of layers, head).
//!
//! A point of a [`BlockSpace`] is `B` points of the simplex, one behind another:
//! `x = (w^1, .., w^B)`. The mixtures with the same coefficients in every block are the
//! diagonal of this space, and a [`SimplexSpace`] is that diagonal alone.

use serde::{Deserialize, Serialize};

use super::{ProductSpace, SimplexSpace, Space};
use crate::{BoError, Result};

/// A space whose points are coefficients of the same members, in one block or several.
pub trait MixtureSpace: Space<Point = [f64]> {
    /// Number of members `n`.
    fn members(&self) -> usize;

    /// Number of blocks `B`; a point has `B n` coordinates, block after block.
    fn blocks(&self) -> usize;

    /// The point with coefficients `w` (shape `n`) in every block.
    fn shared(&self, w: &[f64]) -> Vec<f64> {
        w.repeat(self.blocks())
    }

    /// The member that point `x` (shape `B n`) consists of in every block, if there is one.
    fn vertex_of(&self, x: &[f64]) -> Option<usize> {
        let n = self.members();
        let first = x.iter().take(n).position(|v| *v == 1.0)?;
        let is_alike = x.chunks_exact(n).all(|w| w[first] == 1.0);
        is_alike.then_some(first)
    }
}

impl MixtureSpace for SimplexSpace {
    fn members(&self) -> usize {
        self.len()
    }

    fn blocks(&self) -> usize {
        1
    }
}

/// One simplex of `n` coefficients for each of `B` blocks.
///
/// ```
/// use bomf_bo::space::{BlockSpace, MixtureSpace, Space};
///
/// let space = BlockSpace::new(2, 3)?;
/// assert_eq!(space.shared(&[0.5, 0.5, 0.0]), [0.5, 0.5, 0.0, 0.5, 0.5, 0.0]);
/// assert!(space.encode(&[1.0, 0.0, 0.0, 0.2, 0.3, 0.5]).is_ok());
/// assert!(space.encode(&[1.0, 0.0, 0.0, 0.2, 0.3, 0.6]).is_err());
/// # Ok::<(), bomf_bo::BoError>(())
/// ```
///
/// Serialised as `{"blocks": 5, "n": 15}`, checked when read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Declared", into = "Declared")]
pub struct BlockSpace {
    blocks: usize,
    n: usize,
    product: ProductSpace,
}

/// The space as it is stored, not yet checked.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Declared {
    blocks: usize,
    n: usize,
}

impl TryFrom<Declared> for BlockSpace {
    type Error = BoError;

    fn try_from(declared: Declared) -> Result<Self> {
        Self::new(declared.blocks, declared.n)
    }
}

impl From<BlockSpace> for Declared {
    fn from(space: BlockSpace) -> Self {
        Self {
            blocks: space.blocks,
            n: space.n,
        }
    }
}

impl BlockSpace {
    /// `blocks` sets of `n` coefficients.
    ///
    /// # Errors
    /// [`BoError::EmptySpace`] if either is zero.
    pub fn new(blocks: usize, n: usize) -> Result<Self> {
        let product = ProductSpace::simplexes(&vec![n; blocks])?;
        Ok(Self { blocks, n, product })
    }

    /// The same space as a product of simplexes.
    #[must_use]
    pub fn product(&self) -> &ProductSpace {
        &self.product
    }

    /// Coefficients cleaned of rounding, see [`SimplexSpace::clean`].
    fn clean(&self, x: &[f64]) -> Result<Vec<f64>> {
        let point = self.product.decode(x)?;
        self.product.encode(&point)
    }
}

impl MixtureSpace for BlockSpace {
    fn members(&self) -> usize {
        self.n
    }

    fn blocks(&self) -> usize {
        self.blocks
    }
}

impl Space for BlockSpace {
    type Point = [f64];

    fn dim(&self) -> usize {
        self.blocks * self.n
    }

    /// # Errors
    /// [`BoError::Dimension`] for another number of coefficients; [`BoError::Part`] with the
    /// block whose coefficients are not on the simplex.
    fn encode(&self, x: &[f64]) -> Result<Vec<f64>> {
        self.clean(x)
    }

    fn decode(&self, x: &[f64]) -> Result<Vec<f64>> {
        self.clean(x)
    }

    fn cardinality(&self) -> Option<u64> {
        self.product.cardinality()
    }

    fn enumerate(&self) -> Vec<Vec<f64>> {
        self.product.enumerate()
    }

    fn same(&self, a: &[f64], b: &[f64], tolerance: f64) -> bool {
        self.product.same(a, b, tolerance)
    }

    fn design_dim(&self) -> usize {
        self.product.design_dim()
    }

    fn design_point(&self, u: &[f64]) -> Vec<f64> {
        self.product.design_point(u)
    }

    fn prior_dim(&self) -> f64 {
        self.product.prior_dim()
    }

    fn is_symmetric(&self) -> bool {
        self.product.is_symmetric()
    }
}
