//! Corpus BLEU (Papineni et al. 2002) as sacreBLEU computes it (Post 2018): with `c` common
//! and `t` possible n-grams, `exp(Σ log(c/t) / 4)` over n up to 4, times
//! `exp(1 - reference/length)` where the text is shorter than its reference.
//!
//! An order without a common n-gram counts `1/(2^k t)` for the k-th such order (Chen and
//! Cherry 2014, method 3).

use super::ngrams::overlap;
use super::tokens::words_13a;

/// Longest n-gram.
const ORDER: usize = 4;
/// Lengths of text and reference; common n-grams of each order; those of the text.
pub(super) const WIDTH: usize = 2 + 2 * ORDER;

pub(super) fn statistics(text: &str, reference: &str) -> Vec<f32> {
    let (text, reference) = (words_13a(text), words_13a(reference));
    let mut row = vec![text.len() as f32, reference.len() as f32];
    let counts: Vec<[u32; 3]> = (1..=ORDER).map(|n| overlap(&text, &reference, n)).collect();
    row.extend(counts.iter().map(|[_, _, common]| *common as f32));
    row.extend(counts.iter().map(|[own, _, _]| *own as f32));
    row
}

pub(super) fn value(sums: &[f64]) -> f64 {
    let [length, reference] = [sums[0], sums[1]];
    let (common, own) = sums[2..WIDTH].split_at(ORDER);
    if common.iter().all(|c| *c <= 0.0) || own.iter().any(|t| *t <= 0.0) {
        return 0.0;
    }
    let mut smoothing = 1.0;
    let mut logs = 0.0;
    for (&c, &t) in common.iter().zip(own) {
        let precision = if c > 0.0 {
            (c / t).min(1.0)
        } else {
            smoothing *= 2.0;
            1.0 / (smoothing * t)
        };
        logs += precision.ln();
    }
    let brevity = match length < reference {
        true => (1.0 - reference / length.max(f64::MIN_POSITIVE)).exp(),
        false => 1.0,
    };
    brevity * (logs / ORDER as f64).exp()
}
