//! Problems whose best hypervolume is known, for tests and benchmarks.
//!
//! Each is the textbook problem with its sign turned, so that everything is
//! maximised; inputs lie in the unit cube. Reference points and best
//! hypervolumes are those of BoTorch's `test_functions.multi_objective` where
//! it states them.

use std::f64::consts::PI;

use crate::{ParetoError, Result};

/// A multi-objective function on the unit cube, maximised.
#[derive(Debug, Clone)]
pub struct TestFunction {
    /// The usual name.
    pub name: &'static str,
    /// Number of inputs `d`.
    pub dim: usize,
    /// The reference point, shape `m`, in maximised form.
    pub ref_point: Vec<f64>,
    /// The hypervolume of the whole true front above the reference point (for
    /// Branin-Currin, of a fine approximation of it).
    pub max_hypervolume: f64,
    evaluate: fn(&[f64], usize) -> Vec<f64>,
}

impl TestFunction {
    /// The objectives (shape `m`, maximised) at `x` (shape `d`, each in
    /// `[0, 1]`).
    ///
    /// # Errors
    /// [`ParetoError::Dimension`] (of point 0) if `x` has another length than
    /// `dim`.
    pub fn evaluate(&self, x: &[f64]) -> Result<Vec<f64>> {
        if x.len() != self.dim {
            return Err(ParetoError::Dimension {
                index: 0,
                found: x.len(),
                expected: self.dim,
            });
        }
        Ok((self.evaluate)(x, self.ref_point.len()))
    }

    /// Number of objectives `m`.
    #[must_use]
    pub fn objectives(&self) -> usize {
        self.ref_point.len()
    }
}

/// Branin and Currin on the unit square (Belakaria, Deshwal and Doppa 2019);
/// the front is curved and part of it is hard to reach.
#[must_use]
pub fn branin_currin() -> TestFunction {
    TestFunction {
        name: "BraninCurrin",
        dim: 2,
        ref_point: vec![-18.0, -6.0],
        max_hypervolume: 59.360_118_748_677_46,
        evaluate: |x, _| {
            let (a, b) = (15.0 * x[0] - 5.0, 15.0 * x[1]);
            let t = b - 5.1 / (4.0 * PI * PI) * a * a + 5.0 / PI * a - 6.0;
            let branin = t * t + 10.0 * (1.0 - 1.0 / (8.0 * PI)) * a.cos() + 10.0;
            let factor = if x[1] > 0.0 {
                1.0 - (-1.0 / (2.0 * x[1])).exp()
            } else {
                1.0
            };
            let x0 = x[0];
            let top = ((2300.0 * x0 + 1900.0) * x0 + 2092.0) * x0 + 60.0;
            let bottom = ((100.0 * x0 + 500.0) * x0 + 4.0) * x0 + 20.0;
            vec![-branin, -factor * top / bottom]
        },
    }
}

/// ZDT1 with `d` inputs (Zitzler, Deb and Thiele 2000): front
/// `f_2 = 1 - sqrt(f_1)`, best hypervolume `120 + 2/3`.
#[must_use]
pub fn zdt1(d: usize) -> TestFunction {
    TestFunction {
        name: "ZDT1",
        dim: d,
        ref_point: vec![-11.0, -11.0],
        // 11 * 11 less the area below the front, 1/3.
        max_hypervolume: 121.0 - 1.0 / 3.0,
        evaluate: |x, _| {
            let rest = &x[1..];
            let g = 1.0 + 9.0 * rest.iter().sum::<f64>() / rest.len().max(1) as f64;
            vec![-x[0], -g * (1.0 - (x[0] / g).sqrt())]
        },
    }
}

/// DTLZ2 with `d` inputs and `m` objectives, 2 to 4 (Deb, Thiele, Laumanns and
/// Zitzler 2005): the front is the unit sphere's positive part, the best
/// hypervolume `1.1^m` less the ball's part of volume.
#[must_use]
pub fn dtlz2(d: usize, m: usize) -> TestFunction {
    let orthant = match m {
        2 => PI / 4.0,
        3 => PI / 6.0,
        _ => PI * PI / 32.0,
    };
    TestFunction {
        name: "DTLZ2",
        dim: d,
        ref_point: vec![-1.1; m],
        max_hypervolume: 1.1_f64.powi(m as i32) - orthant,
        evaluate: |x, m| {
            let tail = &x[m - 1..];
            let g: f64 = tail.iter().map(|v| (v - 0.5) * (v - 0.5)).sum();
            (0..m)
                .map(|i| {
                    let mut f = 1.0 + g;
                    for v in &x[..m - 1 - i] {
                        f *= (v * PI / 2.0).cos();
                    }
                    if i > 0 {
                        f *= (x[m - 1 - i] * PI / 2.0).sin();
                    }
                    -f
                })
                .collect()
        },
    }
}
