//! Texts to token ids, with the model's own `tokenizer.json`.

use crate::TuneError;
use crate::batch::Sequences;
use std::path::{Path, PathBuf};
use tokenizers::{EncodeInput, PostProcessor, Tokenizer, TruncationParams};

/// A model's tokenizer, set to a greatest length.
#[derive(Debug)]
pub struct TextTokenizer {
    path: PathBuf,
    inner: Tokenizer,
    segments: usize,
    vocab_size: usize,
}

impl TextTokenizer {
    /// Reads `tokenizer.json` in `dir` for a model of this configuration; longer
    /// texts are cut to `max_length` tokens, the longer of a pair first.
    ///
    /// # Errors
    /// Where the file is missing or broken, or its special tokens alone are too many.
    pub fn load(
        dir: &Path,
        config: &crate::models::Config,
        max_length: usize,
    ) -> Result<Self, TuneError> {
        let path = dir.join("tokenizer.json");
        if !path.is_file() {
            let source = std::io::Error::from(std::io::ErrorKind::NotFound);
            return Err(TuneError::Read { path, source });
        }
        let error = |e: tokenizers::Error| TuneError::Tokenizer {
            path: path.clone(),
            reason: e.to_string(),
        };
        let mut inner = Tokenizer::from_file(&path).map_err(error)?;
        let max_length = max_length.min(config.max_length());
        // The tokenizers library takes this for granted.
        let special = inner
            .get_post_processor()
            .map_or(0, |p| p.added_tokens(true));
        if max_length < special.max(1) {
            let reason = format!(
                "a pair has {special} special tokens, more than the greatest length {max_length}"
            );
            return Err(TuneError::Tokenizer { path, reason });
        }
        let truncation = TruncationParams {
            max_length,
            ..TruncationParams::default()
        };
        inner.with_truncation(Some(truncation)).map_err(error)?;
        inner.with_padding(None);
        Ok(TextTokenizer {
            inner,
            segments: config.type_vocab_size,
            vocab_size: config.vocab_size,
            path,
        })
    }

    /// Tokenises texts and pairs, with the special tokens of the model, on all threads.
    ///
    /// # Errors
    /// Where the tokenizer fails, or gives an id that the model does not know.
    pub fn encode<'a>(
        &self,
        texts: impl Iterator<Item = (&'a str, Option<&'a str>)>,
    ) -> Result<Sequences, TuneError> {
        let inputs: Vec<EncodeInput<'a>> = texts
            .map(|(text, pair)| match pair {
                Some(pair) => EncodeInput::Dual(text.into(), pair.into()),
                None => EncodeInput::Single(text.into()),
            })
            .collect();
        let encodings = self
            .inner
            .encode_batch_fast(inputs, true)
            .map_err(|e| self.error(e.to_string()))?;
        let mut sequences = Sequences::default();
        for encoding in &encodings {
            if encoding.get_ids().is_empty() {
                return Err(self.error("an example gives no tokens at all".into()));
            }
            if self.segments > 1 {
                let types = encoding.get_type_ids();
                if let Some(&segment) = types.iter().find(|t| **t as usize >= self.segments) {
                    let count = self.segments;
                    return Err(self.error(format!(
                        "gives segment {segment}, but the model has {count}, counted from 0"
                    )));
                }
                sequences.push(encoding.get_ids(), types);
            } else {
                sequences.push(encoding.get_ids(), &vec![0; encoding.len()]);
            }
        }
        match sequences.max_id() {
            Some(id) if id as usize >= self.vocab_size => Err(TuneError::Vocabulary {
                id,
                vocab_size: self.vocab_size,
            }),
            _ => Ok(sequences),
        }
    }

    fn error(&self, reason: String) -> TuneError {
        TuneError::Tokenizer {
            path: self.path.clone(),
            reason,
        }
    }
}
