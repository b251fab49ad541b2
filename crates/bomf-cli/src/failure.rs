//! How a command fails: in words, with a hint, and with an exit code.

use crate::commands::{MOST_WORKERS, SHORTEST_LEASE};
use std::error::Error;
use std::io::ErrorKind;
use std::path::PathBuf;

/// Why a command did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The library's.
    #[error(transparent)]
    Bomf(#[from] bomf::Error),
    /// A file of the command line's own could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        path: PathBuf,
        source: std::io::Error,
    },
    /// Standard input broke off.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    /// A merged model is not what its recipe gives.
    #[error("{} is not what its recipe gives: {what}", folder.display())]
    NotTheSame { folder: PathBuf, what: String },
    /// Runs of an experiment ended in errors.
    #[error("runs that failed: {failed}")]
    FailedRuns { failed: usize },
    /// A port is taken, or an address is not this machine's.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        address: std::net::SocketAddr,
        source: std::io::Error,
    },
    /// The live page.
    #[error(transparent)]
    Serve(#[from] bomf_serve::ServeError),
    /// The system gives no random bytes.
    #[error("the system gives no random bytes for a token")]
    NoToken,
    /// Workers that cannot be.
    #[error("the numbers of workers go up to {MOST_WORKERS}, and a lease from {} s on", SHORTEST_LEASE.as_secs())]
    Workers,
    /// A server for workers of whom there are none.
    #[error("--storage is for workers, and there are none")]
    NoWorkers,
    /// A panic.
    #[error("bomf failed by its own fault")]
    Bug,
}

impl From<bomf::RecipeError> for Failure {
    fn from(error: bomf::RecipeError) -> Self {
        bomf::Error::from(error).into()
    }
}

impl Failure {
    /// The message and those of its causes that it does not tell itself.
    pub fn message(&self) -> String {
        let mut message = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            let text = error.to_string();
            if !message.contains(&text) {
                message.push_str(": ");
                message.push_str(&text);
            }
            cause = error.source();
        }
        message
    }

    pub fn hint(&self) -> Option<String> {
        match self {
            Failure::Bomf(error) => error.hint(),
            Failure::Bug => Some(
                concat!(
                    "please report the lines above at ",
                    env!("CARGO_PKG_REPOSITORY"),
                    "/issues"
                )
                .into(),
            ),
            Failure::Write { source, .. } if source.kind() == ErrorKind::StorageFull => {
                Some("free some space, or choose another output folder".into())
            }
            Failure::FailedRuns { .. } => {
                Some("the same command tries them again and repeats no other".into())
            }
            Failure::Listen { source, .. } if source.kind() == ErrorKind::AddrInUse => {
                Some("choose another port with --port; 0 takes a free one".into())
            }
            Failure::Listen { .. } => {
                Some("--host takes an address of this machine, or 0.0.0.0 for all of them".into())
            }
            Failure::Serve(_) | Failure::NoToken => None,
            Failure::Write { .. }
            | Failure::Read { .. }
            | Failure::NotTheSame { .. }
            | Failure::Workers => None,
            Failure::NoWorkers => Some("give --workers or --remote-workers".into()),
        }
    }

    /// 2 for wrong input, 1 for everything else.
    pub fn exit_code(&self) -> u8 {
        match self {
            Failure::Bomf(error) if error.is_bad_input() => 2,
            Failure::Workers | Failure::NoWorkers => 2,
            _ => 1,
        }
    }
}
