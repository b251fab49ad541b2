//! One member as weights by name.

use std::borrow::Cow;

use bomf_checkpoint::Dtype;

use super::MemberSet;
use crate::method::Source;
use crate::weights::{TensorInfo, Weights};

/// A member of a set, as other parts of the crate see a model: its segments as tensors of `f32`.
pub struct MemberWeights<'a> {
    members: &'a MemberSet<'a>,
    member: usize,
}

impl MemberSet<'_> {
    /// One member as weights.
    ///
    /// # Panics
    /// If there is no such member.
    pub fn weights_of(&self, member: usize) -> MemberWeights<'_> {
        assert!(member < self.len(), "a member of the set");
        MemberWeights {
            members: self,
            member,
        }
    }
}

impl MemberWeights<'_> {
    fn segment(&self, name: &str) -> Option<usize> {
        let segments = self.members.segments();
        segments.iter().position(|segment| segment.name == name)
    }
}

impl Weights for MemberWeights<'_> {
    fn name(&self) -> String {
        format!("member {}", self.member)
    }

    fn names(&self) -> Vec<&str> {
        let segments = self.members.segments().iter();
        let mut names: Vec<&str> = segments.map(|s| s.name.as_str()).collect();
        names.sort_unstable();
        names
    }

    fn info(&self, name: &str) -> Option<TensorInfo<'_>> {
        let segment = &self.members.segments()[self.segment(name)?];
        Some(TensorInfo {
            dtype: Dtype::F32,
            shape: &segment.shape,
        })
    }

    fn source(&self, name: &str) -> Option<Box<dyn Source + '_>> {
        Some(
            match self.members.values(self.member, self.segment(name)?) {
                Cow::Borrowed(values) => Box::new(values),
                Cow::Owned(values) => Box::new(values),
            },
        )
    }

    fn bytes(&self, _: &str) -> Option<&[u8]> {
        None
    }
}
