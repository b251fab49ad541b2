//! Inner products of tensors: what slerp, model stock and their like must know of the whole.

use super::pieces::{self, PIECE};
use crate::gram;
use crate::method::{Inputs, Source};
use crate::stream::Stream;

/// Inner products of n tensors, of their differences from an origin where there is one.
pub(crate) struct Products {
    n: usize,
    values: Vec<f64>,
}

impl Products {
    /// Over all elements, in `f64`.
    pub(crate) fn of(tensors: &[&dyn Source], origin: Option<&dyn Source>) -> Self {
        let n = tensors.len();
        let inputs = Inputs {
            name: "",
            shape: &[],
            models: tensors.to_vec(),
            base: origin,
            statistics: Vec::new(),
        };
        let zero = vec![0.0; (n + 1) * (n + 1)];
        let sums = pieces::sum(&inputs, PIECE, zero, |block| {
            products(block.models, block.base)
        });
        Self::from_origin(n, &sums)
    }

    /// Over elements that are in memory.
    pub(crate) fn of_slices(tensors: &[&[f32]], origin: Option<&[f32]>) -> Self {
        Self::from_origin(tensors.len(), &products(tensors, origin))
    }

    fn from_origin(n: usize, sums: &[f64]) -> Self {
        let rows = sums.chunks_exact(n + 1).skip(1);
        let values = rows.flat_map(|row| row[1..].iter().copied()).collect();
        Self { n, values }
    }

    /// `<x_i, x_j>`.
    pub(crate) fn get(&self, i: usize, j: usize) -> f64 {
        self.values[i * self.n + j]
    }

    /// `|x_i|`.
    pub(crate) fn norm(&self, i: usize) -> f64 {
        self.get(i, i).sqrt()
    }

    /// `<sum_i a_i x_i, sum_j b_j x_j>`.
    pub(crate) fn of_mixtures(&self, a: &[f64], b: &[f64]) -> f64 {
        let rows = a.iter().zip(self.values.chunks_exact(self.n));
        rows.map(|(a, row)| a * row.iter().zip(b).map(|(g, b)| g * b).sum::<f64>())
            .sum()
    }
}

/// Products with the origin as the first of n + 1 vectors; the zero vector if there is none.
fn products(tensors: &[&[f32]], origin: Option<&[f32]>) -> Vec<f64> {
    let len = tensors.first().map_or(0, |t| t.len());
    let zeros;
    let origin = match origin {
        Some(origin) => origin,
        None => {
            zeros = vec![0.0f32; len];
            &zeros
        }
    };
    let vectors = [origin].into_iter().chain(tensors.iter().copied());
    let vectors: Vec<_> = vectors.map(Stream::Plain).collect();
    gram::from_first(&vectors, 0..len)
}
