//! Slices: layers of models, stacked.

use super::layers::{self, LayerName};
use super::tensor::{Part, Place};
use super::{Origin, Plan};
use crate::error::{FuseError, Result};
use crate::recipe::Slice;
use crate::weights::Weights;

impl<'a> Plan<'a> {
    pub(super) fn slices(&mut self, slices: &'a [Slice]) -> Result<()> {
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
