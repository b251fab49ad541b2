//! The tensors of one model as fusion sees them: names, types, shapes, and elements to be read in
//! any part.

use bomf_checkpoint::{Checkpoint, Dtype, TensorRef, decode_f32, decode_f64, round_f32};

use crate::method::Source;

/// A tensor's type and shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TensorInfo<'a> {
    /// The type of its elements.
    pub dtype: Dtype,
    /// Its shape; empty for a scalar.
    pub shape: &'a [usize],
}

/// The tensors of one model, wherever they come from.
pub trait Weights: Send + Sync {
    /// What messages call the model.
    fn name(&self) -> String;

    /// The names of its tensors, in byte order.
    fn names(&self) -> Vec<&str>;

    /// A tensor's type and shape, if there is one of this name.
    fn info(&self, name: &str) -> Option<TensorInfo<'_>>;

    /// A tensor's elements as `f32`, if there are floats of this name.
    fn source(&self, name: &str) -> Option<Box<dyn Source + '_>>;

    /// A tensor's bytes as they lie in a file, where they do.
    fn bytes(&self, name: &str) -> Option<&[u8]>;

    /// What is known of the model beside its weights, where anything is.
    fn statistics(&self) -> Option<&dyn Weights> {
        None
    }
}

impl Weights for Checkpoint {
    fn name(&self) -> String {
        self.path().display().to_string()
    }

    fn names(&self) -> Vec<&str> {
        Checkpoint::names(self).collect()
    }

    fn info(&self, name: &str) -> Option<TensorInfo<'_>> {
        self.get(name).map(|tensor| TensorInfo {
            dtype: tensor.dtype(),
            shape: tensor.shape(),
        })
    }

    fn source(&self, name: &str) -> Option<Box<dyn Source + '_>> {
        source_of(self.get(name)?)
    }

    fn bytes(&self, name: &str) -> Option<&[u8]> {
        self.get(name).map(|tensor| tensor.bytes())
    }
}

/// What points to weights is weights.
macro_rules! forwarded {
    ($pointer:ty) => {
        impl<W: Weights + ?Sized> Weights for $pointer {
            fn name(&self) -> String {
                (**self).name()
            }

            fn names(&self) -> Vec<&str> {
                (**self).names()
            }

            fn info(&self, name: &str) -> Option<TensorInfo<'_>> {
                (**self).info(name)
            }

            fn source(&self, name: &str) -> Option<Box<dyn Source + '_>> {
                (**self).source(name)
            }

            fn bytes(&self, name: &str) -> Option<&[u8]> {
                (**self).bytes(name)
            }

            fn statistics(&self) -> Option<&dyn Weights> {
                (**self).statistics()
            }
        }
    };
}

forwarded!(&W);
forwarded!(Box<W>);

/// A model with its statistics.
pub struct WithStatistics<W, S> {
    /// The model.
    pub weights: W,
    /// Its statistics; none if it has none.
    pub statistics: Option<S>,
}

impl<W: Weights, S: Weights> Weights for WithStatistics<W, S> {
    fn name(&self) -> String {
        self.weights.name()
    }

    fn names(&self) -> Vec<&str> {
        self.weights.names()
    }

    fn info(&self, name: &str) -> Option<TensorInfo<'_>> {
        self.weights.info(name)
    }

    fn source(&self, name: &str) -> Option<Box<dyn Source + '_>> {
        self.weights.source(name)
    }

    fn bytes(&self, name: &str) -> Option<&[u8]> {
        self.weights.bytes(name)
    }

    fn statistics(&self) -> Option<&dyn Weights> {
        self.statistics.as_ref().map(|s| s as &dyn Weights)
    }
}

/// The elements of a tensor where they lie, if they are floats.
pub(crate) fn source_of(tensor: TensorRef<'_>) -> Option<Box<dyn Source + '_>> {
    if !tensor.is_float() {
        return None;
    }
    Some(match tensor.as_f32_slice() {
        Some(values) => Box::new(Plain(values)),
        None => Box::new(Mapped {
            dtype: tensor.dtype(),
            bytes: tensor.bytes(),
            len: tensor.len(),
        }),
    })
}

/// Floats that lie in memory as they are.
struct Plain<'a>(&'a [f32]);

impl Source for Plain<'_> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn read(&self, start: usize, out: &mut [f32]) {
        self.0.read(start, out);
    }

    fn as_slice(&self) -> Option<&[f32]> {
        Some(self.0)
    }
}

/// Floats of a file, mapped.
struct Mapped<'a> {
    dtype: Dtype,
    bytes: &'a [u8],
    len: usize,
}

impl Source for Mapped<'_> {
    fn len(&self) -> usize {
        self.len
    }

    fn read(&self, start: usize, out: &mut [f32]) {
        let size = self.bytes.len() / self.len.max(1);
        let bytes = &self.bytes[start * size..(start + out.len()) * size];
        let is_float = decode_f32(self.dtype, bytes, out);
        debug_assert!(is_float, "only floats become a source");
    }

    fn read_f64(&self, start: usize, out: &mut [f64]) {
        let size = self.bytes.len() / self.len.max(1);
        let bytes = &self.bytes[start * size..(start + out.len()) * size];
        let is_float = decode_f64(self.dtype, bytes, out);
        debug_assert!(is_float, "only floats become a source");
    }
}

/// Elements rounded to a type with fewer digits.
pub(crate) struct Rounded<'a> {
    pub inner: Box<dyn Source + 'a>,
    pub dtype: Dtype,
}

impl Source for Rounded<'_> {
    fn len(&self) -> usize {
        self.inner.len()
    }

    fn read(&self, start: usize, out: &mut [f32]) {
        self.inner.read(start, out);
        round_f32(self.dtype, out);
    }
}
