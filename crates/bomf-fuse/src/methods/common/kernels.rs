//! Loops over slices, compiled once for each instruction set with the same arithmetic in all.

use multiversion::multiversion;

/// Writes `x - base` to `out`.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
pub(crate) fn differences(x: &[f32], base: &[f32], out: &mut [f32]) {
    for ((out, x), base) in out.iter_mut().zip(x).zip(base) {
        *out = x - base;
    }
}

/// Writes the bits of `|x - base|`, which are in the order of the magnitudes, NaN greatest.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
pub(crate) fn difference_keys(x: &[f32], base: &[f32], out: &mut [u32]) {
    for ((out, x), base) in out.iter_mut().zip(x).zip(base) {
        *out = (x - base).abs().to_bits();
    }
}

/// Multiplies by one where `least <= |x| < beyond` as bits, by zero elsewhere; NaN stays NaN.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
pub(crate) fn keep_between(least: u32, beyond: u32, x: &mut [f32]) {
    for x in x {
        let key = x.abs().to_bits();
        *x *= if key >= least && key < beyond {
            1.0
        } else {
            0.0
        };
    }
}

/// Multiplies by one where the draw is below the bound, by zero elsewhere.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
pub(crate) fn keep_drawn(draws: &[u32], bound: u32, x: &mut [f32]) {
    for (x, draw) in x.iter_mut().zip(draws) {
        *x *= if *draw < bound { 1.0 } else { 0.0 };
    }
}

/// Multiplies by one where the key is `least` or more, by zero elsewhere.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
pub(crate) fn keep_keyed(keys: &[u32], least: u32, x: &mut [f32]) {
    for (x, key) in x.iter_mut().zip(keys) {
        *x *= if *key >= least { 1.0 } else { 0.0 };
    }
}

/// Multiplies by one where the mask is not zero, by zero elsewhere.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
pub(crate) fn keep_masked(mask: &[u8], x: &mut [f32]) {
    for (x, mask) in x.iter_mut().zip(mask) {
        *x *= if *mask != 0 { 1.0 } else { 0.0 };
    }
}

/// Multiplies all by a number.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
pub(crate) fn scale(factor: f32, x: &mut [f32]) {
    for x in x {
        *x *= factor;
    }
}

/// Divides all by a number.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
pub(crate) fn divide(divisor: f32, x: &mut [f32]) {
    for x in x {
        *x /= divisor;
    }
}

/// Adds `x` to `sum`.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
pub(crate) fn add(x: &[f32], sum: &mut [f32]) {
    for (sum, x) in sum.iter_mut().zip(x) {
        *sum += x;
    }
}

/// Adds `factor x` to `sum`.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
pub(crate) fn add_scaled(factor: f32, x: &[f32], sum: &mut [f32]) {
    for (sum, x) in sum.iter_mut().zip(x) {
        *sum += factor * x;
    }
}

/// `sum |x|` in `f64`.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
pub(crate) fn sum_of_magnitudes(x: &[f32]) -> f64 {
    in_lanes(x, |x| f64::from(x.abs()))
}

/// `sum x^2` in `f64`.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
pub(crate) fn sum_of_squares(x: &[f32]) -> f64 {
    in_lanes(x, |x| f64::from(x) * f64::from(x))
}

/// The sum of a function of the elements, in lanes whose number does not depend on the machine.
#[inline(always)]
fn in_lanes(x: &[f32], f: impl Fn(f32) -> f64) -> f64 {
    const LANES: usize = 16;
    let mut lanes = [0.0f64; LANES];
    let (chunks, rest) = x.as_chunks::<LANES>();
    for chunk in chunks {
        for k in 0..LANES {
            lanes[k] += f(chunk[k]);
        }
    }
    for (lane, x) in lanes.iter_mut().zip(rest) {
        *lane += f(*x);
    }
    lanes.iter().sum()
}
