//! A prior by which the blocks of a model want nearly the same mixture.
//!
//! One set of coefficients a block is many times as many numbers to fit to the same examples.
//! As in hierarchical models they shrink towards what they have in common: with `wbar` the
//! mean of the blocks' coefficients (each block counting by its part of the members'
//! differences) and `D(x)` the squared distance of `x` from the mixture that has `wbar` in
//! every block, the density is that of a normal with standard deviation `spread`,
//! `log pi(x) = -D(x) / (2 spread^2)`.
//!
//! The acquisition function is multiplied by it (Hvarfner et al., "piBO: Augmenting
//! Acquisition Functions with User Beliefs for Bayesian Optimization", ICLR 2022, equation 6),
//! at full strength throughout: what it is to keep out is not a bad guess that later
//! evaluations correct, but coefficients that suit the examples at hand alone.

use crate::error::expect_length;
use crate::linalg::dot;
use crate::models::Gram;
use crate::{Acquisition, BoError, Result};

/// The log density of how far the blocks' coefficients lie apart.
#[derive(Debug, Clone, PartialEq)]
pub struct BlockAgreement<'a> {
    metric: &'a Gram,
    /// Each block's part in the mean; they sum to one.
    shares: Vec<f64>,
    spread: f64,
}

impl<'a> BlockAgreement<'a> {
    /// For points of `blocks` blocks; distances are `metric`'s, in which members are
    /// `sqrt(2)` apart ([`Gram::of_blocks`]).
    ///
    /// # Errors
    /// [`BoError::Option`] if `spread` is not positive, [`BoError::Dimension`] if the metric is
    /// not that of so many blocks.
    pub fn new(metric: &'a Gram, blocks: usize, spread: f64) -> Result<Self> {
        if !(spread > 0.0 && spread.is_finite()) {
            return Err(BoError::Option {
                option: "spread",
                value: spread,
                range: "the positive numbers",
            });
        }
        let n = metric.dim() / blocks.max(1);
        expect_length("the metric", metric.dim(), n * blocks.max(1))?;
        Ok(Self {
            metric,
            shares: metric.block_shares(blocks),
            spread,
        })
    }

    /// `x` less the mixture that has the mean of its coefficients in every block.
    fn differences(&self, x: &[f64]) -> Vec<f64> {
        let n = x.len() / self.shares.len();
        let mut mean = vec![0.0; n];
        for (own, share) in x.chunks_exact(n).zip(&self.shares) {
            crate::linalg::axpy(*share, own, &mut mean);
        }
        let blocks = x.chunks_exact(n);
        blocks
            .flat_map(|own| own.iter().zip(&mean).map(|(w, m)| w - m))
            .collect()
    }

    /// `-1 / (2 spread^2)`.
    fn factor(&self) -> f64 {
        -0.5 / (self.spread * self.spread)
    }
}

impl Acquisition for BlockAgreement<'_> {
    fn dim(&self) -> usize {
        self.metric.dim()
    }

    fn values(&self, points: &[Vec<f64>]) -> Result<Vec<f64>> {
        let value = |x: &Vec<f64>| {
            expect_length("a point", x.len(), self.dim())?;
            let features = self.metric.apply(&self.differences(x));
            Ok(self.factor() * dot(&features, &features))
        };
        points.iter().map(value).collect()
    }

    fn value_and_gradient(&self, x: &[f64], gradient: &mut [f64]) -> Result<f64> {
        expect_length("a point", x.len(), self.dim())?;
        let features = self.metric.apply(&self.differences(x));
        let value = self.factor() * dot(&features, &features);
        // D = |F P x|^2 with P x the differences: the gradient is 2 P' F' F P x, and P' takes
        // from every block its share of the sum over all.
        let back = self.metric.pull_back(&features);
        let n = x.len() / self.shares.len();
        let mut sum = vec![0.0; n];
        for own in back.chunks_exact(n) {
            crate::linalg::axpy(1.0, own, &mut sum);
        }
        let blocks = gradient.chunks_exact_mut(n).zip(back.chunks_exact(n));
        for ((gradient, back), share) in blocks.zip(&self.shares) {
            for ((g, b), s) in gradient.iter_mut().zip(back).zip(&sum) {
                *g = 2.0 * self.factor() * (b - share * s);
            }
        }
        Ok(value)
    }
}
