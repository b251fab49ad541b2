//! The weighted sum of streams: the kernel under everything that averages.
//!
//! It is bound by memory: for n streams it reads n numbers and writes one for each element. The
//! output is worked on in blocks that stay in the cache while the streams pass by.

use std::ops::Range;

use multiversion::multiversion;

use crate::stream::Stream;

/// The block of the output that stays in the second-level cache (128 KiB) while the streams pass
/// by. Shorter ones are slower, although they would fit the first-level cache: each stream is then
/// left after a few pages, and the processor's prefetching starts anew (8 KiB blocks ran at half
/// the speed).
pub(crate) const BLOCK: usize = 1 << 15;

/// Elements that are decoded at a time where that takes room: they stay in the first-level cache.
const DECODED: usize = 1 << 11;

/// How many streams are added at a time, so that the block is loaded and stored less often.
const GROUP: usize = 4;

/// A weight and what it weighs.
pub(crate) type Term<'a> = (f32, Stream<'a>);

/// A term's part.
///
/// # Panics
/// If its stream has not so many elements.
#[inline(always)]
pub(crate) fn part<'a>(term: &Term<'a>, range: Range<usize>) -> Term<'a> {
    (term.0, term.1.part(range))
}

/// Writes `sum_i w_i x_i` to `out`, for inputs `(w_i, x_i)` as long as `out`.
///
/// Each element is `((w_1 x_1) + w_2 x_2) + ...`, every operation rounded to `f32`, without fused
/// multiply-add: the same bits on every machine. A single input of weight one is copied (`f32` bit
/// by bit, NaNs included); without inputs, `out` is set to zero.
///
/// # Panics
/// If an input is shorter than `out`.
pub(crate) fn weighted_sum(inputs: &[Term<'_>], out: &mut [f32]) {
    match inputs {
        [] => out.fill(0.0),
        [(weight, x)] if *weight == 1.0 => x.part(0..out.len()).read(out),
        [first, rest @ ..] => add_up(*first, rest, out),
    }
}

// Compiled once for each instruction set (by a macro that wants the lifetimes named); the arithmetic is the same in all of them.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl", "x86_64+avx2"))]
fn add_up<'a>(first: Term<'a>, rest: &[Term<'a>], out: &mut [f32]) {
    for (i, block) in out.chunks_mut(BLOCK).enumerate() {
        let start = i * BLOCK;
        let end = start + block.len();
        scale(part(&first, start..end), block);
        let mut rest = rest;
        while let Some(last) = rest.len().checked_sub(1) {
            let group = [0, 1, 2, 3].map(|k: usize| part(&rest[k.min(last)], start..end));
            let taken = if last + 1 >= GROUP && add_group(group, block) {
                GROUP
            } else {
                add(group[0], block);
                1
            };
            rest = &rest[taken..];
        }
    }
}

/// A type that becomes `f32` in registers.
trait Element {
    type Raw: Copy;
    fn value(raw: Self::Raw) -> f32;
}

struct Plain;
struct Bf16;
struct F16;

impl Element for Plain {
    type Raw = f32;
    #[inline(always)]
    fn value(raw: f32) -> f32 {
        raw
    }
}

impl Element for Bf16 {
    type Raw = [u8; 2];
    #[inline(always)]
    fn value(raw: [u8; 2]) -> f32 {
        f32::from_bits(u32::from(u16::from_le_bytes(raw)) << 16)
    }
}

impl Element for F16 {
    type Raw = [u8; 2];
    /// The exponent's bias is set right by a product, which is exact also for numbers that are
    /// subnormal in f16; infinities and NaNs get the greatest exponent again.
    #[inline(always)]
    fn value(raw: [u8; 2]) -> f32 {
        /// `2^(127 - 15)`, the difference of the biases.
        const REBIAS: f32 = f32::from_bits((127 + 127 - 15) << 23);
        let bits = u32::from(u16::from_le_bytes(raw));
        let (sign, magnitude) = ((bits & 0x8000) << 16, bits & 0x7fff);
        let finite = (f32::from_bits(magnitude << 13) * REBIAS).to_bits();
        let special = (magnitude << 13) | 0x7f80_0000;
        let absolute = if magnitude >= 0x7c00 { special } else { finite };
        f32::from_bits(sign | absolute)
    }
}

#[inline(always)]
fn scale((w, x): Term<'_>, out: &mut [f32]) {
    match x {
        Stream::Plain(x) => scale_of::<Plain>(w, x, out),
        Stream::Bf16(x) => scale_of::<Bf16>(w, x, out),
        Stream::F16(x) => scale_of::<F16>(w, x, out),
        Stream::Packed { .. } => {
            x.read(out);
            for o in out {
                *o *= w;
            }
        }
    }
}

#[inline(always)]
fn scale_of<E: Element>(w: f32, x: &[E::Raw], out: &mut [f32]) {
    for (o, x) in out.iter_mut().zip(x) {
        *o = w * E::value(*x);
    }
}

#[inline(always)]
fn add((w, x): Term<'_>, out: &mut [f32]) {
    match x {
        Stream::Plain(x) => add_of::<Plain>(w, x, out),
        Stream::Bf16(x) => add_of::<Bf16>(w, x, out),
        Stream::F16(x) => add_of::<F16>(w, x, out),
        Stream::Packed { .. } => {
            let mut room = [0.0; DECODED];
            for (i, out) in out.chunks_mut(DECODED).enumerate() {
                let start = i * DECODED;
                let room = &mut room[..out.len()];
                x.part(start..start + out.len()).read(room);
                add_of::<Plain>(w, room, out);
            }
        }
    }
}

#[inline(always)]
fn add_of<E: Element>(w: f32, x: &[E::Raw], out: &mut [f32]) {
    for (o, x) in out.iter_mut().zip(x) {
        *o += w * E::value(*x);
    }
}

/// Adds four streams of one type; false, and nothing is done, if their types differ.
#[inline(always)]
fn add_group(group: [Term<'_>; GROUP], out: &mut [f32]) -> bool {
    let w = group.map(|(w, _)| w);
    match group.map(|(_, x)| x) {
        [
            Stream::Plain(a),
            Stream::Plain(b),
            Stream::Plain(c),
            Stream::Plain(d),
        ] => {
            add_four::<Plain>(w, [a, b, c, d], out);
        }
        [
            Stream::Bf16(a),
            Stream::Bf16(b),
            Stream::Bf16(c),
            Stream::Bf16(d),
        ] => {
            add_four::<Bf16>(w, [a, b, c, d], out);
        }
        [
            Stream::F16(a),
            Stream::F16(b),
            Stream::F16(c),
            Stream::F16(d),
        ] => {
            add_four::<F16>(w, [a, b, c, d], out);
        }
        _ => return false,
    }
    true
}

#[inline(always)]
fn add_four<E: Element>(w: [f32; 4], x: [&[E::Raw]; 4], out: &mut [f32]) {
    let ([wa, wb, wc, wd], [a, b, c, d]) = (w, x);
    for ((((o, a), b), c), d) in out.iter_mut().zip(a).zip(b).zip(c).zip(d) {
        *o = *o + wa * E::value(*a) + wb * E::value(*b) + wc * E::value(*c) + wd * E::value(*d);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bomf_checkpoint::{Dtype, decode_f32};

    #[test]
    fn every_f16_and_bf16_is_read_as_the_checkpoint_reads_it() {
        let raw: Vec<u8> = (0..=u16::MAX).flat_map(u16::to_le_bytes).collect();
        let mut expected = vec![0.0; 1 << 16];
        for dtype in [Dtype::F16, Dtype::BF16] {
            decode_f32(dtype, &raw, &mut expected);
            for (raw, expected) in raw.as_chunks::<2>().0.iter().zip(&expected) {
                let found = match dtype {
                    Dtype::F16 => F16::value(*raw),
                    _ => Bf16::value(*raw),
                };
                // The processor may make a signalling NaN quiet.
                let is_same = found.to_bits() == expected.to_bits();
                assert!(is_same || found.is_nan() && expected.is_nan(), "{raw:?}");
            }
        }
    }

    #[test]
    fn streams_of_any_types_are_summed_in_their_order() {
        let values: Vec<f32> = (0..BLOCK + 77).map(|i| (i % 255) as f32 / 4.0).collect();
        let bf16: Vec<u8> = values
            .iter()
            .flat_map(|v| v.to_le_bytes()[2..].to_vec())
            .collect();
        let f16: Vec<u8> = values
            .iter()
            .flat_map(|_| 0x3c00u16.to_le_bytes())
            .collect();
        let f64: Vec<u8> = values
            .iter()
            .flat_map(|v| f64::from(*v).to_le_bytes())
            .collect();
        let of = |dtype, bytes| Stream::of_bytes(dtype, bytes).unwrap();
        let all = [
            Stream::Plain(&values),
            of(Dtype::BF16, &bf16),
            of(Dtype::F16, &f16),
            of(Dtype::F64, &f64),
        ];
        // Every pattern of types that groups can meet, the same type at each place first.
        for pattern in 0..256usize {
            let picked = [0, 2, 4, 6].map(|shift| all[pattern >> shift & 3]);
            let streams: Vec<_> = [all[0]].into_iter().chain(picked).collect();
            let inputs: Vec<_> = streams
                .iter()
                .enumerate()
                .map(|(i, x)| (0.1 + i as f32, *x))
                .collect();
            let mut out = vec![f32::NAN; values.len()];
            weighted_sum(&inputs, &mut out);
            for k in [0, 1, 100, BLOCK - 1, BLOCK, BLOCK + 76] {
                let mut expected = None;
                for (w, x) in &inputs {
                    let mut value = [0.0];
                    x.part(k..k + 1).read(&mut value);
                    let term = w * value[0];
                    expected = Some(expected.map_or(term, |sum: f32| sum + term));
                }
                assert_eq!(Some(out[k]), expected, "{pattern} {k}");
            }
        }
    }
}
