//! chrF and chrF++ (Popović 2015, 2017) over a corpus, as sacreBLEU computes them: `F_β` with
//! β = 2 of the mean precision and the mean recall over the orders that both sides have.
//! Characters are without white space; words have a punctuation mark at their end, else at
//! their beginning, cut off.

use super::ngrams::overlap;
use super::tokens::is_space;

/// Longest sequence of characters.
const CHARACTERS: usize = 6;
/// Longest sequence of words of chrF++.
pub(super) const WORDS: usize = 2;
const BETA: f64 = 2.0;

/// Three counts an order: of the text, of the reference, in common.
pub(super) const fn width(words: usize) -> usize {
    3 * (CHARACTERS + words)
}

fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    for word in text.split(is_space).filter(|word| !word.is_empty()) {
        let mark = |c: Option<char>| c.filter(char::is_ascii_punctuation).map(char::len_utf8);
        let single = word.chars().nth(1).is_none();
        let cut = match (mark(word.chars().next_back()), mark(word.chars().next())) {
            _ if single => None,
            (Some(length), _) => Some(word.len() - length),
            (None, first) => first,
        };
        match cut.map(|at| word.split_at(at)) {
            Some((first, second)) => words.extend([first, second]),
            None => words.push(word),
        }
    }
    words
}

pub(super) fn statistics(text: &str, reference: &str, word_order: usize) -> Vec<f32> {
    let characters = |text: &str| -> Vec<char> { text.chars().filter(|c| !is_space(*c)).collect() };
    let (a, b) = (characters(text), characters(reference));
    let mut counts: Vec<[u32; 3]> = (1..=CHARACTERS).map(|n| overlap(&a, &b, n)).collect();
    let (a, b) = (words(text), words(reference));
    counts.extend((1..=word_order).map(|n| overlap(&a, &b, n)));
    // A text's sequences count only where the reference has any of that length.
    let row = |[own, reference, common]: [u32; 3]| match reference {
        0 => [0.0; 3],
        _ => [own as f32, reference as f32, common as f32],
    };
    counts.into_iter().flat_map(row).collect()
}

pub(super) fn value(sums: &[f64]) -> f64 {
    let (mut precision, mut recall, mut orders) = (0.0, 0.0, 0.0);
    for counts in sums.chunks_exact(3) {
        let [own, reference, common] = [counts[0], counts[1], counts[2].max(0.0)];
        if own > 0.0 && reference > 0.0 {
            precision += (common / own).min(1.0);
            recall += (common / reference).min(1.0);
            orders += 1.0;
        }
    }
    if precision + recall == 0.0 {
        return 0.0;
    }
    let (precision, recall) = (precision / orders, recall / orders);
    let factor = BETA * BETA;
    (1.0 + factor) * precision * recall / (factor * precision + recall)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_mark_is_cut_off_a_word_the_last_before_the_first() {
        assert_eq!(
            words("(hi) \"so - it's, ..."),
            ["(hi", ")", "\"", "so", "-", "it's", ",", "..", "."]
        );
    }
}
