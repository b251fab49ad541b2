//! What a causal language model reads of an example: its texts as they are, or a conversation as
//! the model's own template writes it.

use super::out_of_range;
use crate::Error;
use crate::recipe::Recipe;
use bomf_tune::TuneError;
use bomf_tune::batch::Sequences;
use bomf_tune::data::{Chat, Example};
use bomf_tune::tokenize::{ChatTemplate, TextTokenizer};
use rayon::prelude::*;
use std::borrow::Cow;
use std::path::Path;

/// How the examples of a run are written.
pub(super) struct Dialogue {
    /// `None` where no example is a conversation.
    template: Option<ChatTemplate>,
}

impl Dialogue {
    /// For `examples` and the model in `model_dir`; where one is a conversation, all are.
    ///
    /// # Errors
    /// Where conversations are to be read by a model that has no template for them.
    pub fn new<'a>(
        recipe: &Recipe,
        model_dir: &Path,
        mut examples: impl Iterator<Item = &'a Example>,
    ) -> Result<Self, Error> {
        let is_chat = recipe.task.chat || examples.any(|example| example.chat.is_some());
        let template = match is_chat {
            true => ChatTemplate::load(model_dir)?,
            false => None,
        };
        match (is_chat, &template) {
            (true, None) => Err(TuneError::NoChatTemplate {
                path: model_dir.into(),
            }
            .into()),
            _ => Ok(Dialogue { template }),
        }
    }

    /// The sequences of examples, of which the completions are to be predicted.
    pub fn encode(
        &self,
        tokenizer: &TextTokenizer,
        examples: &[Example],
    ) -> Result<Sequences, Error> {
        let Some(template) = &self.template else {
            let texts = examples.iter();
            let texts = texts.map(|e| (e.text.as_str(), e.text_pair.as_deref()));
            return Ok(tokenizer.encode_completions(texts)?);
        };
        let turn = |example: &Example| Ok::<_, Error>(template.turn(&*chat_of(example)?)?);
        let turns: Vec<(String, String)> =
            examples.par_iter().map(turn).collect::<Result<_, _>>()?;
        let turns = turns.iter();
        let turns = turns.map(|(prompt, completion)| (prompt.as_str(), completion.as_str()));
        Ok(tokenizer.encode_turns(turns)?)
    }

    /// The prompts of examples, with room for `new_tokens` behind them.
    pub fn encode_prompts(
        &self,
        tokenizer: &TextTokenizer,
        examples: &[Example],
        new_tokens: usize,
    ) -> Result<Sequences, Error> {
        let Some(template) = &self.template else {
            let prompts = examples.iter().map(|e| e.text.as_str());
            return Ok(tokenizer.encode_prompts(prompts, new_tokens)?);
        };
        let prompt = |example: &Example| match &example.chat {
            Some(chat) => template.render(chat.prompt(), true),
            None => template.render(Chat::of_pair(&example.text, "").prompt(), true),
        };
        let prompts: Vec<String> = examples.par_iter().map(prompt).collect::<Result<_, _>>()?;
        let prompts = prompts.iter().map(String::as_str);
        Ok(tokenizer.encode_turn_prompts(prompts, new_tokens)?)
    }
}

/// The conversation of an example; a prompt and its completion are one.
fn chat_of(example: &Example) -> Result<Cow<'_, Chat>, Error> {
    match (&example.chat, &example.text_pair) {
        (Some(chat), _) => Ok(Cow::Borrowed(chat)),
        (None, Some(completion)) => Ok(Cow::Owned(Chat::of_pair(&example.text, completion))),
        (None, None) => {
            let expected = "false for texts that are no prompts with their completions";
            Err(out_of_range("task.chat", "true", expected))
        }
    }
}
