//! `bomf report`.

use super::Context;
use crate::args::ReportArgs;
use crate::failure::Failure;
use std::path::Path;

pub fn command(args: ReportArgs, context: &mut Context<'_>) -> Result<(), Failure> {
    let to = args.to.unwrap_or_else(|| args.out.join("report.html"));
    write(&args.out, &to)?;
    let outcome = serde_json::json!({"report": to});
    context.tell(&outcome, |_| to.display().to_string())
}

/// Writes the report of the run in `out` to a file.
pub fn write(out: &Path, to: &Path) -> Result<(), Failure> {
    let (results, journal) = bomf::read_output(out)?;
    let html = bomf_report::render_with_journal(&results, &journal);
    std::fs::write(to, html).map_err(|source| Failure::Write {
        path: to.into(),
        source,
    })
}
