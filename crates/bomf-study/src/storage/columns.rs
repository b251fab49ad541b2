//! Numbers as databases keep them, and as messages name them.

use crate::TrialRecord;

/// Trials as messages name them.
pub(super) fn names(trials: &[TrialRecord]) -> String {
    let numbers: Vec<String> = trials.iter().map(|t| t.number.to_string()).collect();
    let plural = if numbers.len() == 1 { "" } else { "s" };
    format!("trial{plural} {}", numbers.join(", "))
}

/// Steps and numbers of trials lie far below 2^63.
pub(crate) fn integer(value: impl TryInto<i64>) -> i64 {
    value.try_into().unwrap_or(i64::MAX)
}

/// Numbers as bytes, in an order that is the same on every machine.
pub(super) fn bytes_of<const N: usize, T: Copy>(
    values: &[T],
    bytes: impl Fn(T) -> [u8; N],
) -> Vec<u8> {
    values.iter().flat_map(|&value| bytes(value)).collect()
}

/// And back; `None` where the bytes are not those of whole numbers.
pub(super) fn numbers_of<const N: usize, T>(
    bytes: &[u8],
    value: impl Fn([u8; N]) -> T,
) -> Option<Vec<T>> {
    let (whole, rest) = bytes.as_chunks::<N>();
    rest.is_empty()
        .then(|| whole.iter().map(|bytes| value(*bytes)).collect())
}
