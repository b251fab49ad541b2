//! What can go wrong with checkpoints on disk.

use std::io;
use std::path::{Path, PathBuf};

use safetensors::Dtype;

use crate::adapter::AdapterError;

/// Why a checkpoint could not be opened, read, listed or written.
///
/// [`CheckpointError::hint`] says how to mend it, where there is a way.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The path does not exist.
    #[error("{what} `{}` does not exist", path.display())]
    NotFound {
        /// What was looked for ("model folder", "shard", ...).
        what: &'static str,
        /// Where it was looked for.
        path: PathBuf,
    },
    /// A folder holds no weights at all.
    #[error(
        "no `model.safetensors`, `pytorch_model.bin` or index of either in `{}`",
        dir.display()
    )]
    NoWeights {
        /// The folder.
        dir: PathBuf,
    },
    /// The weights are there, but in a format that is not read yet.
    #[error("`{}` is in {format} format, which is not supported yet", path.display())]
    UnsupportedFormat {
        /// The file that was found.
        path: PathBuf,
        /// The format's name.
        format: &'static str,
    },
    /// A file is shorter than its own header says.
    #[error(
        "`{}` is truncated: {found} bytes, but its header promises at least {expected}",
        path.display()
    )]
    Truncated {
        /// The file.
        path: PathBuf,
        /// The least number of bytes that a whole file would have.
        expected: u64,
        /// The number of bytes there are.
        found: u64,
    },
    /// A file's header is not a safetensors header.
    #[error("`{}` has a broken safetensors header: {reason}", path.display())]
    BrokenHeader {
        /// The file.
        path: PathBuf,
        /// What the parser says.
        reason: String,
    },
    /// A file is only a Git LFS pointer to the weights.
    #[error("`{}` is a Git LFS pointer, not the weights themselves", path.display())]
    LfsPointer {
        /// The file.
        path: PathBuf,
    },
    /// A file of PyTorch from before version 1.6: a pickle without an archive.
    #[error("`{}` is in the format of PyTorch before 1.6, which is not read", path.display())]
    LegacyPickle {
        /// The file.
        path: PathBuf,
    },
    /// A file of PyTorch is no archive, or a damaged one.
    #[error("`{}` is not a whole file of torch.save: {reason}", path.display())]
    BrokenArchive {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The pickle in a file of PyTorch does not make sense.
    #[error("`{}` has a broken pickle: at byte {at} {reason}", path.display())]
    BrokenPickle {
        /// The file.
        path: PathBuf,
        /// The place of the opcode within the pickle.
        at: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The pickle in a file of PyTorch wants something to be imported that no state dict of
    /// tensors needs. It is never run.
    #[error("`{}` asks for code to be run: `{name}`", path.display())]
    AsksForCode {
        /// The file.
        path: PathBuf,
        /// What it wants.
        name: String,
    },
    /// A file of PyTorch holds something else than a dictionary.
    #[error("`{}` holds {found}, not a dictionary of tensors", path.display())]
    NoStateDict {
        /// The file.
        path: PathBuf,
        /// What it holds.
        found: &'static str,
    },
    /// An entry of the dictionary in a file of PyTorch is no tensor.
    #[error("`{entry}` in `{}` is {found}, not a tensor", path.display())]
    NotATensor {
        /// The file.
        path: PathBuf,
        /// The entry's key.
        entry: String,
        /// What it is.
        found: &'static str,
    },
    /// A tensor's bytes are not in the file of PyTorch.
    #[error("the bytes of tensor `{tensor}` are missing: `{}` has no record `data/{key}`", path.display())]
    MissingStorage {
        /// The file.
        path: PathBuf,
        /// The tensor's name.
        tensor: String,
        /// The storage's key.
        key: String,
    },
    /// A tensor reaches beyond its storage in a file of PyTorch.
    #[error(
        "tensor `{tensor}` in `{}` does not lie within its storage: shape {shape:?}, strides \
         {stride:?}, offset {offset} in {bytes} bytes of {dtype}",
        path.display()
    )]
    OutsideStorage {
        /// The file.
        path: PathBuf,
        /// The tensor's name.
        tensor: String,
        /// Its shape.
        shape: Vec<u64>,
        /// Its strides, in elements.
        stride: Vec<u64>,
        /// Elements before its first one.
        offset: u64,
        /// The type of its elements.
        dtype: Dtype,
        /// Bytes of the storage.
        bytes: u64,
    },
    /// `model.safetensors.index.json` (or another JSON file) does not parse.
    #[error("`{}` is not valid: {reason}", path.display())]
    BrokenJson {
        /// The file.
        path: PathBuf,
        /// What the parser says, with line and column.
        reason: String,
    },
    /// The index names a shard that is not in the folder.
    #[error(
        "shard `{shard}` is missing: `{}` puts tensor `{tensor}` there",
        index.display()
    )]
    MissingShard {
        /// The index file.
        index: PathBuf,
        /// The shard's file name.
        shard: String,
        /// The first tensor that should be in it.
        tensor: String,
    },
    /// The index names a shard outside its own folder.
    #[error(
        "`{}` names the shard `{shard}`, which is not a plain file name",
        index.display()
    )]
    ShardOutsideFolder {
        /// The index file.
        index: PathBuf,
        /// The name as it stands in the index.
        shard: String,
    },
    /// The index names a tensor that its shard does not hold.
    #[error("tensor `{tensor}` is not in `{}`, where the index puts it", shard.display())]
    NotInShard {
        /// The tensor's name.
        tensor: String,
        /// The shard's path.
        shard: PathBuf,
    },
    /// A tensor was asked for that the checkpoint does not have.
    #[error("no tensor `{tensor}` in `{}`", dir.display())]
    NoTensor {
        /// The name that was asked for.
        tensor: String,
        /// The checkpoint.
        dir: PathBuf,
    },
    /// A tensor of integers, booleans or an unknown type was asked for as floats.
    #[error("tensor `{tensor}` is of type {dtype}, not a float of 8, 16, 32 or 64 bits")]
    NotFloat {
        /// The tensor's name.
        tensor: String,
        /// Its type.
        dtype: Dtype,
    },
    /// A buffer or a list of values has the wrong number of elements for a tensor.
    #[error("tensor `{tensor}` has {expected} elements, but {found} were given")]
    WrongLength {
        /// The tensor's name.
        tensor: String,
        /// What its shape asks for.
        expected: usize,
        /// What was given.
        found: usize,
    },
    /// A finite value would become infinite in the output type.
    #[error("tensor `{tensor}` holds {value:e}, which is beyond the range of {dtype}")]
    OutOfRange {
        /// The tensor's name.
        tensor: String,
        /// The first such value.
        value: f32,
        /// The output type.
        dtype: Dtype,
    },
    /// The same tensor was given twice to the writer.
    #[error("tensor `{tensor}` was given twice")]
    DuplicateTensor {
        /// The tensor's name.
        tensor: String,
    },
    /// An adapter cannot be read.
    #[error(transparent)]
    Adapter(#[from] AdapterError),
    /// A symbolic link to weights whose target is not there, or that is part of a loop.
    #[error("`{}` is a link that leads nowhere", path.display())]
    BrokenLink {
        /// The link.
        path: PathBuf,
    },
    /// A folder has no checkpoints in it.
    #[error("no checkpoints in `{}`", dir.display())]
    NoCheckpoints {
        /// The folder.
        dir: PathBuf,
        /// Whether the folder is itself a model.
        is_model: bool,
    },
    /// The target exists and has something in it.
    #[error("`{}` exists already and is not empty", path.display())]
    TargetExists {
        /// The target.
        path: PathBuf,
    },
    /// The target is a non-empty folder that is no model: it is never replaced.
    #[error("`{}` is not empty and not a model folder: it will not be replaced", path.display())]
    NotAModelFolder {
        /// The target.
        path: PathBuf,
    },
    /// The target cannot name a folder (for example `/` or `..`).
    #[error("`{}` cannot be the name of an output folder", path.display())]
    BadTarget {
        /// The target.
        path: PathBuf,
    },
    /// The disk (or the quota) is full.
    #[error("no space left on the disk while writing `{}`", path.display())]
    DiskFull {
        /// The file that was being written.
        path: PathBuf,
    },
    /// The disk has less room than what is about to be written.
    #[error(
        "`{}` needs {needed} bytes, but its disk has {available} left",
        path.display()
    )]
    NoSpace {
        /// The target.
        path: PathBuf,
        /// What will be written.
        needed: u64,
        /// What is left.
        available: u64,
    },
    /// Any other failure of the file system.
    #[error("cannot {action} `{}`: {error}", path.display())]
    Io {
        /// What was being done ("open", "write", ...).
        action: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

impl CheckpointError {
    /// How to mend it, in one line, where there is something to say.
    pub fn hint(&self) -> Option<String> {
        use CheckpointError as E;
        let hint = match self {
            E::NotFound { .. } => "check the path's spelling".into(),
            E::BrokenLink { .. } => {
                "the file that it stood for was moved or deleted: download or copy it again".into()
            }
            E::NoWeights { .. } => {
                "give a Hugging Face model folder: config.json and model.safetensors".into()
            }
            E::UnsupportedFormat {
                path,
                format: "PEFT adapter",
            } => {
                let dir = path.parent().unwrap_or(Path::new("."));
                format!(
                    "put it into its base model first: `bomf lora fuse {} --into BASE -o OUT`",
                    dir.display()
                )
            }
            E::UnsupportedFormat {
                path,
                format: "TorchScript" | "big-endian PyTorch",
            } => format!(
                "save the model's state_dict() in Python: {}",
                resave(path, "model.state_dict()")
            ),
            E::UnsupportedFormat { path, .. } => {
                let dir = path.parent().unwrap_or(Path::new("."));
                format!(
                    "convert it once in Python: transformers' from_pretrained(\"{0}\") and \
                     save_pretrained(\"{0}\", safe_serialization=True)",
                    dir.display()
                )
            }
            E::LegacyPickle { path } => resave(path, "torch.load(f)"),
            E::AsksForCode { path, .. } => format!(
                "nothing was run; if you trust the file, make one of tensors alone in Python: {}",
                resave(path, "torch.load(f, weights_only=False)")
            ),
            E::NotATensor {
                path,
                entry,
                found: "a dictionary",
            } => {
                let what = format!("torch.load(f)[{entry:?}]");
                format!("if that is the model's state dict: {}", resave(path, &what))
            }
            E::NotATensor { .. } | E::NoStateDict { .. } => {
                "save the model's state_dict() alone, without optimizer or counters".into()
            }
            E::BrokenArchive { .. } | E::BrokenPickle { .. } | E::MissingStorage { .. } => {
                "the file is damaged or not PyTorch's: download or copy it again".into()
            }
            E::OutsideStorage { .. } => {
                "the file is damaged, or the tensor was expanded: save it after .contiguous()"
                    .into()
            }
            E::Truncated { .. } => "download or copy the file again".into(),
            E::BrokenHeader { .. } => {
                "the file is damaged or not safetensors: download or copy it again".into()
            }
            E::LfsPointer { .. } => "run `git lfs pull` in that repository".into(),
            E::MissingShard { shard, .. } => format!("download `{shard}` into the same folder"),
            E::ShardOutsideFolder { .. } => "shards must lie beside their index".into(),
            E::NotInShard { .. } => {
                "index and shards do not belong together: download them again".into()
            }
            E::NotFloat { .. } => "integer and boolean buffers are copied, never averaged".into(),
            E::OutOfRange { .. } => "write as bf16 or f32".into(),
            E::Adapter(error) => return error.hint(),
            E::NoCheckpoints { is_model: true, .. } => {
                "this folder is itself a model: give the folder that holds the checkpoints".into()
            }
            E::NoCheckpoints { .. } => {
                "give a folder that holds checkpoint-<step> folders or model folders".into()
            }
            E::TargetExists { .. } => "choose another folder or allow overwriting".into(),
            E::NotAModelFolder { .. } => "choose another folder, or empty this one yourself".into(),
            E::BadTarget { .. } => "give a path that ends in a folder name".into(),
            E::DiskFull { .. } | E::NoSpace { .. } => {
                "free some space or write to another disk".into()
            }
            _ => return None,
        };
        Some(hint)
    }

    /// Wraps an I/O error, telling a missing file and a full disk from the rest.
    pub(crate) fn io(action: &'static str, path: &Path, error: io::Error) -> Self {
        let path = path.to_path_buf();
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { path },
            io::ErrorKind::NotFound => Self::NotFound { what: "file", path },
            _ => Self::Io {
                action,
                path,
                error,
            },
        }
    }
}

/// Python that writes a state dict in today's format over the old file.
fn resave(path: &Path, what: &str) -> String {
    format!(
        "f = {:?}; torch.save({what}, f)",
        path.display().to_string()
    )
}

/// The result of everything in this crate.
pub type Result<T, E = CheckpointError> = std::result::Result<T, E>;
