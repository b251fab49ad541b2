//! What README.md and docs/recipe.md say of recipes, against the code.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests may unwrap as tests do"
)]

use bomf::Recipe;
use std::path::Path;

fn document(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    std::fs::read_to_string(root.join(name)).unwrap()
}

/// The fenced YAML blocks of a document.
fn yaml_blocks(text: &str) -> Vec<&str> {
    let fenced = text.split("```yaml\n").skip(1);
    fenced
        .map(|rest| rest.split_once("```").unwrap().0)
        .collect()
}

/// Names and values of the fields in a recipe as bomf writes it.
fn fields(recipe: &str) -> Vec<(&str, &str)> {
    let lines = recipe.lines().map(|line| line.split(" # ").next().unwrap());
    lines
        .filter_map(|line| line.trim().split_once(':'))
        .map(|(name, value)| (name, value.trim()))
        .collect()
}

#[test]
fn every_recipe_in_the_documents_is_valid() {
    for name in ["README.md", "docs/recipe.md"] {
        let text = document(name);
        let blocks = yaml_blocks(&text);
        assert!(!blocks.is_empty(), "{name} shows no recipe");
        for block in blocks {
            let recipe = Recipe::from_yaml(block, name);
            assert!(
                recipe.is_ok(),
                "{}\nin {name}:\n{block}",
                recipe.unwrap_err()
            );
        }
    }
}

#[test]
fn the_reference_of_the_recipe_has_every_field() {
    let text = document("docs/recipe.md");
    for (name, _) in fields(&Recipe::default().to_yaml()) {
        let is_row = |line: &str| {
            line.starts_with(&format!("| `{name}`"))
                || line.starts_with(&format!("| `columns.{name}`"))
        };
        let is_section = |line: &str| line.starts_with(&format!("## `{name}`"));
        assert!(
            name == "columns" || text.lines().any(|line| is_row(line) || is_section(line)),
            "docs/recipe.md lacks `{name}`"
        );
    }
}

#[test]
fn the_reference_of_the_recipe_has_the_default_of_every_number() {
    let text = document("docs/recipe.md");
    for (name, value) in fields(&Recipe::default().to_yaml()) {
        let Ok(number) = value.parse::<f64>() else {
            continue;
        };
        // `epochs` and `evaluations_per_epoch` stand in two sections, with two defaults.
        let has_it = text
            .lines()
            .filter(|line| line.starts_with(&format!("| `{name}` | ")))
            .filter_map(|line| line.split('|').nth(2))
            .filter_map(|cell| cell.split_whitespace().next())
            .any(|word| word.parse() == Ok(number));
        assert!(has_it, "docs/recipe.md should say that `{name}` is {value}");
    }
}
