//! Which rows of a batch are sources and which targets.

use crate::batch::Batch;
use std::rc::Rc;

/// The rows of source and target of a batch.
pub(super) struct Parts {
    pub source: Rc<[u32]>,
    pub source_offsets: Rc<[usize]>,
    pub target: Rc<[u32]>,
    pub target_offsets: Rc<[usize]>,
    /// The first row of each sequence's target.
    starts: Vec<u32>,
}

impl Parts {
    pub fn of(batch: &Batch) -> Self {
        let (mut source, mut target, mut starts) = (Vec::new(), Vec::new(), Vec::new());
        let (mut source_offsets, mut target_offsets) = (vec![0], vec![0]);
        for (i, range) in batch.offsets.windows(2).enumerate() {
            let asked = &batch.outputs[batch.output_offsets[i]..batch.output_offsets[i + 1]];
            let start = asked.first().map_or(range[1] - 1, |&row| row as usize);
            source.extend(range[0] as u32..start as u32);
            target.extend(start as u32..range[1] as u32);
            starts.push(start as u32);
            source_offsets.push(source.len());
            target_offsets.push(target.len());
        }
        Parts {
            source: source.into(),
            source_offsets: source_offsets.into(),
            target: target.into(),
            target_offsets: target_offsets.into(),
            starts,
        }
    }

    /// Places of rows of targets in their sequences, from 0.
    pub fn positions(&self, rows: &[u32], offsets: &[usize]) -> Rc<[u32]> {
        let mut positions = Vec::with_capacity(rows.len());
        for (range, &start) in offsets.windows(2).zip(&self.starts) {
            positions.extend(rows[range[0]..range[1]].iter().map(|row| row - start));
        }
        positions.into()
    }
}
