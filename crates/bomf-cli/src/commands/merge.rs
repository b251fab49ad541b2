//! `bomf merge`.

use super::Context;
use crate::args::MergeArgs;
use crate::failure::Failure;
use crate::table::size;
use bomf::{MergeOutcome, MergeRequest, Observer};
use std::path::PathBuf;

pub fn command(args: MergeArgs, context: &mut Context<'_>) -> Result<(), Failure> {
    let request = MergeRequest {
        recipe: args.recipe,
        out: args.out,
        seed: context.global.seed.unwrap_or(0),
        threads: context.global.threads,
        overwrite: args.overwrite,
        max_memory: args.memory.max_memory,
        max_shard_bytes: args.max_shard_size,
        hash: !args.no_hash,
        digest_cache: digest_cache(),
    };
    let outcome = bomf::merge(&request, &mut context.progress)?;
    for (tensor, count) in &outcome.not_finite {
        let note = format!("tensor `{tensor}` has {count} values that are not finite");
        context.progress.note(&note);
    }
    context.tell(&outcome, text)
}

/// In the cache folder of the user, where there is one.
fn digest_cache() -> Option<PathBuf> {
    let set = std::env::var_os("XDG_CACHE_HOME").filter(|folder| !folder.is_empty());
    let folder = match set {
        Some(folder) => PathBuf::from(folder),
        None => std::env::home_dir()?.join(".cache"),
    };
    Some(folder.join("bomf").join("digests.json"))
}

fn text(outcome: &MergeOutcome) -> String {
    let models = if outcome.models == 1 {
        "model"
    } else {
        "models"
    };
    format!(
        "{} of {} {models}: {} tensors, {} parameters, {} in {:.1} s\n{}",
        outcome.method,
        outcome.models,
        outcome.tensors,
        outcome.parameters,
        size(outcome.bytes),
        outcome.seconds,
        outcome.out.display()
    )
}
