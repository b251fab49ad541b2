//! Equal keys at a cut: up to which element they are in.

use std::ops::ControlFlow;

use multiversion::multiversion;

use super::search::Tie;
use super::{Keys, for_runs};
use crate::method::{Block, Inputs};
use crate::methods::common::pieces::{self, Buffers, PIECE};

/// For each tie, its place and the element from which on its key is out.
pub(super) fn last_of_ties(
    inputs: &Inputs<'_>,
    keys: &impl Keys,
    ties: &[Tie],
) -> Vec<(usize, usize)> {
    if ties.is_empty() {
        return Vec::new();
    }
    let mut seen = vec![0; ties.len()];
    // The piece that holds the last wanted element of a tie, and how many of it are wanted there.
    let mut holders: Vec<Option<(usize, usize)>> = vec![None; ties.len()];
    let count = |block: &Block<'_>| {
        let mut counts = vec![0; ties.len()];
        let streams = ties.iter().map(|tie| tie.stream);
        for_runs(keys, block, streams, |i, _, run| {
            counts[i] += equal(run, ties[i].key);
        });
        (block.start, counts)
    };
    pieces::in_order(inputs, PIECE, count, |(start, counts)| {
        for (i, n) in counts.into_iter().enumerate() {
            if holders[i].is_none() && seen[i] + n >= ties[i].wanted {
                holders[i] = Some((start, ties[i].wanted - seen[i]));
            }
            seen[i] += n;
        }
        match holders.iter().all(Option::is_some) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    });
    let mut buffers = Buffers::default();
    let held = ties.iter().zip(holders);
    held.filter_map(|(tie, holder)| {
        let (start, wanted) = holder?;
        let len = PIECE.min(inputs.len() - start);
        let mut before = usize::MAX;
        let mut left = wanted;
        buffers.with_block(inputs, start, len, |block| {
            for_runs(keys, block, std::iter::once(tie.stream), |_, start, run| {
                for (i, key) in run.iter().enumerate() {
                    if *key == tie.key && left > 0 {
                        left -= 1;
                        before = start + i + 1;
                    }
                }
            });
        });
        Some((tie.place, before))
    })
    .collect()
}

#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
fn equal(keys: &[u32], key: u32) -> usize {
    keys.iter().map(|k| u32::from(*k == key)).sum::<u32>() as usize
}
