//! One tensor of a checkpoint, seen where it lies in the mapped file.

use safetensors::Dtype;

use crate::convert::decode_f32;
use crate::error::{CheckpointError, Result};
use crate::pytorch::Strided;

/// A tensor of an open [`Checkpoint`](crate::Checkpoint): its name, type, shape and bytes.
///
/// The bytes are little-endian and row-major, as safetensors stores them. (A transposed tensor in
/// a file of PyTorch is brought into that order when its bytes are first asked for, and the copy
/// is kept as long as the checkpoint is open.)
#[derive(Debug, Clone, Copy)]
pub struct TensorRef<'a> {
    pub(crate) name: &'a str,
    pub(crate) dtype: Dtype,
    pub(crate) shape: &'a [usize],
    pub(crate) data: Data<'a>,
}

/// Where a tensor's elements are found.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Data<'a> {
    /// Row-major in the mapped file.
    Plain(&'a [u8]),
    /// With other strides in the mapped file.
    Strided(&'a Strided, &'a [u8]),
}

impl<'a> TensorRef<'a> {
    /// The tensor's name in the checkpoint.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// The type of its elements.
    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// Its shape; empty for a scalar.
    pub fn shape(&self) -> &'a [usize] {
        self.shape
    }

    /// Its bytes, row-major.
    pub fn bytes(&self) -> &'a [u8] {
        match self.data {
            Data::Plain(bytes) => bytes,
            Data::Strided(strided, file) => strided.bytes(file),
        }
    }

    /// Its number of elements: 1 for a scalar, 0 if any side is 0.
    pub fn len(&self) -> usize {
        // The product cannot overflow: the file's header was checked against its length.
        self.shape.iter().product()
    }

    /// Whether it has no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether its elements can be read as `f32` (those of 8, 16, 32 and 64 bits can).
    pub fn is_float(&self) -> bool {
        is_float(self.dtype)
    }

    /// The elements themselves, without a copy: only if they are `f32` and aligned in memory.
    ///
    /// Files written by current versions of safetensors are aligned; older ones need not be.
    pub fn as_f32_slice(&self) -> Option<&'a [f32]> {
        if self.dtype != Dtype::F32 || cfg!(target_endian = "big") {
            return None;
        }
        bytemuck::try_cast_slice(self.bytes()).ok()
    }

    /// The elements as `f32`; f64 is rounded to nearest, the others are exact.
    ///
    /// # Errors
    /// [`CheckpointError::NotFloat`] for integers, booleans and types of fewer than 8 bits.
    pub fn to_f32(&self) -> Result<Vec<f32>> {
        let mut out = vec![0.0; self.len()];
        self.read_f32_into(&mut out)?;
        Ok(out)
    }

    /// Like [`to_f32`](Self::to_f32), into a buffer of exactly [`len`](Self::len) elements.
    ///
    /// # Errors
    /// [`CheckpointError::NotFloat`], or [`CheckpointError::WrongLength`] for a buffer of another
    /// length.
    pub fn read_f32_into(&self, out: &mut [f32]) -> Result<()> {
        if out.len() != self.len() {
            return Err(CheckpointError::WrongLength {
                tensor: self.name.to_owned(),
                expected: self.len(),
                found: out.len(),
            });
        }
        if let Some(values) = self.as_f32_slice() {
            out.copy_from_slice(values);
            return Ok(());
        }
        match decode_f32(self.dtype, self.bytes(), out) {
            true => Ok(()),
            false => Err(CheckpointError::NotFloat {
                tensor: self.name.to_owned(),
                dtype: self.dtype,
            }),
        }
    }
}

/// Whether elements of this type can be read as `f32`.
pub fn is_float(dtype: Dtype) -> bool {
    matches!(
        dtype,
        Dtype::F8_E4M3 | Dtype::F8_E5M2 | Dtype::F16 | Dtype::BF16 | Dtype::F32 | Dtype::F64
    )
}
