//! Values and directional derivatives as rows of one kernel matrix.
//!
//! Between row `i` (at features `x`, direction `v` if it is a derivative) and
//! row `j` (at `x'`, direction `v'`), with weights `1 / l_c^2` and the sums over
//! features `r2 = |x - x'|^2`, `a = (x - x')'v`, `b = (x - x')'v'`, `e = v'v'`
//! (all weighted), a stationary kernel `phi(r2)` gives
//!
//! * value, value: `phi`;
//! * derivative, value: `2 phi' a`;
//! * derivative, derivative: `-4 phi'' a b - 2 phi' e`
//!
//! (Rasmussen and Williams 2006, section 9.4; Solak, Murray-Smith, Leithead,
//! Leith and Rasmussen, "Derivative observations in Gaussian process models of
//! dynamic systems", NeurIPS 2002). Each of the four sums is linear in the
//! weights, through which alone the lengthscales enter.

use super::shape::derivatives;
use crate::models::Kernel;

/// A row: where, and in which direction if it is a derivative.
#[derive(Debug, Clone)]
pub(super) struct Row {
    /// Features, shape `k`.
    pub(super) at: Vec<f64>,
    /// The direction's features, shape `k`; `None` for a value.
    pub(super) along: Option<Vec<f64>>,
    /// Squared length of the direction in the inputs, 1 for a value: noise is
    /// that of a derivative along a direction of length one.
    pub(super) length2: f64,
}

/// `r2`, `a`, `b` and `e` of the module's head.
pub(super) type Sums = [f64; 4];

/// One feature's terms of the four sums, before its weight.
pub(super) fn terms(i: &Row, j: &Row, c: usize) -> Sums {
    let difference = i.at[c] - j.at[c];
    let v = i.along.as_ref().map_or(0.0, |v| v[c]);
    let w = j.along.as_ref().map_or(0.0, |w| w[c]);
    [
        difference * difference,
        difference * v,
        difference * w,
        v * w,
    ]
}

/// The four sums with `weights` (shape `k`).
pub(super) fn sums(i: &Row, j: &Row, weights: &[f64]) -> Sums {
    let mut out = [0.0; 4];
    for (c, weight) in weights.iter().enumerate() {
        for (o, t) in out.iter_mut().zip(terms(i, j, c)) {
            *o += weight * t;
        }
    }
    out
}

/// The covariance of two rows at unit variance.
pub(super) fn covariance(kernel: Kernel, i: &Row, j: &Row, sums: Sums) -> f64 {
    covariance_and_partials(kernel, i, j, sums).0
}

/// The covariance and its derivatives in the four sums.
pub(super) fn covariance_and_partials(
    kernel: Kernel,
    i: &Row,
    j: &Row,
    [r2, a, b, e]: Sums,
) -> (f64, Sums) {
    let [value, first, second, third] = derivatives(kernel, r2);
    match (i.along.is_some(), j.along.is_some()) {
        (false, false) => (value, [first, 0.0, 0.0, 0.0]),
        (true, false) => (2.0 * first * a, [2.0 * second * a, 2.0 * first, 0.0, 0.0]),
        (false, true) => (
            -2.0 * first * b,
            [-2.0 * second * b, 0.0, -2.0 * first, 0.0],
        ),
        (true, true) => (
            -4.0 * second * a * b - 2.0 * first * e,
            [
                -4.0 * third * a * b - 2.0 * second * e,
                -4.0 * second * b,
                -4.0 * second * a,
                -2.0 * first,
            ],
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Covariances of derivatives are derivatives of covariances.
    #[test]
    fn covariances_against_differences() {
        let weights = [1.7, 0.4];
        let (x, y) = ([0.3, -0.2], [0.9, 0.4]);
        let (v, w) = ([1.0, -0.5], [0.2, 0.8]);
        let row = |at: [f64; 2], along: Option<[f64; 2]>| Row {
            at: at.to_vec(),
            along: along.map(|v| v.to_vec()),
            length2: 1.0,
        };
        let shifted = |at: [f64; 2], v: [f64; 2], h: f64| [at[0] + h * v[0], at[1] + h * v[1]];
        for kernel in [Kernel::Matern52, Kernel::Rbf] {
            let cov = |i: &Row, j: &Row| covariance(kernel, i, j, sums(i, j, &weights));
            let h = 1e-5;
            // One derivative more on the left, then on the right.
            for right in [None, Some(w)] {
                let along = cov(&row(x, Some(v)), &row(y, right));
                let numeric = (cov(&row(shifted(x, v, h), None), &row(y, right))
                    - cov(&row(shifted(x, v, -h), None), &row(y, right)))
                    / (2.0 * h);
                assert!((along - numeric).abs() < 1e-8, "{kernel:?}");
            }
            let along = cov(&row(x, None), &row(y, Some(w)));
            let numeric = (cov(&row(x, None), &row(shifted(y, w, h), None))
                - cov(&row(x, None), &row(shifted(y, w, -h), None)))
                / (2.0 * h);
            assert!((along - numeric).abs() < 1e-8, "{kernel:?}");
            // At one point: the variance of a derivative, and no covariance
            // with the value there.
            assert!(cov(&row(x, Some(v)), &row(x, Some(v))) > 0.0);
            assert_eq!(cov(&row(x, Some(v)), &row(x, None)), 0.0);
        }
    }

    #[test]
    fn partials_against_differences() {
        let row = |derivative: bool| Row {
            at: Vec::new(),
            along: derivative.then(Vec::new),
            length2: 1.0,
        };
        let s = [0.8, 0.3, -0.4, 0.5];
        for kernel in [Kernel::Matern52, Kernel::Rbf] {
            for (i, j) in [(false, false), (true, false), (false, true), (true, true)] {
                let (i, j) = (row(i), row(j));
                let (_, partials) = covariance_and_partials(kernel, &i, &j, s);
                for m in 0..4 {
                    let h = 1e-6;
                    let at = |step: f64| {
                        let mut s = s;
                        s[m] += step;
                        covariance(kernel, &i, &j, s)
                    };
                    let numeric = (at(h) - at(-h)) / (2.0 * h);
                    assert!((numeric - partials[m]).abs() < 1e-8, "{kernel:?} {m}");
                }
            }
        }
    }
}
