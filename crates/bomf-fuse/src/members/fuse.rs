//! Weighted sums of members: `theta(w) = sum_i w_i theta_i`, with one vector w for all of the
//! flat vector or one for each group of its segments.

use rayon::prelude::*;

use super::layout::PIECE;
use super::{Groups, MemberSet};
use crate::error::{FuseError, Result};
use crate::sum::{Term, part, weighted_sum};

/// Weights that are valid for a set of members.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Mixture {
    /// The members that take part, with their weights.
    active: Vec<(usize, f32)>,
    /// The sum of all weights: what a segment that all members share is scaled by. (Summed in
    /// `f64`, so that weights which sum to one but for rounding give one.)
    sum: f32,
}

impl Mixture {
    /// The members that a segment is made from, with their weights.
    pub fn terms(&self, is_frozen: bool) -> Vec<(usize, f32)> {
        match self.active.first() {
            Some(&(first, _)) if is_frozen => vec![(first, self.sum)],
            _ => self.active.clone(),
        }
    }
}

impl MemberSet<'_> {
    /// Writes `sum_i weights[i] theta_i` to `out`, a flat vector of dimension [`dim`](Self::dim).
    ///
    /// Weights may be negative and need not sum to one; they are rounded to `f32` and the sum runs
    /// in `f32` over the members in order. Members of weight zero are not read; a single weight of
    /// one gives that member byte for byte; a segment that [is frozen](Self::is_frozen) is copied
    /// from one member, times the sum of the weights. The result does not depend on the number of
    /// threads.
    ///
    /// # Errors
    /// [`FuseError::NoMembers`], [`FuseError::WeightCount`], [`FuseError::NonFiniteWeight`],
    /// [`FuseError::OutputLength`].
    pub fn fuse_into(&self, weights: &[f64], out: &mut [f32]) -> Result<()> {
        let mixture = self.mixture(weights)?;
        check_output(self.dim(), out.len())?;
        self.write(|_| Some(&mixture), out);
        Ok(())
    }

    /// As [`fuse_into`](Self::fuse_into), with weights of their own for each group of segments:
    /// `weights[g]` holds one for each member. Equal weights for all groups give the bytes of
    /// `fuse_into`.
    ///
    /// ```
    /// use bomf_fuse::{Groups, MemberSet, MemberTensor, Values};
    ///
    /// # fn main() -> bomf_fuse::Result<()> {
    /// let mut members = MemberSet::new();
    /// for (label, values) in [("a", [1.0, 2.0]), ("b", [3.0, 6.0])] {
    ///     let names = ["embeddings.weight", "classifier.weight"];
    ///     let tensors = names.into_iter().zip(values).map(|(name, value)| MemberTensor {
    ///         name: name.into(),
    ///         shape: vec![1],
    ///         values: Values::Owned(vec![value]),
    ///     });
    ///     members.push(label, tensors.collect())?;
    /// }
    /// let groups = Groups::proposed(members.segments(), 4);
    /// assert_eq!(groups.names(), ["embeddings", "head"]);
    ///
    /// let mut fused = [0.0; 2];
    /// members.fuse_groups_into(&groups, &[[1.0, 0.0], [0.25, 0.75]], &mut fused)?;
    /// assert_eq!(fused, [1.0, 5.0]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of `fuse_into`, with the group's name in [`FuseError::InGroup`];
    /// [`FuseError::GroupCount`], and [`FuseError::OtherSegments`] for groups of other segments.
    pub fn fuse_groups_into<W: AsRef<[f64]>>(
        &self,
        groups: &Groups,
        weights: &[W],
        out: &mut [f32],
    ) -> Result<()> {
        let mixtures = self.mixtures(groups, weights)?;
        check_output(self.dim(), out.len())?;
        self.write(|segment| Some(&mixtures[groups.of(segment)]), out);
        Ok(())
    }

    /// As [`fuse_into`](Self::fuse_into), but one segment only, for writers that work tensor by
    /// tensor.
    ///
    /// # Errors
    /// As [`fuse_into`](Self::fuse_into).
    ///
    /// # Panics
    /// If there is no such segment.
    pub fn fuse_segment_into(
        &self,
        weights: &[f64],
        segment: usize,
        out: &mut [f32],
    ) -> Result<()> {
        let mixture = self.mixture(weights)?;
        check_output(self.segments()[segment].len, out.len())?;
        let terms = self.terms(segment, &mixture);
        let pieces = out.par_chunks_mut(PIECE).enumerate();
        pieces.for_each(|(i, out)| fuse_piece(&terms, i * PIECE, out));
        Ok(())
    }

    /// Writes the segments for which there is a mixture.
    pub(super) fn write<'m>(
        &self,
        mixture: impl Fn(usize) -> Option<&'m Mixture>,
        out: &mut [f32],
    ) {
        let terms: Vec<Option<Vec<_>>> = (0..self.segments().len())
            .map(|segment| Some(self.terms(segment, mixture(segment)?)))
            .collect();
        let mut rest = out;
        let mut tasks = Vec::new();
        for (segment, terms) in self.segments().iter().zip(&terms) {
            let (own, tail) = rest.split_at_mut(segment.len);
            rest = tail;
            if let Some(terms) = terms {
                let pieces = own.chunks_mut(PIECE).enumerate();
                tasks.extend(pieces.map(|(i, out)| (terms, i * PIECE, out)));
            }
        }
        tasks
            .into_par_iter()
            .for_each(|(terms, start, out)| fuse_piece(terms, start, out));
    }

    fn terms(&self, segment: usize, mixture: &Mixture) -> Vec<Term<'_>> {
        let terms = mixture.terms(self.is_frozen(segment)).into_iter();
        terms
            .map(|(member, weight)| (weight, self.stream(member, segment)))
            .collect()
    }

    /// Weights for each group, checked.
    pub(super) fn mixtures<W: AsRef<[f64]>>(
        &self,
        groups: &Groups,
        weights: &[W],
    ) -> Result<Vec<Mixture>> {
        if groups.num_segments() != self.segments().len() {
            return Err(FuseError::OtherSegments {
                expected: self.segments().len(),
                found: groups.num_segments(),
            });
        }
        if weights.len() != groups.len() {
            return Err(FuseError::GroupCount {
                expected: groups.len(),
                found: weights.len(),
            });
        }
        let named = weights.iter().zip(groups.names());
        named
            .map(|(weights, name)| {
                let mixture = self.mixture(weights.as_ref());
                mixture.map_err(|error| FuseError::InGroup {
                    group: name.clone(),
                    error: Box::new(error),
                })
            })
            .collect()
    }

    /// Weights for all of the flat vector, checked.
    pub(super) fn mixture(&self, weights: &[f64]) -> Result<Mixture> {
        if self.is_empty() {
            return Err(FuseError::NoMembers);
        }
        if weights.len() != self.len() {
            return Err(FuseError::WeightCount {
                expected: self.len(),
                found: weights.len(),
            });
        }
        let mut active = Vec::with_capacity(weights.len());
        for (index, &value) in weights.iter().enumerate() {
            let rounded = value as f32;
            if !rounded.is_finite() {
                return Err(FuseError::NonFiniteWeight { index, value });
            }
            if rounded != 0.0 {
                active.push((index, rounded));
            }
        }
        let sum = weights.iter().sum::<f64>() as f32;
        Ok(Mixture { active, sum })
    }
}

fn fuse_piece(terms: &[Term<'_>], start: usize, out: &mut [f32]) {
    let range = start..start + out.len();
    let inputs: Vec<_> = terms.iter().map(|t| part(t, range.clone())).collect();
    weighted_sum(&inputs, out);
}

pub(super) fn check_output(expected: usize, found: usize) -> Result<()> {
    if expected == found {
        Ok(())
    } else {
        Err(FuseError::OutputLength { expected, found })
    }
}
