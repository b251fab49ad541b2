//! Questions and the texts with their answers: windows of a sequence's length over each text,
//! which overlap by a stride, so that no answer is cut by every one of them.

use super::{TextTokenizer, byte_floor};
use crate::TuneError;
use crate::batch::{OutputsAt, Sequences};
use crate::data::{AnswerRules, Answers, Example, Window};
use rayon::prelude::*;
use std::ops::Range;
use std::sync::Arc;
use tokenizers::utils::truncation::{TruncationDirection, TruncationStrategy};
use tokenizers::{Encoding, PostProcessor, TruncationParams};

/// Questions whose encodings lie in memory at a time.
const CHUNK: usize = 256;

impl TextTokenizer {
    /// Tokenises questions (`text`) with their texts (`text_pair`). A text that does not fit is
    /// cut into windows that overlap by `doc_stride` tokens; a question that leaves no room for
    /// them loses its end. The outcome has one sequence a window.
    ///
    /// # Errors
    /// As [`encode`](Self::encode); and where the greatest length leaves no room beside the
    /// stride.
    pub fn encode_questions(
        &self,
        examples: &[Example],
        answers: &Answers,
        doc_stride: usize,
        rules: AnswerRules,
    ) -> Result<(Sequences, Answers), TuneError> {
        let error = |e: tokenizers::Error| self.error(e.to_string());
        let mut whole = self.inner.clone();
        whole.with_truncation(None).map_err(error)?;
        let mut windowed = whole.clone();
        let truncation = TruncationParams {
            max_length: self.max_length,
            stride: doc_stride,
            strategy: TruncationStrategy::OnlySecond,
            direction: TruncationDirection::Right,
        };
        windowed.with_truncation(Some(truncation)).map_err(error)?;
        let special = whole
            .get_post_processor()
            .map_or(0, |p| p.added_tokens(true));
        // A window must be longer than the stride.
        let room = self.max_length.saturating_sub(special + doc_stride + 1);
        if room == 0 {
            return Err(self.error(format!(
                "a greatest length of {} tokens leaves no room for a question beside {special} \
                 special tokens and a stride of {doc_stride}",
                self.max_length
            )));
        }
        let mut sequences = Sequences::new(OutputsAt::All);
        let mut windows = Vec::with_capacity(examples.len());
        let mut contexts: Vec<Arc<str>> = Vec::new();
        for (part, examples) in examples.chunks(CHUNK).enumerate() {
            let questions: Vec<&str> = examples
                .par_iter()
                .map(|e| self.shortened(&whole, &e.text, room))
                .collect::<Result<_, _>>()?;
            // Each part whole, and windows only then: with truncation set, `encode` leaves out what
            // lies beyond the first window's length (tokenizers 0.23).
            let encodings = questions
                .par_iter()
                .zip(examples)
                .map(|(question, example)| {
                    let context = example.text_pair.as_deref().unwrap_or_default();
                    let question = whole.encode(*question, false)?;
                    let context = whole.encode(context, false)?;
                    windowed.post_process(question, Some(context), true)
                });
            let encodings: Result<Vec<Encoding>, _> = encodings.collect();
            for (i, encoding) in encodings.map_err(error)?.iter().enumerate() {
                let context = examples[i].text_pair.as_deref().unwrap_or_default();
                let span = answers.questions[part * CHUNK + i].span.clone();
                let mut own = Vec::new();
                for encoding in std::iter::once(encoding).chain(encoding.get_overflowing()) {
                    self.push(&mut sequences, encoding, None)?;
                    own.push(window(encoding, span.as_ref()));
                }
                windows.push(own);
                // Most questions share their text with the one before.
                let same = contexts.last().filter(|last| &***last == context).cloned();
                contexts.push(same.unwrap_or_else(|| context.into()));
            }
        }
        let answers = answers.tokenised(contexts, windows, rules);
        Ok((self.checked(sequences)?, answers))
    }

    /// The beginning of a question that has at most `room` tokens.
    fn shortened<'a>(
        &self,
        whole: &tokenizers::Tokenizer,
        question: &'a str,
        room: usize,
    ) -> Result<&'a str, TuneError> {
        let mut text = question;
        let mut most = room;
        loop {
            let encoding = whole.encode(text, false);
            let encoding = encoding.map_err(|e| self.error(e.to_string()))?;
            if encoding.len() <= room {
                return Ok(text);
            }
            // The cut word may come out as more tokens than it was.
            text = match encoding.get_offsets().get(most) {
                Some(&(end, _)) if end < text.len() => &text[..byte_floor(text, end)],
                _ => "",
            };
            most = most.saturating_sub(1);
        }
    }
}

/// A sequence's part of the text, and the answer's place in it.
fn window(encoding: &Encoding, span: Option<&Range<usize>>) -> Window {
    let of = encoding.get_sequence_ids();
    let first = of.iter().position(|id| *id == Some(1)).unwrap_or(of.len());
    let end = of
        .iter()
        .rposition(|id| *id == Some(1))
        .map_or(first, |last| last + 1);
    let range = first..end;
    let offsets: Vec<(u32, u32)> = encoding.get_offsets()[range.clone()]
        .iter()
        .map(|&(start, end)| (start as u32, end as u32))
        .collect();
    let within = |span: &Range<usize>| {
        let (start, end) = (span.start as u32, span.end as u32);
        let first = offsets.iter().rposition(|o| o.0 <= start)?;
        let last = offsets.iter().position(|o| o.1 >= end)?;
        let place = |i: usize| (range.start + i) as u32;
        (first <= last).then_some([place(first), place(last)])
    };
    Window {
        tokens: encoding.len() as u32,
        first: range.start as u32,
        target: span.and_then(within).unwrap_or_default(),
        offsets,
    }
}
