//! The Gram matrix of the members' differences from their mean.
//!
//! With the mean `m = (1/n) sum_i theta_i`, `G_ij = <theta_i - m, theta_j - m>`. For weights that
//! sum to one, `|theta(w) - theta(w')|^2 = (w - w')' G (w - w')`: how far two mixtures are apart
//! is known without fusing either.
//!
//! Members of one trajectory lie close together, so that `theta_i - m` in `f32` would lose most
//! of its digits to the rounding of m. Here the differences are taken from the first member,
//! `K_ij = <theta_i - theta_1, theta_j - theta_1>` (such a difference of near numbers is exact or
//! nearly so), products and sums run in `f64`, and K is centred at the end:
//! `G = C K C` with `C = I - 11'/n`.

use std::ops::Range;

use multiversion::multiversion;
use rayon::prelude::*;

use crate::error::{FuseError, Result};
use crate::members::MemberSet;
use crate::stream::Stream;

/// How many elements are worked on at a time: 16 members' differences (64 KiB in `f64`) stay in
/// the second-level cache.
const BLOCK: usize = 512;

/// The Gram matrix G of n members.
#[derive(Debug, Clone, PartialEq)]
pub struct Gram {
    n: usize,
    values: Vec<f64>,
}

impl Gram {
    /// From inner products of differences from any common point.
    fn centered(n: usize, mut values: Vec<f64>) -> Self {
        let size = n as f64;
        let row_means: Vec<f64> = values
            .chunks_exact(n)
            .map(|row| row.iter().sum::<f64>() / size)
            .collect();
        let mean = row_means.iter().sum::<f64>() / size;
        for (i, row) in values.chunks_exact_mut(n).enumerate() {
            for (j, v) in row.iter_mut().enumerate() {
                // The sum of the two means first: it is the same for (i, j) and (j, i) to the bit.
                *v += mean - (row_means[i] + row_means[j]);
            }
        }
        Self { n, values }
    }

    /// The number of members.
    pub fn n(&self) -> usize {
        self.n
    }

    /// All values, row-major, `n x n`; the matrix is symmetric.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// One value.
    ///
    /// # Panics
    /// If there are no members of these numbers.
    pub fn get(&self, i: usize, j: usize) -> f64 {
        assert!(j < self.n, "member {j} of {}", self.n);
        self.values[i * self.n + j]
    }

    /// The squared distance `(a - b)' G (a - b)` of two mixtures whose weights sum to the same;
    /// 0 where rounding would make it negative.
    ///
    /// # Panics
    /// If there are not n weights each.
    pub fn squared_distance(&self, a: &[f64], b: &[f64]) -> f64 {
        assert!(a.len() == self.n && b.len() == self.n, "n weights each");
        let difference: Vec<f64> = a.iter().zip(b).map(|(a, b)| a - b).collect();
        let rows = self.values.chunks_exact(self.n).zip(&difference);
        let sum: f64 = rows
            .map(|(row, d)| d * row.iter().zip(&difference).map(|(g, e)| g * e).sum::<f64>())
            .sum();
        sum.max(0.0)
    }
}

impl MemberSet<'_> {
    /// The Gram matrix of the members' differences from their mean, over the segments that `keep`
    /// says yes to (by their names), in one pass over the weights. Segments that [are
    /// frozen](Self::is_frozen) add nothing, and are not read.
    ///
    /// # Errors
    /// [`FuseError::NoMembers`].
    pub fn gram(&self, keep: impl Fn(&str) -> bool) -> Result<Gram> {
        if self.is_empty() {
            return Err(FuseError::NoMembers);
        }
        let segments = self.segments().iter().enumerate();
        let kept = segments.filter(|(i, s)| keep(&s.name) && !self.is_frozen(*i));
        let streams: Vec<(Vec<Stream<'_>>, _)> = kept
            .map(|(i, s)| ((0..self.len()).map(|m| self.stream(m, i)).collect(), s))
            .collect();
        let pieces: Vec<(&[Stream<'_>], Range<usize>)> = streams
            .iter()
            .flat_map(|(streams, s)| {
                let parts = s.pieces();
                parts.map(|(start, len)| (&streams[..], start..start + len))
            })
            .collect();
        // Each piece by itself and then all of them in order: the same sum for any number of
        // threads.
        let parts: Vec<Vec<f64>> = pieces
            .par_iter()
            .map(|(streams, range)| from_first(streams, range.clone()))
            .collect();
        let mut sum = vec![0.0; self.len() * self.len()];
        for part in &parts {
            for (s, p) in sum.iter_mut().zip(part) {
                *s += p;
            }
        }
        Ok(Gram::centered(self.len(), sum))
    }
}

/// `<x_i - x_1, x_j - x_1>` for all i and j, `n x n`, of a part of equally long vectors.
pub(crate) fn from_first(vectors: &[Stream<'_>], part: Range<usize>) -> Vec<f64> {
    let n = vectors.len();
    let mut sum = vec![0.0; n * n];
    let mut rooms = vec![0.0f32; n * BLOCK];
    let mut differences = vec![0.0f64; n.saturating_sub(1) * BLOCK];
    for start in part.clone().step_by(BLOCK) {
        let len = BLOCK.min(part.end - start);
        let rooms = rooms.chunks_exact_mut(BLOCK);
        let views: Vec<&[f32]> = vectors
            .iter()
            .zip(rooms)
            .map(|(x, room)| x.part(start..start + len).view(&mut room[..len]))
            .collect();
        if let Some((first, others)) = views.split_first() {
            add_block(first, others, &mut differences, &mut sum);
        }
    }
    for i in 0..n {
        for j in 0..i {
            sum[j * n + i] = sum[i * n + j];
        }
    }
    sum
}

/// Adds what one block contributes to the lower triangle, with room for its differences.
// Compiled once for each instruction set; the arithmetic is the same in all of them.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
fn add_block(origin: &[f32], others: &[&[f32]], differences: &mut [f64], sum: &mut [f64]) {
    let n = others.len() + 1;
    for (row, other) in differences.chunks_exact_mut(BLOCK).zip(others) {
        let (used, unused) = row.split_at_mut(origin.len());
        for ((d, x), o) in used.iter_mut().zip(*other).zip(origin) {
            *d = f64::from(*x) - f64::from(*o);
        }
        unused.fill(0.0);
    }
    for i in 0..others.len() {
        let a = &differences[i * BLOCK..(i + 1) * BLOCK];
        for j in 0..=i {
            let b = &differences[j * BLOCK..(j + 1) * BLOCK];
            sum[(i + 1) * n + j + 1] += dot(a, b);
        }
    }
}

/// The inner product, summed in lanes whose number does not depend on the machine.
#[inline(always)]
fn dot(a: &[f64], b: &[f64]) -> f64 {
    const LANES: usize = 16;
    let mut lanes = [0.0; LANES];
    let (a, b) = (a.as_chunks::<LANES>().0, b.as_chunks::<LANES>().0);
    for (a, b) in a.iter().zip(b) {
        for k in 0..LANES {
            lanes[k] += a[k] * b[k];
        }
    }
    lanes.iter().sum()
}
