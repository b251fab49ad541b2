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
    /// `inclusive`: the points from `start` on (but `i`) clipped to it in the
    /// first `k` objectives, by rows. False (and `limit` of no use) if one of
    /// them covers the box.
    pub(super) fn limit(
        &mut self,
        from: &Set,
        i: usize,
        start: usize,
        k: usize,
        inclusive: f64,
        limit: &mut Vec<f64>,
    ) -> bool {
        limit.clear();
        let blocks = (from.len() - start).div_ceil(LANES);
        self.values.clear();
        self.values.resize(blocks * k, [0.0; LANES]);
        self.boxes.clear();
        self.boxes.resize(blocks, [1.0; LANES]);
        for (j, column) in from.columns()[..k].iter().enumerate() {
            let own = self.values.iter_mut().skip(j).step_by(k);
            clip_column(own, &mut self.boxes, &column[start..], column[i]);
        }
        if i >= start {
            self.boxes[(i - start) / LANES][(i - start) % LANES] = OUT;
        }
        pick(&self.values, &mut self.boxes, k, inclusive, limit)
    }
}

/// Clips `column` to `y`, into every lane of `own`, and multiplies the boxes by
/// it; the last lane is filled up with zeros.
fn clip_column<'a>(
    own: impl Iterator<Item = &'a mut Lane>,
    boxes: &mut [Lane],
    column: &[f64],
    y: f64,
) {
    let (chunks, rest) = column.as_chunks::<LANES>();
    let mut last = [0.0; LANES];
    last[..rest.len()].copy_from_slice(rest);
    let theirs = chunks.iter().chain([&last]);
    for ((own, volume), theirs) in own.zip(boxes).zip(theirs) {
        *own = theirs.map(|v| if v < y { v } else { y });
        for l in 0..LANES {
            volume[l] *= own[l];
        }
    }
}

/// The passes: moves what stays to `limit`, the largest box first. False if the
/// largest is not smaller than `inclusive`.
#[multiversion::multiversion(targets("x86_64+avx2"))]
fn pick(
    values: &[Lane],
    boxes: &mut [Lane],
    k: usize,
    inclusive: f64,
    limit: &mut Vec<f64>,
) -> bool {
    let mut top = [OUT; LANES];
    for volume in boxes.iter() {
        raise(&mut top, volume);
    }
    let mut largest = largest_of(&top);
    if largest >= inclusive {
        return false;
    }
    while largest > OUT {
        let Some((block, lane)) = position(boxes, largest) else {
            break;
        };
        let from = limit.len();
        let chosen = &values[block * k..][..k];
        limit.extend(chosen.iter().map(|values| values[lane]));
        largest = drop_dominated(values, boxes, &limit[from..]);
    }
    true
}

/// The block and the lane of a volume.
#[inline(always)]
fn position(boxes: &[Lane], volume: f64) -> Option<(usize, usize)> {
    // All lanes of a block are compared before the one branch.
    let block = boxes
        .iter()
        .position(|lane| lane.iter().fold(false, |found, v| found | (*v == volume)))?;
    let lane = boxes[block].iter().position(|v| *v == volume)?;
    Some((block, lane))
}

/// `top <- max(top, v)`.
#[inline(always)]
fn raise(top: &mut Lane, v: &Lane) {
    for l in 0..LANES {
        top[l] = if v[l] > top[l] { v[l] } else { top[l] };
    }
}

#[inline(always)]
fn largest_of(lane: &Lane) -> f64 {
    lane.iter().copied().fold(OUT, f64::max)
}

/// Marks as out the points that `by` dominates weakly; the largest box left.
#[inline(always)]
fn drop_dominated(values: &[Lane], boxes: &mut [Lane], by: &[f64]) -> f64 {
    let mut top = [OUT; LANES];
    for (values, volume) in values.chunks_exact(by.len()).zip(boxes) {
        // How far a point reaches beyond `by` at most.
        let mut beyond = [0.0; LANES];
        for (lane, limit) in values.iter().zip(by) {
            for l in 0..LANES {
                let excess = lane[l] - limit;
                beyond[l] = if excess > beyond[l] {
                    excess
                } else {
                    beyond[l]
                };
            }
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
    largest_of(&top)
}
