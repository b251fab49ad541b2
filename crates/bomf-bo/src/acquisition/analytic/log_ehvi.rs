//! Logarithm of the expected hypervolume improvement, exactly.
//!
//! With independent models the improvement's expectation is a sum over the
//! disjoint boxes `[l, u]` of the region that the front leaves free, of products
//! over the objectives:
//! `EHVI(x) = sum_boxes prod_j (psi_j(l_j) - psi_j(u_j))`,
//! `psi_j(a) = sigma_j h((mu_j - a) / sigma_j)`
//! (Yang, Emmerich, Deutz and Bäck, "Efficient computation of expected
//! hypervolume improvement using box decomposition algorithms", J. Global
//! Optimization 75, 2019, equation 17; gradient: Daulton, Balandat and Bakshy,
//! NeurIPS 2020). All terms are positive, so the logarithm is a stable
//! log-sum-exp of sums of logarithms, in the manner of Ament et al. (2023).
//!
//! Many boxes share an interval; each objective's intervals are kept once.

use bomf_pareto::box_decomposition;

use super::interval::{LogCover, log_cover, log_cover_value};
use crate::acquisition::normal::log_sum_exp;
use crate::models::GaussianProcess;
use crate::{Acquisition, BoError, Result};

/// The logarithm of the expected gain in hypervolume of a point's outcome
/// (without noise).
#[derive(Debug, Clone)]
pub struct LogEhvi<'a> {
    models: &'a [GaussianProcess],
    /// Each objective's distinct intervals.
    intervals: Vec<Vec<(f64, f64)>>,
    /// Of each box its interval in each objective, `boxes x m` by rows.
    boxes: Vec<usize>,
}

impl<'a> LogEhvi<'a> {
    /// Gain over `front` (`n x m`; dominated rows do not matter) above
    /// `ref_point` (`m`), under one model an objective.
    ///
    /// # Errors
    /// [`BoError::Dimension`] if the numbers of models and objectives differ,
    /// or the models' numbers of inputs; [`BoError::Pareto`] as
    /// [`bomf_pareto::box_decomposition`].
    pub fn new(
        models: &'a [GaussianProcess],
        front: &[Vec<f64>],
        ref_point: &[f64],
    ) -> Result<Self> {
        if models.len() != ref_point.len() {
            return Err(BoError::Dimension {
                what: "the list of models",
                found: models.len(),
                expected: ref_point.len(),
            });
        }
        let d = models.first().map_or(0, GaussianProcess::dim);
        if let Some(odd) = models.iter().find(|m| m.dim() != d) {
            return Err(BoError::Dimension {
                what: "a model's input",
                found: odd.dim(),
                expected: d,
            });
        }
        let cells = box_decomposition(front, ref_point)?;
        let mut intervals: Vec<Vec<(f64, f64)>> = Vec::with_capacity(models.len());
        for j in 0..models.len() {
            let mut own: Vec<(f64, f64)> = cells.iter().map(|c| (c.lower[j], c.upper[j])).collect();
            own.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
            own.dedup();
            intervals.push(own);
        }
        let boxes = cells
            .iter()
            .flat_map(|c| {
                intervals
                    .iter()
                    .enumerate()
                    .map(|(j, own)| own.partition_point(|i| (i.0, i.1) < (c.lower[j], c.upper[j])))
            })
            .collect();
        Ok(Self {
            models,
            intervals,
            boxes,
        })
    }

    /// Number of boxes.
    #[must_use]
    pub fn boxes(&self) -> usize {
        self.boxes.len() / self.models.len().max(1)
    }

    /// The log of each box's term, given the logs of each interval's cover.
    fn terms(&self, covers: &[Vec<f64>]) -> Vec<f64> {
        self.boxes
            .chunks_exact(self.models.len())
            .map(|b| b.iter().zip(covers).map(|(i, c)| c[*i]).sum())
            .collect()
    }
}

impl Acquisition for LogEhvi<'_> {
    fn dim(&self) -> usize {
        self.models.first().map_or(0, GaussianProcess::dim)
    }

    fn values(&self, points: &[Vec<f64>]) -> Result<Vec<f64>> {
        let posteriors = self
            .models
            .iter()
            .map(|m| m.predict_batch(points))
            .collect::<Result<Vec<_>>>()?;
        let mut covers: Vec<Vec<f64>> = vec![Vec::new(); self.models.len()];
        Ok((0..points.len())
            .map(|q| {
                for (j, cover) in covers.iter_mut().enumerate() {
                    let p = posteriors[j][q];
                    let sigma = p.variance.sqrt();
                    cover.clear();
                    cover.extend(
                        self.intervals[j]
                            .iter()
                            .map(|(l, u)| log_cover_value(p.mean, sigma, *l, *u)),
                    );
                }
                log_sum_exp(&self.terms(&covers))
            })
            .collect())
    }

    fn value_and_gradient(&self, x: &[f64], gradient: &mut [f64]) -> Result<f64> {
        let predictions = self
            .models
            .iter()
            .map(|m| m.predict_with_gradient(x))
            .collect::<Result<Vec<_>>>()?;
        let covers: Vec<Vec<LogCover>> = predictions
            .iter()
            .zip(&self.intervals)
            .map(|(p, own)| {
                let sigma = p.posterior.variance.sqrt();
                own.iter()
                    .map(|(l, u)| log_cover(p.posterior.mean, sigma, *l, *u))
                    .collect()
            })
            .collect();
        let values: Vec<Vec<f64>> = covers
            .iter()
            .map(|own| own.iter().map(|c| c.value).collect())
            .collect();
        let terms = self.terms(&values);
        let total = log_sum_exp(&terms);

        gradient.fill(0.0);
        if !total.is_finite() {
            return Ok(total);
        }
        // Each interval's share of the sum, over the boxes that it belongs to.
        let m = self.models.len();
        let mut shares: Vec<Vec<f64>> = self.intervals.iter().map(|i| vec![0.0; i.len()]).collect();
        for (term, b) in terms.iter().zip(self.boxes.chunks_exact(m)) {
            let share = (term - total).exp();
            for (own, i) in shares.iter_mut().zip(b) {
                own[*i] += share;
            }
        }
        for ((p, own), shares) in predictions.iter().zip(&covers).zip(&shares) {
            let by = |part: fn(&LogCover) -> f64| -> f64 {
                own.iter().zip(shares).map(|(c, s)| s * part(c)).sum()
            };
            let by_mean = by(|c| c.by_mean);
            let by_variance = by(|c| c.by_sigma) / (2.0 * p.posterior.variance.sqrt());
            for (i, g) in gradient.iter_mut().enumerate() {
                *g += by_mean * p.mean[i] + by_variance * p.variance[i];
            }
        }
        Ok(total)
    }
}
