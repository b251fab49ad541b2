//! Where every tensor of a model will lie, before a byte of them is known; and the files, written
//! at any place by any thread.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::checkpoint::{INDEX_FILE, WEIGHTS_FILE};
use crate::encode::{TensorSpec, head};
use crate::error::{CheckpointError, Result};
use crate::writer::{ModelLayout, split};

/// One file of a model to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePlan {
    /// Its name in the model's folder.
    pub name: String,
    /// What it begins with: the header and its length.
    pub head: Vec<u8>,
    /// Its tensors in their order: their numbers among the specs, and where in the file each
    /// begins.
    pub tensors: Vec<(usize, u64)>,
    /// Its length.
    pub bytes: u64,
}

/// All files of a model to be written: what a [`ModelLayout`] makes of tensors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilesPlan {
    /// The weights files, in the order of their names.
    pub files: Vec<FilePlan>,
    /// The index, where there are several, as [`INDEX_FILE`].
    pub index: Option<serde_json::Value>,
}

impl FilesPlan {
    /// Spreads tensors over files in the order of `specs`; inside a file they are ordered by
    /// alignment and name, as the safetensors library does.
    ///
    /// # Errors
    /// [`CheckpointError::DuplicateTensor`].
    pub fn new(specs: &[TensorSpec], layout: &ModelLayout) -> Result<Self> {
        let mut seen = BTreeMap::new();
        for (i, spec) in specs.iter().enumerate() {
            if seen.insert(spec.name.as_str(), i).is_some() {
                return Err(CheckpointError::DuplicateTensor {
                    tensor: spec.name.clone(),
                });
            }
        }
        let shards = split(specs, layout.max_shard_bytes);
        let name = |i: usize| match shards.len() {
            1 => WEIGHTS_FILE.to_owned(),
            n => format!("model-{:05}-of-{n:05}.safetensors", i + 1),
        };
        let mut files = Vec::with_capacity(shards.len());
        for (i, members) in shards.iter().enumerate() {
            let name = name(i);
            let (head, order) = head(Path::new(&name), specs, members, &layout.metadata)?;
            let mut end = head.len() as u64;
            let place = |t: usize| {
                let start = end;
                end += specs[t].num_bytes();
                (t, start)
            };
            let tensors = order.into_iter().map(place).collect();
            files.push(FilePlan {
                name,
                head,
                tensors,
                bytes: end,
            });
        }
        let index = (files.len() > 1).then(|| {
            let by_name: BTreeMap<&str, &str> = files
                .iter()
                .flat_map(|file| {
                    let name = file.name.as_str();
                    let tensors = file.tensors.iter();
                    tensors.map(move |&(t, _)| (specs[t].name.as_str(), name))
                })
                .collect();
            let total: u64 = specs.iter().map(TensorSpec::num_bytes).sum();
            json!({"metadata": {"total_size": total}, "weight_map": by_name})
        });
        Ok(Self { files, index })
    }

    /// The bytes of all weights files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// The tensors' numbers in the order in which they lie in the files.
    pub fn order(&self) -> Vec<usize> {
        let files = self.files.iter();
        files.flat_map(|f| f.tensors.iter().map(|t| t.0)).collect()
    }

    /// The file and the place in it of each tensor, by its number among the specs.
    pub fn places(&self) -> Vec<(usize, u64)> {
        let mut places = vec![(0, 0); self.files.iter().map(|f| f.tensors.len()).sum()];
        for (i, file) in self.files.iter().enumerate() {
            for &(t, start) in &file.tensors {
                places[t] = (i, start);
            }
        }
        places
    }

    /// The name of the index.
    pub const INDEX: &'static str = INDEX_FILE;
}

/// The weights files of a model while they are being written, at any place by any thread.
#[derive(Debug)]
pub struct ModelFiles {
    files: Vec<(PathBuf, File)>,
    places: Vec<(usize, u64)>,
}

impl ModelFiles {
    /// Creates the files in `folder`, each with its header; `target` is what error messages call
    /// the folder.
    pub(crate) fn create(folder: &Path, target: &Path, plan: &FilesPlan) -> Result<Self> {
        let mut files = Vec::with_capacity(plan.files.len());
        for file in &plan.files {
            let shown = target.join(&file.name);
            let created = File::options()
                .read(true)
                .write(true)
                .create_new(true)
                .open(folder.join(&file.name))
                .and_then(|f| {
                    write_all_at(&f, &file.head, 0)?;
                    f.set_len(file.bytes)?;
                    Ok(f)
                })
                .map_err(|e| CheckpointError::io("create", &shown, e))?;
            files.push((shown, created));
        }
        Ok(Self {
            files,
            places: plan.places(),
        })
    }

    /// Writes bytes of a tensor, by its number among the specs, from its byte `start` on.
    ///
    /// # Errors
    /// I/O errors; [`CheckpointError::DiskFull`] when the disk is full.
    pub fn write_at(&self, tensor: usize, start: u64, bytes: &[u8]) -> Result<()> {
        let (file, begin) = self.places[tensor];
        let (shown, file) = &self.files[file];
        write_all_at(file, bytes, begin + start).map_err(|e| CheckpointError::io("write", shown, e))
    }

    /// Flushes what has been written so far to the disk; other threads may go on writing.
    ///
    /// # Errors
    /// I/O errors.
    pub fn sync(&self) -> Result<()> {
        for (shown, file) in &self.files {
            file.sync_all()
                .map_err(|e| CheckpointError::io("sync", shown, e))?;
        }
        Ok(())
    }
}

#[cfg(unix)]
fn write_all_at(file: &File, bytes: &[u8], place: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, place)
}

#[cfg(windows)]
fn write_all_at(file: &File, mut bytes: &[u8], mut place: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = std::os::windows::fs::FileExt::seek_write(file, bytes, place)?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = &bytes[written..];
        place += written as u64;
    }
    Ok(())
}
