//! What is known of each row of a tensor: of each run of elements along its last axis.
//!
//! Where rows are long, one value a row is kept (for rows of 256 elements, at most 1/64 of the
//! tensor's size); where they are short, it is computed again when a block needs it, from the
//! inputs themselves where the block begins or ends within a row.

use std::ops::{ControlFlow, Range};

use super::pieces::{self, Buffers, PIECE};
use crate::method::{Block, Inputs, Source};

/// Rows from this length on have their values kept.
const KEPT_FROM: usize = 256;

/// Rows from this length on are read in pieces.
const LONG_FROM: usize = 1 << 16;

/// A value of each row.
pub(crate) trait Statistic: Send + Sync {
    /// The value.
    type Value: Copy + Send + Sync;

    /// Of a row in memory.
    fn of(&self, row: &Block<'_>) -> Self::Value;

    /// Of a long row.
    fn of_long(&self, row: &Inputs<'_>) -> Self::Value;
}

/// The values of all rows.
pub(crate) struct PerRow<'a, S: Statistic> {
    inputs: Inputs<'a>,
    row: usize,
    statistic: S,
    kept: Option<Vec<S::Value>>,
}

impl<'a, S: Statistic> PerRow<'a, S> {
    /// Of rows of `row` elements.
    pub(crate) fn new(inputs: &Inputs<'a>, row: usize, statistic: S) -> Self {
        let mut per_row = Self {
            inputs: inputs.clone(),
            row: row.max(1),
            statistic,
            kept: None,
        };
        if row >= LONG_FROM {
            per_row.kept = Some(per_row.of_long_rows());
        } else if row >= KEPT_FROM {
            per_row.kept = Some(per_row.of_rows());
        }
        per_row
    }

    fn of_rows(&self) -> Vec<S::Value> {
        let mut values = Vec::new();
        let piece = PIECE.div_ceil(self.row) * self.row;
        let of_piece = |block: &Block<'_>| {
            let starts = (0..block.len()).step_by(self.row);
            let values = starts.map(|start| self.of(block, start..start + self.row));
            values.collect::<Vec<_>>()
        };
        pieces::in_order(&self.inputs, piece, of_piece, |part| {
            values.extend(part);
            ControlFlow::Continue(())
        });
        values
    }

    fn of_long_rows(&self) -> Vec<S::Value> {
        let starts = (0..self.inputs.len()).step_by(self.row);
        starts
            .map(|start| {
                with_part(&self.inputs, start, self.row, |row| {
                    self.statistic.of_long(row)
                })
            })
            .collect()
    }

    fn of(&self, block: &Block<'_>, range: Range<usize>) -> S::Value {
        let models: Vec<&[f32]> = block.models.iter().map(|m| &m[range.clone()]).collect();
        self.statistic.of(&Block {
            start: block.start + range.start,
            models: &models,
            base: block.base.map(|base| &base[range]),
        })
    }

    /// Calls `visit` with each part of a row that lies in the block, and the row's value.
    pub(crate) fn for_rows(
        &self,
        block: &Block<'_>,
        mut visit: impl FnMut(Range<usize>, S::Value),
    ) {
        let len = block.len();
        let mut buffers = Buffers::default();
        let mut at = 0;
        while at < len {
            let row = (block.start + at) / self.row;
            let first = row * self.row;
            let end = len.min(first + self.row - block.start);
            let value = match &self.kept {
                Some(kept) => kept[row],
                None if end - at == self.row => self.of(block, at..end),
                None => {
                    buffers.with_block(&self.inputs, first, self.row, |row| self.statistic.of(row))
                }
            };
            visit(at..end, value);
            at = end;
        }
    }
}

/// Runs `work` on a part of the inputs, as inputs of their own.
fn with_part<T>(
    inputs: &Inputs<'_>,
    start: usize,
    len: usize,
    work: impl FnOnce(&Inputs<'_>) -> T,
) -> T {
    let part = |source| Part { source, start, len };
    let models: Vec<Part<'_>> = inputs.models.iter().map(|m| part(*m)).collect();
    let base = inputs.base.map(part);
    work(&Inputs {
        name: inputs.name,
        shape: inputs.shape,
        models: models.iter().map(|m| m as &dyn Source).collect(),
        base: base.as_ref().map(|base| base as &dyn Source),
        // No statistic of a part is known.
        statistics: Vec::new(),
    })
}

/// A part of a tensor.
struct Part<'a> {
    source: &'a dyn Source,
    start: usize,
    len: usize,
}

impl Source for Part<'_> {
    fn len(&self) -> usize {
        self.len
    }

    fn read(&self, start: usize, out: &mut [f32]) {
        self.source.read(self.start + start, out);
    }

    fn as_slice(&self) -> Option<&[f32]> {
        let all = self.source.as_slice()?;
        Some(&all[self.start..self.start + self.len])
    }
}
