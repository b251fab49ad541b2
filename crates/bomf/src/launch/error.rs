//! What can go wrong when workers are started on a cluster.

use std::path::PathBuf;

/// Workers could not be started on a cluster.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LaunchError {
    /// A number that cannot be.
    #[error("`{option}` is {given}, but goes from {least} to {most}")]
    Number {
        /// Which, by its option.
        option: &'static str,
        /// What was asked for.
        given: usize,
        /// The least.
        least: usize,
        /// The most.
        most: usize,
    },
    /// A name that clusters have no room for.
    #[error("`{name}` cannot be the name of jobs")]
    Name {
        /// The name.
        name: String,
    },
    /// No amount of memory.
    #[error("`{given}` is no amount of memory")]
    Memory {
        /// What was given.
        given: String,
    },
    /// No time as Slurm has it.
    #[error("`{given}` is no time limit")]
    Time {
        /// What was given.
        given: String,
    },
    /// A time limit within which nothing would be trained.
    #[error("a time limit of {given} leaves no time for training")]
    ShortTime {
        /// What was given.
        given: String,
        /// The least, in minutes.
        least: u64,
    },
    /// No volume and where it is mounted.
    #[error("`{given}` is no NAME:/PATH")]
    Claim {
        /// What was given.
        given: String,
    },
    /// No secret and its key.
    #[error("`{given}` is no secret's NAME or NAME/KEY")]
    Secret {
        /// What was given.
        given: String,
    },
    /// A word that cannot stand in a script.
    #[error("{word:?} holds a control character")]
    Word {
        /// The word.
        word: String,
    },
    /// A study in a folder, for workers on other hosts.
    #[error("workers started by {launcher} do not reach the study in {}", folder.display())]
    OneHost {
        /// The folder.
        folder: PathBuf,
        /// `ray` or `kubernetes`.
        launcher: &'static str,
    },
    /// No address of Ray's dashboard.
    #[error("{from} is `{address}`, which is no http:// address of Ray's dashboard")]
    Address {
        /// Where it stands: an option or a variable of the environment.
        from: &'static str,
        /// What stands there.
        address: String,
    },
    /// A program of the cluster's is not here.
    #[error("cannot start {program}: {source}")]
    Program {
        /// Its name.
        program: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// A program of the cluster's said no.
    #[error("{program} refuses: {said}")]
    ProgramRefused {
        /// Its name.
        program: &'static str,
        /// What it said.
        said: String,
    },
    /// A program of the cluster's gave no answer that can be understood.
    #[error("{program} answers {said:?}, which is no job")]
    ProgramAnswer {
        /// Its name.
        program: &'static str,
        /// What it said.
        said: String,
    },
    /// Ray could not be reached.
    #[error("cannot reach Ray at {address}: {source}{}", taken_words(taken))]
    Unreachable {
        /// Address of its dashboard.
        address: String,
        /// Jobs that it had taken before.
        taken: Vec<String>,
        /// Why.
        source: Box<ureq::Error>,
    },
    /// Ray said no.
    #[error(
        "Ray at {address} refuses: {said} (HTTP {status}){}",
        taken_words(taken)
    )]
    Refused {
        /// Address of its dashboard.
        address: String,
        /// The status of its answer.
        status: u16,
        /// What it said last.
        said: String,
        /// Jobs that it had taken before.
        taken: Vec<String>,
    },
    /// What answers is not Ray.
    #[error(
        "what answers at {address} is not Ray's dashboard: {said:?}{}",
        taken_words(taken)
    )]
    Answer {
        /// The address.
        address: String,
        /// How the answer begins.
        said: String,
        /// Jobs that it had taken before.
        taken: Vec<String>,
    },
}

fn taken_words(taken: &[String]) -> String {
    match taken {
        [] => String::new(),
        taken => format!("; it had taken {}", taken.join(", ")),
    }
}

/// What Slurm's programs say when it is not the user's fault.
const NO_CONTROLLER: &str = "contact slurm controller";

impl LaunchError {
    /// How to mend it, where that can be said.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            LaunchError::Number { .. } => return None,
            LaunchError::Name { .. } => {
                "give --name with at most 52 letters, digits, `.`, `_` and `-`".into()
            }
            LaunchError::Memory { .. } => "write it as 512M or 16G".into(),
            LaunchError::Time { .. } => {
                "as Slurm has it: minutes, HOURS:MINUTES:SECONDS, or DAYS-HOURS:MINUTES:SECONDS"
                    .into()
            }
            LaunchError::ShortTime { least, .. } => format!(
                "give {least} minutes at least, and more than the longest trial takes: a worker \
                 gives its trial back before its time is up"
            ),
            LaunchError::Claim { .. } => {
                "write a claim and an absolute path, as models:/models or models:/models:ro".into()
            }
            LaunchError::Secret { .. } => {
                "as kubectl create secret generic NAME --from-literal=KEY=... has it".into()
            }
            LaunchError::Word { .. } => "take the control character out".into(),
            LaunchError::OneHost { .. } => {
                "begin the run with --storage postgresql://..., and give its URL".into()
            }
            LaunchError::Address { .. } => {
                "give --address http://HOST:8265, where the head of the cluster is".into()
            }
            LaunchError::Program { source, .. }
                if source.kind() == std::io::ErrorKind::NotFound =>
            {
                "is this a login node of the cluster? --dry-run prints what would be submitted"
                    .into()
            }
            LaunchError::Program { .. } => return None,
            LaunchError::ProgramRefused { said, .. } if is_no_controller(said) => {
                "the cluster is away; try again later".into()
            }
            LaunchError::ProgramRefused { .. } => {
                "--dry-run prints what was submitted; further options of sbatch's come behind --"
                    .into()
            }
            LaunchError::ProgramAnswer { .. } => "is this Slurm's own sbatch?".into(),
            LaunchError::Unreachable { .. } => {
                "is its dashboard at this address? Give --address http://HOST:8265, or tunnel \
                 the port with ssh"
                    .into()
            }
            LaunchError::Refused {
                status: 401 | 403, ..
            } => "set RAY_AUTH_TOKEN".into(),
            LaunchError::Refused { .. } => {
                "a cluster that has just started takes jobs after half a minute; its dashboard \
                 and its logs say more"
                    .into()
            }
            LaunchError::Answer { .. } => {
                "give --address http://HOST:8265, where the head of the cluster is".into()
            }
        })
    }

    /// Whether what was asked for is at fault, and not the cluster or the network.
    pub fn is_bad_input(&self) -> bool {
        match self {
            LaunchError::ProgramRefused { said, .. } => !is_no_controller(said),
            LaunchError::Refused { status, .. } => *status == BAD_REQUEST,
            LaunchError::Program { .. }
            | LaunchError::ProgramAnswer { .. }
            | LaunchError::Unreachable { .. }
            | LaunchError::Answer { .. } => false,
            LaunchError::Number { .. }
            | LaunchError::Name { .. }
            | LaunchError::Memory { .. }
            | LaunchError::Time { .. }
            | LaunchError::ShortTime { .. }
            | LaunchError::Claim { .. }
            | LaunchError::Secret { .. }
            | LaunchError::Word { .. }
            | LaunchError::OneHost { .. }
            | LaunchError::Address { .. } => true,
        }
    }
}

/// HTTP's word for a request that makes no sense.
const BAD_REQUEST: u16 = 400;

fn is_no_controller(said: &str) -> bool {
    said.to_lowercase().contains(NO_CONTROLLER)
}
