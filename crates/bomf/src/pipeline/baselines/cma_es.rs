//! Covariance matrix adaptation evolution strategy.
//!
//! Hansen, "The CMA evolution strategy: a tutorial", arXiv 1604.00772, with the default
//! parameters of its table 1 (without negative weights): samples `m + sigma N(0, C)`; the mean
//! moves to the weighted average of the better half; two evolution paths adapt `sigma`
//! (equations 43, 44) and, by rank one and rank mu, `C` (equations 45 to 47).

use rand::Rng;
use rand_distr::{Distribution, StandardNormal};

/// Sweeps of Jacobi rotations; each squares the error, so that a few suffice.
const SWEEPS: usize = 30;

/// Eigenvalues of the covariance matrix are no smaller than this share of the largest.
const LEAST_EIGENVALUE: f64 = 1e-14;

/// The strategy's state, of which the next population is drawn. It minimises nothing by
/// itself: it is told an order.
#[derive(Debug, Clone)]
pub(super) struct CmaEs {
    mean: Vec<f64>,
    sigma: f64,
    /// `C`, row-major.
    covariance: Vec<f64>,
    /// Its eigenvectors in columns, and roots of its eigenvalues.
    basis: Vec<f64>,
    scales: Vec<f64>,
    sigma_path: Vec<f64>,
    path: Vec<f64>,
    generation: u32,
    weights: Vec<f64>,
    population: usize,
}

impl CmaEs {
    /// Begins at `mean` with steps of size `sigma`.
    pub fn new(mean: Vec<f64>, sigma: f64) -> Self {
        let n = mean.len();
        let population = 4 + (3.0 * (n.max(1) as f64).ln()) as usize;
        let half = population / 2;
        let raw = |i: usize| ((population + 1) as f64 / 2.0).ln() - ((i + 1) as f64).ln();
        let total: f64 = (0..half).map(raw).sum();
        CmaEs {
            sigma,
            covariance: identity(n),
            basis: identity(n),
            scales: vec![1.0; n],
            sigma_path: vec![0.0; n],
            path: vec![0.0; n],
            generation: 0,
            weights: (0..half).map(|i| raw(i) / total).collect(),
            population,
            mean,
        }
    }

    /// The next population.
    pub fn ask<R: Rng + ?Sized>(&self, rng: &mut R) -> Vec<Vec<f64>> {
        let n = self.mean.len();
        (0..self.population)
            .map(|_| {
                let z: Vec<f64> = (0..n)
                    .map(|i| {
                        let z: f64 = StandardNormal.sample(rng);
                        z * self.scales[i]
                    })
                    .collect();
                let step = times(&self.basis, &z);
                let moved = self.mean.iter().zip(step);
                moved.map(|(m, s)| m + self.sigma * s).collect()
            })
            .collect()
    }

    /// Learns from a population and its order, best first.
    pub fn tell(&mut self, population: &[Vec<f64>], order: &[usize]) {
        let n = self.mean.len();
        let d = n as f64;
        let mu_eff = 1.0 / self.weights.iter().map(|w| w * w).sum::<f64>();
        // Table 1.
        let c_sigma = (mu_eff + 2.0) / (d + mu_eff + 5.0);
        let damping = 1.0 + 2.0 * (((mu_eff - 1.0) / (d + 1.0)).sqrt() - 1.0).max(0.0) + c_sigma;
        let c_c = (4.0 + mu_eff / d) / (d + 4.0 + 2.0 * mu_eff / d);
        let c_1 = 2.0 / ((d + 1.3).powi(2) + mu_eff);
        let c_mu =
            (2.0 * (mu_eff - 2.0 + 1.0 / mu_eff) / ((d + 2.0).powi(2) + mu_eff)).min(1.0 - c_1);
        let expected_norm = d.sqrt() * (1.0 - 1.0 / (4.0 * d) + 1.0 / (21.0 * d * d));

        let steps: Vec<Vec<f64>> = order[..self.weights.len()]
            .iter()
            .map(|&i| {
                let moved = population[i].iter().zip(&self.mean);
                moved.map(|(x, m)| (x - m) / self.sigma).collect()
            })
            .collect();
        let mut step = vec![0.0; n];
        for (w, y) in self.weights.iter().zip(&steps) {
            step.iter_mut().zip(y).for_each(|(s, y)| *s += w * y);
        }
        for (m, s) in self.mean.iter_mut().zip(&step) {
            *m += self.sigma * s;
        }
        let white = times(&self.basis, &self.whitened(&step));
        let root = (c_sigma * (2.0 - c_sigma) * mu_eff).sqrt();
        for (p, w) in self.sigma_path.iter_mut().zip(&white) {
            *p = (1.0 - c_sigma) * *p + root * w;
        }
        self.generation += 1;
        let norm = self.sigma_path.iter().map(|p| p * p).sum::<f64>().sqrt();
        let young = 1.0 - (1.0 - c_sigma).powf(2.0 * f64::from(self.generation));
        let stalls = norm / young.sqrt() >= (1.4 + 2.0 / (d + 1.0)) * expected_norm;
        let h = if stalls { 0.0 } else { 1.0 };
        let root = (c_c * (2.0 - c_c) * mu_eff).sqrt();
        for (p, s) in self.path.iter_mut().zip(&step) {
            *p = (1.0 - c_c) * *p + h * root * s;
        }
        let kept = 1.0 - c_1 - c_mu + c_1 * (1.0 - h) * c_c * (2.0 - c_c);
        for i in 0..n {
            for j in 0..n {
                let ranked = self.weights.iter().zip(&steps);
                let rank_mu: f64 = ranked.map(|(w, y)| w * y[i] * y[j]).sum();
                let c = &mut self.covariance[i * n + j];
                *c = kept * *c + c_1 * self.path[i] * self.path[j] + c_mu * rank_mu;
            }
        }
        self.sigma *= ((c_sigma / damping) * (norm / expected_norm - 1.0)).exp();
        let (values, basis) = eigen(&self.covariance, n);
        let largest = values.iter().copied().fold(0.0, f64::max);
        let root = |v: &f64| v.max(LEAST_EIGENVALUE * largest).sqrt();
        self.scales = values.iter().map(root).collect();
        self.basis = basis;
    }

    /// `D^-1 B' y`.
    fn whitened(&self, y: &[f64]) -> Vec<f64> {
        let n = y.len();
        let along = |i: usize| (0..n).map(|k| self.basis[k * n + i] * y[k]).sum::<f64>();
        (0..n)
            .map(|i| match self.scales[i] > 0.0 {
                true => along(i) / self.scales[i],
                false => 0.0,
            })
            .collect()
    }
}

fn identity(n: usize) -> Vec<f64> {
    let mut matrix = vec![0.0; n * n];
    (0..n).for_each(|i| matrix[i * n + i] = 1.0);
    matrix
}

fn times(matrix: &[f64], x: &[f64]) -> Vec<f64> {
    let rows = matrix.chunks(x.len().max(1)).take(x.len());
    rows.map(|row| row.iter().zip(x).map(|(a, b)| a * b).sum())
        .collect()
}

/// Eigenvalues and eigenvectors (in columns) of a symmetric matrix, by Jacobi's rotations
/// (Golub and Van Loan, "Matrix computations", section 8.5).
fn eigen(matrix: &[f64], n: usize) -> (Vec<f64>, Vec<f64>) {
    let mut a = matrix.to_vec();
    let mut v = identity(n);
    for _ in 0..SWEEPS {
        let off: f64 = (0..n)
            .flat_map(|i| (0..i).map(move |j| (i, j)))
            .map(|(i, j)| a[i * n + j].powi(2))
            .sum();
        if off == 0.0 {
            break;
        }
        for p in 0..n {
            for q in p + 1..n {
                if a[p * n + q] != 0.0 {
                    rotate(&mut a, &mut v, n, p, q);
                }
            }
        }
    }
    ((0..n).map(|i| a[i * n + i]).collect(), v)
}

/// Makes `a[p][q]` zero.
fn rotate(a: &mut [f64], v: &mut [f64], n: usize, p: usize, q: usize) {
    let tau = (a[q * n + q] - a[p * n + p]) / (2.0 * a[p * n + q]);
    let t = tau.signum() / (tau.abs() + (1.0 + tau * tau).sqrt());
    let c = 1.0 / (1.0 + t * t).sqrt();
    let s = t * c;
    for k in 0..n {
        let (x, y) = (a[k * n + p], a[k * n + q]);
        (a[k * n + p], a[k * n + q]) = (c * x - s * y, s * x + c * y);
    }
    for k in 0..n {
        let (x, y) = (a[p * n + k], a[q * n + k]);
        (a[p * n + k], a[q * n + k]) = (c * x - s * y, s * x + c * y);
        let (x, y) = (v[k * n + p], v[k * n + q]);
        (v[k * n + p], v[k * n + q]) = (c * x - s * y, s * x + c * y);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    fn minimise(f: impl Fn(&[f64]) -> f64, n: usize, evaluations: usize) -> f64 {
        let mut search = CmaEs::new(vec![3.0; n], 1.0);
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let (mut best, mut spent) = (f64::INFINITY, 0);
        while spent < evaluations {
            let population = search.ask(&mut rng);
            let values: Vec<f64> = population.iter().map(|x| f(x)).collect();
            spent += values.len();
            best = values.iter().copied().fold(best, f64::min);
            let mut order: Vec<usize> = (0..values.len()).collect();
            order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
            search.tell(&population, &order);
        }
        best
    }

    /// Functions of the tutorial's kind, with several times the evaluations that they are
    /// known to need. From 4 dimensions on Rosenbrock's function has a second minimum.
    #[test]
    fn the_sphere_an_ellipsoid_and_rosenbrocks_function_are_minimised() {
        let sphere = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>();
        assert!(minimise(sphere, 5, 1200) < 1e-8);
        let ellipsoid = |x: &[f64]| {
            let terms = x.iter().enumerate();
            terms
                .map(|(i, x)| 1e6f64.powf(i as f64 / 5.0) * x * x)
                .sum::<f64>()
        };
        assert!(minimise(ellipsoid, 6, 6000) < 1e-8);
        let rosenbrock = |x: &[f64]| {
            let pairs = x.windows(2);
            pairs
                .map(|w| 100.0 * (w[0] * w[0] - w[1]).powi(2) + (w[0] - 1.0).powi(2))
                .sum::<f64>()
        };
        assert!(minimise(rosenbrock, 3, 5000) < 1e-6);
    }

    #[test]
    fn eigenvectors_make_the_matrix_again() {
        let n = 4;
        let root: Vec<f64> = (0..16).map(|i| f64::from(i * 7 % 11) - 4.0).collect();
        let product =
            |i: usize, j: usize| -> f64 { (0..n).map(|k| root[i * n + k] * root[j * n + k]).sum() };
        let matrix: Vec<f64> = (0..16).map(|at| product(at / n, at % n)).collect();
        let (values, v) = eigen(&matrix, n);
        for (at, expected) in matrix.iter().enumerate() {
            let (i, j) = (at / n, at % n);
            let again: f64 = (0..n)
                .map(|k| v[i * n + k] * values[k] * v[j * n + k])
                .sum();
            assert!((again - expected).abs() < 1e-9, "{at}");
        }
    }

    #[test]
    fn an_order_that_means_nothing_keeps_everything_finite() {
        let mut search = CmaEs::new(vec![0.0; 3], 1.0);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for _ in 0..200 {
            let population = search.ask(&mut rng);
            let order: Vec<usize> = (0..population.len()).collect();
            search.tell(&population, &order);
            assert!(population.iter().flatten().all(|x| x.is_finite()));
        }
    }
}
