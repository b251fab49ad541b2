//! ROUGE (Lin 2004): F1 of what a text and its reference have in common, as google's
//! rouge-score computes it.

use super::ngrams::overlap;
use super::tokens::rouge_words;

/// `2 p r / (p + r)` with `p` and `r` the common share of the text's and of the reference's;
/// 0 where either has none.
fn f1([text, reference, common]: [u32; 3]) -> f64 {
    if text == 0 || reference == 0 || common == 0 {
        return 0.0;
    }
    let common = f64::from(common);
    let (p, r) = (common / f64::from(text), common / f64::from(reference));
    2.0 * p * r / (p + r)
}

/// ROUGE-n.
pub(super) fn n_grams(text: &str, reference: &str, n: usize, stemmed: bool) -> f64 {
    let (text, reference) = (rouge_words(text, stemmed), rouge_words(reference, stemmed));
    f1(overlap(&text, &reference, n))
}

/// ROUGE-L.
pub(super) fn longest(text: &str, reference: &str, stemmed: bool) -> f64 {
    let (text, reference) = (rouge_words(text, stemmed), rouge_words(reference, stemmed));
    let common = longest_common_subsequence(&text, &reference);
    f1([text.len() as u32, reference.len() as u32, common])
}

/// Its length, by the table of all pairs of beginnings, a row at a time.
fn longest_common_subsequence<T: Eq>(a: &[T], b: &[T]) -> u32 {
    let mut above = vec![0u32; b.len() + 1];
    let mut row = above.clone();
    for x in a {
        for (j, y) in b.iter().enumerate() {
            row[j + 1] = match x == y {
                true => above[j] + 1,
                false => above[j + 1].max(row[j]),
            };
        }
        std::mem::swap(&mut above, &mut row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subsequence_need_not_be_contiguous() {
        let length = |a: &str, b: &str| longest_common_subsequence(a.as_bytes(), b.as_bytes());
        assert_eq!(length("abcbdab", "bdcaba"), 4);
        assert_eq!(length("abc", ""), 0);
        assert_eq!(length("aaa", "aa"), 2);
    }
}
