//! Metrics of classes: accuracy, F1, Matthews.

use super::{Result, check_logits};

/// Labels beside the classes that were predicted.
#[derive(Debug)]
pub(super) struct Confusion<'a> {
    labels: &'a [u32],
    predicted: Vec<u32>,
    classes: usize,
}

/// True positives, labels and predictions of one class.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    hits: u64,
    labels: u64,
    predicted: u64,
}

impl Tally {
    /// `2 tp / (2 tp + fp + fn)`, as `labels = tp + fn` and `predicted = tp + fp`.
    fn f1(&self) -> f64 {
        ratio(
            2.0 * self.hits as f64,
            (self.labels + self.predicted) as f64,
        )
    }
}

/// A quotient, 0 where the denominator is.
fn ratio(numerator: f64, denominator: f64) -> f64 {
    if denominator == 0.0 {
        0.0
    } else {
        numerator / denominator
    }
}

/// The place of the greatest value; the first one wins ties. There must be one.
fn argmax(row: &[f32]) -> u32 {
    let mut best = 0;
    for (i, v) in row.iter().enumerate() {
        if *v > row[best] {
            best = i;
        }
    }
    best as u32
}

impl<'a> Confusion<'a> {
    pub(super) fn new(logits: &[f32], classes: usize, labels: &'a [u32]) -> Result<Self> {
        check_logits(logits, classes, labels)?;
        Ok(Self {
            labels,
            predicted: logits.chunks_exact(classes).map(argmax).collect(),
            classes,
        })
    }

    fn tallies(&self, counts: &[u32]) -> Vec<Tally> {
        let mut tallies = vec![Tally::default(); self.classes];
        for ((&label, &predicted), &count) in self.labels.iter().zip(&self.predicted).zip(counts) {
            let count = u64::from(count);
            tallies[label as usize].labels += count;
            tallies[predicted as usize].predicted += count;
            if label == predicted {
                tallies[label as usize].hits += count;
            }
        }
        tallies
    }

    pub(super) fn accuracy(&self, counts: &[u32]) -> f64 {
        let mut hits = 0u64;
        let mut total = 0u64;
        for ((label, predicted), &count) in self.labels.iter().zip(&self.predicted).zip(counts) {
            let count = u64::from(count);
            total += count;
            hits += if label == predicted { count } else { 0 };
        }
        ratio(hits as f64, total as f64)
    }

    pub(super) fn f1(&self, counts: &[u32], positive: u32) -> f64 {
        self.tallies(counts)
            .get(positive as usize)
            .map_or(0.0, Tally::f1)
    }

    pub(super) fn f1_macro(&self, counts: &[u32]) -> f64 {
        let mut sum = 0.0;
        let mut occurring = 0u32;
        for tally in self.tallies(counts) {
            // As scikit-learn does: a class that nobody mentions is no class.
            if tally.labels + tally.predicted > 0 {
                sum += tally.f1();
                occurring += 1;
            }
        }
        ratio(sum, f64::from(occurring))
    }

    /// With c hits of s examples, t_k labels and p_k predictions of class k:
    /// `(c s - sum t_k p_k) / sqrt((s^2 - sum p_k^2) (s^2 - sum t_k^2))`.
    pub(super) fn matthews(&self, counts: &[u32]) -> f64 {
        let tallies = self.tallies(counts);
        // In whole numbers: the differences below would lose digits.
        let sum = |f: fn(&Tally) -> i128| tallies.iter().map(f).sum::<i128>();
        let hits = sum(|t| t.hits.into());
        let total = sum(|t| t.labels.into());
        let cross = sum(|t| i128::from(t.labels) * i128::from(t.predicted));
        let labels_sq = sum(|t| i128::from(t.labels).pow(2));
        let predicted_sq = sum(|t| i128::from(t.predicted).pow(2));
        let numerator = hits * total - cross;
        let spread = |sq: i128| ((total * total - sq) as f64).sqrt();
        ratio(numerator as f64, spread(predicted_sq) * spread(labels_sq))
    }
}
