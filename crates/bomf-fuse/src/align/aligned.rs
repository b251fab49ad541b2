//! A model as it is read once it is aligned.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatMut, MatRef, Par};
use rayon::prelude::*;

use super::Alignment;
use super::matching::{Move, Places};
use crate::method::Source;
use crate::weights::{TensorInfo, Weights};

/// A model with its units in another model's order.
///
/// A tensor that has units is made as a whole when it is opened, and kept until it is closed. It
/// has no bytes in a file. Statistics are not aligned: it has none.
pub struct Aligned<W> {
    model: W,
    alignment: Alignment,
}

impl<W: Weights> Aligned<W> {
    /// A model by its alignment.
    pub fn new(model: W, alignment: Alignment) -> Self {
        Self { model, alignment }
    }
}

impl<W: Weights> Weights for Aligned<W> {
    fn name(&self) -> String {
        self.model.name()
    }

    fn names(&self) -> Vec<&str> {
        self.model.names()
    }

    fn info(&self, name: &str) -> Option<TensorInfo<'_>> {
        self.model.info(name)
    }

    fn source(&self, name: &str) -> Option<Box<dyn Source + '_>> {
        let source = self.model.source(name)?;
        let Some(moves) = self.alignment.moves.get(name) else {
            return Some(source);
        };
        let shape = self.model.info(name)?.shape;
        let mut values = vec![0.0; source.len()];
        source.read(0, &mut values);
        for one in moves {
            one.apply(&mut values, shape);
        }
        Some(Box::new(values))
    }

    fn bytes(&self, name: &str) -> Option<&[u8]> {
        match self.alignment.moves.contains_key(name) {
            true => None,
            false => self.model.bytes(name),
        }
    }
}

impl Move {
    /// Puts a tensor's part together anew.
    fn apply(&self, values: &mut [f32], shape: &[usize]) {
        let part = &self.part;
        let stride: usize = shape[part.axis + 1..].iter().product();
        let length = shape[part.axis];
        // Elements of a unit that lie together, and of all units.
        let unit = part.width * stride;
        let range = part.start * stride..part.start * stride + self.units * unit;
        if unit == 0 || self.units == 0 {
            return;
        }
        match &*self.places {
            Places::Permuted(from) => {
                let slabs = values.par_chunks_mut(length * stride);
                slabs.for_each(|slab| {
                    let own = &mut slab[range.clone()];
                    let old = own.to_vec();
                    for (new, &from) in own.chunks_mut(unit).zip(from) {
                        new.copy_from_slice(&old[from * unit..(from + 1) * unit]);
                    }
                });
            }
            Places::Mixed(shares) => {
                let rows = Rows {
                    slab: length * stride,
                    start: range.start,
                    unit,
                };
                rows.mix(values, shares, self.units);
            }
        }
    }
}

/// Elements of the units that are mixed at a time.
const ELEMENTS: usize = 64;

/// Where the elements of units lie: in slabs of equal length, from a place in each on.
struct Rows {
    slab: usize,
    start: usize,
    unit: usize,
}

impl Rows {
    /// Where element `k` of unit `u` lies, counted through all slabs.
    fn place(&self, u: usize, k: usize) -> usize {
        k / self.unit * self.slab + self.start + u * self.unit + k % self.unit
    }

    /// `x <- T x` for the units `x` `[units, elements]` and shares `T` `[units, units]`.
    fn mix(&self, values: &mut [f32], shares: &[f64], units: usize) {
        let shares = MatRef::from_row_major_slice(shares, units, units);
        let elements = values.len() / self.slab * self.unit;
        let starts: Vec<usize> = (0..elements).step_by(ELEMENTS).collect();
        let mix = |&start: &usize| {
            let count = ELEMENTS.min(elements - start);
            let old = Mat::from_fn(units, count, |u, k| {
                f64::from(values[self.place(u, start + k)])
            });
            let mut new = vec![0.0; units * count];
            let out = MatMut::from_column_major_slice_mut(&mut new, units, count);
            matmul(out, Accum::Replace, shares, &old, 1.0, Par::Seq);
            new.into_iter().map(|x| x as f32).collect()
        };
        let mixed: Vec<Vec<f32>> = starts.par_iter().map(mix).collect();
        for (start, mixed) in starts.into_iter().zip(mixed) {
            for (k, column) in mixed.chunks(units).enumerate() {
                for (u, value) in column.iter().enumerate() {
                    values[self.place(u, start + k)] = *value;
                }
            }
        }
    }
}
