//! Who has a say: sums of task vectors, of all or of those that agree in sign.

use multiversion::multiversion;

/// Adds a weighted task vector where its sign is that of the total, and its weight to the divisor.
///
/// A total of zero counts as positive. An element that is zero or NaN does not agree; a NaN is
/// added all the same, so that it is seen in the output.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
pub(crate) fn add_agreeing(
    weight: f32,
    d: &[f32],
    total: &[f32],
    mixed: &mut [f32],
    divisor: &mut [f32],
) {
    let sums = mixed.iter_mut().zip(divisor);
    for (((mixed, divisor), d), total) in sums.zip(d).zip(total) {
        let positive = *total >= 0.0;
        let agrees = (positive & (*d > 0.0)) | (!positive & (*d < 0.0));
        let say = if agrees { 1.0 } else { 0.0 };
        *mixed += d * say;
        *divisor += weight * say;
    }
}

/// Divides by the divisor, by one where that is zero.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
pub(crate) fn divide(divisor: &[f32], mixed: &mut [f32]) {
    for (mixed, divisor) in mixed.iter_mut().zip(divisor) {
        *mixed /= if *divisor == 0.0 { 1.0 } else { *divisor };
    }
}

/// `base + lambda mixed`.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
pub(crate) fn apply(lambda: f32, base: &[f32], mixed: &mut [f32]) {
    for (mixed, base) in mixed.iter_mut().zip(base) {
        *mixed = base + *mixed * lambda;
    }
}
