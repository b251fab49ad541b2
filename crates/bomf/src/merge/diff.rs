//! Where two checkpoints differ.

use super::models::Models;
use super::watch;
use crate::{Error, Observer, Phase};
use bomf_fuse::plan::LayerName;
use bomf_fuse::{FuseError, TensorInfo, Weights, difference};
use indexmap::IndexMap;
use serde::Serialize;
use std::sync::atomic::Ordering;

/// Two checkpoints to be compared: `bomf diff`.
#[derive(Debug, Clone, PartialEq)]
pub struct DiffRequest {
    /// The first: a folder, a file of weights, or a name on the hub; with a plus sign and an
    /// adapter behind it, the model as the adapter changes it.
    pub a: String,
    /// The second.
    pub b: String,
    /// Threads; 0 takes every core.
    pub threads: usize,
}

/// What `bomf diff` found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Diff {
    /// Whether both have the same tensors with the same bytes.
    pub is_same: bool,
    /// Tensors that both have, in the order of their names.
    pub tensors: Vec<TensorDiff>,
    /// The layers in their order, and under an empty name what belongs to none.
    pub layers: Vec<LayerDiff>,
    /// Tensors that only the first has.
    pub only_in_a: Vec<String>,
    /// Tensors that only the second has.
    pub only_in_b: Vec<String>,
    /// Tensors of different shapes: their names, and the shape in each.
    pub shapes: Vec<(String, Vec<usize>, Vec<usize>)>,
}

/// How far a tensor b is from a.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TensorDiff {
    /// Its name.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its types in both, as safetensors names them.
    pub dtypes: [String; 2],
    /// Whether the bytes are the same.
    pub is_same: bool,
    /// What floats say.
    #[serde(flatten)]
    pub numbers: Option<Numbers>,
}

/// Norms and angles of two tensors a and b.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Numbers {
    /// `|a|`.
    pub norm_a: f64,
    /// `|b|`.
    pub norm_b: f64,
    /// `|b - a|`.
    pub norm: f64,
    /// `|b - a| / |a|`; in JSON null where a is 0 and b is not.
    pub relative: f64,
    /// The cosine of the angle between them; none where one is 0.
    pub cosine: Option<f64>,
    /// The greatest difference of two elements.
    pub max_abs: f64,
    /// How many elements differ.
    pub different: u64,
}

/// How far a layer is from its counterpart.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LayerDiff {
    /// What the names of its tensors begin with, such as `model.layers.3`; empty for the tensors
    /// of no layer.
    pub name: String,
    /// How many tensors it has.
    pub tensors: usize,
    /// `|b - a|` over all of them.
    pub norm: f64,
    /// `|b - a| / |a|` over all of them.
    pub relative: f64,
    /// The cosine over all of them.
    pub cosine: Option<f64>,
}

impl From<&bomf_fuse::Difference> for Numbers {
    fn from(found: &bomf_fuse::Difference) -> Self {
        Self {
            norm_a: found.aa.sqrt(),
            norm_b: found.bb.sqrt(),
            norm: found.norm(),
            relative: found.relative(),
            cosine: found.cosine(),
            max_abs: found.most,
            different: found.different,
        }
    }
}

/// Compares two checkpoints tensor by tensor.
///
/// # Errors
/// Checkpoints that cannot be read; [`Error::Interrupted`].
pub fn diff(request: &DiffRequest, observer: &mut dyn Observer) -> Result<Diff, Error> {
    let names = [request.a.clone(), request.b.clone()];
    let models = Models::open(&names, &[], None, observer)?;
    let weights = models.weights()?;
    let [a, b] = &weights[..] else {
        return Err(FuseError::NoMembers.into());
    };
    let missing_in = |other: &dyn Weights, own: &dyn Weights| {
        let names = own.names().into_iter();
        let names = names.filter(|name| other.info(name).is_none());
        names.map(str::to_owned).collect::<Vec<_>>()
    };
    let mut diff = Diff {
        is_same: false,
        tensors: Vec::new(),
        layers: Vec::new(),
        only_in_a: missing_in(&**b, &**a),
        only_in_b: missing_in(&**a, &**b),
        shapes: Vec::new(),
    };
    let names = a.names();
    let size = |info: &TensorInfo<'_>| {
        let elements: usize = info.shape.iter().product();
        (elements * info.dtype.bitsize()).div_ceil(8) as u64
    };
    let total: u64 = names
        .iter()
        .filter_map(|n| a.info(n))
        .map(|i| size(&i))
        .sum();
    let found = watch::watched(Phase::Diff, total, request.threads, observer, |control| {
        let mut layers: IndexMap<String, (usize, bomf_fuse::Difference)> = IndexMap::new();
        for name in names {
            if control.stop.load(Ordering::Relaxed) {
                return Err(FuseError::Interrupted.into());
            }
            let (Some(own), Some(other)) = (a.info(name), b.info(name)) else {
                continue;
            };
            if own.shape != other.shape {
                let shapes = (own.shape.to_vec(), other.shape.to_vec());
                diff.shapes.push((name.to_owned(), shapes.0, shapes.1));
                continue;
            }
            let found = match (a.source(name), b.source(name)) {
                (Some(a), Some(b)) => Some(difference(&*a, &*b)),
                _ => None,
            };
            if let Some(found) = found {
                let layer = layers.entry(layer_of(name)).or_default();
                layer.0 += 1;
                layer.1 += found;
            }
            let bytes = (a.bytes(name), b.bytes(name));
            diff.tensors.push(TensorDiff {
                name: name.to_owned(),
                shape: own.shape.to_vec(),
                dtypes: [own.dtype, other.dtype].map(|dtype| dtype.to_string()),
                is_same: own.dtype == other.dtype
                    && match bytes {
                        (Some(a), Some(b)) => a == b,
                        // What an adapter changes has no bytes until it is written.
                        _ => found.is_some_and(|found| found.different == 0),
                    },
                numbers: found.as_ref().map(Numbers::from),
            });
            control.done.fetch_add(size(&own), Ordering::Relaxed);
        }
        Ok((diff, layers))
    });
    let (mut diff, layers) = found.map_err(|error| super::interrupted(error, "".as_ref()))?;
    diff.layers = layers
        .into_iter()
        .map(|(name, (tensors, found))| LayerDiff {
            name,
            tensors,
            norm: found.norm(),
            relative: found.relative(),
            cosine: found.cosine(),
        })
        .collect();
    // By stack and number: names would put layer 10 before layer 2.
    diff.layers.sort_by_cached_key(|layer| key_of(&layer.name));
    diff.is_same = diff.only_in_a.is_empty()
        && diff.only_in_b.is_empty()
        && diff.shapes.is_empty()
        && diff.tensors.iter().all(|tensor| tensor.is_same);
    Ok(diff)
}

fn layer_of(tensor: &str) -> String {
    match LayerName::of(tensor) {
        Some(name) => format!("{}{}", name.stack, name.layer),
        None => String::new(),
    }
}

fn key_of(layer: &str) -> (String, usize) {
    match LayerName::of(layer) {
        Some(name) => (name.stack.to_owned(), name.layer),
        None => (String::new(), 0),
    }
}
