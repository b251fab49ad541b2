//! The members: n models of one architecture, seen as vectors of the same dimension.
//!
//! A member is a list of named segments (its tensors); the vector theta_i is their concatenation
//! in the order of the first member's segments. Segments that lie in mapped files are read from
//! there each time, so that n models need no more memory than the page cache gives.

use std::collections::HashMap;
use std::sync::Arc;

use bomf_checkpoint::Checkpoint;
use rayon::prelude::*;

use crate::error::{FuseError, Result};
use crate::gram::{self, Gram};
use crate::methods::linear::weighted_sum;

/// How many elements one task works on: enough that starting it costs nothing, few enough that
/// all threads stay busy to the end.
pub(crate) const PIECE: usize = 1 << 16;

/// Where a tensor's values are.
#[derive(Debug, Clone)]
pub enum Values<'a> {
    /// In somebody else's memory.
    Borrowed(&'a [f32]),
    /// In the member set's own memory.
    Owned(Vec<f32>),
    /// In an open checkpoint, as aligned `f32`.
    Mapped(MappedTensor),
}

/// A tensor that is read from its mapped file without a copy.
#[derive(Debug, Clone)]
pub struct MappedTensor {
    checkpoint: Arc<Checkpoint>,
    name: String,
}

impl Values<'_> {
    /// The values of a tensor of a checkpoint: without a copy if they are aligned `f32` there,
    /// otherwise converted.
    ///
    /// # Errors
    /// The tensor does not exist or does not hold floats.
    pub fn of_checkpoint(checkpoint: &Arc<Checkpoint>, name: &str) -> Result<Self> {
        let tensor = checkpoint.tensor(name)?;
        if tensor.as_f32_slice().is_none() {
            return Ok(Values::Owned(tensor.to_f32()?));
        }
        Ok(Values::Mapped(MappedTensor {
            checkpoint: Arc::clone(checkpoint),
            name: name.to_owned(),
        }))
    }

    /// The values themselves.
    pub fn as_slice(&self) -> &[f32] {
        match self {
            Values::Borrowed(values) => values,
            Values::Owned(values) => values,
            // It was there when this was made, and a checkpoint does not change.
            Values::Mapped(t) => t
                .checkpoint
                .get(&t.name)
                .and_then(|tensor| tensor.as_f32_slice())
                .unwrap_or(&[]),
        }
    }
}

/// One tensor of a member.
#[derive(Debug, Clone)]
pub struct MemberTensor<'a> {
    /// Its name.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its values, row-major.
    pub values: Values<'a>,
}

/// What the members have in common: a tensor's name and shape, and its place in the flat vector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// The tensor's name.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Where it begins in the flat vector.
    pub offset: usize,
    /// The number of its elements.
    pub len: usize,
}

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
    segments: Vec<Segment>,
    by_name: HashMap<String, usize>,
    dim: usize,
    /// By member, then by segment.
    values: Vec<Vec<Values<'a>>>,
}

/// A part of one segment that one task works on.
pub(crate) struct Piece {
    pub segment: usize,
    pub start: usize,
    pub len: usize,
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
        check_tensors(&label, &tensors)?;
        if self.is_empty() {
            // Starts afresh, whatever an earlier failure may have left.
            (self.segments, self.by_name, self.dim) = layout(&tensors);
        }
        let values = self.arrange(&label, tensors)?;
        self.labels.push(label);
        self.values.push(values);
        Ok(())
    }

    /// Puts a member's tensors in the order of the segments.
    fn arrange(&self, label: &str, tensors: Vec<MemberTensor<'a>>) -> Result<Vec<Values<'a>>> {
        let reference = || self.labels.first().cloned().unwrap_or_default();
        let mut slots: Vec<Option<Values<'a>>> = self.segments.iter().map(|_| None).collect();
        for tensor in tensors {
            let Some(&i) = self.by_name.get(&tensor.name) else {
                return Err(FuseError::ExtraTensor {
                    tensor: tensor.name,
                    member: label.to_owned(),
                    reference: reference(),
                });
            };
            let segment = &self.segments[i];
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
        let named = slots.into_iter().zip(&self.segments);
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
        self.dim
    }

    /// The members' labels.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// The segments of the flat vector, in order and without gaps.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The values of one segment of one member.
    ///
    /// # Panics
    /// If there is no such member or segment.
    pub fn values(&self, member: usize, segment: usize) -> &[f32] {
        self.values[member][segment].as_slice()
    }

    /// Writes `sum_i weights[i] theta_i` to `out`, a flat vector of dimension [`dim`](Self::dim).
    ///
    /// Weights may be negative and need not sum to one; they are rounded to `f32` and the sum runs
    /// in `f32` over the members in order. Members of weight zero are not read; a single weight of
    /// one gives that member byte for byte. The result does not depend on the number of threads.
    ///
    /// # Errors
    /// [`FuseError::NoMembers`], [`FuseError::WeightCount`], [`FuseError::NonFiniteWeight`],
    /// [`FuseError::OutputLength`].
    pub fn fuse_into(&self, weights: &[f64], out: &mut [f32]) -> Result<()> {
        let active = self.active(weights)?;
        check_output(self.dim, out.len())?;
        let mut rest = out;
        let mut tasks = Vec::new();
        for piece in self.pieces(|_| true) {
            let (head, tail) = rest.split_at_mut(piece.len);
            tasks.push((piece, head));
            rest = tail;
        }
        tasks
            .into_par_iter()
            .for_each(|(piece, out)| self.fuse_piece(&active, &piece, out));
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
        let active = self.active(weights)?;
        check_output(self.segments[segment].len, out.len())?;
        out.par_chunks_mut(PIECE).enumerate().for_each(|(i, out)| {
            let piece = Piece {
                segment,
                start: i * PIECE,
                len: out.len(),
            };
            self.fuse_piece(&active, &piece, out);
        });
        Ok(())
    }

    fn fuse_piece(&self, active: &[(usize, f32)], piece: &Piece, out: &mut [f32]) {
        let inputs: Vec<(f32, &[f32])> = active
            .iter()
            .map(|&(member, weight)| (weight, self.piece_values(member, piece)))
            .collect();
        weighted_sum(&inputs, out);
    }

    /// The Gram matrix of the members' differences from their mean, over the segments that `keep`
    /// says yes to (by their names), in one pass over the weights.
    ///
    /// # Errors
    /// [`FuseError::NoMembers`].
    pub fn gram(&self, keep: impl Fn(&str) -> bool) -> Result<Gram> {
        if self.is_empty() {
            return Err(FuseError::NoMembers);
        }
        let pieces: Vec<Piece> = self.pieces(|s| keep(&s.name)).collect();
        // Each piece by itself and then all of them in order: the same sum for any number of
        // threads.
        let parts: Vec<Vec<f64>> = pieces
            .par_iter()
            .map(|piece| {
                let values: Vec<&[f32]> = (0..self.len())
                    .map(|member| self.piece_values(member, piece))
                    .collect();
                gram::from_first(&values)
            })
            .collect();
        let mut sum = vec![0.0; self.len() * self.len()];
        for part in &parts {
            for (s, p) in sum.iter_mut().zip(part) {
                *s += p;
            }
        }
        Ok(Gram::centered(self.len(), sum))
    }

    /// The members that take part, with their weights.
    fn active(&self, weights: &[f64]) -> Result<Vec<(usize, f32)>> {
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
        Ok(active)
    }

    /// The kept segments, cut into pieces, in the order of the flat vector.
    fn pieces(&self, keep: impl Fn(&Segment) -> bool) -> impl Iterator<Item = Piece> {
        let kept = self.segments.iter().enumerate();
        kept.filter(move |(_, s)| keep(s)).flat_map(|(segment, s)| {
            let len = s.len;
            (0..len).step_by(PIECE).map(move |start| Piece {
                segment,
                start,
                len: PIECE.min(len - start),
            })
        })
    }

    fn piece_values(&self, member: usize, piece: &Piece) -> &[f32] {
        &self.values(member, piece.segment)[piece.start..piece.start + piece.len]
    }
}

fn layout(tensors: &[MemberTensor<'_>]) -> (Vec<Segment>, HashMap<String, usize>, usize) {
    let mut segments = Vec::with_capacity(tensors.len());
    let mut by_name = HashMap::with_capacity(tensors.len());
    let mut offset = 0;
    for tensor in tensors {
        let len = tensor.values.as_slice().len();
        by_name.insert(tensor.name.clone(), segments.len());
        segments.push(Segment {
            name: tensor.name.clone(),
            shape: tensor.shape.clone(),
            offset,
            len,
        });
        offset += len;
    }
    (segments, by_name, offset)
}

fn check_tensors(label: &str, tensors: &[MemberTensor<'_>]) -> Result<()> {
    let mut seen = HashMap::new();
    for tensor in tensors {
        if seen.insert(tensor.name.as_str(), ()).is_some() {
            return Err(FuseError::DuplicateTensor {
                tensor: tensor.name.clone(),
                member: label.to_owned(),
            });
        }
        let expected = tensor
            .shape
            .iter()
            .fold(1usize, |n, &d| n.saturating_mul(d));
        let found = tensor.values.as_slice().len();
        if found != expected {
            return Err(FuseError::WrongLength {
                tensor: tensor.name.clone(),
                member: label.to_owned(),
                expected,
                found,
            });
        }
    }
    Ok(())
}

fn check_output(expected: usize, found: usize) -> Result<()> {
    if expected == found {
        Ok(())
    } else {
        Err(FuseError::OutputLength { expected, found })
    }
}
