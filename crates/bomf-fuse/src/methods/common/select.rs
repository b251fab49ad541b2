//! Selection by rank: where the k greatest of any number of keys begin, in bounded memory.
//!
//! Keys are `u32`; those of magnitudes are their bits, which are in the same order. Elements are
//! ordered by key, greatest first, and *equal keys by element number*, lowest first. This order is
//! total, so exactly k elements are the first k, whatever the ties.
//!
//! The k-th key is found by narrowing an interval that holds it. A pass over all keys counts those
//! above the interval and sorts those within into 2^13 bins; the bin with the k-th is the next
//! interval. From nothing, three passes reach a single key. For long tensors a sample gives an
//! interval that holds a few hundredths of the elements, most of the way there; should it miss,
//! the pass says so and the search goes on outside: the sample has no influence on the outcome.
//! If the k-th key is that of more elements than are wanted, one more pass finds the last of them.

use std::ops::ControlFlow;

use multiversion::multiversion;

use super::pieces::{self, Buffers, PIECE};
use crate::method::{Block, Inputs};

/// Keys are made and counted in runs of this many elements, which stay in the first-level cache.
pub(crate) const RUN: usize = 1024;

/// The bins of an interval: 64 KiB of counters for each cut that is sought.
const BINS_LOG2: u32 = 13;

/// Tensors longer than this are sampled first.
const SAMPLED_FROM: usize = 1 << 20;

/// The sample: runs of neighbours, evenly spread.
const SAMPLE_RUNS: usize = 2048;
const SAMPLE_RUN: usize = 64;

/// The share of the sample's ranks on either side of the wanted one that the first interval spans:
/// four standard deviations of a rank in a sample of as many independent elements. (Neighbours are
/// alike, so the sample is worth fewer; but a miss costs no more than a pass.)
const SAMPLE_MARGIN: f64 = 0.006;

/// The first elements of the order by key: those with a greater key, and of those with this key
/// the ones before an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cut {
    /// The last key that is in.
    pub(crate) key: u32,
    /// The element from which on this key is out.
    pub(crate) before: usize,
}

impl Cut {
    /// All elements.
    pub(crate) const ALL: Self = Self {
        key: 0,
        before: usize::MAX,
    };

    /// No element.
    pub(crate) const NONE: Self = Self {
        key: u32::MAX,
        before: 0,
    };

    /// The least key that is in, for elements from `start` on, and the element up to which it is.
    pub(crate) fn least(&self, start: usize) -> (u32, usize) {
        if start < self.before {
            (self.key, self.before)
        } else {
            (self.key.saturating_add(1), usize::MAX)
        }
    }
}

/// Keys of several streams over the elements of the inputs.
pub(crate) trait Keys: Sync {
    /// Writes the keys of stream `stream` for the elements of `block` from `offset` on.
    fn write(&self, stream: usize, block: &Block<'_>, offset: usize, keys: &mut [u32]);
}

/// One wanted cut: the first `count` elements of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The stream of keys.
    pub(crate) stream: usize,
    /// How many elements.
    pub(crate) count: usize,
}

/// Finds all wanted cuts, which are sorted by their streams, in the same passes.
pub(crate) fn cuts(inputs: &Inputs<'_>, keys: &impl Keys, wanted: &[Wanted]) -> Vec<Cut> {
    let len = inputs.len();
    let mut found = vec![Cut::NONE; wanted.len()];
    let mut searches = Vec::new();
    for (place, &wanted) in wanted.iter().enumerate() {
        match wanted.count {
            0 => {}
            count if count >= len => found[place] = Cut::ALL,
            _ => searches.push(Search::new(place, wanted)),
        }
    }
    let mut ties = Vec::new();
    for tie in search(inputs, keys, searches) {
        found[tie.place] = Cut {
            key: tie.key,
            before: usize::MAX,
        };
        // Elements of key zero are differences of zero: it makes no difference which are in.
        if tie.wanted < tie.present && tie.key > 0 {
            ties.push(tie);
        }
    }
    for (place, before) in last_of_ties(inputs, keys, &ties) {
        found[place].before = before;
    }
    found
}

/// The keys at wanted ranks, counted from one: of rank 1 the greatest. No rank exceeds the number
/// of elements, and none is zero.
pub(crate) fn keys_at(inputs: &Inputs<'_>, keys: &impl Keys, wanted: &[Wanted]) -> Vec<u32> {
    let searches = wanted.iter().enumerate();
    let searches = searches.map(|(place, wanted)| Search::new(place, *wanted));
    let mut found = vec![0; wanted.len()];
    for tie in search(inputs, keys, searches.collect()) {
        found[tie.place] = tie.key;
    }
    found
}

/// Brings all searches to their end.
fn search(inputs: &Inputs<'_>, keys: &impl Keys, mut searches: Vec<Search>) -> Vec<Tie> {
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
struct Search {
    place: usize,
    stream: usize,
    k: usize,
    low: u32,
    high: u32,
    above: usize,
    bins: Vec<u64>,
}

/// The key of a cut, and how many elements of this key are wanted of how many.
struct Tie {
    place: usize,
    stream: usize,
    key: u32,
    wanted: usize,
    present: usize,
}

impl Search {
    fn new(place: usize, wanted: Wanted) -> Self {
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

/// Makes keys run by run, for neighbours of one stream once, and hands them to `visit` with the
/// place of their stream in `streams` and the number of the run's first element.
fn for_runs(
    keys: &impl Keys,
    block: &Block<'_>,
    streams: impl Iterator<Item = usize> + Clone,
    mut visit: impl FnMut(usize, usize, &[u32]),
) {
    let len = block.len();
    let mut run = [0u32; RUN];
    for offset in (0..len).step_by(RUN) {
        let run = &mut run[..RUN.min(len - offset)];
        let mut made = None;
        for (place, stream) in streams.clone().enumerate() {
            if made != Some(stream) {
                keys.write(stream, block, offset, run);
                made = Some(stream);
            }
            visit(place, block.start + offset, run);
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

/// For each tie, its place and the element from which on its key is out.
fn last_of_ties(inputs: &Inputs<'_>, keys: &impl Keys, ties: &[Tie]) -> Vec<(usize, usize)> {
    if ties.is_empty() {
        return Vec::new();
    }
    let mut seen = vec![0; ties.len()];
    // The piece that holds the last wanted element of a tie, and how many of it are wanted there.
    let mut holders: Vec<Option<(usize, usize)>> = vec![None; ties.len()];
    let count = |block: &Block<'_>| {
        let mut counts = vec![0; ties.len()];
        let streams = ties.iter().map(|tie| tie.stream);
        for_runs(keys, block, streams, |i, _, run| {
            counts[i] += equal(run, ties[i].key);
        });
        (block.start, counts)
    };
    pieces::in_order(inputs, PIECE, count, |(start, counts)| {
        for (i, n) in counts.into_iter().enumerate() {
            if holders[i].is_none() && seen[i] + n >= ties[i].wanted {
                holders[i] = Some((start, ties[i].wanted - seen[i]));
            }
            seen[i] += n;
        }
        match holders.iter().all(Option::is_some) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    });
    let mut buffers = Buffers::default();
    let held = ties.iter().zip(holders);
    held.filter_map(|(tie, holder)| {
        let (start, wanted) = holder?;
        let len = PIECE.min(inputs.len() - start);
        let mut before = usize::MAX;
        let mut left = wanted;
        buffers.with_block(inputs, start, len, |block| {
            for_runs(keys, block, std::iter::once(tie.stream), |_, start, run| {
                for (i, key) in run.iter().enumerate() {
                    if *key == tie.key && left > 0 {
                        left -= 1;
                        before = start + i + 1;
                    }
                }
            });
        });
        Some((tie.place, before))
    })
    .collect()
}

#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
fn equal(keys: &[u32], key: u32) -> usize {
    keys.iter().map(|k| u32::from(*k == key)).sum::<u32>() as usize
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::method::Source;

    /// The models' elements themselves as keys, by their bits.
    struct Bits;

    impl Keys for Bits {
        fn write(&self, stream: usize, block: &Block<'_>, offset: usize, keys: &mut [u32]) {
            let values = &block.models[stream][offset..];
            for (key, value) in keys.iter_mut().zip(values) {
                *key = value.to_bits();
            }
        }
    }

    fn chosen(cut: Cut, keys: &[u32]) -> Vec<usize> {
        let inside = |(i, key): (usize, &u32)| {
            let (least, end) = cut.least(i);
            assert!(end > i);
            (*key >= least).then_some(i)
        };
        keys.iter().enumerate().filter_map(inside).collect()
    }

    /// The first k by key, greatest first, then by number, in the order of their numbers.
    fn sorted(keys: &[u32], k: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..keys.len()).collect();
        order.sort_by_key(|&i| (std::cmp::Reverse(keys[i]), i));
        order.truncate(k);
        order.sort_unstable();
        order
    }

    fn check(streams: &[Vec<u32>], counts: &[(usize, usize)]) {
        let models: Vec<Vec<f32>> = streams
            .iter()
            .map(|keys| keys.iter().map(|k| f32::from_bits(*k)).collect())
            .collect();
        let inputs = Inputs {
            name: "",
            shape: &[],
            models: models.iter().map(|m| m as &dyn Source).collect(),
            base: None,
        };
        let wanted = counts
            .iter()
            .map(|&(stream, count)| Wanted { stream, count });
        let wanted: Vec<Wanted> = wanted.collect();
        let cuts = cuts(&inputs, &Bits, &wanted);
        for (cut, wanted) in cuts.iter().zip(&wanted) {
            let keys = &streams[wanted.stream];
            // Which of the elements with key zero are in is left open.
            let nonzero = |mut chosen: Vec<usize>| {
                chosen.retain(|&i| keys[i] > 0);
                chosen
            };
            let (found, expected) = (chosen(*cut, keys), sorted(keys, wanted.count));
            assert_eq!(
                nonzero(found),
                nonzero(expected),
                "{wanted:?} of {}",
                keys.len()
            );
        }
        let ranks: Vec<Wanted> = wanted.iter().copied().filter(|w| w.count > 0).collect();
        let found = keys_at(&inputs, &Bits, &ranks);
        for (key, wanted) in found.iter().zip(&ranks) {
            let mut keys = streams[wanted.stream].clone();
            keys.sort_unstable_by_key(|k| std::cmp::Reverse(*k));
            assert_eq!(*key, keys[wanted.count - 1]);
        }
    }

    proptest! {
        #[test]
        fn exactly_the_first_k_are_chosen(
            few in vec(0u32..5, 1..3000),
            many in vec(any::<u32>(), 3000),
            counts in vec((0usize..2, 0.0..=1.0f64), 1..5),
        ) {
            let len = few.len();
            let streams = [few, many[..len].to_vec()];
            let mut counts: Vec<(usize, usize)> = counts
                .iter()
                .map(|&(stream, share)| (stream, (share * len as f64) as usize))
                .collect();
            counts.sort_by_key(|c| c.0);
            check(&streams, &counts);
        }
    }

    #[test]
    fn sampled_tensors_are_cut_exactly_too() {
        let len = SAMPLED_FROM + 1234;
        let mut state = 1u32;
        let mut next = || {
            state = state.wrapping_mul(0x915f_77f5).wrapping_add(12345);
            state
        };
        // Spread, in few values, sorted (so that neighbours are alike), all alike.
        let spread: Vec<u32> = (0..len).map(|_| next()).collect();
        let few: Vec<u32> = (0..len).map(|_| next() >> 29).collect();
        let rising: Vec<u32> = (0..len as u32).map(|i| i / 3).collect();
        // What the sample cannot see: all but a few elements alike.
        let mut alike = vec![7u32; len];
        for i in 0..100 {
            alike[i * 977 + 1] = 1000 + (i as u32 % 9);
        }
        let streams = [spread, few, rising, alike];
        let counts = [1, 2, 50, len / 5, len / 2, len - 1, len];
        let all: Vec<(usize, usize)> = (0..4)
            .flat_map(|stream| counts.map(|count| (stream, count)))
            .collect();
        check(&streams, &all);
    }
}
