//! `bomf statistics`.

use super::Context;
use crate::args::{Split, StatisticsArgs, StatisticsKind};
use crate::failure::Failure;
use bomf::{StatisticsOutcome, StatisticsRequest};

pub fn command(args: StatisticsArgs, context: &mut Context<'_>) -> Result<(), Failure> {
    let request = StatisticsRequest {
        recipe: context.recipe(args.source.recipe.as_deref())?,
        model: args.source.model,
        data: args.source.data,
        split: match args.split {
            Split::Train => bomf::Split::Train,
            Split::Validation => bomf::Split::Validation,
            Split::Test => bomf::Split::Test,
        },
        kind: match args.kind {
            StatisticsKind::Fisher => bomf::StatisticsKind::Fisher,
            StatisticsKind::EmpiricalFisher => bomf::StatisticsKind::EmpiricalFisher,
            StatisticsKind::Gram => bomf::StatisticsKind::Gram,
        },
        examples: Some(args.examples).filter(|n| *n > 0),
        out: args.out,
        threads: context.global.threads,
    };
    let outcome = bomf::statistics(&request, &mut context.progress)?;
    context.tell(&outcome, text)
}

fn text(outcome: &StatisticsOutcome) -> String {
    format!(
        "{} of {} tensors over {} examples in {:.1} s\n{}\n",
        outcome.kind,
        outcome.tensors,
        outcome.examples,
        outcome.seconds,
        outcome.out.display()
    )
}
