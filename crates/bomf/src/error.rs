//! What can go wrong in the pipeline.

use crate::hub::HubError;
use crate::recipe::RecipeError;
use bomf_study::StudyError;
use std::path::PathBuf;

/// An error of the pipeline.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The recipe is wrong.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// The model could not be found or fetched.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// A file of the study could not be written or read.
    #[error(transparent)]
    Study(#[from] StudyError),
    /// The output folder holds something already.
    #[error("{} is not empty", path.display())]
    OutputNotEmpty {
        /// The folder.
        path: PathBuf,
        /// Whether it is the output of an earlier run, which may be replaced.
        is_earlier_output: bool,
    },
    /// The output folder could not be made, cleared or written to.
    #[error("cannot write to {}: {source}", path.display())]
    Output {
        /// The folder or file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The observer asked to stop.
    #[error("interrupted{}", on_disk_words(out, on_disk))]
    Interrupted {
        /// The output folder.
        out: PathBuf,
        /// What is usable in it, as paths relative to it; may be empty.
        on_disk: Vec<String>,
    },
}

fn on_disk_words(out: &std::path::Path, on_disk: &[String]) -> String {
    match on_disk {
        [] => "; nothing was written".into(),
        files => format!("; {} holds {}", out.display(), files.join(", ")),
    }
}

impl Error {
    /// How to mend it, where that can be said.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::Recipe(error) => error.hint(),
            Error::Hub(error) => error.hint(),
            Error::Study(error) => error.hint(),
            Error::OutputNotEmpty {
                is_earlier_output: true,
                ..
            } => Some(
                "it is the output of an earlier run: give --overwrite to replace it, or choose \
                 another --out"
                    .into(),
            ),
            Error::OutputNotEmpty { .. } => Some("choose an empty or a new folder".into()),
            Error::Output { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
                Some("free some space, or choose another output folder".into())
            }
            Error::Output { .. } | Error::Interrupted { .. } => None,
        }
    }

    /// Whether what was asked for is at fault, and not the machine, the network or
    /// bomf itself.
    pub fn is_bad_input(&self) -> bool {
        match self {
            Error::Recipe(_) | Error::OutputNotEmpty { .. } => true,
            Error::Hub(error) => error.is_bad_input(),
            Error::Study(StudyError::Parse { .. } | StudyError::Read { .. }) => true,
            Error::Study(_) | Error::Output { .. } | Error::Interrupted { .. } => false,
        }
    }
}
