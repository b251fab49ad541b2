//! One tensor of the output: what it is made from, and whether that goes together.

use bomf_checkpoint::{Dtype, TensorSpec, is_float};

use super::names::{is_derived, tied_to};
use super::params::{Scoped, Scopes};
use super::{Origin, Plan, PlannedTensor, Work};
use crate::error::{FuseError, Result};
use crate::method::Base;
use crate::recipe::Settings;
use crate::weights::{TensorInfo, Weights};

/// One input of a tensor to be planned.
pub(super) struct Part<'a> {
    pub origin: Origin,
    /// The name of the tensor that it is tied to, where that is read in its place.
    pub tied: Option<String>,
    pub own: Option<&'a Settings>,
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
pub(super) struct Place<'a> {
    pub slice: Option<&'a Settings>,
    pub base: Option<usize>,
    pub t: f64,
}

impl<'a> Plan<'a> {
    /// Plans one tensor.
    pub(super) fn tensor(
        &mut self,
        name: String,
        mut parts: Vec<Part<'_>>,
        place: &Place<'_>,
    ) -> Result<()> {
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
                if part.tied.is_some() {
                    self.notes.push(format!(
                        "the output head of {} is its input embedding, and that of {} is its own; \
                         so is the output's",
                        weights.name(),
                        model.name()
                    ));
                }
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
        let spec = spec(dtype);
        let models: Vec<Origin> = models.into_iter().map(Part::source).collect();
        let statistics = self.statistics(&spec, &models)?;
        self.tensors.push(PlannedTensor {
            spec,
            work: Work::Fuse {
                models,
                base: base.into_iter().next().map(Part::source),
                params,
                statistics,
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

/// The type that holds the values of both without loss, as PyTorch promotes them.
fn promoted(before: Option<Dtype>, dtype: Dtype) -> Dtype {
    match before {
        None => dtype,
        Some(before) if before == dtype => dtype,
        Some(before) if before == Dtype::F64 || dtype == Dtype::F64 => Dtype::F64,
        Some(_) => Dtype::F32,
    }
}
