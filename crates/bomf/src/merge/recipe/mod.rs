//! mergekit's YAML as a recipe that cannot be wrong.
//!
//! The fields are mergekit's (0.1.5), and what they mean is, too. What is not supported is refused
//! by name and line; parameters that the method does not have are passed over with a note, as
//! long as some method knows them.

mod parameters;
mod parse;
#[cfg(test)]
mod tests;
pub(super) mod tokenizer;

pub use tokenizer::{RowSource, TokenRows, Tokenizer, TokenizerSource};

use crate::RecipeError;
use bomf_fuse::MergeRecipe;
use std::path::Path;

/// The chat template of the output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChatTemplate {
    /// That of the tokenizer.
    Kept,
    /// The one that most of the models have.
    Auto,
    /// This one.
    Text(String),
}

/// How the models' units are put into the order of the reference model's before they are fused.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Align {
    /// 0 permutes units; above, they are mixed by optimal transport.
    pub regularisation: f64,
}

/// A recipe file: what is fused, and what lies beside the weights.
#[derive(Debug)]
pub struct MergeFile {
    /// What is fused.
    pub recipe: MergeRecipe,
    /// The tokenizer of the output; `None` is the reference model's, whatever the others' are.
    pub tokenizer: Option<Tokenizer>,
    /// The chat template of the output.
    pub chat_template: ChatTemplate,
    /// Whether, and how, units are aligned.
    pub align: Option<Align>,
    /// The file of each model's statistics, by the model's number, where one is named.
    pub statistics: Vec<Option<String>>,
    /// What was passed over.
    pub notes: Vec<String>,
    /// The text that it was read from.
    pub text: String,
}

impl MergeFile {
    /// Reads a recipe from a file; `seed` is that of random methods.
    ///
    /// # Errors
    /// [`RecipeError::Read`], or what [`MergeFile::from_yaml`] finds.
    pub fn load(path: &Path, seed: u64) -> Result<Self, RecipeError> {
        let text = std::fs::read_to_string(path).map_err(|source| RecipeError::Read {
            path: path.into(),
            source,
        })?;
        Self::from_yaml(&text, &path.display().to_string(), seed)
    }

    /// Parses and validates a recipe; `file` is the name that errors begin with.
    ///
    /// # Errors
    /// The first thing that is wrong, with its line.
    pub fn from_yaml(text: &str, file: &str, seed: u64) -> Result<Self, RecipeError> {
        parse::file(text, file, seed)
    }
}
