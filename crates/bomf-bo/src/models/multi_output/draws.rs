//! Random outputs of a process of many outputs.
//!
//! At a point the outputs are `mean + sigma e`, `e ~ N(0, Sigma)`. How the
//! outputs hang together matters: the variance of an *average* over them, as a
//! metric is one, is smaller by the number of independent ones. Under the model
//! the `n` rows of `U = L^-1 R` that are no anchors are draws of `N(0, Sigma)`, so
//! `U' g / sqrt(n)` with a standard normal `g` has the covariance `U'U / n`: a
//! draw along the residuals' right singular vectors without computing them. It
//! has rank `n` at most; as Ledoit and Wolf do ("A well-conditioned estimator
//! for large-dimensional covariance matrices", J. Multivariate Analysis 88,
//! 2004), it is mixed with its diagonal,
//! `e = sqrt(1 - rho) U' g / sqrt(n) + sqrt(rho) s h`,
//! with the intensity of Schäfer and Strimmer ("A shrinkage approach to
//! large-scale covariance matrix estimation", Stat. Appl. Genet. Mol. Biol. 4,
//! 2005, target D), `rho = sum_{i != j} Var(c_ij) / sum_{i != j} c_ij^2` over
//! the correlations `c`. Both sums need only the `n x n` matrix `X X'` of the
//! residuals over their scales, and fourth moments.

use faer::{Mat, MatRef};
use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use super::{MeanFunction, MultiOutputGp};
use crate::linalg::{add_product, axpy};

/// At least half of the variance goes along the residuals: `U'U / n` is unbiased
/// for the variance of any average of outputs, correlated or not, while the
/// diagonal alone makes averages nearly certain. With one or two residuals,
/// which say nothing of their correlation, that would be rash.
const MAX_SHRINKAGE: f64 = 0.5;

/// How the outputs' deviations from their means hang together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Correlation {
    /// Not at all: the average of many outputs hardly varies.
    Independent,
    /// All together, each by its scale: their average varies as much as each.
    Shared,
    /// As the residuals do: low rank plus diagonal.
    #[default]
    Residuals,
}

/// Draws of the outputs' deviations, the same for every point: what is computed
/// from them is a smooth function of the point where the outputs are.
///
/// They come in antithetic pairs, `e` and `-e`, so that their mean is exact.
#[derive(Debug, Clone, PartialEq)]
pub struct OutputDraws {
    outputs: usize,
    /// `count x p` by rows.
    deviations: Vec<f64>,
}

impl OutputDraws {
    /// Number of draws.
    #[must_use]
    pub fn len(&self) -> usize {
        self.deviations.len() / self.outputs
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.deviations.is_empty()
    }

    /// The deviations of each draw (shape `p`), at `sigma = 1`.
    pub fn deviations(&self) -> impl Iterator<Item = &[f64]> {
        self.deviations.chunks_exact(self.outputs)
    }
}

impl<M: MeanFunction> MultiOutputGp<M> {
    /// `count` draws of the outputs' deviations.
    pub fn draws<R: Rng + ?Sized>(
        &self,
        count: usize,
        correlation: Correlation,
        rng: &mut R,
    ) -> OutputDraws {
        let p = self.outputs();
        let mix = match correlation {
            Correlation::Residuals => self.shrinkage(),
            Correlation::Independent | Correlation::Shared => 1.0,
        };
        let n = self.observations() - self.anchors;
        let own = mix.sqrt();
        let common = ((1.0 - mix) / n as f64).sqrt();
        let mut deviations = Vec::with_capacity(count * p);
        while deviations.len() < count * p {
            let mut e: Vec<f64> = if correlation == Correlation::Shared {
                let z: f64 = rng.sample(StandardNormal);
                self.scales.iter().map(|s| s * z).collect()
            } else {
                self.scales
                    .iter()
                    .map(|s| own * s * rng.sample::<f64, _>(StandardNormal))
                    .collect()
            };
            if mix < 1.0 {
                for row in self.free_rows() {
                    axpy(common * rng.sample::<f64, _>(StandardNormal), row, &mut e);
                }
            }
            if deviations.len() + p < count * p {
                deviations.extend_from_slice(&e);
                e.iter_mut().for_each(|v| *v = -*v);
            }
            deviations.append(&mut e);
        }
        OutputDraws {
            outputs: p,
            deviations,
        }
    }

    /// The whitened residuals of all but the anchors.
    fn free_rows(&self) -> impl Iterator<Item = &[f64]> {
        self.whitened
            .chunks_exact(self.outputs())
            .skip(self.anchors)
    }

    /// `rho` of the module's head, in `[0, MAX_SHRINKAGE]`.
    fn shrinkage(&self) -> f64 {
        let (n, p) = (self.observations() - self.anchors, self.outputs());
        if n < 2 || self.scales.iter().all(|s| *s == 0.0) {
            return MAX_SHRINKAGE;
        }
        let mut x: Vec<f64> = self.free_rows().flatten().copied().collect();
        let (mut fourth, mut diagonal) = (0.0, vec![0.0; p]);
        for row in x.chunks_exact_mut(p) {
            for ((v, s), d) in row.iter_mut().zip(&self.scales).zip(&mut diagonal) {
                *v /= s;
                let square = *v * *v;
                fourth += square * square;
                *d += square / n as f64;
            }
        }
        let columns = MatRef::from_column_major_slice(&x, p, n);
        let mut gram = Mat::<f64>::zeros(n, n);
        add_product(gram.as_mut(), 1.0, columns.transpose(), columns);
        let m = n as f64;
        let off_diagonal =
            gram.squared_norm_l2() / (m * m) - diagonal.iter().map(|d| d * d).sum::<f64>();
        let squares = (0..n).map(|k| gram[(k, k)] * gram[(k, k)]).sum::<f64>() - fourth;
        let variance = (squares - m * off_diagonal) / (m * (m - 1.0));
        if off_diagonal <= 0.0 {
            return MAX_SHRINKAGE;
        }
        (variance / off_diagonal).clamp(0.0, MAX_SHRINKAGE)
    }
}
