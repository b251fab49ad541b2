//! What is believed of an outcome before anything is observed.

use std::fmt::Debug;

/// A function that outcomes are expected to follow roughly; the process models
/// what they differ from it by, with a constant learned on top.
///
/// Values are in the outcomes' unit and, like these, maximised.
pub trait PriorMean: Debug + Send + Sync {
    /// The value at `x` (shape `d`).
    fn value(&self, x: &[f64]) -> f64;

    /// The value at `x` (shape `d`); its gradient is written to `gradient`
    /// (shape `d`).
    fn value_and_gradient(&self, x: &[f64], gradient: &mut [f64]) -> f64;
}
