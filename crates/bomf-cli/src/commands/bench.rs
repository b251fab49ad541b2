//! `bomf bench`.

use super::Context;
use crate::args::{BenchArgs, BenchMode};
use crate::failure::Failure;
use bomf::BenchRequest;

pub fn command(args: BenchArgs, context: &mut Context<'_>) -> Result<(), Failure> {
    let request = BenchRequest {
        model: args.model,
        data: args.data,
        mode: match args.mode {
            BenchMode::Train => bomf::BenchMode::Train,
            BenchMode::Eval => bomf::BenchMode::Eval,
        },
        batch_size: args.batch_size,
        limit: args.limit,
        recipe: context.recipe(args.recipe.as_deref())?,
        threads: context.global.threads,
    };
    let outcome = bomf::bench(&request, &mut context.progress)?;
    context.tell(&outcome, |outcome| {
        format!(
            "{:.1} samples/s ({} samples in {:.2} s), peak_rss_mb {:.0}",
            outcome.samples_per_second, outcome.samples, outcome.seconds, outcome.peak_rss_mb
        )
    })
}
