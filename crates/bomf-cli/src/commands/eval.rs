//! `bomf eval`.

use super::Context;
use crate::args::{EvalArgs, Split};
use crate::failure::Failure;
use crate::summary;
use bomf::EvalRequest;

pub fn command(args: EvalArgs, context: &mut Context<'_>) -> Result<(), Failure> {
    let request = EvalRequest {
        recipe: context.recipe(args.source.recipe.as_deref())?,
        model: args.source.model,
        data: args.source.data,
        split: match args.split {
            Split::Train => bomf::Split::Train,
            Split::Validation => bomf::Split::Validation,
            Split::Test => bomf::Split::Test,
        },
        predictions: args.predictions,
        threads: context.global.threads,
    };
    let scores = bomf::eval(&request, &mut context.progress)?;
    context.tell(&scores, summary::scores)
}
