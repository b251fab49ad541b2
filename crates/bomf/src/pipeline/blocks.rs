//! Blocks of a model that have weights of their own: embeddings, groups of layers, head.
//!
//! Within the pipeline a mixture is one list of numbers: a weight a member where all blocks
//! share them, or else one set a block, block after block. On disk each has its name
//! ([`BlockWeights`]), beside the mean that stands for all.

use crate::recipe;
use bomf_fuse::{Groups, MemberSet};
use bomf_study::BlockWeights;
use std::collections::BTreeMap;

/// A partition of the members' tensors.
#[derive(Debug, Clone)]
pub(super) struct Blocks {
    pub groups: Groups,
    /// The part of the trained parameters in each block; they sum to one.
    shares: Vec<f64>,
}

impl Blocks {
    /// The blocks that a recipe asks for; `None` where it asks for none, or fewer than two of
    /// them were trained. What was not trained joins the block above it.
    pub fn of(members: &MemberSet<'_>, blocks: recipe::Blocks) -> Option<Self> {
        let found = Self::in_groups(members, blocks.groups()?);
        let is_trained = found.shares.iter().any(|share| *share > 0.0);
        (is_trained && found.groups.len() > 1).then_some(found)
    }

    /// The blocks of these names; `None` where the members have no such blocks.
    pub fn named<'n>(
        members: &MemberSet<'_>,
        names: impl Iterator<Item = &'n String> + Clone,
    ) -> Option<Self> {
        let most = members.segments().len().max(1);
        let mut all = (1..=most).map(|groups| Self::in_groups(members, groups));
        all.find(|blocks| blocks.groups.names().iter().eq(names.clone()))
    }

    fn in_groups(members: &MemberSet<'_>, groups: usize) -> Self {
        let segments = members.segments();
        let proposed = Groups::proposed(segments, groups);
        let mut trained = vec![0usize; proposed.len()];
        for (i, segment) in segments.iter().enumerate() {
            if !members.is_frozen(i) {
                trained[proposed.of(i)] += segment.len;
            }
        }
        let joined = |group: usize| {
            let above = (group..proposed.len()).find(|&g| trained[g] > 0);
            let below = || (0..group).rfind(|&g| trained[g] > 0);
            above.or_else(below).unwrap_or(group)
        };
        let places: BTreeMap<&str, usize> = segments
            .iter()
            .enumerate()
            .map(|(i, segment)| (segment.name.as_str(), i))
            .collect();
        let groups = Groups::by(segments, |segment| {
            let place = places[segment.name.as_str()];
            proposed.names()[joined(proposed.of(place))].clone()
        });
        let mut shares = vec![0.0; groups.len()];
        for (i, segment) in segments.iter().enumerate() {
            if !members.is_frozen(i) {
                shares[groups.of(i)] += segment.len as f64;
            }
        }
        let total = shares.iter().sum::<f64>().max(1.0);
        shares.iter_mut().for_each(|share| *share /= total);
        Blocks { groups, shares }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.groups.len()
    }
}

/// A mixture as it is written down.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Written {
    /// One weight a member: of a mixture by block the mean over the trained parameters.
    pub weights: Vec<f64>,
    pub block_weights: Option<BlockWeights>,
}

/// What is written of a mixture of `n` members.
pub(super) fn written(weights: &[f64], n: usize, blocks: Option<&Blocks>) -> Written {
    let (Some(blocks), true) = (blocks, weights.len() > n) else {
        return Written {
            weights: weights.to_vec(),
            block_weights: None,
        };
    };
    let mut mean = vec![0.0; n];
    for (own, share) in weights.chunks_exact(n).zip(&blocks.shares) {
        for (mean, weight) in mean.iter_mut().zip(own) {
            *mean += share * weight;
        }
    }
    let names = blocks.groups.names().iter().cloned();
    let own = weights.chunks_exact(n).map(<[f64]>::to_vec);
    Written {
        weights: mean,
        block_weights: Some(names.zip(own).collect()),
    }
}

/// The weighted sum of mixtures; by block if one of them is so: to such a one a mixture whose
/// blocks share their weights has these in every block.
pub(super) fn sum(mixtures: &[(f64, &[f64])]) -> Vec<f64> {
    let length = mixtures.iter().map(|(_, own)| own.len()).max();
    let mut sum = vec![0.0; length.unwrap_or(0)];
    for (share, own) in mixtures {
        for (sum, weight) in sum.iter_mut().zip(own.iter().cycle()) {
            *sum += share * weight;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use bomf_fuse::{MemberTensor, Values};

    const NAMES: [&str; 4] = [
        "embeddings.weight",
        "encoder.layer.0.w",
        "encoder.layer.1.w",
        "classifier.weight",
    ];

    /// Two members of four tensors of `lens`; those of `frozen` are alike.
    fn members(lens: [usize; 4], frozen: &[usize]) -> MemberSet<'static> {
        let mut members = MemberSet::new();
        for member in 0..2 {
            let tensor = |(i, name): (usize, &&str)| MemberTensor {
                name: name.to_string(),
                shape: vec![lens[i]],
                values: Values::Owned(match frozen.contains(&i) {
                    true => vec![1.0; lens[i]],
                    false => vec![member as f32; lens[i]],
                }),
            };
            let tensors = NAMES.iter().enumerate().map(tensor).collect();
            members.push(format!("{member}"), tensors).unwrap();
        }
        members
    }

    #[test]
    fn what_was_not_trained_joins_the_block_above_it() {
        let names = |frozen: &[usize], blocks| {
            let members = members([4, 2, 2, 1], frozen);
            Blocks::of(&members, blocks).map(|b| b.groups.names().to_vec())
        };
        let all = ["embeddings", "layer 0", "layer 1", "head"];
        assert_eq!(names(&[], recipe::Blocks::Layers).unwrap(), all);
        assert_eq!(
            names(&[], recipe::Blocks::Groups(1)).unwrap(),
            ["embeddings", "layers 0 to 1", "head"]
        );
        assert_eq!(
            names(&[0, 1], recipe::Blocks::Layers).unwrap(),
            ["layer 1", "head"]
        );
        // The head stays with what is below it where nothing is above.
        assert_eq!(
            names(&[3], recipe::Blocks::Groups(1)).unwrap(),
            ["embeddings", "layers 0 to 1"]
        );
        assert_eq!(names(&[], recipe::Blocks::None), None);
        for frozen in [&[0, 1, 2][..], &[0, 1, 2, 3]] {
            assert_eq!(names(frozen, recipe::Blocks::Layers), None);
        }
    }

    #[test]
    fn blocks_are_found_again_by_their_names() {
        for frozen in [&[][..], &[0], &[1]] {
            let members = members([4, 2, 2, 1], frozen);
            for blocks in [recipe::Blocks::Groups(1), recipe::Blocks::Layers] {
                let made = Blocks::of(&members, blocks).unwrap();
                let found = Blocks::named(&members, made.groups.names().iter()).unwrap();
                assert_eq!(found.groups, made.groups);
            }
            let other = ["stem".to_string(), "head".to_string()];
            assert!(Blocks::named(&members, other.iter()).is_none());
        }
    }

    #[test]
    fn mixtures_by_block_and_shared_ones_are_summed_block_by_block() {
        let (shared, own) = ([0.5, 0.5], [1.0, 0.0, 0.0, 1.0]);
        let found = sum(&[(0.5, &shared), (0.5, &own)]);
        assert_eq!(found, [0.75, 0.25, 0.25, 0.75]);
        assert_eq!(sum(&[(1.0, &shared)]), shared);
        assert_eq!(sum(&[]), [0.0; 0]);
    }

    #[test]
    fn the_weights_that_stand_for_all_blocks_are_their_mean_over_the_parameters() {
        let members = members([4, 2, 2, 1], &[1]);
        let blocks = Blocks::of(&members, recipe::Blocks::Layers).unwrap();
        // Layer 0 went to layer 1: of 7 trained parameters they have 2.
        let flat = [1.0, 0.0, 0.5, 0.5, 0.0, 1.0];
        let found = written(&flat, 2, Some(&blocks));
        let expected = [(4.0 + 1.0) / 7.0, (1.0 + 1.0) / 7.0];
        for (a, b) in found.weights.iter().zip(expected) {
            assert!((a - b).abs() < 1e-12, "{:?}", found.weights);
        }
        let by_block = found.block_weights.unwrap();
        assert_eq!(by_block["layer 1"], [0.5, 0.5]);
        assert_eq!(by_block.keys().last().unwrap(), "head");
        let shared = written(&[0.25, 0.75], 2, Some(&blocks));
        assert_eq!(shared.weights, [0.25, 0.75]);
        assert_eq!(shared.block_weights, None);
    }
}
