//! METEOR (Lavie and Agarwal 2007) by exact words and stems, as NLTK computes it: with
//! precision `p` and recall `r` of the words that are matched, in `c` chunks of `m` matches,
//! `(1 - γ (c/m)^β) p r / (α p + (1 - α) r)`.

use super::stem;
use super::tokens::words_13a;
use std::collections::HashMap;

const ALPHA: f64 = 0.9;
const BETA: i32 = 3;
const GAMMA: f64 = 0.5;

/// Matches words that are alike, each with the last free one of the reference, from the last
/// word on; what is matched leaves the lists.
fn align(
    text: &mut Vec<(usize, String)>,
    reference: &mut Vec<(usize, String)>,
    matches: &mut Vec<(usize, usize)>,
) {
    let mut places: HashMap<&str, Vec<usize>> = HashMap::new();
    for (j, word) in reference.iter() {
        places.entry(word).or_default().push(*j);
    }
    let (mut texts, mut references) = (Vec::new(), Vec::new());
    for (i, word) in text.iter().rev() {
        if let Some(j) = places.get_mut(word.as_str()).and_then(Vec::pop) {
            matches.push((*i, j));
            texts.push(*i);
            references.push(j);
        }
    }
    text.retain(|(i, _)| !texts.contains(i));
    reference.retain(|(j, _)| !references.contains(j));
}

pub(super) fn score(text: &str, reference: &str) -> f64 {
    let numbered = |text: &str| -> Vec<(usize, String)> {
        let words = words_13a(text).into_iter();
        words.map(|word| word.to_lowercase()).enumerate().collect()
    };
    let (mut text, mut reference) = (numbered(text), numbered(reference));
    let (own, wanted) = (text.len() as f64, reference.len() as f64);
    let mut matches = Vec::new();
    align(&mut text, &mut reference, &mut matches);
    for (_, word) in text.iter_mut().chain(&mut reference) {
        *word = stem(word);
    }
    align(&mut text, &mut reference, &mut matches);
    if matches.is_empty() {
        return 0.0;
    }
    matches.sort_unstable();
    let follows =
        |pair: &[(usize, usize)]| pair[1].0 == pair[0].0 + 1 && pair[1].1 == pair[0].1 + 1;
    let chunks = 1 + matches.windows(2).filter(|pair| !follows(pair)).count();
    let count = matches.len() as f64;
    let (p, r) = (count / own, count / wanted);
    let mean = p * r / (ALPHA * p + (1.0 - ALPHA) * r);
    (1.0 - GAMMA * (chunks as f64 / count).powi(BETA)) * mean
}
