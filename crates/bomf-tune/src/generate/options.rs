//! How texts are generated.

use super::GenerationError;

/// When a beam search of an example ends, as transformers' `early_stopping` says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EarlyStopping {
    /// When the best running hypothesis, scored at its present length, is behind the worst
    /// finished one.
    #[default]
    Heuristic,
    /// When there are as many finished hypotheses as beams.
    First,
    /// When the best running hypothesis cannot overtake at any length.
    Never,
}

/// Drawing tokens at random instead of taking the likeliest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// Divides the logits; above 0.
    pub temperature: f32,
    /// The likeliest so many tokens are drawn from; `None` for all.
    pub top_k: Option<usize>,
    /// The likeliest tokens whose probabilities reach this sum are drawn from (Holtzman et
    /// al. 2020); above 0, 1 for all.
    pub top_p: f32,
    /// Seeds the draws; each example has a stream of its own.
    pub seed: u64,
}

/// How texts are generated; the default is greedy.
#[derive(Debug, Clone, PartialEq)]
pub struct GenerationOptions {
    /// Tokens of a text at most, the one that ends it included; at least 1.
    pub max_new_tokens: usize,
    /// Hypotheses that are followed; 1 takes the likeliest token each time.
    pub beams: usize,
    /// A finished hypothesis is scored by its log-probability over its length to the power
    /// of this: above 0 for longer texts.
    pub length_penalty: f32,
    /// When a beam search ends.
    pub early_stopping: EarlyStopping,
    /// Logits (log-probabilities with beams) of tokens that have occurred, those of the
    /// prompt included, are divided by this where they are above 0, and multiplied where
    /// they are below (Keskar et al. 2019); above 0, 1 for no change.
    pub repetition_penalty: f32,
    /// Drawing; with one beam only.
    pub sampling: Option<Sampling>,
}

impl Default for GenerationOptions {
    /// Greedy, 64 tokens.
    fn default() -> Self {
        GenerationOptions {
            max_new_tokens: 64,
            beams: 1,
            length_penalty: 1.0,
            early_stopping: EarlyStopping::default(),
            repetition_penalty: 1.0,
            sampling: None,
        }
    }
}

impl GenerationOptions {
    /// Whether they make sense.
    ///
    /// # Errors
    /// [`GenerationError::BadOption`].
    pub fn check(&self) -> Result<(), GenerationError> {
        let bad = |option, expected| Err(GenerationError::BadOption { option, expected });
        let positive = |v: f32| v.is_finite() && v > 0.0;
        match self {
            Self {
                max_new_tokens: 0, ..
            } => bad("max_new_tokens", "at least 1"),
            Self { beams: 0, .. } => bad("beams", "at least 1"),
            Self {
                sampling: Some(_),
                beams: 2..,
                ..
            } => bad("beams", "1 where tokens are drawn"),
            own if !own.length_penalty.is_finite() => bad("length_penalty", "a number"),
            own if !positive(own.repetition_penalty) => bad("repetition_penalty", "above 0"),
            own => match own.sampling {
                Some(s) if !positive(s.temperature) => bad("temperature", "above 0"),
                Some(s) if s.top_k == Some(0) => bad("top_k", "at least 1"),
                Some(s) if !(positive(s.top_p) && s.top_p <= 1.0) => {
                    bad("top_p", "above 0 and at most 1")
                }
                _ => Ok(()),
            },
        }
    }
}
