//! What can go wrong when models are fused.

use bomf_checkpoint::{CheckpointError, Dtype};

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
    /// A tensor that an adapter changes is not in the base model.
    #[error("{adapter} changes tensor `{tensor}`, which is not in {base}")]
    NoBaseTensor {
        /// The tensor's name.
        tensor: String,
        /// The adapter.
        adapter: String,
        /// The base model.
        base: String,
    },
    /// A tensor that an adapter changes is stored in the base model in a type that is no float.
    #[error("tensor `{tensor}` of the base model is of type {dtype}, and cannot be changed")]
    QuantisedBase {
        /// The tensor's name.
        tensor: String,
        /// Its type.
        dtype: Dtype,
    },
    /// An adapter has parts that only full weights can take up.
    #[error("{adapter} has {what}, which no adapter can hold once it is fused")]
    NeedsBase {
        /// The adapter.
        adapter: String,
        /// What it has.
        what: &'static str,
    },
    /// Two adapters are for weights stored in different ways.
    #[error("{adapter} and {reference} differ in `fan_in_fan_out`")]
    OtherFanIn {
        /// The adapter that differs.
        adapter: String,
        /// The first adapter.
        reference: String,
    },
    /// A module is an embedding for one adapter and a layer for another.
    #[error("module `{module}` is of another kind in {adapter} than in {reference}")]
    OtherKind {
        /// The module's name.
        module: String,
        /// The adapter that differs.
        adapter: String,
        /// The first adapter.
        reference: String,
    },
    /// A tensor is stored whole by some adapters and not by all.
    #[error("tensor `{tensor}` is stored whole by other adapters but not by {adapter}")]
    SavedBySome {
        /// The tensor's name.
        tensor: String,
        /// The adapter without it.
        adapter: String,
    },
    /// Tensors that are stored whole are averaged with weights that do not sum to one.
    #[error("tensor `{tensor}` is stored whole, and the weights of the adapters sum to {sum}")]
    SavedWeights {
        /// The tensor's name.
        tensor: String,
        /// The sum of the weights.
        sum: f64,
    },
    /// A rank of zero.
    #[error("the rank must be at least 1")]
    NoRank,
    /// A part of the energy that is none.
    #[error("the energy to keep must be above 0 and at most 1, not {energy}")]
    BadEnergy {
        /// What was asked for.
        energy: f64,
    },
    /// A change holds values that are not finite.
    #[error("the change of module `{module}` is not finite")]
    NotFinite {
        /// The module's name.
        module: String,
    },
    /// Two models are the same in all matrices.
    #[error("{model} differs from {base} in no matrix")]
    NothingChanged {
        /// The base model.
        base: String,
        /// The other one.
        model: String,
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
            FuseError::NoBaseTensor { .. } => {
                Some("give the model that the adapter was trained on".into())
            }
            FuseError::QuantisedBase { .. } => {
                Some("give the base model in f32, f16 or bf16, before it was quantised".into())
            }
            FuseError::NeedsBase { .. } | FuseError::SavedBySome { .. } => {
                Some("fuse into the full weights of the base model".into())
            }
            FuseError::SavedWeights { .. } => Some(
                "give weights that sum to 1, or fuse into the full weights of the base model"
                    .into(),
            ),
            FuseError::NotFinite { .. } => Some("training has diverged: leave this one out".into()),
            FuseError::Checkpoint(error) => error.hint(),
            _ => None,
        }
    }
}

/// The result of everything in this crate.
pub type Result<T, E = FuseError> = std::result::Result<T, E>;
