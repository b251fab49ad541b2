//! `bomf fuse`.

use super::{Context, run};
use crate::args::{Evaluation, FuseArgs};
use crate::failure::Failure;
use crate::lines::Lines;
use bomf::recipe::{CommandLine, ExternalEvaluator};
use bomf::{FuseRequest, Recipe, RecipeError};

pub fn command(args: FuseArgs, context: &mut Context<'_>) -> Result<(), Failure> {
    let mut recipe = context.recipe(args.recipe.as_deref())?;
    evaluation(args.evaluation, &mut recipe)?;
    let request = FuseRequest {
        members: args.members,
        data: args.data,
        out: args.target.out,
        recipe,
        threads: context.global.threads,
        overwrite: args.target.overwrite,
    };
    if args.serve {
        let mut lines = Lines::of_stdin();
        return Ok(bomf::serve(&request, &mut lines, &mut context.progress)?);
    }
    let results = bomf::fuse(&request, &mut context.progress)?;
    run::tell(&request.out, &results, context)
}

/// The recipe's evaluator with what the command line says of it.
fn evaluation(args: Evaluation, recipe: &mut Recipe) -> Result<(), RecipeError> {
    let objectives = ExternalEvaluator::parse_objectives(&args.objective)?;
    let mut evaluator = match (args.evaluator.clone(), recipe.evaluator.take()) {
        (Some(text), own) => {
            let command = CommandLine::new(&text, "--evaluator")?;
            match own {
                Some(own) => ExternalEvaluator { command, ..own },
                None => ExternalEvaluator::new(command, objectives.clone())?,
            }
        }
        (None, Some(own)) => own,
        (None, None) => return without_evaluator(&args),
    };
    evaluator.set_objectives(objectives);
    if let Some(text) = args.report_evaluator {
        evaluator.report_command = Some(CommandLine::new(&text, "--report-evaluator")?);
    }
    if let Some(name) = args.choose_by {
        evaluator.choose_by(&name)?;
    }
    if let Some(seconds) = args.evaluator_timeout {
        evaluator.set_timeout(seconds)?;
    }
    if let Some(retries) = args.evaluator_retries {
        evaluator.retries = retries.into();
    }
    recipe.evaluator = Some(evaluator);
    Ok(())
}

/// Refuses what is said of a program where there is none.
fn without_evaluator(args: &Evaluation) -> Result<(), RecipeError> {
    let given = [
        ("--objective", !args.objective.is_empty()),
        ("--report-evaluator", args.report_evaluator.is_some()),
        ("--choose-by", args.choose_by.is_some()),
        ("--evaluator-timeout", args.evaluator_timeout.is_some()),
        ("--evaluator-retries", args.evaluator_retries.is_some()),
    ];
    match given.into_iter().find(|(_, is_given)| *is_given) {
        None => Ok(()),
        Some((other, _)) => Err(RecipeError::Needed {
            file: String::new(),
            line: 0,
            field: "--evaluator",
            other,
            value: "given".into(),
        }),
    }
}
