//! What can go wrong with a model's name and files.

use super::settings::Settings;
use hf_hub::api::sync::ApiError;
use std::fmt;
use std::path::PathBuf;

/// A revision of a model on the hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// `owner/name`.
    pub name: String,
    /// Branch, tag or commit.
    pub revision: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.revision.as_str() {
            "main" => write!(f, "hf:{}", self.name),
            revision => write!(f, "hf:{}@{revision}", self.name),
        }
    }
}

/// A model that could not be found or fetched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// No such local folder.
    #[error("model folder {} does not exist", path.display())]
    NoFolder {
        /// The folder.
        path: PathBuf,
    },
    /// Not a name that the hub allows.
    #[error("`{spec}` is not the name of a model on the hub")]
    BadName {
        /// As it was given.
        spec: String,
    },
    /// The hub has no such repository or revision.
    #[error("{place} does not exist on {endpoint}")]
    NotFound {
        /// The model.
        place: Place,
        /// The hub.
        endpoint: String,
    },
    /// The hub wants a token, or a better one; it answers so for repositories that
    /// do not exist, too.
    #[error("{endpoint} does not show {place} {}", token_words(*has_token))]
    Unauthorized {
        /// The model.
        place: Place,
        /// The hub.
        endpoint: String,
        /// Whether a token was sent.
        has_token: bool,
    },
    /// The model is gated, and the token's owner has no access.
    #[error("{place} is gated, and access has not been granted")]
    Gated {
        /// The model.
        place: Place,
        /// The hub.
        endpoint: String,
    },
    /// The hub could not be reached.
    #[error("cannot reach {endpoint} for {place}: {source}")]
    Unreachable {
        /// The model.
        place: Place,
        /// The hub.
        endpoint: String,
        /// Why.
        source: Box<ApiError>,
    },
    /// Offline mode is on, and the cache does not hold the model.
    #[error("{place} is not in the cache, and HF_HUB_OFFLINE is set")]
    Offline {
        /// The model.
        place: Place,
    },
    /// The hub's answer or a download broke.
    #[error("cannot fetch {place}: {source}")]
    Fetch {
        /// The model.
        place: Place,
        /// Why.
        source: Box<ApiError>,
    },
    /// The hub's answer makes no sense.
    #[error("the hub's description of {place} makes no sense")]
    BadAnswer {
        /// The model.
        place: Place,
    },
    /// A file that every model needs is not in the repository.
    #[error("{place} has no {file}")]
    NoFile {
        /// The model.
        place: Place,
        /// The file.
        file: &'static str,
    },
    /// The repository holds no weights as safetensors.
    #[error("{place} has no model.safetensors")]
    NoSafetensors {
        /// The model.
        place: Place,
    },
    /// The cache could not be read or written.
    #[error("cannot use {}: {source}", path.display())]
    Cache {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// There is no home folder for a cache.
    #[error("there is no folder for the hub's cache")]
    NoCache,
}

fn token_words(has_token: bool) -> &'static str {
    match has_token {
        true => "to the owner of the token",
        false => "without a token",
    }
}

impl HubError {
    /// Sorts an error of the hub's client by what it means for people.
    pub(super) fn from_api(error: ApiError, place: &Place, settings: &Settings) -> Self {
        let place = place.clone();
        let endpoint = settings.endpoint.clone();
        let ApiError::RequestError(request) = &error else {
            return HubError::Fetch {
                place,
                source: Box::new(error),
            };
        };
        match **request {
            ureq::Error::StatusCode(404) => HubError::NotFound { place, endpoint },
            ureq::Error::StatusCode(401) => HubError::Unauthorized {
                place,
                endpoint,
                has_token: settings.token.is_some(),
            },
            ureq::Error::StatusCode(403) => HubError::Gated { place, endpoint },
            ureq::Error::HostNotFound
            | ureq::Error::ConnectionFailed
            | ureq::Error::Timeout(_)
            | ureq::Error::Io(_) => HubError::Unreachable {
                place,
                endpoint,
                source: Box::new(error),
            },
            _ => HubError::Fetch {
                place,
                source: Box::new(error),
            },
        }
    }

    /// How to mend it, where that can be said.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            HubError::NoFolder { path } => match path.to_str() {
                // `owner/name`, most likely meant for the hub.
                Some(name) if name.split('/').count() == 2 && !name.starts_with(['.', '/']) => {
                    format!("for a model on the Hugging Face hub write hf:{name}")
                }
                _ => return None,
            },
            HubError::BadName { .. } => "write hf:owner/name or hf:owner/name@revision".into(),
            HubError::NotFound { .. } => "check the name and the revision".into(),
            HubError::Unauthorized {
                has_token: false, ..
            } => "check the name; for a private or gated model set HF_TOKEN".into(),
            HubError::Unauthorized { .. } => "check the name and HF_TOKEN".into(),
            HubError::Gated { place, endpoint } => {
                format!(
                    "ask for access at {endpoint}/{} and set HF_TOKEN",
                    place.name
                )
            }
            HubError::Unreachable { .. } => {
                "check the network and HF_ENDPOINT, or give a local folder".into()
            }
            HubError::Offline { .. } => {
                "unset HF_HUB_OFFLINE once to fetch it, or give a local folder".into()
            }
            HubError::Fetch { .. } => "try again: a download goes on where it broke off".into(),
            HubError::NoFile {
                file: "tokenizer.json",
                ..
            } => "save the model again in Python with its fast tokenizer, and give that folder"
                .into(),
            HubError::NoSafetensors { .. } => {
                "save the model again in Python with save_pretrained, and give that folder".into()
            }
            HubError::NoCache => "set HF_HOME".into(),
            HubError::BadAnswer { .. } | HubError::NoFile { .. } | HubError::Cache { .. } => {
                return None;
            }
        })
    }

    /// Whether the name, and not the machine or the network, is at fault.
    pub fn is_bad_input(&self) -> bool {
        !matches!(
            self,
            HubError::Unreachable { .. }
                | HubError::Fetch { .. }
                | HubError::BadAnswer { .. }
                | HubError::Cache { .. }
        )
    }
}
