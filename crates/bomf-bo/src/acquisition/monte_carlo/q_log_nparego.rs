//! Logarithm of the noisy expected improvement of a random scalarisation, with
//! pending points, for more objectives than boxes can be cut for.
//!
//! The augmented Chebyshev scalarisation of Knowles, "ParEGO", IEEE TEC 10 (2006),
//! equation 2, maximised, of outcomes `v_j = (y_j - ideal_j) / range_j`:
//! `g(y) = min_j lambda_j v_j + rho sum_j lambda_j v_j`,
//! and its noisy expected improvement (qNParEGO: Daulton, Balandat and Bakshy 2020,
//! section 5; logarithm: Ament et al. 2023). `g` of normal outcomes is not normal,
//! so that the new point is sampled too. The minimum is smoothed by a log-sum-exp
//! and the improvement by the fat softplus of Ament et al. (2023, equation 11),
//! `tau (ln(1 + exp(u)) + 0.1 / (1 + u^2))`, `u = (g - best) / tau`, whose
//! logarithm keeps a slope where no sample improves.

use bomf_pareto::non_dominated;
use rand::Rng;

use super::conditional::{Conditioned, Given, Slopes, Utility, acquisition_by};
use super::samples::{SampleOptions, Samples};
use crate::acquisition::composite::log_fat_softplus;
use crate::models::GaussianProcess;
use crate::sampling::sobol_normals;
use crate::{BoError, Result};

/// `rho`, Knowles's.
const AUGMENTATION: f64 = 0.05;

/// Temperature of the minimum: a hundredth of the outcomes' range, BoTorch's.
const MINIMUM: f64 = 1e-2;

/// Temperature of the improvement: an improvement by a ten-thousandth of the range
/// is worth no evaluation.
const IMPROVEMENT: f64 = 1e-4;

/// The new point is sampled at least so often, even where all else is known.
const MIN_SAMPLES: usize = 32;

/// The logarithm of the expected improvement of a scalarisation (qLogNParEGO) of
/// one more point over baseline points whose outcomes are known with noise and
/// pending points whose outcomes are not known yet.
#[derive(Debug, Clone)]
pub struct QLogNParEgo<'a> {
    inner: Conditioned<'a, Chebyshev>,
}

impl<'a> QLogNParEgo<'a> {
    /// Improvement over `baseline` (`n x d`, not empty) and `pending` (`p x d`)
    /// under one model an objective, in the direction `weights` (`m`, positive;
    /// a new draw of [`crate::sampling::uniform_simplex`] for each point).
    ///
    /// # Errors
    /// [`BoError::NoData`] if there is no baseline; [`BoError::Dimension`];
    /// [`BoError::Option`] for zero samples or weights that are negative, not
    /// finite or all zero; [`BoError::NotPositiveDefinite`].
    pub fn new<R: Rng + ?Sized>(
        models: &'a [GaussianProcess],
        baseline: &[Vec<f64>],
        pending: &[Vec<f64>],
        weights: &[f64],
        options: &SampleOptions,
        rng: &mut R,
    ) -> Result<Self> {
        let m = models.len();
        if m != weights.len() {
            return Err(BoError::Dimension {
                what: "the list of models",
                found: m,
                expected: weights.len(),
            });
        }
        if baseline.is_empty() || m == 0 {
            return Err(BoError::NoData);
        }
        let total: f64 = weights.iter().sum();
        let odd = weights.iter().find(|w| !(w.is_finite() && **w >= 0.0));
        if odd.is_some() || total <= 0.0 {
            return Err(BoError::Option {
                option: "weights",
                value: odd.copied().unwrap_or(total),
                range: "the numbers from 0 on, not all of them zero",
            });
        }
        let (ideal, range) = ideal_and_range(models, baseline)?;
        let mut samples = Samples::draw(models, baseline, pending, options, rng)?;
        if samples.count == 1 {
            samples.repeat(options.samples.max(MIN_SAMPLES));
        }
        let mut utility = Chebyshev {
            scale: (0..m).map(|j| weights[j] / (total * range[j])).collect(),
            ideal,
            normals: sobol_normals(samples.count, m, rng),
            best: Vec::new(),
        };
        let mut shares = vec![0.0; m];
        utility.best = (0..samples.count)
            .map(|s| {
                samples
                    .outcomes(s)
                    .iter()
                    .map(|y| utility.scalarise(y, &mut shares))
                    .fold(f64::NEG_INFINITY, f64::max)
            })
            .collect();
        Ok(Self {
            inner: Conditioned { samples, utility },
        })
    }
}

/// Of the means at the baseline's front: the best of each objective, and its range
/// (1 where there is none).
fn ideal_and_range(
    models: &[GaussianProcess],
    baseline: &[Vec<f64>],
) -> Result<(Vec<f64>, Vec<f64>)> {
    let columns = models
        .iter()
        .map(|model| model.predict_batch(baseline))
        .collect::<Result<Vec<_>>>()?;
    let means: Vec<Vec<f64>> = (0..baseline.len())
        .map(|i| columns.iter().map(|c| c[i].mean).collect())
        .collect();
    let front = non_dominated(&means)?;
    Ok((0..models.len())
        .map(|j| {
            let values = || front.iter().map(|i| means[*i][j]);
            let top = values().fold(f64::NEG_INFINITY, f64::max);
            let range = top - values().fold(f64::INFINITY, f64::min);
            let whole = models[j].outcome().scale;
            (top, if range > 0.0 { range } else { whole })
        })
        .unzip())
}

#[derive(Debug, Clone)]
struct Chebyshev {
    /// `lambda_j / range_j`.
    scale: Vec<f64>,
    ideal: Vec<f64>,
    /// The new point's standard normals, `S x m` by rows.
    normals: Vec<f64>,
    /// The scalarisation to exceed in each sample.
    best: Vec<f64>,
}

impl Chebyshev {
    /// `g(y)`; each objective's part in the minimum is written to `shares`.
    fn scalarise(&self, y: &[f64], shares: &mut [f64]) -> f64 {
        let mut sum = 0.0;
        for (j, share) in shares.iter_mut().enumerate() {
            *share = self.scale[j] * (y[j] - self.ideal[j]);
            sum += *share;
        }
        let lowest = shares.iter().copied().fold(f64::INFINITY, f64::min);
        let mut total = 0.0;
        for share in shares.iter_mut() {
            *share = ((lowest - *share) / MINIMUM).exp();
            total += *share;
        }
        shares.iter_mut().for_each(|s| *s /= total);
        lowest - MINIMUM * total.ln() + AUGMENTATION * sum
    }

    /// The outcome of sample `s`.
    fn outcome(&self, given: &Given<'_>, s: usize, y: &mut [f64]) {
        let m = y.len();
        for (j, y) in y.iter_mut().enumerate() {
            let at = s * m + j;
            *y = given.means[at] + given.sigma[j] * self.normals[at];
        }
    }
}

impl Utility for Chebyshev {
    type Work = ();

    fn log_values(&self, given: &Given<'_>, logs: &mut [f64], (): &mut ()) {
        let m = self.scale.len();
        let (mut y, mut shares) = (vec![0.0; m], vec![0.0; m]);
        for (s, log) in logs.iter_mut().enumerate() {
            self.outcome(given, s, &mut y);
            let gain = self.scalarise(&y, &mut shares) - self.best[s];
            *log = log_fat_softplus(gain, IMPROVEMENT).0;
        }
    }

    fn derivatives(&self, given: &Given<'_>, logs: &mut [f64], slopes: &mut Slopes, (): &mut ()) {
        self.far(given, logs, slopes);
    }

    fn far(&self, given: &Given<'_>, logs: &mut [f64], slopes: &mut Slopes) {
        let m = self.scale.len();
        let (mut y, mut shares) = (vec![0.0; m], vec![0.0; m]);
        for (s, log) in logs.iter_mut().enumerate() {
            self.outcome(given, s, &mut y);
            let gain = self.scalarise(&y, &mut shares) - self.best[s];
            let (value, slope) = log_fat_softplus(gain, IMPROVEMENT);
            *log = value;
            for (j, share) in shares.iter().enumerate() {
                let at = s * m + j;
                let by = slope * self.scale[j] * (share + AUGMENTATION);
                slopes.by_mean[at] = by;
                slopes.by_sigma[at] = by * self.normals[at];
            }
        }
    }
}

acquisition_by!(QLogNParEgo);
