//! State dicts as `torch.save` writes them, read without running any of their code.
//!
//! A `pytorch_model.bin` is a zip archive of stored (never compressed) records:
//!
//! ```text
//! <name>/data.pkl     a pickle: the dictionary, with a persistent id for each storage
//! <name>/byteorder    "little" or "big" (absent before PyTorch 2.0)
//! <name>/data/<key>   the bytes of one storage, aligned to 64 bytes
//! ```
//!
//! Unpickling is running a program, and one that may import and call anything. A state dict needs
//! very little of that, so the module `pickle` knows the opcodes and the handful of names that `torch.save` uses
//! for it, builds plain values out of them, and refuses every other name. Several tensors may be
//! views into one storage; those that do not lie row by row are gathered when they are first read.
//!
//! The format: `torch/serialization.py` (`_save`, `_load`) and `torch/_utils.py`
//! (`_rebuild_tensor_v2`, `_rebuild_parameter`) of PyTorch 1.6 to 2.15. What PyTorch wrote before
//! 1.6, pickles without an archive, is recognised and refused.

mod archive;
mod pickle;
mod rebuild;
mod strided;

use std::ops::Range;
use std::path::Path;

use safetensors::Dtype;

use crate::error::{CheckpointError, Result};

pub(crate) use strided::Strided;

/// How the files before PyTorch 1.6 begin: protocol 2 and the magic number of `torch.save`.
const LEGACY_MAGIC: [u8; 14] = [
    0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19,
];
/// How a zip archive begins.
const ZIP_MAGIC: &[u8] = b"PK\x03\x04";

/// A tensor of a state dict and where its elements lie in the file.
#[derive(Debug)]
pub(crate) struct Tensor {
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<usize>,
    pub(crate) place: Place,
}

/// Where the elements of a tensor lie.
#[derive(Debug)]
pub(crate) enum Place {
    /// One behind another, in these bytes of the file.
    Plain(Range<usize>),
    /// With other strides.
    Strided(Strided),
}

/// Whether a file is one of PyTorch, by its name or its first bytes.
pub(crate) fn is_pytorch(path: &Path, bytes: &[u8]) -> bool {
    let extension = path.extension().and_then(|e| e.to_str());
    matches!(extension, Some("bin" | "pt" | "pth"))
        || bytes.starts_with(ZIP_MAGIC)
        || bytes.starts_with(&LEGACY_MAGIC)
}

/// The tensors of a state dict by name, in the order of the file; `path` is for errors.
///
/// # Errors
/// Another format, a damaged or truncated file, a pickle that asks for code, and entries that are
/// no tensors.
pub(crate) fn read(path: &Path, bytes: &[u8]) -> Result<Vec<(String, Tensor)>> {
    if bytes.starts_with(&LEGACY_MAGIC) {
        return Err(CheckpointError::LegacyPickle {
            path: path.to_path_buf(),
        });
    }
    let archive = archive::Archive::open(path, bytes)?;
    let unsupported = |format| CheckpointError::UnsupportedFormat {
        path: path.to_path_buf(),
        format,
    };
    if archive.get("byteorder").is_some_and(|o| o != b"little") {
        return Err(unsupported("big-endian PyTorch"));
    }
    if archive.get("constants.pkl").is_some() {
        return Err(unsupported("TorchScript"));
    }
    let program = archive.pickle()?;
    let entries = pickle::run(path, program)?;
    let rebuild = |entry: pickle::Entry<'_>| {
        let tensor = rebuild::tensor(path, &archive, &entry)?;
        Ok((entry.name.to_owned(), tensor))
    };
    entries.into_iter().map(rebuild).collect()
}
