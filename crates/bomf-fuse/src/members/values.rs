//! A member's tensors: where their values are, and in which type.

use std::borrow::Cow;
use std::sync::Arc;

use bomf_checkpoint::{Checkpoint, CheckpointError, Dtype};

use crate::error::Result;
use crate::stream::Stream;

/// Where a tensor's values are.
#[derive(Debug, Clone)]
pub enum Values<'a> {
    /// In somebody else's memory.
    Borrowed(&'a [f32]),
    /// In the member set's own memory.
    Owned(Vec<f32>),
    /// In an open checkpoint, in the type that it stores.
    Mapped(MappedTensor),
}

/// A tensor that is read from its mapped file without a copy, as f8, f16, bf16, `f32` or f64.
#[derive(Debug, Clone)]
pub struct MappedTensor {
    checkpoint: Arc<Checkpoint>,
    name: String,
}

impl MappedTensor {
    fn stream(&self) -> Stream<'_> {
        // It was there, and of floats, when this was made, and a checkpoint does not change.
        let tensor = self.checkpoint.get(&self.name);
        let stream = tensor.and_then(|tensor| match tensor.as_f32_slice() {
            Some(values) => Some(Stream::Plain(values)),
            None => Stream::of_bytes(tensor.dtype(), tensor.bytes()),
        });
        stream.unwrap_or(Stream::Plain(&[]))
    }

    /// The type that is stored.
    pub fn dtype(&self) -> Option<Dtype> {
        self.checkpoint.get(&self.name).map(|tensor| tensor.dtype())
    }
}

impl Values<'_> {
    /// The values of a tensor of a checkpoint, which stay where they are in the type that they
    /// have there.
    ///
    /// # Errors
    /// The tensor does not exist or does not hold floats.
    pub fn of_checkpoint(checkpoint: &Arc<Checkpoint>, name: &str) -> Result<Self> {
        let tensor = checkpoint.tensor(name)?;
        if !tensor.is_float() {
            return Err(CheckpointError::NotFloat {
                tensor: name.to_owned(),
                dtype: tensor.dtype(),
            }
            .into());
        }
        Ok(Values::Mapped(MappedTensor {
            checkpoint: Arc::clone(checkpoint),
            name: name.to_owned(),
        }))
    }

    /// The number of values.
    pub fn len(&self) -> usize {
        self.stream().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The values as `f32`: where they lie, or else a copy.
    pub fn to_f32(&self) -> Cow<'_, [f32]> {
        match self.stream() {
            Stream::Plain(values) => Cow::Borrowed(values),
            stream => {
                let mut values = vec![0.0; stream.len()];
                stream.read(&mut values);
                Cow::Owned(values)
            }
        }
    }

    pub(crate) fn stream(&self) -> Stream<'_> {
        match self {
            Values::Borrowed(values) => Stream::Plain(values),
            Values::Owned(values) => Stream::Plain(values),
            Values::Mapped(tensor) => tensor.stream(),
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
