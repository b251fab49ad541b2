//! A WordPiece vocabulary of lower-case English, as BERT's, from a corpus.

use crate::TuneError;
use tokenizers::decoders::wordpiece::WordPiece as WordPieceDecoder;
use tokenizers::models::wordpiece::{WordPiece, WordPieceTrainerBuilder};
use tokenizers::normalizers::bert::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::{AddedToken, Tokenizer, TokenizerBuilder, TokenizerImpl};

/// BERT's special tokens, by their ids.
pub const SPECIAL_TOKENS: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];

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
    let special = SPECIAL_TOKENS.map(|token| AddedToken::from(token, true));
    let mut trainer = WordPieceTrainerBuilder::default()
        .vocab_size(vocab_size)
        .min_frequency(MIN_FREQUENCY)
        .show_progress(false)
        .special_tokens(special.to_vec())
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
    json.parse()
        .map_err(|e: tokenizers::Error| error(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

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
