//! Inner products of the units of two models, summed over all tensors that have a part in them.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatMut, Par};
use rayon::prelude::*;

use super::units::Part;
use crate::error::{FuseError, Result};
use crate::weights::Weights;

/// Columns of the product that are one piece of work.
const COLUMNS: usize = 64;

/// Inner products `a_u . b_v` `[n, n]`, row-major, and the squared norms of both.
pub(super) struct Products {
    pub n: usize,
    pub dots: Vec<f64>,
    pub a: Vec<f64>,
    pub b: Vec<f64>,
}

impl Products {
    /// Of n units with these parts.
    pub fn of(a: &dyn Weights, b: &dyn Weights, parts: &[Part], n: usize) -> Result<Self> {
        let mut sums = Self {
            n,
            dots: vec![0.0; n * n],
            a: vec![0.0; n],
            b: vec![0.0; n],
        };
        for part in parts {
            let (shape, a) = read(a, &part.tensor)?;
            let (other, b) = read(b, &part.tensor)?;
            if shape != other {
                return Err(FuseError::ShapeMismatch {
                    tensor: part.tensor.clone(),
                    member: "the model to be aligned".into(),
                    shape: other,
                    reference: "its reference".into(),
                    expected: shape,
                });
            }
            if !part.fits(&shape, n) {
                return Err(FuseError::UnitShape {
                    tensor: part.tensor.clone(),
                    shape,
                    units: n,
                    width: part.width,
                });
            }
            sums.add(&units(&a, &shape, part, n), &units(&b, &shape, part, n));
        }
        Ok(sums)
    }

    /// Adds what units `[features, n]` have in common.
    fn add(&mut self, a: &Mat<f64>, b: &Mat<f64>) {
        let n = self.n;
        if n == 0 {
            return;
        }
        // Row-major dots are the columns of `b' a`.
        let columns = self.dots.par_chunks_mut(COLUMNS * n).enumerate();
        columns.for_each(|(i, piece)| {
            let count = piece.len() / n;
            let own = a.as_ref().subcols(i * COLUMNS, count);
            let piece = MatMut::from_column_major_slice_mut(piece, n, count);
            matmul(piece, Accum::Add, b.transpose(), own, 1.0, Par::Seq);
        });
        let squares = |x: &Mat<f64>, u: usize| x.col_as_slice(u).iter().map(|v| v * v).sum::<f64>();
        for u in 0..n {
            self.a[u] += squares(a, u);
            self.b[u] += squares(b, u);
        }
    }

    /// Squared distances `|a_u - b_v|^2`, no less than zero.
    pub fn distances(&self) -> Vec<f64> {
        let n = self.n;
        let of = |k: usize| (self.a[k / n] + self.b[k % n] - 2.0 * self.dots[k]).max(0.0);
        (0..n * n).map(of).collect()
    }
}

/// A tensor's shape and elements.
pub(super) fn read(model: &dyn Weights, tensor: &str) -> Result<(Vec<usize>, Vec<f32>)> {
    let missing = || FuseError::NoUnitTensor {
        tensor: tensor.to_owned(),
        model: model.name(),
    };
    let info = model.info(tensor).ok_or_else(missing)?;
    let source = model.source(tensor).ok_or_else(missing)?;
    let mut values = vec![0.0; source.len()];
    source.read(0, &mut values);
    Ok((info.shape.to_vec(), values))
}

/// The units of a part as columns, each of all its elements.
fn units(values: &[f32], shape: &[usize], part: &Part, n: usize) -> Mat<f64> {
    let stride: usize = shape[part.axis + 1..].iter().product();
    let before: usize = shape[..part.axis].iter().product();
    let length = shape[part.axis];
    let own = part.width * stride;
    Mat::from_fn(before * own, n, |k, u| {
        let (outer, inner) = (k / own, k % own);
        let at = (outer * length + part.start + u * part.width) * stride + inner;
        f64::from(values[at])
    })
}
