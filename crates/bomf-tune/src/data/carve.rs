//! Carving a split off another one, class by class.

use std::collections::HashMap;

use indexmap::IndexMap;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::error::{DataError, Result};
use super::labels::Labels;
use super::{DataOptions, Example, Split};

/// Carves the test split and then the validation split off, where they are missing.
///
/// Both fractions are of what the donor had at first. The donor is the train split; without one,
/// the validation split gives the test split.
pub(super) fn carve_missing(
    splits: &mut IndexMap<&'static str, Split>,
    options: &DataOptions,
    notes: &mut Vec<String>,
) -> Result<()> {
    let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
    let donor = if splits.contains_key("train") {
        "train"
    } else {
        "validation"
    };
    let n = splits.get(donor).map_or(0, Split::len);
    let wanted = [
        ("test", options.test_fraction),
        ("validation", options.validation_fraction),
    ];
    for (name, fraction) in wanted {
        if splits.contains_key(name) {
            continue;
        }
        let Some(source) = splits.get(donor) else {
            continue;
        };
        let target = (n as f64 * fraction).round() as usize;
        let (chosen, rest) = carve(&source.texts, &source.labels, target, &mut rng);
        if chosen.is_empty() || rest.is_empty() {
            return Err(DataError::TooFewExamples {
                file: source.file.clone(),
                examples: n,
                split: name,
            });
        }
        notes.push(format!(
            "no {name} file: {} of the {n} {donor} examples carved off (seed {})",
            chosen.len(),
            options.seed
        ));
        let (carved, kept) = (source.select(name, &chosen), source.select(donor, &rest));
        splits.insert(name, carved);
        splits.insert(donor, kept);
    }
    Ok(())
}

/// Chooses about `target` of the examples, at random but class by class; returns their places and
/// those of the rest, both in their old order.
///
/// Each class gives its share (largest remainders; ties to the lower class number). Examples with
/// the same texts stay together, so that none of them stands on both sides, and so do questions
/// on one text; the sizes may therefore be off by a few. A class always keeps one example on the remaining side.
fn carve<R: Rng + ?Sized>(
    texts: &[Example],
    labels: &Labels,
    target: usize,
    rng: &mut R,
) -> (Vec<usize>, Vec<usize>) {
    let strata = strata(texts, labels);
    let quotas = quotas(&strata, texts.len(), target);
    let mut chosen = vec![false; texts.len()];
    for (mut groups, quota) in strata.into_iter().zip(quotas) {
        groups.shuffle(rng);
        let mut taken = 0;
        // The last group stays, whatever the quota says.
        let last = groups.len().saturating_sub(1);
        for group in groups.iter().take(last) {
            if taken >= quota {
                break;
            }
            for &i in group {
                chosen[i] = true;
            }
            taken += group.len();
        }
    }
    (0..texts.len()).partition(|&i| chosen[i])
}

/// What examples that stay together have in common.
#[derive(PartialEq, Eq, Hash)]
enum Key<'a> {
    Whole(&'a Example),
    Context(&'a str),
}

/// Groups of examples with the same texts, by the class of their first one.
fn strata(texts: &[Example], labels: &Labels) -> Vec<Vec<Vec<usize>>> {
    let mut group_of: HashMap<Key<'_>, (usize, usize)> = HashMap::new();
    let mut strata: Vec<Vec<Vec<usize>>> = Vec::new();
    for (i, example) in texts.iter().enumerate() {
        let class = match labels {
            Labels::Class(ids) => ids[i] as usize,
            _ => 0,
        };
        let key = match (labels, &example.text_pair) {
            (Labels::Answers(_), Some(context)) => Key::Context(context),
            _ => Key::Whole(example),
        };
        if strata.len() <= class {
            strata.resize(class + 1, Vec::new());
        }
        let next = (class, strata[class].len());
        let (class, group) = *group_of.entry(key).or_insert(next);
        match strata[class].get_mut(group) {
            Some(members) => members.push(i),
            None => strata[class].push(vec![i]),
        }
    }
    strata
}

/// How many examples each stratum gives, so that they sum to `target`.
fn quotas(strata: &[Vec<Vec<usize>>], total: usize, target: usize) -> Vec<usize> {
    let sizes: Vec<usize> = strata
        .iter()
        .map(|groups| groups.iter().map(Vec::len).sum())
        .collect();
    // In whole numbers, so that no rounding decides: size * target = quota * total + remainder.
    let share = |size: usize| size as u128 * target as u128;
    let total = total.max(1) as u128;
    let mut quotas: Vec<usize> = sizes.iter().map(|&s| (share(s) / total) as usize).collect();
    let mut by_remainder: Vec<usize> = (0..sizes.len()).collect();
    by_remainder.sort_by_key(|&c| std::cmp::Reverse(share(sizes[c]) % total));
    let missing = target.saturating_sub(quotas.iter().sum());
    for &c in by_remainder.iter().take(missing) {
        quotas[c] += 1;
    }
    quotas
}
