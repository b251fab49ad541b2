//! Merging checkpoints by a recipe: `bomf merge`, `bomf verify` and `bomf diff`.
//!
//! [`recipe`] reads mergekit's YAML, `models` opens what it names, `aligned` puts units in order,
//! `vocabulary` the rows of tokens, `beside` makes the files that lie beside the weights,
//! `bomf-fuse` plans and fuses, `provenance` writes down where the output comes from, with the
//! `digests` of all files. [`verify`] does the same again and
//! compares; [`diff`] compares any two.

mod aligned;
mod beside;
mod diff;
mod digests;
mod methods;
mod models;
mod provenance;
pub mod recipe;
mod templates;
mod verify;
mod vocabulary;
mod watch;

pub use diff::{Diff, DiffRequest, LayerDiff, Numbers, TensorDiff, diff};
pub use methods::{MethodInfo, ParameterInfo, method, methods};
pub use provenance::{RECORD, Record, RecordedFile, RecordedModel, RecordedParameters};
pub use verify::{Difference, Verification, VerifyRequest, verify};
pub use watch::watched;

use crate::{Error, Observer, Phase};
use bomf_checkpoint::{Adapter, Checkpoint, FilesPlan, FolderWriter, ModelLayout};
use bomf_fuse::{FuseError, Plan, execute};
use models::Models;
use recipe::MergeFile;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Bytes of room for the record and other small files, on top of the weights.
const SMALL_FILES: u64 = 1 << 20;

/// Checkpoints to be merged: `bomf merge`.
#[derive(Debug, Clone, PartialEq)]
pub struct MergeRequest {
    /// The recipe's file.
    pub recipe: PathBuf,
    /// The folder of the merged model.
    pub out: PathBuf,
    /// Seed of random methods.
    pub seed: u64,
    /// Threads; 0 takes every core.
    pub threads: usize,
    /// Whether a model in `out` may be replaced.
    pub overwrite: bool,
    /// The most bytes of buffers.
    pub max_memory: u64,
    /// The most bytes of tensors in a file of the output.
    pub max_shard_bytes: u64,
    /// Whether SHA-256 digests of all files are recorded.
    pub hash: bool,
    /// A file in which digests of inputs are remembered, so that those which have not changed are
    /// not digested again by the next merge; `None` remembers nothing.
    pub digest_cache: Option<PathBuf>,
}

/// What `bomf merge` made.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct MergeOutcome {
    /// The merged model's folder.
    pub out: PathBuf,
    /// The method.
    pub method: &'static str,
    /// Models that were read, the base model among them.
    pub models: usize,
    /// Tensors of the output.
    pub tensors: usize,
    /// Elements of the output.
    pub parameters: u64,
    /// Bytes of the weights files.
    pub bytes: u64,
    /// Tensors with values that are not finite, and how many.
    pub not_finite: Vec<(String, u64)>,
    /// Time from the recipe to the folder's name.
    pub seconds: f64,
    /// Time of the fusion itself.
    pub fuse_seconds: f64,
    /// Time of the digests.
    pub hash_seconds: f64,
}

/// Merges checkpoints by a recipe.
///
/// # Errors
/// What is wrong with the recipe or the models, before a byte is written; too little space;
/// [`Error::Interrupted`]. In every case nothing lies under the output's name.
pub fn merge(request: &MergeRequest, observer: &mut dyn Observer) -> Result<MergeOutcome, Error> {
    let began = Instant::now();
    let file = MergeFile::load(&request.recipe, request.seed)?;
    file.notes.iter().for_each(|note| observer.note(note));
    let models = Models::open(file.recipe.models(), &file.statistics, None, observer)?;
    refuse_inputs_in(&request.out, &models)?;
    let weights = aligned::weights(&file, &models, request.threads, observer)?;
    let vocabulary = vocabulary::find(&file, &models, &weights, observer)?;
    let weights = vocabulary.relabelled(weights);
    let plan = Plan::new(&file.recipe, weights.iter().map(|w| &**w).collect())?;
    plan.notes.iter().for_each(|note| observer.note(note));
    let layout = layout(&file, &models, request.max_shard_bytes);
    let files = FilesPlan::new(&plan.specs(), &layout)?;
    let beside = beside::files(&file, &models, &plan, &vocabulary, observer)?;
    let mut writer = FolderWriter::create(&request.out, request.overwrite)?;
    let small: u64 = beside.values().map(|bytes| bytes.len() as u64).sum();
    writer.require_space(files.bytes() + small + SMALL_FILES)?;
    for (name, bytes) in &beside {
        writer.write_bytes(name, bytes)?;
    }

    let fused = Instant::now();
    let output = writer.open_files(&files)?;
    let summary = watch::watched(
        Phase::Merge,
        files.bytes(),
        request.threads,
        observer,
        |control| {
            Ok(execute(
                &plan,
                &files,
                &output,
                request.max_memory,
                control,
            )?)
        },
    );
    let summary = summary.map_err(|error| interrupted(error, &request.out))?;
    let fuse_seconds = fused.elapsed().as_secs_f64();

    let hashed = Instant::now();
    let mut names: Vec<String> = files.files.iter().map(|file| file.name.clone()).collect();
    names.extend(files.index.is_some().then(|| FilesPlan::INDEX.to_owned()));
    names.extend(beside.keys().cloned());
    names.sort();
    // The disk is kept busy while the processor digests.
    let digests = std::thread::scope(|scope| {
        let synced = scope.spawn(|| output.sync());
        let wanted = digests::Wanted {
            output: &names,
            folder: writer.staging(),
            is_hashed: request.hash,
            cache: request.digest_cache.as_deref(),
        };
        let digests = digests::digests(&models, &wanted, request.threads, observer);
        synced
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        digests
    });
    let digests = digests.map_err(|error| interrupted(error, &request.out))?;
    let hash_seconds = hashed.elapsed().as_secs_f64();
    let record = provenance::record(request, &file.text, &plan, digests);
    writer.write_json(RECORD, &record)?;
    let out = writer.commit()?;
    Ok(MergeOutcome {
        out,
        method: file.recipe.method().spec().name,
        models: models.places.len(),
        tensors: plan.tensors.len(),
        parameters: plan.num_parameters(),
        bytes: files.bytes(),
        not_finite: summary.not_finite,
        seconds: began.elapsed().as_secs_f64(),
        fuse_seconds,
        hash_seconds,
    })
}

/// Files of that size with the reference model's metadata.
fn layout(file: &MergeFile, models: &Models, max_shard_bytes: u64) -> ModelLayout {
    let mut metadata = ModelLayout::default().metadata;
    let reference = &models.checkpoints[file.recipe.reference()];
    metadata.extend(reference.metadata().clone());
    ModelLayout {
        max_shard_bytes: Some(max_shard_bytes),
        metadata,
    }
}

/// Refuses an output that would take the place of an input: it could never be verified.
fn refuse_inputs_in(out: &Path, models: &Models) -> Result<(), Error> {
    let Ok(target) = out.canonicalize() else {
        return Ok(());
    };
    let adapters = models.adapters.iter().flatten().map(Adapter::path);
    let statistics = models.statistics.iter().flatten().map(Checkpoint::path);
    let places = models.places.iter().map(PathBuf::as_path);
    for place in places.chain(adapters).chain(statistics) {
        if place
            .canonicalize()
            .is_ok_and(|place| place.starts_with(&target))
        {
            return Err(Error::InputInOutput {
                input: place.to_path_buf(),
                out: out.into(),
            });
        }
    }
    Ok(())
}

/// Says of an interruption where it left nothing.
fn interrupted(error: Error, out: &Path) -> Error {
    match error {
        Error::Fuse(FuseError::Interrupted) => Error::Interrupted {
            out: out.into(),
            on_disk: Vec::new(),
        },
        error => error,
    }
}
