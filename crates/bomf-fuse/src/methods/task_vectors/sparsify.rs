//! What is kept of a task vector.

use std::ops::{ControlFlow, Range};

use super::bits::Bits;
use super::ranked::{RankScratch, Ranked, Rows};
use crate::error::{FuseError, Result};
use crate::method::{Block, Inputs, Params};
use crate::methods::common::random::{Draws, below};
use crate::methods::common::select::{self, Cut, Keys, Wanted};
use crate::methods::common::{kernels, pieces};

/// Elements at a time: a run of each of eight models fits the first-level cache.
pub(super) const RUN: usize = 1024;

/// Sums of magnitudes below this are not rescaled. As in mergekit.
const NOTHING_TO_RESCALE: f64 = 1e-7;

/// The ways to make a task vector sparse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sparsify {
    /// Keep all.
    Nothing,
    /// Keep the share `density` greatest in magnitude: at least one element.
    Greatest,
    /// Leave out the share `gamma` greatest, then keep the share `density` of what is greatest; if
    /// less than that is left, leave out fewer.
    WithoutOutliers,
    /// Keep each element with probability `density`.
    Random,
    /// Keep each element with a probability from `density - epsilon` to `density + epsilon`,
    /// linear in its rank by magnitude within its row.
    RandomByRank,
}

/// What is kept of one model's task vector, and the factor that makes up for the rest.
pub(super) struct Kept<'a> {
    mask: Mask<'a>,
    scale: f32,
    /// The mask by rank, where it is worth keeping.
    bits: Option<Bits>,
}

enum Mask<'a> {
    All,
    Nothing,
    /// The elements of one cut that are not in the other.
    Between {
        inner: Cut,
        outer: Cut,
    },
    Drawn {
        draws: Draws,
        bound: u32,
    },
    Ranked(Ranked<'a>),
}

/// Memory that is used again from run to run.
pub(super) struct Scratch {
    draws: [u32; RUN],
    /// For models that are masked by rank, the masks of the part of the block from `start` on.
    masks: Vec<Vec<u8>>,
    start: usize,
    /// Made when a model is masked by rank.
    rank: Option<Box<RankScratch>>,
}

impl Scratch {
    pub(super) fn new(models: usize) -> Self {
        Self {
            draws: [0; RUN],
            masks: vec![Vec::new(); models],
            start: 0,
            rank: None,
        }
    }

    /// Makes ready for runs within a part of the block.
    pub(super) fn load(&mut self, kept: &[Kept<'_>], block: &Block<'_>, part: &Range<usize>) {
        self.start = part.start;
        for (i, (kept, mask)) in kept.iter().zip(&mut self.masks).enumerate() {
            if let Mask::Ranked(ranked) = &kept.mask {
                mask.resize(part.len(), 0);
                match &kept.bits {
                    Some(bits) => bits.unpack(block.start + part.start, mask),
                    None => {
                        let rank = self.rank.get_or_insert_default();
                        ranked.mask(block, i, part.clone(), rank, mask);
                    }
                }
            }
        }
    }
}

impl Kept<'_> {
    /// Whether the model is left out.
    pub(super) fn is_nothing(&self) -> bool {
        matches!(self.mask, Mask::Nothing)
    }

    /// Writes the sparse and rescaled task vector of model `i` for a run within the part of the
    /// block that the scratch was made ready for.
    pub(super) fn write(
        &self,
        block: &Block<'_>,
        i: usize,
        run: Range<usize>,
        scratch: &mut Scratch,
        d: &mut [f32],
    ) {
        let base = block.base.unwrap_or_default();
        kernels::differences(&block.models[i][run.clone()], &base[run.clone()], d);
        let start = block.start + run.start;
        match &self.mask {
            Mask::All => {}
            Mask::Nothing => d.fill(0.0),
            Mask::Between { inner, outer } => keep_between(*inner, *outer, start, d),
            Mask::Drawn { draws, bound } => {
                let drawn = &mut scratch.draws[..d.len()];
                draws.fill(start, drawn);
                kernels::keep_drawn(drawn, *bound, d);
            }
            Mask::Ranked(_) => {
                let run = run.start - scratch.start..run.end - scratch.start;
                kernels::keep_masked(&scratch.masks[i][run], d);
            }
        }
        if self.scale != 1.0 {
            kernels::scale(self.scale, d);
        }
    }
}

/// Keeps what is in the inner cut and not in the outer one, of elements from `start` on.
fn keep_between(inner: Cut, outer: Cut, start: usize, d: &mut [f32]) {
    let mut at = start;
    let mut rest = d;
    while !rest.is_empty() {
        // Each cut has one least key up to an element, and another from there on.
        let ((least, a), (beyond, b)) = (inner.least(at), outer.least(at));
        let end = a.min(b).min(at + rest.len());
        let (now, later) = rest.split_at_mut(end - at);
        kernels::keep_between(least, beyond, now);
        rest = later;
        at = end;
    }
}

/// Looks at the task vectors of all models.
pub(super) fn prepare<'a>(
    how: Sparsify,
    inputs: &Inputs<'a>,
    params: &Params,
    seed: u64,
) -> Result<Vec<Kept<'a>>> {
    let densities = params.numbers("density");
    let epsilons = match how {
        Sparsify::RandomByRank => params.numbers("epsilon"),
        _ => vec![0.0; densities.len()],
    };
    let cuts = match how {
        Sparsify::Greatest => greatest(inputs, &densities),
        Sparsify::WithoutOutliers => without_outliers(inputs, &densities, &params.numbers("gamma")),
        _ => Vec::new(),
    };
    let rows = Rows::of_shape(inputs.shape);
    let mut kept = Vec::with_capacity(densities.len());
    for (i, (&density, &epsilon)) in densities.iter().zip(&epsilons).enumerate() {
        let draws = Draws::new(seed, inputs.name, i);
        let mask = match how {
            Sparsify::Nothing => Mask::All,
            _ if density >= 1.0 => Mask::All,
            _ if density <= 0.0 => Mask::Nothing,
            Sparsify::Greatest | Sparsify::WithoutOutliers => Mask::Between {
                inner: cuts[i].0,
                outer: cuts[i].1,
            },
            Sparsify::RandomByRank if density + epsilon >= 1.0 || density - epsilon <= 0.0 => {
                return Err(FuseError::EpsilonRange {
                    model: i,
                    density,
                    epsilon,
                });
            }
            Sparsify::RandomByRank if epsilon > 0.0 => {
                Mask::Ranked(Ranked::new(inputs, i, rows, draws, density, epsilon))
            }
            Sparsify::Random | Sparsify::RandomByRank => Mask::Drawn {
                draws,
                bound: below(density),
            },
        };
        kept.push(Kept {
            mask,
            scale: 1.0,
            bits: None,
        });
    }
    if params.flag("rescale") {
        rescale(&mut kept, inputs, rows);
    }
    Ok(kept)
}

/// Masks by rank that were made to be measured are kept for the fusion if those of all models of a
/// tensor together have no more than this many bytes.
const KEPT_MASKS: usize = 16 << 20;

/// Sets the scales so that the sums of magnitudes are those of the whole task vectors.
fn rescale(kept: &mut [Kept<'_>], inputs: &Inputs<'_>, rows: Rows) {
    if kept
        .iter()
        .all(|k| matches!(k.mask, Mask::All | Mask::Nothing))
    {
        return;
    }
    let models = kept.len();
    let ranked = |kept: &Kept<'_>| matches!(kept.mask, Mask::Ranked(_));
    let masks = kept.iter().filter(|k| ranked(k)).count();
    let keep = masks > 0 && masks * (inputs.len() / 8) <= KEPT_MASKS;
    let measure = |block: &Block<'_>| {
        let mut scratch = Scratch::new(models);
        let mut sums = vec![[0.0; 2]; models];
        let base = block.base.unwrap_or_default();
        let mut d = [0.0f32; RUN];
        let len = block.len();
        scratch.load(kept, block, &(0..len));
        for (i, kept) in kept.iter().enumerate() {
            if matches!(kept.mask, Mask::All | Mask::Nothing) {
                continue;
            }
            for start in (0..len).step_by(RUN) {
                let run = start..len.min(start + RUN);
                let d = &mut d[..run.len()];
                kernels::differences(&block.models[i][run.clone()], &base[run.clone()], d);
                sums[i][0] += kernels::sum_of_magnitudes(d);
                kept.write(block, i, run, &mut scratch, d);
                sums[i][1] += kernels::sum_of_magnitudes(d);
            }
        }
        let packed = |mask: &Vec<u8>| if keep { Bits::pack(mask) } else { Vec::new() };
        let masks: Vec<Vec<u8>> = scratch.masks.iter().map(packed).collect();
        (sums, masks)
    };
    let piece = rows.piece();
    let mut totals = vec![[0.0; 2]; models];
    let mut bits: Vec<Bits> = (0..models).map(|_| Bits::new(piece)).collect();
    pieces::in_order(inputs, piece, measure, |(sums, masks)| {
        for (total, sums) in totals.iter_mut().zip(sums) {
            total[0] += sums[0];
            total[1] += sums[1];
        }
        for (bits, mask) in bits.iter_mut().zip(masks) {
            bits.push(&mask);
        }
        ControlFlow::Continue(())
    });
    for ((kept, [before, after]), bits) in kept.iter_mut().zip(totals).zip(bits) {
        // A NaN is no small sum: it goes on to the scale and is seen in the output.
        if !(before < NOTHING_TO_RESCALE || after < NOTHING_TO_RESCALE) {
            kept.scale = (before / after) as f32;
        }
        kept.bits = (keep && ranked(kept)).then_some(bits);
    }
}

/// The magnitudes of the task vectors.
struct Magnitudes;

impl Keys for Magnitudes {
    fn write(&self, stream: usize, block: &Block<'_>, offset: usize, keys: &mut [u32]) {
        let part = offset..offset + keys.len();
        let base = &block.base.unwrap_or_default()[part.clone()];
        kernels::difference_keys(&block.models[stream][part], base, keys);
    }
}

/// Cuts of the share `density` that is greatest, and of nothing.
fn greatest(inputs: &Inputs<'_>, densities: &[f64]) -> Vec<(Cut, Cut)> {
    let len = inputs.len();
    let count = |density: f64| match density {
        d if d <= 0.0 => 0,
        d if d >= 1.0 => len,
        d => ((d * len as f64) as usize).max(1),
    };
    let wanted: Vec<Wanted> = densities
        .iter()
        .enumerate()
        .map(|(stream, d)| Wanted {
            stream,
            count: count(*d),
        })
        .collect();
    let cuts = select::cuts(inputs, &Magnitudes, &wanted);
    cuts.into_iter().map(|cut| (cut, Cut::NONE)).collect()
}

/// Cuts of what is greatest, and of the outliers in it.
fn without_outliers(inputs: &Inputs<'_>, densities: &[f64], gammas: &[f64]) -> Vec<(Cut, Cut)> {
    let len = inputs.len();
    let mut wanted = Vec::with_capacity(2 * densities.len());
    for (stream, (density, gamma)) in densities.iter().zip(gammas).enumerate() {
        let (count, outliers) = match *density {
            d if d <= 0.0 => (0, 0),
            d if d >= 1.0 => (len, 0),
            d => ((d * len as f64) as usize, (gamma * len as f64) as usize),
        };
        let outliers = outliers.min(len - count);
        for count in [count + outliers, outliers] {
            wanted.push(Wanted { stream, count });
        }
    }
    let cuts = select::cuts(inputs, &Magnitudes, &wanted);
    cuts.chunks_exact(2)
        .map(|pair| (pair[0], pair[1]))
        .collect()
}
