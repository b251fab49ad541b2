//! The lines of the protocol as types.

use super::ProtocolError;
use serde::{Deserialize, Serialize};

/// The version of the protocol that is spoken here.
pub(super) const PROTOCOL: u64 = 1;

/// What a driver sends.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Request {
    Start(Start),
    Tell { points: Vec<Told> },
    Ask { q: usize },
    Stop {},
}

/// What is to be searched. Names are those of the benchmark protocol.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Start {
    /// Version of the protocol.
    pub protocol: u64,
    /// Name of the problem, for people.
    #[serde(default)]
    pub problem: Option<String>,
    /// Kind of space.
    pub space: SpaceKind,
    /// Degrees of freedom: `nx` on a box, `nx - 1` on the simplex.
    #[serde(default)]
    pub dim: Option<usize>,
    /// Length of a point.
    pub nx: usize,
    /// Number of objectives.
    pub nobj: usize,
    /// Lower bounds of a box.
    #[serde(default)]
    pub lower: Option<Vec<f64>>,
    /// Upper bounds of a box.
    #[serde(default)]
    pub upper: Option<Vec<f64>>,
    /// Reference point of the hypervolume, minimised; inferred where it is missing.
    #[serde(default)]
    pub ref_point: Option<Vec<f64>>,
    /// Whether evaluations are noisy.
    #[serde(default)]
    pub noisy: bool,
    /// Planned number of evaluations.
    #[serde(default)]
    pub budget: Option<u64>,
    /// Usual size of a batch.
    #[serde(default)]
    pub q: Option<u64>,
    /// Seed of every random choice; the session's own where it is missing.
    #[serde(default)]
    pub seed: Option<u64>,
}

/// Kind of space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum SpaceKind {
    Box,
    Simplex,
}

/// A point with its outcome.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Told {
    /// The driver's own number of the point.
    #[serde(default)]
    pub id: Option<u64>,
    /// The point.
    pub x: Vec<f64>,
    /// Its objectives, minimised; null, or a null in it, for a failed evaluation.
    /// (Named, so that it must be there.)
    #[serde(deserialize_with = "Option::deserialize")]
    pub y: Option<Vec<Option<f64>>>,
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Reply {
    Ready {
        name: &'static str,
    },
    Suggest {
        xs: Vec<Vec<f64>>,
    },
    Error {
        message: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        hint: Option<&'static str>,
    },
}

impl Reply {
    /// As a line, without its end.
    pub(super) fn line(&self) -> String {
        // Numbers, strings and lists: nothing that JSON could not say.
        serde_json::to_string(self).unwrap_or_else(|_| {
            r#"{"type":"error","message":"the answer cannot be written"}"#.to_owned()
        })
    }
}

/// The request in a line.
pub(super) fn parse(line: &str) -> Result<Request, ProtocolError> {
    serde_json::from_str(line).map_err(|source| ProtocolError::Line {
        not_json: source.is_syntax() || source.is_eof(),
        has_nan: line.contains("NaN") || line.contains("Infinity"),
        source,
    })
}
