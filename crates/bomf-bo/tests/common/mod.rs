//! What the tests of acquisition functions share: a problem, its models, and the
//! check of a gradient.

#![allow(dead_code, clippy::unwrap_used)]

use bomf_bo::Acquisition;
use bomf_bo::models::{GaussianProcess, GpOptions, Hyperparameters, JointPosterior, Kernel};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

pub const D: usize = 3;

/// The closed form by logarithms and the one by plain sums differ by the
/// cancellation between neighbours of the front.
pub const SAME: f64 = 1e-9;

pub fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

pub fn points(n: usize, seed: u64) -> Vec<Vec<f64>> {
    let mut rng = rng(seed);
    (0..n)
        .map(|_| (0..D).map(|_| rng.random()).collect())
        .collect()
}

/// Outcome `j` peaks at its own place.
pub fn outcome(x: &[f64], j: usize) -> f64 {
    let peak = [0.2, 0.8, 0.5, 0.35][j];
    let squares: f64 = x.iter().map(|v| (v - peak).powi(2)).sum();
    (1.0 + j as f64) * (-2.0 * squares).exp() + 0.2 * x[j % D]
}

pub fn models(x: &[Vec<f64>], m: usize, noise: f64) -> Vec<GaussianProcess> {
    let kernels = [Kernel::Matern52, Kernel::Rbf];
    (0..m)
        .map(|j| {
            let y: Vec<f64> = x.iter().map(|x| outcome(x, j)).collect();
            let hyper = Hyperparameters {
                lengthscales: vec![0.6, 0.8, 1.0],
                outputscale: 1.1,
                noise,
                mean: 0.1,
            };
            let options = GpOptions {
                kernel: kernels[j % 2],
                ..GpOptions::default()
            };
            GaussianProcess::with_hyperparameters(x, &y, &options, hyper).unwrap()
        })
        .collect()
}

pub fn check_gradient(a: &dyn Acquisition, q: &[f64]) {
    let mut gradient = vec![0.0; q.len()];
    let value = a.value_and_gradient(q, &mut gradient).unwrap();
    let batch = a.values(&[q.to_vec()]).unwrap();
    assert!(
        (batch[0] - value).abs() < SAME * (1.0 + value.abs()),
        "{batch:?} {value}"
    );
    for i in 0..q.len() {
        let h = 1e-6;
        let at = |step: f64| {
            let mut q = q.to_vec();
            q[i] += step;
            let mut unused = vec![0.0; q.len()];
            a.value_and_gradient(&q, &mut unused).unwrap()
        };
        let numeric = (at(h) - at(-h)) / (2.0 * h);
        // Rounding of the value over h, and the variance's own cancellation.
        let tolerance = 1e-4 * (1.0 + numeric.abs()) + 1e-9 * value.abs();
        assert!(
            (numeric - gradient[i]).abs() < tolerance,
            "{i}: {numeric} {}",
            gradient[i]
        );
    }
}

/// Random joint outcomes of the models at `points`: draws x points x m.
pub fn joint_draws(
    models: &[GaussianProcess],
    points: &[Vec<f64>],
    draws: usize,
) -> Vec<Vec<Vec<f64>>> {
    let mut rng = rng(1234);
    let joints: Vec<JointPosterior> = models
        .iter()
        .map(|g| JointPosterior::new(g, points).unwrap())
        .collect();
    (0..draws)
        .map(|_| {
            let columns: Vec<Vec<f64>> = joints
                .iter()
                .map(|joint| {
                    let e: Vec<f64> = (0..points.len())
                        .map(|_| rng.sample(StandardNormal))
                        .collect();
                    joint.sample(&e)
                })
                .collect();
            (0..points.len())
                .map(|i| columns.iter().map(|c| c[i]).collect())
                .collect()
        })
        .collect()
}

/// Mean and its standard error.
pub fn mean_and_error(gains: &[f64]) -> (f64, f64) {
    let n = gains.len() as f64;
    let mean = gains.iter().sum::<f64>() / n;
    let variance = gains.iter().map(|g| (g - mean).powi(2)).sum::<f64>() / n;
    (mean, (variance / n).sqrt())
}
