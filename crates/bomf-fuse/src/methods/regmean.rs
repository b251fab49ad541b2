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
const ALPHA: f64 = 0.9;

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
        let layer = Layer {
            inputs,
            weights: &weights,
            alpha: params.number("alpha"),
            // Inputs and outputs.
            size: match first.inputs_first {
                true => (rows, columns),
                false => (columns, rows),
            },
            inputs_first: first.inputs_first,
        };
        Ok(Box::new(Solved(layer.solve()?)))
    }
}

/// A linear layer of all models.
struct Layer<'a, 'b> {
    inputs: &'a Inputs<'b>,
    weights: &'a [f64],
    alpha: f64,
    size: (usize, usize),
    inputs_first: bool,
}

impl Layer<'_, '_> {
    /// The weights, as they are stored.
    fn solve(&self) -> Result<Vec<f32>> {
        let (inputs, outputs) = self.size;
        let mut sum = Mat::<f64>::zeros(inputs, inputs);
        // A column an output.
        let mut right = vec![0.0f64; inputs * outputs];
        let mut mean = vec![0.0f64; inputs * outputs];
        let total: f64 = self.weights.iter().sum();
        for (model, &weight) in self.weights.iter().enumerate() {
            let gram = self.gram(model, weight)?;
            sum += &gram;
            let own = read_all(self.inputs.models[model]);
            let pieces = right.par_chunks_mut(OUTPUTS * inputs);
            let means = mean.par_chunks_mut(OUTPUTS * inputs);
            pieces
                .zip(means)
                .enumerate()
                .for_each(|(i, (piece, mean))| {
                    let count = piece.len() / inputs;
                    let w = Mat::from_fn(inputs, count, |k, o| {
                        f64::from(own[self.place(k, i * OUTPUTS + o)])
                    });
                    for (o, mean) in mean.chunks_mut(inputs).enumerate() {
                        for (mean, w) in mean.iter_mut().zip(w.col_as_slice(o)) {
                            *mean += weight / total * w;
                        }
                    }
                    let piece = MatMut::from_column_major_slice_mut(piece, inputs, count);
                    matmul(piece, Accum::Add, &gram, &w, 1.0, Par::Seq);
                });
        }
        let scale = self.scaled(&mut sum)?;
        self.factor(&mut sum)?;
        let pieces = right.par_chunks_mut(OUTPUTS * inputs);
        let means = mean.par_chunks(OUTPUTS * inputs);
        pieces.zip(means).for_each(|(piece, mean)| {
            for (right, mean) in piece.chunks_mut(inputs).zip(mean.chunks(inputs)) {
                for ((right, mean), scale) in right.iter_mut().zip(mean).zip(&scale) {
                    // What was never seen is an equation of its own.
                    *right = if *scale == 0.0 { *mean } else { *right * scale };
                }
            }
            let count = piece.len() / inputs;
            let mut columns = MatMut::from_column_major_slice_mut(piece, inputs, count);
            solve_lower_triangular_in_place(sum.as_ref(), columns.as_mut(), Par::Seq);
            solve_upper_triangular_in_place(sum.as_ref().transpose(), columns, Par::Seq);
            for right in piece.chunks_mut(inputs) {
                for (right, scale) in right.iter_mut().zip(&scale) {
                    *right *= if *scale == 0.0 { 1.0 } else { *scale };
                }
            }
        });
        let mut out = vec![0.0; inputs * outputs];
        for (o, column) in right.chunks(inputs).enumerate() {
            for (k, value) in column.iter().enumerate() {
                out[self.place(k, o)] = *value as f32;
            }
        }
        Ok(out)
    }

    /// Where the weight of an input for an output is stored.
    fn place(&self, input: usize, output: usize) -> usize {
        match self.inputs_first {
            true => input * self.size.1 + output,
            false => output * self.size.0 + input,
        }
    }

    /// `w_i H_i`.
    fn gram(&self, model: usize, weight: f64) -> Result<Mat<f64>> {
        let n = self.size.0;
        let Some(statistic) = self.inputs.statistics.get(model) else {
            return Err(self.wrong_length(model, 0));
        };
        if statistic.source.len() != n * n || statistic.inputs_first != self.inputs_first {
            return Err(self.wrong_length(model, statistic.source.len()));
        }
        let values = read_all(statistic.source);
        Ok(Mat::from_fn(n, n, |i, j| {
            let alpha = if i == j { 1.0 } else { self.alpha };
            weight * alpha * f64::from(values[i * n + j])
        }))
    }

    /// Scales the matrix so that its diagonal is one, and gives the factors of rows and columns;
    /// zero for those that are zero.
    fn scaled(&self, sum: &mut Mat<f64>) -> Result<Vec<f64>> {
        let n = self.size.0;
        let scale: Vec<f64> = (0..n)
            .map(|i| match sum[(i, i)] {
                0.0 => Ok(0.0),
                value if value > 0.0 && value.is_finite() => Ok(1.0 / value.sqrt()),
                _ => Err(self.unsolvable()),
            })
            .collect::<Result<_>>()?;
        for j in 0..n {
            for (i, value) in sum.col_as_slice_mut(j).iter_mut().enumerate() {
                let scaled = *value * scale[i] * scale[j];
                *value = if i == j { 1.0 } else { scaled };
            }
        }
        Ok(scale)
    }

    /// Replaces the matrix by its Cholesky factor (lower triangle).
    fn factor(&self, sum: &mut Mat<f64>) -> Result<()> {
        let n = self.size.0;
        let scratch = factor::cholesky_in_place_scratch::<f64>(n, Par::Seq, Default::default());
        let done = factor::cholesky_in_place(
            sum.as_mut(),
            Default::default(),
            Par::Seq,
            MemStack::new(&mut MemBuffer::new(scratch)),
            Default::default(),
        );
        let is_sound = |pivot: f64| pivot.is_finite() && pivot * pivot >= LEAST_PIVOT;
        match done.is_ok() && (0..n).all(|i| is_sound(sum[(i, i)])) {
            true => Ok(()),
            false => Err(self.unsolvable()),
        }
    }

    fn unsolvable(&self) -> FuseError {
        FuseError::Unsolvable {
            tensor: self.inputs.name.to_owned(),
            alpha: self.alpha,
        }
    }

    fn wrong_length(&self, model: usize, found: usize) -> FuseError {
        FuseError::StatisticLength {
            tensor: self.inputs.name.to_owned(),
            model,
            expected: self.size.0 * self.size.0,
            found,
        }
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
