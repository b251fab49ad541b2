//! Any number of objectives: a shape in the first `m - 1` inputs, times
//! `1 + g` of the `k = d - m + 1` others.
//!
//! Deb, Thiele, Laumanns and Zitzler, "Scalable test problems for evolutionary
//! multiobjective optimization" (2005). Above a reference point that every
//! point of the front exceeds, the best hypervolume is the box from there to the
//! origin less the region between origin and front.

use std::f64::consts::PI;

use super::TestFunction;

/// That of BoTorch: most random inputs come within it.
const DTLZ1_REFERENCE: f64 = 400.0;

/// A tenth beyond the sphere.
const DTLZ2_REFERENCE: f64 = 1.1;

/// DTLZ1 with `d` inputs (at least `m`) and `m` objectives (at least 2): the
/// front is the plane `sum_j f_j = 1/2`, below it a simplex of volume
/// `(1/2)^m / m!`; best hypervolume `400^m` less that.
#[must_use]
pub fn dtlz1(d: usize, m: usize) -> TestFunction {
    let m = m.max(2);
    let simplex: f64 = (1..=m).map(|j| 0.5 / j as f64).product();
    TestFunction {
        name: "DTLZ1",
        dim: d.max(m),
        ref_point: vec![-DTLZ1_REFERENCE; m],
        max_hypervolume: DTLZ1_REFERENCE.powi(m as i32) - simplex,
        evaluate: |x, m| {
            let tail = &x[m - 1..];
            let waves: f64 = tail
                .iter()
                .map(|v| (v - 0.5).powi(2) - (20.0 * PI * (v - 0.5)).cos())
                .sum();
            let scale = 0.5 * (1.0 + 100.0 * (tail.len() as f64 + waves));
            shape(x, m, scale, |v| v, |v| 1.0 - v)
        },
    }
}

/// DTLZ2 with `d` inputs (at least `m`) and `m` objectives (at least 2): the
/// front is the unit sphere's positive part; best hypervolume `1.1^m` less the
/// ball's part of volume, `(sqrt(pi) / 2)^m / Gamma(m/2 + 1)`.
#[must_use]
pub fn dtlz2(d: usize, m: usize) -> TestFunction {
    let m = m.max(2);
    // The ball's volume falls by 2 pi / j from j - 2 to j dimensions, the part
    // of it in one orthant by another quarter.
    let orthant: f64 = (1..=m)
        .rev()
        .step_by(2)
        .map(|j| if j == 1 { 1.0 } else { PI / (2.0 * j as f64) })
        .product();
    TestFunction {
        name: "DTLZ2",
        dim: d.max(m),
        ref_point: vec![-DTLZ2_REFERENCE; m],
        max_hypervolume: DTLZ2_REFERENCE.powi(m as i32) - orthant,
        evaluate: |x, m| {
            let g: f64 = x[m - 1..].iter().map(|v| (v - 0.5).powi(2)).sum();
            let angle = |v: f64| v * PI / 2.0;
            shape(x, m, 1.0 + g, |v| angle(v).cos(), |v| angle(v).sin())
        },
    }
}

/// `-scale a(x_1) .. a(x_(m-i)) b(x_(m-i+1))` for objective `i`, counted from 1
/// and without the factor `b` for the first.
fn shape(
    x: &[f64],
    m: usize,
    scale: f64,
    a: impl Fn(f64) -> f64,
    b: impl Fn(f64) -> f64,
) -> Vec<f64> {
    (0..m)
        .map(|i| {
            let mut f = scale;
            for v in &x[..m - 1 - i] {
                f *= a(*v);
            }
            if i > 0 {
                f *= b(x[m - 1 - i]);
            }
            -f
        })
        .collect()
}
