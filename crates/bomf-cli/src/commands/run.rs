//! `bomf run`.

use super::{Context, report};
use crate::args::RunArgs;
use crate::failure::Failure;
use crate::summary;
use bomf::RunRequest;
use bomf::study::Results;
use std::path::Path;

pub fn command(args: RunArgs, context: &mut Context<'_>) -> Result<(), Failure> {
    let mut request = context.run_request(args.source, args.target)?;
    request.workers = context.workers(&args.workers)?;
    run(&request, context)
}

/// Runs, writes the report, tells the outcome.
pub fn run(request: &RunRequest, context: &mut Context<'_>) -> Result<(), Failure> {
    let results = bomf::run(request, &mut context.progress)?;
    tell(&request.out, &results, context)
}

/// Writes the report of a run that has just ended and tells its outcome.
pub fn tell(out: &Path, results: &Results, context: &Context<'_>) -> Result<(), Failure> {
    report::write(out, &out.join("report.html"))?;
    let files = [
        ("fused model", "fused"),
        ("report", "report.html"),
        ("results", "results.json"),
    ]
    .map(|(what, name)| format!("{what:<12} {}", out.join(name).display()));
    context.tell(results, |results| summary::results(results, &files))
}
