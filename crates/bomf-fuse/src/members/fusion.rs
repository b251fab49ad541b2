//! A fused model in memory that is made again and again, for other weights each time.

use super::fuse::Mixture;
use super::{Groups, MemberSet};
use crate::error::Result;

/// A fused model that remembers the weights it was made with, so that only what other weights
/// change is made anew: frozen segments are written once, and where one group's weights change,
/// the others stay as they are. Its bytes are those of
/// [`fuse_groups_into`](MemberSet::fuse_groups_into).
///
/// ```
/// use bomf_fuse::{Fusion, MemberSet, MemberTensor, Values};
///
/// # fn main() -> bomf_fuse::Result<()> {
/// let mut members = MemberSet::new();
/// for (label, value) in [("a", 1.0), ("b", 3.0)] {
///     let values = Values::Owned(vec![value]);
///     members.push(label, vec![MemberTensor { name: "w".into(), shape: vec![1], values }])?;
/// }
/// let mut fusion = Fusion::new(&members);
/// assert_eq!(fusion.fuse(&[0.5, 0.5])?, [2.0]);
/// assert_eq!(fusion.fuse(&[0.0, 1.0])?, [3.0]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Fusion<'m, 'a> {
    members: &'m MemberSet<'a>,
    values: Vec<f32>,
    /// By segment, what it was made from; nothing before the first time.
    made: Vec<Option<Vec<(usize, f32)>>>,
}

impl<'m, 'a> Fusion<'m, 'a> {
    /// Room for one fused model of these members.
    pub fn new(members: &'m MemberSet<'a>) -> Self {
        Self {
            members,
            values: vec![0.0; members.dim()],
            made: vec![None; members.segments().len()],
        }
    }

    /// The members.
    pub fn members(&self) -> &'m MemberSet<'a> {
        self.members
    }

    /// The model as it was last made; zeros before the first time.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The fused model for these weights, one a member.
    ///
    /// # Errors
    /// As [`MemberSet::fuse_into`]; the model is then as it was.
    pub fn fuse(&mut self, weights: &[f64]) -> Result<&[f32]> {
        let mixture = self.members.mixture(weights)?;
        self.update(|_| &mixture);
        Ok(&self.values)
    }

    /// The fused model for weights of each group.
    ///
    /// # Errors
    /// As [`MemberSet::fuse_groups_into`]; the model is then as it was.
    pub fn fuse_groups<W: AsRef<[f64]>>(
        &mut self,
        groups: &Groups,
        weights: &[W],
    ) -> Result<&[f32]> {
        let mixtures = self.members.mixtures(groups, weights)?;
        self.update(|segment| &mixtures[groups.of(segment)]);
        Ok(&self.values)
    }

    fn update<'w>(&mut self, mixture: impl Fn(usize) -> &'w Mixture) {
        let members = self.members;
        let mut changed = Vec::with_capacity(self.made.len());
        for (segment, made) in self.made.iter_mut().enumerate() {
            let terms = Some(mixture(segment).terms(members.is_frozen(segment)));
            changed.push(*made != terms);
            *made = terms;
        }
        members.write(
            |segment| changed[segment].then(|| mixture(segment)),
            &mut self.values,
        );
    }
}
