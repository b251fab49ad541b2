//! `bomf demo`: model, data and recipe lie in the binary and are unpacked.

use super::{Context, run};
use crate::args::DemoArgs;
use crate::failure::Failure;
use bomf::{Recipe, RunRequest};
use std::path::Path;

/// A file of the demo, from the repository's `assets/demo`.
macro_rules! asset {
    ($name:literal) => {
        include_bytes!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../assets/demo/",
            $name
        ))
    };
}

/// Where each file goes below `input/`, and what is in it.
const FILES: &[(&str, &[u8])] = &[
    ("data/train.jsonl", asset!("train.jsonl")),
    ("data/validation.jsonl", asset!("validation.jsonl")),
    ("data/test.jsonl", asset!("test.jsonl")),
    ("model/config.json", asset!("encoder/config.json")),
    (
        "model/model.safetensors",
        asset!("encoder/model.safetensors"),
    ),
    ("model/tokenizer.json", asset!("encoder/tokenizer.json")),
    (
        "model/tokenizer_config.json",
        asset!("encoder/tokenizer_config.json"),
    ),
    ("recipe.yaml", asset!("recipe.yaml")),
];

pub fn command(args: DemoArgs, context: &mut Context<'_>) -> Result<(), Failure> {
    let mut recipe = Recipe::from_yaml(
        &String::from_utf8_lossy(asset!("recipe.yaml")),
        "the demo's recipe.yaml",
    )?;
    if let Some(seed) = context.global.seed {
        recipe.seed = seed;
    }
    // The claim comes first: nothing is unpacked into a folder that is not ours.
    bomf::claim_output(&args.out, true, &recipe)?;
    let input = args.out.join("input");
    for (name, bytes) in FILES {
        unpack(&input.join(name), bytes)?;
    }
    let request = RunRequest {
        model: input.join("model").display().to_string(),
        data: input.join("data"),
        out: args.out,
        recipe,
        threads: context.global.threads,
        overwrite: true,
        workers: None,
    };
    run::run(&request, context)
}

fn unpack(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let folder = path.parent().unwrap_or(path);
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(path, bytes))
        .map_err(|source| Failure::Write {
            path: path.into(),
            source,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_recipe_is_valid() {
        let text = std::str::from_utf8(asset!("recipe.yaml")).unwrap();
        let recipe = Recipe::from_yaml(text, "recipe.yaml").unwrap();
        assert_eq!(recipe.task.name.as_deref(), Some("demo"));
    }
}
