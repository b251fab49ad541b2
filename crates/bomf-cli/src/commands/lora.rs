//! `bomf lora`.

use super::Context;
use crate::args::{LoraArgs, LoraCommand, LoraExtractArgs, LoraFuseArgs};
use crate::failure::Failure;
use crate::table::Table;
use bomf::lora::{LoraExtractRequest, LoraFuseRequest, LoraOutcome, Rank, Target};

pub fn command(args: LoraArgs, context: &mut Context<'_>) -> Result<(), Failure> {
    match args.command {
        LoraCommand::Fuse(args) => fuse(args, context),
        LoraCommand::Extract(args) => extract(args, context),
    }
}

fn fuse(args: LoraFuseArgs, context: &mut Context<'_>) -> Result<(), Failure> {
    let request = LoraFuseRequest {
        adapters: args.adapters,
        weights: args.weights,
        target: match (args.into, args.rank, args.energy) {
            (Some(base), ..) => Target::Model(base),
            (None, Some(rank), _) => Target::Adapter(Rank::Fixed(rank)),
            (None, None, Some(energy)) => Target::Adapter(Rank::Energy(energy)),
            (None, None, None) => Target::Adapter(Rank::Exact),
        },
        out: args.target.out,
        threads: context.global.threads,
        overwrite: args.target.overwrite,
    };
    let outcome = bomf::lora::fuse(&request, &mut context.progress)?;
    context.tell(&outcome, text)
}

fn extract(args: LoraExtractArgs, context: &mut Context<'_>) -> Result<(), Failure> {
    let request = LoraExtractRequest {
        base: args.base,
        model: args.model,
        r: args.rank,
        out: args.target.out,
        seed: context.global.seed.unwrap_or(0),
        threads: context.global.threads,
        overwrite: args.target.overwrite,
    };
    let outcome = bomf::lora::extract(&request, &mut context.progress)?;
    context.tell(&outcome, text)
}

fn text(outcome: &LoraOutcome) -> String {
    let out = outcome.out.display();
    if outcome.modules.is_empty() {
        return format!("{} tensors changed\n{out}", outcome.tensors.len());
    }
    let mut table = Table::default();
    table.row(["module", "rank", "of", "norm", "error"]);
    for module in &outcome.modules {
        table.row([
            module.module.clone(),
            module.r.to_string(),
            module.full_rank.to_string(),
            format!("{:.4}", module.norm),
            format!("{:.2} %", 100.0 * module.error),
        ]);
    }
    let whole = match outcome.tensors.len() {
        0 => String::new(),
        n => format!("; {n} tensors stored whole"),
    };
    format!(
        "{table}\n{} modules, {:.2} % of the change lost{whole}\n{out}",
        outcome.modules.len(),
        100.0 * outcome.error,
    )
}
