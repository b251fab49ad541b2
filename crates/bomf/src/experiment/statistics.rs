//! Intervals and rank correlations over runs.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Resamples of an interval.
const RESAMPLES: usize = 10_000;

/// The mean of paired differences over the runs of several tasks, and its 95 % bootstrap
/// interval: runs are drawn anew within each task (Efron and Tibshirani 1993, chapter 13), since
/// the tasks are those which were chosen. No interval without a task of two runs or more.
pub(super) fn mean_of_differences(by_task: &[Vec<f64>]) -> (f64, Option<[f64; 2]>) {
    let all: Vec<f64> = by_task.iter().flatten().copied().collect();
    let count = all.len() as f64;
    let mean = all.iter().sum::<f64>() / count;
    if by_task.iter().all(|runs| runs.len() < 2) {
        return (mean, None);
    }
    // The same resamples each time, so that a table can be made again.
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let mut means: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let sums = by_task.iter().map(|runs| {
                let drawn = runs.iter().map(|_| runs[rng.random_range(0..runs.len())]);
                drawn.sum::<f64>()
            });
            sums.sum::<f64>() / count
        })
        .collect();
    means.sort_by(f64::total_cmp);
    let at = |share: f64| means[(share * (RESAMPLES - 1) as f64).round() as usize];
    (mean, Some([at(0.025), at(0.975)]))
}

/// Spearman's rank correlation, ties by their mean rank; `None` where one side is constant or
/// there are fewer than three pairs.
pub(super) fn rank_correlation(x: &[f64], y: &[f64]) -> Option<f64> {
    if x.len() < 3 {
        return None;
    }
    let (x, y) = (ranks(x), ranks(y));
    let mean = (x.len() as f64 + 1.0) / 2.0;
    let sum = |a: &[f64], b: &[f64]| -> f64 {
        let products = a.iter().zip(b).map(|(a, b)| (a - mean) * (b - mean));
        products.sum()
    };
    let scale = (sum(&x, &x) * sum(&y, &y)).sqrt();
    (scale > 0.0).then(|| sum(&x, &y) / scale)
}

fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    for group in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let before = order.partition_point(|&i| values[i].total_cmp(&values[group[0]]).is_lt());
        let rank = before as f64 + (group.len() as f64 + 1.0) / 2.0;
        group.iter().for_each(|&i| ranks[i] = rank);
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_of_ties_are_their_mean_and_order_alone_counts() {
        assert_eq!(ranks(&[3.0, 1.0, 3.0, 2.0]), [3.5, 1.0, 3.5, 2.0]);
        let x = [1.0, 2.0, 3.0, 4.0];
        assert_eq!(rank_correlation(&x, &[1.0, 8.0, 27.0, 64.0]), Some(1.0));
        assert_eq!(rank_correlation(&x, &[4.0, 3.0, 2.0, 1.0]), Some(-1.0));
        // scipy.stats.spearmanr([1, 2, 3, 4], [1, 3, 2, 2]) = 0.3162277660168379 (1.15.3)
        let tied = rank_correlation(&x, &[1.0, 3.0, 2.0, 2.0]).unwrap();
        assert!((tied - 0.316_227_766_016_837_9).abs() < 1e-12, "{tied}");
        assert_eq!(rank_correlation(&x, &[1.0; 4]), None);
        assert_eq!(rank_correlation(&[1.0, 2.0], &[1.0, 2.0]), None);
    }

    #[test]
    fn an_interval_holds_the_mean_and_is_as_wide_as_the_runs_of_a_task_differ() {
        let (mean, interval) = mean_of_differences(&[vec![1.0, 3.0], vec![10.0, 10.0]]);
        let [low, high] = interval.unwrap();
        assert_eq!(mean, 6.0);
        // Differences between tasks are no noise: only the first task varies.
        assert_eq!((low, high), (5.5, 6.5));
        assert_eq!(mean_of_differences(&[vec![1.0], vec![2.0]]), (1.5, None));
    }
}
