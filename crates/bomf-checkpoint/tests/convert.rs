//! Floats between `f32` and the types of files.

use bomf_checkpoint::{Dtype, Encoded, decode_f32, encode_f32, round_f32};
use half::{bf16, f16};
use proptest::prelude::*;

fn encode(dtype: Dtype, values: &[f32]) -> (Vec<u8>, Encoded) {
    let mut bytes = vec![0; values.len() * dtype.bitsize() / 8];
    let encoded = encode_f32(dtype, values, &mut bytes).expect("a float type");
    (bytes, encoded)
}

fn decode(dtype: Dtype, bytes: &[u8]) -> Vec<f32> {
    let mut out = vec![0.0; bytes.len() * 8 / dtype.bitsize()];
    assert!(decode_f32(dtype, bytes, &mut out));
    out
}

#[test]
fn every_half_precision_number_reads_and_writes_as_itself() {
    let bits: Vec<u8> = (0..=u16::MAX).flat_map(u16::to_le_bytes).collect();
    for (dtype, quiet) in [(Dtype::BF16, 0x40u16), (Dtype::F16, 0x200)] {
        let values = decode(dtype, &bits);
        let (again, encoded) = encode(dtype, &values);
        for ((value, a), b) in values
            .iter()
            .zip(bits.as_chunks().0)
            .zip(again.as_chunks().0)
        {
            let (a, b) = (u16::from_le_bytes(*a), u16::from_le_bytes(*b));
            // A signalling NaN comes back quiet.
            assert_eq!(
                if value.is_nan() { a | quiet } else { a },
                b,
                "{dtype} {a:#x}"
            );
        }
        assert_eq!((encoded.infinite, encoded.overflowed), (2, 0));
        assert_eq!(
            encoded.nan,
            values.iter().filter(|v| v.is_nan()).count() as u64
        );
    }
}

#[test]
fn every_float_of_8_bits_reads_and_writes_as_itself() {
    let codes: Vec<u8> = (0..=u8::MAX).collect();
    for dtype in [Dtype::F8_E4M3, Dtype::F8_E5M2] {
        let values = decode(dtype, &codes);
        let (again, encoded) = encode(dtype, &values);
        for ((value, a), b) in values.iter().zip(&codes).zip(&again) {
            assert!(a == b || value.is_nan(), "{dtype} {a:#x} {b:#x}");
        }
        assert_eq!(encoded.overflowed, 0);
        let mut rounded = values.clone();
        round_f32(dtype, &mut rounded);
        let is_same = |(a, b): (&f32, &f32)| a == b || a.is_nan() && b.is_nan();
        assert!(values.iter().zip(&rounded).all(is_same));
    }
    // The one has an infinity, the other stops at its greatest number.
    assert_eq!(encode(Dtype::F8_E5M2, &[1e6]).1.overflowed, 1);
    let (bytes, encoded) = encode(Dtype::F8_E4M3, &[1e6]);
    assert_eq!(
        (encoded.overflowed, decode(Dtype::F8_E4M3, &bytes)),
        (0, vec![448.0])
    );
}

#[test]
fn what_does_not_fit_is_counted_apart_from_infinities() {
    let values = [
        65504.0,
        65519.9,
        65520.0,
        -1e30,
        f32::INFINITY,
        f32::NAN,
        f32::MAX,
    ];
    let found = |dtype| encode(dtype, &values).1;
    let counts = |nan, infinite, overflowed| Encoded {
        nan,
        infinite,
        overflowed,
    };
    assert_eq!(found(Dtype::F16), counts(1, 4, 3));
    assert_eq!(found(Dtype::BF16), counts(1, 2, 1));
    assert_eq!(found(Dtype::F32), counts(1, 1, 0));
    assert_eq!(found(Dtype::F64), counts(1, 1, 0));
}

#[test]
fn other_types_are_no_floats() {
    assert!(!decode_f32(Dtype::I32, &[0; 4], &mut [0.0]));
    assert_eq!(encode_f32(Dtype::BOOL, &[0.0], &mut [0]), None);
}

proptest! {
    #[test]
    fn rounding_is_that_of_the_half_crate(bits in prop::collection::vec(any::<u32>(), 0..5000)) {
        let values: Vec<f32> = bits.iter().map(|b| f32::from_bits(*b)).collect();
        let (bytes, _) = encode(Dtype::BF16, &values);
        let expected: Vec<u8> = values.iter().flat_map(|v| bf16::from_f32(*v).to_le_bytes()).collect();
        prop_assert_eq!(bytes, expected);
        let (bytes, _) = encode(Dtype::F16, &values);
        for (v, b) in values.iter().zip(bytes.as_chunks().0) {
            let (found, expected) = (f16::from_le_bytes(*b), f16::from_f32(*v));
            prop_assert!(found == expected || found.is_nan() && expected.is_nan());
        }
        for dtype in [Dtype::BF16, Dtype::F16] {
            let mut rounded = values.clone();
            round_f32(dtype, &mut rounded);
            let again = decode(dtype, &encode(dtype, &values).0);
            for (a, b) in rounded.iter().zip(&again) {
                prop_assert!(a == b || a.is_nan() && b.is_nan());
            }
        }
    }
}
