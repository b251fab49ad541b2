//! Texts to token ids, with the model's own `tokenizer.json`.

mod added;
mod template;
mod windows;
mod words;

pub use added::{AddedToken, with_added_tokens};
pub use template::ChatTemplate;

use crate::TuneError;
use crate::batch::{OutputsAt, Sequences};
use std::path::{Path, PathBuf};
use tokenizers::{EncodeInput, Encoding, PostProcessor, Tokenizer, TruncationParams};

/// A model's tokenizer, set to a greatest length.
#[derive(Debug)]
pub struct TextTokenizer {
    path: PathBuf,
    inner: Tokenizer,
    segments: usize,
    vocab_size: usize,
    max_length: usize,
    /// The most tokens that the model can read.
    positions: usize,
    outputs_at: OutputsAt,
    /// The tokens that end a text, those that the configuration names.
    ends: Vec<u32>,
    /// The token that the decoder of an encoder-decoder begins with.
    start: Option<u32>,
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
            max_length,
            outputs_at: config.outputs_at(),
            positions: config.max_length(),
            ends: end_tokens(config),
            start: config.encoder_decoder.as_ref().map(|pair| pair.start),
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
        let mut sequences = Sequences::new(self.outputs_at);
        for encoding in &encodings {
            self.push(&mut sequences, encoding, None)?;
        }
        self.checked(sequences)
    }

    /// Tokenises texts for a causal language model: `(text, None)`, of which every token
    /// behind the first is to be predicted, or `(prompt, Some(completion))`, of which the
    /// completion's are. The model's special tokens stand around the first text as its
    /// tokenizer puts them, the end-of-text token behind the last.
    ///
    /// What is too long loses the beginning of its prompt, and only then the end of its
    /// completion, so that the answer is always there to be learnt.
    ///
    /// # Errors
    /// As [`encode`](Self::encode); and where an example has no token to be predicted.
    pub fn encode_completions<'a>(
        &self,
        texts: impl Iterator<Item = (&'a str, Option<&'a str>)>,
    ) -> Result<Sequences, TuneError> {
        let (firsts, seconds): (Vec<&str>, Vec<Option<&str>>) = texts.unzip();
        let heads = self.whole(firsts, true)?;
        let completions = seconds.iter().map(|s| s.unwrap_or_default()).collect();
        let tails = self.whole(completions, false)?;
        let mut sequences = Sequences::new(OutputsAt::Targets);
        for ((mut ids, mut completion), second) in heads.into_iter().zip(tails).zip(&seconds) {
            match (second, self.end()) {
                (Some(_), end) => completion.extend(end),
                // A tokenizer that ends texts itself needs no second end.
                (None, Some(end)) if ids.last() != Some(&end) => ids.push(end),
                (None, _) => {}
            }
            if second.is_none() {
                completion = ids.split_off(ids.len().min(1));
            }
            self.push_completion(&mut sequences, ids, completion)?;
        }
        self.checked(sequences)
    }

    /// Tokenises prompts and completions that a template wrote, special tokens and all; what is
    /// too long is cut as [`encode_completions`](Self::encode_completions) cuts it.
    ///
    /// # Errors
    /// As [`encode_completions`](Self::encode_completions).
    pub fn encode_turns<'a>(
        &self,
        turns: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Result<Sequences, TuneError> {
        let (prompts, completions): (Vec<&str>, Vec<&str>) = turns.unzip();
        let prompts = self.whole(prompts, false)?;
        let completions = self.whole(completions, false)?;
        let mut sequences = Sequences::new(OutputsAt::Targets);
        for (prompt, completion) in prompts.into_iter().zip(completions) {
            self.push_completion(&mut sequences, prompt, completion)?;
        }
        self.checked(sequences)
    }

    fn push_completion(
        &self,
        sequences: &mut Sequences,
        mut ids: Vec<u32>,
        mut completion: Vec<u32>,
    ) -> Result<(), TuneError> {
        completion.truncate(self.max_length.saturating_sub(1));
        let kept = self.max_length - completion.len();
        let cut = ids.len().saturating_sub(kept);
        ids.drain(..cut);
        if ids.is_empty() || completion.is_empty() {
            let reason = "an example has no token to be predicted, or none before it";
            return Err(self.error(reason.into()));
        }
        ids.extend_from_slice(&completion);
        sequences.push_completion(&ids, completion.len());
        Ok(())
    }

    /// The tokens of whole texts, of any length.
    fn whole(&self, texts: Vec<&str>, adds_special: bool) -> Result<Vec<Vec<u32>>, TuneError> {
        let error = |e: tokenizers::Error| self.error(e.to_string());
        let mut whole = self.inner.clone();
        whole.with_truncation(None).map_err(error)?;
        let encodings = whole
            .encode_batch_fast(texts, adds_special)
            .map_err(error)?;
        Ok(encodings.iter().map(|e| e.get_ids().to_vec()).collect())
    }

    /// Tokenises prompts for generation as [`encode_completions`](Self::encode_completions)
    /// does, with room for `new_tokens` behind them; what is too long loses its beginning.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn encode_prompts<'a>(
        &self,
        prompts: impl Iterator<Item = &'a str>,
        new_tokens: usize,
    ) -> Result<Sequences, TuneError> {
        self.prompts(prompts.collect(), new_tokens, true)
    }

    /// As [`encode_prompts`](Self::encode_prompts), for prompts that a template wrote, special
    /// tokens and all.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn encode_turn_prompts<'a>(
        &self,
        prompts: impl Iterator<Item = &'a str>,
        new_tokens: usize,
    ) -> Result<Sequences, TuneError> {
        self.prompts(prompts.collect(), new_tokens, false)
    }

    fn prompts(
        &self,
        prompts: Vec<&str>,
        new_tokens: usize,
        adds_special: bool,
    ) -> Result<Sequences, TuneError> {
        let room = self.positions.saturating_sub(new_tokens).max(1);
        let most = room.min(self.max_length.saturating_sub(1).max(1));
        let mut sequences = Sequences::new(OutputsAt::Last);
        for ids in self.whole(prompts, adds_special)? {
            if ids.is_empty() {
                return Err(self.error("a prompt gives no tokens at all".into()));
            }
            let ids = &ids[ids.len().saturating_sub(most)..];
            sequences.push(ids, &vec![0; ids.len()]);
        }
        self.checked(sequences)
    }

    /// Tokenises sources and targets for an encoder-decoder: the source, the token that the
    /// decoder begins with, and the target, whose tokens are to be predicted. Both are as the
    /// tokenizer puts them, and end with the token that ends texts; the ends of what is too
    /// long are cut off.
    ///
    /// # Errors
    /// As [`encode`](Self::encode), and where the model has no token to begin with.
    pub fn encode_pairs<'a>(
        &self,
        pairs: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Result<Sequences, TuneError> {
        let (sources, targets): (Vec<&str>, Vec<&str>) = pairs.unzip();
        let sources = self.encode_sources(sources.into_iter())?;
        let error = |e: tokenizers::Error| self.error(e.to_string());
        let targets = self.inner.encode_batch_fast(targets, true).map_err(error)?;
        let mut sequences = Sequences::new(OutputsAt::Targets);
        for (i, target) in targets.iter().enumerate() {
            let target = self.ended(target.get_ids());
            if target.is_empty() {
                return Err(self.error("a target gives no tokens at all".into()));
            }
            let ids = [sources.ids(i), &target].concat();
            sequences.push_completion(&ids, target.len());
        }
        self.checked(sequences)
    }

    /// Tokenises sources for generation, as [`encode_pairs`](Self::encode_pairs) does, with
    /// the token that the decoder begins with.
    ///
    /// # Errors
    /// As [`encode_pairs`](Self::encode_pairs).
    pub fn encode_sources<'a>(
        &self,
        sources: impl Iterator<Item = &'a str>,
    ) -> Result<Sequences, TuneError> {
        let Some(start) = self.start else {
            return Err(self.error("the model is no encoder-decoder".into()));
        };
        let error = |e: tokenizers::Error| self.error(e.to_string());
        let sources: Vec<&str> = sources.collect();
        let encodings = self.inner.encode_batch_fast(sources, true).map_err(error)?;
        let mut sequences = Sequences::new(OutputsAt::Last);
        for encoding in &encodings {
            let mut ids = self.ended(encoding.get_ids());
            if ids.is_empty() {
                return Err(self.error("a source gives no tokens at all".into()));
            }
            ids.push(start);
            sequences.push(&ids, &vec![0; ids.len()]);
        }
        self.checked(sequences)
    }

    /// Tokens that end with the one that ends texts, at most as many as may be.
    fn ended(&self, ids: &[u32]) -> Vec<u32> {
        let mut ids = ids.to_vec();
        if let Some(end) = self.end()
            && ids.last() != Some(&end)
        {
            ids.truncate(self.max_length - 1);
            ids.push(end);
        }
        ids
    }

    /// The text of tokens, without special ones.
    ///
    /// # Errors
    /// Where the tokenizer fails.
    pub fn decode(&self, ids: &[u32]) -> Result<String, TuneError> {
        // The token that ends a text need not be a special one to the tokenizer.
        let ids = match ids {
            [rest @ .., last] if self.ends.contains(last) => rest,
            all => all,
        };
        let text = self.inner.decode(ids, true);
        text.map_err(|e| self.error(e.to_string()))
    }

    /// The tokens that end a text.
    pub fn ends(&self) -> &[u32] {
        &self.ends
    }

    fn end(&self) -> Option<u32> {
        self.ends.first().copied()
    }

    /// Appends one encoding, with outputs at `places` where they are given.
    fn push(
        &self,
        sequences: &mut Sequences,
        encoding: &Encoding,
        places: Option<&[u32]>,
    ) -> Result<(), TuneError> {
        if encoding.get_ids().is_empty() {
            return Err(self.error("an example gives no tokens at all".into()));
        }
        let mut types = vec![0; encoding.len()];
        if self.segments > 1 {
            types.copy_from_slice(encoding.get_type_ids());
            if let Some(&segment) = types.iter().find(|t| **t as usize >= self.segments) {
                let count = self.segments;
                return Err(self.error(format!(
                    "gives segment {segment}, but the model has {count}, counted from 0"
                )));
            }
        }
        match places {
            Some(places) => sequences.push_at(encoding.get_ids(), &types, places),
            None => sequences.push(encoding.get_ids(), &types),
        }
        Ok(())
    }

    /// The sequences, where the model has an embedding for each token.
    fn checked(&self, sequences: Sequences) -> Result<Sequences, TuneError> {
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

/// `eos_token_id` of a configuration, one or several.
fn end_tokens(config: &crate::models::Config) -> Vec<u32> {
    let Some(value) = config.raw.get("eos_token_id") else {
        return Vec::new();
    };
    let ids = value
        .as_array()
        .map_or(std::slice::from_ref(value), Vec::as_slice);
    ids.iter()
        .filter_map(|id| id.as_u64().and_then(|id| u32::try_from(id).ok()))
        .collect()
}

/// The nearest place at or before `byte` at which a character begins.
pub(crate) fn byte_floor(text: &str, byte: usize) -> usize {
    let mut byte = byte.min(text.len());
    while !text.is_char_boundary(byte) {
        byte -= 1;
    }
    byte
}
