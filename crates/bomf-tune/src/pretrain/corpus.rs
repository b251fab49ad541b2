//! Text for pre-training: lines of files, packed into sequences of full length.

use crate::TuneError;
use crate::batch::Sequences;
use std::path::Path;
use tokenizers::Tokenizer;

/// The lines of a text file, or the `text` fields of a `.jsonl` file; blank ones
/// are left out.
///
/// # Errors
/// Where the file cannot be read, is not UTF-8, or a row has no `text`.
pub fn read_lines(path: &Path) -> Result<Vec<String>, TuneError> {
    let text = std::fs::read_to_string(path).map_err(|source| TuneError::Read {
        path: path.into(),
        source,
    })?;
    let json = path
        .extension()
        .is_some_and(|e| e == "jsonl" || e == "json");
    let mut lines = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let line = if json {
            let row: Option<serde_json::Value> = serde_json::from_str(line).ok();
            row.and_then(|row| row["text"].as_str().map(String::from))
                .ok_or_else(|| TuneError::Corpus {
                    path: path.into(),
                    line: number + 1,
                    reason: "is no JSON object with a `text`".into(),
                })?
        } else {
            line.to_string()
        };
        lines.push(line);
    }
    Ok(lines)
}

/// Token sequences of one length (but for the last), `[CLS] … [SEP]`.
#[derive(Debug)]
pub struct Corpus {
    pub(super) sequences: Sequences,
    pub(super) vocab_size: u32,
    pub(super) mask_id: u32,
}

impl Corpus {
    /// Tokenises `lines` and packs neighbours into sequences of `max_length` tokens.
    ///
    /// # Errors
    /// Where the tokenizer lacks a special token or fails.
    pub fn pack(
        tokenizer: &Tokenizer,
        lines: &[String],
        max_length: usize,
    ) -> Result<Self, TuneError> {
        let error = |reason: String| TuneError::Tokenizer {
            path: "tokenizer.json".into(),
            reason,
        };
        let special = |name: &str| {
            tokenizer
                .token_to_id(name)
                .ok_or_else(|| error(format!("has no {name} token")))
        };
        let (cls, sep, mask_id) = (special("[CLS]")?, special("[SEP]")?, special("[MASK]")?);
        let inputs: Vec<&str> = lines.iter().map(String::as_str).collect();
        let encodings = tokenizer
            .encode_batch_fast(inputs, false)
            .map_err(|e| error(e.to_string()))?;
        let room = max_length.saturating_sub(2).max(1);
        let tokens: Vec<u32> = encodings
            .iter()
            .flat_map(|e| e.get_ids())
            .copied()
            .collect();
        let mut sequences = Sequences::default();
        for piece in tokens.chunks(room) {
            let ids: Vec<u32> = [&[cls], piece, &[sep]].concat();
            sequences.push(&ids, &vec![0; ids.len()]);
        }
        let vocab_size = tokenizer.get_vocab_size(true) as u32;
        Ok(Corpus {
            sequences,
            vocab_size,
            mask_id,
        })
    }

    /// How many sequences there are.
    pub fn len(&self) -> usize {
        self.sequences.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.sequences.is_empty()
    }

    /// Tokens of all sequences together.
    pub fn num_tokens(&self) -> usize {
        self.sequences.num_tokens()
    }
}
