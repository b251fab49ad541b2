//! A base model as an adapter changes it, readable in any part: an input of a merge like any other.
//!
//! An element of a changed weight is `W_ij + sum_k (s B_ik) A_kj`, computed in `f32` when it is
//! read, the sum over k in its order: nothing of the size of a tensor is held, and what is read does
//! not depend on the parts that are asked for. Nothing is rounded to the base model's type.

use std::collections::BTreeSet;

use bomf_checkpoint::{Adapter, Checkpoint, LoraLayer};
use rayon::prelude::*;

use super::merge::is_transposed;
use super::{Merge, Weighted};
use crate::error::Result;
use crate::method::Source;
use crate::stream::Stream;
use crate::sum::weighted_sum;
use crate::weights::{TensorInfo, Weights, source_of};

/// Elements of a row whose change is computed at a time: they stay in the first-level cache.
const RUN: usize = 1 << 11;

/// A base model with one adapter in it.
#[derive(Debug)]
pub struct Adapted<'a> {
    base: &'a Checkpoint,
    adapter: &'a Adapter,
}

impl<'a> Adapted<'a> {
    /// Checks that the adapter fits the base model.
    ///
    /// # Errors
    /// As [`Merge::new`].
    pub fn new(base: &'a Checkpoint, adapter: &'a Adapter) -> Result<Self> {
        let weight = 1.0;
        Merge::new(base, &[Weighted { adapter, weight }])?;
        Ok(Self { base, adapter })
    }

    /// The factors that change a tensor of the base model.
    fn layer(&self, name: &str) -> Option<LoraLayer<'a>> {
        self.adapter.layer(name.strip_suffix(".weight")?)
    }
}

impl Weights for Adapted<'_> {
    fn name(&self) -> String {
        let (base, adapter) = (self.base.path(), self.adapter.path());
        format!("{}+{}", base.display(), adapter.display())
    }

    fn names(&self) -> Vec<&str> {
        let saved = self.adapter.saved().map(|(name, _)| name);
        let names: BTreeSet<&str> = self.base.names().chain(saved).collect();
        names.into_iter().collect()
    }

    fn info(&self, name: &str) -> Option<TensorInfo<'_>> {
        // What the adapter stores whole takes the base model's type, where that has it.
        let saved = || self.adapter.saved_tensor(name);
        let tensor = self.base.get(name).or_else(saved)?;
        Some(TensorInfo {
            dtype: tensor.dtype(),
            shape: tensor.shape(),
        })
    }

    fn source(&self, name: &str) -> Option<Box<dyn Source + '_>> {
        let saved = || self.adapter.saved_tensor(name);
        let own = source_of(saved().or_else(|| self.base.get(name))?)?;
        match self.layer(name) {
            Some(layer) => {
                let transposed = is_transposed(&layer, self.adapter.config().fan_in_fan_out);
                Some(Box::new(Changed::new(own, &layer, transposed)?))
            }
            None => Some(own),
        }
    }

    fn bytes(&self, name: &str) -> Option<&[u8]> {
        let is_changed = self.adapter.saved_tensor(name).is_some() || self.layer(name).is_some();
        let tensor = self.base.get(name).filter(|_| !is_changed)?;
        Some(tensor.bytes())
    }
}

/// A weight and its change, in rows as they are stored.
struct Changed<'a> {
    own: Box<dyn Source + 'a>,
    /// Times the scale, `[rows, r]`.
    left: Vec<f32>,
    /// `[r, cols]`.
    right: Vec<f32>,
    r: usize,
    cols: usize,
    /// What DoRA multiplies outputs by.
    ratios: Option<Ratios>,
}

/// DoRA's magnitude of each output by the norm of its changed row.
enum Ratios {
    OfRows(Vec<f32>),
    OfColumns(Vec<f32>),
}

impl<'a> Changed<'a> {
    /// `None` for factors that are no floats, which no open adapter has.
    fn new(own: Box<dyn Source + 'a>, layer: &LoraLayer<'_>, transposed: bool) -> Option<Self> {
        let (m, n) = layer.sides();
        let (a, b) = (layer.a.to_f32().ok()?, layer.b.to_f32().ok()?);
        let (mut left, right, cols) = match transposed {
            true => (transpose(&a, n), transpose(&b, layer.r), m),
            false => (b, a, n),
        };
        for x in &mut left {
            *x = (f64::from(*x) * layer.scale) as f32;
        }
        let mut changed = Self {
            own,
            left,
            right,
            r: layer.r,
            cols,
            ratios: None,
        };
        if let Some(magnitude) = &layer.magnitude {
            changed.ratios = Some(changed.ratios(&magnitude.to_f32().ok()?, transposed));
        }
        Some(changed)
    }

    /// In one pass over the weight; an output whose row is zero stays so.
    fn ratios(&self, magnitudes: &[f32], transposed: bool) -> Ratios {
        let ratio = |(&squares, &magnitude): (&f64, &f32)| match squares > 0.0 {
            true => (f64::from(magnitude) / squares.sqrt()) as f32,
            false => 0.0,
        };
        let squares = |row: usize| {
            let mut values = vec![0.0; self.cols];
            self.read(row * self.cols, &mut values);
            values.into_iter().map(|x| f64::from(x).powi(2))
        };
        let rows = self.left.len() / self.r;
        if !transposed {
            let sums: Vec<f64> = (0..rows)
                .into_par_iter()
                .map(|row| squares(row).sum())
                .collect();
            return Ratios::OfRows(sums.iter().zip(magnitudes).map(ratio).collect());
        }
        let mut sums = vec![0.0; self.cols];
        for row in 0..rows {
            for (sum, square) in sums.iter_mut().zip(squares(row)) {
                *sum += square;
            }
        }
        Ratios::OfColumns(sums.iter().zip(magnitudes).map(ratio).collect())
    }

    /// Changes elements of one row, from the column `col` on.
    fn change(&self, row: usize, col: usize, out: &mut [f32]) {
        let left = &self.left[row * self.r..(row + 1) * self.r];
        let right = self.right.chunks_exact(self.cols);
        let terms: Vec<_> = left
            .iter()
            .zip(right)
            .map(|(l, r)| (*l, Stream::Plain(&r[col..col + out.len()])))
            .collect();
        let mut change = [0.0; RUN];
        let change = &mut change[..out.len()];
        weighted_sum(&terms, change);
        for (o, c) in out.iter_mut().zip(change) {
            *o += *c;
        }
        match &self.ratios {
            Some(Ratios::OfRows(ratios)) => out.iter_mut().for_each(|o| *o *= ratios[row]),
            Some(Ratios::OfColumns(ratios)) => {
                let ratios = &ratios[col..];
                out.iter_mut()
                    .zip(ratios)
                    .for_each(|(o, ratio)| *o *= ratio);
            }
            None => {}
        }
    }
}

impl Source for Changed<'_> {
    fn len(&self) -> usize {
        self.own.len()
    }

    fn read(&self, start: usize, out: &mut [f32]) {
        self.own.read(start, out);
        let (mut at, mut rest) = (start, out);
        while !rest.is_empty() {
            let (row, col) = (at / self.cols, at % self.cols);
            let len = (self.cols - col).min(rest.len()).min(RUN);
            let (part, behind) = rest.split_at_mut(len);
            self.change(row, col, part);
            (at, rest) = (at + len, behind);
        }
    }
}

/// The transpose of a matrix of `cols` columns, row by row.
fn transpose(x: &[f32], cols: usize) -> Vec<f32> {
    let rows = x.len() / cols;
    (0..x.len())
        .map(|i| x[i % rows * cols + i / rows])
        .collect()
}
