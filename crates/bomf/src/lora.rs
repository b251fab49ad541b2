//! `bomf lora`: adapters fused exactly, made smaller, put into full weights, taken out of them.

use crate::pipeline::in_pool;
use crate::{Error, Observer};
use bomf_checkpoint::{
    Adapter, Checkpoint, CheckpointError, Dtype, FolderWriter, ModelLayout, TensorData, TensorSpec,
};
use bomf_fuse::FuseError;
pub use bomf_fuse::lora::Rank;
use bomf_fuse::lora::{self as fusion, Merge, NewAdapter, Weighted};
use std::path::{Path, PathBuf};

/// The greatest file of a model that is written: what transformers takes by default.
const MAX_SHARD_BYTES: u64 = 5_000_000_000;

/// What the fused adapters become.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    /// One adapter of this rank.
    Adapter(Rank),
    /// The full weights of their base model, in this folder.
    Model(PathBuf),
}

/// Several adapters as one: `bomf lora fuse`.
#[derive(Debug, Clone, PartialEq)]
pub struct LoraFuseRequest {
    /// Adapter folders of PEFT.
    pub adapters: Vec<PathBuf>,
    /// A weight for each; `None` for their average.
    pub weights: Option<Vec<f64>>,
    /// What they become.
    pub target: Target,
    /// Folder for the result.
    pub out: PathBuf,
    /// Threads; 0 takes every core.
    pub threads: usize,
    /// Whether an adapter or model in `out` may be replaced.
    pub overwrite: bool,
}

/// The difference of two models as an adapter: `bomf lora extract`.
#[derive(Debug, Clone, PartialEq)]
pub struct LoraExtractRequest {
    /// The model that the adapter will be put on.
    pub base: PathBuf,
    /// The model that it will make of it.
    pub model: PathBuf,
    /// The rank, from 1.
    pub r: usize,
    /// Folder for the adapter.
    pub out: PathBuf,
    /// Seed of the random projections.
    pub seed: u64,
    /// Threads; 0 takes every core.
    pub threads: usize,
    /// Whether an adapter or model in `out` may be replaced.
    pub overwrite: bool,
}

/// What became of one module.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct LoraModule {
    /// Its name.
    pub module: String,
    /// Its rank now.
    pub r: usize,
    /// The rank that would lose nothing.
    pub full_rank: usize,
    /// The Frobenius norm of its change.
    pub norm: f64,
    /// The part of that norm which is lost.
    pub error: f64,
}

/// What `bomf lora` made.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct LoraOutcome {
    /// The folder.
    pub out: PathBuf,
    /// The weights of the adapters; empty for an extraction.
    pub weights: Vec<f64>,
    /// The modules of a new adapter; empty where full weights were written.
    pub modules: Vec<LoraModule>,
    /// The part of the whole change that is lost, by its Frobenius norm.
    pub error: f64,
    /// Tensors that are stored whole, or that changed in full weights.
    pub tensors: Vec<String>,
}

/// Fuses adapters: `W + sum_i w_i s_i B_i A_i`, exactly or cut to a rank with its error told.
///
/// # Errors
/// Where an adapter or the base model cannot be read, they do not fit each other, the output
/// folder is taken, or the observer interrupts.
pub fn fuse(request: &LoraFuseRequest, observer: &mut dyn Observer) -> Result<LoraOutcome, Error> {
    in_pool(request.threads, || fuse_here(request, observer))
}

/// Takes the change from one model to another as an adapter of low rank.
///
/// # Errors
/// Where a model cannot be read, they do not fit each other or do not differ, or the output folder
/// is taken.
pub fn extract(
    request: &LoraExtractRequest,
    observer: &mut dyn Observer,
) -> Result<LoraOutcome, Error> {
    in_pool(request.threads, || {
        keep_inputs(&request.out, [&request.base, &request.model])?;
        let base = Checkpoint::open(&request.base)?;
        let model = Checkpoint::open(&request.model)?;
        let writer = FolderWriter::create(&request.out, request.overwrite)?;
        let new = fusion::extract(&base, &model, request.r, request.seed)?;
        write_adapter(writer, &new, Vec::new(), observer)
    })
}

fn fuse_here(request: &LoraFuseRequest, observer: &mut dyn Observer) -> Result<LoraOutcome, Error> {
    let n = request.adapters.len();
    let weights = match &request.weights {
        Some(weights) if weights.len() != n => {
            return Err(FuseError::WeightCount {
                expected: n,
                found: weights.len(),
            }
            .into());
        }
        Some(weights) => weights.clone(),
        None => vec![1.0 / n as f64; n],
    };
    keep_inputs(&request.out, &request.adapters)?;
    let open = |dir: &PathBuf| Ok(Adapter::open(dir)?);
    let adapters: Vec<_> = request
        .adapters
        .iter()
        .map(open)
        .collect::<Result<_, Error>>()?;
    let members: Vec<_> = adapters
        .iter()
        .zip(&weights)
        .map(|(adapter, &weight)| Weighted { adapter, weight })
        .collect();
    note_other_bases(&adapters, observer);
    match &request.target {
        Target::Adapter(rank) => {
            let writer = FolderWriter::create(&request.out, request.overwrite)?;
            let new = fusion::combine(&members, *rank)?;
            write_adapter(writer, &new, weights, observer)
        }
        Target::Model(base) => {
            keep_inputs(&request.out, [base])?;
            let checkpoint = Checkpoint::open(base)?;
            let merge = Merge::new(&checkpoint, &members)?;
            let writer = FolderWriter::create(&request.out, request.overwrite)?;
            let out = write_model(writer, &merge, &checkpoint, observer)?;
            Ok(LoraOutcome {
                out,
                weights,
                modules: Vec::new(),
                error: 0.0,
                tensors: merge.changed(),
            })
        }
    }
}

/// Refuses an output folder that is one of the inputs.
fn keep_inputs<'a>(out: &Path, inputs: impl IntoIterator<Item = &'a PathBuf>) -> Result<(), Error> {
    let Ok(real) = out.canonicalize() else {
        return Ok(());
    };
    for input in inputs {
        if input.canonicalize().is_ok_and(|i| i.starts_with(&real)) {
            return Err(Error::InputInOutput {
                input: input.clone(),
                out: out.into(),
            });
        }
    }
    Ok(())
}

/// Adapters of one base model have been saved with one name for it, as a rule.
fn note_other_bases(adapters: &[Adapter], observer: &mut dyn Observer) {
    let name = |a: &Adapter| a.config().base_model.clone().unwrap_or_default();
    let first = name(&adapters[0]);
    for adapter in &adapters[1..] {
        let other = name(adapter);
        if other != first {
            let path = adapter.path().display();
            observer.note(&format!(
                "{path} names the base model `{other}`, the first adapter `{first}`"
            ));
        }
    }
}

fn write_adapter(
    mut writer: FolderWriter,
    new: &NewAdapter,
    weights: Vec<f64>,
    observer: &mut dyn Observer,
) -> Result<LoraOutcome, Error> {
    let saved: Vec<_> = new
        .saved
        .iter()
        .map(|t| {
            let spec = TensorSpec::new(&t.name, Dtype::F32, &t.shape);
            (spec, TensorData::F32(t.values.as_slice().into()))
        })
        .collect();
    writer.write_adapter(&new.header, &new.layers, &saved)?;
    if observer.interrupted() {
        return Err(interrupted(&writer));
    }
    let modules = new.report.iter().map(|layer| LoraModule {
        module: layer.module.clone(),
        r: layer.r,
        full_rank: layer.full_rank,
        norm: layer.norm,
        error: layer.error,
    });
    Ok(LoraOutcome {
        modules: modules.collect(),
        weights,
        error: new.error(),
        tensors: new.saved.iter().map(|t| t.name.clone()).collect(),
        out: writer.commit()?,
    })
}

fn write_model(
    mut writer: FolderWriter,
    merge: &Merge<'_>,
    base: &Checkpoint,
    observer: &dyn Observer,
) -> Result<PathBuf, Error> {
    let mut layout = ModelLayout {
        max_shard_bytes: Some(MAX_SHARD_BYTES),
        ..ModelLayout::default()
    };
    layout.metadata.extend(base.metadata().clone());
    // What the writer cannot return is kept here, and told in the place of what it returns.
    let mut failure = None;
    let written = writer.write_model(merge.specs(), &layout, |i| {
        let name = &merge.specs()[i].name;
        let stop = CheckpointError::NoTensor {
            tensor: name.clone(),
            dir: base.path().into(),
        };
        if observer.interrupted() {
            failure = Some(None);
            return Err(stop);
        }
        merge.tensor(name).map_err(|error| {
            failure = Some(Some(error));
            stop
        })
    });
    match failure {
        Some(None) => return Err(interrupted(&writer)),
        Some(Some(error)) => return Err(error.into()),
        None => written?,
    }
    writer.copy_sidecars(base.path())?;
    Ok(writer.commit()?)
}

fn interrupted(writer: &FolderWriter) -> Error {
    Error::Interrupted {
        out: writer.target().into(),
        on_disk: Vec::new(),
    }
}
