//! Samples of what is uncertain apart from the new point: the function at the
//! baseline points and at the pending ones.
//!
//! Baseline points that cannot be on the front are dropped first (the pruning
//! of Daulton, Balandat and Bakshy 2021, section 5): by means and deviations,
//! then by samples. Where the noise that the models learned is negligible the
//! baseline's values are known, one front serves all samples, and only
//! pending points are sampled.

use bomf_pareto::non_dominated;
use faer::Mat;
use rand::Rng;

use crate::models::{GaussianProcess, JointPosterior};
use crate::sampling::sobol_normals;
use crate::{BoError, Result};

/// How to sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SampleOptions {
    /// Number of samples. 1 stands for the means: the front of the posterior
    /// means, and pending points that are believed to come out as predicted
    /// (the Kriging believer of Ginsbourger, Le Riche and Carraro 2010).
    pub samples: usize,
    /// Number of samples by which baseline points are pruned.
    pub prune_samples: usize,
}

impl Default for SampleOptions {
    fn default() -> Self {
        Self {
            samples: 64,
            prune_samples: 256,
        }
    }
}

/// A baseline point is out of question where another one is better in every
/// objective by so many standard deviations of the difference.
const SURE: f64 = 4.0;

/// Noise is negligible where every deviation on the baseline's front is below
/// this part of the front's range. It must be above the deviations of a thousandth
/// that the smallest noise ([`crate::models::Priors::min_noise`]) leaves to a
/// function without noise.
const NEGLIGIBLE: f64 = 5e-3;

/// The models' joint samples at the baseline and pending points that matter.
#[derive(Debug, Clone)]
pub(super) struct Samples<'a> {
    /// One an objective, over the points sampled.
    pub(super) joints: Vec<JointPosterior<'a>>,
    /// The standard normals of each objective, `q x S`.
    pub(super) normals: Vec<Mat<f64>>,
    /// `S`; 1 if nothing is sampled.
    pub(super) count: usize,
    /// Known values of the baseline, `k x m`.
    known: Vec<Vec<f64>>,
}

impl<'a> Samples<'a> {
    /// Draws at `baseline` (`n x d`) and `pending` (`p x d`).
    pub(super) fn draw<R: Rng + ?Sized>(
        models: &'a [GaussianProcess],
        baseline: &[Vec<f64>],
        pending: &[Vec<f64>],
        options: &SampleOptions,
        rng: &mut R,
    ) -> Result<Self> {
        check(models, options)?;
        let (noisy, known) = prune(models, baseline, options, rng)?;
        let points: Vec<Vec<f64>> = noisy
            .into_iter()
            .map(|i| baseline[i].clone())
            .chain(pending.iter().cloned())
            .collect();
        Self::at(models, &points, known, options.samples, rng)
    }

    /// Draws at `points` alone.
    pub(super) fn at<R: Rng + ?Sized>(
        models: &'a [GaussianProcess],
        points: &[Vec<f64>],
        known: Vec<Vec<f64>>,
        samples: usize,
        rng: &mut R,
    ) -> Result<Self> {
        let (m, q) = (models.len(), points.len());
        let joints = joints(models, points)?;
        let count = if q == 0 { 1 } else { samples };
        let normals = if count == 1 {
            vec![Mat::zeros(q, 1); m]
        } else {
            normals(m, q, count, rng)
        };
        Ok(Self {
            joints,
            normals,
            count,
            known,
        })
    }

    /// Makes `count` equal samples of the only one, for utilities that sample the
    /// new point too.
    pub(super) fn repeat(&mut self, count: usize) {
        for e in &mut self.normals {
            *e = Mat::zeros(e.nrows(), count);
        }
        self.count = count;
    }

    /// Number of inputs `d`.
    pub(super) fn dim(&self) -> usize {
        self.joints.first().map_or(0, JointPosterior::dim)
    }

    /// The values of sample `s` at the points that matter, `k x m`.
    pub(super) fn outcomes(&self, s: usize) -> Vec<Vec<f64>> {
        let mut out = self.known.clone();
        out.extend(sampled(&self.joints, &self.normals, s));
        out
    }
}

fn joints<'a>(
    models: &'a [GaussianProcess],
    points: &[Vec<f64>],
) -> Result<Vec<JointPosterior<'a>>> {
    models
        .iter()
        .map(|model| JointPosterior::new(model, points))
        .collect()
}

/// Normals of `m` objectives at `q` points, `q x count` each.
fn normals<R: Rng + ?Sized>(m: usize, q: usize, count: usize, rng: &mut R) -> Vec<Mat<f64>> {
    let all = sobol_normals(count, m * q, rng);
    (0..m)
        .map(|j| Mat::from_fn(q, count, |i, s| all[s * m * q + i * m + j]))
        .collect()
}

/// Sample `s` at the joints' points, `q x m`.
fn sampled(joints: &[JointPosterior<'_>], normals: &[Mat<f64>], s: usize) -> Vec<Vec<f64>> {
    let columns: Vec<Vec<f64>> = joints
        .iter()
        .zip(normals)
        .map(|(joint, e)| joint.sample(e.col_as_slice(s)))
        .collect();
    let q = joints.first().map_or(0, JointPosterior::len);
    (0..q)
        .map(|i| columns.iter().map(|c| c[i]).collect())
        .collect()
}

fn check(models: &[GaussianProcess], options: &SampleOptions) -> Result<()> {
    let d = models.first().map_or(0, GaussianProcess::dim);
    if let Some(odd) = models.iter().find(|m| m.dim() != d) {
        return Err(BoError::Dimension {
            what: "a model's input",
            found: odd.dim(),
            expected: d,
        });
    }
    let counts = [
        ("samples", options.samples),
        ("prune_samples", options.prune_samples),
    ];
    for (option, value) in counts {
        if value == 0 {
            return Err(BoError::Option {
                option,
                value: 0.0,
                range: "the integers from 1 on",
            });
        }
    }
    Ok(())
}

/// The indices of the baseline points to be sampled, or the values of those
/// that are known.
fn prune<R: Rng + ?Sized>(
    models: &[GaussianProcess],
    baseline: &[Vec<f64>],
    options: &SampleOptions,
    rng: &mut R,
) -> Result<(Vec<usize>, Vec<Vec<f64>>)> {
    let m = models.len();
    if baseline.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    let marginals = models
        .iter()
        .map(|model| model.predict_batch(baseline))
        .collect::<Result<Vec<_>>>()?;
    let mean: Vec<Vec<f64>> = (0..baseline.len())
        .map(|i| marginals.iter().map(|p| p[i].mean).collect())
        .collect();
    let variance = |i: usize, j: usize| marginals[j][i].variance;

    // Only points of the front of the means can beat surely.
    let front = non_dominated(&mean)?;
    let beats = |k: usize, i: usize| {
        (0..m).all(|j| mean[k][j] - mean[i][j] > SURE * (variance(k, j) + variance(i, j)).sqrt())
    };
    let mut possible: Vec<usize> = (0..baseline.len())
        .filter(|i| !front.iter().any(|k| beats(*k, *i)))
        .collect();

    let negligible = (0..m).all(|j| {
        let values = || front.iter().map(|i| mean[*i][j]);
        let top = values().fold(f64::NEG_INFINITY, f64::max);
        let range = top - values().fold(f64::INFINITY, f64::min);
        // A front of one point has no range; its model's outcomes have one.
        let range = if range > 0.0 {
            range
        } else {
            models[j].outcome().scale
        };
        possible
            .iter()
            .all(|i| variance(*i, j).sqrt() <= NEGLIGIBLE * range)
    });
    if negligible || options.samples == 1 {
        let known = front.into_iter().map(|i| mean[i].clone()).collect();
        return Ok((Vec::new(), known));
    }
    if possible.len() > 1 {
        let points: Vec<Vec<f64>> = possible.iter().map(|i| baseline[*i].clone()).collect();
        let joints = joints(models, &points)?;
        let normals = normals(m, points.len(), options.prune_samples, rng);
        let mut seen = vec![false; points.len()];
        for s in 0..options.prune_samples {
            for i in non_dominated(&sampled(&joints, &normals, s))? {
                seen[i] = true;
            }
        }
        possible = possible
            .into_iter()
            .zip(seen)
            .filter_map(|(i, seen)| seen.then_some(i))
            .collect();
    }
    Ok((possible, Vec::new()))
}
