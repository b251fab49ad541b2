//! Products of boxes and simplexes.

use std::ops::Range;

use super::{BoxRegion, Region, SimplexRegion};

/// One factor of a [`ProductRegion`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Block {
    /// Coordinates between bounds.
    Box(BoxRegion),
    /// So many coefficients of a simplex of their own.
    Simplex(usize),
}

impl Block {
    fn len(&self) -> usize {
        match self {
            Self::Box(region) => region.lower.len(),
            Self::Simplex(n) => *n,
        }
    }

    fn region(&self) -> &dyn Region {
        match self {
            Self::Box(region) => region,
            Self::Simplex(_) => &SimplexRegion,
        }
    }
}

/// A product of boxes and simplexes: the coordinates of its blocks one behind
/// another. Everything a [`Region`] must do falls apart into the same for each
/// block, since distances of a product add up in squares.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ProductRegion {
    blocks: Vec<Block>,
    ranges: Vec<Range<usize>>,
}

impl ProductRegion {
    /// The product of `blocks`, in their order.
    #[must_use]
    pub fn new(blocks: Vec<Block>) -> Self {
        let mut start = 0;
        let ranges = blocks
            .iter()
            .map(|b| {
                let range = start..start + b.len();
                start = range.end;
                range
            })
            .collect();
        Self { blocks, ranges }
    }

    /// Number of coordinates.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.ranges.last().map_or(0, |r| r.end)
    }

    /// The factors, in order.
    #[must_use]
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// The factors, to make another product of.
    pub(super) fn into_blocks(self) -> Vec<Block> {
        self.blocks
    }

    /// Whether every coordinate is held.
    pub(super) fn is_point(&self) -> bool {
        self.blocks.iter().all(|block| match block {
            Block::Box(region) => region.lower == region.upper,
            Block::Simplex(n) => *n < 2,
        })
    }

    /// Lower and upper bounds of all coordinates, shape `d` each; a coefficient
    /// of a simplex has none above.
    pub(super) fn bounds(&self) -> (Vec<f64>, Vec<f64>) {
        let (mut lower, mut upper) = (Vec::new(), Vec::new());
        for block in &self.blocks {
            match block {
                Block::Box(region) => {
                    lower.extend(&region.lower);
                    upper.extend(&region.upper);
                }
                Block::Simplex(n) => {
                    lower.resize(lower.len() + n, 0.0);
                    upper.resize(upper.len() + n, f64::INFINITY);
                }
            }
        }
        (lower, upper)
    }

    /// The coordinates of each simplex.
    pub(super) fn simplexes(&self) -> impl Iterator<Item = Range<usize>> {
        self.parts()
            .filter(|(block, _)| matches!(block, Block::Simplex(_)))
            .map(|(_, range)| range)
    }

    fn parts(&self) -> impl Iterator<Item = (&Block, Range<usize>)> {
        self.blocks.iter().zip(self.ranges.iter().cloned())
    }
}

impl Region for ProductRegion {
    fn project(&self, x: &mut [f64]) {
        for (block, range) in self.parts() {
            block.region().project(&mut x[range]);
        }
    }

    fn project_on_tangent(&self, x: &[f64], v: &mut [f64]) {
        for (block, range) in self.parts() {
            let region = block.region();
            region.project_on_tangent(&x[range.clone()], &mut v[range]);
        }
    }

    fn on_bound(&self, x: &[f64], i: usize) -> bool {
        self.parts()
            .find(|(_, range)| range.contains(&i))
            .is_some_and(|(block, range)| {
                let first = range.start;
                block.region().on_bound(&x[range], i - first)
            })
    }

    fn max_step(&self, x: &[f64], v: &[f64]) -> f64 {
        self.parts()
            .map(|(block, range)| block.region().max_step(&x[range.clone()], &v[range]))
            .fold(f64::INFINITY, f64::min)
    }

    fn settle(&self, x: &mut [f64]) {
        for (block, range) in self.parts() {
            block.region().settle(&mut x[range]);
        }
    }

    fn project_on_face(&self, free: &[bool], v: &mut [f64]) {
        for (block, range) in self.parts() {
            let region = block.region();
            region.project_on_face(&free[range.clone()], &mut v[range]);
        }
    }
}
