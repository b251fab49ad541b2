//! Whether the members lie in one basin of the loss, as `results.json` holds it.

use serde::{Deserialize, Serialize};

/// The select loss along segments between members.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Basin {
    /// Where each segment was evaluated, from 0 (its first member) to 1 (its second).
    pub places: Vec<f64>,
    /// The segments.
    pub segments: Vec<Segment>,
}

/// The loss along the segment between two members.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Segment {
    /// The member at 0, by its place among the members.
    pub from: usize,
    /// The member at 1.
    pub to: usize,
    /// The loss at each place; `None` where it is not finite.
    pub loss: Vec<Option<f64>>,
    /// How far the loss rises above the line between its values at the ends, at most: the
    /// barrier (Frankle et al., ICML 2020), below 0 where it lies below the line throughout.
    /// `None` where it is not finite somewhere.
    pub barrier: Option<f64>,
    /// Standard error of the barrier over the examples; `None` where it is not known.
    pub std_error: Option<f64>,
    /// Whether the barrier is beyond noise: the two lie in different basins.
    pub separated: bool,
}
