//! Mixtures of the members: fused in memory, run over a split.

use super::blocks::Blocks;
use super::evaluator::Evaluated;
use super::outputs::OutputObjectives;
use super::scorer::Scorer;
use super::source::{Measured, Rows, Source};
use crate::{Error, recipe};
use bomf_fuse::{Gram, MemberSet};
use bomf_study::Scores;
use bomf_tune::models::Network;
use bomf_tune::tape::Workspace;
use bomf_tune::train::{EncodedSplit, FrozenStates, split_outputs};
use rand_chacha::ChaCha8Rng;
use std::collections::HashMap;

/// Fuses and evaluates mixtures.
pub(super) struct Mixtures<'a> {
    pub network: &'a Network,
    pub members: &'a MemberSet<'a>,
    pub scorer: &'a Scorer,
    pub select: &'a EncodedSplit,
    objectives: OutputObjectives,
    blocks: Option<Blocks>,
    fused: Vec<f32>,
    workspace: Workspace,
}

impl<'a> Mixtures<'a> {
    pub fn new(
        network: &'a Network,
        members: &'a MemberSet<'a>,
        scorer: &'a Scorer,
        select: &'a EncodedSplit,
    ) -> Self {
        Mixtures {
            network,
            members,
            scorer,
            select,
            objectives: scorer.output_objectives(&select.labels),
            blocks: None,
            fused: vec![0.0; members.dim()],
            workspace: Workspace::default(),
        }
    }

    /// The same, with blocks that may have weights of their own where a recipe asks for them and
    /// there are any.
    pub fn with_blocks(self, blocks: recipe::Blocks) -> Self {
        Mixtures {
            blocks: Blocks::of(self.members, blocks),
            ..self
        }
    }

    /// The fused parameters.
    pub fn fuse(&mut self, weights: &[f64]) -> Result<&[f32], Error> {
        match &self.blocks {
            Some(blocks) if weights.len() > self.members.len() => {
                let own: Vec<&[f64]> = weights.chunks(self.members.len()).collect();
                let members = self.members;
                members.fuse_groups_into(&blocks.groups, &own, &mut self.fused)?;
            }
            _ => self.members.fuse_into(weights, &mut self.fused)?,
        }
        Ok(&self.fused)
    }

    /// The fused model's outputs on a split.
    pub fn outputs(&mut self, weights: &[f64], split: &EncodedSplit) -> Result<Vec<f32>, Error> {
        self.fuse(weights)?;
        outputs_of(self.network, &self.fused, split, &self.workspace)
    }
}

impl Source for Mixtures<'_> {
    fn len(&self) -> usize {
        self.members.len()
    }

    fn measure(
        &mut self,
        weights: &[f64],
        _interrupted: &dyn Fn() -> bool,
    ) -> Result<Option<Measured>, Error> {
        let outputs = self.outputs(weights, self.select)?;
        let scores = self.scorer.scores(&outputs, &self.select.labels)?;
        Ok(scores.map(|scores| Measured {
            scores,
            std_errors: Scores::new(),
            modelled: self.objectives.modelled(&outputs),
            outputs,
        }))
    }

    fn chosen_std_error(
        &mut self,
        evaluated: &Evaluated,
        rng: &mut ChaCha8Rng,
    ) -> Result<Option<f64>, Error> {
        let outputs = self.outputs(&evaluated.weights, self.select)?;
        let labels = &self.select.labels;
        let error = self.scorer.chosen_std_error(&outputs, labels, rng)?;
        Ok(Some(error))
    }

    fn output_objectives(&self) -> Option<OutputObjectives> {
        Some(self.objectives.clone())
    }

    fn gram(&self) -> Result<Option<Rows>, Error> {
        let gram = self.members.gram(|name| !is_word_embedding(name))?;
        Ok(Some(rows(&gram)))
    }

    fn blocks(&self) -> Option<&Blocks> {
        self.blocks.as_ref()
    }

    fn block_grams(&self) -> Result<Option<Vec<Rows>>, Error> {
        let Some(blocks) = &self.blocks else {
            return Ok(None);
        };
        let of: HashMap<&str, usize> = (self.members.segments().iter().enumerate())
            .map(|(i, segment)| (segment.name.as_str(), blocks.groups.of(i)))
            .collect();
        let of_block = |block| {
            let is_own = |name: &str| of.get(name) == Some(&block) && !is_word_embedding(name);
            Ok(rows(&self.members.gram(is_own)?))
        };
        let grams: Result<_, Error> = (0..blocks.len()).map(of_block).collect();
        grams.map(Some)
    }

    fn losses(&self, outputs: &[f32]) -> Result<Option<Vec<f64>>, Error> {
        let losses = self.scorer.losses(outputs, &self.select.labels)?;
        Ok(Some(losses))
    }
}

fn rows(gram: &Gram) -> Rows {
    let rows = gram.values().chunks_exact(gram.n());
    rows.map(<[f64]>::to_vec).collect()
}

/// Names of word embeddings, in every architecture that is known.
const WORD_EMBEDDINGS: [&str; 4] = [
    "word_embeddings.weight",
    "embed_tokens.weight",
    "wte.weight",
    "shared.weight",
];

/// Word embeddings are left out of the members' distance: half of a small model, of which
/// an example sees next to nothing.
fn is_word_embedding(name: &str) -> bool {
    WORD_EMBEDDINGS.iter().any(|end| name.ends_with(end))
}

/// A model's outputs on a split, and the statistics of what it writes where that is asked.
pub(super) fn outputs_of(
    network: &Network,
    params: &[f32],
    split: &EncodedSplit,
    workspace: &Workspace,
) -> Result<Vec<f32>, Error> {
    let none = FrozenStates::none();
    Ok(split_outputs(network, params, split, &none, workspace)?)
}

/// The weights of member `i` alone.
pub(super) fn vertex(i: usize, n: usize) -> Vec<f64> {
    (0..n).map(|j| if i == j { 1.0 } else { 0.0 }).collect()
}
