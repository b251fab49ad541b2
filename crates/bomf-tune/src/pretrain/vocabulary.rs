//! A WordPiece vocabulary of lower-case English, as BERT's, from a corpus.

use crate::TuneError;
use serde_json::Value;
use std::collections::BTreeSet;
use tokenizers::decoders::wordpiece::WordPiece as WordPieceDecoder;
use tokenizers::models::wordpiece::{WordPiece, WordPieceTrainerBuilder};
use tokenizers::normalizers::bert::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::{
    AddedToken, Normalizer, OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer,
    Tokenizer, TokenizerBuilder, TokenizerImpl,
};

/// BERT's special tokens, by their ids.
pub const SPECIAL_TOKENS: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];

/// What a piece begins with that words go on with.
const PREFIX: &str = "##";

/// A piece must occur so often.
const MIN_FREQUENCY: u64 = 2;

/// Trains a tokenizer of at most `vocab_size` entries on `lines`.
///
/// # Errors
/// [`TuneError::Tokenizer`] with what the tokenizers library says.
pub fn train_tokenizer(lines: &[String], vocab_size: usize) -> Result<Tokenizer, TuneError> {
    let error = |reason: String| TuneError::Tokenizer {
        path: "tokenizer.json".into(),
        reason,
    };
    // Named beforehand, letters and the pieces that words go on with have their numbers from here.
    // The trainer would number the latter as it meets the words of a hash table, and breaks ties
    // by these numbers.
    let letters = letters(lines).map_err(|e| error(e.to_string()))?;
    let special = SPECIAL_TOKENS.map(|token| AddedToken::from(token, true));
    let letters = letters
        .iter()
        .map(|letter| AddedToken::from(letter.as_str(), true));
    let mut trainer = WordPieceTrainerBuilder::default()
        .vocab_size(vocab_size)
        .min_frequency(MIN_FREQUENCY)
        .show_progress(false)
        .special_tokens(special.into_iter().chain(letters).collect())
        .build();
    let model = WordPiece::builder()
        .unk_token("[UNK]".into())
        .build()
        .map_err(|e| error(e.to_string()))?;
    let ids = [("[CLS]", 2), ("[SEP]", 3)];
    let template = TemplateProcessing::builder()
        .try_single("[CLS] $A [SEP]")
        .map_err(error)?
        .try_pair("[CLS] $A [SEP] $B:1 [SEP]:1")
        .map_err(error)?
        .special_tokens(ids.to_vec())
        .build()
        .map_err(|e| error(e.to_string()))?;
    let mut tokenizer: TokenizerImpl<_, _, _, _, _> = TokenizerBuilder::new()
        .with_model(model)
        .with_normalizer(Some(BertNormalizer::default()))
        .with_pre_tokenizer(Some(BertPreTokenizer))
        .with_post_processor(Some(template))
        .with_decoder(Some(WordPieceDecoder::default()))
        .build()
        .map_err(|e| error(e.to_string()))?;
    tokenizer
        .train(&mut trainer, lines.iter().map(String::as_str))
        .map_err(|e| error(e.to_string()))?;
    let json = tokenizer
        .to_string(true)
        .map_err(|e| error(e.to_string()))?;
    // They are pieces like any others.
    let mut json: Value = serde_json::from_str(&json).map_err(|e| error(e.to_string()))?;
    if let Some(added) = json["added_tokens"].as_array_mut() {
        let is_special = |token: &Value| SPECIAL_TOKENS.iter().any(|s| token["content"] == **s);
        added.retain(is_special);
    }
    json.to_string()
        .parse()
        .map_err(|e: tokenizers::Error| error(e.to_string()))
}

/// The letters of all words, and then those that stand behind the first of one, each with what such
/// a piece begins with.
fn letters(lines: &[String]) -> tokenizers::Result<Vec<String>> {
    let (mut all, mut behind) = (BTreeSet::new(), BTreeSet::new());
    for line in lines {
        let mut text = PreTokenizedString::from(line.as_str());
        text.normalize(|part| BertNormalizer::default().normalize(part))?;
        BertPreTokenizer.pre_tokenize(&mut text)?;
        for (word, _, _) in text.get_splits(OffsetReferential::Normalized, OffsetType::None) {
            all.extend(word.chars());
            behind.extend(word.chars().skip(1));
        }
    }
    let behind = behind.iter().map(|letter| format!("{PREFIX}{letter}"));
    Ok(all.iter().map(char::to_string).chain(behind).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_text_trains_the_same_tokenizer() {
        let word = |i: usize| format!("w{}{}", i * i % 97, ["ab", "cde", "äf"][i % 3]);
        let lines: Vec<String> = (0..300).map(|i| [word(i), word(i + 7)].join(" ")).collect();
        let first = train_tokenizer(&lines, 120).unwrap();
        let text = first.to_string(true).unwrap();
        for _ in 0..5 {
            let again = train_tokenizer(&lines, 120).unwrap();
            assert_eq!(again.to_string(true).unwrap(), text);
        }
        assert_eq!(first.get_added_vocabulary().len(), SPECIAL_TOKENS.len());
        // What cannot be put together is not known: every piece is one of the text's.
        let known = first.encode("w3cde w9ab", false).unwrap();
        assert!(!known.get_tokens().contains(&"[UNK]".to_string()));
    }

    #[test]
    fn a_trained_tokenizer_frames_a_pair_as_bert_does() {
        let lines = vec!["the old man and the sea".to_string(); 20];
        let tokenizer = train_tokenizer(&lines, 60).unwrap();
        for (id, token) in SPECIAL_TOKENS.iter().enumerate() {
            assert_eq!(tokenizer.token_to_id(token), Some(id as u32));
        }
        let pair = tokenizer.encode(("The sea", "the man"), true).unwrap();
        let [ids, types] = [pair.get_ids(), pair.get_type_ids()];
        assert_eq!((ids[0], ids[ids.len() - 1]), (2, 3));
        assert_eq!(ids.iter().filter(|&&id| id == 3).count(), 2);
        assert_eq!((types[0], types[types.len() - 1]), (0, 1));
        assert_eq!(tokenizer.decode(ids, true).unwrap(), "the sea the man");
    }
}
