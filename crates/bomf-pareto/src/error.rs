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
    /// No point is comparable: there are none, or each has a NaN or infinity.
    #[error("there is no finite point to infer a reference point from")]
    NoPoint,
}
