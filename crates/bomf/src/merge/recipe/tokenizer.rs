//! `tokenizer_source`, or `tokenizer` with its three fields.

use super::parse::mapping;
use crate::RecipeError;
use crate::recipe::node::Value;
use crate::recipe::read::{Field, Section};

/// The most rows that a vocabulary is padded to a multiple of; far more than any device asks for.
const MAX_MULTIPLE: usize = 1 << 16;

/// The greatest number of a token; far more than any vocabulary has.
pub(in crate::merge) const MAX_TOKENS: usize = 1 << 24;

/// The tokenizer of the output, where the recipe asks for one: embeddings are matched token by
/// token then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokenizer {
    /// Whose tokens there are.
    pub source: TokenizerSource,
    /// What the rows of some tokens are, in the recipe's order; tokens that nobody has are added.
    pub tokens: Vec<(String, TokenRows)>,
    /// The number of rows is a multiple of this.
    pub pad_to_multiple_of: Option<usize>,
}

/// Whose tokens the output has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenizerSource {
    /// Those of the reference model.
    Base,
    /// Those of the model of this number.
    Model(usize),
    /// Those of the reference model, and then what others have beside them.
    Union,
}

/// What the rows of a token are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRows {
    /// Where the row of a model comes from that does not have the token; `None` is the rule.
    pub source: Option<RowSource>,
    /// Whether it takes the place of a row that there is, too.
    pub force: bool,
}

/// Where a token's row comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowSource {
    /// Zeros.
    Zero,
    /// The same token of this model.
    Model(usize),
    /// A token of a model by its text.
    Token {
        /// The model.
        model: usize,
        /// The token.
        token: String,
    },
    /// A token of a model by its number.
    Number {
        /// The model.
        model: usize,
        /// The token's number there.
        number: usize,
    },
}

/// What a recipe says of its tokenizer; nothing where it has neither field.
pub(super) fn tokenizer(
    top: &mut Section<'_>,
    models: &[String],
) -> Result<Option<Tokenizer>, RecipeError> {
    let (source, tokenizer) = (top.field("tokenizer_source"), top.field("tokenizer"));
    match (source, tokenizer) {
        (Some(_), Some(tokenizer)) => {
            Err(tokenizer.wrong("left out where there is `tokenizer_source`"))
        }
        (None, None) => Ok(None),
        (Some(field), None) => Ok(Some(Tokenizer {
            source: source_of(&field, models)?,
            tokens: Vec::new(),
            pad_to_multiple_of: None,
        })),
        (None, Some(field)) => section(&field, models).map(Some),
    }
}

fn section(field: &Field<'_>, models: &[String]) -> Result<Tokenizer, RecipeError> {
    let mut section = field.section()?;
    let mut tokenizer = Tokenizer {
        source: TokenizerSource::Union,
        tokens: Vec::new(),
        pad_to_multiple_of: None,
    };
    section.read("source", &mut tokenizer.source, |f| source_of(&f, models))?;
    section.read("tokens", &mut tokenizer.tokens, |f| tokens(&f, models))?;
    section.read(
        "pad_to_multiple_of",
        &mut tokenizer.pad_to_multiple_of,
        |f| f.count(1, MAX_MULTIPLE).map(Some),
    )?;
    section.finish()?;
    Ok(tokenizer)
}

fn source_of(field: &Field<'_>, models: &[String]) -> Result<TokenizerSource, RecipeError> {
    match field.text()?.as_str() {
        "base" => Ok(TokenizerSource::Base),
        "union" => Ok(TokenizerSource::Union),
        name => match models.iter().position(|model| model == name) {
            Some(number) => Ok(TokenizerSource::Model(number)),
            None => Err(field.wrong("base, union, or one of the recipe's models")),
        },
    }
}

fn tokens(field: &Field<'_>, models: &[String]) -> Result<Vec<(String, TokenRows)>, RecipeError> {
    let Value::Map(entries) = &field.node.value else {
        return Err(field.wrong("a mapping from tokens to what their rows are"));
    };
    let rows = entries.iter().map(|(key, node)| {
        let field = Field {
            file: field.file,
            path: format!("{}.{}", field.path, key.name),
            node,
        };
        Ok((key.name.clone(), rows(&field, models)?))
    });
    rows.collect()
}

fn rows(field: &Field<'_>, models: &[String]) -> Result<TokenRows, RecipeError> {
    let mut section = field.section()?;
    let mut rows = TokenRows {
        source: None,
        force: false,
    };
    section.read("source", &mut rows.source, |f| {
        row_source(&f, models).map(Some)
    })?;
    section.read("force", &mut rows.force, |f| f.boolean())?;
    section.finish()?;
    match (rows.force, &rows.source) {
        (true, None) => Err(field.wrong("a mapping that has `source` beside `force`")),
        _ => Ok(rows),
    }
}

/// A model's name, or a mapping with `kind`.
fn row_source(field: &Field<'_>, models: &[String]) -> Result<RowSource, RecipeError> {
    if !matches!(field.node.value, Value::Map(_)) {
        return model_of(field, models).map(RowSource::Model);
    }
    let mut section = mapping(field, "kind")?;
    let Some(kind) = section.field("kind") else {
        return Err(field.wrong("a mapping that has `kind`"));
    };
    let is_zero = kind.word(&[("zero", true), ("model_token", false)])?;
    if is_zero {
        section.finish()?;
        return Ok(RowSource::Zero);
    }
    let Some(model) = section.field("model") else {
        return Err(field.wrong("a mapping that has `model`"));
    };
    let model = model_of(&model, models)?;
    let (token, number) = (section.field("token"), section.field("token_id"));
    section.finish()?;
    match (token, number) {
        (Some(token), None) => Ok(RowSource::Token {
            model,
            token: token.text()?,
        }),
        (None, Some(number)) => Ok(RowSource::Number {
            model,
            number: number.count(0, MAX_TOKENS)?,
        }),
        _ => Err(field.wrong("a mapping that has one of `token` and `token_id`")),
    }
}

fn model_of(field: &Field<'_>, models: &[String]) -> Result<usize, RecipeError> {
    let name = field.text()?;
    let number = models.iter().position(|model| *model == name);
    number.ok_or_else(|| field.wrong("one of the recipe's models, or a mapping that has `kind`"))
}
