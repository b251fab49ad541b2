//! What is asked for, wherever workers are started, and what is made of it: the worker's command
//! line, its study and its password.

use super::LaunchError;
use crate::pipeline::{has_trials_for_workers, study_url};
use crate::{Error, Observer};
use bomf_study::{StudyError, is_url, password_in, without_password};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The most workers of one launch: each is a process with a model in memory.
const MOST_WORKERS: usize = 1024;

/// The most cores, graphics cards and threads: beyond what hosts have.
const MOST_CPUS: usize = 1024;

/// Lengths of names: Slurm, Ray and Kubernetes all have room for so many letters, and for a
/// number behind them.
const LONGEST_NAME: usize = 52;

/// What a name begins with, where none is given.
const NAME: &str = "bomf";

/// Workers to start, on whatever cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaunchRequest {
    /// URL of the study that they help, or the output folder of its run.
    pub study: String,
    /// How many.
    pub workers: usize,
    /// Cores of each.
    pub cpus: usize,
    /// Threads of each; 0 for one a core.
    pub threads: usize,
    /// Memory of each, where that is to be asked for.
    pub memory: Option<Memory>,
    /// Graphics cards of each, for trainers that use them.
    pub gpus: usize,
    /// What their jobs are called: letters, digits, `.`, `_` and `-`. After the study where it is
    /// not given.
    pub name: Option<String>,
    /// The program `bomf` as it is found where they run.
    pub program: String,
    /// The model where they run, if it has another name there.
    pub model: Option<String>,
    /// The data's folder where they run, if it is another one there.
    pub data: Option<String>,
}

/// An amount of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Memory {
    /// In units of 2^20 bytes; at least 1.
    mib: u64,
}

impl Memory {
    /// In units of 2^20 bytes.
    pub fn mib(self) -> u64 {
        self.mib
    }
}

impl FromStr for Memory {
    type Err = LaunchError;

    /// Reads a whole number with its unit, `M`, `G` or `T` (2^20, 2^30, 2^40 bytes); `Mi`, `MB`
    /// and the like mean the same.
    fn from_str(text: &str) -> Result<Self, LaunchError> {
        let wrong = || LaunchError::Memory { given: text.into() };
        let digits = text.find(|c: char| !c.is_ascii_digit());
        let (number, unit) = text.split_at(digits.ok_or_else(wrong)?);
        let unit: u64 = match unit.to_ascii_uppercase().as_str() {
            "M" | "MB" | "MI" | "MIB" => 1,
            "G" | "GB" | "GI" | "GIB" => 1 << 10,
            "T" | "TB" | "TI" | "TIB" => 1 << 20,
            _ => return Err(wrong()),
        };
        let number: u64 = number.parse().map_err(|_| wrong())?;
        match number.checked_mul(unit) {
            // Ray counts bytes, in 64 bits of which one is the sign.
            Some(mib) if mib > 0 && mib < 1 << 43 => Ok(Memory { mib }),
            _ => Err(wrong()),
        }
    }
}

/// Where the study is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// On a server: its URL without the password.
    Server(String),
    /// In a folder of this host.
    Folder(PathBuf),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Place::Server(url) => f.write_str(url),
            Place::Folder(folder) => write!(f, "{}", folder.display()),
        }
    }
}

/// A request that was found to be possible.
pub(super) struct Order {
    pub workers: usize,
    pub cpus: usize,
    pub memory: Option<Memory>,
    pub gpus: usize,
    pub name: String,
    pub place: Place,
    /// A worker's command line, program first.
    pub command: Vec<String>,
    /// The study as it was given, with its password.
    given: String,
}

impl Order {
    /// Sees that a request is possible.
    ///
    /// # Errors
    /// [`LaunchError::Number`], [`LaunchError::Name`], [`LaunchError::Word`], and
    /// [`StudyError::NoStudy`] for a folder without one.
    pub fn new(request: &LaunchRequest) -> Result<Self, Error> {
        for (option, given, least, most) in [
            ("workers", request.workers, 1, MOST_WORKERS),
            ("cpus", request.cpus, 1, MOST_CPUS),
            ("gpus", request.gpus, 0, MOST_CPUS),
            ("threads", request.threads, 0, MOST_CPUS),
        ] {
            if given < least || given > most {
                return Err(LaunchError::Number {
                    option,
                    given,
                    least,
                    most,
                }
                .into());
            }
        }
        let (place, given) = place(&request.study)?;
        let name = match &request.name {
            Some(name) => name.clone(),
            None => usual_name(&place),
        };
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if name.is_empty() || name.len() > LONGEST_NAME || !name.chars().all(is_plain) {
            return Err(LaunchError::Name { name }.into());
        }
        let threads = match request.threads {
            0 => request.cpus,
            threads => threads,
        };
        let mut command = vec![request.program.clone(), "worker".into()];
        command.extend(["--threads".into(), threads.to_string()]);
        for (option, value) in [("--model", &request.model), ("--data", &request.data)] {
            if let Some(value) = value {
                command.extend([option.into(), value.clone()]);
            }
        }
        command.push(place.to_string());
        if let Some(word) = command.iter().find(|word| word.contains(char::is_control)) {
            return Err(LaunchError::Word { word: word.clone() }.into());
        }
        Ok(Order {
            workers: request.workers,
            cpus: request.cpus,
            memory: request.memory,
            gpus: request.gpus,
            name,
            place,
            command,
            given,
        })
    }

    /// The study's URL, for workers on other hosts.
    ///
    /// # Errors
    /// [`LaunchError::OneHost`] for one in a folder.
    pub fn url(&self, launcher: &'static str) -> Result<&str, LaunchError> {
        match &self.place {
            Place::Server(url) => Ok(url),
            Place::Folder(folder) => Err(LaunchError::OneHost {
                folder: folder.clone(),
                launcher,
            }),
        }
    }

    /// The study, without a password.
    pub fn study(&self) -> String {
        self.place.to_string()
    }

    /// The password of the study's server, from its URL or `PGPASSWORD`.
    pub fn password(&self) -> Option<String> {
        password_in(&self.given)
    }

    /// The worker's command line as a shell reads it.
    ///
    /// # Errors
    /// [`LaunchError::Word`].
    pub fn shell_command(&self) -> Result<String, LaunchError> {
        let words = self.command.iter().map(String::as_str);
        shlex::try_join(words).map_err(|_| LaunchError::Word {
            word: self.command.join(" "),
        })
    }

    /// Sees that the study is there and has trials for workers, as far as that can be seen from
    /// here: its server may let only the cluster in.
    ///
    /// # Errors
    /// [`StudyError::NoStudy`], [`Error::NoWorkers`], and whatever else is wrong with it.
    pub fn check_study(&self, observer: &mut dyn Observer) -> Result<(), Error> {
        match has_trials_for_workers(&self.given) {
            // The authorities that a URL names may be a file of the cluster's.
            Err(Error::Study(
                error @ (StudyError::Server { .. }
                | StudyError::Away { .. }
                | StudyError::Url { .. }),
            )) => {
                observer.note(&format!("the study cannot be looked at from here: {error}"));
                Ok(())
            }
            looked => looked,
        }
    }
}

/// Where a study is, and how it can be opened.
fn place(study: &str) -> Result<(Place, String), Error> {
    if is_url(study) {
        // Says what is wrong with it.
        bomf_study::study_in(study)?;
        return Ok((Place::Server(without_password(study)), study.into()));
    }
    let folder = Path::new(study);
    match study_url(folder)? {
        Some(url) => Ok((Place::Server(url.clone()), url)),
        None if folder.join(bomf_study::DATABASE).is_file() => {
            let folder = std::path::absolute(folder).map_err(|source| Error::Unreadable {
                path: folder.into(),
                source,
            })?;
            Ok((Place::Folder(folder), study.into()))
        }
        None => Err(StudyError::NoStudy {
            path: folder.join(bomf_study::DATABASE),
        }
        .into()),
    }
}

/// A name after the study.
fn usual_name(place: &Place) -> String {
    let study = match place {
        Place::Server(url) => bomf_study::study_in(url).unwrap_or_default(),
        Place::Folder(folder) => {
            let name = folder.file_name().unwrap_or_default().to_string_lossy();
            let plain = |c: char| match c {
                c if c.is_ascii_alphanumeric() || "._-".contains(c) => c,
                _ => '-',
            };
            name.chars().map(plain).collect()
        }
    };
    let mut name = format!("{NAME}-{study}");
    // All of it is ASCII by now.
    name.truncate(LONGEST_NAME);
    name
}
