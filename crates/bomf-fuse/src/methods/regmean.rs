//! RegMean: the linear layer whose outputs are nearest to those of all models, each on the inputs
//! that it saw.
//!
//! With the Gram matrices `G_i = X_i' X_i` of model i's inputs to a layer with weights `W_i`
//! (inputs by outputs), the least squares have a closed form:
//!
//! ```text
//! W = (sum_i w_i H_i)^-1 sum_i w_i H_i W_i,   H_i = alpha G_i + (1 - alpha) diag(G_i)
//! ```
//!
//! Jin, Ren, Preotiuc-Pietro and Cheng, "Dataless knowledge fusion by merging weights of language
//! models", ICLR 2023, arXiv 2212.09849, equation 2 and section 3.3; the weights `w_i` are an
//! addition. Everything but these layers is averaged.
//!
//! A layer is solved as a whole, in `f64` on matrices scaled to a diagonal of one: it takes some
//! `24 in^2 + 8 in out` bytes, and what it gives is kept until the tensor is written.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt::factor;
use faer::linalg::matmul::matmul;
use faer::linalg::triangular_solve::{
    solve_lower_triangular_in_place, solve_upper_triangular_in_place,
};
use faer::{Accum, Mat, MatMut, Par};
use rayon::prelude::*;

use super::common::declare::{NOT_NEGATIVE, number};
use super::linear;
use crate::error::{FuseError, Result};
use crate::method::{
    Base, Block, Fuser, Inputs, Method, MethodSpec, Params, Scope, Source, Statistics,
};

/// Linear layers by least squares over the models' inputs, everything else by averaging.
///
/// An input that no model ever saw (a zero on the diagonal of each Gram matrix) decides nothing:
/// its weights are averaged. A NaN in a model reaches the outputs (rows) that it belongs to.
pub struct RegMean;

/// What is off the diagonal counts this much; the authors' choice for most models.
pub const ALPHA: f64 = 0.9;

/// The least square of a pivot of the factor, on a matrix whose diagonal is one. Below, what is
/// solved has more of rounding in it than the last digit of an `f32`.
const LEAST_PIVOT: f64 = 1e-9;

/// Outputs that are one piece of work.
const OUTPUTS: usize = 64;

static SPEC: MethodSpec = MethodSpec {
    name: "regmean",
    summary: "least squares over the inputs that each model's linear layers saw",
    paper: "Jin et al., Dataless knowledge fusion (RegMean), ICLR 2023, arXiv 2212.09849",
    base: Base::Unused,
    models: (1, usize::MAX),
    params: &[
        number(
            "weight",
            "factor of the model's Gram matrices",
            Scope::Model,
            NOT_NEGATIVE,
            Some(1.0),
        ),
        number(
            "alpha",
            "factor of what is off the Gram matrices' diagonals",
            Scope::Method,
            (0.0, 1.0),
            Some(ALPHA),
        ),
    ],
};

impl Method for RegMean {
    fn spec(&self) -> &'static MethodSpec {
        &SPEC
    }

    fn statistics(&self) -> Option<Statistics> {
        Some(Statistics::Gram)
    }

    /// # Errors
    /// [`FuseError::Unsolvable`], [`FuseError::ZeroWeights`], [`FuseError::StatisticLength`];
    /// those of [`Inputs::check`].
    fn prepare<'a>(
        &self,
        inputs: &Inputs<'a>,
        params: &Params,
        _seed: u64,
    ) -> Result<Box<dyn Fuser + 'a>> {
        inputs.check(&SPEC)?;
        let weights = params.numbers("weight");
        let average = linear::average(inputs, &weights)?;
        let (Some(first), &[rows, columns]) = (inputs.statistics.first(), inputs.shape) else {
            return Ok(Box::new(average));
        };
        if inputs.is_empty() {
            return Ok(Box::new(average));
        }
        let (inputs_first, alpha) = (first.inputs_first, params.number("alpha"));
        let size = match inputs_first {
            true => (rows, columns),
            false => (columns, rows),
        };
        let mut layer = LeastSquares::new(size, inputs_first, alpha);
        for (model, &weight) in weights.iter().enumerate() {
            let expected = size.0 * size.0;
            let own = inputs.statistics.get(model);
            let own = own.filter(|own| own.inputs_first == inputs_first);
            let found = own.map_or(0, |own| own.source.len());
            let Some(own) = own.filter(|_| found == expected) else {
                return Err(FuseError::StatisticLength {
                    tensor: inputs.name.to_owned(),
                    model,
                    expected,
                    found,
                });
            };
            layer.add(
                weight,
                &read_all(own.source),
                &read_all(inputs.models[model]),
            );
        }
        let solved = layer.solve().ok_or_else(|| FuseError::Unsolvable {
            tensor: inputs.name.to_owned(),
            alpha,
        })?;
        Ok(Box::new(Solved(solved)))
    }
}

/// The normal equations of a linear layer, model by model.
#[derive(Debug)]
pub struct LeastSquares {
    /// Inputs and outputs.
    size: (usize, usize),
    inputs_first: bool,
    alpha: f64,
    /// `sum_i w_i H_i`.
    sum: Mat<f64>,
    /// `sum_i w_i H_i W_i`, a column an output.
    right: Vec<f64>,
    /// `sum_i w_i W_i`, a column an output, and `sum_i w_i`.
    mean: Vec<f64>,
    total: f64,
}

impl LeastSquares {
    /// Of a layer with so many inputs and outputs, whose weights are stored as `[in, out]`, or
    /// else as `[out, in]`; `alpha` is the factor of what is off the Gram matrices' diagonals.
    pub fn new((inputs, outputs): (usize, usize), inputs_first: bool, alpha: f64) -> Self {
        Self {
            size: (inputs, outputs),
            inputs_first,
            alpha,
            sum: Mat::zeros(inputs, inputs),
            right: vec![0.0; inputs * outputs],
            mean: vec![0.0; inputs * outputs],
            total: 0.0,
        }
    }

    /// Adds a model: its Gram matrix `[in, in]` and its weights.
    ///
    /// # Panics
    /// If these have other sizes.
    pub fn add(&mut self, weight: f64, gram: &[f32], layer: &[f32]) {
        let (inputs, outputs) = self.size;
        assert_eq!(gram.len(), inputs * inputs, "one for each pair of inputs");
        assert_eq!(layer.len(), inputs * outputs, "one for each connection");
        let gram = Mat::from_fn(inputs, inputs, |i, j| {
            let alpha = if i == j { 1.0 } else { self.alpha };
            weight * alpha * f64::from(gram[i * inputs + j])
        });
        self.sum += &gram;
        self.total += weight;
        let (size, inputs_first) = (self.size, self.inputs_first);
        let pieces = self.right.par_chunks_mut(OUTPUTS * inputs.max(1));
        let means = self.mean.par_chunks_mut(OUTPUTS * inputs.max(1));
        pieces
            .zip(means)
            .enumerate()
            .for_each(|(i, (piece, mean))| {
                let count = piece.len() / inputs;
                let w = Mat::from_fn(inputs, count, |k, o| {
                    f64::from(layer[place(size, inputs_first, k, i * OUTPUTS + o)])
                });
                for (o, mean) in mean.chunks_mut(inputs).enumerate() {
                    for (mean, w) in mean.iter_mut().zip(w.col_as_slice(o)) {
                        *mean += weight * w;
                    }
                }
                let piece = MatMut::from_column_major_slice_mut(piece, inputs, count);
                matmul(piece, Accum::Add, &gram, &w, 1.0, Par::Seq);
            });
    }

    /// The layer's weights, as they are stored; `None` where the matrices have no inverse that
    /// could be relied on.
    pub fn solve(mut self) -> Option<Vec<f32>> {
        let (inputs, outputs) = self.size;
        let scale = self.scaled()?;
        self.factor()?;
        let (factor, total) = (self.sum.as_ref(), self.total);
        let pieces = self.right.par_chunks_mut(OUTPUTS * inputs.max(1));
        let means = self.mean.par_chunks(OUTPUTS * inputs.max(1));
        pieces.zip(means).for_each(|(piece, mean)| {
            for (right, mean) in piece.chunks_mut(inputs).zip(mean.chunks(inputs)) {
                for ((right, mean), scale) in right.iter_mut().zip(mean).zip(&scale) {
                    // What was never seen is an equation of its own.
                    *right = if *scale == 0.0 {
                        mean / total
                    } else {
                        *right * scale
                    };
                }
            }
            let count = piece.len() / inputs;
            let mut columns = MatMut::from_column_major_slice_mut(piece, inputs, count);
            solve_lower_triangular_in_place(factor, columns.as_mut(), Par::Seq);
            solve_upper_triangular_in_place(factor.transpose(), columns, Par::Seq);
            for right in piece.chunks_mut(inputs) {
                for (right, scale) in right.iter_mut().zip(&scale) {
                    *right *= if *scale == 0.0 { 1.0 } else { *scale };
                }
            }
        });
        let mut out = vec![0.0; inputs * outputs];
        for (o, column) in self.right.chunks(inputs.max(1)).enumerate() {
            for (k, value) in column.iter().enumerate() {
                out[place(self.size, self.inputs_first, k, o)] = *value as f32;
            }
        }
        Some(out)
    }

    /// Scales the matrix so that its diagonal is one, and gives the factors of rows and columns;
    /// zero for those that are zero.
    fn scaled(&mut self) -> Option<Vec<f64>> {
        let n = self.size.0;
        let scale: Option<Vec<f64>> = (0..n)
            .map(|i| match self.sum[(i, i)] {
                0.0 => Some(0.0),
                value if value > 0.0 && value.is_finite() => Some(1.0 / value.sqrt()),
                _ => None,
            })
            .collect();
        let scale = scale?;
        for j in 0..n {
            for (i, value) in self.sum.col_as_slice_mut(j).iter_mut().enumerate() {
                let scaled = *value * scale[i] * scale[j];
                *value = if i == j { 1.0 } else { scaled };
            }
        }
        Some(scale)
    }

    /// Replaces the matrix by its Cholesky factor (lower triangle).
    fn factor(&mut self) -> Option<()> {
        let n = self.size.0;
        let scratch = factor::cholesky_in_place_scratch::<f64>(n, Par::Seq, Default::default());
        let done = factor::cholesky_in_place(
            self.sum.as_mut(),
            Default::default(),
            Par::Seq,
            MemStack::new(&mut MemBuffer::new(scratch)),
            Default::default(),
        );
        let is_sound = |pivot: f64| pivot.is_finite() && pivot * pivot >= LEAST_PIVOT;
        (done.is_ok() && (0..n).all(|i| is_sound(self.sum[(i, i)]))).then_some(())
    }
}

/// Where the weight of an input for an output is stored.
fn place(
    (inputs, outputs): (usize, usize),
    inputs_first: bool,
    input: usize,
    output: usize,
) -> usize {
    match inputs_first {
        true => input * outputs + output,
        false => output * inputs + input,
    }
}

fn read_all(source: &dyn Source) -> Vec<f32> {
    let mut values = vec![0.0; source.len()];
    source.read(0, &mut values);
    values
}

struct Solved(Vec<f32>);

impl Fuser for Solved {
    fn fuse(&self, block: &Block<'_>, out: &mut [f32]) {
        out.copy_from_slice(&self.0[block.start..block.start + out.len()]);
    }
}
