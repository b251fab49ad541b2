//! Random points of the simplex.
//!
//! Uniform means Dirichlet(1, .., 1); its image of the unit cube is the
//! stick-breaking map, under which coordinate `k` takes the part
//! `1 - (1 - u_k)^(1 / (n - 1 - k))` of what is left (Devroye 1986, chapter XI).

use rand::{Rng, RngExt};
use rand_distr::Exp1;

/// A uniform point of the simplex of `n` coefficients (Dirichlet(1)).
pub fn uniform_simplex<R: Rng + ?Sized>(n: usize, rng: &mut R) -> Vec<f64> {
    let mut w: Vec<f64> = (0..n).map(|_| rng.sample::<f64, _>(Exp1)).collect();
    let sum: f64 = w.iter().sum();
    if sum > 0.0 {
        w.iter_mut().for_each(|v| *v /= sum);
    } else {
        w.fill(1.0 / n as f64);
    }
    w
}

/// A uniform point of a random face with `k` of the `n` coefficients not zero
/// (`k` is taken into `1..=n`).
pub fn random_face<R: Rng + ?Sized>(n: usize, k: usize, rng: &mut R) -> Vec<f64> {
    let k = k.clamp(1, n.max(1));
    let mut order: Vec<usize> = (0..n).collect();
    let mut w = vec![0.0; n];
    for (at, value) in uniform_simplex(k, rng).into_iter().enumerate().take(n) {
        let pick = rng.random_range(at..n);
        order.swap(at, pick);
        w[order[at]] = value;
    }
    w
}

/// The point of the simplex (`u.len() + 1` coefficients) that stick-breaking
/// gives for `u` in the unit cube: uniform points become uniform points, and a
/// Sobol sequence keeps its evenness.
#[must_use]
pub fn unit_cube_to_simplex(u: &[f64]) -> Vec<f64> {
    let n = u.len() + 1;
    let mut left = 1.0;
    let mut w = Vec::with_capacity(n);
    for (k, u) in u.iter().enumerate() {
        let part = 1.0 - (1.0 - u.clamp(0.0, 1.0)).powf(1.0 / (n - 1 - k) as f64);
        w.push(left * part);
        left *= 1.0 - part;
    }
    w.push(left);
    w
}
