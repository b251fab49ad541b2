//! `bomf export`.

use super::Context;
use crate::args::{ExportArgs, ExportFormat};
use crate::failure::Failure;
use crate::output;
use bomf::study::{StudyError, interchange};
use std::path::Path;
use std::time::{Duration, SystemTime};

pub fn command(args: ExportArgs, context: &mut Context<'_>) -> Result<(), Failure> {
    let record = bomf::read_record(&args.out)?;
    if record.is_empty() {
        let path = args.out.join(bomf::study::DATABASE);
        return Err(bomf::Error::from(StudyError::NoStudy { path }).into());
    }
    let text = match args.format {
        ExportFormat::Csv => interchange::csv(&record),
        ExportFormat::Json => format!("{:#}\n", interchange::json(&record)),
        ExportFormat::OptunaJournal => interchange::optuna_journal(&record, began(&args.out)),
    };
    let Some(to) = args.to else {
        return output::data(&text);
    };
    // A journal is appended to by Optuna; what stands under the name is what was exported.
    std::fs::write(&to, text).map_err(|source| Failure::Write {
        path: to.clone(),
        source,
    })?;
    let outcome = serde_json::json!({
        "file": to,
        "trials": record.trials.len(),
        "evaluations": record.evaluations.len(),
    });
    context.tell(&outcome, |_| to.display().to_string())
}

/// When the run began: its recipe is the first thing that it writes.
fn began(out: &Path) -> SystemTime {
    let written = std::fs::metadata(out.join("recipe.yaml")).and_then(|file| file.modified());
    let written = written.unwrap_or(SystemTime::UNIX_EPOCH);
    // Fractions of a second mean nothing here.
    match written.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs()),
        Err(_) => SystemTime::UNIX_EPOCH,
    }
}
