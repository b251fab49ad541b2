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

/// How many streams are added at a time at most, so that the block is loaded and stored less often
/// (fours took an eighth longer for 15 streams of `f32`, single ones twice as long).
const GROUP: usize = 8;

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
        inputs => add_up(inputs, out),
    }
}

// Compiled once for each instruction set (by a macro that wants the lifetimes named); the
// arithmetic is the same in all of them.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl", "x86_64+avx2"))]
fn add_up<'a>(inputs: &[Term<'a>], out: &mut [f32]) {
    for (i, block) in out.chunks_mut(BLOCK).enumerate() {
        let range = i * BLOCK..i * BLOCK + block.len();
        let mut rest = inputs;
        while !rest.is_empty() {
            let (group, behind) = rest.split_at(group_of(rest));
            add_group(group, range.clone(), rest.len() == inputs.len(), block);
            rest = behind;
        }
    }
}

/// How many of the first terms are added together: of one type, and in groups of nearly the same
/// size.
fn group_of(terms: &[Term<'_>]) -> usize {
    let is_like = |x: &Stream<'_>, y: &Stream<'_>| match (x, y) {
        // These are decoded one by one.
        (Stream::Packed { .. }, _) => false,
        _ => std::mem::discriminant(x) == std::mem::discriminant(y),
    };
    let like = match terms {
        [] => 0,
        [(_, x), rest @ ..] => 1 + rest.iter().take_while(|(_, y)| is_like(x, y)).count(),
    };
    like.div_ceil(like.div_ceil(GROUP).max(1))
}

/// Adds a group of terms of one type to `out`, or begins with them where `is_first`.
#[inline(always)]
fn add_group(group: &[Term<'_>], range: Range<usize>, is_first: bool, out: &mut [f32]) {
    match (group, is_first) {
        ([(_, Stream::Plain(_)), ..], true) => add_some::<Plain, true>(group, range, out),
        ([(_, Stream::Plain(_)), ..], false) => add_some::<Plain, false>(group, range, out),
        ([(_, Stream::Bf16(_)), ..], true) => add_some::<Bf16, true>(group, range, out),
        ([(_, Stream::Bf16(_)), ..], false) => add_some::<Bf16, false>(group, range, out),
        ([(_, Stream::F16(_)), ..], true) => add_some::<F16, true>(group, range, out),
        ([(_, Stream::F16(_)), ..], false) => add_some::<F16, false>(group, range, out),
        ([(w, x @ Stream::Packed { .. }), ..], _) => {
            let mut room = [0.0; DECODED];
            for (i, out) in out.chunks_mut(DECODED).enumerate() {
                let start = range.start + i * DECODED;
                let room = &mut room[..out.len()];
                x.part(start..start + out.len()).read(room);
                match is_first {
                    true => add::<Plain, 1, true>([*w], [room], out),
                    false => add::<Plain, 1, false>([*w], [room], out),
                }
            }
        }
        ([], _) => {}
    }
}

#[inline(always)]
fn add_some<E: Element, const FIRST: bool>(
    group: &[Term<'_>],
    range: Range<usize>,
    out: &mut [f32],
) {
    match group.len() {
        1 => add_terms::<E, 1, FIRST>(group, range, out),
        2 => add_terms::<E, 2, FIRST>(group, range, out),
        3 => add_terms::<E, 3, FIRST>(group, range, out),
        4 => add_terms::<E, 4, FIRST>(group, range, out),
        5 => add_terms::<E, 5, FIRST>(group, range, out),
        6 => add_terms::<E, 6, FIRST>(group, range, out),
        7 => add_terms::<E, 7, FIRST>(group, range, out),
        _ => add_terms::<E, GROUP, FIRST>(group, range, out),
    }
}

#[inline(always)]
fn add_terms<E: Element, const N: usize, const FIRST: bool>(
    group: &[Term<'_>],
    range: Range<usize>,
    out: &mut [f32],
) {
    let w = std::array::from_fn(|k| group[k].0);
    let x = std::array::from_fn(|k| &E::elements(&group[k].1)[range.clone()]);
    add::<E, N, FIRST>(w, x, out);
}

/// `out = w_1 x_1 + ...` where `FIRST`, or else `out += w_1 x_1 + ...`, term by term.
#[inline(always)]
fn add<E: Element, const N: usize, const FIRST: bool>(
    w: [f32; N],
    x: [&[E::Raw]; N],
    out: &mut [f32],
) {
    // Of equal length for the compiler's eyes, too: then it needs no checks in the loop.
    let x = x.map(|x| &x[..out.len()]);
    for (k, o) in out.iter_mut().enumerate() {
        let first = w[0] * E::value(x[0][k]);
        let mut sum = if FIRST { first } else { *o + first };
        for j in 1..N {
            sum += w[j] * E::value(x[j][k]);
        }
        *o = sum;
    }
}

/// A type that becomes `f32` in registers.
trait Element {
    type Raw: Copy;
    fn value(raw: Self::Raw) -> f32;
    /// A stream's elements; none if it is of another type.
    fn elements<'a>(stream: &Stream<'a>) -> &'a [Self::Raw];
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
    #[inline(always)]
    fn elements<'a>(stream: &Stream<'a>) -> &'a [f32] {
        match stream {
            Stream::Plain(x) => x,
            _ => &[],
        }
    }
}

impl Element for Bf16 {
    type Raw = [u8; 2];
    #[inline(always)]
    fn value(raw: [u8; 2]) -> f32 {
        f32::from_bits(u32::from(u16::from_le_bytes(raw)) << 16)
    }
    #[inline(always)]
    fn elements<'a>(stream: &Stream<'a>) -> &'a [[u8; 2]] {
        match stream {
            Stream::Bf16(x) => x,
            _ => &[],
        }
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
    #[inline(always)]
    fn elements<'a>(stream: &Stream<'a>) -> &'a [[u8; 2]] {
        match stream {
            Stream::F16(x) => x,
            _ => &[],
        }
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
