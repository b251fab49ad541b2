//! The output's vocabulary: whose tokenizer it has, and which row of each model a token is.
//!
//! Without a word in the recipe, the reference model's tokenizer goes along and embeddings are
//! fused row by row, with a note where that mixes tokens up. Where the recipe asks for a
//! tokenizer, `matching` finds the row of every token in every model, and `bomf-fuse` reads the
//! models' vocabularies in that order.

mod matching;
mod settings;
mod tokens;

use super::beside::read;
use super::models::Models;
use super::recipe::{MergeFile, TokenizerSource};
use crate::{Error, Observer};
use bomf_fuse::Weights;
use bomf_fuse::vocabulary::{Relabelled, Tokens, vocabulary_rows};
use bomf_tune::tokenize::AddedToken;
use std::collections::BTreeMap;
use std::path::PathBuf;
use tokens::Vocabulary;

/// The file that vocabularies are matched by.
const TOKENIZER: &str = "tokenizer.json";

/// Files that hold a vocabulary; the first that a model has counts.
const FILES: [&str; 4] = [TOKENIZER, "tokenizer.model", "vocab.json", "vocab.txt"];

/// The vocabulary of the output.
pub(super) struct OutputVocabulary {
    /// The model whose tokenizer the output has.
    pub donor: usize,
    /// What is other than the donor's, where the models' vocabularies are not one.
    pub matched: Option<Matched>,
}

/// A vocabulary that had to be matched.
pub(super) struct Matched {
    /// Where each model has each token.
    tokens: Tokens,
    /// `tokenizer.json` with the tokens that are new to the donor, if there are any.
    pub tokenizer: Option<Vec<u8>>,
    /// Those tokens with their numbers.
    pub added: Vec<NewToken>,
    /// The output's numbers of the reference model's tokens, by theirs; tokens that the output
    /// does not have are left out.
    pub numbers: BTreeMap<usize, usize>,
}

/// A token that is new to the donor's tokenizer, with its number there.
type NewToken = (usize, AddedToken);

impl Matched {
    /// Rows of the output's embedding.
    pub fn rows(&self) -> usize {
        self.tokens.rows()
    }
}

/// A file of a vocabulary.
struct File {
    name: &'static str,
    path: PathBuf,
    bytes: Vec<u8>,
}

/// Finds the vocabulary of the output of these models.
///
/// # Errors
/// [`Error::OtherVocabulary`] where vocabularies differ and cannot be matched,
/// [`Error::NoVocabulary`] where the one that is asked for is missing.
pub(super) fn find(
    file: &MergeFile,
    models: &Models,
    weights: &[Box<dyn Weights + '_>],
    observer: &mut dyn Observer,
) -> Result<OutputVocabulary, Error> {
    let reference = file.recipe.reference();
    let files = (0..weights.len()).map(|model| vocabulary_file(models, model));
    let files: Vec<Option<File>> = files.collect::<Result<_, Error>>()?;
    let Some(asked) = &file.tokenizer else {
        note_differences(file, &files, observer)?;
        return Ok(OutputVocabulary {
            donor: reference,
            matched: None,
        });
    };
    let donor = match asked.source {
        TokenizerSource::Model(model) => model,
        TokenizerSource::Base | TokenizerSource::Union => reference,
    };
    let same = OutputVocabulary {
        donor,
        matched: None,
    };
    let names = file.recipe.models();
    let Some(of_donor) = &files[donor] else {
        return Err(Error::NoVocabulary {
            model: names[donor].clone(),
        });
    };
    let rows: Vec<Option<usize>> = weights.iter().map(|w| vocabulary_rows(&**w)).collect();
    let is_plain = asked.tokens.is_empty() && asked.pad_to_multiple_of.is_none();
    let is_as_tall = rows.iter().all(|own| *own == rows[donor]);
    let is_one = |other: &File| other.name == of_donor.name && other.bytes == of_donor.bytes;
    if is_plain && is_as_tall && files.iter().flatten().all(is_one) {
        return Ok(same);
    }
    let differs = |model: usize, token: &str| Error::OtherVocabulary {
        model: names[model].clone(),
        reference: names[donor].clone(),
        token: token.into(),
    };
    let mut known = Vec::with_capacity(files.len());
    for (model, own) in files.iter().enumerate() {
        known.push(match own {
            Some(own) if own.name == TOKENIZER => Some(Vocabulary::read(&own.bytes, &own.path)?),
            Some(own) => return Err(differs(model, &format!("one is in {}", own.name))),
            None => {
                observer.note(&format!(
                    "{} has no tokenizer: its vocabulary is taken to be that of {}",
                    names[model], names[donor]
                ));
                None
            }
        });
    }
    let of_donor = match &known[donor] {
        Some(vocabulary) => &vocabulary.numbers,
        None => unreachable!("the donor's file was found above"),
    };
    if is_plain && is_as_tall && known.iter().flatten().all(|v| v.numbers == *of_donor) {
        return Ok(same);
    }
    for (model, weights) in weights.iter().enumerate() {
        if weights.statistics().is_some() {
            return Err(differs(model, "statistics are of a model's own tokens"));
        }
        if rows[model].is_none() {
            return Err(differs(model, "its embedding has no name that is known"));
        }
    }
    let rows: Vec<usize> = rows.into_iter().flatten().collect();
    let matched = matching::matched(file, asked, donor, &files, &known, &rows, observer)?;
    Ok(OutputVocabulary {
        donor,
        matched: Some(matched),
    })
}

impl OutputVocabulary {
    /// The models with their rows in the order of the output's tokens.
    pub fn relabelled<'a>(
        &self,
        weights: Vec<Box<dyn Weights + 'a>>,
    ) -> Vec<Box<dyn Weights + 'a>> {
        match &self.matched {
            Some(matched) => Relabelled::all(weights, matched.tokens.clone())
                .into_iter()
                .map(|model| Box::new(model) as Box<dyn Weights + 'a>)
                .collect(),
            None => weights,
        }
    }
}

/// Says where embeddings are fused row by row although the rows are other tokens.
fn note_differences(
    file: &MergeFile,
    files: &[Option<File>],
    observer: &mut dyn Observer,
) -> Result<(), Error> {
    let names = file.recipe.models();
    let reference = file.recipe.reference();
    let Some(of_reference) = &files[reference] else {
        return Ok(());
    };
    for (model, own) in files.iter().enumerate() {
        // Two formats are not compared.
        let Some(own) = own.as_ref().filter(|own| own.name == of_reference.name) else {
            continue;
        };
        if let Some(token) = difference(of_reference, own)? {
            observer.note(&format!(
                "the vocabularies of {} and {} differ ({token}); embeddings are fused row by row, \
                 unless the recipe has a tokenizer_source",
                names[model], names[reference]
            ));
        }
    }
    Ok(())
}

fn vocabulary_file(models: &Models, model: usize) -> Result<Option<File>, Error> {
    let Some(folder) = models.folder(model) else {
        return Ok(None);
    };
    let found = FILES.into_iter().find(|name| folder.join(name).is_file());
    found
        .map(|name| {
            let path = folder.join(name);
            let bytes = read(&path)?;
            Ok(File { name, path, bytes })
        })
        .transpose()
}

/// What differs between two vocabularies of one format, in words.
fn difference(a: &File, b: &File) -> Result<Option<String>, Error> {
    if a.bytes == b.bytes {
        return Ok(None);
    }
    if a.name != TOKENIZER {
        return Ok(Some(format!("in {}", a.name)));
    }
    let a = Vocabulary::read(&a.bytes, &a.path)?.numbers;
    let b = Vocabulary::read(&b.bytes, &b.path)?.numbers;
    let of_a = a.iter().find(|(token, id)| b.get(*token) != Some(id));
    let of_b = b.iter().find(|(token, id)| a.get(*token) != Some(id));
    Ok(of_a.or(of_b).map(|(token, _)| {
        let number = |tokens: &BTreeMap<String, usize>| match tokens.get(token) {
            Some(id) => format!("number {id}"),
            None => "missing".to_owned(),
        };
        format!("token `{token}` is {} and {}", number(&b), number(&a))
    }))
}
