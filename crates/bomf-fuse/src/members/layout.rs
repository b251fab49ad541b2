//! The flat vector that members are seen as: which tensor lies where in it.

use std::collections::{HashMap, HashSet};

use super::values::MemberTensor;
use crate::error::{FuseError, Result};

/// How many elements one task works on: enough that starting it costs nothing, few enough that
/// all threads stay busy to the end.
pub(crate) const PIECE: usize = 1 << 16;

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

impl Segment {
    /// The starts and lengths of the parts that tasks work on.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let len = self.len;
        (0..len)
            .step_by(PIECE)
            .map(move |start| (start, PIECE.min(len - start)))
    }
}

/// The segments of a flat vector, in order and without gaps.
#[derive(Debug, Clone, Default)]
pub(super) struct Layout {
    pub segments: Vec<Segment>,
    pub by_name: HashMap<String, usize>,
    pub dim: usize,
}

impl Layout {
    pub fn of(tensors: &[MemberTensor<'_>]) -> Self {
        let mut layout = Self::default();
        for tensor in tensors {
            let len = tensor.values.len();
            let number = layout.segments.len();
            layout.by_name.insert(tensor.name.clone(), number);
            layout.segments.push(Segment {
                name: tensor.name.clone(),
                shape: tensor.shape.clone(),
                offset: layout.dim,
                len,
            });
            layout.dim += len;
        }
        layout
    }
}

/// Refuses a tensor that is there twice, or that has not as many values as its shape says.
pub(super) fn check(label: &str, tensors: &[MemberTensor<'_>]) -> Result<()> {
    let mut seen = HashSet::new();
    for tensor in tensors {
        if !seen.insert(tensor.name.as_str()) {
            return Err(FuseError::DuplicateTensor {
                tensor: tensor.name.clone(),
                member: label.to_owned(),
            });
        }
        let sides = tensor.shape.iter();
        let expected = sides.fold(1usize, |n, &d| n.saturating_mul(d));
        let found = tensor.values.len();
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
