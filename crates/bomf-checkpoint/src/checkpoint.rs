//! Opening a model folder: one mapped file, or several behind an index, in safetensors or else in
//! PyTorch's own format.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Component, Path, PathBuf};

use memmap2::Mmap;
use safetensors::tensor::{Metadata, TensorInfo};
use safetensors::{Dtype, SafeTensorError, SafeTensors};
use serde::Deserialize;

use crate::error::{CheckpointError, Result};
use crate::pytorch;
use crate::tensor::{Data, TensorRef};

/// The single weights file of a model folder.
pub const WEIGHTS_FILE: &str = "model.safetensors";
/// The index of a model folder whose weights are spread over shards.
pub const INDEX_FILE: &str = "model.safetensors.index.json";
/// The single weights file of a folder that `torch.save` wrote.
const PYTORCH_WEIGHTS_FILE: &str = "pytorch_model.bin";
/// The index of such a folder whose weights are spread over shards.
const PYTORCH_INDEX_FILE: &str = "pytorch_model.bin.index.json";

/// The length field before a safetensors header.
const LENGTH_BYTES: usize = 8;
/// The greatest header that the format allows.
const MAX_HEADER_BYTES: u64 = 100_000_000;

/// An open checkpoint: tensors by name, read from memory-mapped files.
///
/// The files are safetensors or state dicts of `torch.save`; no code of the latter is run.
/// Opening reads only the headers; a tensor's pages are read when they are touched. The mapped
/// files must not be changed in place while they are open: replace them by renaming, as
/// [`FolderWriter`](crate::FolderWriter) does.
///
/// Tensors are ordered by name (byte order), however the files are laid out.
#[derive(Debug)]
pub struct Checkpoint {
    path: PathBuf,
    shards: Vec<Shard>,
    entries: BTreeMap<String, Entry>,
    metadata: BTreeMap<String, String>,
}

#[derive(Debug)]
struct Shard {
    path: PathBuf,
    map: Mmap,
}

#[derive(Debug)]
struct Entry {
    shard: usize,
    dtype: Dtype,
    shape: Vec<usize>,
    place: pytorch::Place,
}

#[derive(Deserialize)]
struct Index {
    // A BTreeMap, so that errors name the same tensor every time.
    weight_map: BTreeMap<String, String>,
}

impl Checkpoint {
    /// Opens a model folder: `model.safetensors`, or else the shards behind
    /// `model.safetensors.index.json`, or else `pytorch_model.bin` or the shards behind
    /// `pytorch_model.bin.index.json`. A path to a single `.safetensors` or `.bin` file is taken
    /// as well.
    ///
    /// # Errors
    /// A missing folder or shard, a link that leads nowhere, a truncated or damaged file, an index that does not fit its
    /// shards, a pickle that asks for code to be run, or weights in another format.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        if path.is_file() {
            return Self::open_single(path, path);
        }
        check_link(path)?;
        if !path.is_dir() {
            return Err(CheckpointError::NotFound {
                what: "model folder",
                path: path.to_path_buf(),
            });
        }
        for (single, index) in [
            (WEIGHTS_FILE, INDEX_FILE),
            (PYTORCH_WEIGHTS_FILE, PYTORCH_INDEX_FILE),
        ] {
            let single = path.join(single);
            check_link(&single)?;
            if single.exists() {
                return Self::open_single(path, &single);
            }
            let index = path.join(index);
            check_link(&index)?;
            if index.exists() {
                return Self::open_sharded(path, &index);
            }
        }
        Err(
            unsupported_weights(path).unwrap_or_else(|| CheckpointError::NoWeights {
                dir: path.to_path_buf(),
            }),
        )
    }

    fn open_single(path: &Path, file: &Path) -> Result<Self> {
        let mut checkpoint = Self::empty(path);
        for (name, entry) in checkpoint.add_shard(file)? {
            checkpoint.entries.insert(name, entry);
        }
        Ok(checkpoint)
    }

    fn open_sharded(dir: &Path, index_path: &Path) -> Result<Self> {
        let text =
            std::fs::read(index_path).map_err(|e| CheckpointError::io("read", index_path, e))?;
        let index: Index =
            serde_json::from_slice(&text).map_err(|e| CheckpointError::BrokenJson {
                path: index_path.to_path_buf(),
                reason: e.to_string(),
            })?;

        let mut by_shard: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (tensor, shard) in &index.weight_map {
            by_shard.entry(shard).or_default().push(tensor);
        }
        let mut checkpoint = Self::empty(dir);
        for (shard, tensors) in by_shard {
            if !is_plain_file_name(shard) {
                return Err(CheckpointError::ShardOutsideFolder {
                    index: index_path.to_path_buf(),
                    shard: shard.to_owned(),
                });
            }
            let file = dir.join(shard);
            check_link(&file)?;
            if !file.is_file() {
                return Err(CheckpointError::MissingShard {
                    index: index_path.to_path_buf(),
                    shard: shard.to_owned(),
                    tensor: tensors[0].to_owned(),
                });
            }
            let mut entries = checkpoint.add_shard(&file)?;
            for tensor in tensors {
                let entry = entries
                    .remove(tensor)
                    .ok_or_else(|| CheckpointError::NotInShard {
                        tensor: tensor.to_owned(),
                        shard: file.clone(),
                    })?;
                checkpoint.entries.insert(tensor.to_owned(), entry);
            }
        }
        Ok(checkpoint)
    }

    fn empty(path: &Path) -> Self {
        Self {
            path: path.to_path_buf(),
            shards: Vec::new(),
            entries: BTreeMap::new(),
            metadata: BTreeMap::new(),
        }
    }

    /// Maps a file and returns its tensors.
    fn add_shard(&mut self, path: &Path) -> Result<BTreeMap<String, Entry>> {
        let file = File::open(path).map_err(|e| CheckpointError::io("open", path, e))?;
        // SAFETY: the mapping is read-only and private to this value. That nobody changes the
        // file in place meanwhile is asked of the user in the type's documentation; every writer
        // of this crate replaces files by renaming, which leaves an open mapping untouched.
        let map = unsafe { Mmap::map(&file) }.map_err(|e| CheckpointError::io("map", path, e))?;
        let shard = self.shards.len();
        let (entries, metadata) = match pytorch::is_pytorch(path, &map) {
            true => pytorch_entries(path, &map, shard)?,
            false => safetensors_entries(path, &map, shard)?,
        };
        for (key, value) in metadata {
            // The first shard that has a key wins; shards are added in the order of their names.
            self.metadata.entry(key).or_insert(value);
        }
        self.shards.push(Shard {
            path: path.to_path_buf(),
            map,
        });
        Ok(entries)
    }

    /// The path that was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The weights files, ordered by name.
    pub fn files(&self) -> impl ExactSizeIterator<Item = &Path> {
        self.shards.iter().map(|s| s.path.as_path())
    }

    /// The metadata in the files' headers, such as `format: pt`.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// The number of tensors.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are no tensors.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The number of elements of all tensors together.
    pub fn num_parameters(&self) -> usize {
        self.tensors().map(|t| t.len()).sum()
    }

    /// The names of all tensors, in order.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// All tensors, ordered by name.
    pub fn tensors(&self) -> impl ExactSizeIterator<Item = TensorRef<'_>> {
        self.entries.iter().map(|(name, e)| self.view(name, e))
    }

    /// The names of tensors that are one and the same in the file, in groups of two or more.
    ///
    /// PyTorch stores tied weights (an embedding that is the output layer too, say) once under
    /// several names. In safetensors no two tensors can share bytes: there one of the names is
    /// left out by its writer, and no group is found.
    pub fn tied(&self) -> Vec<Vec<&str>> {
        let mut groups: BTreeMap<_, Vec<&str>> = BTreeMap::new();
        for (name, entry) in &self.entries {
            if let pytorch::Place::Plain(range) = &entry.place
                && !range.is_empty()
            {
                let same = (entry.shard, range.start, &entry.shape, entry.dtype);
                groups.entry(same).or_default().push(name);
            }
        }
        let mut tied: Vec<_> = groups.into_values().filter(|g| g.len() > 1).collect();
        tied.sort();
        tied
    }

    /// Whether there is a tensor of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    /// The tensor of this name, if there is one.
    pub fn get(&self, name: &str) -> Option<TensorRef<'_>> {
        self.entries
            .get_key_value(name)
            .map(|(name, e)| self.view(name, e))
    }

    /// The tensor of this name.
    ///
    /// # Errors
    /// [`CheckpointError::NoTensor`] if there is none.
    pub fn tensor(&self, name: &str) -> Result<TensorRef<'_>> {
        self.get(name).ok_or_else(|| CheckpointError::NoTensor {
            tensor: name.to_owned(),
            dir: self.path.clone(),
        })
    }

    fn view<'a>(&'a self, name: &'a str, entry: &'a Entry) -> TensorRef<'a> {
        TensorRef {
            name,
            dtype: entry.dtype,
            shape: &entry.shape,
            data: match &entry.place {
                // In bounds: the header's offsets were checked against the file's length.
                pytorch::Place::Plain(range) => {
                    Data::Plain(&self.shards[entry.shard].map[range.clone()])
                }
                pytorch::Place::Strided(strided) => {
                    Data::Strided(strided, &self.shards[entry.shard].map)
                }
            },
        }
    }
}

/// Tells a link that leads nowhere from a file that is not there.
fn check_link(path: &Path) -> Result<()> {
    match path.is_symlink() && !path.exists() {
        true => Err(CheckpointError::BrokenLink {
            path: path.to_path_buf(),
        }),
        false => Ok(()),
    }
}

type Entries = (BTreeMap<String, Entry>, BTreeMap<String, String>);

/// The tensors and the metadata of a safetensors file.
fn safetensors_entries(path: &Path, bytes: &[u8], shard: usize) -> Result<Entries> {
    let (header_len, header) =
        SafeTensors::read_metadata(bytes).map_err(|e| describe(path, bytes, e))?;
    let start = LENGTH_BYTES + header_len;
    let entry = |info: &TensorInfo| {
        let (from, to) = info.data_offsets;
        Entry {
            shard,
            dtype: info.dtype,
            shape: info.shape.clone(),
            place: pytorch::Place::Plain(start + from..start + to),
        }
    };
    let entries = header.tensors().into_iter();
    let entries = entries.map(|(name, info)| (name, entry(info))).collect();
    let metadata = header.metadata().iter().flatten();
    let metadata = metadata.map(|(k, v)| (k.clone(), v.clone())).collect();
    Ok((entries, metadata))
}

/// The same of a file of `torch.save`.
fn pytorch_entries(path: &Path, bytes: &[u8], shard: usize) -> Result<Entries> {
    check_lfs(path, bytes)?;
    let entries = pytorch::read(path, bytes)?
        .into_iter()
        .map(|(name, tensor)| {
            let entry = Entry {
                shard,
                dtype: tensor.dtype,
                shape: tensor.shape,
                place: tensor.place,
            };
            (name, entry)
        });
    // What transformers writes for PyTorch's tensors.
    let metadata = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
    Ok((entries.collect(), metadata))
}

/// Whether a folder has weights that [`Checkpoint::open`] reads.
///
/// Only names are looked at: the files may still be damaged.
pub fn is_model_folder(dir: impl AsRef<Path>) -> bool {
    let dir = dir.as_ref();
    [
        WEIGHTS_FILE,
        INDEX_FILE,
        PYTORCH_WEIGHTS_FILE,
        PYTORCH_INDEX_FILE,
    ]
    .iter()
    .any(|file| dir.join(file).exists())
}

/// Whether a folder has weights that [`Checkpoint::open`] reads, or would name as unsupported.
pub(crate) fn has_weights(dir: &Path) -> bool {
    is_model_folder(dir) || unsupported_weights(dir).is_some()
}

fn unsupported_weights(dir: &Path) -> Option<CheckpointError> {
    const OTHERS: [(&str, &str); 4] = [
        ("adapter_model.safetensors", "PEFT adapter"),
        ("adapter_model.bin", "PEFT adapter"),
        ("tf_model.h5", "TensorFlow"),
        ("flax_model.msgpack", "Flax"),
    ];
    OTHERS.iter().find_map(|&(file, format)| {
        let path = dir.join(file);
        path.exists()
            .then_some(CheckpointError::UnsupportedFormat { path, format })
    })
}

fn is_plain_file_name(name: &str) -> bool {
    let mut components = Path::new(name).components();
    matches!(components.next(), Some(Component::Normal(c)) if c == name)
        && components.next().is_none()
}

/// Git LFS leaves a short text in the place of a file that it has not fetched.
fn check_lfs(path: &Path, bytes: &[u8]) -> Result<()> {
    match bytes.starts_with(b"version https://git-lfs") {
        true => Err(CheckpointError::LfsPointer {
            path: path.to_path_buf(),
        }),
        false => Ok(()),
    }
}

/// Turns the parser's error into one that says what is wrong with the file.
fn describe(path: &Path, bytes: &[u8], error: SafeTensorError) -> CheckpointError {
    if let Err(error) = check_lfs(path, bytes) {
        return error;
    }
    let path_buf = path.to_path_buf();
    let found = bytes.len() as u64;
    let truncated = |expected| CheckpointError::Truncated {
        path: path_buf.clone(),
        expected,
        found,
    };
    let header_len = bytes
        .first_chunk::<LENGTH_BYTES>()
        .map(|b| u64::from_le_bytes(*b));
    match (&error, header_len) {
        (SafeTensorError::HeaderTooSmall, _) => return truncated(LENGTH_BYTES as u64),
        (SafeTensorError::InvalidHeaderLength, Some(n)) if n <= MAX_HEADER_BYTES => {
            return truncated(LENGTH_BYTES as u64 + n);
        }
        (SafeTensorError::MetadataIncompleteBuffer, Some(n)) => {
            let data = bytes
                .get(LENGTH_BYTES..LENGTH_BYTES + n as usize)
                .and_then(|b| serde_json::from_slice::<Metadata>(b).ok())
                .map_or(0, |m| m.data_len() as u64);
            let expected = (LENGTH_BYTES as u64 + n).saturating_add(data);
            if expected > found {
                return truncated(expected);
            }
        }
        _ => {}
    }
    CheckpointError::BrokenHeader {
        path: path_buf,
        reason: error.to_string(),
    }
}
