//! `bomf generate`.

use super::Context;
use crate::args::{GenerateArgs, Split};
use crate::failure::Failure;
use crate::output;
use bomf::{GenerateRequest, Prompts};

pub fn command(args: GenerateArgs, context: &mut Context<'_>) -> Result<(), Failure> {
    let mut recipe = context.recipe(args.recipe.as_deref())?;
    let options = &mut recipe.task.generation.options;
    if let Some(tokens) = args.max_new_tokens {
        options.max_new_tokens = tokens;
    }
    if let Some(beams) = args.beams {
        options.beams = beams;
    }
    let prompts = match args.data {
        Some(dir) => Prompts::Data {
            dir,
            split: match args.split {
                Split::Train => bomf::Split::Train,
                Split::Validation => bomf::Split::Validation,
                Split::Test => bomf::Split::Test,
            },
        },
        None => Prompts::Texts(args.prompts),
    };
    let request = GenerateRequest {
        model: args.model,
        prompts,
        recipe,
        threads: context.global.threads,
    };
    for generated in bomf::generate(&request, &mut context.progress)? {
        output::json_line(&generated)?;
    }
    Ok(())
}
