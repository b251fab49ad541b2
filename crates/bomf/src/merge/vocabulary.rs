//! Whether models have the same vocabulary: fusion takes embeddings row by row.

use super::beside::{json, read};
use super::models::Models;
use super::recipe::{MergeFile, Tokenizer};
use crate::{Error, Observer};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// Files that hold a vocabulary; the first that a model has counts.
const FILES: [&str; 4] = [
    "tokenizer.json",
    "tokenizer.model",
    "vocab.json",
    "vocab.txt",
];

/// Compares every model's vocabulary with that of `donor`: refuses others where the recipe asks
/// for one vocabulary, and notes them where it does not.
pub(super) fn check(
    file: &MergeFile,
    models: &Models,
    donor: usize,
    observer: &mut dyn Observer,
) -> Result<(), Error> {
    let names = file.recipe.models();
    let Some((kind, reference)) = vocabulary(models, donor)? else {
        return Ok(());
    };
    for model in (0..names.len()).filter(|&model| model != donor) {
        let Some((other_kind, bytes)) = vocabulary(models, model)? else {
            continue;
        };
        let difference = match kind == other_kind {
            true => difference(kind, &reference, &bytes)?,
            // Two formats are not compared.
            false => continue,
        };
        let Some(token) = difference else {
            continue;
        };
        if file.tokenizer != Tokenizer::Reference {
            return Err(Error::OtherVocabulary {
                model: names[model].clone(),
                reference: names[donor].clone(),
                token,
            });
        }
        observer.note(&format!(
            "the vocabularies of {} and {} differ ({token}); embeddings are fused row by row",
            names[model], names[donor]
        ));
    }
    Ok(())
}

fn vocabulary(models: &Models, model: usize) -> Result<Option<(&'static str, Vec<u8>)>, Error> {
    let Some(folder) = models.folder(model) else {
        return Ok(None);
    };
    let found = FILES.into_iter().find(|name| folder.join(name).is_file());
    found
        .map(|name| Ok((name, read(&folder.join(name))?)))
        .transpose()
}

/// What differs between two vocabularies, in words.
fn difference(kind: &'static str, a: &[u8], b: &[u8]) -> Result<Option<String>, Error> {
    if a == b {
        return Ok(None);
    }
    if kind != "tokenizer.json" {
        return Ok(Some(format!("in {kind}")));
    }
    let (a, b) = (tokens(a, kind)?, tokens(b, kind)?);
    let of_a = a.iter().find(|(token, id)| b.get(*token) != Some(id));
    let of_b = b.iter().find(|(token, id)| a.get(*token) != Some(id));
    Ok(of_a.or(of_b).map(|(token, _)| {
        let number = |tokens: &BTreeMap<String, u64>| match tokens.get(token) {
            Some(id) => format!("number {id}"),
            None => "missing".to_owned(),
        };
        format!("token `{token}` is {} and {}", number(&b), number(&a))
    }))
}

/// The tokens of a `tokenizer.json` and their numbers.
fn tokens(bytes: &[u8], name: &str) -> Result<BTreeMap<String, u64>, Error> {
    let tokenizer = json(bytes, Path::new(name))?;
    let mut tokens = BTreeMap::new();
    match &tokenizer["model"]["vocab"] {
        Value::Object(vocab) => {
            let known = vocab
                .iter()
                .filter_map(|(token, id)| Some((token.clone(), id.as_u64()?)));
            tokens.extend(known);
        }
        // Of a unigram model: pairs of token and score.
        Value::Array(vocab) => {
            for (id, pair) in (0..).zip(vocab) {
                if let Some(token) = pair[0].as_str() {
                    tokens.insert(token.to_owned(), id);
                }
            }
        }
        _ => {}
    }
    for added in tokenizer["added_tokens"].as_array().into_iter().flatten() {
        if let (Some(token), Some(id)) = (added["content"].as_str(), added["id"].as_u64()) {
            tokens.insert(token.to_owned(), id);
        }
    }
    Ok(tokens)
}
