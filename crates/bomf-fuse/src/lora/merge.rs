//! Adapters put into the full weights of their base model.

use std::borrow::Cow;

use bomf_checkpoint::{Checkpoint, LayerKind, LoraLayer, TensorData, TensorRef, TensorSpec};
use rayon::prelude::*;

use super::linalg::{add_product, rows};
use super::{Weighted, average_saved, check, expect_shape, modules, saved_names};
use crate::error::{FuseError, Result};
use crate::methods::linear::weighted_sum;

/// A base model and adapters that fit it.
///
/// Every tensor keeps the type that it has in the base model; it is computed in `f32` and rounded
/// once. What no adapter changes is handed on byte for byte. One tensor is in memory at a time,
/// several times over where DoRA or whole tensors take part.
#[derive(Debug)]
pub struct Merge<'a> {
    base: &'a Checkpoint,
    adapters: Vec<Weighted<'a>>,
    specs: Vec<TensorSpec>,
}

impl<'a> Merge<'a> {
    /// Checks that the adapters fit the base model.
    ///
    /// # Errors
    /// No adapters, weights that are not finite, tensors that the base model lacks or has in
    /// another shape or in a type that is no float.
    pub fn new(base: &'a Checkpoint, adapters: &[Weighted<'a>]) -> Result<Self> {
        check(adapters)?;
        let base_label = base.path().display().to_string();
        for member in adapters {
            for layer in member.adapter.layers() {
                let name = layer.base_tensor();
                let Some(tensor) = base.get(&name) else {
                    return Err(FuseError::NoBaseTensor {
                        tensor: name,
                        adapter: member.label(),
                        base: base_label,
                    });
                };
                check_float(&tensor)?;
                let shape = base_shape(&layer, member.adapter.config().fan_in_fan_out);
                expect_shape(
                    &name,
                    member.label(),
                    &shape,
                    base_label.clone(),
                    tensor.shape(),
                )?;
            }
            for (name, tensor) in member.adapter.saved() {
                if let Some(own) = base.get(name) {
                    let (shape, expected) = (tensor.shape(), own.shape());
                    expect_shape(name, member.label(), shape, base_label.clone(), expected)?;
                    check_float(&own)?;
                }
            }
        }
        let own = base.tensors();
        let mut specs: Vec<_> = own
            .map(|t| TensorSpec::new(t.name(), t.dtype(), t.shape()))
            .collect();
        // Such as the classifier of a model whose base has none.
        for name in saved_names(adapters) {
            if !base.contains(name)
                && let Some(tensor) = adapters.iter().find_map(|a| a.adapter.saved_tensor(name))
            {
                specs.push(TensorSpec::new(name, tensor.dtype(), tensor.shape()));
            }
        }
        Ok(Self {
            base,
            adapters: adapters.to_vec(),
            specs,
        })
    }

    /// The tensors of the merged model: those of the base model, in their order, then those that
    /// only the adapters have.
    pub fn specs(&self) -> &[TensorSpec] {
        &self.specs
    }

    /// The names of the base tensors that change.
    pub fn changed(&self) -> Vec<String> {
        let layers = modules(&self.adapters).into_iter();
        let mut names: Vec<_> = layers.map(|module| format!("{module}.weight")).collect();
        names.extend(saved_names(&self.adapters).into_iter().map(str::to_owned));
        names.sort();
        names.dedup();
        names
    }

    /// The values of one of [`specs`](Self::specs).
    ///
    /// # Errors
    /// A tensor of another name; one that adapters store whole and the base model lacks, if some
    /// adapters lack it too or the weights do not sum to one.
    pub fn tensor(&self, name: &str) -> Result<TensorData<'a>> {
        let Some(base) = self.base.get(name) else {
            let values = average_saved(&self.adapters, name)?.values;
            return Ok(TensorData::F32(Cow::Owned(values)));
        };
        let module = name.strip_suffix(".weight");
        let changes = |a: &Weighted<'a>| {
            a.adapter.saved_tensor(name).is_some()
                || module.is_some_and(|module| a.adapter.layer(module).is_some())
        };
        let members: Vec<_> = self.adapters.iter().filter(|a| changes(a)).collect();
        if members.is_empty() {
            return Ok(TensorData::Bytes(Cow::Borrowed(base.bytes())));
        }
        let base = base.to_f32()?;
        // Adapters that replace W instead of adding to it, with what they make of it.
        let mut replaced: Vec<(f64, Vec<f32>)> = Vec::new();
        let mut added: Vec<(f64, LoraLayer<'a>, bool)> = Vec::new();
        for member in members {
            let own = match member.adapter.saved_tensor(name) {
                Some(tensor) => Some(tensor.to_f32()?),
                None => None,
            };
            let layer = module.and_then(|module| member.layer(module));
            let transposed = member.adapter.config().fan_in_fan_out;
            match layer {
                Some((_, layer)) if layer.magnitude.is_some() => {
                    let mut v = own.unwrap_or_else(|| base.clone());
                    add(&mut v, layer.scale, &layer, transposed)?;
                    scale_to_magnitudes(&mut v, &layer, transposed)?;
                    replaced.push((member.weight, v));
                }
                layer => {
                    replaced.extend(own.map(|own| (member.weight, own)));
                    added.extend(layer.map(|(c, layer)| (c, layer, transposed)));
                }
            }
        }
        let rest = 1.0 - replaced.iter().map(|(w, _)| w).sum::<f64>();
        let mut inputs: Vec<(f32, &[f32])> = Vec::new();
        if rest != 0.0 {
            inputs.push((rest as f32, &base));
        }
        inputs.extend(replaced.iter().map(|(w, v)| (*w as f32, v.as_slice())));
        let mut out = vec![0.0; base.len()];
        weighted_sum(&inputs, &mut out);
        for (c, layer, transposed) in added {
            add(&mut out, c, &layer, transposed)?;
        }
        Ok(TensorData::F32(Cow::Owned(out)))
    }
}

fn check_float(tensor: &TensorRef<'_>) -> Result<()> {
    match tensor.is_float() {
        true => Ok(()),
        false => Err(FuseError::QuantisedBase {
            tensor: tensor.name().to_owned(),
            dtype: tensor.dtype(),
        }),
    }
}

/// The shape that the base tensor of a layer has.
fn base_shape(layer: &LoraLayer<'_>, fan_in_fan_out: bool) -> Vec<usize> {
    let (m, n) = layer.sides();
    match layer.kind {
        LayerKind::Linear if !fan_in_fan_out => vec![m, n],
        LayerKind::Linear | LayerKind::Embedding => vec![n, m],
        LayerKind::Conv => [&[m], &layer.a.shape()[1..]].concat(),
    }
}

/// Whether the weight is stored as the transpose of `B A`.
pub(super) fn is_transposed(layer: &LoraLayer<'_>, fan_in_fan_out: bool) -> bool {
    match layer.kind {
        LayerKind::Linear => fan_in_fan_out,
        LayerKind::Embedding => true,
        LayerKind::Conv => false,
    }
}

/// `out += c B A`, in the order of the base tensor.
fn add(out: &mut [f32], c: f64, layer: &LoraLayer<'_>, fan_in_fan_out: bool) -> Result<()> {
    let (m, n) = layer.sides();
    let (a, b) = (layer.a.to_f32()?, layer.b.to_f32()?);
    let (a, b) = (rows(&a, layer.r, n), rows(&b, m, layer.r));
    match is_transposed(layer, fan_in_fan_out) {
        true => add_product(out, c as f32, a.transpose(), b.transpose()),
        false => add_product(out, c as f32, b, a),
    }
    Ok(())
}

/// Scales each output row of `v` to its magnitude; a row of zeros stays one.
fn scale_to_magnitudes(v: &mut [f32], layer: &LoraLayer<'_>, fan_in_fan_out: bool) -> Result<()> {
    let Some(magnitude) = &layer.magnitude else {
        return Ok(());
    };
    let magnitude = magnitude.to_f32()?;
    let (m, n) = layer.sides();
    let ratio = |squares: f64, magnitude: f32| match squares > 0.0 {
        true => (f64::from(magnitude) / squares.sqrt()) as f32,
        false => 0.0,
    };
    if is_transposed(layer, fan_in_fan_out) {
        let mut squares = vec![0.0; m];
        for row in v.chunks_exact(m) {
            for (s, &x) in squares.iter_mut().zip(row) {
                *s += f64::from(x).powi(2);
            }
        }
        let ratios: Vec<f32> = squares
            .iter()
            .zip(&magnitude)
            .map(|(&s, &g)| ratio(s, g))
            .collect();
        v.par_chunks_exact_mut(m).for_each(|row| {
            for (x, ratio) in row.iter_mut().zip(&ratios) {
                *x *= ratio;
            }
        });
    } else {
        let each_row = v.par_chunks_exact_mut(n).zip(&magnitude);
        each_row.for_each(|(row, &g)| {
            let squares = row.iter().map(|&x| f64::from(x).powi(2)).sum();
            let ratio = ratio(squares, g);
            row.iter_mut().for_each(|x| *x *= ratio);
        });
    }
    Ok(())
}
