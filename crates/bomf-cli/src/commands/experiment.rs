//! `bomf experiment`.

use super::{Context, MOST_WORKERS, report, worker_command};
use crate::args::ExperimentArgs;
use crate::failure::Failure;
use bomf::ExperimentRequest;
use bomf::experiment::tables::markdown;

pub fn command(args: ExperimentArgs, context: &mut Context<'_>) -> Result<(), Failure> {
    if args.workers > MOST_WORKERS {
        return Err(Failure::Workers);
    }
    let request = ExperimentRequest {
        workers: args.workers,
        launch: worker_command(),
        file: args.file,
        model: args.model,
        data: args.data,
        out: args.out,
        seeds: context.global.seed.map(|seed| vec![seed]),
        threads: context.global.threads,
    };
    let experiment = bomf::experiment(&request, &mut context.progress)?;
    for run in &experiment.runs {
        let folder = request.out.join(&run.folder);
        report::write(&folder, &folder.join("report.html"))?;
    }
    let path = request.out.join("report.html");
    let html = bomf_report::render_experiment(&experiment);
    std::fs::write(&path, html).map_err(|source| Failure::Write { path, source })?;
    context.tell(&experiment, |experiment| {
        markdown(experiment).trim_end().to_owned()
    })?;
    match experiment.failed.len() {
        0 => Ok(()),
        failed => Err(Failure::FailedRuns { failed }),
    }
}
