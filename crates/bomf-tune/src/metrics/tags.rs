//! Entities among the tags of words: precision, recall and F1 as seqeval has them by default
//! (Nakayama 2018, after `conlleval` of Tjong Kim Sang and Buchholz 2000), over all entities.
//!
//! A tag is `O`, or `B-`, `I-`, `E-` or `S-` before a type. An entity begins at `B` and `S`, at a
//! tag that follows `O`, and where the type changes; broken sequences are read so rather than
//! refused. A name without such a letter counts as the inside of a type of its own.

use super::{MetricError, Result, check_logits};
use crate::data::Tags;
use std::ops::Range;

/// Where a word stands in its entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Outside,
    Begin,
    Inside,
    End,
    Single,
}

/// A tag's name taken apart.
fn parse(name: &str) -> (Part, &str) {
    let part = match name.as_bytes() {
        [b'O'] => return (Part::Outside, ""),
        [b'B'] | [b'B', b'-', ..] => Part::Begin,
        [b'I'] | [b'I', b'-', ..] => Part::Inside,
        [b'E'] | [b'E', b'-', ..] => Part::End,
        [b'S'] | [b'S', b'-', ..] => Part::Single,
        _ => return (Part::Inside, name),
    };
    (part, name.get(2..).unwrap_or_default())
}

/// The entities of a sequence of tags: their types and words.
pub(crate) fn entities<'a>(tags: &[u32], names: &'a [String]) -> Vec<(&'a str, Range<usize>)> {
    let mut found = Vec::new();
    let mut before = (Part::Outside, "");
    let mut begin = 0;
    let outside = (Part::Outside, "");
    let all = tags.iter().map(|&tag| {
        let name = names.get(tag as usize);
        name.map_or(outside, |name| parse(name))
    });
    for (i, tag) in all.chain([outside]).enumerate() {
        let is_in = before.0 != Part::Outside;
        let changes = before.1 != tag.1;
        let ends = is_in
            && (matches!(before.0, Part::End | Part::Single)
                || matches!(tag.0, Part::Begin | Part::Single | Part::Outside)
                || changes);
        if ends {
            found.push((before.1, begin..i));
        }
        let begins = tag.0 != Part::Outside
            && (matches!(tag.0, Part::Begin | Part::Single)
                || matches!(before.0, Part::Outside | Part::End | Part::Single)
                || changes);
        if begins {
            begin = i;
        }
        before = tag;
    }
    found
}

/// What is counted of an example: entities found and right, found, and there; words right, and
/// all.
pub type TagCounts = [u32; 5];

/// Counts of each example from the logits `[words, tags]`.
///
/// # Errors
/// No words, logits that do not fit them, or one that is not finite.
pub fn tag_counts(logits: &[f32], tags: &Tags) -> Result<Vec<TagCounts>> {
    let classes = tags.names.len();
    check_logits(logits, classes, &tags.ids)?;
    let mut rows = logits.chunks_exact(classes);
    let mut all = Vec::with_capacity(tags.counts.len());
    for actual in tags.examples() {
        let rows = rows.by_ref().take(actual.len());
        let predicted: Vec<u32> = rows.map(likeliest).collect();
        let there = entities(actual, &tags.names);
        let found = entities(&predicted, &tags.names);
        let right = found.iter().filter(|entity| there.contains(entity)).count();
        let same = actual
            .iter()
            .zip(&predicted)
            .filter(|(a, b)| a == b)
            .count();
        all.push([right, found.len(), there.len(), same, actual.len()].map(|n| n as u32));
    }
    Ok(all)
}

/// How many entities there are.
pub fn entities_there(tags: &Tags) -> usize {
    let all = tags.examples();
    all.map(|own| entities(own, &tags.names).len()).sum()
}

/// The first of the greatest.
pub fn likeliest(row: &[f32]) -> u32 {
    let best = (1..row.len()).fold(0, |best, i| if row[i] > row[best] { i } else { best });
    best as u32
}

/// Counts over a sample of the examples, as ratios; 0 where they are 0/0.
#[derive(Debug)]
pub(super) struct TagScores(Vec<TagCounts>);

impl TagScores {
    pub fn new(logits: &[f32], tags: &Tags) -> Result<Self> {
        Ok(TagScores(tag_counts(logits, tags)?))
    }

    fn sum(&self, which: usize, times: &[u32]) -> f64 {
        let pairs = self.0.iter().zip(times);
        pairs
            .map(|(n, &t)| f64::from(n[which]) * f64::from(t))
            .sum()
    }

    pub fn precision(&self, times: &[u32]) -> f64 {
        ratio(self.sum(0, times), self.sum(1, times))
    }

    pub fn recall(&self, times: &[u32]) -> f64 {
        ratio(self.sum(0, times), self.sum(2, times))
    }

    pub fn f1(&self, times: &[u32]) -> f64 {
        let all = self.sum(1, times) + self.sum(2, times);
        ratio(2.0 * self.sum(0, times), all)
    }

    pub fn accuracy(&self, times: &[u32]) -> f64 {
        ratio(self.sum(3, times), self.sum(4, times))
    }
}

fn ratio(part: f64, all: f64) -> f64 {
    if all == 0.0 { 0.0 } else { part / all }
}

/// One value an example whose mean is the mean cross-entropy over all words, in nats; spread as
/// [`token_losses`](super::token_losses) is.
///
/// # Errors
/// As [`tag_counts`].
pub fn tag_losses(logits: &[f32], tags: &Tags) -> Result<Vec<f64>> {
    let losses = super::cross_entropy_per_example(logits, tags.names.len(), &tags.ids)?;
    if tags.counts.is_empty() {
        return Err(MetricError::Empty);
    }
    let mut rest = losses.iter();
    let sums: Vec<f64> = tags
        .counts
        .iter()
        .map(|&n| rest.by_ref().take(n as usize).sum())
        .collect();
    Ok(super::tokens::linearised(&sums, &tags.counts))
}
