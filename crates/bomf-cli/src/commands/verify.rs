//! `bomf verify`.

use super::Context;
use crate::args::VerifyArgs;
use crate::failure::Failure;
use bomf::VerifyRequest;

pub fn command(args: VerifyArgs, context: &mut Context<'_>) -> Result<(), Failure> {
    let request = VerifyRequest {
        folder: args.folder,
        root: args.from,
        threads: context.global.threads,
        max_memory: args.memory.max_memory,
    };
    let found = bomf::verify(&request, &mut context.progress)?;
    context.tell(&found, |found| match found.is_same {
        true => format!(
            "the same, byte for byte: {} tensors, {} files",
            found.tensors, found.files
        ),
        false => found.differences.iter().map(|d| format!("{d}\n")).collect(),
    })?;
    match found.differences.as_slice() {
        [] => Ok(()),
        [first, rest @ ..] => Err(Failure::NotTheSame {
            folder: request.folder,
            what: match rest.len() {
                0 => first.to_string(),
                n => format!("{first}, and {n} more"),
            },
        }),
    }
}
