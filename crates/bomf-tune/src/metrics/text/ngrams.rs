//! Sequences of items counted, and what two texts have in common.

use std::collections::HashMap;
use std::hash::Hash;

/// Of the sequences of `n` items: how many `text` has, how many `reference` has, and how
/// many they have in common, each as often as it occurs in both.
pub(super) fn overlap<T: Hash + Eq>(text: &[T], reference: &[T], n: usize) -> [u32; 3] {
    let mut free: HashMap<&[T], u32> = HashMap::new();
    for gram in reference.windows(n) {
        *free.entry(gram).or_default() += 1;
    }
    let mut common = 0;
    for gram in text.windows(n) {
        if let Some(left) = free.get_mut(gram).filter(|left| **left > 0) {
            *left -= 1;
            common += 1;
        }
    }
    let count = |items: &[T]| (items.len() + 1).saturating_sub(n) as u32;
    [count(text), count(reference), common]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_is_common_as_often_as_it_occurs_in_both() {
        assert_eq!(overlap(&[1, 1, 1, 2], &[1, 1, 2, 2], 1), [4, 4, 3]);
        assert_eq!(overlap(&[1, 1, 1, 2], &[1, 1, 2, 2], 2), [3, 3, 2]);
        assert_eq!(overlap(&[1], &[1, 2], 2), [0, 1, 0]);
        assert_eq!(overlap::<u8>(&[], &[], 3), [0, 0, 0]);
    }
}
