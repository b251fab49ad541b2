//! The magnitudes of a row in bins, and what they say of ranks.

use multiversion::multiversion;

/// The bins span this many powers of two below the row's greatest magnitude; what is smaller is
/// in the last one. (The difference of two bf16 numbers of equal exponent has no more than 8.)
pub(super) const OCTAVES: u32 = 16;

/// At most 2^7 bins a power of two: as fine as bf16, 8 KiB of counters.
pub(super) const FINEST: u32 = 7;

/// The mantissa bits of an `f32`.
pub(super) const MANTISSA: u32 = 23;

/// The mask of an element for which the rank decides.
pub(super) const UNDECIDED: u8 = 2;

/// For each draw, the rank that must be exceeded, and the mask: one for those that any rank
/// exceeds, zero for those that none does, [`UNDECIDED`] for others.
///
/// A row of one element is kept with the mean probability.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
pub(super) fn needed_ranks(
    draws: &[u32],
    low: f32,
    spread: f32,
    last: f32,
    need: &mut [f32],
    mask: &mut [u8],
) {
    const UNIT: f32 = 1.0 / 4_294_967_296.0;
    let (low, per_rank) = match last {
        0.0 => (low + 0.5 * spread, f32::MAX),
        _ => (low, last / spread),
    };
    for (need, draw) in need.iter_mut().zip(draws) {
        *need = (*draw as f32 * UNIT - low) * per_rank;
    }
    for (mask, need) in mask.iter_mut().zip(need) {
        let within = (*need >= 0.0) & (*need < last);
        *mask = if within {
            UNDECIDED
        } else {
            u8::from(*need < 0.0)
        };
    }
}

/// An element for which the rank decides.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Candidate {
    /// Its place in the part of the row.
    pub(super) i: u32,
    /// The rank that it must exceed.
    pub(super) need: f32,
}

/// The elements for which the rank decides.
pub(super) fn undecided(mask: &[u8], need: &[f32], out: &mut Vec<Candidate>) {
    const RUN: usize = 256;
    out.clear();
    let mut found = [Candidate::default(); RUN];
    for (run, (mask, need)) in mask.chunks(RUN).zip(need.chunks(RUN)).enumerate() {
        let mut n = 0;
        for (i, (mask, &need)) in (run * RUN..).zip(mask.iter().zip(need)) {
            found[n % RUN] = Candidate { i: i as u32, need };
            n += usize::from(*mask == UNDECIDED);
        }
        out.extend_from_slice(&found[..n]);
    }
}

/// How many keys are less than one, and how many equal.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
pub(super) fn less_and_equal(keys: &[u32], key: u32) -> (usize, usize) {
    let (mut less, mut equal) = (0u32, 0u32);
    for k in keys {
        less += u32::from(*k < key);
        equal += u32::from(*k == key);
    }
    (less as usize, equal as usize)
}

/// The bins of a histogram, at the most.
const BINS: usize = (OCTAVES as usize) << FINEST;

/// The magnitudes of a row in bins.
pub(super) struct Histogram {
    /// Each element's bin.
    bins: Vec<u16>,
    /// The rank of each bin's first element.
    starts: [u32; BINS],
    /// The rank after its last one. (While counting, every other element is counted here, so that
    /// equal neighbours do not wait for each other.)
    ends: [u32; BINS],
    /// The key's bits that do not show in its bin.
    hidden: u32,
    /// Bins whose elements may differ.
    mixed: [u8; BINS],
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            bins: Vec::new(),
            starts: [0; BINS],
            ends: [0; BINS],
            hidden: 0,
            mixed: [0; BINS],
        }
    }
}

impl Histogram {
    pub(super) fn count(&mut self, keys: &[u32]) {
        let n = keys.len();
        // Up to four bins an element, if all were in the upper octaves.
        let finest = (n as u32).checked_ilog2().unwrap_or(0);
        let bits = (finest + 2).saturating_sub(OCTAVES.ilog2()).min(FINEST);
        let bins = (OCTAVES << bits) as usize;
        let shift = MANTISSA - bits;
        let offset = (greatest(keys) >> shift).saturating_sub(bins as u32 - 1);
        self.hidden = (1 << shift) - 1;
        self.bins.resize(n, 0);
        bins_of(keys, shift, offset, &mut self.bins);
        let (starts, ends) = (&mut self.starts, &mut self.ends);
        starts[..bins].fill(0);
        ends[..bins].fill(0);
        let (pairs, last) = self.bins.as_chunks::<2>();
        for [a, b] in pairs {
            starts[*a as usize % BINS] += 1;
            ends[*b as usize % BINS] += 1;
        }
        for a in last {
            starts[*a as usize % BINS] += 1;
        }
        let mut rank = 0;
        for (start, end) in starts[..bins].iter_mut().zip(ends) {
            let count = *start + *end;
            *start = rank;
            rank += count;
            *end = rank;
        }
    }

    /// Decides on candidates by what their bins say of their ranks, and keeps those that are left.
    pub(super) fn decide(&self, offset: usize, candidates: &mut Vec<Candidate>, mask: &mut [u8]) {
        let bins = &self.bins[offset..][..mask.len()];
        let mut left = 0;
        for j in 0..candidates.len() {
            let candidate = candidates[j];
            let i = candidate.i as usize;
            let bin = bins[i] as usize % BINS;
            let (least, greatest) = (self.starts[bin] as f32, (self.ends[bin] - 1) as f32);
            mask[i] = u8::from(least > candidate.need);
            candidates[left] = candidate;
            left += usize::from((least <= candidate.need) & (greatest > candidate.need));
        }
        candidates.truncate(left);
    }

    /// Decides on candidates whose bins hold nothing but their equals, and keeps those that are
    /// left.
    pub(super) fn decide_equal(
        &mut self,
        keys: &[u32],
        offset: usize,
        candidates: &mut Vec<Candidate>,
        mask: &mut [u8],
    ) {
        self.mixed.fill(0);
        for (bin, key) in self.bins.iter().zip(keys) {
            // Those that show all their bits mark the lowest bin.
            let mixed = if key & self.hidden == 0 { 0 } else { *bin };
            self.mixed[mixed as usize % BINS] = 1;
        }
        // It holds all that is smaller, too.
        self.mixed[0] = 1;
        let (bins, keys) = (&self.bins[offset..], &keys[offset..]);
        candidates.retain(|candidate| {
            let i = candidate.i as usize;
            let bin = bins[i] as usize % BINS;
            let ranks = self.starts[bin] + self.ends[bin] - 1;
            mask[i] = u8::from(0.5 * ranks as f32 > candidate.need);
            // A difference of zero is zero, kept or not.
            self.mixed[bin] != 0 && keys[i] != 0
        });
    }
}

#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
fn greatest(keys: &[u32]) -> u32 {
    keys.iter().copied().fold(0, u32::max)
}

#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
fn bins_of(keys: &[u32], shift: u32, offset: u32, bins: &mut [u16]) {
    for (bin, key) in bins.iter_mut().zip(keys) {
        *bin = (key >> shift).saturating_sub(offset) as u16;
    }
}
