//! The log posterior density of shared hyperparameters, at a cost that does not
//! depend on the number of outputs.
//!
//! With residuals `R` (`n x p`), scales `s_p`, `K = k + noise I` and a common
//! variance `a` of all outputs, profiled out, the log likelihood is up to a
//! constant `-n p / 2 log(t / (n p)) - p / 2 log det K`, `t = tr(K^-1 S)`,
//! `S = sum_p r_p r_p' / s_p^2`: the outputs enter through the `n x n` matrix
//! `S` only. Its derivative is (Rasmussen and Williams 2006, equation 5.9,
//! summed over outputs, with the best `a`)
//! `p / 2 tr((n / t K^-1 S K^-1 - K^-1) dK)`.
//!
//! Given the anchors (the parent's head) `n` is the number of the other
//! observations and `det K` becomes `det K / det K_aa`; `t` stays, since `S` is
//! zero in the anchors' rows.
//!
//! The outputs are not independent (logits of one network): `p` of them say no
//! more than some *effective number*, and would drown every prior density. So
//! the likelihood is raised to the power `effective / p`, the adjustment of a
//! composite likelihood (Varin, Reid and Firth, "An overview of composite
//! likelihood methods", Statistica Sinica 21, 2011, section 2.4). Under the
//! model the whitened `W = L^-1 S L^-T` is a weighted Wishart matrix,
//! `sum_i lambda_i g_i g_i'` with `lambda` the eigenvalues of the outputs'
//! correlation, of which
//! `E (tr W)^2 = n^2 A + 2 n B`, `E tr W^2 = n A + n (n + 1) B`, with
//! `A = (sum lambda)^2` and `B = sum lambda^2`; the effective number is `A / B`.

use faer::Mat;

use crate::linalg::{Cholesky, axpy, dot};
use crate::models::pairs::squared_differences;
use crate::models::{Kernel, Priors};

/// The inputs' squared differences with the residuals' Gram matrix.
pub(super) struct Evidence {
    n: usize,
    /// How many of the first observations are anchors.
    anchors: usize,
    squares: Vec<Vec<f64>>,
    /// `S`, both triangles.
    gram: Mat<f64>,
    kernel: Kernel,
    priors: Priors,
    /// The likelihood's weight: how many outputs it counts for.
    effective: f64,
}

impl Evidence {
    pub(super) fn new(
        features: &[Vec<f64>],
        anchors: usize,
        gram: Mat<f64>,
        kernel: Kernel,
        priors: Priors,
        per_dimension: bool,
    ) -> Self {
        Self {
            n: features.len(),
            anchors,
            squares: squared_differences(features, per_dimension),
            gram,
            kernel,
            priors,
            effective: 1.0,
        }
    }

    /// Number of lengthscales.
    pub(super) fn lengthscales(&self) -> usize {
        self.squares.len()
    }

    /// Replaces `S`, and sets the effective number of the `p` outputs as it is
    /// under hyperparameters `v`.
    pub(super) fn set(&mut self, gram: Mat<f64>, p: usize, v: &[f64]) {
        self.gram = gram;
        let (k, _) = self.kernel_matrix(v);
        self.effective = Cholesky::new(&k).map_or(1.0, |factor| {
            let mut half = self.gram.clone();
            factor.forward_columns(half.as_mut());
            let mut whitened = half.transpose().to_owned();
            factor.forward_columns(whitened.as_mut());
            effective_outputs(&whitened, self.n - self.anchors, p)
        });
    }

    /// `K` (its lower triangle), and the kernel's derivative for each pair.
    fn kernel_matrix(&self, v: &[f64]) -> (Mat<f64>, Vec<f64>) {
        let p = self.lengthscales();
        let noise = v[p].exp();
        let pairs = self.n * self.n.saturating_sub(1) / 2;
        let mut r2 = vec![0.0; pairs];
        for (l, squares) in v.iter().zip(&self.squares) {
            axpy((-2.0 * l).exp(), squares, &mut r2);
        }
        let mut slope = vec![0.0; pairs];
        let mut k = Mat::zeros(self.n, self.n);
        let mut at = 0;
        for i in 0..self.n {
            for j in 0..i {
                (k[(i, j)], slope[at]) = self.kernel.value_and_derivative(r2[at]);
                at += 1;
            }
            k[(i, i)] = 1.0 + noise;
        }
        (k, slope)
    }

    /// The negative log posterior density at `v` (log lengthscales, log noise)
    /// up to a constant, and its gradient; infinite where the kernel matrix
    /// cannot be factorised or the residuals are all zero.
    pub(super) fn negative_log_posterior(&self, v: &[f64], gradient: &mut [f64]) -> f64 {
        let p = self.lengthscales();
        let n = self.n;
        let (k, mut slope) = self.kernel_matrix(v);
        let of_anchors = k.get(..self.anchors, ..self.anchors).to_owned();
        let (Ok(factor), Ok(of_anchors)) = (Cholesky::new(&k), Cholesky::new(&of_anchors)) else {
            return f64::INFINITY;
        };
        // K^-1 S, then K^-1 (K^-1 S)' = K^-1 S K^-1.
        let mut solved = self.gram.clone();
        factor.forward_columns(solved.as_mut());
        factor.backward_columns(solved.as_mut());
        let t: f64 = (0..n).map(|i| solved[(i, i)]).sum();
        if t <= 0.0 || !t.is_finite() {
            return f64::INFINITY;
        }
        let mut twice = solved.transpose().to_owned();
        factor.forward_columns(twice.as_mut());
        factor.backward_columns(twice.as_mut());
        let mut inverse = factor.inverse();
        let known = of_anchors.inverse();
        for j in 0..self.anchors {
            for i in j..self.anchors {
                inverse[(i, j)] -= known[(i, j)];
            }
        }

        let free = (n - self.anchors) as f64;
        let share = free / t;
        let mut trace = 0.0;
        let mut at = 0;
        for i in 0..n {
            for j in 0..i {
                slope[at] *= share * twice[(i, j)] - inverse[(i, j)];
                at += 1;
            }
            trace += share * twice[(i, i)] - inverse[(i, i)];
        }
        let log_det = factor.log_det() - of_anchors.log_det();
        let mut value = -0.5 * self.effective * (free * t.ln() + log_det);
        for l in 0..p {
            let (prior, by) = self.priors.lengthscale.log_density(v[l]);
            value += prior;
            // d r2 / d log l = -2 square / l^2.
            let weight = -2.0 * (-2.0 * v[l]).exp();
            gradient[l] = -(self.effective * weight * dot(&slope, &self.squares[l]) + by);
        }
        let (prior, by) = self.priors.noise.log_density(v[p]);
        gradient[p] = -(0.5 * self.effective * v[p].exp() * trace + by);
        -(value + prior)
    }
}

/// The effective number of `p` outputs, from the whitened `W`, which is zero but
/// for `n` dimensions.
fn effective_outputs(whitened: &Mat<f64>, n: usize, p: usize) -> f64 {
    let n = n as f64;
    let trace: f64 = (0..whitened.nrows()).map(|i| whitened[(i, i)]).sum();
    let squares = whitened.squared_norm_l2();
    if n < 2.0 || trace <= 0.0 {
        return 1.0;
    }
    let b = (n * squares - trace * trace) / (n * (n + 2.0) * (n - 1.0));
    let a = (trace * trace - 2.0 * n * b) / (n * n);
    // Rounding or luck can take b to zero: then all are independent.
    let effective = if b > 0.0 { a / b } else { f64::INFINITY };
    effective.clamp(1.0, p.max(1) as f64)
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_distr::StandardNormal;

    use super::*;

    #[test]
    fn gradient_against_differences() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(5);
        let x: Vec<Vec<f64>> = (0..9)
            .map(|_| (0..3).map(|_| rng.random()).collect())
            .collect();
        for (kernel, per_dimension, anchors) in [
            (Kernel::Matern52, true, 0),
            (Kernel::Matern52, false, 3),
            (Kernel::Rbf, true, 3),
            (Kernel::Rbf, false, 0),
        ] {
            let residual = |i: usize, j: usize| (x[i][0] * (2.0 + j as f64)).sin() + x[i][1];
            let r = Mat::from_fn(9, 4, |i, j| if i < anchors { 0.0 } else { residual(i, j) });
            let gram = &r * r.transpose();
            let priors = Priors::scaled(3.0);
            let mut e = Evidence::new(&x, anchors, gram.clone(), kernel, priors, per_dimension);
            let mut v: Vec<f64> = (0..e.lengthscales())
                .map(|i| -0.5 + 0.3 * i as f64)
                .collect();
            v.push(-4.0);
            e.set(gram.clone(), 4, &v);
            assert!(e.effective > 1.0);
            let mut gradient = vec![0.0; v.len()];
            e.negative_log_posterior(&v, &mut gradient);
            let mut unused = gradient.clone();
            for i in 0..v.len() {
                let h = 1e-5;
                let mut at = |step: f64| {
                    let mut v = v.clone();
                    v[i] += step;
                    e.negative_log_posterior(&v, &mut unused)
                };
                let numeric = (at(h) - at(-h)) / (2.0 * h);
                assert!(
                    (numeric - gradient[i]).abs() < 1e-6 * (1.0 + numeric.abs()),
                    "{kernel:?} {per_dimension} {i}: {numeric} {}",
                    gradient[i]
                );
            }
        }
    }

    #[test]
    fn the_effective_number_is_that_of_independent_groups() {
        // 60 outputs that are copies of 6, at 40 evaluations.
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(6);
        let own = Mat::from_fn(40, 6, |_, _| rng.sample::<f64, _>(StandardNormal));
        let r = Mat::from_fn(40, 60, |i, j| own[(i, j / 10)]);
        let effective = effective_outputs(&(&r * r.transpose()), 40, 60);
        // Its standard error over draws is about 0.4.
        assert!((effective - 6.0).abs() < 1.5, "{effective}");
        // One output repeated is one.
        let r = Mat::from_fn(40, 60, |i, _| own[(i, 0)]);
        assert!(effective_outputs(&(&r * r.transpose()), 40, 60) < 1.5);
    }
}
