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

use bomf_checkpoint::{Dtype, TensorSpec, is_float};

use crate::error::{FuseError, Result};
use crate::method::{Base, Params};
use crate::recipe::{Body, MergeRecipe, Settings, Slice};
use crate::weights::{TensorInfo, Weights};

pub use layers::LayerName;
pub use names::is_of_vocabulary;

use names::{is_derived, tied_to};
use params::{Scoped, Scopes};

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

/// One input of a tensor to be planned.
struct Part<'a> {
    origin: Origin,
    /// The name of the tensor that it is tied to, where that is read in its place.
    tied: Option<String>,
    own: Option<&'a Settings>,
}

impl Part<'_> {
    /// Where its elements are read.
    fn source(self) -> Origin {
        Origin {
            model: self.origin.model,
            tensor: self.tied.unwrap_or(self.origin.tensor),
        }
    }
}

/// What the tensors of a place have in common.
struct Place<'a> {
    slice: Option<&'a Settings>,
    base: Option<usize>,
    t: f64,
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
            let is_stored_twice = tied_to(weights, name)
                .is_some_and(|embedding| weights.bytes(name) == weights.bytes(embedding));
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

    fn slices(&mut self, slices: &'a [Slice]) -> Result<()> {
        let (Some(first), Some(last)) = (slices.first(), slices.last()) else {
            return Ok(());
        };
        let reference = self.models[self.recipe.reference()];
        let stack = one_stack(reference)?.0;
        let names: Vec<String> = reference.names().into_iter().map(str::to_owned).collect();
        for name in names.iter().filter(|name| LayerName::of(name).is_none()) {
            let slice = if layers::is_before_layers(name) {
                first
            } else {
                last
            };
            let parts = slice.sources.iter().map(|source| Part {
                origin: Origin {
                    model: source.input.model,
                    tensor: name.clone(),
                },
                tied: None,
                own: Some(&source.input.parameters),
            });
            self.tensor(name.clone(), parts.collect(), &self.place_of(slice, 0.0))?;
        }
        let mut layer = 0;
        for slice in slices {
            self.slice(slice, &stack, &mut layer)?;
        }
        self.tensors.sort_by(|a, b| a.spec.name.cmp(&b.spec.name));
        self.layers = Some(layer);
        Ok(())
    }

    fn place_of(&self, slice: &'a Slice, t: f64) -> Place<'a> {
        Place {
            slice: Some(&slice.parameters),
            base: slice.base.or(self.recipe.base()),
            t,
        }
    }

    /// Plans the layers of one slice, from the output's `layer` on.
    fn slice(&mut self, slice: &'a Slice, stack: &str, layer: &mut usize) -> Result<()> {
        let mut stacks = Vec::with_capacity(slice.sources.len());
        for source in &slice.sources {
            let model = self.models[source.input.model];
            let (own_stack, found) = one_stack(model)?;
            if source.layers.end > found {
                return Err(FuseError::LayerRange {
                    model: model.name(),
                    layers: source.layers.clone(),
                    found,
                });
            }
            stacks.push(own_stack);
        }
        let Some(first) = slice.sources.first() else {
            return Ok(());
        };
        let model = self.models[first.input.model];
        for index in 0..first.layers.len() {
            let place = self.place_of(slice, layers::place(index, first.layers.len()));
            let own = model.names().into_iter().filter_map(LayerName::of);
            let own = own.filter(|name| name.layer == first.layers.start + index);
            for rest in own.map(|name| name.rest) {
                let parts = slice
                    .sources
                    .iter()
                    .zip(&stacks)
                    .map(|(source, stack)| Part {
                        origin: Origin {
                            model: source.input.model,
                            tensor: format!("{stack}{}{rest}", source.layers.start + index),
                        },
                        tied: None,
                        own: Some(&source.input.parameters),
                    });
                self.tensor(format!("{stack}{layer}{rest}"), parts.collect(), &place)?;
            }
            *layer += 1;
        }
        Ok(())
    }

    /// Plans one tensor.
    fn tensor(&mut self, name: String, mut parts: Vec<Part<'_>>, place: &Place<'_>) -> Result<()> {
        // The base model says what the tensor is, or else the first.
        let reference = place
            .base
            .and_then(|base| parts.iter().position(|p| p.origin.model == base));
        let reference = reference.unwrap_or(0);
        let origin = parts[reference].origin.clone();
        let (model, info) = self.find(&origin, &parts[reference].origin)?;
        let spec = |dtype| TensorSpec::new(name.clone(), dtype, info.shape);
        if !is_float(info.dtype) || is_derived(&name) {
            let note = self.disagreement(&origin, &parts);
            self.notes.extend(note);
            self.tensors.push(PlannedTensor {
                spec: spec(info.dtype),
                work: Work::Copy(origin),
            });
            return Ok(());
        }
        let mut dtype = None;
        for part in &mut parts {
            let weights = self.models[part.origin.model];
            if weights.info(&part.origin.tensor).is_none() {
                part.tied = tied_to(weights, &part.origin.tensor).map(str::to_owned);
            }
            let read = Origin {
                model: part.origin.model,
                tensor: part.tied.clone().unwrap_or(part.origin.tensor.clone()),
            };
            let (member, found) = self.find(&read, &origin)?;
            if found.shape != info.shape {
                return Err(FuseError::ShapeMismatch {
                    tensor: name,
                    member: member.name(),
                    shape: found.shape.to_vec(),
                    reference: model.name(),
                    expected: info.shape.to_vec(),
                });
            }
            if !is_float(found.dtype) {
                return Err(FuseError::TypeMismatch {
                    tensor: name,
                    member: member.name(),
                    dtype: found.dtype,
                    reference: model.name(),
                    expected: info.dtype,
                });
            }
            dtype = Some(promoted(dtype, found.dtype));
        }
        let recipe = self.recipe;
        let dtype = recipe
            .out_dtype()
            .or(recipe.dtype())
            .or(dtype)
            .unwrap_or(info.dtype);
        let method = recipe.method().spec();
        let is_base =
            |part: &Part<'_>| method.base != Base::Unused && Some(part.origin.model) == place.base;
        let (base, models): (Vec<_>, Vec<_>) = parts.into_iter().partition(is_base);
        let scopes = Scopes {
            tensor: &name,
            t: place.t,
            shared: [place.slice, Some(recipe.parameters())],
        };
        let scoped: Vec<Scoped<'_>> = models
            .iter()
            .map(|part| Scoped {
                name: self.models[part.origin.model].name(),
                tensor: &part.origin.tensor,
                own: part.own,
            })
            .collect();
        let params = scopes.resolve(method, &scoped)?;
        self.tensors.push(PlannedTensor {
            spec: spec(dtype),
            work: Work::Fuse {
                models: models.into_iter().map(Part::source).collect(),
                base: base.into_iter().next().map(Part::source),
                params,
            },
        });
        Ok(())
    }

    /// The model and the tensor of an origin; `reference` is where there is one of that name.
    fn find(
        &self,
        origin: &Origin,
        reference: &Origin,
    ) -> Result<(&'a dyn Weights, TensorInfo<'a>)> {
        let model = self.models[origin.model];
        match model.info(&origin.tensor) {
            Some(info) => Ok((model, info)),
            None => Err(FuseError::MissingTensor {
                tensor: origin.tensor.clone(),
                member: model.name(),
                reference: self.models[reference.model].name(),
            }),
        }
    }

    /// A note where a tensor that is copied is not the same in all models that have it.
    fn disagreement(&self, origin: &Origin, parts: &[Part<'_>]) -> Option<String> {
        let model = self.models[origin.model];
        let own = (model.info(&origin.tensor), model.bytes(&origin.tensor));
        let other = parts
            .iter()
            .map(|part| (part, self.models[part.origin.model]))
            .find(|(part, other)| {
                let found = other.info(&part.origin.tensor);
                found.is_some() && (found, other.bytes(&part.origin.tensor)) != own
            });
        let other = other?.1;
        Some(format!(
            "tensor `{}` is no matter of fusion and differs between {} and {}; it is copied from the first",
            origin.tensor,
            model.name(),
            other.name()
        ))
    }
}

/// The name of the only stack of layers of a model, and how many there are.
fn one_stack(model: &dyn Weights) -> Result<(String, usize)> {
    let names = model.names();
    let stacks = layers::stacks(names);
    match stacks.iter().next() {
        Some((stack, layers)) if stacks.len() == 1 => Ok((stack.to_string(), *layers)),
        _ => Err(FuseError::NotOneStack {
            model: model.name(),
            stacks: stacks.keys().map(|s| s.to_string()).collect(),
        }),
    }
}

/// The type that holds the values of both without loss, as PyTorch promotes them.
fn promoted(before: Option<Dtype>, dtype: Dtype) -> Dtype {
    match before {
        None => dtype,
        Some(before) if before == dtype => dtype,
        Some(before) if before == Dtype::F64 || dtype == Dtype::F64 => Dtype::F64,
        Some(_) => Dtype::F32,
    }
}
