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

use crate::args::{Command, Global, OutputFormat, Source, Target};
use crate::failure::Failure;
use crate::output;
use crate::progress::Progress;
use bomf::{Recipe, RunRequest};
use serde::Serialize;
use std::path::Path;

/// What every command is given.
pub struct Context<'a> {
    pub global: &'a Global,
    pub progress: Progress,
}

pub fn dispatch(command: Command, context: &mut Context<'_>) -> Result<(), Failure> {
    match command {
        Command::Run(args) => run::command(args, context),
        Command::Demo(args) => demo::command(args, context),
        Command::Resume(args) => resume::command(args, context),
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
        })
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
