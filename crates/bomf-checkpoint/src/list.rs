//! Finding the checkpoints of a training run.

use std::cmp::Ordering;
use std::fs;
use std::path::{Path, PathBuf};

use crate::checkpoint::has_weights;
use crate::error::{CheckpointError, Result};

/// What a Trainer puts before the step number of a checkpoint folder.
const STEP_PREFIX: &str = "checkpoint-";

/// A checkpoint folder that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointDir {
    /// The folder.
    pub path: PathBuf,
    /// The folder's own name.
    pub name: String,
    /// The step number, if the folder is called `checkpoint-<step>`.
    pub step: Option<u64>,
}

/// The checkpoint folders in `dir`: those called `checkpoint-<step>`, sorted by step number.
///
/// If there are none of that name, every folder with weights in it, sorted by name (byte order).
/// Hidden folders and plain files are passed over; symbolic links are followed.
///
/// # Errors
/// [`CheckpointError::NotFound`], or [`CheckpointError::NoCheckpoints`] if nothing was found.
pub fn list_checkpoints(dir: impl AsRef<Path>) -> Result<Vec<CheckpointDir>> {
    let dir = dir.as_ref();
    if !dir.is_dir() {
        return Err(CheckpointError::NotFound {
            what: "folder",
            path: dir.to_path_buf(),
        });
    }
    let mut steps = Vec::new();
    let mut others = Vec::new();
    for entry in fs::read_dir(dir).map_err(|e| CheckpointError::io("list", dir, e))? {
        let entry = entry.map_err(|e| CheckpointError::io("list", dir, e))?;
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') || !path.is_dir() {
            continue;
        }
        match step_of(&name) {
            Some(step) => steps.push(CheckpointDir {
                path,
                name,
                step: Some(step),
            }),
            None if has_weights(&path) => others.push(CheckpointDir {
                path,
                name,
                step: None,
            }),
            None => {}
        }
    }
    let mut found = if steps.is_empty() { others } else { steps };
    if found.is_empty() {
        return Err(CheckpointError::NoCheckpoints {
            dir: dir.to_path_buf(),
            is_model: has_weights(dir),
        });
    }
    found.sort_by(|a, b| match a.step.cmp(&b.step) {
        Ordering::Equal => a.name.cmp(&b.name),
        unequal => unequal,
    });
    Ok(found)
}

fn step_of(name: &str) -> Option<u64> {
    let digits = name.strip_prefix(STEP_PREFIX)?;
    // `parse` alone would take `+5`.
    digits
        .bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| digits.parse().ok())?
}
