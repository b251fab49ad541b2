//! What is to be fused, how: a recipe that cannot be wrong in itself.
//!
//! A [`MergeRecipe`] names models and never opens one; whether their tensors go together is found
//! by the [`plan`](crate::plan). It says what a recipe of mergekit says: the models as wholes, or
//! slices of their layers stacked to a new model.

mod setting;

use std::ops::Range;

use bomf_checkpoint::Dtype;

use crate::error::{FuseError, Result};
use crate::method::{Base, Method};

pub use setting::{Case, Setting, Settings};

/// A valid recipe.
pub struct MergeRecipe {
    method: &'static dyn Method,
    models: Vec<String>,
    base: Option<usize>,
    body: Body,
    parameters: Settings,
    dtype: Option<Dtype>,
    out_dtype: Option<Dtype>,
    seed: u64,
}

/// The parts of a recipe, before they are known to go together.
pub struct MergeParts {
    /// The method.
    pub method: &'static dyn Method,
    /// Every model that is named, once.
    pub models: Vec<String>,
    /// The base model's number.
    pub base: Option<usize>,
    /// What is fused.
    pub body: Body,
    /// Parameters of the whole.
    pub parameters: Settings,
    /// The type that inputs are rounded to before they are fused.
    pub dtype: Option<Dtype>,
    /// The type of the output; without it that of the (rounded) inputs.
    pub out_dtype: Option<Dtype>,
    /// The seed of random methods.
    pub seed: u64,
}

/// What is fused.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// Whole models.
    Models(Vec<Input>),
    /// Slices of layers, one behind another.
    Slices(Vec<Slice>),
}

/// A model and its own parameters.
#[derive(Debug, Clone, PartialEq)]
pub struct Input {
    /// The model's number.
    pub model: usize,
    /// What is set for it alone.
    pub parameters: Settings,
}

/// Layers of the output.
#[derive(Debug, Clone, PartialEq)]
pub struct Slice {
    /// The layers that are fused into them; as many of each model.
    pub sources: Vec<SliceSource>,
    /// The base model's number, where it is another than the recipe's.
    pub base: Option<usize>,
    /// What is set for this slice alone.
    pub parameters: Settings,
}

/// Layers of one model.
#[derive(Debug, Clone, PartialEq)]
pub struct SliceSource {
    /// The model and its parameters.
    pub input: Input,
    /// Its layers, from 0.
    pub layers: Range<usize>,
}

impl MergeRecipe {
    /// A recipe from its parts.
    ///
    /// # Errors
    /// Too few or too many models for the method, no base model where it needs one, a model twice
    /// in one place, slices of several lengths or none.
    pub fn new(parts: MergeParts) -> Result<Self> {
        let recipe = Self {
            method: parts.method,
            models: parts.models,
            base: parts.base,
            body: parts.body,
            parameters: parts.parameters,
            dtype: parts.dtype,
            out_dtype: parts.out_dtype,
            seed: parts.seed,
        };
        match &recipe.body {
            Body::Models(inputs) => recipe.check_inputs(inputs.iter(), recipe.base, true)?,
            Body::Slices(slices) => {
                if slices.is_empty() {
                    return Err(FuseError::NoMembers);
                }
                for slice in slices {
                    let base = slice.base.or(recipe.base);
                    let inputs = slice.sources.iter().map(|s| &s.input);
                    recipe.check_inputs(inputs, base, false)?;
                    recipe.check_layers(slice, base)?;
                }
            }
        }
        Ok(recipe)
    }

    fn check_inputs<'a>(
        &self,
        inputs: impl Iterator<Item = &'a Input>,
        base: Option<usize>,
        is_base_added: bool,
    ) -> Result<()> {
        let spec = self.method.spec();
        let mut seen = Vec::new();
        for input in inputs {
            if seen.contains(&input.model) {
                return Err(FuseError::ModelTwice {
                    model: self.models[input.model].clone(),
                });
            }
            seen.push(input.model);
        }
        if seen.is_empty() {
            return Err(FuseError::NoMembers);
        }
        let mut found = seen.len();
        match (spec.base, base) {
            (Base::Unused, Some(base)) if is_base_added && !seen.contains(&base) => found += 1,
            (Base::Required | Base::Optional, Some(base)) if seen.contains(&base) => found -= 1,
            _ => {}
        }
        spec.check_models(found, base.is_some())
    }

    fn check_layers(&self, slice: &Slice, base: Option<usize>) -> Result<()> {
        let Some(first) = slice.sources.first() else {
            return Err(FuseError::NoMembers);
        };
        for source in &slice.sources {
            if source.layers.len() != first.layers.len() || source.layers.is_empty() {
                return Err(FuseError::SliceLength {
                    model: self.models[source.input.model].clone(),
                    layers: source.layers.clone(),
                    reference: self.models[first.input.model].clone(),
                    expected: first.layers.clone(),
                });
            }
        }
        // Which of the base's layers would be meant is not said.
        match base {
            Some(base)
                if self.method.spec().base != Base::Unused
                    && slice.sources.iter().all(|s| s.input.model != base) =>
            {
                Err(FuseError::BaseNotInSlice {
                    base: self.models[base].clone(),
                })
            }
            _ => Ok(()),
        }
    }

    /// The method.
    pub fn method(&self) -> &'static dyn Method {
        self.method
    }

    /// Every model that is named, once; others speak of them by their number.
    pub fn models(&self) -> &[String] {
        &self.models
    }

    /// The base model's number.
    pub fn base(&self) -> Option<usize> {
        self.base
    }

    /// The number of the model whose configuration, tokenizer and set of tensors the output has:
    /// the base model, or else the first that is named.
    pub fn reference(&self) -> usize {
        self.base.unwrap_or(match &self.body {
            Body::Models(inputs) => inputs[0].model,
            Body::Slices(slices) => slices[0].sources[0].input.model,
        })
    }

    /// What is fused.
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// Parameters of the whole.
    pub fn parameters(&self) -> &Settings {
        &self.parameters
    }

    /// The type that inputs are rounded to before they are fused.
    pub fn dtype(&self) -> Option<Dtype> {
        self.dtype
    }

    /// The type of the output.
    pub fn out_dtype(&self) -> Option<Dtype> {
        self.out_dtype
    }

    /// The seed of random methods.
    pub fn seed(&self) -> u64 {
        self.seed
    }
}

impl std::fmt::Debug for MergeRecipe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MergeRecipe")
            .field("method", &self.method.spec().name)
            .field("models", &self.models)
            .field("base", &self.base)
            .field("body", &self.body)
            .field("parameters", &self.parameters)
            .finish_non_exhaustive()
    }
}
