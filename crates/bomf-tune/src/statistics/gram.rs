//! Gram matrices of the inputs of linear layers, `X' X / rows`, for RegMean (Jin et al., ICLR
//! 2023, arXiv 2212.09849).
//!
//! A row counts where the forward pass computes it: the last block of a classifier computes its
//! queries, its attention's output and its feed-forward part for the tokens that are read alone,
//! and what these layers would make of other tokens is never used.

use crate::TuneError;
use crate::batch::Sequences;
use crate::models::Network;
use crate::params::Param;
use crate::tape::{Tape, Workspace};
use crate::train::Control;
use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatMut, MatRef, Par};
use rayon::prelude::*;
use std::collections::BTreeMap;

/// Tokens of a forward pass at once.
const TOKENS: usize = 2048;

/// Columns of a Gram matrix that are one piece of work.
const COLUMNS: usize = 64;

/// The Gram matrix of a linear layer's inputs.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerGram {
    /// The name of its weight in the layout.
    pub name: String,
    /// Its weight.
    pub weight: Param,
    /// `[inputs, inputs]`, symmetric, divided by the number of rows.
    pub values: Vec<f32>,
    /// How many rows of inputs it is made from.
    pub rows: u64,
}

/// What a [`Tape`] gathers of its linear layers' inputs.
#[derive(Debug, Default)]
pub struct InputGrams {
    /// By the place of the weight; weights that are neighbours share one.
    sums: BTreeMap<usize, Sum>,
}

#[derive(Debug)]
struct Sum {
    weight: Param,
    /// Column-major.
    values: Vec<f64>,
    rows: u64,
}

impl InputGrams {
    /// Adds the inputs `x` `[rows, inputs]` of a layer.
    pub(crate) fn add(&mut self, weight: Param, x: &[f32]) {
        let n = weight.inputs();
        if n == 0 {
            return;
        }
        let sum = self.sums.entry(weight.offset).or_insert_with(|| Sum {
            weight,
            values: vec![0.0; n * n],
            rows: 0,
        });
        let rows = x.len() / n;
        sum.rows += rows as u64;
        let x = MatRef::from_row_major_slice(x, rows, n);
        let x = Mat::from_fn(rows, n, |i, j| f64::from(x[(i, j)]));
        let columns = sum.values.par_chunks_mut(COLUMNS * n).enumerate();
        columns.for_each(|(i, piece)| {
            let count = piece.len() / n;
            let own = x.as_ref().subcols(i * COLUMNS, count);
            let piece = MatMut::from_column_major_slice_mut(piece, n, count);
            matmul(piece, Accum::Add, x.transpose(), own, 1.0, Par::Seq);
        });
    }

    /// The matrices of a network's layers, in the order of its layout.
    fn finish(self, network: &Network) -> Vec<LayerGram> {
        let mut layers = Vec::new();
        for (name, entry) in network.layout().entries().filter(|(_, e)| e.linear) {
            let offset = entry.param.offset;
            let sum = self.sums.range(..=offset).next_back().map(|(_, sum)| sum);
            let Some(sum) = sum.filter(|s| offset < s.weight.offset + s.weight.len()) else {
                continue;
            };
            let n = entry.param.inputs();
            let rows = sum.rows.max(1) as f64;
            // The lower triangle for both, so that it is symmetric to the last bit.
            let value = |k: usize| sum.values[(k % n).min(k / n) * n + (k % n).max(k / n)];
            layers.push(LayerGram {
                name: name.into(),
                weight: entry.param,
                values: (0..n * n).map(|k| (value(k) / rows) as f32).collect(),
                rows: sum.rows,
            });
        }
        layers
    }
}

/// The Gram matrices of all linear layers' inputs over the sequences `indices`. `observe` is told
/// how many sequences are done and says whether to go on.
///
/// # Errors
/// [`TuneError::Interrupted`].
pub fn input_grams(
    network: &Network,
    params: &[f32],
    sequences: &Sequences,
    indices: &[usize],
    observe: &mut dyn FnMut(usize) -> Control,
) -> Result<Vec<LayerGram>, TuneError> {
    let workspace = Workspace::default();
    let mut grams = InputGrams::default();
    let mut done = 0;
    while done < indices.len() {
        let mut tokens = 0;
        let fits = |&&i: &&usize| {
            tokens += sequences.ids(i).len();
            tokens <= TOKENS
        };
        let count = indices[done..].iter().take_while(fits).count().max(1);
        let batch = sequences.batch(&indices[done..done + count]);
        let mut tape = Tape::watching(params, &mut grams, &workspace);
        network.forward(&mut tape, &batch);
        done += count;
        if observe(done) == Control::Stop && done < indices.len() {
            return Err(TuneError::Interrupted);
        }
    }
    Ok(grams.finish(network))
}
