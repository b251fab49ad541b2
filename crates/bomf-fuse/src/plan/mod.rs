//! What will be done: every tensor of the output, with its inputs, method and parameters.
//!
//! A plan is made from headers alone, before anything is read or written. It finds all that can be
//! wrong with models that do not go together, so that nothing of the kind is found half-way.
//!
//! - The output has the tensors of the recipe's reference model (the base, or the first), or, for
//!   slices, of the layers that are stacked.
//! - Layers are found in the tensors' names ([`LayerName`]); a gradient runs from the first layer
//!   to the last of a stack or slice, and outside the layers its first value holds.
//! - Integers, booleans and buffers that code computes anew are copied from the reference.
//! - An output head that a model does not store, because it is tied to the input embedding, is
//!   read from there; one that the reference does not store is not written.

pub(crate) mod layers;
mod names;
mod params;
mod slices;
mod statistics;
mod tensor;
mod tied;

use bomf_checkpoint::{Dtype, TensorSpec};

use crate::error::{FuseError, Result};
use crate::method::Params;
use crate::recipe::{Body, MergeRecipe, Settings};
use crate::weights::Weights;

pub use layers::LayerName;
pub use names::is_of_vocabulary;
pub use tied::Tied;

pub(crate) use names::tied_to;
use names::{is_derived, is_head};
use tensor::{Part, Place};

/// Where a tensor comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The model's number in the recipe.
    pub model: usize,
    /// The tensor's name there.
    pub tensor: String,
}

/// How a tensor of the output is made.
#[derive(Debug, Clone, PartialEq)]
pub enum Work {
    /// Its bytes are copied.
    Copy(Origin),
    /// It is fused.
    Fuse {
        /// The models' tensors, without the base model's.
        models: Vec<Origin>,
        /// The base model's.
        base: Option<Origin>,
        /// The parameters of the method.
        params: Params,
        /// Where each model's statistic lies, as a tensor of the model's statistics; nothing
        /// where the method needs none, or there is none for this tensor.
        statistics: Vec<Origin>,
    },
}

/// A tensor of the output.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedTensor {
    /// Its name, type and shape.
    pub spec: TensorSpec,
    /// How it is made.
    pub work: Work,
}

/// Every tensor of the output.
pub struct Plan<'a> {
    /// The recipe that it follows.
    pub recipe: &'a MergeRecipe,
    /// The recipe's models, in its order.
    pub models: Vec<&'a dyn Weights>,
    /// The tensors, in the order in which they are spread over files.
    pub tensors: Vec<PlannedTensor>,
    /// For slices: the number of layers of the output.
    pub layers: Option<usize>,
    /// What people should know: buffers that differ, tensors that are left out.
    pub notes: Vec<String>,
}

impl<'a> Plan<'a> {
    /// Plans a recipe for its models, in its order.
    ///
    /// # Errors
    /// Tensors that are missing, or of different shapes or kinds; layers that do not exist;
    /// parameters without a value.
    ///
    /// # Panics
    /// If there are not as many models as the recipe names.
    pub fn new(recipe: &'a MergeRecipe, models: Vec<&'a dyn Weights>) -> Result<Self> {
        assert_eq!(models.len(), recipe.models().len(), "one for each name");
        let mut plan = Self {
            recipe,
            models,
            tensors: Vec::new(),
            layers: None,
            notes: Vec::new(),
        };
        if recipe.dtype() == Some(Dtype::F64) && !recipe.method().is_wide() {
            plan.notes.push(format!(
                "`{}` computes in f32, though `dtype` is float64",
                recipe.method().spec().name
            ));
        }
        match recipe.body() {
            Body::Models(_) => plan.whole_models()?,
            Body::Slices(slices) => plan.slices(slices)?,
        }
        Ok(plan)
    }

    /// The number of elements of the output.
    pub fn num_parameters(&self) -> u64 {
        let elements = |t: &PlannedTensor| t.spec.num_elements() as u64;
        self.tensors.iter().map(elements).sum()
    }

    /// The specs of all tensors.
    pub fn specs(&self) -> Vec<TensorSpec> {
        self.tensors.iter().map(|t| t.spec.clone()).collect()
    }

    fn whole_models(&mut self) -> Result<()> {
        let recipe = self.recipe;
        let Body::Models(inputs) = recipe.body() else {
            return Ok(());
        };
        let mut parts: Vec<(usize, Option<&Settings>)> = inputs
            .iter()
            .map(|i| (i.model, Some(&i.parameters)))
            .collect();
        if let Some(base) = recipe.base()
            && parts.iter().all(|(model, _)| *model != base)
        {
            parts.push((base, None));
        }
        let reference = self.models[recipe.reference()];
        let names: Vec<String> = reference.names().into_iter().map(str::to_owned).collect();
        let stacks = layers::stacks(names.iter().map(String::as_str));
        for name in &names {
            let t = LayerName::of(name).map_or(0.0, |n| layers::place(n.layer, stacks[n.stack]));
            let parts = parts.iter().map(|&(model, own)| Part {
                origin: Origin {
                    model,
                    tensor: name.clone(),
                },
                tied: None,
                own,
            });
            let place = Place {
                slice: None,
                base: recipe.base(),
                t,
            };
            self.tensor(name.clone(), parts.collect(), &place)?;
        }
        for &(model, _) in &parts {
            self.no_extra_tensors(model)?;
        }
        Ok(())
    }

    /// Refuses tensors that the reference lacks, unless nothing is lost without them.
    fn no_extra_tensors(&mut self, model: usize) -> Result<()> {
        let reference = self.models[self.recipe.reference()];
        let weights = self.models[model];
        for name in weights.names() {
            if reference.info(name).is_some() || is_derived(name) {
                continue;
            }
            let is_stored_twice = tied_to(weights, name).is_some_and(|embedding| {
                let own = weights.bytes(name);
                own.is_some() && own == weights.bytes(embedding)
            });
            if !is_stored_twice && is_head(name) && tied_to(reference, name).is_some() {
                return Err(FuseError::UntiedHead {
                    tensor: name.to_owned(),
                    member: weights.name(),
                    reference: reference.name(),
                });
            }
            if !is_stored_twice {
                return Err(FuseError::ExtraTensor {
                    tensor: name.to_owned(),
                    member: weights.name(),
                    reference: reference.name(),
                });
            }
        }
        Ok(())
    }
}
