//! Floats where they lie, in the type that they have there.
//!
//! A stream is read from memory once and turned into `f32` in registers, or in the first-level
//! cache: 16-bit members cost half the traffic of `f32` ones, and nothing is kept of them.

use std::ops::Range;

use bomf_checkpoint::{Dtype, decode_f32};
use multiversion::multiversion;

/// The bytes that are compared before it is asked whether they differ.
const COMPARED: usize = 1 << 12;

/// Elements of one tensor, or of a part of it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stream<'a> {
    /// `f32`, aligned.
    Plain(&'a [f32]),
    /// bf16, little-endian.
    Bf16(&'a [[u8; 2]]),
    /// f16, little-endian.
    F16(&'a [[u8; 2]]),
    /// Any float, little-endian, of `size` bytes each.
    Packed {
        dtype: Dtype,
        bytes: &'a [u8],
        size: usize,
    },
}

impl<'a> Stream<'a> {
    /// The floats that `bytes` hold; none for a type that is not read as `f32`.
    pub(crate) fn of_bytes(dtype: Dtype, bytes: &'a [u8]) -> Option<Self> {
        match dtype {
            Dtype::BF16 => Some(Stream::Bf16(bytes.as_chunks().0)),
            Dtype::F16 => Some(Stream::F16(bytes.as_chunks().0)),
            _ if bomf_checkpoint::is_float(dtype) => Some(Stream::Packed {
                dtype,
                bytes,
                size: dtype.bitsize() / 8,
            }),
            _ => None,
        }
    }

    /// The number of elements.
    pub(crate) fn len(&self) -> usize {
        match self {
            Stream::Plain(values) => values.len(),
            Stream::Bf16(values) | Stream::F16(values) => values.len(),
            Stream::Packed { bytes, size, .. } => bytes.len() / size,
        }
    }

    /// Some of the elements.
    ///
    /// # Panics
    /// If there are not so many.
    pub(crate) fn part(&self, range: Range<usize>) -> Self {
        match *self {
            Stream::Plain(values) => Stream::Plain(&values[range]),
            Stream::Bf16(values) => Stream::Bf16(&values[range]),
            Stream::F16(values) => Stream::F16(&values[range]),
            Stream::Packed { dtype, bytes, size } => Stream::Packed {
                dtype,
                bytes: &bytes[range.start * size..range.end * size],
                size,
            },
        }
    }

    /// Writes the elements to `out`, which is as long.
    pub(crate) fn read(&self, out: &mut [f32]) {
        let is_read = match *self {
            Stream::Plain(values) => {
                out.copy_from_slice(values);
                true
            }
            Stream::Bf16(values) => decode_f32(Dtype::BF16, values.as_flattened(), out),
            Stream::F16(values) => decode_f32(Dtype::F16, values.as_flattened(), out),
            Stream::Packed { dtype, bytes, .. } => decode_f32(dtype, bytes, out),
        };
        debug_assert!(is_read, "only floats become a stream");
    }

    /// The elements where they lie if they are `f32` there, or else written to `room`.
    pub(crate) fn view<'b>(&self, room: &'b mut [f32]) -> &'b [f32]
    where
        'a: 'b,
    {
        match *self {
            Stream::Plain(values) => values,
            _ => {
                self.read(room);
                room
            }
        }
    }

    /// Whether both have the same bytes in the same type. The first difference ends it, so that
    /// little is read of tensors that differ.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (*self, *other) {
            (Stream::Plain(a), Stream::Plain(b)) => {
                let parts = a.chunks(COMPARED / 4).zip(b.chunks(COMPARED / 4));
                a.len() == b.len() && parts.into_iter().all(|(a, b)| has_same_bits(a, b))
            }
            (Stream::Bf16(a), Stream::Bf16(b)) | (Stream::F16(a), Stream::F16(b)) => {
                let parts = a.chunks(COMPARED / 2).zip(b.chunks(COMPARED / 2));
                a.len() == b.len() && parts.into_iter().all(|(a, b)| a == b)
            }
            (
                Stream::Packed { dtype, bytes, .. },
                Stream::Packed {
                    dtype: other_dtype,
                    bytes: other,
                    ..
                },
            ) => dtype == other_dtype && bytes == other,
            _ => false,
        }
    }
}

/// Equality of bits: NaN is NaN, and 0 is not -0.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
fn has_same_bits(a: &[f32], b: &[f32]) -> bool {
    let differences = a.iter().zip(b).map(|(a, b)| a.to_bits() ^ b.to_bits());
    differences.fold(0, |all, bits| all | bits) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_the_same_only_with_the_same_bits_in_the_same_type() {
        let nan = f32::from_bits(0x7fc0_0001);
        let long: Vec<f32> = (0..3000).map(|i| i as f32).collect();
        let mut other = long.clone();
        other[2999] = -1.0;
        let plain = |values: &'static [f32]| Stream::Plain(values);
        assert!(Stream::Plain(&[nan, 0.0]).is_same(&Stream::Plain(&[nan, 0.0])));
        assert!(!plain(&[0.0]).is_same(&plain(&[-0.0])));
        assert!(!plain(&[1.0]).is_same(&plain(&[1.0, 2.0])));
        assert!(Stream::Plain(&long).is_same(&Stream::Plain(&long.clone())));
        assert!(!Stream::Plain(&long).is_same(&Stream::Plain(&other)));

        let one = [0x80, 0x3f];
        let bf16 = Stream::of_bytes(Dtype::BF16, &one).unwrap();
        let f16 = Stream::of_bytes(Dtype::F16, &one).unwrap();
        assert!(bf16.is_same(&bf16) && !bf16.is_same(&f16));
        let four = 1.0f32.to_le_bytes();
        let packed = Stream::of_bytes(Dtype::F32, &four).unwrap();
        assert!(packed.is_same(&packed) && !packed.is_same(&plain(&[1.0])));
        assert!(Stream::of_bytes(Dtype::I32, &four).is_none());
    }

    #[test]
    fn a_part_of_a_stream_is_read_in_any_type() {
        let values = [1.0f32, -2.0, 0.5, 3.0];
        let double: Vec<u8> = values
            .iter()
            .flat_map(|v| f64::from(*v).to_le_bytes())
            .collect();
        let upper: Vec<u8> = values
            .iter()
            .flat_map(|v| v.to_le_bytes()[2..].to_vec())
            .collect();
        let streams = [
            Stream::Plain(&values),
            Stream::of_bytes(Dtype::F64, &double).unwrap(),
            Stream::of_bytes(Dtype::BF16, &upper).unwrap(),
        ];
        for stream in streams {
            assert_eq!(stream.len(), 4);
            let mut room = [0.0; 2];
            assert_eq!(stream.part(1..3).view(&mut room), [-2.0, 0.5]);
        }
    }
}
