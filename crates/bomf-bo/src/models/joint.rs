//! The joint posterior of a process over several points, and of one more point
//! given its values there.
//!
//! Points `p_1 .. p_q`, data `X` with `K = L L'` (noise included); everything is
//! the function without noise. With `V = L^-1 k(X, P)` the covariance is
//! `C = k(P, P) - V' V = R R'` (Rasmussen and Williams 2006, equation 2.26), and
//! `f(P) = mean + R e` with `e` standard normal.
//!
//! A further point `x` has `v = L^-1 k(X, x)`, `c = k(P, x) - V' v` and
//! `w = R^-1 c`: one more row of the factor. So
//! `f(x) | f(P) ~ N(mean(x) + w' e, k(x, x) - v' v - w' w)`:
//! once `e` is fixed, a sample of `f(x)` costs `q` multiplications (this is the
//! low-rank update of Daulton, Balandat and Bakshy, "Parallel Bayesian
//! optimization of multiple noisy objectives with expected hypervolume
//! improvement", NeurIPS 2021, appendix).

use faer::Mat;

use super::GaussianProcess;
use super::coordinates::Coordinates;
use super::predict::MIN_VARIANCE;
use crate::Result;
use crate::linalg::{Cholesky, add_product, axpy, dot};

/// The joint posterior of the function (without noise) at `q` points; `q` may
/// be zero.
#[derive(Debug, Clone)]
pub struct JointPosterior<'a> {
    model: &'a GaussianProcess,
    /// The points' features.
    points: Coordinates,
    /// `V`, shape `n x q`.
    explained: Mat<f64>,
    /// Shape `q`, in the outcomes' unit.
    mean: Vec<f64>,
    /// `R`, standardised.
    factor: Cholesky,
    /// `R` by rows in the outcomes' unit, the `i`-th of shape `i + 1`.
    rows: Vec<Vec<f64>>,
}

impl<'a> JointPosterior<'a> {
    /// That of `model` at `points` (`q x d`).
    ///
    /// Points may lie together or on the data: a ten-thousand-millionth of the
    /// kernel's variance is added to each variance.
    ///
    /// # Errors
    /// [`crate::BoError::Dimension`]; [`crate::BoError::NotPositiveDefinite`]
    /// if the covariance cannot be factorised.
    pub fn new(model: &'a GaussianProcess, points: &[Vec<f64>]) -> Result<Self> {
        let q = points.len();
        let seen = Seen::new(model, points)?;
        let s = model.hyper.outputscale;
        let points = Coordinates::new(&seen.features);
        let mut covariance = covariances(model, &points, &seen.features);
        let v = seen.explained.as_ref();
        add_product(covariance.as_mut(), -1.0, v.transpose(), v);
        for i in 0..q {
            covariance[(i, i)] = covariance[(i, i)].max(0.0) + MIN_VARIANCE * s;
        }
        let factor = Cholesky::new(&covariance)?;
        let scale = model.form.outcome.scale;
        let lower = factor.lower();
        let rows = (0..q)
            .map(|i| (0..=i).map(|k| scale * lower[(i, k)]).collect())
            .collect();
        Ok(Self {
            model,
            points,
            explained: seen.explained,
            mean: seen.mean,
            factor,
            rows,
        })
    }

    /// Number of points `q`.
    #[must_use]
    pub fn len(&self) -> usize {
        self.mean.len()
    }

    /// Whether there is no point.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.mean.is_empty()
    }

    /// Number of inputs `d`.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.model.dim()
    }

    /// The means, shape `q`, in the outcomes' unit.
    #[must_use]
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// The standard deviations, shape `q`, in the outcomes' unit.
    #[must_use]
    pub fn sigma(&self) -> Vec<f64> {
        self.rows.iter().map(|row| dot(row, row).sqrt()).collect()
    }

    /// The covariances, `q x q` by rows, in the outcomes' unit.
    #[must_use]
    pub fn covariance(&self) -> Vec<Vec<f64>> {
        let product = |a: &[f64], b: &[f64]| {
            let both = a.len().min(b.len());
            dot(&a[..both], &b[..both])
        };
        self.rows
            .iter()
            .map(|a| self.rows.iter().map(|b| product(a, b)).collect())
            .collect()
    }

    /// The function's values at the points for standard normal numbers
    /// `normals` (shape `q`), in the outcomes' unit. Numbers that are missing
    /// count as zero.
    #[must_use]
    pub fn sample(&self, normals: &[f64]) -> Vec<f64> {
        self.rows
            .iter()
            .zip(&self.mean)
            .map(|(row, mean)| {
                let used = row.len().min(normals.len());
                mean + dot(&row[..used], &normals[..used])
            })
            .collect()
    }

    /// What is needed of each of `points` (`p x d`) given the values here.
    pub(crate) fn given(&self, points: &[Vec<f64>]) -> Result<Conditionals> {
        let seen = Seen::new(self.model, points)?;
        let s = self.model.hyper.outputscale;
        let mut weights = covariances(self.model, &self.points, &seen.features);
        if !self.is_empty() {
            let v = self.explained.as_ref().transpose();
            add_product(weights.as_mut(), -1.0, v, seen.explained.as_ref());
            self.factor.forward_columns(weights.as_mut());
        }
        let scale = self.model.form.outcome.scale;
        let sigma = (0..points.len())
            .map(|j| {
                let (v, w) = (seen.explained.col_as_slice(j), weights.col_as_slice(j));
                let rest = s - dot(v, v) - dot(w, w);
                scale * rest.max(MIN_VARIANCE * s).sqrt()
            })
            .collect();
        weights *= faer::Scale(scale);
        Ok(Conditionals {
            mean: seen.mean,
            weights,
            sigma,
        })
    }

    /// The same for one point `x` (shape `d`), ready for gradients.
    pub(crate) fn given_with_gradient(&self, x: &[f64]) -> Result<Conditional<'_>> {
        let model = self.model;
        model.check(x)?;
        let features = model.form.features.apply(x);
        let s = model.hyper.outputscale;
        let both = |points: &Coordinates| {
            let mut slopes = vec![0.0; points.len()];
            let mut values = vec![0.0; points.len()];
            points.squared_distances(&model.weights, &features, 0, &mut slopes);
            model
                .kernel
                .values_and_derivatives(s, &mut slopes, &mut values);
            (values, slopes)
        };
        let (mut v, slopes) = both(&model.data.points);
        let mut mean = model
            .form
            .outcome
            .undo_mean(model.hyper.mean + dot(&v, &model.alpha));
        let mut prior_slope = Vec::new();
        if let Some(prior) = &model.form.prior_mean {
            prior_slope.resize(x.len(), 0.0);
            mean += prior.value_and_gradient(x, &mut prior_slope);
        }
        model.factor.forward(&mut v);
        let (mut w, own_slopes) = both(&self.points);
        for (i, w) in w.iter_mut().enumerate() {
            *w -= dot(self.explained.col_as_slice(i), &v);
        }
        self.factor.forward(&mut w);
        let rest = s - dot(&v, &v) - dot(&w, &w);
        let floor = MIN_VARIANCE * s;
        let scale = model.form.outcome.scale;
        Ok(Conditional {
            joint: self,
            mean,
            weights: w.iter().map(|w| scale * w).collect(),
            sigma: scale * rest.max(floor).sqrt(),
            clipped: rest <= floor,
            features,
            prior_slope,
            v,
            slopes,
            own_slopes,
        })
    }
}

/// Many points given the values at `q` others, in the outcomes' unit.
pub(crate) struct Conditionals {
    /// Unconditional means, shape `p`.
    pub(crate) mean: Vec<f64>,
    /// How the means move with the standard normals, `q x p`.
    pub(crate) weights: Mat<f64>,
    /// Conditional standard deviations, shape `p`.
    pub(crate) sigma: Vec<f64>,
}

/// One point given the values at `q` others, in the outcomes' unit.
pub(crate) struct Conditional<'a> {
    joint: &'a JointPosterior<'a>,
    /// The unconditional mean.
    pub(crate) mean: f64,
    /// How the mean moves with the standard normals, shape `q`.
    pub(crate) weights: Vec<f64>,
    /// The conditional standard deviation.
    pub(crate) sigma: f64,
    clipped: bool,
    features: Vec<f64>,
    /// Gradient of the prior mean; empty without one.
    prior_slope: Vec<f64>,
    v: Vec<f64>,
    slopes: Vec<f64>,
    own_slopes: Vec<f64>,
}

impl Conditional<'_> {
    /// Adds to `gradient` (shape `d`) that of a function of the mean, the
    /// weights and the deviation whose derivatives in those are given.
    ///
    /// With `sigma d sigma = -v' dv - w' dw`, `dw = R^-1 (dk_P - V' dv)` and
    /// `dv = L^-1 dk_X`, everything is a weighted sum of the kernels' gradients.
    pub(crate) fn pull_back(
        &self,
        by_mean: f64,
        by_weights: &[f64],
        by_sigma: f64,
        gradient: &mut [f64],
    ) {
        let model = self.joint.model;
        let scale = model.form.outcome.scale;
        // by_sigma / sigma, with sigma standardised.
        let shrink = if self.clipped {
            0.0
        } else {
            scale * scale * by_sigma / self.sigma
        };
        let mut p: Vec<f64> = by_weights
            .iter()
            .zip(&self.weights)
            .map(|(g, w)| scale * g - shrink * w / scale)
            .collect();
        self.joint.factor.backward(&mut p);
        let mut u: Vec<f64> = self.v.iter().map(|v| -shrink * v).collect();
        for (i, p) in p.iter().enumerate() {
            axpy(-p, self.joint.explained.col_as_slice(i), &mut u);
        }
        model.factor.backward(&mut u);
        axpy(scale * by_mean, &model.alpha, &mut u);

        // d k_i / d features = 2 slope_i w (features - x_i), w = 1 / l^2.
        let mut sums = vec![0.0; self.features.len()];
        let mut own = vec![0.0; self.features.len()];
        let double = |u: &mut [f64], slopes: &[f64]| {
            for (u, slope) in u.iter_mut().zip(slopes) {
                *u *= 2.0 * slope;
            }
        };
        double(&mut u, &self.slopes);
        double(&mut p, &self.own_slopes);
        model
            .data
            .points
            .weighted_differences(&u, &self.features, &mut sums);
        if !self.joint.is_empty() {
            self.joint
                .points
                .weighted_differences(&p, &self.features, &mut own);
        }
        for ((sum, own), w) in sums.iter_mut().zip(&own).zip(&model.weights) {
            *sum = w * (*sum + own);
        }
        axpy(1.0, &model.form.features.pull_back(sums), gradient);
        axpy(by_mean, &self.prior_slope, gradient);
    }
}

/// The covariances a priori of `points` (`q`) with the points of `features`
/// (`p x k`), `q x p`, standardised.
fn covariances(model: &GaussianProcess, points: &Coordinates, features: &[Vec<f64>]) -> Mat<f64> {
    let mut out = Mat::zeros(points.len(), features.len());
    if points.len() > 0 {
        for (j, own) in features.iter().enumerate() {
            let column = out.col_as_slice_mut(j);
            points.squared_distances(&model.weights, own, 0, column);
            model.kernel.values(model.hyper.outputscale, column);
        }
    }
    out
}

/// Points seen from the data.
struct Seen {
    /// `p x k`.
    features: Vec<Vec<f64>>,
    /// `L^-1 k(X, points)`, `n x p`.
    explained: Mat<f64>,
    /// Means, shape `p`, in the outcomes' unit.
    mean: Vec<f64>,
}

impl Seen {
    fn new(model: &GaussianProcess, points: &[Vec<f64>]) -> Result<Self> {
        let mut features = Vec::with_capacity(points.len());
        let mut mean = Vec::with_capacity(points.len());
        let mut explained = Mat::zeros(model.len(), points.len());
        for (j, x) in points.iter().enumerate() {
            model.check(x)?;
            let own = model.form.features.apply(x);
            let column = explained.col_as_slice_mut(j);
            model.covariances(&own, column);
            let z = model.hyper.mean + dot(column, &model.alpha);
            let prior = model.form.prior_mean.as_ref().map_or(0.0, |p| p.value(x));
            mean.push(model.form.outcome.undo_mean(z) + prior);
            features.push(own);
        }
        model.factor.forward_columns(explained.as_mut());
        Ok(Self {
            features,
            explained,
            mean,
        })
    }
}
