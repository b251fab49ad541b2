//! Tokenizers that know more tokens.

use crate::TuneError;
use std::path::Path;
use tokenizers::Tokenizer;

pub use tokenizers::AddedToken;

/// A `tokenizer.json` with further tokens beside those of its model, and the number that each got,
/// in their order; `path` is the file's, for messages.
///
/// # Errors
/// [`TuneError::Tokenizer`] where the file is broken.
pub fn with_added_tokens(
    bytes: &[u8],
    new: &[AddedToken],
    path: &Path,
) -> Result<(Vec<u8>, Vec<usize>), TuneError> {
    let error = |reason: String| TuneError::Tokenizer {
        path: path.into(),
        reason,
    };
    let of_library = |e: tokenizers::Error| error(e.to_string());
    let mut tokenizer = Tokenizer::from_bytes(bytes).map_err(of_library)?;
    tokenizer
        .add_tokens(new.iter().cloned())
        .map_err(of_library)?;
    let number = |token: &AddedToken| {
        let number = tokenizer.token_to_id(&token.content);
        let number = number.ok_or_else(|| error(format!("it takes no `{}`", token.content)))?;
        Ok(number as usize)
    };
    let numbers = new.iter().map(number).collect::<Result<_, TuneError>>()?;
    let mut text = tokenizer.to_string(true).map_err(of_library)?;
    text.push('\n');
    Ok((text.into_bytes(), numbers))
}
