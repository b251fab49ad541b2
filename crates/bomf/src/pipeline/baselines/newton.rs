//! A small convex problem by Newton's method, for what combines predictions.

/// Steps are halved this often at most.
const HALVINGS: usize = 40;

/// Steps after which nothing more is to be expected: convergence is quadratic.
const STEPS: usize = 60;

/// The value falls by less than this share: done.
const TOLERANCE: f64 = 1e-12;

/// A smooth convex function: its value, and where asked its gradient and Hessian (row-major,
/// the lower triangle at least).
pub(super) trait Convex {
    /// Value at `x`.
    fn value(&self, x: &[f64]) -> f64;
    /// Gradient and Hessian at `x`.
    fn slopes(&self, x: &[f64]) -> (Vec<f64>, Vec<f64>);
}

/// Minimises from `x` on (Boyd and Vandenberghe, "Convex optimization", algorithm 9.5).
pub(super) fn minimise(f: &impl Convex, mut x: Vec<f64>) -> Vec<f64> {
    let mut value = f.value(&x);
    for _ in 0..STEPS {
        let (gradient, mut hessian) = f.slopes(&x);
        let Some(step) = solve(&mut hessian, &gradient) else {
            break;
        };
        let mut share = 1.0;
        let mut better = None;
        for _ in 0..HALVINGS {
            let trial: Vec<f64> = x.iter().zip(&step).map(|(x, s)| x - share * s).collect();
            let found = f.value(&trial);
            if found < value {
                better = Some((trial, found));
                break;
            }
            share *= 0.5;
        }
        let Some((trial, found)) = better else { break };
        let gained = value - found;
        (x, value) = (trial, found);
        if gained <= TOLERANCE * value.abs().max(1.0) {
            break;
        }
    }
    x
}

/// `A^-1 b` by Cholesky's factors, in place of the lower triangle of `A`; `None` where it is not
/// positive definite.
fn solve(a: &mut [f64], b: &[f64]) -> Option<Vec<f64>> {
    let n = b.len();
    for i in 0..n {
        for j in 0..=i {
            let inner: f64 = (0..j).map(|k| a[i * n + k] * a[j * n + k]).sum();
            let rest = a[i * n + j] - inner;
            a[i * n + j] = match i == j {
                true if rest > 0.0 => rest.sqrt(),
                true => return None,
                false => rest / a[j * n + j],
            };
        }
    }
    let mut x = b.to_vec();
    for i in 0..n {
        let inner: f64 = (0..i).map(|k| a[i * n + k] * x[k]).sum();
        x[i] = (x[i] - inner) / a[i * n + i];
    }
    for i in (0..n).rev() {
        let inner: f64 = (i + 1..n).map(|k| a[k * n + i] * x[k]).sum();
        x[i] = (x[i] - inner) / a[i * n + i];
    }
    x.iter().all(|x| x.is_finite()).then_some(x)
}
