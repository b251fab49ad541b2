//! What can go wrong when models are fused.

use std::ops::Range;

use bomf_checkpoint::{CheckpointError, Dtype};

use crate::align::Heads;
use crate::method::{Kind, Statistics, Value};
use crate::plan::is_of_vocabulary;
use crate::registry;

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
    /// A member has an output head of its own, and the first one's is its input embedding.
    #[error(
        "{member} has an output head of its own (`{tensor}`), and that of {reference} is tied to \
         the input embedding"
    )]
    UntiedHead {
        /// The head's name.
        tensor: String,
        /// The member with a head.
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
    /// Not one list of weights a group.
    #[error("{found} lists of weights for {expected} groups of tensors")]
    GroupCount {
        /// The number of groups.
        expected: usize,
        /// The number of lists.
        found: usize,
    },
    /// Groups were made for a member set of other segments.
    #[error("the groups are of {found} tensors, but the members have {expected}")]
    OtherSegments {
        /// The number of segments of the members.
        expected: usize,
        /// The number that the groups are made of.
        found: usize,
    },
    /// Something is wrong with the weights of a group.
    #[error("group `{group}`: {error}")]
    InGroup {
        /// The group's name.
        group: String,
        /// What is wrong.
        #[source]
        error: Box<FuseError>,
    },
    /// There is no method of this name.
    #[error("unknown merge method `{name}`")]
    UnknownMethod {
        /// The name.
        name: String,
        /// The nearest name that there is, if one is near.
        nearest: Option<&'static str>,
    },
    /// A method has too few or too many models.
    #[error("`{method}` takes {} beside the base model, not {found}", count(*low, *high))]
    ModelCount {
        /// The method.
        method: &'static str,
        /// The least number it takes.
        low: usize,
        /// The greatest number it takes.
        high: usize,
        /// The number it was given.
        found: usize,
    },
    /// A method that works on differences from a base model has none.
    #[error("`{method}` needs a base model")]
    MissingBase {
        /// The method.
        method: &'static str,
    },
    /// A tensor has not as many elements as its shape says.
    #[error("tensor `{tensor}` of {} has {found} elements where its shape needs {expected}", which(*model))]
    InputLength {
        /// The tensor's name.
        tensor: String,
        /// The model's number, from 0; the base model if there is none.
        model: Option<usize>,
        /// What the shape needs.
        expected: usize,
        /// What there is.
        found: usize,
    },
    /// A parameter without a default was not given.
    #[error("`{method}` needs the parameter `{parameter}`{}", of(*model))]
    MissingParameter {
        /// The method.
        method: &'static str,
        /// The parameter.
        parameter: &'static str,
        /// The model that lacks it, from 0; none for a parameter of the method.
        model: Option<usize>,
    },
    /// A parameter has a value that it does not take.
    #[error("parameter `{parameter}` of `{method}` is {found}{}", of(*model))]
    InvalidParameter {
        /// The method.
        method: &'static str,
        /// The parameter.
        parameter: &'static str,
        /// The model, from 0; none for a parameter of the method.
        model: Option<usize>,
        /// The values that it takes.
        kind: Kind,
        /// Its value.
        found: Value,
    },
    /// Weights that are to be normalised sum to zero.
    #[error("the weights of tensor `{tensor}` sum to zero")]
    ZeroWeights {
        /// The tensor's name.
        tensor: String,
    },
    /// A model has no statistics, or none for a tensor of which others have some.
    #[error(
        "`{method}` needs {kind} statistics{}, and {model} has none",
        for_tensor(tensor)
    )]
    NoStatistics {
        /// The method.
        method: &'static str,
        /// The kind of statistics.
        kind: Statistics,
        /// The tensor, where the model has some for others.
        tensor: Option<String>,
        /// The model.
        model: String,
    },
    /// A statistic has another shape than its tensor asks for.
    #[error(
        "the {kind} statistics of tensor `{tensor}` are {found:?} in {file} where {expected:?} is \
         needed"
    )]
    StatisticShape {
        /// The kind of statistics.
        kind: Statistics,
        /// The tensor.
        tensor: String,
        /// The file.
        file: String,
        /// The shape that is needed.
        expected: Vec<usize>,
        /// The shape there is.
        found: Vec<usize>,
    },
    /// A statistic has not as many elements as its tensor asks for.
    #[error(
        "the statistics of model {model} for tensor `{tensor}` have {found} elements where \
         {expected} are needed"
    )]
    StatisticLength {
        /// The tensor.
        tensor: String,
        /// The model's number, from 0.
        model: usize,
        /// What is needed.
        expected: usize,
        /// What there is.
        found: usize,
    },
    /// Gram matrices whose sum has no inverse that could be relied on.
    #[error("the Gram matrices of tensor `{tensor}` cannot be solved with alpha {alpha}")]
    Unsolvable {
        /// The tensor.
        tensor: String,
        /// The factor of what is off their diagonals.
        alpha: f64,
    },
    /// No tensor has a name by which units could be found.
    #[error("{model} has no layers whose units could be aligned")]
    NothingToAlign {
        /// The model.
        model: String,
    },
    /// The heads of a model do not divide a projection of it.
    #[error(
        "tensor `{tensor}` has {length} outputs, which do not go with {} heads ({} of keys and \
         values)",
        heads.queries, heads.key_values
    )]
    BadHeads {
        /// The tensor.
        tensor: String,
        /// Its outputs.
        length: usize,
        /// The heads that the configuration speaks of.
        heads: Heads,
    },
    /// A tensor that belongs to a unit is missing, or holds no floats.
    #[error("tensor `{tensor}` of {model} is missing or no float, and its units cannot be aligned")]
    NoUnitTensor {
        /// The tensor.
        tensor: String,
        /// The model.
        model: String,
    },
    /// A tensor is too small for its units.
    #[error("tensor `{tensor}` is {shape:?}, too small for {units} units of {width}")]
    UnitShape {
        /// The tensor.
        tensor: String,
        /// Its shape.
        shape: Vec<usize>,
        /// The units that it should have.
        units: usize,
        /// Elements of each.
        width: usize,
    },
    /// A regularisation that is negative or no number.
    #[error("the regularisation is {value}, not a finite number of at least 0")]
    BadRegularisation {
        /// What was given.
        value: f64,
    },
    /// DELLA's probabilities `density - epsilon ..= density + epsilon` leave the range (0, 1).
    #[error(
        "model {model} has density {density} and epsilon {epsilon}: density - epsilon and \
         density + epsilon must lie between 0 and 1"
    )]
    EpsilonRange {
        /// The model's number, from 0.
        model: usize,
        /// Its density.
        density: f64,
        /// Its epsilon.
        epsilon: f64,
    },
    /// Models that point in opposite directions cancel out.
    #[error("the weighted directions of tensor `{tensor}` sum to zero")]
    OpposedModels {
        /// The tensor's name.
        tensor: String,
    },
    /// A decay that is no number from 0 to 1.
    #[error("the decay is {value}, not a number from 0 to 1")]
    InvalidDecay {
        /// The decay.
        value: f64,
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
    /// A model is named twice in one place.
    #[error("{model} is named twice among the models that become one")]
    ModelTwice {
        /// The model.
        model: String,
    },
    /// The base model has no layers in a slice.
    #[error("the base model {base} is not among the sources of a slice")]
    BaseNotInSlice {
        /// The base model.
        base: String,
    },
    /// The sources of a slice have not the same number of layers.
    #[error(
        "a slice has layers {} to {} of {model} but {} to {} of {reference}",
        layers.start, layers.end, expected.start, expected.end
    )]
    SliceLength {
        /// The model that differs.
        model: String,
        /// Its layers.
        layers: Range<usize>,
        /// The first model of the slice.
        reference: String,
        /// Its layers.
        expected: Range<usize>,
    },
    /// A slice asks for layers that a model does not have.
    #[error("layers {} to {} are asked of {model}, which has {found}", layers.start, layers.end)]
    LayerRange {
        /// The model.
        model: String,
        /// What is asked for.
        layers: Range<usize>,
        /// The number of layers there are.
        found: usize,
    },
    /// Slices of a model whose layers are not one stack.
    #[error(
        "slices need one stack of layers, but {model} has {}",
        stacks_of(stacks)
    )]
    NotOneStack {
        /// The model.
        model: String,
        /// What the names of its layers begin with.
        stacks: Vec<String>,
    },
    /// A parameter has no value for a tensor.
    #[error("`{parameter}` has no value for tensor `{tensor}`{}", of_model(model))]
    NoValue {
        /// The parameter.
        parameter: &'static str,
        /// The tensor.
        tensor: String,
        /// The model, where the parameter is one for each.
        model: Option<String>,
    },
    /// A tensor holds floats in one model and something else in another.
    #[error("tensor `{tensor}` is of type {dtype} in {member} but {expected} in {reference}")]
    TypeMismatch {
        /// The tensor's name.
        tensor: String,
        /// The member that differs.
        member: String,
        /// Its type there.
        dtype: Dtype,
        /// The model it is compared with.
        reference: String,
        /// Its type there.
        expected: Dtype,
    },
    /// The bound on memory is too low even for the smallest blocks.
    #[error("{bytes} bytes of memory are too few: {least} are needed")]
    TooLittleMemory {
        /// The bound.
        bytes: u64,
        /// What is needed.
        least: u64,
    },
    /// Values of the output are beyond the range of its type.
    #[error("tensor `{tensor}` has {count} values beyond the range of {dtype}")]
    OutOfRange {
        /// The tensor's name.
        tensor: String,
        /// How many values.
        count: u64,
        /// The output's type.
        dtype: Dtype,
    },
    /// It was asked to stop.
    #[error("interrupted")]
    Interrupted,
    /// A member could not be read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}

fn stacks_of(stacks: &[String]) -> String {
    match stacks {
        [] => "no numbered layers".into(),
        stacks => format!("{}: `{}`", stacks.len(), stacks.join("`, `")),
    }
}

fn for_tensor(tensor: &Option<String>) -> String {
    match tensor {
        Some(tensor) => format!(" for tensor `{tensor}`"),
        None => String::new(),
    }
}

fn of_model(model: &Option<String>) -> String {
    match model {
        Some(model) => format!(" of {model}"),
        None => String::new(),
    }
}

impl FuseError {
    /// How to mend it, in one line, where there is something to say.
    pub fn hint(&self) -> Option<String> {
        match self {
            FuseError::ShapeMismatch { tensor, .. } if is_of_vocabulary(tensor) => Some(
                "embeddings of different vocabularies are matched token by token where the \
                     recipe has a tokenizer_source: union, base, or a model"
                    .into(),
            ),
            FuseError::ShapeMismatch { .. }
            | FuseError::MissingTensor { .. }
            | FuseError::TypeMismatch { .. }
            | FuseError::ExtraTensor { .. } => Some("fuse checkpoints of one architecture".into()),
            FuseError::UntiedHead { .. } => Some(
                "name the model with the head as base_model, or first: a tied head is then read \
                 from the embedding"
                    .into(),
            ),
            FuseError::BaseNotInSlice { .. } => Some("add its layers to the sources".into()),
            FuseError::ModelTwice { .. } => Some("name it once, with a greater weight".into()),
            FuseError::SliceLength { .. } => {
                Some("take as many layers of each model, and at least one".into())
            }
            FuseError::NoValue {
                parameter,
                model: Some(_),
                ..
            } => Some(format!(
                "set `{parameter}` for each model, or for all under `parameters`"
            )),
            FuseError::NoValue { parameter, .. } => {
                Some(format!("set `{parameter}` under `parameters`"))
            }
            FuseError::TooLittleMemory { .. } => Some("allow more memory or fewer threads".into()),
            FuseError::OutOfRange { .. } => Some("write as bf16 or f32".into()),
            FuseError::InGroup { error, .. } => error.hint(),
            FuseError::NonFiniteWeight { .. } => Some("weights must be finite numbers".into()),
            FuseError::UnknownMethod {
                nearest: Some(name),
                ..
            } => Some(format!("did you mean `{name}`?")),
            FuseError::UnknownMethod { .. } => {
                let names: Vec<_> = registry::all().iter().map(|m| m.spec().name).collect();
                Some(format!("the methods are {}", names.join(", ")))
            }
            FuseError::MissingBase { .. } => {
                Some("name the common ancestor of the models as `base_model`".into())
            }
            FuseError::InvalidParameter { kind, .. } => Some(format!("it takes {kind}")),
            FuseError::ZeroWeights { .. } => {
                Some("set `normalize: false`, or other weights".into())
            }
            FuseError::NoStatistics { kind, .. } => Some(format!(
                "make them with `bomf statistics --kind {kind}` and name the file as \
                 `statistics` beside the model"
            )),
            FuseError::StatisticShape { .. } | FuseError::StatisticLength { .. } => {
                Some("make them from this model, with `bomf statistics`".into())
            }
            FuseError::NothingToAlign { .. } => Some(
                "alignment knows the names of BERT, RoBERTa, DistilBERT, GPT-2, and of Llama and \
                 its kind"
                    .into(),
            ),
            FuseError::BadHeads { .. } => {
                Some("is config.json that of this model? it says how many heads there are".into())
            }
            FuseError::NoUnitTensor { .. } => Some("align models of one architecture".into()),
            FuseError::Unsolvable { .. } => Some(
                "lower `alpha`, or make the matrices from more examples; they must be finite and \
                 positive semi-definite"
                    .into(),
            ),
            FuseError::OpposedModels { .. } => Some("choose other weights".into()),
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

/// "2 models", "2 to 5 models", "at least 2 models".
fn count(low: usize, high: usize) -> String {
    let models = |n| if n == 1 { "model" } else { "models" };
    match high {
        usize::MAX => format!("at least {low} {}", models(low)),
        _ if low == high => format!("{low} {}", models(low)),
        _ => format!("{low} to {high} {}", models(high)),
    }
}

fn which(model: Option<usize>) -> String {
    model.map_or("the base model".into(), |i| format!("model {i}"))
}

fn of(model: Option<usize>) -> String {
    model.map_or(String::new(), |i| format!(" for model {i}"))
}

/// The result of everything in this crate.
pub type Result<T, E = FuseError> = std::result::Result<T, E>;
