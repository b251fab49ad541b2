//! What some methods must know of a model beside its weights: how its training data moved it.

use std::fmt;

use super::Source;

/// The kinds of statistics, and what a file of them holds for a model's tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statistics {
    /// The diagonal of the Fisher information: for each tensor one of its name and shape.
    Fisher,
    /// Gram matrices of the inputs of linear layers: for a weight `[out, in]` one of its name,
    /// `[in, in]`; for one that is stored as `[in, out]`, one of its name and
    /// [`INPUTS_FIRST`](Self::INPUTS_FIRST).
    Gram,
}

impl Statistics {
    /// What follows the name of a weight that is stored as `[in, out]`, in a file of Gram
    /// matrices.
    pub const INPUTS_FIRST: &str = ".inputs_first";

    /// The kind's name, in files and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fisher => "fisher",
            Self::Gram => "gram",
        }
    }
}

impl fmt::Display for Statistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A model's statistics for one tensor.
#[derive(Clone, Copy)]
pub struct Statistic<'a> {
    /// The elements: as many as the tensor has, or a square matrix.
    pub source: &'a dyn Source,
    /// Of a Gram matrix: whether the weight is stored as `[in, out]`.
    pub inputs_first: bool,
    /// Of Fisher information: the norm of all of the model's, where the method asks for it.
    pub norm: f64,
}
