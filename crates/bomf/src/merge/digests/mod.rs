//! SHA-256 digests of the files that a merge reads and writes.
//!
//! They cost twice what a linear merge costs (1.7 GB/s a core where the processor has instructions
//! for them), so those of inputs that have not changed are remembered from one merge to the next.

mod cache;

use super::models::Models;
use super::provenance::RecordedFile;
use super::watch::watched;
use crate::{Error, Observer, Phase};
use bomf_checkpoint::CheckpointError;
use bomf_fuse::{Control, FuseError};
use cache::DigestCache;
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

/// Bytes that are read and digested at a time.
const BLOCK: usize = 1 << 18;

/// Digests of the inputs' files and of the output's.
pub(super) struct Digests {
    pub models: Vec<Vec<RecordedFile>>,
    pub output: Vec<RecordedFile>,
}

/// What is digested, and what is known of it.
pub(super) struct Wanted<'a> {
    /// The files of the output, by their names in `folder`.
    pub output: &'a [String],
    /// Where they lie.
    pub folder: &'a Path,
    /// Whether there are to be digests at all, or only names and lengths.
    pub is_hashed: bool,
    /// Where digests of inputs are remembered.
    pub cache: Option<&'a Path>,
}

/// Digests of every weights file of the models, and of the output.
pub(super) fn digests(
    models: &Models,
    wanted: &Wanted<'_>,
    threads: usize,
    observer: &mut dyn Observer,
) -> Result<Digests, Error> {
    let inputs: Vec<Vec<PathBuf>> = (0..models.places.len()).map(|i| models.files(i)).collect();
    let mut paths: Vec<PathBuf> = inputs.concat();
    let mut cache = match wanted.is_hashed {
        true => DigestCache::open(wanted.cache, &paths),
        false => DigestCache::default(),
    };
    paths.extend(wanted.output.iter().map(|name| wanted.folder.join(name)));
    let known = |number: usize| cache.get(number);
    let files = recorded(&paths, wanted.is_hashed, known, threads, observer)?;
    cache.remember(&files);
    let mut files = files.into_iter();
    let models = inputs
        .iter()
        .map(|own| files.by_ref().take(own.len()).collect())
        .collect();
    Ok(Digests {
        models,
        output: files.collect(),
    })
}

/// Name, length and digest of files, in their order; a digest that is `known` (by the file's
/// number) is not computed.
pub(super) fn recorded(
    paths: &[PathBuf],
    is_hashed: bool,
    known: impl Fn(usize) -> Option<String>,
    threads: usize,
    observer: &mut dyn Observer,
) -> Result<Vec<RecordedFile>, Error> {
    let mut files = Vec::with_capacity(paths.len());
    for (number, path) in paths.iter().enumerate() {
        let bytes = std::fs::metadata(path).map_err(|e| failed(path, e))?.len();
        let name = path.file_name().unwrap_or_default();
        files.push(RecordedFile {
            name: name.to_string_lossy().into_owned(),
            bytes,
            sha256: known(number),
        });
    }
    if !is_hashed {
        return Ok(files);
    }
    let unknown = (0..paths.len()).filter(|&i| files[i].sha256.is_none());
    let mut order: Vec<usize> = unknown.collect();
    let total = order.iter().map(|&i| files[i].bytes).sum();
    let digests = watched(Phase::Hash, total, threads, observer, |control| {
        // The largest first, so that none is left alone at the end.
        order.sort_by_key(|&i| std::cmp::Reverse(files[i].bytes));
        let digests = order.par_iter().with_max_len(1);
        let digests = digests.map(|&i| Ok((i, sha256(&paths[i], control)?)));
        digests.collect::<Result<Vec<_>, Error>>()
    })?;
    for (i, digest) in digests {
        files[i].sha256 = Some(digest);
    }
    Ok(files)
}

fn failed(path: &Path, error: std::io::Error) -> Error {
    Error::Checkpoint(CheckpointError::Io {
        action: "read",
        path: path.into(),
        error,
    })
}

fn sha256(path: &Path, control: &Control) -> Result<String, Error> {
    let mut file = File::open(path).map_err(|e| failed(path, e))?;
    let mut digest = Sha256::new();
    let mut block = vec![0; BLOCK];
    loop {
        if control.stop.load(Ordering::Relaxed) {
            return Err(FuseError::Interrupted.into());
        }
        let read = match file.read(&mut block) {
            Ok(0) => break,
            Ok(read) => read,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(failed(path, e)),
        };
        digest.update(&block[..read]);
        control.done.fetch_add(read as u64, Ordering::Relaxed);
    }
    let digits = digest.finalize();
    Ok(digits.iter().map(|byte| format!("{byte:02x}")).collect())
}
