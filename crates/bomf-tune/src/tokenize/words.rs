//! Words that are parted already, and choices: inputs of token classification and of multiple
//! choice.

use super::TextTokenizer;
use crate::TuneError;
use crate::batch::{OutputsAt, Sequences};
use crate::data::{Example, Tags};
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::{EncodeInput, InputSequence};

/// Examples whose encodings lie in memory at a time.
const CHUNK: usize = 256;

impl TextTokenizer {
    /// Tokenises words (`parts`); a word's tag is asked at its first token. Words beyond the
    /// greatest length, or without a token, are left out with their tags.
    ///
    /// # Errors
    /// As [`encode`](Self::encode); and where an example has no word left.
    pub fn encode_words(
        &self,
        examples: &[Example],
        tags: &Tags,
    ) -> Result<(Sequences, Tags), TuneError> {
        let mut tokenizer = self.inner.clone();
        if let Some(PreTokenizerWrapper::ByteLevel(own)) = tokenizer.get_pre_tokenizer() {
            // Each word stands behind a space, as within a text.
            let spaced = own.add_prefix_space(true);
            tokenizer.with_pre_tokenizer(Some(spaced));
        }
        let mut sequences = Sequences::new(OutputsAt::Places);
        let mut kept = Tags {
            ids: Vec::new(),
            counts: Vec::new(),
            names: tags.names.clone(),
        };
        let mut of_examples = tags.examples();
        for examples in examples.chunks(CHUNK) {
            let inputs: Vec<EncodeInput<'_>> = examples
                .iter()
                .map(|e| EncodeInput::Single(InputSequence::from(&e.parts[..])))
                .collect();
            let encodings = tokenizer.encode_batch(inputs, true);
            let encodings = encodings.map_err(|e| self.error(e.to_string()))?;
            for (encoding, tags) in encodings.iter().zip(&mut of_examples) {
                let (mut places, mut last) = (Vec::new(), None);
                for (place, word) in encoding.get_word_ids().iter().enumerate() {
                    if let Some(word) = word.filter(|_| *word != last) {
                        places.push(place as u32);
                        kept.ids.push(tags[word as usize]);
                    }
                    last = *word;
                }
                if places.is_empty() {
                    return Err(self.error("an example has no word with a token".into()));
                }
                kept.counts.push(places.len() as u32);
                self.push(&mut sequences, encoding, Some(&places))?;
            }
        }
        Ok((self.checked(sequences)?, kept))
    }

    /// Tokenises examples with `choices` choices each (`parts`): as many sequences, of the text
    /// and a choice, before which the second text stands where there is one.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn encode_choices(
        &self,
        examples: &[Example],
        choices: usize,
    ) -> Result<Sequences, TuneError> {
        let mut sequences = Sequences::in_parts(self.outputs_at, choices);
        for examples in examples.chunks(CHUNK) {
            let inputs: Vec<EncodeInput<'_>> = examples
                .iter()
                .flat_map(|e| {
                    let second = e.text_pair.as_deref().unwrap_or_default();
                    e.parts.iter().map(move |choice| {
                        let choice = match second {
                            "" => choice.clone(),
                            second => format!("{second} {choice}"),
                        };
                        EncodeInput::Dual(e.text.as_str().into(), choice.into())
                    })
                })
                .collect();
            let encodings = self.inner.encode_batch_fast(inputs, true);
            for encoding in &encodings.map_err(|e| self.error(e.to_string()))? {
                self.push(&mut sequences, encoding, None)?;
            }
        }
        self.checked(sequences)
    }
}
