//! Writing a model folder that is either whole or not there.
//!
//! Everything goes into a hidden temporary folder beside the target; [`FolderWriter::commit`]
//! flushes it to the disk and renames it. If the writer is dropped before, nothing remains. A
//! process killed half-way leaves at most a folder called `.<name>.<random>.tmp`, which nothing
//! takes for a model.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::json;
use tempfile::TempDir;

use crate::atomic::{create_dirs, parent_of, sync_dir, to_json};
use crate::checkpoint::{INDEX_FILE, WEIGHTS_FILE, has_weights};
use crate::encode::{TensorSpec, write_safetensors};
use crate::error::{CheckpointError, Result};
use crate::files::{FilesPlan, ModelFiles};
use crate::sidecars::sidecar_names;

/// The values of one tensor on their way to the disk.
#[derive(Debug, Clone)]
pub enum TensorData<'a> {
    /// Floats, rounded once (to nearest, ties to even) to the type that the
    /// [`TensorSpec`] asks for.
    F32(Cow<'a, [f32]>),
    /// Bytes that are of the spec's type already (little-endian, row-major).
    Bytes(Cow<'a, [u8]>),
}

/// How a model's tensors are laid out on the disk.
#[derive(Debug, Clone)]
pub struct ModelLayout {
    /// The most bytes of tensors that one file may hold (a larger tensor has a file to itself);
    /// `None` for one file whatever its size.
    pub max_shard_bytes: Option<u64>,
    /// The metadata in the header of each file.
    pub metadata: BTreeMap<String, String>,
}

impl Default for ModelLayout {
    /// One file with the metadata `{"format": "pt"}`, which `transformers` insists on.
    fn default() -> Self {
        Self {
            max_shard_bytes: None,
            metadata: BTreeMap::from([("format".to_owned(), "pt".to_owned())]),
        }
    }
}

/// Writes a Hugging Face model folder atomically.
///
/// ```
/// use bomf_checkpoint::{Checkpoint, Dtype, FolderWriter, ModelLayout, TensorData, TensorSpec};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let root = tempfile::tempdir()?;
/// # let target = root.path().join("fused");
/// let specs = [TensorSpec::new("bias", Dtype::F16, &[2])];
/// let mut writer = FolderWriter::create(&target, false)?;
/// writer.write_model(&specs, &ModelLayout::default(), |_| {
///     Ok(TensorData::F32(vec![0.5, -1.0].into()))
/// })?;
/// writer.write_json("config.json", &serde_json::json!({"model_type": "bert"}))?;
/// writer.commit()?;
///
/// let model = Checkpoint::open(&target)?;
/// assert_eq!(model.tensor("bias")?.to_f32()?, [0.5, -1.0]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct FolderWriter {
    temp: TempDir,
    target: PathBuf,
    overwrite: bool,
}

impl FolderWriter {
    /// Starts a folder that will be called `target`; the folders above it are created.
    ///
    /// With `overwrite`, a model folder that stands there is replaced *as a whole* when the new
    /// one is complete; a non-empty folder without weights in it is never replaced.
    ///
    /// # Errors
    /// [`CheckpointError::TargetExists`] and [`CheckpointError::NotAModelFolder`] as said above.
    pub fn create(target: impl AsRef<Path>, overwrite: bool) -> Result<Self> {
        let mut target = target.as_ref().to_path_buf();
        if target.is_symlink() && target.exists() {
            target = target
                .canonicalize()
                .map_err(|e| CheckpointError::io("resolve", &target, e))?;
        }
        let Some(name) = target.file_name() else {
            return Err(CheckpointError::BadTarget { path: target });
        };
        let name = name.to_string_lossy().into_owned();
        check_target(&target, overwrite)?;
        let parent = parent_of(&target);
        create_dirs(parent)?;
        let temp = hidden_dir(&name, parent)?;
        Ok(Self {
            temp,
            target,
            overwrite,
        })
    }

    /// The folder that [`commit`](Self::commit) will produce.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// The temporary folder, for files that some other program writes.
    pub fn staging(&self) -> &Path {
        self.temp.path()
    }

    /// Refuses to begin if the target's disk has less room than `bytes`.
    ///
    /// # Errors
    /// [`CheckpointError::NoSpace`]; I/O errors.
    pub fn require_space(&self, bytes: u64) -> Result<()> {
        let available = fs4::available_space(self.temp.path())
            .map_err(|e| CheckpointError::io("ask for the space left at", &self.target, e))?;
        match available < bytes {
            true => Err(CheckpointError::NoSpace {
                path: self.target.clone(),
                needed: bytes,
                available,
            }),
            false => Ok(()),
        }
    }

    /// Writes all tensors, in one file or in shards with an index; `fetch` is called once for each
    /// spec (by its number, in the order in which they lie in the files).
    ///
    /// Tensors are spread over shards in the order of `specs`; inside a file they are ordered by
    /// alignment and name, as the safetensors library does.
    ///
    /// # Errors
    /// [`CheckpointError::DuplicateTensor`], [`CheckpointError::WrongLength`] for data that do not
    /// fit their spec, [`CheckpointError::NotFloat`] for floats where the spec asks for another
    /// type, [`CheckpointError::OutOfRange`] where a finite value would become infinite, whatever
    /// `fetch` returns, and I/O errors.
    pub fn write_model<'d>(
        &mut self,
        specs: &[TensorSpec],
        layout: &ModelLayout,
        mut fetch: impl FnMut(usize) -> Result<TensorData<'d>>,
    ) -> Result<()> {
        check_names(specs)?;
        let shards = split(specs, layout.max_shard_bytes);
        if let [only] = &shards[..] {
            return self.write_file_of(WEIGHTS_FILE, specs, only, layout, &mut fetch);
        }
        let mut weight_map = BTreeMap::new();
        for (i, members) in shards.iter().enumerate() {
            let name = format!("model-{:05}-of-{:05}.safetensors", i + 1, shards.len());
            self.write_file_of(&name, specs, members, layout, &mut fetch)?;
            for &t in members {
                weight_map.insert(specs[t].name.as_str(), name.clone());
            }
        }
        let total_size: u64 = specs.iter().map(TensorSpec::num_bytes).sum();
        self.write_json(
            INDEX_FILE,
            &json!({"metadata": {"total_size": total_size}, "weight_map": weight_map}),
        )
    }

    /// Writes all tensors to one file of this name, as [`write_model`](Self::write_model) does.
    ///
    /// # Errors
    /// As [`write_model`](Self::write_model).
    pub fn write_tensors<'d>(
        &mut self,
        file_name: &str,
        specs: &[TensorSpec],
        mut fetch: impl FnMut(usize) -> Result<TensorData<'d>>,
    ) -> Result<()> {
        check_names(specs)?;
        let all: Vec<usize> = (0..specs.len()).collect();
        self.write_file_of(file_name, specs, &all, &ModelLayout::default(), &mut fetch)
    }

    fn write_file_of<'d>(
        &self,
        file_name: &str,
        specs: &[TensorSpec],
        members: &[usize],
        layout: &ModelLayout,
        fetch: &mut impl FnMut(usize) -> Result<TensorData<'d>>,
    ) -> Result<()> {
        // Errors name the file as it will be called, not the temporary one.
        let shown = self.target.join(file_name);
        let mut file = self.create_file(file_name)?;
        write_safetensors(&mut file, &shown, specs, members, &layout.metadata, fetch)?;
        file.sync_all()
            .map_err(|e| CheckpointError::io("sync", &shown, e))
    }

    /// Creates the weights files of a plan, each with its header, to be written by any thread; the
    /// index is written, too. [`ModelFiles::sync`] must be called before
    /// [`commit`](Self::commit).
    ///
    /// # Errors
    /// I/O errors.
    pub fn open_files(&mut self, plan: &FilesPlan) -> Result<ModelFiles> {
        if let Some(index) = &plan.index {
            self.write_json(INDEX_FILE, index)?;
        }
        ModelFiles::create(self.temp.path(), &self.target, plan)
    }

    /// Writes a file of this name into the folder.
    ///
    /// # Errors
    /// I/O errors.
    pub fn write_bytes(&mut self, file_name: &str, bytes: &[u8]) -> Result<()> {
        let shown = self.target.join(file_name);
        let mut file = self.create_file(file_name)?;
        io::Write::write_all(&mut file, bytes)
            .map_err(|e| CheckpointError::io("write", &shown, e))?;
        file.sync_all()
            .map_err(|e| CheckpointError::io("sync", &shown, e))
    }

    /// Writes a value as indented JSON into the folder.
    ///
    /// # Errors
    /// I/O errors, and values that are no JSON.
    pub fn write_json<T: Serialize + ?Sized>(&mut self, file_name: &str, value: &T) -> Result<()> {
        let text = to_json(&self.target.join(file_name), value)?;
        self.write_bytes(file_name, &text)
    }

    /// Copies the configuration, tokenizer, vocabulary and licence files of another model folder
    /// (`config.json`, `tokenizer*.json`, `vocab.txt`, `merges.txt`, ...), unless this folder has
    /// a file of that name already. Returns the names copied, sorted.
    ///
    /// # Errors
    /// I/O errors.
    pub fn copy_sidecars(&mut self, from: impl AsRef<Path>) -> Result<Vec<String>> {
        let from = from.as_ref();
        let names = sidecar_names(from)?;
        let mut copied = Vec::new();
        for name in names {
            if self.temp.path().join(&name).exists() {
                continue;
            }
            let source = from.join(&name);
            let bytes = fs::read(&source).map_err(|e| CheckpointError::io("read", &source, e))?;
            self.write_bytes(&name, &bytes)?;
            copied.push(name);
        }
        Ok(copied)
    }

    /// Makes the folder appear under its name, and returns that name.
    ///
    /// # Errors
    /// I/O errors, and [`CheckpointError::TargetExists`] if somebody else has put something there
    /// in the meantime. The target is then as it was before.
    pub fn commit(self) -> Result<PathBuf> {
        let Self {
            temp,
            target,
            overwrite,
        } = self;
        sync_dir(temp.path())?;
        check_target(&target, overwrite)?;
        let parent = parent_of(&target).to_path_buf();
        // An old folder is moved aside and removed only when the new one stands in its place.
        let old = if target.exists() {
            let aside = hidden_dir("replaced", &parent)?;
            rename(&target, &aside.path().join("old"))?;
            Some(aside)
        } else {
            None
        };
        if let Err(error) = rename(temp.path(), &target) {
            if let Some(aside) = old {
                let kept = aside.path().join("old");
                if rename(&kept, &target).is_err() {
                    // Better a folder with a strange name than no folder.
                    let _ = aside.keep();
                }
            }
            return Err(error);
        }
        // It is called otherwise now: there is nothing left to remove.
        let _ = temp.keep();
        drop(old);
        sync_dir(&parent)?;
        Ok(target)
    }

    fn create_file(&self, file_name: &str) -> Result<File> {
        File::create(self.temp.path().join(file_name))
            .map_err(|e| CheckpointError::io("create", &self.target.join(file_name), e))
    }
}

pub(crate) fn check_names(specs: &[TensorSpec]) -> Result<()> {
    let mut seen = BTreeSet::new();
    match specs.iter().find(|spec| !seen.insert(spec.name.as_str())) {
        Some(twice) => Err(CheckpointError::DuplicateTensor {
            tensor: twice.name.clone(),
        }),
        None => Ok(()),
    }
}

/// Which specs go into which file.
pub(crate) fn split(specs: &[TensorSpec], max_bytes: Option<u64>) -> Vec<Vec<usize>> {
    let max_bytes = max_bytes.unwrap_or(u64::MAX);
    let mut shards = vec![Vec::new()];
    let mut filled = 0u64;
    for (i, spec) in specs.iter().enumerate() {
        let bytes = spec.num_bytes();
        if filled.saturating_add(bytes) > max_bytes && filled > 0 {
            shards.push(Vec::new());
            filled = 0;
        }
        if let Some(last) = shards.last_mut() {
            last.push(i);
        }
        filled = filled.saturating_add(bytes);
    }
    shards
}

fn check_target(target: &Path, overwrite: bool) -> Result<()> {
    let path = || target.to_path_buf();
    if !target.exists() {
        return Ok(());
    }
    if !target.is_dir() {
        return Err(CheckpointError::TargetExists { path: path() });
    }
    let is_empty = fs::read_dir(target)
        .map_err(|e| CheckpointError::io("list", target, e))?
        .next()
        .is_none();
    if is_empty {
        return Ok(());
    }
    if !overwrite {
        return Err(CheckpointError::TargetExists { path: path() });
    }
    if !has_weights(target) {
        return Err(CheckpointError::NotAModelFolder { path: path() });
    }
    Ok(())
}

fn hidden_dir(name: &str, parent: &Path) -> Result<TempDir> {
    tempfile::Builder::new()
        .prefix(&format!(".{name}."))
        .suffix(".tmp")
        .tempdir_in(parent)
        .map_err(|e| CheckpointError::io("create a temporary folder in", parent, e))
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).map_err(|e| match e.kind() {
        io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists => {
            CheckpointError::TargetExists {
                path: to.to_path_buf(),
            }
        }
        _ => CheckpointError::io("rename into place", to, e),
    })
}
