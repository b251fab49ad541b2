//! SQuAD's comparison of texts (Rajpurkar et al. 2016, 2018): lower case, without punctuation
//! and articles, white space as one space.

use std::collections::HashMap;

/// What a word of Python's regular expressions is made of, underscores apart: they are gone with
/// the punctuation.
fn is_word(c: char) -> bool {
    c.is_alphanumeric()
}

/// What Python's `str.split` splits at: the separators of ASCII are no white space in Unicode.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// The words of a text by which answers are compared.
pub(crate) fn words(text: &str) -> Vec<String> {
    let kept: String = text
        .to_lowercase()
        .chars()
        .filter(|c| !c.is_ascii_punctuation())
        .collect();
    let mut plain = String::with_capacity(kept.len());
    let mut rest = kept.as_str();
    while let Some(first) = rest.chars().next() {
        let end = match is_word(first) {
            true => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
            false => first.len_utf8(),
        };
        let (run, others) = rest.split_at(end);
        plain.push_str(match run {
            "a" | "an" | "the" => " ",
            run => run,
        });
        rest = others;
    }
    let words = plain.split(is_space).filter(|word| !word.is_empty());
    words.map(String::from).collect()
}

/// The words of the answers that are right: those that have any, and none at all where no
/// answer has.
pub(crate) fn right_words(answers: &[String]) -> Vec<Vec<String>> {
    let mut right: Vec<_> = answers.iter().map(|answer| words(answer)).collect();
    right.retain(|words| !words.is_empty());
    if right.is_empty() {
        right.push(Vec::new());
    }
    right
}

/// The greatest F1 of a prediction's words with those of a right answer.
pub(crate) fn f1(prediction: &[String], right: &[Vec<String>]) -> f64 {
    let of = |right: &Vec<String>| {
        if right.is_empty() || prediction.is_empty() {
            return f64::from(u8::from(right.as_slice() == prediction));
        }
        let mut left: HashMap<&str, usize> = HashMap::new();
        for word in right {
            *left.entry(word).or_default() += 1;
        }
        let mut same = 0;
        for word in prediction {
            if let Some(count) = left.get_mut(word.as_str()).filter(|count| **count > 0) {
                *count -= 1;
                same += 1;
            }
        }
        if same == 0 {
            return 0.0;
        }
        let precision = f64::from(same) / prediction.len() as f64;
        let recall = f64::from(same) / right.len() as f64;
        2.0 * precision * recall / (precision + recall)
    };
    right.iter().map(of).fold(0.0, f64::max)
}
