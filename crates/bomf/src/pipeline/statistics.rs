//! `bomf statistics`: what merging by Fisher information or RegMean must know of a model.

use super::in_pool;
use super::tuned::Tuned;
use crate::{Error, Observer, Phase, StatisticsKind, StatisticsOutcome, StatisticsRequest};
use bomf_checkpoint::{
    Checkpoint, Dtype, ModelLayout, TensorData, TensorRef, TensorSpec, write_tensors_atomic,
};
use bomf_fuse::method::Statistics;
use bomf_tune::TuneError;
use bomf_tune::models::Network;
use bomf_tune::statistics::{Expectation, LayerGram, fisher, input_grams};
use bomf_tune::train::{Control, EncodedSplit};
use std::path::PathBuf;
use std::time::Instant;

/// Computes statistics of a model on a split and writes them as one safetensors file, `f32`,
/// under the names of the model's own tensors: for Fisher information a tensor of each one's
/// shape, for Gram matrices `[in, in]` for the weight of each linear layer (with
/// [`Statistics::INPUTS_FIRST`] behind the name where it is stored as `[in, out]`). The metadata
/// say the `kind` and the number of `examples`.
///
/// # Errors
/// Where the model has no head for the task, the data do not fit it, its numbers are not finite,
/// or a file cannot be read or written; [`Error::Interrupted`].
pub fn statistics(
    request: &StatisticsRequest,
    observer: &mut dyn Observer,
) -> Result<StatisticsOutcome, Error> {
    in_pool(request.threads, || statistics_here(request, observer))
}

fn statistics_here(
    request: &StatisticsRequest,
    observer: &mut dyn Observer,
) -> Result<StatisticsOutcome, Error> {
    let started = Instant::now();
    let tuned = Tuned::open(&request.model, &request.data, &request.recipe, observer)?;
    let split = tuned.split(request.split)?;
    let Tuned {
        base,
        network,
        params,
        ..
    } = &tuned;
    let indices = spread(split.sequences.len(), request.examples);
    observer.begin(Phase::Evaluate, indices.len() as u64);
    let found = of_model(
        network,
        params,
        split,
        &indices,
        request.kind,
        &mut |done| {
            observer.advance(Phase::Evaluate, done as u64, "");
            match observer.interrupted() {
                true => Control::Stop,
                false => Control::Continue,
            }
        },
    )?;
    observer.end(Phase::Evaluate);
    let checkpoint = Checkpoint::open(base)?;
    let named = network.tensors(&checkpoint, base)?;
    let tensors = found.named(network, &named);
    let specs: Vec<TensorSpec> = tensors.iter().map(|(spec, _)| spec.clone()).collect();
    let mut metadata = ModelLayout::default().metadata;
    metadata.insert("kind".into(), request.kind.as_str().into());
    metadata.insert("examples".into(), indices.len().to_string());
    write_tensors_atomic(&request.out, &specs, &metadata, |i| {
        Ok(TensorData::F32(tensors[i].1.into()))
    })?;
    Ok(StatisticsOutcome {
        out: request.out.clone(),
        kind: request.kind.as_str(),
        examples: indices.len(),
        tensors: tensors.len(),
        seconds: started.elapsed().as_secs_f64(),
    })
}

/// Examples at equal distances, `wanted` of them or all.
pub(super) fn spread(len: usize, wanted: Option<usize>) -> Vec<usize> {
    let wanted = wanted.unwrap_or(len).min(len);
    (0..wanted).map(|i| i * len / wanted).collect()
}

/// Statistics of one model.
pub(super) enum Found {
    /// By the network's layout.
    Fisher(Vec<f32>),
    Grams(Vec<LayerGram>),
}

/// Statistics of a model with these parameters over examples of a split.
pub(super) fn of_model(
    network: &Network,
    params: &[f32],
    split: &EncodedSplit,
    indices: &[usize],
    kind: StatisticsKind,
    observe: &mut dyn FnMut(usize) -> Control,
) -> Result<Found, Error> {
    let expectation = match kind {
        StatisticsKind::Fisher => Some(Expectation::Model),
        StatisticsKind::EmpiricalFisher => Some(Expectation::Data),
        StatisticsKind::Gram => None,
    };
    let found = match expectation {
        Some(expectation) => {
            fisher(network, params, split, indices, expectation, observe).map(Found::Fisher)
        }
        None => input_grams(network, params, &split.sequences, indices, observe).map(Found::Grams),
    };
    let found = found.map_err(|error| match error {
        // The file is all that would have come of it.
        TuneError::Interrupted => Error::Interrupted {
            out: PathBuf::new(),
            on_disk: Vec::new(),
        },
        other => other.into(),
    })?;
    let is_finite = match &found {
        Found::Fisher(values) => values.iter().all(|v| v.is_finite()),
        Found::Grams(layers) => layers
            .iter()
            .all(|l| l.values.iter().all(|v| v.is_finite())),
    };
    match is_finite {
        true => Ok(found),
        false => Err(Error::NotFinite),
    }
}

impl Found {
    /// Under the names that the model's file has.
    fn named<'a>(
        &'a self,
        network: &Network,
        tensors: &[TensorRef<'_>],
    ) -> Vec<(TensorSpec, &'a [f32])> {
        let entries = network.layout().entries().zip(tensors);
        match self {
            Found::Fisher(values) => entries
                .map(|((_, entry), tensor)| {
                    let spec = TensorSpec::new(tensor.name(), Dtype::F32, &entry.shape);
                    (spec, entry.param.of(values))
                })
                .collect(),
            Found::Grams(layers) => entries
                .filter_map(|((name, entry), tensor)| {
                    let layer = layers.iter().find(|layer| layer.name == name)?;
                    let inputs = entry.param.inputs();
                    let name = match entry.param.transposed {
                        true => format!("{}{}", tensor.name(), Statistics::INPUTS_FIRST),
                        false => tensor.name().to_owned(),
                    };
                    let spec = TensorSpec::new(name, Dtype::F32, &[inputs, inputs]);
                    Some((spec, &layer.values[..]))
                })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::spread;

    #[test]
    fn examples_are_spread_over_the_split() {
        assert_eq!(spread(10, Some(4)), [0, 2, 5, 7]);
        assert_eq!(spread(3, Some(9)), [0, 1, 2]);
        assert_eq!(spread(3, None), [0, 1, 2]);
        assert!(spread(0, None).is_empty() && spread(3, Some(0)).is_empty());
    }
}
