//! What can go wrong with the files of a study.

use std::path::PathBuf;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StudyError {
    /// A file could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A line or file is not what it should be.
    #[error("{} line {line}: {source}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Why.
        source: serde_json::Error,
    },
}

impl StudyError {
    /// How to mend it, where that can be said.
    pub fn hint(&self) -> Option<String> {
        match self {
            StudyError::Write { source, .. }
                if source.kind() == std::io::ErrorKind::StorageFull =>
            {
                Some("free some space, or choose another output folder".into())
            }
            StudyError::Parse { .. } => {
                Some("the file was edited or written by another version of bomf".into())
            }
            _ => None,
        }
    }
}
