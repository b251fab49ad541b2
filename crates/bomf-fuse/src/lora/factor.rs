//! Products of two factors, cut to a rank by their singular values.

use faer::{Mat, MatRef};

use super::linalg::{product, thin_qr, thin_svd};

/// Singular values below this part of the greatest are rounding: factors come in `f32`, with 24
/// bits, and are worked on in `f64`, with 53.
const ZERO: f64 = 1e-12;

/// How many singular values are kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Keep {
    /// So many.
    Count(usize),
    /// As few as hold this part of the sum of squares.
    Energy(f64),
}

/// A product `B A` after the cut.
#[derive(Debug)]
pub(super) struct Cut {
    /// `[m, r]`, row-major.
    pub(super) b: Vec<f32>,
    /// `[r, n]`, row-major.
    pub(super) a: Vec<f32>,
    pub(super) r: usize,
    /// The Frobenius norm before the cut.
    pub(super) norm: f64,
    /// The Frobenius norm of what was cut off, as a part of `norm`.
    pub(super) error: f64,
}

/// Cuts `b a` without forming it: with `b = q r` and `a' = p t`, its singular values are those of
/// the small matrix `r t'`. At least one value is kept; `None` for values that are not finite.
pub(super) fn cut(b: Mat<f64>, a_transposed: Mat<f64>, keep: Keep) -> Option<Cut> {
    let (q, r) = thin_qr(b);
    let (p, t) = thin_qr(a_transposed);
    let (u, s, v) = thin_svd(product(r.as_ref(), t.transpose()).as_ref())?;
    let total: f64 = s.iter().map(|s| s * s).sum();
    let kept = count(&s, total, keep);
    let lost: f64 = s[kept..].iter().map(|s| s * s).sum();
    // Each factor gets the square root, so that both are of one size.
    let left = product(q.as_ref(), scaled(u.as_ref(), &s[..kept]).as_ref());
    let right = product(p.as_ref(), scaled(v.as_ref(), &s[..kept]).as_ref());
    Some(Cut {
        b: row_major(left.as_ref()),
        a: row_major(right.transpose()),
        r: kept,
        norm: total.sqrt(),
        error: match total > 0.0 {
            true => (lost / total).sqrt(),
            false => 0.0,
        },
    })
}

fn count(s: &[f64], total: f64, keep: Keep) -> usize {
    let greatest = s.first().copied().unwrap_or(0.0);
    let nonzero = s.iter().take_while(|&&s| s > greatest * ZERO).count();
    let wanted = match keep {
        Keep::Count(r) => r,
        Keep::Energy(energy) => {
            // What may be lost is summed from the small end, where it is exact.
            let mut lost = 0.0;
            let dropped = s.iter().rev().take_while(|&&s| {
                lost += s * s;
                lost <= (1.0 - energy) * total
            });
            s.len() - dropped.count()
        }
    };
    wanted.min(nonzero).max(1)
}

/// The first columns of a matrix, each times the root of its value.
fn scaled(x: MatRef<'_, f64>, s: &[f64]) -> Mat<f64> {
    Mat::from_fn(x.nrows(), s.len(), |i, j| x[(i, j)] * s[j].sqrt())
}

pub(super) fn row_major(x: MatRef<'_, f64>) -> Vec<f32> {
    let rows = (0..x.nrows()).flat_map(|i| (0..x.ncols()).map(move |j| (i, j)));
    rows.map(|at| x[at] as f32).collect()
}
