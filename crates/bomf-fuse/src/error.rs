//! What can go wrong when models are fused.

use bomf_checkpoint::CheckpointError;

/// Why models could not be fused. [`FuseError::hint`] says how to mend it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FuseError {
    /// There is nothing to fuse.
    #[error("no members to fuse")]
    NoMembers,
    /// Two members differ in a tensor's shape.
    #[error("tensor `{tensor}` is {shape:?} in {member} but {expected:?} in {reference}")]
    ShapeMismatch {
        /// The tensor's name.
        tensor: String,
        /// The member that differs.
        member: String,
        /// The tensor's shape in it.
        shape: Vec<usize>,
        /// The first member.
        reference: String,
        /// The tensor's shape there.
        expected: Vec<usize>,
    },
    /// A member lacks a tensor that the first one has.
    #[error("tensor `{tensor}` is in {reference} but not in {member}")]
    MissingTensor {
        /// The tensor's name.
        tensor: String,
        /// The member without it.
        member: String,
        /// The first member.
        reference: String,
    },
    /// A member has a tensor that the first one lacks.
    #[error("tensor `{tensor}` is in {member} but not in {reference}")]
    ExtraTensor {
        /// The tensor's name.
        tensor: String,
        /// The member with it.
        member: String,
        /// The first member.
        reference: String,
    },
    /// A member has two tensors of one name.
    #[error("tensor `{tensor}` is in {member} twice")]
    DuplicateTensor {
        /// The tensor's name.
        tensor: String,
        /// The member.
        member: String,
    },
    /// A tensor's values are not as many as its shape says.
    #[error("tensor `{tensor}` of {member} has {found} values where its shape needs {expected}")]
    WrongLength {
        /// The tensor's name.
        tensor: String,
        /// The member.
        member: String,
        /// What the shape needs.
        expected: usize,
        /// What there is.
        found: usize,
    },
    /// Not one weight a member.
    #[error("{found} weights for {expected} members")]
    WeightCount {
        /// The number of members.
        expected: usize,
        /// The number of weights.
        found: usize,
    },
    /// A weight that is NaN or infinite.
    #[error("weight {index} is {value}")]
    NonFiniteWeight {
        /// Its place.
        index: usize,
        /// Its value.
        value: f64,
    },
    /// The output has another size than the members.
    #[error("the output has {found} elements, but the members have {expected}")]
    OutputLength {
        /// The members' size.
        expected: usize,
        /// The output's size.
        found: usize,
    },
    /// A member could not be read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}

impl FuseError {
    /// How to mend it, in one line, where there is something to say.
    pub fn hint(&self) -> Option<String> {
        match self {
            FuseError::ShapeMismatch { .. }
            | FuseError::MissingTensor { .. }
            | FuseError::ExtraTensor { .. } => Some("fuse checkpoints of one architecture".into()),
            FuseError::NonFiniteWeight { .. } => Some("weights must be finite numbers".into()),
            FuseError::Checkpoint(error) => error.hint(),
            _ => None,
        }
    }
}

/// The result of everything in this crate.
pub type Result<T, E = FuseError> = std::result::Result<T, E>;
