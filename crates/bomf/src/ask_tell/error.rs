//! Why a line was refused.

/// An error of the protocol. The session goes on after it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// No JSON, or not a request.
    #[error("{} {source}", if *not_json { "the line is not JSON:" } else { "the line is not a request:" })]
    Line {
        /// Whether it is not even JSON.
        not_json: bool,
        /// Whether it holds a NaN or an infinity, which JSON does not know.
        has_nan: bool,
        /// What the parser says.
        source: serde_json::Error,
    },
    /// The line is not UTF-8.
    #[error("the line is not UTF-8")]
    Encoding,
    /// Another version of the protocol.
    #[error("`protocol` is {found}, but this is version {spoken}")]
    Version {
        /// The driver's.
        found: u64,
        /// The one spoken here.
        spoken: u64,
    },
    /// A request other than `start` before it.
    #[error("`{request}` before `start`")]
    NotStarted {
        /// Which.
        request: &'static str,
    },
    /// A second `start`.
    #[error("`start` twice")]
    Started,
    /// A count or a list of the wrong length.
    #[error("`{field}` is {found}, but {expected} is needed")]
    Field {
        /// Its name.
        field: &'static str,
        /// What it is, or the number of its values.
        found: String,
        /// What it should be.
        expected: String,
    },
    /// A point of `tell`, by its place in the list.
    #[error("point {index}: {reason}")]
    Point {
        /// From 0 on.
        index: usize,
        /// What is wrong with it.
        reason: Box<ProtocolError>,
    },
    /// A number that is not finite.
    #[error("`{field}` holds {value}")]
    NotFinite {
        /// The field.
        field: &'static str,
        /// The number.
        value: f64,
    },
    /// The optimiser's.
    #[error(transparent)]
    Bo(#[from] bomf_bo::BoError),
}

impl ProtocolError {
    /// How to mend it, where that can be said.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Line { has_nan: true, .. } => {
                Some("JSON has no NaN and no Infinity: tell a failed evaluation with \"y\": null")
            }
            Self::Line { not_json: true, .. } | Self::Encoding => {
                Some("send one JSON object a line, in UTF-8")
            }
            Self::NotStarted { .. } => Some(
                r#"send {"type": "start", "protocol": 1, "space": "box", "nx": .., "nobj": .., "lower": [..], "upper": [..]} first"#,
            ),
            Self::Started => Some("a session searches one space: start another process"),
            Self::Point { reason, .. } => reason.hint(),
            Self::Bo(bomf_bo::BoError::NotOnSimplex { .. }) => {
                Some("weights are at least 0 and sum to 1")
            }
            _ => None,
        }
    }
}
