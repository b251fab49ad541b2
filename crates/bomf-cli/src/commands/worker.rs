//! `bomf worker`.

use super::Context;
use crate::args::WorkerArgs;
use crate::failure::Failure;
use crate::interrupt;
use bomf::WorkerRequest;
use std::path::{Path, PathBuf};

pub fn command(args: WorkerArgs, context: &mut Context<'_>) -> Result<(), Failure> {
    if args.tied {
        interrupt::when_stdin_ends(context.progress.stop());
    }
    let absolute = |path: &Path| {
        std::path::absolute(path).map_err(|source| Failure::Read {
            path: path.into(),
            source,
        })
    };
    let study = match bomf::study::is_url(&args.study) {
        true => args.study,
        false => absolute(Path::new(&args.study))?.display().to_string(),
    };
    let here = |path: Option<PathBuf>| path.as_deref().map(absolute).transpose();
    let model = match args.model {
        Some(model) if Path::new(&model).is_dir() => {
            Some(absolute(Path::new(&model))?.display().to_string())
        }
        model => model,
    };
    let request = WorkerRequest {
        model,
        data: here(args.data)?,
        threads: context.global.threads,
        name: args.name,
        folder: here(args.folder)?,
        study,
    };
    // The run's relative paths mean what they meant, where there is such a folder.
    let directory = bomf::worker_directory(&request.study)?;
    if directory.is_dir() {
        std::env::set_current_dir(&directory).map_err(|source| Failure::Read {
            path: directory,
            source,
        })?;
    }
    let outcome = bomf::worker(&request, &mut context.progress)?;
    context.tell(&outcome, |outcome| {
        let plural = if outcome.trials == 1 { "" } else { "s" };
        format!(
            "{} trial{plural} in {:.1} s",
            outcome.trials, outcome.seconds
        )
    })
}
