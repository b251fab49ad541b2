//! Cuts and ranks against a plain sort.

use proptest::collection::vec;
use proptest::prelude::*;

use super::search::SAMPLED_FROM;
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

/// All elements by key, greatest first, then by number.
fn sorted(keys: &[u32]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..keys.len()).collect();
    order.sort_by_key(|&i| (std::cmp::Reverse(keys[i]), i));
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
        statistics: Vec::new(),
    };
    let wanted = counts
        .iter()
        .map(|&(stream, count)| Wanted { stream, count });
    let wanted: Vec<Wanted> = wanted.collect();
    let orders: Vec<Vec<usize>> = streams.iter().map(|keys| sorted(keys)).collect();
    let cuts = cuts(&inputs, &Bits, &wanted);
    for (cut, wanted) in cuts.iter().zip(&wanted) {
        let keys = &streams[wanted.stream];
        let mut expected = orders[wanted.stream][..wanted.count].to_vec();
        expected.sort_unstable();
        // Which of the elements with key zero are in is left open.
        expected.retain(|&i| keys[i] > 0);
        let mut found = chosen(*cut, keys);
        found.retain(|&i| keys[i] > 0);
        assert_eq!(found, expected, "{wanted:?} of {}", keys.len());
    }
    let ranks: Vec<Wanted> = wanted.iter().copied().filter(|w| w.count > 0).collect();
    let found = keys_at(&inputs, &Bits, &ranks);
    for (key, wanted) in found.iter().zip(&ranks) {
        let element = orders[wanted.stream][wanted.count - 1];
        assert_eq!(*key, streams[wanted.stream][element]);
    }
}

proptest! {
    #[test]
    fn exactly_the_first_k_are_chosen(
        few in vec(0u32..5, 1..3000),
        many in vec(0..u32::MAX, 3000),
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
