//! Putting tensors into the safetensors format: the header, and floats in the output type.
//!
//! The layout is that of the safetensors library (tensors by falling alignment, then by name; the
//! header padded with spaces to a multiple of 8 bytes), but written tensor by tensor, so that no
//! more than one tensor is in memory, and with the metadata in a fixed order.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use safetensors::Dtype;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use crate::error::{CheckpointError, Result};
use crate::f8;
use crate::tensor::is_float;
use crate::writer::TensorData;

/// Headers are padded to this, so that the tensors behind them are aligned.
const HEADER_ALIGNMENT: usize = 8;

/// How many elements are converted at a time: small enough for the first-level cache.
const BLOCK: usize = 4096;

/// The greatest number of the type.
const E5M2_MAX: f32 = 57344.0;

/// What a tensor will be in the file: name, type and shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorSpec {
    /// Its name.
    pub name: String,
    /// The type that its elements are written in.
    pub dtype: Dtype,
    /// Its shape; empty for a scalar.
    pub shape: Vec<usize>,
}

impl TensorSpec {
    /// A spec from its parts.
    pub fn new(name: impl Into<String>, dtype: Dtype, shape: &[usize]) -> Self {
        Self {
            name: name.into(),
            dtype,
            shape: shape.to_vec(),
        }
    }

    /// The number of elements.
    pub fn num_elements(&self) -> usize {
        self.shape.iter().fold(1, |n, &d| n.saturating_mul(d))
    }

    /// The number of bytes in the file.
    pub fn num_bytes(&self) -> u64 {
        (self.num_elements() as u64)
            .saturating_mul(self.dtype.bitsize() as u64)
            .div_ceil(8)
    }
}

/// One entry of the header, as the format spells it.
#[derive(Serialize)]
struct HeaderEntry<'a> {
    dtype: Dtype,
    shape: &'a [usize],
    data_offsets: (u64, u64),
}

struct Header<'a> {
    metadata: &'a BTreeMap<String, String>,
    entries: Vec<(&'a str, HeaderEntry<'a>)>,
}

impl Serialize for Header<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if !self.metadata.is_empty() {
            map.serialize_entry("__metadata__", self.metadata)?;
        }
        for (name, entry) in &self.entries {
            map.serialize_entry(name, entry)?;
        }
        map.end()
    }
}

/// What a file with the tensors `members` of `specs` begins with (the header and its length), and
/// the order in which they follow; `shown` is the file's name in error messages.
pub(crate) fn head(
    shown: &Path,
    specs: &[TensorSpec],
    members: &[usize],
    metadata: &BTreeMap<String, String>,
) -> Result<(Vec<u8>, Vec<usize>)> {
    let mut order = members.to_vec();
    // `Dtype` is ordered by alignment.
    order.sort_by(|&a, &b| {
        let (a, b) = (&specs[a], &specs[b]);
        b.dtype.cmp(&a.dtype).then_with(|| a.name.cmp(&b.name))
    });
    let mut offset = 0u64;
    let mut entries = Vec::with_capacity(order.len());
    for &i in &order {
        let spec = &specs[i];
        let end = offset.saturating_add(spec.num_bytes());
        let entry = HeaderEntry {
            dtype: spec.dtype,
            shape: &spec.shape,
            data_offsets: (offset, end),
        };
        entries.push((spec.name.as_str(), entry));
        offset = end;
    }
    let mut header = serde_json::to_vec(&Header { metadata, entries }).map_err(|e| {
        CheckpointError::BrokenJson {
            path: shown.to_path_buf(),
            reason: e.to_string(),
        }
    })?;
    header.resize(header.len().next_multiple_of(HEADER_ALIGNMENT), b' ');
    let mut head = (header.len() as u64).to_le_bytes().to_vec();
    head.extend(header);
    Ok((head, order))
}

/// Writes the tensors `members` of `specs` to a file; `shown` is its name in error messages.
pub(crate) fn write_safetensors<'d>(
    file: &mut File,
    shown: &Path,
    specs: &[TensorSpec],
    members: &[usize],
    metadata: &BTreeMap<String, String>,
    fetch: &mut impl FnMut(usize) -> Result<TensorData<'d>>,
) -> Result<()> {
    let (head, order) = head(shown, specs, members, metadata)?;
    let failed = |e| CheckpointError::io("write", shown, e);
    file.write_all(&head).map_err(failed)?;
    for &i in &order {
        let spec = &specs[i];
        match fetch(i)? {
            TensorData::Bytes(bytes) => {
                if bytes.len() as u64 != spec.num_bytes() {
                    return Err(wrong_length(spec, bytes.len() * 8 / spec.dtype.bitsize()));
                }
                file.write_all(&bytes).map_err(failed)?;
            }
            TensorData::F32(values) => {
                check_floats(spec, &values)?;
                write_floats(file, spec.dtype, &values).map_err(failed)?;
            }
        }
    }
    Ok(())
}

fn check_floats(spec: &TensorSpec, values: &[f32]) -> Result<()> {
    if !is_float(spec.dtype) {
        return Err(CheckpointError::NotFloat {
            tensor: spec.name.clone(),
            dtype: spec.dtype,
        });
    }
    if values.len() != spec.num_elements() {
        return Err(wrong_length(spec, values.len()));
    }
    let too_large = |v: &&f32| match spec.dtype {
        Dtype::F8_E5M2 => f8::E5M2.overflows(**v),
        Dtype::F16 => v.is_finite() && f16::from_f32(**v).is_infinite(),
        Dtype::BF16 => v.is_finite() && bf16::from_f32(**v).is_infinite(),
        _ => false,
    };
    // Only values of some size can overflow: the rest is passed over quickly.
    let threshold = match spec.dtype {
        Dtype::F8_E5M2 => E5M2_MAX,
        _ => f32::from(f16::MAX),
    };
    match values
        .iter()
        .filter(|v| v.abs() >= threshold)
        .find(too_large)
    {
        Some(&value) => Err(CheckpointError::OutOfRange {
            tensor: spec.name.clone(),
            value,
            dtype: spec.dtype,
        }),
        None => Ok(()),
    }
}

fn wrong_length(spec: &TensorSpec, found: usize) -> CheckpointError {
    CheckpointError::WrongLength {
        tensor: spec.name.clone(),
        expected: spec.num_elements(),
        found,
    }
}

fn write_floats(out: &mut impl Write, dtype: Dtype, values: &[f32]) -> io::Result<()> {
    if dtype == Dtype::F32 && cfg!(target_endian = "little") {
        return out.write_all(bytemuck::cast_slice(values));
    }
    let mut bytes = Vec::with_capacity(BLOCK * 8);
    let mut f16s = [f16::ZERO; BLOCK];
    let mut bf16s = [bf16::ZERO; BLOCK];
    // 4096 elements are 8 KiB of f16: written through a buffer, to spare system calls.
    let mut out = io::BufWriter::with_capacity(1 << 20, out);
    for block in values.chunks(BLOCK) {
        bytes.clear();
        match dtype {
            Dtype::F16 => {
                let half = &mut f16s[..block.len()];
                half.convert_from_f32_slice(block);
                bytes.extend(half.iter().flat_map(|v| v.to_le_bytes()));
            }
            Dtype::BF16 => {
                let half = &mut bf16s[..block.len()];
                half.convert_from_f32_slice(block);
                bytes.extend(half.iter().flat_map(|v| v.to_le_bytes()));
            }
            Dtype::F8_E4M3 => bytes.extend(block.iter().map(|&v| f8::E4M3.encode(v))),
            Dtype::F8_E5M2 => bytes.extend(block.iter().map(|&v| f8::E5M2.encode(v))),
            Dtype::F64 => bytes.extend(block.iter().flat_map(|&v| f64::from(v).to_le_bytes())),
            _ => bytes.extend(block.iter().flat_map(|v| v.to_le_bytes())),
        }
        out.write_all(&bytes)?;
    }
    out.flush()
}
