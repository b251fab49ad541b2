//! Mixtures of the members: fused in memory, run over a split, remembered.

use super::scorer::Scorer;
use crate::Error;
use bomf_fuse::MemberSet;
use bomf_study::Scores;
use bomf_tune::models::Network;
use bomf_tune::tape::Workspace;
use bomf_tune::train::{EncodedSplit, FrozenStates, outputs};

/// Fuses and evaluates mixtures.
pub(super) struct Mixtures<'a> {
    pub network: &'a Network,
    pub members: &'a MemberSet<'a>,
    pub scorer: &'a Scorer,
    pub select: &'a EncodedSplit,
    fused: Vec<f32>,
    workspace: Workspace,
    /// What was evaluated on the select split, so that nothing is paid twice.
    known: Vec<(Vec<f64>, Option<Scores>)>,
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
            fused: vec![0.0; members.dim()],
            workspace: Workspace::default(),
            known: Vec::new(),
        }
    }

    /// The fused parameters.
    pub fn fuse(&mut self, weights: &[f64]) -> Result<&[f32], Error> {
        self.members.fuse_into(weights, &mut self.fused)?;
        Ok(&self.fused)
    }

    /// The fused model's outputs on a split.
    pub fn outputs(&mut self, weights: &[f64], split: &EncodedSplit) -> Result<Vec<f32>, Error> {
        self.fuse(weights)?;
        let none = FrozenStates::none();
        Ok(outputs(
            self.network,
            &self.fused,
            &split.sequences,
            &none,
            &self.workspace,
        ))
    }

    /// Scores on the select split, and whether they had to be computed; `None` where
    /// the fused model gives no finite ones.
    pub fn scores(&mut self, weights: &[f64]) -> Result<(Option<Scores>, bool), Error> {
        if let Some((_, scores)) = self.known.iter().find(|(known, _)| known == weights) {
            return Ok((scores.clone(), false));
        }
        let outputs = self.outputs(weights, self.select)?;
        let scores = self.scorer.scores(&outputs, &self.select.labels)?;
        self.known.push((weights.to_vec(), scores.clone()));
        Ok((scores, true))
    }

    /// Notes scores that are known from elsewhere: the members' own.
    pub fn remember(&mut self, weights: Vec<f64>, scores: Option<Scores>) {
        self.known.push((weights, scores));
    }
}

/// The weights of member `i` alone.
pub(super) fn vertex(i: usize, n: usize) -> Vec<f64> {
    (0..n).map(|j| if i == j { 1.0 } else { 0.0 }).collect()
}
