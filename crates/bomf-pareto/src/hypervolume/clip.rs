//! Limit sets: points clipped to the box of another one, without those that
//! are then dominated.
//!
//! Clipped points dominate each other far more often than points of a front
//! do. The one with the largest box cannot be dominated: it stays, and what it
//! dominates goes; then the largest of the rest, and so on. Most sets are gone
//! after a few passes, each of which runs over contiguous lanes without a
//! branch.

use super::wfg::Set;

/// Points handled at once.
const LANES: usize = 4;

/// One value of each of [`LANES`] points.
type Lane = [f64; LANES];

/// The box of a point that is out: one that has no volume needs no place.
const OUT: f64 = 0.0;

/// The buffers of the passes.
#[derive(Default)]
pub(super) struct Clip {
    /// Clipped values: of each block of points one lane an objective.
    values: Vec<Lane>,
    /// The volumes of the points' boxes, or [`OUT`].
    boxes: Vec<Lane>,
}

impl Clip {
    /// Makes `limit` the limit set of point `i` of `from`, whose box is
    /// `inclusive`: the points from `start` on (but `i`) clipped to it, in as
    /// many objectives as `limit` has. False (and `limit` of no use) if one of
    /// them covers the box.
    pub(super) fn limit(
        &mut self,
        from: &Set,
        i: usize,
        start: usize,
        inclusive: f64,
        limit: &mut Set,
    ) -> bool {
        limit.clear();
        let k = limit.objectives();
        let n = from.len() - start;
        if n == 0 {
            return true;
        }
        self.clip(from, i, start, k);
        if i >= start {
            self.boxes[(i - start) / LANES][(i - start) % LANES] = OUT;
        }
        let mut largest = self.largest();
        if largest >= inclusive {
            return false;
        }
        while largest > 0.0 {
            let Some(at) = self.position(largest) else {
                break;
            };
            let block = &self.values[at / LANES * k..][..k];
            limit.push(block.iter().map(|lane| lane[at % LANES]));
            largest = drop_dominated(&self.values, &mut self.boxes, limit.last());
        }
        true
    }

    /// Fills values and boxes; the last block is filled up with zeros.
    fn clip(&mut self, from: &Set, i: usize, start: usize, k: usize) {
        let blocks = (from.len() - start).div_ceil(LANES);
        self.values.clear();
        self.values.resize(blocks * k, [0.0; LANES]);
        self.boxes.clear();
        self.boxes.resize(blocks, [1.0; LANES]);
        for (j, column) in from.columns()[..k].iter().enumerate() {
            let y = column[i];
            let own = self.values[j..].iter_mut().step_by(k);
            let (chunks, rest) = column[start..].as_chunks::<LANES>();
            let mut last = [0.0; LANES];
            last[..rest.len()].copy_from_slice(rest);
            for ((own, volume), theirs) in
                own.zip(&mut self.boxes).zip(chunks.iter().chain([&last]))
            {
                let clipped = theirs.map(|v| if v < y { v } else { y });
                *own = clipped;
                let mut product = *volume;
                for l in 0..LANES {
                    product[l] *= clipped[l];
                }
                *volume = product;
            }
        }
    }

    fn largest(&self) -> f64 {
        let mut top = [OUT; LANES];
        for volume in &self.boxes {
            raise(&mut top, volume);
        }
        top.into_iter().fold(OUT, f64::max)
    }

    fn position(&self, volume: f64) -> Option<usize> {
        let block = self.boxes.iter().position(|lane| {
            // All compared before the one branch.
            lane.iter().fold(false, |found, v| found | (*v == volume))
        })?;
        let lane = self.boxes[block].iter().position(|v| *v == volume)?;
        Some(block * LANES + lane)
    }
}

/// `top <- max(top, v)`.
fn raise(top: &mut Lane, v: &Lane) {
    for l in 0..LANES {
        top[l] = if v[l] > top[l] { v[l] } else { top[l] };
    }
}

/// Marks as out the points that `by` dominates weakly; the largest box left.
#[multiversion::multiversion(targets("x86_64+avx2"))]
fn drop_dominated(values: &[Lane], boxes: &mut [Lane], by: &[f64]) -> f64 {
    let mut top = [OUT; LANES];
    for (block, volume) in values.chunks_exact(by.len()).zip(boxes) {
        // How far a point reaches beyond `by` at most.
        let mut beyond = [0.0; LANES];
        for (lane, limit) in block.iter().zip(by) {
            raise(&mut beyond, &lane.map(|v| v - limit));
        }
        // The box of what does not reach beyond becomes zero, the others stay
        // what they are (or, next to the smallest numbers, positive at least,
        // and only their order depends on it): no branch.
        for l in 0..LANES {
            let limit = beyond[l] * f64::MAX;
            volume[l] = if volume[l] < limit { volume[l] } else { limit };
        }
        raise(&mut top, volume);
    }
    top.into_iter().fold(OUT, f64::max)
}
