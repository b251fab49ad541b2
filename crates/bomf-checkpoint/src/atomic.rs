//! Files that are either wholly there or not at all.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use serde::Serialize;

use crate::encode::{TensorSpec, write_safetensors};
use crate::error::{CheckpointError, Result};
use crate::writer::{TensorData, check_names};

/// Writes a file so that it is never seen half-written: into a temporary file beside it, which is
/// flushed to the disk and then renamed over `path`.
///
/// # Errors
/// Whatever the file system says; [`CheckpointError::DiskFull`] when the disk is full.
pub fn write_bytes_atomic(path: impl AsRef<Path>, bytes: &[u8]) -> Result<()> {
    write_atomic(path.as_ref(), |out| out.write_all(bytes))
}

/// Writes a value as indented JSON with a newline at its end, as [`write_bytes_atomic`] does.
///
/// # Errors
/// As [`write_bytes_atomic`]; [`CheckpointError::BrokenJson`] for a value that is no JSON (for
/// example a map whose keys are not strings).
pub fn write_json_atomic<T: Serialize + ?Sized>(path: impl AsRef<Path>, value: &T) -> Result<()> {
    let path = path.as_ref();
    let text = to_json(path, value)?;
    write_bytes_atomic(path, &text)
}

pub(crate) fn to_json<T: Serialize + ?Sized>(path: &Path, value: &T) -> Result<Vec<u8>> {
    let mut text = serde_json::to_vec_pretty(value).map_err(|e| CheckpointError::BrokenJson {
        path: path.to_path_buf(),
        reason: e.to_string(),
    })?;
    text.push(b'\n');
    Ok(text)
}

/// Writes tensors to one safetensors file, as [`write_bytes_atomic`] does; `fetch` is called once
/// for each spec (by its number, in the order in which they lie in the file).
///
/// # Errors
/// As [`FolderWriter::write_model`](crate::FolderWriter::write_model).
pub fn write_tensors_atomic<'d>(
    path: impl AsRef<Path>,
    specs: &[TensorSpec],
    metadata: &BTreeMap<String, String>,
    mut fetch: impl FnMut(usize) -> Result<TensorData<'d>>,
) -> Result<()> {
    let path = path.as_ref();
    check_names(specs)?;
    let all: Vec<usize> = (0..specs.len()).collect();
    replace(path, |file| {
        write_safetensors(file, path, specs, &all, metadata, &mut fetch)
    })
}

fn write_atomic(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<&mut File>) -> std::io::Result<()>,
) -> Result<()> {
    replace(path, |file| {
        let mut out = BufWriter::new(file);
        write(&mut out)
            .and_then(|()| out.flush())
            .map_err(|e| CheckpointError::io("write", path, e))
    })
}

/// Writes a temporary file beside `path`, flushes it to the disk and renames it.
fn replace(path: &Path, write: impl FnOnce(&mut File) -> Result<()>) -> Result<()> {
    let parent = parent_of(path);
    let mut temp = with_default_permissions(0o666)
        .tempfile_in(parent)
        .map_err(|e| CheckpointError::io("create a temporary file beside", path, e))?;
    write(temp.as_file_mut())?;
    temp.as_file()
        .sync_all()
        .map_err(|e| CheckpointError::io("sync", path, e))?;
    temp.persist(path)
        .map_err(|e| CheckpointError::io("rename into place", path, e.error))?;
    sync_dir(parent)
}

/// The folder that a path lies in.
pub(crate) fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Temporary files that come out with the permissions which plain ones would have, rather than
/// readable by their owner alone.
pub(crate) fn with_default_permissions(mode: u32) -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".bomf-").suffix(".tmp");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // The process's umask is taken off by the system.
        builder.permissions(fs::Permissions::from_mode(mode));
    }
    #[cfg(not(unix))]
    let _ = mode;
    builder
}

/// Makes renames in a folder last through a power cut, where the system can.
pub(crate) fn sync_dir(dir: &Path) -> Result<()> {
    if cfg!(unix) {
        File::open(dir)
            .and_then(|d| d.sync_all())
            .map_err(|e| CheckpointError::io("sync", dir, e))?;
    }
    Ok(())
}

/// Creates a folder and those above it.
pub(crate) fn create_dirs(dir: &Path) -> Result<()> {
    fs::create_dir_all(dir).map_err(|e| CheckpointError::io("create", dir, e))
}
