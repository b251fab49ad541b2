//! Ranks in rows too long to be held in memory.
//!
//! Of each row, a histogram of magnitudes is kept; an element's rank is interpolated within its
//! bin. So a rank is known to within the number of elements in a bin: with 2^7 bins for each power
//! of two, half a hundredth of a row of normally distributed elements, and the probability of being
//! kept to 2 epsilon times as much. Equal bf16 magnitudes share their mean rank there, as in short
//! rows. If there are many rows, bins are fewer.

use super::histogram::{FINEST, MANTISSA, OCTAVES};
use super::ranked::Rows;
use crate::method::{Block, Inputs};
use crate::methods::common::kernels;
use crate::methods::common::pieces;

/// All histograms of a tensor together have about this many counters, 4 MiB, or one for each power
/// of two if there are more rows.
const COUNTERS: usize = 1 << 20;

/// The bits of a magnitude below those that bf16 has.
const BELOW_BF16: u32 = 16;

/// Elements whose keys are made at a time.
const RUN: usize = 1024;

/// The histograms of one model's task vector.
pub(super) struct Interpolated {
    rows: Rows,
    shift: u32,
    /// Bins of a row, and one more for the end.
    bins: usize,
    /// Each row's lowest bin, counted from the key zero.
    offsets: Vec<u32>,
    /// The rank at which each bin of each row starts, and the row's length.
    starts: Vec<u32>,
}

impl Interpolated {
    /// Of the only model of the inputs, in two passes.
    pub(super) fn new(inputs: &Inputs<'_>, rows: Rows) -> Self {
        let count = inputs.len() / rows.len;
        let octaves = OCTAVES as usize;
        let finest = (COUNTERS / octaves / count.max(1)).checked_ilog2();
        let bits = finest.unwrap_or(0).min(FINEST);
        let shift = MANTISSA - bits;
        let bins = octaves << bits;
        let mut greatest = vec![0u32; count];
        let highest = |greatest: &mut Vec<u32>, block: &Block<'_>| {
            for_keys(block, rows, |row, key| {
                greatest[row] = greatest[row].max(key);
            });
        };
        for part in pieces::count(inputs, || vec![0; count], highest) {
            for (greatest, part) in greatest.iter_mut().zip(part) {
                *greatest = part.max(*greatest);
            }
        }
        let lowest = |greatest: &u32| (greatest >> shift).saturating_sub(bins as u32 - 1);
        let offsets: Vec<u32> = greatest.iter().map(lowest).collect();
        let stride = bins + 1;
        let tally = |counts: &mut Vec<u32>, block: &Block<'_>| {
            for_keys(block, rows, |row, key| {
                let bin = (key >> shift).saturating_sub(offsets[row]) as usize;
                counts[row * stride + bin + 1] += 1;
            });
        };
        let mut starts = vec![0u32; count * stride];
        for part in pieces::count(inputs, || vec![0; count * stride], tally) {
            for (sum, part) in starts.iter_mut().zip(part) {
                *sum += part;
            }
        }
        for row in starts.chunks_exact_mut(stride) {
            let mut sum = 0;
            for start in row {
                sum += *start;
                *start = sum;
            }
        }
        Self {
            rows,
            shift,
            bins,
            offsets,
            starts,
        }
    }

    /// The rank of an element with this key.
    pub(super) fn rank(&self, element: usize, key: u32) -> f32 {
        let row = self.rows.row_of(element);
        let bin = (key >> self.shift).saturating_sub(self.offsets[row]) as usize;
        let at = row * (self.bins + 1) + bin;
        let (first, count) = (self.starts[at], self.starts[at + 1] - self.starts[at]);
        let steps = 1u32 << (self.shift - BELOW_BF16);
        let within = match bin {
            // The lowest bin may hold all that is smaller.
            0 => 0.5,
            _ => ((key >> BELOW_BF16 & (steps - 1)) as f32 + 0.5) / steps as f32,
        };
        first as f32 + count.saturating_sub(1) as f32 * within
    }
}

/// Calls `visit` with each element's row and key.
fn for_keys(block: &Block<'_>, rows: Rows, mut visit: impl FnMut(usize, u32)) {
    let base = block.base.unwrap_or_default();
    let mut keys = [0u32; RUN];
    for start in (0..block.len()).step_by(RUN) {
        let part = start..block.len().min(start + RUN);
        let keys = &mut keys[..part.len()];
        kernels::difference_keys(&block.models[0][part.clone()], &base[part.clone()], keys);
        for (element, key) in (block.start + start..).zip(&*keys) {
            visit(rows.row_of(element), *key);
        }
    }
}
