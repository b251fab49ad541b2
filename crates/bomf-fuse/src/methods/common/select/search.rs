//! The search for the key at a rank: an interval that narrows from pass to pass.

use multiversion::multiversion;

use super::{Keys, RUN, Wanted, for_runs};
use crate::method::Inputs;
use crate::methods::common::pieces::{self, Buffers};

/// The bins of an interval: 64 KiB of counters for each cut that is sought.
const BINS_LOG2: u32 = 13;

/// Tensors longer than this are sampled first.
pub(super) const SAMPLED_FROM: usize = 1 << 20;

/// The sample: runs of neighbours, evenly spread.
const SAMPLE_RUNS: usize = 2048;
const SAMPLE_RUN: usize = 64;

/// The share of the sample's ranks on either side of the wanted one that the first interval spans:
/// four standard deviations of a rank in a sample of as many independent elements. (Neighbours are
/// alike, so the sample is worth fewer; but a miss costs no more than a pass.)
const SAMPLE_MARGIN: f64 = 0.006;

/// Brings all searches to their end.
pub(super) fn search(inputs: &Inputs<'_>, keys: &impl Keys, mut searches: Vec<Search>) -> Vec<Tie> {
    debug_assert!(searches.is_sorted_by_key(|search| search.stream));
    if inputs.len() > SAMPLED_FROM {
        guess(inputs, keys, &mut searches);
    }
    let mut found = Vec::with_capacity(searches.len());
    while !searches.is_empty() {
        count_pass(inputs, keys, &mut searches);
        searches.retain_mut(|search| match search.narrow() {
            Some(tie) => {
                found.push(tie);
                false
            }
            None => true,
        });
    }
    found
}

/// The search for one cut: the k-th key lies in `low..=high`, if the guess is right.
pub(super) struct Search {
    place: usize,
    stream: usize,
    k: usize,
    low: u32,
    high: u32,
    above: usize,
    bins: Vec<u64>,
}

/// The key of a cut, and how many elements of this key are wanted of how many.
pub(super) struct Tie {
    pub(super) place: usize,
    pub(super) stream: usize,
    pub(super) key: u32,
    pub(super) wanted: usize,
    pub(super) present: usize,
}

impl Search {
    pub(super) fn new(place: usize, wanted: Wanted) -> Self {
        Self {
            place,
            stream: wanted.stream,
            k: wanted.count,
            low: 0,
            high: u32::MAX,
            above: 0,
            bins: Vec::new(),
        }
    }

    /// Keys of one bin differ in this many low bits.
    fn shift(&self) -> u32 {
        let bits = u32::BITS - (self.high - self.low).leading_zeros();
        bits.saturating_sub(BINS_LOG2)
    }

    /// From the counts of a pass: a smaller interval, or the outcome.
    fn narrow(&mut self) -> Option<Tie> {
        let inside: u64 = self.bins.iter().sum();
        if self.above >= self.k {
            self.low = self.high + 1;
            self.high = u32::MAX;
            return None;
        }
        let mut above = self.above;
        if above + (inside as usize) < self.k {
            self.high = self.low - 1;
            self.low = 0;
            return None;
        }
        let mut bin = self.bins.len() - 1;
        while above + (self.bins[bin] as usize) < self.k {
            above += self.bins[bin] as usize;
            bin -= 1;
        }
        let shift = self.shift();
        let low = self.low + ((bin as u32) << shift);
        if shift == 0 {
            return Some(Tie {
                place: self.place,
                stream: self.stream,
                key: low,
                wanted: self.k - above,
                present: self.bins[bin] as usize,
            });
        }
        self.high = self.high.min(low + ((1 << shift) - 1));
        self.low = low;
        None
    }
}

/// What one thread has counted for one search.
struct Counter {
    above: usize,
    bins: Vec<u64>,
}

/// One pass over all keys that fills each search's counts.
fn count_pass(inputs: &Inputs<'_>, keys: &impl Keys, searches: &mut [Search]) {
    let new = || {
        let counters = searches.iter().map(|search| Counter {
            above: 0,
            bins: vec![0; ((search.high - search.low) >> search.shift()) as usize + 1],
        });
        counters.collect::<Vec<_>>()
    };
    let counted = pieces::count(inputs, new, |counters, block| {
        let mut inside = [0u32; RUN];
        let streams = searches.iter().map(|search| search.stream);
        for_runs(keys, block, streams, |i, _, run| {
            let search = &searches[i];
            let counter = &mut counters[i];
            let (above, n) = divide(run, search.low, search.high, &mut inside);
            counter.above += above;
            let shift = search.shift();
            for offset in &inside[..n] {
                counter.bins[(offset >> shift) as usize] += 1;
            }
        });
    });
    for search in &mut *searches {
        search.above = 0;
        search.bins.clear();
    }
    for counters in counted {
        for (search, counter) in searches.iter_mut().zip(counters) {
            search.above += counter.above;
            search.bins.resize(counter.bins.len(), 0);
            for (sum, n) in search.bins.iter_mut().zip(counter.bins) {
                *sum += n;
            }
        }
    }
}

/// Counts the keys above `high` and writes the offsets of those in `low..=high` from `low` to
/// `inside`; how many of both.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
fn divide(keys: &[u32], low: u32, high: u32, inside: &mut [u32; RUN]) -> (usize, usize) {
    const LANES: usize = 16;
    let width = high - low;
    let mut above = [0u32; LANES];
    let mut n = 0;
    let (chunks, rest) = keys.as_chunks::<LANES>();
    for chunk in chunks {
        let mut any = 0;
        for k in 0..LANES {
            above[k] += u32::from(chunk[k] > high);
            any |= u32::from(chunk[k].wrapping_sub(low) <= width);
        }
        // Few keys are inside, as a rule: look at them only where there are some.
        if any > 0 {
            for key in chunk {
                let offset = key.wrapping_sub(low);
                inside[n % RUN] = offset;
                n += usize::from(offset <= width);
            }
        }
    }
    for key in rest {
        let offset = key.wrapping_sub(low);
        above[0] += u32::from(*key > high);
        inside[n % RUN] = offset;
        n += usize::from(offset <= width);
    }
    (above.iter().sum::<u32>() as usize, n)
}

/// Sets each search's interval by a sample.
fn guess(inputs: &Inputs<'_>, keys: &impl Keys, searches: &mut [Search]) {
    let len = inputs.len();
    let mut samples = vec![Vec::with_capacity(SAMPLE_RUNS * SAMPLE_RUN); searches.len()];
    let mut buffers = Buffers::default();
    for i in 0..SAMPLE_RUNS {
        let start = (len - SAMPLE_RUN) / (SAMPLE_RUNS - 1) * i;
        buffers.with_block(inputs, start, SAMPLE_RUN, |block| {
            let streams = searches.iter().map(|search| search.stream);
            for_runs(keys, block, streams, |i, _, run| {
                samples[i].extend_from_slice(run);
            });
        });
    }
    for (search, sample) in searches.iter_mut().zip(&mut samples) {
        let size = sample.len() as f64;
        // Ranks from the greatest on; the interval's lower end has the higher rank.
        let rank = search.k as f64 / len as f64;
        let at = |share: f64| ((share * size) as usize).min(sample.len() - 1);
        let (first, last) = (at(rank - SAMPLE_MARGIN), at(rank + SAMPLE_MARGIN));
        let (first, last) = (sample.len() - 1 - first, sample.len() - 1 - last);
        search.high = *sample.select_nth_unstable(first).1;
        search.low = *sample.select_nth_unstable(last).1;
        if first == sample.len() - 1 {
            search.high = u32::MAX;
        }
        if last == 0 {
            search.low = 0;
        }
    }
}
