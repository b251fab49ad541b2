//! The only place that prints: results to stdout, all else to stderr.

use crate::args::OutputFormat;
use crate::failure::Failure;
use std::io::{ErrorKind, Write};

/// Bold red and bold cyan, taken out again where colours are not wanted (no
/// terminal, `NO_COLOR`).
const ERROR: &str = "\x1b[1;31merror\x1b[0m";
const HINT: &str = "\x1b[1;36mhint\x1b[0m";

/// Writes a result to stdout. A reader that went away (`| head`) wants no more,
/// which is no failure.
pub fn data(text: &str) -> Result<(), Failure> {
    let mut out = anstream::stdout().lock();
    let end = if text.ends_with('\n') { "" } else { "\n" };
    match write!(out, "{text}{end}").and_then(|()| out.flush()) {
        Err(source) if source.kind() != ErrorKind::BrokenPipe => Err(Failure::Write {
            path: "stdout".into(),
            source,
        }),
        _ => Ok(()),
    }
}

/// A line of a conversation to stdout. That the other side is gone ends it.
pub fn answer(line: &str) -> std::io::Result<()> {
    let mut out = anstream::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush())
}

/// One of several results, as a line of JSON.
pub fn json_line(value: &impl serde::Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string(value).map_err(|error| Failure::Write {
        path: "stdout".into(),
        source: error.into(),
    })?;
    data(&text)
}

/// A result as JSON.
pub fn json(value: &impl serde::Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Failure::Write {
        path: "stdout".into(),
        source: error.into(),
    })?;
    data(&text)
}

/// A line to stderr. That stderr is gone cannot be told anyone.
pub fn line(text: &str) {
    let _ = writeln!(anstream::stderr(), "{text}");
}

/// A failure to stderr: two lines, or one JSON object.
pub fn error(format: OutputFormat, message: &str, hint: Option<&str>) {
    match format {
        OutputFormat::Json => {
            line(&serde_json::json!({"error": message, "hint": hint}).to_string())
        }
        OutputFormat::Text => {
            line(&format!("{ERROR}: {message}"));
            if let Some(hint) = hint {
                line(&format!("{HINT}: {hint}"));
            }
        }
    }
}
