//! The commands: arguments into a request, the outcome into text or JSON.

mod bench;
mod bo;
mod demo;
mod diff;
mod eval;
mod experiment;
mod export;
mod finetune;
mod fuse;
mod generate;
mod launch;
mod lora;
mod merge;
mod methods;
mod pick;
mod pretrain;
mod report;
mod resume;
mod run;
mod serve;
mod statistics;
mod tune;
mod verify;
mod worker;

use crate::args::{Command, Global, OutputFormat, Source, Target, WorkersArgs};
use crate::failure::Failure;
use crate::output;
use crate::progress::Progress;
use bomf::{Recipe, RunRequest, Workers};
use serde::Serialize;
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

/// What every command is given.
pub struct Context<'a> {
    pub global: &'a Global,
    pub progress: Progress,
}

/// The most workers of either kind: each is a process with a model in memory.
pub const MOST_WORKERS: usize = 1024;

/// The shortest lease: signs of life are given thrice within it, over networks.
pub const SHORTEST_LEASE: Duration = Duration::from_secs(1);

/// The command by which this program starts a worker.
fn worker_command() -> Vec<OsString> {
    let program = std::env::current_exe().map_or_else(|_| "bomf".into(), OsString::from);
    vec![program, "worker".into()]
}

pub fn dispatch(command: Command, context: &mut Context<'_>) -> Result<(), Failure> {
    match command {
        Command::Run(args) => run::command(args, context),
        Command::Demo(args) => demo::command(args, context),
        Command::Resume(args) => resume::command(args, context),
        Command::Worker(args) => worker::command(args, context),
        Command::Launch(args) => launch::command(args, context),
        Command::Tune(args) => tune::command(args, context),
        Command::Finetune(args) => finetune::command(args, context),
        Command::Fuse(args) => fuse::command(args, context),
        Command::Merge(args) => merge::command(args, context),
        Command::Verify(args) => verify::command(args, context),
        Command::Diff(args) => diff::command(args, context),
        Command::Methods(args) => methods::command(args, context),
        Command::Lora(args) => lora::command(args, context),
        Command::Experiment(args) => experiment::command(args, context),
        Command::Eval(args) => eval::command(args, context),
        Command::Generate(args) => generate::command(args, context),
        Command::Statistics(args) => statistics::command(args, context),
        Command::Pick(args) => pick::command(args, context),
        Command::Report(args) => report::command(args, context),
        Command::Serve(args) => serve::command(args, context),
        Command::Export(args) => export::command(args, context),
        Command::Pretrain(args) => pretrain::command(args, context),
        Command::Bench(args) => bench::command(args, context),
        Command::Bo => bo::command(context),
    }
}

impl Context<'_> {
    /// The recipe from its file, or the default one, with the seed of the command
    /// line.
    fn recipe(&self, path: Option<&Path>) -> Result<Recipe, Failure> {
        let mut recipe = match path {
            Some(path) => Recipe::load(path)?,
            None => Recipe::default(),
        };
        if let Some(seed) = self.global.seed {
            recipe.seed = seed;
        }
        Ok(recipe)
    }

    fn run_request(&self, source: Source, target: Target) -> Result<RunRequest, Failure> {
        Ok(RunRequest {
            recipe: self.recipe(source.recipe.as_deref())?,
            model: source.model,
            data: source.data,
            out: target.out,
            threads: self.global.threads,
            overwrite: target.overwrite,
            workers: None,
        })
    }

    /// The workers that were asked for.
    fn workers(&self, args: &WorkersArgs) -> Result<Option<Workers>, Failure> {
        let too_many = args.workers.max(args.remote_workers) > MOST_WORKERS;
        let lease = Duration::try_from_secs_f64(args.lease).ok();
        let lease = lease.filter(|lease| *lease >= SHORTEST_LEASE);
        let (Some(lease), false) = (lease, too_many) else {
            return Err(Failure::Workers);
        };
        let there_are = args.workers + args.remote_workers > 0;
        if args.storage.is_some() && !there_are {
            return Err(Failure::NoWorkers);
        }
        Ok(there_are.then(|| Workers {
            local: args.workers,
            elsewhere: args.remote_workers,
            lease,
            launch: worker_command(),
            storage: args.storage.clone(),
        }))
    }

    /// Prints an outcome in the format that was asked for.
    fn tell<T: Serialize>(
        &self,
        outcome: &T,
        text: impl FnOnce(&T) -> String,
    ) -> Result<(), Failure> {
        match self.global.output_format {
            OutputFormat::Json => output::json(outcome),
            OutputFormat::Text => output::data(&text(outcome)),
        }
    }
}
