//! Metrics of numbers: Pearson, Spearman, mean squared error.

use super::{Result, check_values};

/// Predictions beside labels.
#[derive(Debug)]
pub(super) struct Paired<'a> {
    predictions: &'a [f32],
    labels: &'a [f32],
    /// The orders of both by value, where ranks are needed.
    orders: Option<[Vec<u32>; 2]>,
}

impl<'a> Paired<'a> {
    pub(super) fn new(predictions: &'a [f32], labels: &'a [f32], with_ranks: bool) -> Result<Self> {
        check_values(predictions, labels)?;
        Ok(Self {
            predictions,
            labels,
            orders: with_ranks.then(|| [order(predictions), order(labels)]),
        })
    }

    pub(super) fn pearson(&self, counts: &[u32]) -> f64 {
        let value = |values: &'a [f32]| move |i: usize| f64::from(values[i]);
        correlation(counts, value(self.predictions), value(self.labels))
    }

    /// Pearson's correlation of the ranks within the sample.
    pub(super) fn spearman(&self, counts: &[u32]) -> f64 {
        let Some([by_prediction, by_label]) = &self.orders else {
            return 0.0;
        };
        let x = ranks(self.predictions, by_prediction, counts);
        let y = ranks(self.labels, by_label, counts);
        correlation(counts, |i| x[i], |i| y[i])
    }

    pub(super) fn mse(&self, counts: &[u32]) -> f64 {
        let mut sum = 0.0;
        let mut total = 0.0;
        for ((&p, &l), &count) in self.predictions.iter().zip(self.labels).zip(counts) {
            let difference = f64::from(p) - f64::from(l);
            sum += f64::from(count) * difference * difference;
            total += f64::from(count);
        }
        if total == 0.0 { 0.0 } else { sum / total }
    }
}

fn order(values: &[f32]) -> Vec<u32> {
    let mut order: Vec<u32> = (0..values.len() as u32).collect();
    order.sort_by(|&a, &b| values[a as usize].total_cmp(&values[b as usize]));
    order
}

/// The mean rank of each example in a sample in which example `i` occurs `counts[i]` times, given
/// the order of all values. Takes linear time, so that a bootstrap needs no sorting.
fn ranks(values: &[f32], order: &[u32], counts: &[u32]) -> Vec<f64> {
    let mut ranks = vec![0.0; values.len()];
    let mut before = 0.0;
    let mut rest = order;
    while let Some(&first) = rest.first() {
        let value = values[first as usize];
        let tied = rest.iter().take_while(|&&i| values[i as usize] == value);
        let (group, others) = rest.split_at(tied.count());
        let size: f64 = group.iter().map(|&i| f64::from(counts[i as usize])).sum();
        let rank = before + (size + 1.0) / 2.0;
        for &i in group {
            ranks[i as usize] = rank;
        }
        before += size;
        rest = others;
    }
    ranks
}

/// Pearson's correlation of a sample in which example `i` occurs `counts[i]` times; 0 where `x`
/// or `y` is constant.
fn correlation(counts: &[u32], x: impl Fn(usize) -> f64, y: impl Fn(usize) -> f64) -> f64 {
    let drawn = || (0..counts.len()).filter(|&i| counts[i] > 0);
    let Some(first) = drawn().next() else {
        return 0.0;
    };
    // Asked by comparison: the variance of a constant need not come out as exactly 0.
    if drawn().all(|i| x(i) == x(first)) || drawn().all(|i| y(i) == y(first)) {
        return 0.0;
    }
    let mut total = 0.0;
    let (mut mean_x, mut mean_y) = (0.0, 0.0);
    for i in drawn() {
        let count = f64::from(counts[i]);
        total += count;
        mean_x += count * x(i);
        mean_y += count * y(i);
    }
    mean_x /= total;
    mean_y /= total;
    let (mut xx, mut yy, mut xy) = (0.0, 0.0, 0.0);
    for i in drawn() {
        let count = f64::from(counts[i]);
        let (dx, dy) = (x(i) - mean_x, y(i) - mean_y);
        xx += count * dx * dx;
        yy += count * dy * dy;
        xy += count * dx * dy;
    }
    // The roots apart, as the product of two small variances may vanish.
    let denominator = xx.sqrt() * yy.sqrt();
    if denominator == 0.0 {
        return 0.0;
    }
    (xy / denominator).clamp(-1.0, 1.0)
}
