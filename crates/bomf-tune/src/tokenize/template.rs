//! Chat templates: conversations as the text that a model was trained to read.
//!
//! A template is a Jinja program in `chat_template.jinja`, or in the `chat_template` of
//! `tokenizer_config.json`, and is given what transformers gives it (`messages`,
//! `add_generation_prompt`, the special tokens, `raise_exception`, `tojson`). It is not told today's date
//! (`strftime_now`): a run that is repeated reads the same texts.

use crate::TuneError;
use crate::data::{Chat, Message};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Value};
use minijinja::{Environment, ErrorKind};
use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter, Serializer};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

const FILE: &str = "chat_template.jinja";
const CONFIG: &str = "tokenizer_config.json";

/// Of several templates the one that is meant where none is named.
const DEFAULT: &str = "default";

/// Special tokens that templates ask for.
const TOKENS: [&str; 7] = [
    "bos_token",
    "eos_token",
    "unk_token",
    "sep_token",
    "pad_token",
    "cls_token",
    "mask_token",
];

/// Operations of a template at most: one that does not end would end here.
const FUEL: u64 = 10_000_000;

/// How a model is shown a conversation.
#[derive(Debug)]
pub struct ChatTemplate {
    path: PathBuf,
    environment: Environment<'static>,
    tokens: BTreeMap<&'static str, String>,
}

impl ChatTemplate {
    /// The template of the model in `dir`; `None` where it has none.
    ///
    /// # Errors
    /// [`TuneError::ChatTemplate`] where it cannot be read or is no valid program.
    pub fn load(dir: &Path) -> Result<Option<Self>, TuneError> {
        let (file, config) = (dir.join(FILE), dir.join(CONFIG));
        let settings = match read(&config)? {
            Some(text) => serde_json::from_str(&text).map_err(|e| failed(&config, e))?,
            None => serde_json::Value::Null,
        };
        let (path, source) = match read(&file)? {
            Some(source) => (file, source),
            None => match in_settings(&settings["chat_template"]) {
                Some(source) => (config, source.to_owned()),
                None => return Ok(None),
            },
        };
        let token = |name: &&'static str| {
            let value = &settings[*name];
            let text = value.as_str().or_else(|| value["content"].as_str())?;
            Some((*name, text.to_owned()))
        };
        Self::new(path, &source, TOKENS.iter().filter_map(token).collect()).map(Some)
    }

    fn new(
        path: PathBuf,
        source: &str,
        tokens: BTreeMap<&'static str, String>,
    ) -> Result<Self, TuneError> {
        let mut environment = Environment::new();
        let syntax = SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .build();
        environment.set_syntax(syntax.map_err(|e| failed(&path, e))?);
        environment.set_fuel(Some(FUEL));
        environment
            .set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_filter("tojson", to_json);
        environment.add_function("raise_exception", |reason: String| {
            Err::<Value, _>(minijinja::Error::new(ErrorKind::InvalidOperation, reason))
        });
        let added = environment.add_template_owned(DEFAULT, without_marks(source));
        added.map_err(|e| failed(&path, e))?;
        Ok(ChatTemplate {
            path,
            environment,
            tokens,
        })
    }

    /// The text of `messages`; with `asks`, and of the beginning of the assistant's answer.
    ///
    /// # Errors
    /// [`TuneError::ChatTemplate`] where the template refuses them.
    pub fn render(&self, messages: &[Message], asks: bool) -> Result<String, TuneError> {
        let template = self.environment.get_template(DEFAULT);
        let template = template.map_err(|e| failed(&self.path, e))?;
        let message = |message: &Message| {
            let (role, content) = (message.role.as_str(), message.content.as_str());
            Value::from_pairs([("role", Value::from(role)), ("content", content.into())])
        };
        let messages: Vec<Value> = messages.iter().map(message).collect();
        let values = [
            ("messages", Value::from(messages)),
            ("add_generation_prompt", asks.into()),
            ("tools", ().into()),
            ("documents", ().into()),
        ];
        let tokens = self.tokens.iter();
        let tokens = tokens.map(|(name, text)| (*name, Value::from(text.as_str())));
        let values = Value::from_pairs(values.into_iter().chain(tokens));
        template.render(values).map_err(|error| {
            // What the template itself says is clearer than where it says so.
            let own = error
                .detail()
                .filter(|_| error.kind() == ErrorKind::InvalidOperation);
            match own {
                Some(reason) => failed(&self.path, reason),
                None => failed(&self.path, &error),
            }
        })
    }

    /// The prompt and the completion of a conversation: what the template writes before its
    /// last message, and of it.
    ///
    /// # Errors
    /// [`TuneError::ChatTemplate`] where the template refuses it, or writes the beginning of
    /// an answer that is not how this one begins.
    pub fn turn(&self, chat: &Chat) -> Result<(String, String), TuneError> {
        let prompt = self.render(chat.prompt(), true)?;
        let whole = self.render(&chat.messages, false)?;
        match whole.strip_prefix(&prompt) {
            Some(completion) => {
                let completion = completion.to_owned();
                Ok((prompt, completion))
            }
            None => {
                let reason =
                    "a conversation does not begin as the prompt for its last message does";
                Err(failed(&self.path, reason))
            }
        }
    }
}

fn failed(path: &Path, reason: impl std::fmt::Display) -> TuneError {
    TuneError::ChatTemplate {
        path: path.into(),
        reason: reason.to_string(),
    }
}

fn read(path: &Path) -> Result<Option<String>, TuneError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(path, error)),
    }
}

/// A template, or of several with names the one that is meant.
fn in_settings(value: &serde_json::Value) -> Option<&str> {
    let named = |item: &&serde_json::Value| item["name"] == DEFAULT;
    match value {
        serde_json::Value::Array(items) => items.iter().find(named)?["template"].as_str(),
        other => other.as_str(),
    }
}

/// The marks around what an assistant says (`{% generation %}`), which are not Jinja's, as blocks
/// that do nothing: what blocks do to the space around them stays.
fn without_marks(source: &str) -> String {
    let mut text = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(start) = rest.find("{%") {
        let Some(length) = rest[start..].find("%}") else {
            break;
        };
        let (before, block, after) = (
            &rest[..start],
            &rest[start..start + length + 2],
            &rest[start + length + 2..],
        );
        text.push_str(before);
        let word = block[2..length].trim_matches(|c: char| c.is_whitespace() || "-+".contains(c));
        match word {
            "generation" => text.push_str(&block.replace("generation", "if true")),
            "endgeneration" => text.push_str(&block.replace("endgeneration", "endif")),
            _ => text.push_str(block),
        }
        rest = after;
    }
    text.push_str(rest);
    text
}

/// Python's `json.dumps(value, ensure_ascii=False)`.
fn to_json(value: Value, options: Kwargs) -> Result<String, minijinja::Error> {
    let indent: Option<usize> = options.get("indent")?;
    let wrong = |reason: String| minijinja::Error::new(ErrorKind::InvalidOperation, reason);
    let mut out = Vec::new();
    let written = match indent {
        Some(indent) => {
            let spaces = vec![b' '; indent];
            let formatter = PrettyFormatter::with_indent(&spaces);
            value.serialize(&mut Serializer::with_formatter(&mut out, formatter))
        }
        None => value.serialize(&mut Serializer::with_formatter(&mut out, OneLine)),
    };
    written.map_err(|error| wrong(error.to_string()))?;
    String::from_utf8(out).map_err(|error| wrong(error.to_string()))
}

/// As Python writes JSON on one line: with a space behind `,` and `:`.
struct OneLine;

impl Formatter for OneLine {
    fn begin_array_value<W: ?Sized + io::Write>(
        &mut self,
        out: &mut W,
        first: bool,
    ) -> io::Result<()> {
        out.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_key<W: ?Sized + io::Write>(
        &mut self,
        out: &mut W,
        first: bool,
    ) -> io::Result<()> {
        out.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        out.write_all(b": ")
    }
}
