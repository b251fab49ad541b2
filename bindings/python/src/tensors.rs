//! Arrays of Python as models: their elements are read where they lie.
//!
//! What is handed over is a list of `(name, dtype, array)`: the name of the type as safetensors
//! has it (`BF16`, which NumPy does not know, comes as an array of 16-bit integers), and an array
//! with NumPy's `__array_interface__`, C-contiguous.

use crate::errors::wrong;
use bomf_checkpoint::{Dtype, decode_f32, is_float};
use bomf_fuse::method::Source;
use bomf_fuse::{FuseError, Sink, TensorInfo, Weights};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::collections::BTreeMap;

/// Memory that an object of Python owns.
struct Memory {
    start: *mut u8,
    bytes: usize,
    is_read_only: bool,
    shape: Vec<usize>,
    /// Keeps the memory alive.
    _owner: Py<PyAny>,
}

// SAFETY: the pointer stands for memory that `_owner` keeps alive, wherever it is used from. What
// is read here is not written by this module (it refuses outputs that overlap inputs), and what
// is written is written by one thread each.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Memory {
    /// The memory of an array, C-contiguous, of `size` bytes an element.
    fn of(array: &Bound<'_, PyAny>, name: &str, size: usize) -> PyResult<Self> {
        let refused = |why: &str| wrong(format!("tensor `{name}`: {why}"));
        let interface = array.getattr("__array_interface__")?;
        let interface = interface.cast::<PyDict>().map_err(PyErr::from)?;
        let field = |key: &str| -> PyResult<Option<Bound<'_, PyAny>>> {
            Ok(interface.get_item(key)?.filter(|value| !value.is_none()))
        };
        let missing = || refused("its __array_interface__ is not whole");
        let shape: Vec<usize> = field("shape")?.ok_or_else(missing)?.extract()?;
        let kind: String = field("typestr")?.ok_or_else(missing)?.extract()?;
        let (start, is_read_only): (usize, bool) = field("data")?.ok_or_else(missing)?.extract()?;
        if field("strides")?.is_some() {
            return Err(refused("its elements are not contiguous"));
        }
        if kind.starts_with('>') || kind.get(2..) != Some(size.to_string().as_str()) {
            return Err(refused(&format!(
                "an array of type {kind} does not hold elements of {size} bytes"
            )));
        }
        let bytes = shape.iter().try_fold(size, |n, side| n.checked_mul(*side));
        Ok(Memory {
            start: start as *mut u8,
            bytes: bytes.ok_or_else(|| refused("it is larger than memory"))?,
            is_read_only,
            shape,
            _owner: array.clone().unbind(),
        })
    }

    fn bytes(&self) -> &[u8] {
        if self.bytes == 0 {
            return &[];
        }
        // SAFETY: the array's owner is alive, its interface says that so many bytes lie there, and
        // nobody here writes to them.
        unsafe { std::slice::from_raw_parts(self.start, self.bytes) }
    }

    fn range(&self) -> std::ops::Range<usize> {
        let start = self.start as usize;
        start..start + self.bytes
    }
}

/// The type of this name in safetensors.
fn dtype(name: &str) -> PyResult<Dtype> {
    let text = serde_json::Value::String(name.to_owned());
    serde_json::from_value(text).map_err(|_| wrong(format!("there is no type `{name}` of tensors")))
}

/// The name of a type in safetensors.
pub fn name_of(dtype: Dtype) -> String {
    match serde_json::to_value(dtype) {
        Ok(serde_json::Value::String(name)) => name,
        _ => format!("{dtype:?}"),
    }
}

/// A tensor as it is handed over.
pub type Handed<'py> = (String, String, Bound<'py, PyAny>);

struct Tensor {
    dtype: Dtype,
    memory: Memory,
}

/// A model in Python's memory.
pub struct Arrays {
    name: String,
    tensors: BTreeMap<String, Tensor>,
}

impl Arrays {
    /// A model of these tensors; `name` is what messages call it.
    pub fn new(name: String, handed: Vec<Handed<'_>>) -> PyResult<Self> {
        let mut tensors = BTreeMap::new();
        for (key, kind, array) in handed {
            let dtype = self::dtype(&kind)?;
            let memory = Memory::of(&array, &key, dtype.bitsize() / 8)?;
            tensors.insert(key, Tensor { dtype, memory });
        }
        Ok(Arrays { name, tensors })
    }

    fn ranges(&self) -> impl Iterator<Item = std::ops::Range<usize>> {
        self.tensors.values().map(|t| t.memory.range())
    }
}

impl Weights for Arrays {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn names(&self) -> Vec<&str> {
        self.tensors.keys().map(String::as_str).collect()
    }

    fn info(&self, name: &str) -> Option<TensorInfo<'_>> {
        self.tensors.get(name).map(|tensor| TensorInfo {
            dtype: tensor.dtype,
            shape: &tensor.memory.shape,
        })
    }

    fn source(&self, name: &str) -> Option<Box<dyn Source + '_>> {
        let tensor = self.tensors.get(name)?;
        if !is_float(tensor.dtype) {
            return None;
        }
        let bytes = tensor.memory.bytes();
        if tensor.dtype == Dtype::F32
            && cfg!(target_endian = "little")
            && let Ok(values) = bytemuck::try_cast_slice::<u8, f32>(bytes)
        {
            return Some(Box::new(Plain(values)));
        }
        Some(Box::new(Decoded {
            dtype: tensor.dtype,
            bytes,
            size: tensor.dtype.bitsize() / 8,
        }))
    }

    fn bytes(&self, name: &str) -> Option<&[u8]> {
        self.tensors.get(name).map(|tensor| tensor.memory.bytes())
    }
}

/// `f32`, aligned.
struct Plain<'a>(&'a [f32]);

impl Source for Plain<'_> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn read(&self, start: usize, out: &mut [f32]) {
        out.copy_from_slice(&self.0[start..start + out.len()]);
    }

    fn as_slice(&self) -> Option<&[f32]> {
        Some(self.0)
    }
}

/// Any other float.
struct Decoded<'a> {
    dtype: Dtype,
    bytes: &'a [u8],
    size: usize,
}

impl Source for Decoded<'_> {
    fn len(&self) -> usize {
        self.bytes.len() / self.size
    }

    fn read(&self, start: usize, out: &mut [f32]) {
        let bytes = &self.bytes[start * self.size..(start + out.len()) * self.size];
        let is_read = decode_f32(self.dtype, bytes, out);
        debug_assert!(is_read, "only floats become a source");
    }
}

/// Arrays of Python that a fusion is written to, by the tensors' numbers in its plan.
pub struct Outputs(Vec<Memory>);

impl Outputs {
    /// Arrays for tensors of these names, types and shapes, none of which overlaps another or a
    /// model that is read.
    pub fn new<'a>(
        arrays: &[Bound<'_, PyAny>],
        specs: impl ExactSizeIterator<Item = (&'a str, Dtype, &'a [usize])>,
        inputs: &[&Arrays],
    ) -> PyResult<Self> {
        if arrays.len() != specs.len() {
            return Err(wrong(format!(
                "the fusion has {} tensors, but {} arrays are given for them",
                specs.len(),
                arrays.len()
            )));
        }
        let mut outputs = Vec::with_capacity(arrays.len());
        for (array, (name, dtype, shape)) in arrays.iter().zip(specs) {
            let memory = Memory::of(array, name, dtype.bitsize() / 8)?;
            if memory.shape != shape {
                return Err(wrong(format!(
                    "tensor `{name}` is {:?} in the output but {shape:?} in the fusion",
                    memory.shape
                )));
            }
            if memory.is_read_only {
                return Err(wrong(format!("tensor `{name}` of the output is read-only")));
            }
            outputs.push(memory);
        }
        let outputs = Outputs(outputs);
        outputs.refuse_overlaps(inputs)?;
        Ok(outputs)
    }

    fn refuse_overlaps(&self, inputs: &[&Arrays]) -> PyResult<()> {
        let own = self.0.iter().map(|memory| (memory.range(), true));
        let read = inputs.iter().flat_map(|arrays| arrays.ranges());
        let mut all: Vec<_> = own.chain(read.map(|range| (range, false))).collect();
        all.retain(|(range, _)| !range.is_empty());
        all.sort_by_key(|(range, _)| range.start);
        // The end of the furthest output, and of the furthest range of any kind.
        let (mut output_end, mut end) = (0, 0);
        for (range, is_output) in all {
            let met = if is_output { end } else { output_end };
            if range.start < met {
                return Err(wrong(
                    "the output shares memory with a member or with itself: give other arrays",
                ));
            }
            end = end.max(range.end);
            if is_output {
                output_end = output_end.max(range.end);
            }
        }
        Ok(())
    }
}

impl Sink for Outputs {
    fn put(&self, tensor: usize, start: u64, bytes: &[u8]) -> Result<(), FuseError> {
        let memory = &self.0[tensor];
        let start = usize::try_from(start).unwrap_or(usize::MAX);
        let fits = start
            .checked_add(bytes.len())
            .is_some_and(|end| end <= memory.bytes);
        assert!(fits, "a fusion stays within its tensors");
        // SAFETY: the part lies within memory that its owner keeps alive; pieces of a fusion do
        // not overlap, outputs overlap neither each other nor what is read, and no reference to
        // the memory exists.
        unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), memory.start.add(start), bytes.len());
        }
        Ok(())
    }
}
