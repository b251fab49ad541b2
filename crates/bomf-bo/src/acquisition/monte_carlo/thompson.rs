//! Thompson sampling: the best point of a function drawn from the posterior.
//!
//! One objective: the path itself ([`SamplePath`]; Kandasamy et al., "Parallelised
//! Bayesian optimisation via Thompson sampling", AISTATS 2018). Several: the gain
//! in hypervolume of one path an objective over a front (as in Bradford,
//! Schweidtmann and Lapkin, "Efficient multiobjective optimization employing
//! Gaussian processes, spectral sampling and a genetic algorithm", J. Global
//! Optimization 71, 2018). Every path is another point, so that large batches
//! cost no joint posterior.
//!
//! A path's gain is zero below the front and has no gradient there. So the paths
//! are blurred by a hundredth of the front's range: the logarithm of the
//! *expected* gain of normal outcomes around them.

use rand::Rng;

use super::conditional::{Given, Slopes, Utility};
use super::fronts::{Fronts, Work};
use crate::models::{GaussianProcess, SamplePath};
use crate::{Acquisition, BoError, Result};

/// Fourier features of a path.
const FEATURES: usize = 512;

/// The paths' blur as a part of the front's range above the reference point.
const BLUR: f64 = 0.01;

/// A path of the posterior as an acquisition function.
#[derive(Debug, Clone)]
pub struct Thompson<'a> {
    path: SamplePath<'a>,
}

impl<'a> Thompson<'a> {
    /// A path of `model`.
    pub fn new<R: Rng + ?Sized>(model: &'a GaussianProcess, rng: &mut R) -> Self {
        Self {
            path: SamplePath::draw(model, FEATURES, rng),
        }
    }
}

impl Acquisition for Thompson<'_> {
    fn dim(&self) -> usize {
        self.path.dim()
    }

    fn values(&self, points: &[Vec<f64>]) -> Result<Vec<f64>> {
        points.iter().map(|x| self.path.value(x)).collect()
    }

    fn value_and_gradient(&self, x: &[f64], gradient: &mut [f64]) -> Result<f64> {
        self.path.value_and_gradient(x, gradient)
    }
}

/// The logarithm of the (blurred) gain in hypervolume of one path an objective.
#[derive(Debug, Clone)]
pub struct LogThompsonHvi<'a> {
    paths: Vec<SamplePath<'a>>,
    front: Fronts,
    blur: Vec<f64>,
}

impl<'a> LogThompsonHvi<'a> {
    /// Gain over `front` (`n x m`) and over the paths' own values at `pending`
    /// (`p x d`), above `ref_point` (`m`).
    ///
    /// # Errors
    /// [`BoError::Dimension`]; [`BoError::Pareto`] as
    /// [`bomf_pareto::box_decomposition`].
    pub fn new<R: Rng + ?Sized>(
        models: &'a [GaussianProcess],
        front: &[Vec<f64>],
        pending: &[Vec<f64>],
        ref_point: &[f64],
        rng: &mut R,
    ) -> Result<Self> {
        let m = models.len();
        if m != ref_point.len() {
            return Err(BoError::Dimension {
                what: "the list of models",
                found: m,
                expected: ref_point.len(),
            });
        }
        let paths: Vec<SamplePath<'a>> = models
            .iter()
            .map(|model| SamplePath::draw(model, FEATURES, rng))
            .collect();
        let mut known = front.to_vec();
        for x in pending {
            known.push(paths.iter().map(|p| p.value(x)).collect::<Result<_>>()?);
        }
        let mut fronts = Fronts::new(m);
        fronts.push(&known, ref_point)?;
        let blur = (0..m)
            .map(|j| {
                let top = known.iter().map(|y| y[j]).fold(f64::NEG_INFINITY, f64::max);
                let range = top - ref_point[j];
                BLUR * if range > 0.0 && range.is_finite() {
                    range
                } else {
                    models[j].outcome().scale
                }
            })
            .collect();
        Ok(Self {
            paths,
            front: fronts,
            blur,
        })
    }
}

impl Acquisition for LogThompsonHvi<'_> {
    fn dim(&self) -> usize {
        self.paths.first().map_or(0, SamplePath::dim)
    }

    fn values(&self, points: &[Vec<f64>]) -> Result<Vec<f64>> {
        let mut work = Work::default();
        let mut log = [0.0];
        points
            .iter()
            .map(|x| {
                let means = self
                    .paths
                    .iter()
                    .map(|p| p.value(x))
                    .collect::<Result<Vec<_>>>()?;
                let given = Given {
                    means: &means,
                    sigma: &self.blur,
                };
                self.front.log_values(&given, &mut log, &mut work);
                if log[0] == f64::NEG_INFINITY {
                    self.front
                        .far(&given, &mut log, &mut Slopes::new(means.len()));
                }
                Ok(log[0])
            })
            .collect()
    }

    fn value_and_gradient(&self, x: &[f64], gradient: &mut [f64]) -> Result<f64> {
        let m = self.paths.len();
        let mut rows = vec![0.0; m * x.len()];
        let mut means = Vec::with_capacity(m);
        for (path, row) in self.paths.iter().zip(rows.chunks_exact_mut(x.len().max(1))) {
            means.push(path.value_and_gradient(x, row)?);
        }
        let given = Given {
            means: &means,
            sigma: &self.blur,
        };
        let mut log = [0.0];
        let mut slopes = Slopes::new(m);
        self.front
            .derivatives(&given, &mut log, &mut slopes, &mut Work::default());
        if log[0] == f64::NEG_INFINITY {
            self.front.far(&given, &mut log, &mut slopes);
        }
        gradient.fill(0.0);
        for (slope, row) in slopes.by_mean.iter().zip(rows.chunks_exact(x.len().max(1))) {
            crate::linalg::axpy(*slope, row, gradient);
        }
        Ok(log[0])
    }
}
