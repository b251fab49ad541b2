//! Floats between `f32` and the types that files hold, block by block.
//!
//! Reading is exact (f64 is rounded to nearest). Writing rounds once, to nearest with ties to
//! even. The loops are compiled for several instruction sets and give the same bits in all of
//! them; bytes need no alignment, which old safetensors files do not promise.

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use multiversion::multiversion;
use safetensors::Dtype;

use crate::f8;

/// How many half-precision floats are converted at a time: they stay in the first-level cache.
const BLOCK: usize = 2048;

/// The bits of an infinite `f32`; a greater absolute value is NaN.
const INFINITE: u32 = 0x7f80_0000;

/// What was met while floats were encoded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Encoded {
    /// How many values are NaN.
    pub nan: u64,
    /// How many values are infinite in the output.
    pub infinite: u64,
    /// How many of these were finite before: they are beyond the type's range.
    pub overflowed: u64,
}

impl std::ops::AddAssign for Encoded {
    fn add_assign(&mut self, other: Self) {
        self.nan += other.nan;
        self.infinite += other.infinite;
        self.overflowed += other.overflowed;
    }
}

/// Writes the floats that `bytes` hold (little-endian) to `out`, which is as long; whether
/// `dtype` is one that can be read so (f8, f16, bf16, f32, f64).
///
/// # Panics
/// If the lengths differ.
pub fn decode_f32(dtype: Dtype, bytes: &[u8], out: &mut [f32]) -> bool {
    let size = match dtype {
        Dtype::F8_E4M3 | Dtype::F8_E5M2 => 1,
        Dtype::F16 | Dtype::BF16 => 2,
        Dtype::F32 => 4,
        Dtype::F64 => 8,
        _ => return false,
    };
    assert_eq!(
        bytes.len(),
        out.len() * size,
        "as many floats as there is room"
    );
    match dtype {
        Dtype::F8_E4M3 => decode_f8(f8::E4M3, bytes, out),
        Dtype::F8_E5M2 => decode_f8(f8::E5M2, bytes, out),
        Dtype::F16 => decode_f16(bytes.as_chunks().0, out),
        Dtype::BF16 => decode_bf16(bytes.as_chunks().0, out),
        Dtype::F32 => decode_plain(bytes.as_chunks().0, out),
        _ => decode_double(bytes.as_chunks().0, out),
    }
    true
}

fn decode_f8(format: f8::Format, bytes: &[u8], out: &mut [f32]) {
    let table = format.table();
    for (o, b) in out.iter_mut().zip(bytes) {
        *o = table[usize::from(*b)];
    }
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl", "x86_64+avx2"))]
fn decode_bf16(bytes: &[[u8; 2]], out: &mut [f32]) {
    for (o, b) in out.iter_mut().zip(bytes) {
        *o = f32::from_bits(u32::from(u16::from_le_bytes(*b)) << 16);
    }
}

fn decode_f16(bytes: &[[u8; 2]], out: &mut [f32]) {
    let mut aligned = [f16::ZERO; BLOCK];
    for (out, bytes) in out.chunks_mut(BLOCK).zip(bytes.chunks(BLOCK)) {
        let aligned = &mut aligned[..bytes.len()];
        for (a, b) in aligned.iter_mut().zip(bytes) {
            *a = f16::from_le_bytes(*b);
        }
        // This uses the processor's own instructions where it has them.
        aligned.convert_to_f32_slice(out);
    }
}

fn decode_plain(bytes: &[[u8; 4]], out: &mut [f32]) {
    for (o, b) in out.iter_mut().zip(bytes) {
        *o = f32::from_le_bytes(*b);
    }
}

fn decode_double(bytes: &[[u8; 8]], out: &mut [f32]) {
    for (o, b) in out.iter_mut().zip(bytes) {
        *o = f64::from_le_bytes(*b) as f32;
    }
}

/// Writes floats to `out` as `dtype` (f8, f16, bf16, f32 or f64, little-endian), each rounded to
/// nearest, ties to even; `None` for another type. What becomes infinite is written so and
/// counted; E4M3 has no infinity, and what is beyond its range becomes its greatest number.
///
/// # Panics
/// If `out` has not the length that the values need.
pub fn encode_f32(dtype: Dtype, values: &[f32], out: &mut [u8]) -> Option<Encoded> {
    let size = match dtype {
        Dtype::F8_E4M3 | Dtype::F8_E5M2 => 1,
        Dtype::F16 | Dtype::BF16 => 2,
        Dtype::F32 => 4,
        Dtype::F64 => 8,
        _ => return None,
    };
    assert_eq!(out.len(), values.len() * size, "room for as many floats");
    Some(match dtype {
        Dtype::F8_E4M3 => encode_f8(f8::E4M3, values, out),
        Dtype::F8_E5M2 => encode_f8(f8::E5M2, values, out),
        Dtype::F16 => encode_f16(values, out.as_chunks_mut().0),
        Dtype::BF16 => {
            // Counted in `u32`, which vectorises; a block is far below its range.
            let mut total = Encoded::default();
            let out = out.as_chunks_mut().0;
            for (values, out) in values.chunks(BLOCK).zip(out.chunks_mut(BLOCK)) {
                let [nan, infinite, overflowed] = encode_bf16(values, out).map(u64::from);
                total += Encoded {
                    nan,
                    infinite,
                    overflowed,
                };
            }
            total
        }
        Dtype::F32 => {
            for (o, v) in out.as_chunks_mut().0.iter_mut().zip(values) {
                *o = v.to_le_bytes();
            }
            count(values)
        }
        _ => {
            for (o, v) in out.as_chunks_mut().0.iter_mut().zip(values) {
                *o = f64::from(*v).to_le_bytes();
            }
            count(values)
        }
    })
}

fn encode_f8(format: f8::Format, values: &[f32], out: &mut [u8]) -> Encoded {
    let mut total = Encoded::default();
    for (o, v) in out.iter_mut().zip(values) {
        *o = format.encode(*v);
        let is_infinite = format.decode(*o).is_infinite();
        total.nan += u64::from(v.is_nan());
        total.infinite += u64::from(is_infinite);
        total.overflowed += u64::from(is_infinite && v.is_finite());
    }
    total
}

/// NaNs, infinite and overflowed values, in this order.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl", "x86_64+avx2"))]
fn encode_bf16(values: &[f32], out: &mut [[u8; 2]]) -> [u32; 3] {
    let (mut nan, mut infinite, mut was_infinite) = (0u32, 0u32, 0u32);
    for (o, v) in out.iter_mut().zip(values) {
        let bits = v.to_bits();
        let absolute = bits & 0x7fff_ffff;
        let is_nan = absolute > INFINITE;
        // Half of the last place, less one where the kept part is even; a NaN would overflow
        // here and is made quiet instead.
        let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16;
        let kept = if is_nan { (bits >> 16) | 0x40 } else { rounded };
        nan += u32::from(is_nan);
        infinite += u32::from(kept & 0x7fff == 0x7f80);
        was_infinite += u32::from(absolute == INFINITE);
        *o = (kept as u16).to_le_bytes();
    }
    [nan, infinite, infinite - was_infinite]
}

fn encode_f16(values: &[f32], out: &mut [[u8; 2]]) -> Encoded {
    let mut half = [f16::ZERO; BLOCK];
    let mut total = Encoded::default();
    for (values, out) in values.chunks(BLOCK).zip(out.chunks_mut(BLOCK)) {
        let half = &mut half[..values.len()];
        half.convert_from_f32_slice(values);
        let mut infinite = 0;
        for (o, h) in out.iter_mut().zip(half.iter()) {
            infinite += u64::from(h.to_bits() & 0x7fff == 0x7c00);
            *o = h.to_le_bytes();
        }
        let before = count(values);
        total += Encoded {
            nan: before.nan,
            infinite,
            overflowed: infinite - before.infinite,
        };
    }
    total
}

fn count(values: &[f32]) -> Encoded {
    let mut total = Encoded::default();
    for values in values.chunks(BLOCK) {
        let [nan, infinite] = count_block(values);
        total.nan += u64::from(nan);
        total.infinite += u64::from(infinite);
    }
    total
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl", "x86_64+avx2"))]
fn count_block(values: &[f32]) -> [u32; 2] {
    let (mut nan, mut infinite) = (0u32, 0u32);
    for v in values {
        let absolute = v.to_bits() & 0x7fff_ffff;
        nan += u32::from(absolute > INFINITE);
        infinite += u32::from(absolute == INFINITE);
    }
    [nan, infinite]
}

/// Rounds floats to the nearest that `dtype` has, ties to even, in place: f8, f16 and bf16; other
/// types hold every `f32` and leave them as they are.
pub fn round_f32(dtype: Dtype, values: &mut [f32]) {
    match dtype {
        Dtype::F8_E4M3 => round_f8(f8::E4M3, values),
        Dtype::F8_E5M2 => round_f8(f8::E5M2, values),
        Dtype::BF16 => {
            for v in values {
                *v = bf16::from_f32(*v).to_f32();
            }
        }
        Dtype::F16 => {
            for v in values {
                *v = f16::from_f32(*v).to_f32();
            }
        }
        _ => {}
    }
}

fn round_f8(format: f8::Format, values: &mut [f32]) {
    for v in values {
        *v = format.decode(format.encode(*v));
    }
}
