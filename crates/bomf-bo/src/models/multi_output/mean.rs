//! Prior means of many outputs at once.

use faer::{MatMut, MatRef};

use crate::linalg::{add_product, dot};
use crate::{BoError, Result};

/// A known function from `d` inputs to `p` outputs, around which a process is
/// placed: what one would predict without having evaluated anything.
pub trait MeanFunction: Sync {
    /// Number of inputs `d`.
    fn inputs(&self) -> usize;

    /// Number of outputs `p`.
    fn outputs(&self) -> usize;

    /// Adds the values at each of `points` (`q x d`, of the right width) to
    /// `out` (`q x p` by rows).
    fn add_to(&self, points: &[Vec<f64>], out: &mut [f64]);

    /// Adds the Jacobian's transpose at `x` (shape `d`) times `cotangent`
    /// (shape `p`) to `gradient` (shape `d`).
    fn pull_back(&self, x: &[f64], cotangent: &[f64], gradient: &mut [f64]);
}

impl<M: MeanFunction + ?Sized> MeanFunction for &M {
    fn inputs(&self) -> usize {
        (**self).inputs()
    }

    fn outputs(&self) -> usize {
        (**self).outputs()
    }

    fn add_to(&self, points: &[Vec<f64>], out: &mut [f64]) {
        (**self).add_to(points, out);
    }

    fn pull_back(&self, x: &[f64], cotangent: &[f64], gradient: &mut [f64]) {
        (**self).pull_back(x, cotangent, gradient);
    }
}

/// The same value everywhere, one an output.
#[derive(Debug, Clone, PartialEq)]
pub struct ConstantMean {
    inputs: usize,
    values: Vec<f64>,
}

impl ConstantMean {
    /// `values` (shape `p`) whatever the `inputs` inputs are.
    #[must_use]
    pub fn new(inputs: usize, values: Vec<f64>) -> Self {
        Self { inputs, values }
    }
}

impl MeanFunction for ConstantMean {
    fn inputs(&self) -> usize {
        self.inputs
    }

    fn outputs(&self) -> usize {
        self.values.len()
    }

    fn add_to(&self, _: &[Vec<f64>], out: &mut [f64]) {
        for row in out.chunks_exact_mut(self.values.len().max(1)) {
            for (o, v) in row.iter_mut().zip(&self.values) {
                *o += v;
            }
        }
    }

    fn pull_back(&self, _: &[f64], _: &[f64], _: &mut [f64]) {}
}

/// `sum_i x_i z_i`: on the simplex, the mixture of the outputs `z_i` at its
/// vertices (the *ensemble* of the members' logits, for one).
#[derive(Debug, Clone, PartialEq)]
pub struct LinearMean {
    inputs: usize,
    outputs: usize,
    /// The `z_i` in a row, `d x p`.
    vertices: Vec<f64>,
}

impl LinearMean {
    /// From the outputs at each vertex (`d x p`).
    ///
    /// # Errors
    /// [`BoError::NoData`] without a vertex or an output,
    /// [`BoError::Dimension`] if they have different numbers of outputs,
    /// [`BoError::NotFinite`].
    pub fn new<R: AsRef<[f64]>>(vertices: &[R]) -> Result<Self> {
        let outputs = vertices.first().map_or(0, |z| z.as_ref().len());
        if outputs == 0 {
            return Err(BoError::NoData);
        }
        let what = "the outputs at a vertex";
        for (index, z) in vertices.iter().enumerate() {
            let z = z.as_ref();
            if z.len() != outputs {
                return Err(BoError::Dimension {
                    what,
                    found: z.len(),
                    expected: outputs,
                });
            }
            if let Some(&value) = z.iter().find(|v| !v.is_finite()) {
                return Err(BoError::NotFinite { what, index, value });
            }
        }
        Ok(Self {
            inputs: vertices.len(),
            outputs,
            vertices: vertices.iter().flat_map(|z| z.as_ref()).copied().collect(),
        })
    }
}

impl MeanFunction for LinearMean {
    fn inputs(&self) -> usize {
        self.inputs
    }

    fn outputs(&self) -> usize {
        self.outputs
    }

    fn add_to(&self, points: &[Vec<f64>], out: &mut [f64]) {
        let flat: Vec<f64> = points.iter().flatten().copied().collect();
        add_product(
            MatMut::from_column_major_slice_mut(out, self.outputs, points.len()),
            1.0,
            MatRef::from_column_major_slice(&self.vertices, self.outputs, self.inputs),
            MatRef::from_column_major_slice(&flat, self.inputs, points.len()),
        );
    }

    fn pull_back(&self, _: &[f64], cotangent: &[f64], gradient: &mut [f64]) {
        for (g, z) in gradient
            .iter_mut()
            .zip(self.vertices.chunks_exact(self.outputs))
        {
            *g += dot(z, cotangent);
        }
    }
}
