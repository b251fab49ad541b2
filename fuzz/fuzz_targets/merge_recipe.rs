//! A merge recipe: any text is a recipe or a clear error.
#![no_main]

use bomf::merge::recipe::MergeFile;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Err(error) = MergeFile::from_yaml(text, "recipe.yaml", 0) {
        let _ = (error.to_string(), error.hint());
    }
});
