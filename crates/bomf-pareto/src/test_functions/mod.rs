//! Problems whose best hypervolume is known, for tests and benchmarks.
//!
//! Each is the textbook problem with its sign turned, so that everything is
//! maximised; inputs lie in the unit cube. Where BoTorch's
//! `test_functions.multi_objective` has the problem, reference point and best
//! hypervolume are those there; each file says where the number comes from.
//!
//! | problem | front | what is hard about it |
//! |---|---|---|
//! | [`zdt1`], [`zdt2`] | convex, concave (minimised) | many inputs that must be 0 |
//! | [`zdt3`] | five pieces | the gaps |
//! | [`dtlz1`] | a plane | `11^k - 1` local fronts |
//! | [`dtlz2`] | a sphere | any number of objectives |
//! | [`vlmop2`] | concave | flat far from the front |
//! | [`branin_currin`] | curved | part of it is hard to reach |

mod dtlz;
mod vlmop;
mod zdt;

use std::f64::consts::PI;

pub use dtlz::{dtlz1, dtlz2};
pub use vlmop::vlmop2;
pub use zdt::{zdt1, zdt2, zdt3};

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
