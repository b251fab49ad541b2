//! Doing a merge again and comparing, byte for byte.

use super::digests::recorded;
use super::models::Models;
use super::provenance::{RECORD, Record};
use super::recipe::MergeFile;
use super::{aligned, beside, layout, watch};
use crate::{Error, Observer, Phase};
use bomf_checkpoint::{Checkpoint, FilesPlan};
use bomf_fuse::{Plan, Sink, execute};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// A merged model to be derived again: `bomf verify`.
#[derive(Debug, Clone, PartialEq)]
pub struct VerifyRequest {
    /// The merged model's folder.
    pub folder: PathBuf,
    /// The folder that the recipe's relative paths begin at; `None` is the working directory.
    pub root: Option<PathBuf>,
    /// Threads; 0 takes every core.
    pub threads: usize,
    /// The most bytes of buffers.
    pub max_memory: u64,
}

/// What `bomf verify` found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verification {
    /// Whether the output is what its recipe gives, byte for byte.
    pub is_same: bool,
    /// What differs, the inputs first.
    pub differences: Vec<Difference>,
    /// Files that were compared.
    pub files: usize,
    /// Tensors that were compared.
    pub tensors: usize,
}

/// Something that is not as the record or the recipe has it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Difference {
    /// An input's file is not the one that was merged.
    Input {
        /// The model, as the recipe names it.
        model: String,
        /// The file.
        file: String,
    },
    /// A file of the output is missing.
    Missing {
        /// The file.
        file: String,
    },
    /// A file of the output has other bytes (of weights: another header or length).
    File {
        /// The file.
        file: String,
    },
    /// A tensor of the output has other bytes.
    Tensor {
        /// The tensor.
        tensor: String,
        /// The first byte that differs, within the tensor.
        first_byte: u64,
    },
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Difference::Input { model, file } => {
                write!(f, "{file} of {model} is not the file that was merged")
            }
            Difference::Missing { file } => write!(f, "{file} is missing"),
            Difference::File { file } => write!(f, "{file} differs"),
            Difference::Tensor { tensor, first_byte } => {
                write!(f, "tensor `{tensor}` differs from its byte {first_byte} on")
            }
        }
    }
}

/// Derives a merged model again from its record and compares.
///
/// # Errors
/// No record, inputs that are not there any more, and everything that keeps a recipe from being
/// merged. That something differs is no error.
pub fn verify(request: &VerifyRequest, observer: &mut dyn Observer) -> Result<Verification, Error> {
    let folder = request.folder.as_path();
    let record = Record::load(folder)?;
    if record.bomf != env!("CARGO_PKG_VERSION") {
        observer.note(&format!("it was merged by bomf {}", record.bomf));
    }
    let name = folder.join(RECORD).display().to_string();
    let file = MergeFile::from_yaml(&record.recipe, &name, record.seed)?;
    let models = Models::open(
        file.recipe.models(),
        &file.statistics,
        request.root.as_deref(),
        observer,
    )?;
    let mut differences = changed_inputs(&record, &models, request.threads, observer)?;
    let weights = aligned::weights(&file, &models, request.threads, observer)?;
    let vocabulary = super::vocabulary::find(&file, &models, &weights, observer)?;
    let weights = vocabulary.relabelled(weights);
    let plan = Plan::new(&file.recipe, weights.iter().map(|w| &**w).collect())?;
    let layout = layout(&file, &models, record.max_shard_bytes);
    let files = FilesPlan::new(&plan.specs(), &layout)?;
    let beside = beside::files(&file, &models, &plan, &vocabulary, observer)?;
    for (name, expected) in &beside {
        differences.extend(compared(folder, name, expected)?);
    }
    if let Some(index) = &files.index {
        let found = folder.join(FilesPlan::INDEX);
        if !found.is_file() {
            differences.push(Difference::Missing {
                file: FilesPlan::INDEX.into(),
            });
        } else if beside::json(&beside::read(&found)?, &found)? != *index {
            differences.push(Difference::File {
                file: FilesPlan::INDEX.into(),
            });
        }
    }
    let other_heads = heads(folder, &files)?;
    // Where headers are others, tensors have no place to be compared at.
    if other_heads.is_empty() {
        let comparison = Comparison::of(folder, &plan)?;
        let found = watch::watched(
            Phase::Verify,
            files.bytes(),
            request.threads,
            observer,
            |control| {
                execute(&plan, &files, &comparison, request.max_memory, control)?;
                Ok(comparison.found())
            },
        )?;
        let mut found: Vec<(usize, u64)> = found.into_iter().collect();
        found.sort();
        differences.extend(
            found
                .into_iter()
                .map(|(tensor, first_byte)| Difference::Tensor {
                    tensor: plan.tensors[tensor].spec.name.clone(),
                    first_byte,
                }),
        );
    }
    differences.extend(other_heads);
    Ok(Verification {
        is_same: differences.is_empty(),
        differences,
        files: files.files.len() + beside.len() + usize::from(files.index.is_some()),
        tensors: plan.tensors.len(),
    })
}

/// Inputs whose digests are not those of the record, as far as it has any.
fn changed_inputs(
    record: &Record,
    models: &Models,
    threads: usize,
    observer: &mut dyn Observer,
) -> Result<Vec<Difference>, Error> {
    let (mut paths, mut expected) = (Vec::new(), Vec::new());
    let mut changed = Vec::new();
    for (number, model) in record.models.iter().enumerate().take(models.places.len()) {
        let mut found = models.files(number);
        for file in &model.files {
            let is_it = |path: &&PathBuf| {
                path.file_name()
                    .is_some_and(|n| n.to_string_lossy() == *file.name)
            };
            // Two files of a model may have one name in two folders: each is taken once.
            match found.iter().position(|path| is_it(&path)) {
                Some(at) => {
                    paths.push(found.remove(at));
                    expected.push((model, file));
                }
                None => changed.push(Difference::Input {
                    model: model.name.clone(),
                    file: file.name.clone(),
                }),
            }
        }
    }
    let is_hashed = expected.iter().any(|(_, file)| file.sha256.is_some());
    let found = recorded(&paths, is_hashed, |_| None, threads, observer)?;
    for ((model, expected), found) in expected.into_iter().zip(found) {
        let is_same = expected.bytes == found.bytes
            && (expected.sha256.is_none() || expected.sha256 == found.sha256);
        if !is_same {
            changed.push(Difference::Input {
                model: model.name.clone(),
                file: expected.name.clone(),
            });
        }
    }
    Ok(changed)
}

/// Compares a file of the output with what it should hold.
fn compared(folder: &Path, name: &str, expected: &[u8]) -> Result<Option<Difference>, Error> {
    let path = folder.join(name);
    let file = || name.to_owned();
    if !path.is_file() {
        return Ok(Some(Difference::Missing { file: file() }));
    }
    let is_same = beside::read(&path)? == expected;
    Ok((!is_same).then(|| Difference::File { file: file() }))
}

/// Weights files that are missing or have another header or length.
fn heads(folder: &Path, files: &FilesPlan) -> Result<Vec<Difference>, Error> {
    use std::io::Read;
    let mut differences = Vec::new();
    for file in &files.files {
        let path = folder.join(&file.name);
        let name = || file.name.clone();
        if !path.is_file() {
            differences.push(Difference::Missing { file: name() });
            continue;
        }
        let mut head = Vec::new();
        let length = std::fs::File::open(&path)
            .and_then(|found| {
                let length = found.metadata()?.len();
                found.take(file.head.len() as u64).read_to_end(&mut head)?;
                Ok(length)
            })
            .map_err(|error| {
                Error::Checkpoint(bomf_checkpoint::CheckpointError::Io {
                    action: "read",
                    path: path.clone(),
                    error,
                })
            })?;
        if length != file.bytes || head != file.head {
            differences.push(Difference::File { file: name() });
        }
    }
    Ok(differences)
}

/// Compares what is fused with what lies in a folder.
struct Comparison {
    output: Checkpoint,
    names: Vec<String>,
    /// The first byte that differs of each tensor that does.
    found: Mutex<BTreeMap<usize, u64>>,
}

impl Comparison {
    fn of(folder: &Path, plan: &Plan<'_>) -> Result<Self, Error> {
        Ok(Self {
            output: Checkpoint::open(folder)?,
            names: plan.tensors.iter().map(|t| t.spec.name.clone()).collect(),
            found: Mutex::default(),
        })
    }

    fn found(&self) -> BTreeMap<usize, u64> {
        self.found
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Sink for Comparison {
    fn put(&self, tensor: usize, start: u64, bytes: &[u8]) -> bomf_fuse::Result<()> {
        let found = self.output.tensor(&self.names[tensor])?.bytes();
        let from = usize::try_from(start).unwrap_or(usize::MAX);
        let found = found.get(from..).and_then(|rest| rest.get(..bytes.len()));
        let first = match found {
            Some(found) if found == bytes => return Ok(()),
            Some(found) => found
                .iter()
                .zip(bytes)
                .position(|(a, b)| a != b)
                .unwrap_or(0),
            None => 0,
        };
        let first = start + first as u64;
        let mut all = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(tensor)
            .and_modify(|known| *known = first.min(*known))
            .or_insert(first);
        Ok(())
    }
}
