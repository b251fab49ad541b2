//! What configuration files say of the vocabulary.

use super::Matched;
use serde_json::{Map, Value};

/// What names of fields with a token's number, or several, end with.
const NUMBER: &str = "_token_id";

/// Where a configuration has the number of rows.
const ROWS: &str = "vocab_size";

/// A part of `config.json` that may hold what is not at the top.
const PART: &str = "text_config";

/// Where older tokenizers list what was added to them.
const ADDED: &str = "added_tokens_decoder";

impl Matched {
    /// Sets the number of rows, and the numbers of special tokens that have others now. `null`
    /// for those which the output does not have.
    pub fn set_in_config(&self, config: &mut Map<String, Value>) {
        for (name, value) in config.iter_mut() {
            match value {
                Value::Number(_) if name == ROWS => *value = self.rows().into(),
                Value::Number(_) if name.ends_with(NUMBER) => *value = self.renumbered(value),
                Value::Array(numbers) if name.ends_with(NUMBER) => {
                    numbers.iter_mut().for_each(|n| *n = self.renumbered(n));
                    numbers.retain(|number| !number.is_null());
                }
                Value::Object(part) if name == PART => self.set_in_config(part),
                _ => {}
            }
        }
    }

    fn renumbered(&self, number: &Value) -> Value {
        let known = number.as_u64().and_then(|n| usize::try_from(n).ok());
        let new = known.and_then(|n| self.numbers.get(&n));
        new.map_or(Value::Null, |&number| number.into())
    }

    /// Lists the new tokens where the tokenizer's configuration lists such.
    pub fn set_in_tokenizer_config(&self, config: &mut Map<String, Value>) {
        let Some(Value::Object(listed)) = config.get_mut(ADDED) else {
            return;
        };
        for (number, token) in &self.added {
            // A token is plain fields: this cannot fail.
            let token = serde_json::to_value(token).unwrap_or_default();
            listed.insert(number.to_string(), token);
        }
    }
}
