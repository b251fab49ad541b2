//! `bomf resume`.

use super::{Context, run};
use crate::args::ResumeArgs;
use crate::failure::Failure;
use crate::summary;
use bomf::{ResumeRequest, Resumed};

pub fn command(args: ResumeArgs, context: &mut Context<'_>) -> Result<(), Failure> {
    let unreadable = |source| Failure::Read {
        path: args.out.clone(),
        source,
    };
    let out = std::path::absolute(&args.out).map_err(unreadable)?;
    // The run's relative paths mean what they meant.
    let directory = bomf::resume_directory(&out)?;
    if directory.is_dir() {
        std::env::set_current_dir(&directory).map_err(unreadable)?;
    }
    let request = ResumeRequest {
        out,
        threads: context.global.threads,
        seed: context.global.seed,
        launch: super::worker_command(),
    };
    match bomf::resume(&request, &mut context.progress)? {
        Resumed::Run(results) | Resumed::Fuse(results) => {
            run::tell(&request.out, &results, context)
        }
        Resumed::Tune(stage1) => context.tell(&stage1, summary::stage1),
        Resumed::Finetune(finetune) => context.tell(&finetune, summary::finetune),
        // There are no others.
        _ => Ok(()),
    }
}
