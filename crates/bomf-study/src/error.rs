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
    /// A folder has no study.
    #[error("there is no study at {}", path.display())]
    NoStudy {
        /// The database that was looked for.
        path: PathBuf,
    },
    /// A database is of other origin.
    #[error("{} is no study of bomf's", path.display())]
    NotAStudy {
        /// The file.
        path: PathBuf,
    },
    /// A file is neither a journal nor an SQLite storage of Optuna's.
    #[error("{} is no study of Optuna's", path.display())]
    NotOptuna {
        /// The file.
        path: PathBuf,
    },
    /// It does not follow which study of several is meant, or it is not there, or it has
    /// several objectives.
    #[error("{} {}", path.display(), which_words(wanted, names))]
    WhichStudy {
        /// The file.
        path: PathBuf,
        /// The name that was asked for.
        wanted: Option<String>,
        /// The studies that are there.
        names: Vec<String>,
    },
    /// A study was written by a later bomf.
    #[error("{} has schema {found}, but this bomf knows schemas up to {known}", path.display())]
    TooNew {
        /// The database.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The newest schema that is known.
        known: i64,
    },
    /// Another program works on the folder.
    #[error("{} is in use{}", path.display(), owner_words(owner))]
    InUse {
        /// The folder.
        path: PathBuf,
        /// Its process number, where that is known.
        owner: Option<u32>,
    },
    /// What is stored never changes.
    #[error("{what} is stored already, and what is stored never changes")]
    Final {
        /// What it is.
        what: String,
    },
    /// A trial is no longer in the hands of this worker.
    #[error("trial {number} is no longer this worker's: its lease ran out (attempt {attempt})")]
    LeaseLost {
        /// Its number.
        number: usize,
        /// The attempt that was this worker's.
        attempt: u64,
    },
    /// There is no room for a record.
    #[error("cannot write {}: the disk is full", path.display())]
    DatabaseFull {
        /// The database.
        path: PathBuf,
    },
    /// A URL is none of a PostgreSQL study.
    #[error("{url} is no URL of a study: {reason}")]
    Url {
        /// The URL without its password.
        url: String,
        /// Why.
        reason: String,
    },
    /// There is a study of this name.
    #[error("there is a study at {url} already")]
    StudyExists {
        /// The URL without its password.
        url: String,
    },
    /// A server cannot be reached, or says no.
    #[error("{url}: {source}")]
    Server {
        /// The URL without its password.
        url: String,
        /// Why.
        source: postgres::Error,
    },
    /// A server was away for longer than can be waited.
    #[error("{url} has been away for {seconds} s: {source}")]
    Away {
        /// The URL without its password.
        url: String,
        /// How long it was waited for.
        seconds: u64,
        /// What it, or the network, said last.
        source: postgres::Error,
    },
    /// Another program holds the database.
    #[error("{} is locked by another program", path.display())]
    DatabaseLocked {
        /// The database.
        path: PathBuf,
    },
    /// A database cannot be read or written.
    #[error("cannot read or write {}: {source}", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
}

fn which_words(wanted: &Option<String>, names: &[String]) -> String {
    let there = match names {
        [] => "it has none".to_string(),
        names => format!("it has {}", names.join(", ")),
    };
    match wanted {
        Some(wanted) => format!("has no study {wanted} with one objective: {there}"),
        None => format!("does not have exactly one study with one objective: {there}"),
    }
}

fn owner_words(owner: &Option<u32>) -> String {
    match owner {
        Some(owner) => format!(" by process {owner}"),
        None => " by another program".into(),
    }
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
            StudyError::DatabaseFull { .. } => {
                Some("free some space, then go on with `bomf resume`: nothing is lost".into())
            }
            StudyError::DatabaseLocked { .. } => Some(
                "close what holds it open, then go on with `bomf resume`: nothing is lost".into(),
            ),
            StudyError::Url { .. } => Some(
                "such as postgresql://user@host/database?study=name; the password may stand in \
                 PGPASSWORD"
                    .into(),
            ),
            StudyError::StudyExists { .. } => Some(
                "go on with it by `bomf resume`, name another one (`?study=NAME`), or replace it \
                 with --overwrite"
                    .into(),
            ),
            StudyError::Server { .. } => {
                Some("check host, database, user, password (PGPASSWORD) and `sslmode`".into())
            }
            StudyError::Database { .. } | StudyError::Away { .. } => {
                Some("once that is mended, go on with `bomf resume`: nothing is lost".into())
            }
            StudyError::InUse { .. } => {
                Some("wait for it to end, or choose another output folder".into())
            }
            StudyError::NoStudy { .. } => Some(
                "give the output folder of `bomf run`, `tune`, `finetune` or `fuse`; one that \
                     was stopped at its very beginning begins again with --overwrite"
                    .into(),
            ),
            StudyError::NotOptuna { .. } => Some(
                "give a journal file (JournalFileBackend) or an SQLite file of Optuna's".into(),
            ),
            StudyError::TooNew { .. } => Some("use the bomf that wrote it, or a later one".into()),
            _ => None,
        }
    }

    /// Whether what was given is at fault, and not the machine.
    pub fn is_bad_input(&self) -> bool {
        matches!(
            self,
            StudyError::Parse { .. }
                | StudyError::Read { .. }
                | StudyError::NoStudy { .. }
                | StudyError::NotAStudy { .. }
                | StudyError::NotOptuna { .. }
                | StudyError::WhichStudy { .. }
                | StudyError::TooNew { .. }
                | StudyError::InUse { .. }
                | StudyError::Url { .. }
                | StudyError::StudyExists { .. }
                | StudyError::DatabaseLocked { .. }
        )
    }
}
