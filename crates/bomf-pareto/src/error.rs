//! What can be wrong with the points handed in.

/// Why a computation on points was refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ParetoError {
    /// A row has another number of objectives than the rest or the reference.
    #[error("point {index} has {found} values where {expected} are expected")]
    Dimension {
        /// The row's position in the slice.
        index: usize,
        /// Its number of objectives.
        found: usize,
        /// The number of objectives of the first row or of the reference point.
        expected: usize,
    },
    /// A reference point with no objective, or with a value that is not finite.
    #[error("the reference point {ref_point:?} must have at least one value and only finite ones")]
    ReferencePoint {
        /// What was handed in.
        ref_point: Vec<f64>,
    },
    /// A weight that is negative or not finite.
    #[error("weights {index} have the value {value} where it must be finite and not negative")]
    Weight {
        /// The row's position in the list of weights.
        index: usize,
        /// The odd value.
        value: f64,
    },
    /// A distance to a front without a finite point, or an average over no
    /// weights.
    #[error(
        "there is nothing to measure against: no finite point of a reference front, no weights"
    )]
    NoReference,
    /// A level of attainment that so many runs do not have.
    #[error("an attainment level of {runs} runs is one of 1 to {runs}, not {level}")]
    Level {
        /// What was asked.
        level: usize,
        /// The number of runs.
        runs: usize,
    },
    /// More objectives than an algorithm takes.
    #[error("{found} objectives, where at most {supported} are supported")]
    Objectives {
        /// How many the points have.
        found: usize,
        /// How many they may have.
        supported: usize,
    },
    /// No point is comparable: there are none, or each has a NaN or infinity.
    #[error("there is no finite point to infer a reference point from")]
    NoPoint,
}
