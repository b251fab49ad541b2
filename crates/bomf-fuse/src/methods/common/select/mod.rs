//! Selection by rank: where the k greatest of any number of keys begin, in bounded memory.
//!
//! Keys are `u32`, `u32::MAX` not among them; those of magnitudes are their bits, which are in the
//! same order. Elements are ordered by key, greatest first, and *equal keys by element number*,
//! lowest first. This order is total, so exactly k elements are the first k, whatever the ties.
//!
//! The k-th key is found by narrowing an interval that holds it. A pass over all keys counts those
//! above the interval and sorts those within into 2^13 bins; the bin with the k-th is the next
//! interval. From nothing, three passes reach a single key. For long tensors a sample gives an
//! interval that holds about a hundredth of the elements, most of the way there; should it miss,
//! the pass says so and the search goes on outside: the sample has no influence on the outcome.
//! If the k-th key is that of more elements than are wanted, one more pass finds the last of them.

mod search;
#[cfg(test)]
mod tests;
mod ties;

use crate::method::{Block, Inputs};
use search::{Search, search};
use ties::last_of_ties;

/// Keys are made and counted in runs of this many elements, which stay in the first-level cache.
pub(crate) const RUN: usize = 1024;

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
