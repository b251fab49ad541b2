//! The values that a pickle makes, and how tensors are read out of them.

use safetensors::Dtype;

use super::Machine;
use super::names::{Name, Version};
use crate::error::{CheckpointError, Result};

/// The most dimensions that a tensor may have; real ones have up to five.
const MAX_DIMENSIONS: usize = 16;

/// The number of a value in the machine's arena.
pub(super) type Id = u32;

/// A value; of those that no tensor is made of, only the kind is kept.
#[derive(Debug)]
pub(super) enum Value<'a> {
    None,
    Bool,
    Int(i64),
    Float,
    Text(&'a str),
    Blob,
    Tuple(Box<[Id]>),
    List,
    Dict(Vec<(Id, Id)>),
    Name(Name),
    Storage(Storage<'a>),
    Tensor(Tensor<'a>),
}

impl Value<'_> {
    fn kind(&self) -> &'static str {
        match self {
            Value::None => "None",
            Value::Bool => "a truth value",
            Value::Int(_) | Value::Float => "a number",
            Value::Text(_) => "text",
            Value::Blob => "bytes",
            Value::Tuple(_) => "a tuple",
            Value::List => "a list",
            Value::Dict(_) => "a dictionary",
            Value::Name(_) => "a class",
            Value::Storage(_) => "a storage",
            Value::Tensor(_) => "a tensor",
        }
    }
}

/// A run of elements in a record of the archive.
#[derive(Debug, Clone, Copy)]
pub(super) struct Storage<'a> {
    /// `None` for a storage of bytes.
    dtype: Option<Dtype>,
    key: &'a str,
}

/// A tensor. Its shape and strides stay where they are, for a pickle may say the same tensor again
/// and again in a few bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tensor<'a> {
    dtype: Dtype,
    key: &'a str,
    offset: u64,
    shape: Id,
    stride: Id,
}

/// A tensor as a view into a storage. Numbers are as the pickle has them, not yet checked.
#[derive(Debug)]
pub(crate) struct View<'a> {
    /// The type of the elements.
    pub(crate) dtype: Dtype,
    /// The storage's record is `data/<key>`.
    pub(crate) key: &'a str,
    /// Elements before the first one.
    pub(crate) offset: u64,
    /// Elements along each dimension.
    pub(crate) shape: Vec<u64>,
    /// Elements from one to the next along each dimension; as many as in `shape`.
    pub(crate) stride: Vec<u64>,
}

/// A tensor and the name that the dictionary has for it.
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) name: &'a str,
    pub(crate) view: View<'a>,
}

impl<'a> Machine<'a, '_> {
    pub(super) fn as_text(&self, id: Id) -> Option<&'a str> {
        match self.value(id) {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    fn as_count(&self, id: Id) -> Option<u64> {
        match self.value(id) {
            Value::Int(value) => u64::try_from(*value).ok(),
            _ => None,
        }
    }

    fn as_counts(&self, id: Id) -> Option<Vec<u64>> {
        match self.value(id) {
            Value::Tuple(items) if items.len() <= MAX_DIMENSIONS => {
                items.iter().map(|&item| self.as_count(item)).collect()
            }
            _ => None,
        }
    }

    pub(super) fn as_storage(&self, id: Id) -> Option<Storage<'a>> {
        let Value::Tuple(parts) = self.value(id) else {
            return None;
        };
        // The location, such as "cuda:0", and the number of elements, which the record tells
        // better, do not matter.
        let &[kind, class, key, _location, _len] = &parts[..] else {
            return None;
        };
        let dtype = match self.value(class) {
            Value::Name(Name::Storage(dtype)) => Some(*dtype),
            Value::Name(Name::UntypedStorage) => None,
            _ => return None,
        };
        let key = self.as_text(key)?;
        (self.as_text(kind) == Some("storage")).then_some(Storage { dtype, key })
    }

    /// The tensor that `_rebuild_tensor*` makes of its arguments.
    pub(super) fn as_tensor(&self, version: Version, arguments: &[Id]) -> Option<Tensor<'a>> {
        let &[storage, offset, shape, stride, ..] = arguments else {
            return None;
        };
        let Value::Storage(storage) = self.value(storage) else {
            return None;
        };
        let dtype = match version {
            Version::Typed => storage.dtype?,
            Version::Untyped => match self.value(*arguments.get(6)?) {
                Value::Name(Name::Dtype(dtype)) => *dtype,
                _ => return None,
            },
        };
        Some(Tensor {
            dtype,
            key: storage.key,
            offset: self.as_count(offset)?,
            shape,
            stride,
        })
    }

    fn as_view(&self, tensor: &Tensor<'a>) -> Option<View<'a>> {
        let view = View {
            dtype: tensor.dtype,
            key: tensor.key,
            offset: tensor.offset,
            shape: self.as_counts(tensor.shape)?,
            stride: self.as_counts(tensor.stride)?,
        };
        (view.shape.len() == view.stride.len()).then_some(view)
    }

    /// The tensors in the dictionary with the number `root`.
    pub(super) fn entries(&self, root: Id) -> Result<Vec<Entry<'a>>> {
        let Value::Dict(items) = self.value(root) else {
            return Err(CheckpointError::NoStateDict {
                path: self.path.to_path_buf(),
                found: self.value(root).kind(),
            });
        };
        let entry = |&(key, value): &(Id, Id)| {
            let name = self
                .as_text(key)
                .ok_or_else(|| self.broken("a key of the dictionary is not text"))?;
            match self.value(value) {
                Value::Tensor(tensor) => {
                    let view = self.as_view(tensor).ok_or_else(|| {
                        self.broken("a tensor's shape and strides are no numbers")
                    })?;
                    Ok(Entry { name, view })
                }
                other => Err(CheckpointError::NotATensor {
                    path: self.path.to_path_buf(),
                    entry: name.to_owned(),
                    found: other.kind(),
                }),
            }
        };
        items.iter().map(entry).collect()
    }
}
