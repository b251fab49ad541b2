//! Where two checkpoints differ.

use super::models::Models;
use super::watch;
use crate::{Error, Observer, Phase};
use bomf_fuse::plan::LayerName;
use bomf_fuse::{FuseError, Weights, difference};
use indexmap::IndexMap;
use serde::Serialize;
use std::sync::atomic::Ordering;

/// Two checkpoints to be compared: `bomf diff`.
#[derive(Debug, Clone, PartialEq)]
pub struct DiffRequest {
    /// The first: a folder, a file of weights, or a name on the hub.
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
    let models = Models::open(&names, None, observer)?;
    let [a, b] = &models.checkpoints[..] else {
        return Err(FuseError::NoMembers.into());
    };
    let missing_in = |other: &bomf_checkpoint::Checkpoint, own: &bomf_checkpoint::Checkpoint| {
        let names = own.names().filter(|name| !other.contains(name));
        names.map(str::to_owned).collect::<Vec<_>>()
    };
    let mut diff = Diff {
        is_same: false,
        tensors: Vec::new(),
        layers: Vec::new(),
        only_in_a: missing_in(b, a),
        only_in_b: missing_in(a, b),
        shapes: Vec::new(),
    };
    let total: usize = a.tensors().map(|tensor| tensor.bytes().len()).sum();
    let found = watch::watched(
        Phase::Diff,
        total as u64,
        request.threads,
        observer,
        |control| {
            let mut layers: IndexMap<String, (usize, bomf_fuse::Difference)> = IndexMap::new();
            for tensor in a.tensors() {
                if control.stop.load(Ordering::Relaxed) {
                    return Err(FuseError::Interrupted.into());
                }
                let Some(other) = b.get(tensor.name()) else {
                    continue;
                };
                if tensor.shape() != other.shape() {
                    let shapes = (tensor.shape().to_vec(), other.shape().to_vec());
                    diff.shapes
                        .push((tensor.name().to_owned(), shapes.0, shapes.1));
                    continue;
                }
                let sources = (a.source(tensor.name()), b.source(tensor.name()));
                let found = match sources {
                    (Some(a), Some(b)) => Some(difference(&*a, &*b)),
                    _ => None,
                };
                if let Some(found) = found {
                    let layer = layers.entry(layer_of(tensor.name())).or_default();
                    layer.0 += 1;
                    layer.1 += found;
                }
                diff.tensors.push(TensorDiff {
                    name: tensor.name().to_owned(),
                    shape: tensor.shape().to_vec(),
                    dtypes: [tensor.dtype(), other.dtype()].map(|dtype| dtype.to_string()),
                    is_same: tensor.dtype() == other.dtype() && tensor.bytes() == other.bytes(),
                    numbers: found.as_ref().map(Numbers::from),
                });
                let bytes = tensor.bytes().len() as u64;
                control.done.fetch_add(bytes, Ordering::Relaxed);
            }
            Ok((diff, layers))
        },
    );
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
