//! Floats between `f64` and the types that files hold.

use safetensors::Dtype;

use crate::convert::{Encoded, decode_f32, encode_f32};

/// How many floats pass through `f32` at a time.
const BLOCK: usize = 2048;

/// Writes the floats that `bytes` hold (little-endian) to `out`, exactly; whether `dtype` is one
/// that can be read so, as [`decode_f32`] says.
///
/// # Panics
/// If the lengths differ.
pub fn decode_f64(dtype: Dtype, bytes: &[u8], out: &mut [f64]) -> bool {
    if dtype == Dtype::F64 {
        assert_eq!(
            bytes.len(),
            out.len() * 8,
            "as many floats as there is room"
        );
        for (o, b) in out.iter_mut().zip(bytes.as_chunks().0) {
            *o = f64::from_le_bytes(*b);
        }
        return true;
    }
    let size = bytes.len() / out.len().max(1);
    let mut narrow = [0.0; BLOCK];
    let parts = out
        .chunks_mut(BLOCK)
        .zip(bytes.chunks((BLOCK * size).max(1)));
    for (out, bytes) in parts {
        let narrow = &mut narrow[..out.len()];
        if !decode_f32(dtype, bytes, narrow) {
            return false;
        }
        for (o, n) in out.iter_mut().zip(narrow) {
            *o = f64::from(*n);
        }
    }
    true
}

/// Writes floats to `out` as `dtype`, each rounded once to nearest, ties to even, as
/// [`encode_f32`] does; `None` for a type that is no float.
///
/// # Panics
/// If `out` has not the length that the values need.
pub fn encode_f64(dtype: Dtype, values: &[f64], out: &mut [u8]) -> Option<Encoded> {
    let size = dtype.bitsize() / 8;
    if size > 0 {
        assert_eq!(out.len(), values.len() * size, "room for as many floats");
    }
    let mut total = Encoded::default();
    if dtype == Dtype::F64 {
        for (o, v) in out.as_chunks_mut().0.iter_mut().zip(values) {
            *o = v.to_le_bytes();
            total.nan += u64::from(v.is_nan());
            total.infinite += u64::from(v.is_infinite());
        }
        return Some(total);
    }
    let narrow: fn(f64) -> f32 = match dtype {
        Dtype::F32 => |value| value as f32,
        _ => to_odd,
    };
    let mut narrowed = [0.0; BLOCK];
    let parts = values
        .chunks(BLOCK)
        .zip(out.chunks_mut((BLOCK * size).max(1)));
    for (values, out) in parts {
        let narrowed = &mut narrowed[..values.len()];
        for (n, v) in narrowed.iter_mut().zip(values) {
            *n = narrow(*v);
        }
        total += encode_f32(dtype, narrowed, out)?;
        let is_over = |(n, v): &(&mut f32, &f64)| n.is_infinite() && v.is_finite();
        let pairs = narrowed.iter_mut().zip(values);
        total.overflowed += pairs.filter(is_over).count() as u64;
    }
    Some(total)
}

/// Rounds to one of the two nearest `f32`, of which the one with an odd last digit is taken unless
/// the value is an `f32`. What is then rounded to fewer digits comes out as if it had been rounded
/// once (Boldo and Melquiond, "Emulation of FMA and correctly rounded sums", 2008): the last digit
/// remembers that there was a rest.
fn to_odd(value: f64) -> f32 {
    let near = value as f32;
    if f64::from(near) == value || near.is_nan() {
        return near;
    }
    let toward_zero = match f64::from(near).abs() > value.abs() {
        true => near.to_bits() - 1,
        false => near.to_bits(),
    };
    f32::from_bits(toward_zero | 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use half::{bf16, f16};
    use proptest::prelude::*;

    fn encoded(dtype: Dtype, value: f64) -> (Vec<u8>, Encoded) {
        let mut out = vec![0; dtype.bitsize() / 8];
        let met = encode_f64(dtype, &[value], &mut out).unwrap();
        (out, met)
    }

    /// Of `near` and its neighbours the one nearest to `value`, ties to even; infinity counts as
    /// the power of two in its place. (`half` itself rounds to `f32` first.)
    fn nearest(value: f64, near: u16, infinity: f64, read: impl Fn(u16) -> f64) -> [u8; 2] {
        let of = |bits: u16| match read(bits) {
            inf if inf.is_infinite() => infinity.copysign(inf),
            other => other,
        };
        let around = [near.wrapping_sub(1), near, near.wrapping_add(1)];
        let best = around
            .into_iter()
            .filter(|&c| !of(c).is_nan() && of(c).is_sign_negative() == value.is_sign_negative())
            .min_by(|&a, &b| {
                let key = |c: u16| (of(c) - value).abs();
                key(a).total_cmp(&key(b)).then((a & 1).cmp(&(b & 1)))
            });
        best.unwrap_or(near).to_le_bytes()
    }

    proptest! {
        #[test]
        fn a_number_is_rounded_once(bits: u64, near in -70000.0f64..70000.0) {
            for value in [f64::from_bits(bits), near] {
                if value.is_nan() {
                    continue;
                }
                let half = f16::from_f64(value).to_bits();
                let half = nearest(value, half, 65536.0, |b| f16::from_bits(b).to_f64());
                prop_assert_eq!(encoded(Dtype::F16, value).0, half);
                let brain = bf16::from_f64(value).to_bits();
                let brain = nearest(value, brain, 2f64.powi(128), |b| bf16::from_bits(b).to_f64());
                prop_assert_eq!(encoded(Dtype::BF16, value).0, brain);
                prop_assert_eq!(encoded(Dtype::F32, value).0, (value as f32).to_le_bytes());
                let (bytes, _) = encoded(Dtype::F64, value);
                let mut back = [0.0];
                prop_assert!(decode_f64(Dtype::F64, &bytes, &mut back));
                prop_assert_eq!(back[0].to_bits(), value.to_bits());
            }
        }
    }

    #[test]
    fn a_tie_of_f32_that_has_a_rest_is_no_tie() {
        // Half a step of bf16 above one, and a little that f32 does not hold.
        let value = 1.0 + 2f64.powi(-8) + 2f64.powi(-40);
        assert_eq!(
            encoded(Dtype::BF16, value).0,
            bf16::from_f32(1.0078125).to_le_bytes()
        );
        assert_eq!(bf16::from_f32(value as f32), bf16::ONE);
    }

    #[test]
    fn what_goes_beyond_the_range_is_counted() {
        for dtype in [Dtype::F32, Dtype::BF16, Dtype::F16] {
            assert_eq!(encoded(dtype, 1e300).1.overflowed, 1, "{dtype:?}");
            assert_eq!(encoded(dtype, f64::INFINITY).1.overflowed, 0, "{dtype:?}");
            assert_eq!(encoded(dtype, f64::NAN).1.nan, 1, "{dtype:?}");
        }
        assert_eq!(encoded(Dtype::F64, 1e300).1, Encoded::default());
        assert!(encode_f64(Dtype::I32, &[1.0], &mut [0; 4]).is_none());
        assert!(!decode_f64(Dtype::I32, &[0; 4], &mut [0.0]));
        assert!(decode_f64(Dtype::F32, &[], &mut []));
    }
}
