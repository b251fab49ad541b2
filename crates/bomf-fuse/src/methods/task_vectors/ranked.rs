//! DELLA's masks: elements drawn with a probability that grows with their rank in the row.
//!
//! In a row of n elements, one of rank r by magnitude (from 0, the smallest; equal ones share the
//! mean of their ranks) is kept with probability `density - epsilon + 2 epsilon r / (n - 1)`; in a
//! row of one, with `density`. (The paper draws what is *dropped*, and its ranks run the other
//! way.)
//!
//! No row is sorted. The draw u of an element already says which rank it needs: below
//! `density - epsilon` any will do, above `density + epsilon` none; only the share `2 epsilon` in
//! between must be looked at. A histogram of the row's magnitudes, in bins of equal ratio, bounds
//! each rank from both sides, which decides nearly all of those; the few that are left are counted
//! out. Differences of bf16 numbers have so few digits that most bins hold equal magnitudes, many of
//! them: then the bin alone gives the rank.
//!
//! Rows lie along the second axis (along the first of a vector), as in mergekit. Those too long to be
//! held in memory are left to [`Interpolated`].

use std::ops::Range;

use super::histogram::{Candidate, Histogram, UNDECIDED, less_and_equal, needed_ranks, undecided};
use super::interpolated::Interpolated;
use crate::method::{Block, Inputs, Source};
use crate::methods::common::kernels;
use crate::methods::common::pieces::{PIECE, view};
use crate::methods::common::random::Draws;

/// If more elements of a row than this are left, it is worth a look which bins hold equal elements.
const MANY: usize = 16;

/// Ranks of up to this many elements of a row are counted out; for more, the row is sorted.
const COUNTED_OUT: usize = 64;

/// Groups of rows longer than this are not held in memory: their ranks are interpolated.
const LONG: usize = 1 << 16;

/// How the rows of a tensor lie: `len` elements, `stride` apart, and so `stride` rows intertwined
/// in each group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rows {
    pub(super) len: usize,
    stride: usize,
}

impl Rows {
    pub(super) fn of_shape(shape: &[usize]) -> Self {
        match shape {
            [] => Self { len: 1, stride: 1 },
            [len] => Self {
                len: *len,
                stride: 1,
            },
            [_, len, rest @ ..] => Self {
                len: *len,
                stride: rest.iter().product(),
            },
        }
    }

    fn group(&self) -> usize {
        (self.len * self.stride).max(1)
    }

    /// The number of an element's row.
    pub(super) fn row_of(&self, element: usize) -> usize {
        match self.stride {
            1 => element / self.len,
            stride => element / (self.len * stride) * stride + element % stride,
        }
    }

    /// Pieces in which few rows are cut.
    pub(super) fn piece(&self) -> usize {
        match self.group() {
            group if group <= PIECE => PIECE / group * group,
            group if group <= LONG => group,
            _ => PIECE,
        }
    }
}

/// The masks of one model.
pub(super) struct Ranked<'a> {
    model: &'a dyn Source,
    base: Option<&'a dyn Source>,
    rows: Rows,
    draws: Draws,
    low: f32,
    spread: f32,
    /// For groups of rows that are too long to be held.
    interpolated: Option<Interpolated>,
}

/// Memory that is used again from row to row.
#[derive(Default)]
pub(super) struct RankScratch {
    model: Vec<f32>,
    base: Vec<f32>,
    keys: Vec<u32>,
    draws: Vec<u32>,
    /// One row of several that are intertwined: its keys, draws and mask.
    row: (Vec<u32>, Vec<u32>, Vec<u8>),
    need: Vec<f32>,
    candidates: Vec<Candidate>,
    histogram: Histogram,
    sorted: Vec<u32>,
}

impl<'a> Ranked<'a> {
    pub(super) fn new(
        inputs: &Inputs<'a>,
        model: usize,
        rows: Rows,
        draws: Draws,
        density: f64,
        epsilon: f64,
    ) -> Self {
        let interpolated = (rows.group() > LONG).then(|| {
            let alone = Inputs {
                models: vec![inputs.models[model]],
                ..inputs.clone()
            };
            Interpolated::new(&alone, rows)
        });
        Self {
            interpolated,
            model: inputs.models[model],
            base: inputs.base,
            rows,
            draws,
            low: (density - epsilon) as f32,
            spread: (2.0 * epsilon) as f32,
        }
    }

    /// Writes one where an element of the block's part is kept, zero elsewhere.
    pub(super) fn mask(
        &self,
        block: &Block<'_>,
        i: usize,
        part: Range<usize>,
        scratch: &mut RankScratch,
        mask: &mut [u8],
    ) {
        if let Some(ranks) = &self.interpolated {
            return self.mask_interpolated(ranks, block, i, part, scratch, mask);
        }
        let group = self.rows.group();
        let mut at = part.start;
        while at < part.end {
            let first = (block.start + at) / group * group;
            let end = part.end.min(first + group - block.start);
            let mask = &mut mask[at - part.start..end - part.start];
            // The group's keys, from the block if it lies within.
            scratch.keys.resize(group, 0);
            if first >= block.start && first + group <= block.start + block.len() {
                let group = first - block.start..first - block.start + group;
                let base = &block.base.unwrap_or_default()[group.clone()];
                kernels::difference_keys(&block.models[i][group], base, &mut scratch.keys);
            } else if let Some(base) = self.base {
                let model = view(self.model, first, group, &mut scratch.model);
                let base = view(base, first, group, &mut scratch.base);
                kernels::difference_keys(model, base, &mut scratch.keys);
            }
            let keys = std::mem::take(&mut scratch.keys);
            let within = block.start + at - first..block.start + end - first;
            if self.rows.stride == 1 {
                self.mask_row(&keys, within, first, scratch, mask);
            } else {
                self.mask_group(&keys, within, first, scratch, mask);
            }
            scratch.keys = keys;
            at = end;
        }
    }

    /// The mask for a part of the block by interpolated ranks.
    fn mask_interpolated(
        &self,
        ranks: &Interpolated,
        block: &Block<'_>,
        i: usize,
        part: Range<usize>,
        scratch: &mut RankScratch,
        mask: &mut [u8],
    ) {
        let RankScratch {
            keys, draws, need, ..
        } = scratch;
        keys.resize(part.len(), 0);
        draws.resize(part.len(), 0);
        need.resize(part.len(), 0.0);
        let start = block.start + part.start;
        let base = &block.base.unwrap_or_default()[part.clone()];
        kernels::difference_keys(&block.models[i][part], base, keys);
        self.draws.fill(start, draws);
        let last = (self.rows.len - 1) as f32;
        needed_ranks(draws, self.low, self.spread, last, need, mask);
        let elements = (start..).zip(need).zip(keys).zip(mask);
        for (((element, need), key), mask) in elements {
            if *mask == UNDECIDED {
                *mask = u8::from(ranks.rank(element, *key) > *need);
            }
        }
    }

    /// The mask for a part of a row of these keys, whose first element is `first`.
    fn mask_row(
        &self,
        keys: &[u32],
        part: Range<usize>,
        first: usize,
        scratch: &mut RankScratch,
        mask: &mut [u8],
    ) {
        let mut draws = std::mem::take(&mut scratch.draws);
        draws.resize(part.len(), 0);
        self.draws.fill(first + part.start, &mut draws);
        self.decide(keys, part, &draws, scratch, mask);
        scratch.draws = draws;
    }

    /// The mask for a part of a group of rows that are intertwined.
    fn mask_group(
        &self,
        keys: &[u32],
        part: Range<usize>,
        first: usize,
        scratch: &mut RankScratch,
        mask: &mut [u8],
    ) {
        let Rows { len, stride } = self.rows;
        let mut draws = std::mem::take(&mut scratch.draws);
        draws.resize(keys.len(), 0);
        self.draws.fill(first, &mut draws);
        let (mut row, mut row_draws, mut row_mask) = std::mem::take(&mut scratch.row);
        row_mask.resize(len, 0);
        for r in 0..stride {
            row.clear();
            row.extend(keys[r..].iter().step_by(stride));
            row_draws.clear();
            row_draws.extend(draws[r..].iter().step_by(stride));
            self.decide(&row, 0..len, &row_draws, scratch, &mut row_mask);
            for (j, kept) in row_mask.iter().enumerate() {
                let element = j * stride + r;
                if part.contains(&element) {
                    mask[element - part.start] = *kept;
                }
            }
        }
        scratch.draws = draws;
        scratch.row = (row, row_draws, row_mask);
    }

    /// Which elements of a part of a row are kept, given the row's keys and the part's draws.
    fn decide(
        &self,
        keys: &[u32],
        part: Range<usize>,
        draws: &[u32],
        scratch: &mut RankScratch,
        mask: &mut [u8],
    ) {
        let last = (keys.len() - 1) as f32;
        let RankScratch {
            need,
            candidates,
            histogram,
            sorted,
            ..
        } = scratch;
        need.resize(draws.len(), 0.0);
        needed_ranks(draws, self.low, self.spread, last, need, mask);
        undecided(mask, need, candidates);
        histogram.count(keys);
        histogram.decide(part.start, candidates, mask);
        if candidates.len() > MANY {
            histogram.decide_equal(keys, part.start, candidates, mask);
        }
        let sort = candidates.len() > COUNTED_OUT;
        if sort {
            sorted.clear();
            sorted.extend_from_slice(keys);
            sorted.sort_unstable();
        }
        for candidate in candidates {
            let i = candidate.i as usize;
            let key = keys[part.start + i];
            let (less, equal) = if sort {
                let less = sorted.partition_point(|k| *k < key);
                (less, sorted[less..].partition_point(|k| *k == key))
            } else {
                less_and_equal(keys, key)
            };
            let rank = less as f32 + 0.5 * (equal - 1) as f32;
            mask[i] = u8::from(rank > candidate.need);
        }
    }
}
