//! The members: n models of one architecture, seen as vectors of the same dimension.
//!
//! A member is a list of named segments (its tensors); the vector theta_i is their concatenation
//! in the order of the first member's segments. Segments that lie in mapped files are read from
//! there each time, in the type that they have there, so that n models need no more memory than
//! the page cache gives.
//!
//! - `values` says where a tensor's values are, `layout` where each lies in the flat vector;
//! - `fuse` forms weighted sums, with weights for all or for each of some [`Groups`] of tensors;
//! - [`Fusion`] keeps a fused model and makes anew only what other weights change.
//!
//! What is frozen (the same in all members, bit for bit) is recognised when it is first asked for,
//! by comparing: a tensor that was trained differs in its first few bytes, so that comparing reads
//! only what is frozen, and that once, where digests would have to read everything.

mod fuse;
mod fusion;
mod groups;
mod layout;
mod values;
mod weights;

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use bomf_checkpoint::Checkpoint;
use rayon::prelude::*;

use crate::error::{FuseError, Result};
use crate::stream::Stream;
use layout::{Layout, check};

pub use fusion::Fusion;
pub use groups::Groups;
pub use layout::Segment;
pub use values::{MappedTensor, MemberTensor, Values};
pub use weights::MemberWeights;

/// n members of dimension d, and what can be computed from all of them in one pass.
///
/// ```
/// use bomf_fuse::{MemberSet, MemberTensor, Values};
///
/// # fn main() -> bomf_fuse::Result<()> {
/// let tensor = |values: &'static [f32]| MemberTensor {
///     name: "weight".into(),
///     shape: vec![2],
///     values: Values::Borrowed(values),
/// };
/// let mut members = MemberSet::new();
/// members.push("checkpoint-100", vec![tensor(&[1.0, 2.0])])?;
/// members.push("checkpoint-200", vec![tensor(&[3.0, 6.0])])?;
///
/// let mut fused = vec![0.0; members.dim()];
/// members.fuse_into(&[0.5, 0.5], &mut fused)?;
/// assert_eq!(fused, [2.0, 4.0]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct MemberSet<'a> {
    labels: Vec<String>,
    layout: Layout,
    /// By segment: whether it is the same in all members; found when it is first asked for.
    frozen: OnceLock<Vec<bool>>,
    /// By member, then by segment.
    values: Vec<Vec<Values<'a>>>,
}

impl<'a> MemberSet<'a> {
    /// No members yet; the first one decides on segments and shapes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Members from open checkpoints, each with a label for messages. The flat vector consists of
    /// the tensors called `names`, in that order; other tensors are not looked at.
    ///
    /// # Errors
    /// A tensor that is missing, not of floats, or of another shape than in the first checkpoint.
    pub fn from_checkpoints<L: Into<String>>(
        checkpoints: impl IntoIterator<Item = (L, Arc<Checkpoint>)>,
        names: &[String],
    ) -> Result<Self> {
        let mut members = Self::new();
        for (label, checkpoint) in checkpoints {
            let mut tensors = Vec::with_capacity(names.len());
            for name in names {
                tensors.push(MemberTensor {
                    name: name.clone(),
                    shape: checkpoint.tensor(name)?.shape().to_vec(),
                    values: Values::of_checkpoint(&checkpoint, name)?,
                });
            }
            members.push(label, tensors)?;
        }
        Ok(members)
    }

    /// Adds a member. Its tensors may come in any order.
    ///
    /// # Errors
    /// [`FuseError::ShapeMismatch`], [`FuseError::MissingTensor`], [`FuseError::ExtraTensor`],
    /// [`FuseError::DuplicateTensor`] or [`FuseError::WrongLength`]; the set is then unchanged.
    pub fn push(&mut self, label: impl Into<String>, tensors: Vec<MemberTensor<'a>>) -> Result<()> {
        let label = label.into();
        check(&label, &tensors)?;
        if self.is_empty() {
            // Starts afresh, whatever an earlier failure may have left.
            self.layout = Layout::of(&tensors);
        }
        let values = self.arrange(&label, tensors)?;
        self.frozen = OnceLock::new();
        self.labels.push(label);
        self.values.push(values);
        Ok(())
    }

    /// Puts a member's tensors in the order of the segments.
    fn arrange(&self, label: &str, tensors: Vec<MemberTensor<'a>>) -> Result<Vec<Values<'a>>> {
        let reference = || self.labels.first().cloned().unwrap_or_default();
        let segments = self.segments();
        let mut slots: Vec<Option<Values<'a>>> = segments.iter().map(|_| None).collect();
        for tensor in tensors {
            let Some(&i) = self.layout.by_name.get(&tensor.name) else {
                return Err(FuseError::ExtraTensor {
                    tensor: tensor.name,
                    member: label.to_owned(),
                    reference: reference(),
                });
            };
            let segment = &segments[i];
            if tensor.shape != segment.shape {
                return Err(FuseError::ShapeMismatch {
                    tensor: tensor.name,
                    member: label.to_owned(),
                    shape: tensor.shape,
                    reference: reference(),
                    expected: segment.shape.clone(),
                });
            }
            slots[i] = Some(tensor.values);
        }
        let named = slots.into_iter().zip(segments);
        named
            .map(|(slot, segment)| {
                slot.ok_or_else(|| FuseError::MissingTensor {
                    tensor: segment.name.clone(),
                    member: label.to_owned(),
                    reference: reference(),
                })
            })
            .collect()
    }

    /// The number of members, n.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The dimension of the flat vectors, d.
    pub fn dim(&self) -> usize {
        self.layout.dim
    }

    /// The members' labels.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// The segments of the flat vector, in order and without gaps.
    pub fn segments(&self) -> &[Segment] {
        &self.layout.segments
    }

    /// The values of one segment of one member as `f32`: where they lie, or a copy where they are
    /// stored in another type.
    ///
    /// # Panics
    /// If there is no such member or segment.
    pub fn values(&self, member: usize, segment: usize) -> Cow<'_, [f32]> {
        self.values[member][segment].to_f32()
    }

    /// Whether a segment is the same in all members, bit for bit and in the same type: it was
    /// frozen while they were trained. It is never fused, but copied (or scaled, by weights that
    /// do not sum to one).
    ///
    /// The first question compares all segments.
    ///
    /// # Panics
    /// If there is no such segment.
    pub fn is_frozen(&self, segment: usize) -> bool {
        self.frozen()[segment]
    }

    fn frozen(&self) -> &[bool] {
        if let Some(frozen) = self.frozen.get() {
            return frozen;
        }
        // Not within `get_or_init`: a thread that waits for others there may be given a task that
        // asks the same, and would wait for itself.
        let segments = (0..self.segments().len()).into_par_iter();
        let frozen = segments.map(|segment| self.is_same(segment)).collect();
        self.frozen.get_or_init(|| frozen)
    }

    fn is_same(&self, segment: usize) -> bool {
        let streams = (0..self.len()).map(|member| self.stream(member, segment));
        let streams: Vec<Stream<'_>> = streams.collect();
        let Some((first, others)) = streams.split_first() else {
            return true;
        };
        // Some elements of all members, and then the next: the first member's stay in the cache.
        let pieces: Vec<_> = self.segments()[segment].pieces().collect();
        pieces.into_par_iter().all(|(start, len)| {
            let first = first.part(start..start + len);
            let is_same = |other: &Stream<'_>| first.is_same(&other.part(start..start + len));
            others.iter().all(is_same)
        })
    }

    /// Whether all values of a member are finite. Nothing is copied.
    ///
    /// # Panics
    /// If there is no such member.
    pub fn is_finite(&self, member: usize) -> bool {
        let segments = self.segments().par_iter().enumerate();
        segments.all(|(number, segment)| {
            let stream = self.stream(member, number);
            let mut room = vec![0.0; layout::PIECE.min(segment.len)];
            segment.pieces().all(|(start, len)| {
                let part = stream.part(start..start + len);
                part.view(&mut room[..len]).iter().all(|v| v.is_finite())
            })
        })
    }

    pub(crate) fn stream(&self, member: usize, segment: usize) -> Stream<'_> {
        self.values[member][segment].stream()
    }
}
