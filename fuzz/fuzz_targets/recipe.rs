//! A recipe: whatever is accepted reads back as itself.
#![no_main]

use bomf::Recipe;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match Recipe::from_yaml(text, "recipe.yaml") {
        Ok(recipe) => {
            let again = Recipe::from_yaml(&recipe.to_yaml(), "again.yaml");
            assert_eq!(again.expect("what bomf writes is valid"), recipe);
        }
        Err(error) => {
            let _ = (error.to_string(), error.hint());
        }
    }
});
