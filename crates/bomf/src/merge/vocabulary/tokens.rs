//! What a `tokenizer.json` holds: tokens, their numbers, and how those beside the model's are
//! found in text.

use crate::Error;
use crate::merge::beside::json;
use crate::merge::recipe::tokenizer::MAX_TOKENS;
use bomf_checkpoint::CheckpointError;
use bomf_tune::tokenize::AddedToken;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// The tokens of a model by their text.
pub(super) struct Vocabulary {
    /// The number of each.
    pub numbers: BTreeMap<String, usize>,
    /// Those which stand beside the model's own, as the file describes them.
    pub added: BTreeMap<String, Value>,
}

impl Vocabulary {
    pub fn read(bytes: &[u8], path: &Path) -> Result<Self, Error> {
        let tokenizer = json(bytes, path)?;
        let mut found = Vocabulary {
            numbers: BTreeMap::new(),
            added: BTreeMap::new(),
        };
        match &tokenizer["model"]["vocab"] {
            Value::Object(vocab) => {
                for (token, number) in vocab {
                    found.insert(token, number, path)?;
                }
            }
            // Of a unigram model: pairs of token and score.
            Value::Array(vocab) => {
                for (number, pair) in vocab.iter().enumerate() {
                    if let Some(token) = pair[0].as_str() {
                        found.numbers.insert(token.to_owned(), number);
                    }
                }
            }
            _ => {}
        }
        for added in tokenizer["added_tokens"].as_array().into_iter().flatten() {
            if let Some(token) = added["content"].as_str() {
                found.insert(token, &added["id"], path)?;
                found.added.insert(token.to_owned(), added.clone());
            }
        }
        Ok(found)
    }

    fn insert(&mut self, token: &str, number: &Value, path: &Path) -> Result<(), Error> {
        let known = number.as_u64().and_then(|n| usize::try_from(n).ok());
        match known.filter(|&number| number < MAX_TOKENS) {
            Some(number) => {
                self.numbers.insert(token.to_owned(), number);
                Ok(())
            }
            None => Err(broken(
                path,
                format!("the number of token `{token}` is {number}"),
            )),
        }
    }

    /// The tokens by their numbers, with `None` for numbers that no token has.
    pub fn in_order(&self) -> Vec<Option<&str>> {
        let count = self.numbers.values().max().map_or(0, |last| last + 1);
        let mut tokens = vec![None; count];
        for (token, &number) in &self.numbers {
            tokens[number] = Some(token.as_str());
        }
        tokens
    }

    /// How a token is to be found in text by a tokenizer that it is added to: as here, or, where
    /// it is one of the model's own, as it stands.
    pub fn as_added(&self, token: &str) -> AddedToken {
        let described = self.added.get(token);
        described
            .and_then(|added| serde_json::from_value(added.clone()).ok())
            .unwrap_or_else(|| AddedToken::from(token, false))
    }
}

fn broken(path: &Path, reason: String) -> Error {
    Error::Checkpoint(CheckpointError::BrokenJson {
        path: path.into(),
        reason,
    })
}
