//! Carving a split off another one, class by class.

use std::collections::HashMap;

use rand::Rng;
use rand::seq::SliceRandom;

use super::Example;
use super::labels::Labels;

/// Chooses about `target` of the examples, at random but class by class; returns their places and
/// those of the rest, both in their old order.
///
/// Each class gives its share (largest remainders; ties to the lower class number). Examples with
/// the same texts stay together, so that none of them stands on both sides; the sizes may
/// therefore be off by a few. A class always keeps one example on the remaining side.
pub(super) fn carve<R: Rng + ?Sized>(
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

/// Groups of examples with the same texts, by the class of their first one.
fn strata(texts: &[Example], labels: &Labels) -> Vec<Vec<Vec<usize>>> {
    let mut group_of: HashMap<&Example, (usize, usize)> = HashMap::new();
    let mut strata: Vec<Vec<Vec<usize>>> = Vec::new();
    for (i, example) in texts.iter().enumerate() {
        let class = match labels {
            Labels::Class(ids) => ids[i] as usize,
            Labels::Value(_) | Labels::Tokens(_) => 0,
        };
        if strata.len() <= class {
            strata.resize(class + 1, Vec::new());
        }
        let next = (class, strata[class].len());
        let (class, group) = *group_of.entry(example).or_insert(next);
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
