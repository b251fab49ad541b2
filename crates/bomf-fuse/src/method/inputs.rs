//! What a method is given: whole tensors to learn from, and blocks of them to fuse.

use super::{MethodSpec, Source, Statistic};
use crate::error::{FuseError, Result};

/// The tensors of one name that become one, all of the same shape.
#[derive(Clone)]
pub struct Inputs<'a> {
    /// The tensor's name, which random methods mix into their seed.
    pub name: &'a str,
    /// Its shape.
    pub shape: &'a [usize],
    /// The models' tensors, in the order of the recipe, the base model not among them.
    pub models: Vec<&'a dyn Source>,
    /// The base model's tensor.
    pub base: Option<&'a dyn Source>,
    /// What a method that asks for statistics is given of each model, in their order; nothing
    /// for tensors of which there are none.
    pub statistics: Vec<Statistic<'a>>,
}

impl Inputs<'_> {
    /// The number of elements of each tensor.
    pub fn len(&self) -> usize {
        let first = self.models.first().copied().or(self.base);
        first.map_or(0, |tensor| tensor.len())
    }

    /// Whether the tensors have no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a method can work on these: as many models as it takes, a base model where it must
    /// have one, and as many elements in each tensor as the shape says.
    ///
    /// # Errors
    /// [`FuseError::ModelCount`], [`FuseError::MissingBase`], [`FuseError::InputLength`].
    pub fn check(&self, spec: &'static MethodSpec) -> Result<()> {
        spec.check_models(self.models.len(), self.base.is_some())?;
        let expected: usize = self.shape.iter().product();
        let models = self.models.iter().enumerate().map(|(i, m)| (Some(i), *m));
        let base = self.base.map(|base| (None, base));
        for (model, source) in models.chain(base) {
            if source.len() != expected {
                return Err(FuseError::InputLength {
                    tensor: self.name.to_owned(),
                    model,
                    expected,
                    found: source.len(),
                });
            }
        }
        Ok(())
    }
}

/// A block of the inputs: the same elements of each.
pub struct Block<'a> {
    /// The number of the first element within the tensor.
    pub start: usize,
    /// The models' elements.
    pub models: &'a [&'a [f32]],
    /// The base model's.
    pub base: Option<&'a [f32]>,
}

impl Block<'_> {
    /// The number of elements.
    pub fn len(&self) -> usize {
        let first = self.models.first().copied().or(self.base);
        first.map_or(0, <[f32]>::len)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
