//! The files beside the weights that make a folder a usable model.

use std::fs;
use std::path::Path;

use crate::error::{CheckpointError, Result};

/// Files that are carried along as they are, wherever they exist.
const NAMES: [&str; 16] = [
    "config.json",
    "generation_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "spiece.model",
    "tokenizer.model",
    "sentencepiece.bpe.model",
    "chat_template.jinja",
    "chat_template.json",
    "LICENSE",
    "LICENSE.txt",
    "LICENSE.md",
    "NOTICE",
];

/// The sidecar files in `dir`, sorted by name: configuration, tokenizer, vocabulary, licence.
///
/// # Errors
/// I/O errors.
pub fn sidecar_names(dir: &Path) -> Result<Vec<String>> {
    let failed = |e| CheckpointError::io("list", dir, e);
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        // `is_file` follows symbolic links: the hub's cache consists of them.
        if is_sidecar(&name) && entry.path().is_file() {
            found.push(name);
        }
    }
    found.sort();
    Ok(found)
}

fn is_sidecar(name: &str) -> bool {
    NAMES.contains(&name) || (name.starts_with("tokenizer") && name.ends_with(".json"))
}
