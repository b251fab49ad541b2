//! Percentile bootstrap: how far a metric, or the difference of two, would move on other examples.
//!
//! A resample draws n of the n examples with replacement; it is kept as the number of times that
//! each example was drawn, so that a metric takes one pass and no sorting. For differences, both
//! sets of predictions see the same resamples (paired bootstrap): what makes an example hard for
//! both then cancels. The interval is the one between the percentiles (1 - level)/2 and
//! (1 + level)/2 of the resampled values, interpolated linearly between order statistics
//! (Efron and Tibshirani 1993, chapters 13 and 16).

use rand::{Rng, RngExt};

use super::{Metric, MetricError, Predictions, Prepared, Result};
use crate::data::Labels;

/// How many resamples, and how wide an interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BootstrapOptions {
    /// The number of resamples.
    pub resamples: usize,
    /// The share of the resampled values that the interval covers.
    pub level: f64,
}

impl Default for BootstrapOptions {
    /// 1000 resamples and 95 %.
    fn default() -> Self {
        Self {
            resamples: 1000,
            level: 0.95,
        }
    }
}

impl BootstrapOptions {
    fn check(&self) -> Result<()> {
        if self.resamples > 0 && self.level > 0.0 && self.level < 1.0 {
            return Ok(());
        }
        Err(MetricError::BadBootstrap {
            resamples: self.resamples,
            level: self.level,
        })
    }
}

/// A value and the interval around it.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Interval {
    /// The value on the examples themselves. It may lie outside the interval.
    pub estimate: f64,
    /// The interval's lower end.
    pub low: f64,
    /// The interval's upper end.
    pub high: f64,
    /// The standard deviation of the resampled values (divided by their number).
    pub std_error: f64,
}

/// The difference of two sets of predictions, first minus second.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct PairedDifference {
    /// The difference and its interval.
    pub interval: Interval,
    /// The share of resamples in which the first was greater, those with equality counting half.
    pub share_greater: f64,
}

/// The interval of a metric.
///
/// # Errors
/// Those of [`Metric::compute`], and [`MetricError::BadBootstrap`].
pub fn bootstrap(
    metric: Metric,
    predictions: &Predictions<'_>,
    labels: &Labels,
    options: &BootstrapOptions,
    rng: &mut (impl Rng + ?Sized),
) -> Result<Interval> {
    let prepared = Prepared::new(metric, predictions, labels)?;
    bootstrap_statistic(labels.len(), |c| prepared.value(c), options, rng)
}

/// The interval of `metric(first) - metric(second)` on the same examples.
///
/// # Errors
/// Those of [`Metric::compute`], and [`MetricError::BadBootstrap`].
pub fn paired_bootstrap(
    metric: Metric,
    first: &Predictions<'_>,
    second: &Predictions<'_>,
    labels: &Labels,
    options: &BootstrapOptions,
    rng: &mut (impl Rng + ?Sized),
) -> Result<PairedDifference> {
    let first = Prepared::new(metric, first, labels)?;
    let second = Prepared::new(metric, second, labels)?;
    paired_statistic(
        labels.len(),
        |c| first.value(c) - second.value(c),
        options,
        rng,
    )
}

/// The interval of the mean of one value an example, such as its loss.
///
/// # Errors
/// [`MetricError::Empty`], [`MetricError::NotFinite`] and [`MetricError::BadBootstrap`].
pub fn bootstrap_mean(
    values: &[f64],
    options: &BootstrapOptions,
    rng: &mut (impl Rng + ?Sized),
) -> Result<Interval> {
    check_finite(values)?;
    bootstrap_statistic(values.len(), |c| weighted_mean(values, c), options, rng)
}

/// The interval of the difference of two means of values of the same examples.
///
/// # Errors
/// As [`bootstrap_mean`], and [`MetricError::LengthMismatch`].
pub fn paired_bootstrap_mean(
    first: &[f64],
    second: &[f64],
    options: &BootstrapOptions,
    rng: &mut (impl Rng + ?Sized),
) -> Result<PairedDifference> {
    if first.len() != second.len() {
        return Err(MetricError::LengthMismatch {
            predictions: first.len(),
            labels: second.len(),
        });
    }
    check_finite(first)?;
    check_finite(second)?;
    let differences: Vec<f64> = first.iter().zip(second).map(|(a, b)| a - b).collect();
    let mean = |c: &[u32]| weighted_mean(&differences, c);
    paired_statistic(first.len(), mean, options, rng)
}

/// The interval of any statistic of `n` examples, a function of how often each of them counts.
///
/// # Errors
/// [`MetricError::Empty`] and [`MetricError::BadBootstrap`].
pub fn bootstrap_statistic(
    n: usize,
    mut statistic: impl FnMut(&[u32]) -> f64,
    options: &BootstrapOptions,
    rng: &mut (impl Rng + ?Sized),
) -> Result<Interval> {
    let (estimate, mut values) = resample(n, &mut statistic, options, rng)?;
    Ok(summarise(estimate, &mut values, options.level))
}

fn paired_statistic(
    n: usize,
    mut statistic: impl FnMut(&[u32]) -> f64,
    options: &BootstrapOptions,
    rng: &mut (impl Rng + ?Sized),
) -> Result<PairedDifference> {
    let (estimate, mut values) = resample(n, &mut statistic, options, rng)?;
    let greater = values.iter().map(|&v| match v {
        v if v > 0.0 => 1.0,
        v if v < 0.0 => 0.0,
        _ => 0.5,
    });
    let share_greater = greater.sum::<f64>() / values.len() as f64;
    Ok(PairedDifference {
        interval: summarise(estimate, &mut values, options.level),
        share_greater,
    })
}

/// The statistic on the examples themselves, and on each resample.
fn resample(
    n: usize,
    statistic: &mut impl FnMut(&[u32]) -> f64,
    options: &BootstrapOptions,
    rng: &mut (impl Rng + ?Sized),
) -> Result<(f64, Vec<f64>)> {
    options.check()?;
    if n == 0 {
        return Err(MetricError::Empty);
    }
    let mut counts = vec![1u32; n];
    let estimate = statistic(&counts);
    let mut values = Vec::with_capacity(options.resamples);
    for _ in 0..options.resamples {
        counts.fill(0);
        for _ in 0..n {
            counts[rng.random_range(0..n)] += 1;
        }
        values.push(statistic(&counts));
    }
    Ok((estimate, values))
}

fn summarise(estimate: f64, values: &mut [f64], level: f64) -> Interval {
    values.sort_by(f64::total_cmp);
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
    Interval {
        estimate,
        low: quantile(values, (1.0 - level) / 2.0),
        high: quantile(values, (1.0 + level) / 2.0),
        std_error: variance.sqrt(),
    }
}

/// The `q`-quantile of sorted values, interpolated linearly (NumPy's default). There must be one.
fn quantile(sorted: &[f64], q: f64) -> f64 {
    let last = sorted.len() - 1;
    let position = q * last as f64;
    let below = (position.floor() as usize).min(last);
    let above = (below + 1).min(last);
    sorted[below] + (position - below as f64) * (sorted[above] - sorted[below])
}

fn check_finite(values: &[f64]) -> Result<()> {
    match values.iter().position(|v| !v.is_finite()) {
        Some(example) => Err(MetricError::NotFinite { example }),
        None => Ok(()),
    }
}

fn weighted_mean(values: &[f64], counts: &[u32]) -> f64 {
    let pairs = values.iter().zip(counts);
    let sum: f64 = pairs.map(|(v, &c)| v * f64::from(c)).sum();
    let total: f64 = counts.iter().map(|&c| f64::from(c)).sum();
    sum / total
}
