//! Which row of each model a token of the output is.

use super::tokens::Vocabulary;
use super::{File, Matched, NewToken};
use crate::merge::recipe::{MergeFile, RowSource, TokenRows, Tokenizer, TokenizerSource};
use crate::{Error, Observer};
use bomf_fuse::vocabulary::{Row, StandIn, Tokens};
use bomf_tune::tokenize::{AddedToken, with_added_tokens};
use std::collections::{BTreeMap, BTreeSet};

/// Matches vocabularies; `known` are those of the models that have one, the donor among them, and
/// `rows` how many rows their tensors have.
///
/// # Errors
/// A recipe that asks for rows that are not there, and a donor's file that takes no more tokens.
pub(super) fn matched(
    file: &MergeFile,
    asked: &Tokenizer,
    donor: usize,
    files: &[Option<File>],
    known: &[Option<Vocabulary>],
    rows: &[usize],
    observer: &mut dyn Observer,
) -> Result<Matched, Error> {
    let names = file.recipe.models();
    let models = Models {
        file,
        donor,
        known,
        rows,
    };
    let new = models.new_tokens(asked, observer);
    let (tokenizer, added): (_, Vec<NewToken>) = match (new.is_empty(), &files[donor]) {
        (false, Some(of_donor)) => {
            let (bytes, numbers) = with_added_tokens(&of_donor.bytes, &new, &of_donor.path)?;
            (Some(bytes), numbers.into_iter().zip(new).collect())
        }
        _ => (None, Vec::new()),
    };
    let mut tokens: Vec<Option<&str>> = models.of(donor).in_order();
    for (number, token) in &added {
        tokens.resize(tokens.len().max(number + 1), None);
        tokens[*number] = Some(&token.content);
    }
    let rules: BTreeMap<&str, &TokenRows> = asked
        .tokens
        .iter()
        .map(|(token, rule)| (token.as_str(), rule))
        .collect();

    let mut own = vec![Vec::with_capacity(tokens.len()); names.len()];
    let mut stand_ins = Vec::with_capacity(tokens.len());
    let mut nowhere = Vec::new();
    for (number, token) in tokens.iter().enumerate() {
        let found: Vec<Option<usize>> = (0..names.len())
            .map(|model| match token {
                Some(token) => models.row(model, token),
                // A number that no token has is a row of the donor's all the same.
                None => Some(number).filter(|&row| model == donor && models.has(model, row)),
            })
            .collect();
        let rule = token.and_then(|token| rules.get(token));
        let stand_in = match (rule.and_then(|rule| rule.source.as_ref()), token) {
            (Some(source), Some(token)) => models.stand_in(token, source)?,
            _ => models.usual(&found),
        };
        if stand_in == StandIn::Zero && rule.is_none() {
            nowhere.extend(*token);
        }
        let is_forced = rule.is_some_and(|rule| rule.force);
        for (own, row) in own.iter_mut().zip(found) {
            own.push(row.filter(|_| !is_forced));
        }
        stand_ins.push(stand_in);
    }
    note(names, &own, &nowhere, observer);
    let numbers: BTreeMap<&str, usize> = tokens
        .iter()
        .enumerate()
        .filter_map(|(number, token)| Some(((*token)?, number)))
        .collect();
    let of_reference = &models.of(file.recipe.reference()).numbers;
    let numbers = of_reference
        .iter()
        .filter_map(|(token, number)| Some((*number, *numbers.get(token.as_str())?)))
        .collect();
    let multiple = asked.pad_to_multiple_of.unwrap_or(1);
    Ok(Matched {
        tokens: Tokens {
            padding: stand_ins.len().next_multiple_of(multiple) - stand_ins.len(),
            own,
            stand_ins,
        },
        tokenizer,
        added,
        numbers,
    })
}

/// The models' vocabularies.
struct Models<'a> {
    file: &'a MergeFile,
    donor: usize,
    known: &'a [Option<Vocabulary>],
    rows: &'a [usize],
}

impl Models<'_> {
    /// A model's vocabulary, which is the donor's where it has none.
    fn of(&self, model: usize) -> &Vocabulary {
        match (&self.known[model], &self.known[self.donor]) {
            (Some(own), _) | (None, Some(own)) => own,
            (None, None) => unreachable!("the donor has a vocabulary"),
        }
    }

    fn has(&self, model: usize, row: usize) -> bool {
        row < self.rows[model]
    }

    /// A token's row in a model. Some tokenizers know more tokens than their model has rows.
    fn row(&self, model: usize, token: &str) -> Option<usize> {
        let number = self.of(model).numbers.get(token).copied();
        number.filter(|&row| self.has(model, row))
    }

    /// Tokens that the donor does not have: those of the others, model by model in the order of
    /// their numbers, and those which the recipe names.
    fn new_tokens(&self, asked: &Tokenizer, observer: &mut dyn Observer) -> Vec<AddedToken> {
        let names = self.file.recipe.models();
        let mut known: BTreeSet<&str> = self.of(self.donor).numbers.keys().map(|t| &**t).collect();
        let mut new = Vec::new();
        let others = match asked.source {
            TokenizerSource::Union => 0..names.len(),
            TokenizerSource::Base | TokenizerSource::Model(_) => 0..0,
        };
        for model in others {
            let own = self.of(model);
            let before = new.len();
            for token in own.in_order().into_iter().flatten() {
                if self.row(model, token).is_some() && known.insert(token) {
                    new.push(own.as_added(token));
                }
            }
            if new.len() > before {
                observer.note(&format!(
                    "tokens of {} that are added to those of {}: {}",
                    names[model],
                    names[self.donor],
                    new.len() - before
                ));
            }
        }
        for (token, _) in &asked.tokens {
            if known.insert(token) {
                new.push(AddedToken::from(token.as_str(), false));
            }
        }
        new
    }

    /// What stands for a token where it is missing: the row of the only model that has it, or
    /// else the base model's, or else the mean of all.
    fn usual(&self, found: &[Option<usize>]) -> StandIn {
        let having = |model: usize| found[model].map(|row| StandIn::Row(Row { model, row }));
        let mut all = (0..found.len()).filter_map(having);
        match (all.next(), all.next()) {
            (None, _) => StandIn::Zero,
            (Some(only), None) => only,
            _ => self
                .file
                .recipe
                .base()
                .and_then(having)
                .unwrap_or(StandIn::Mean),
        }
    }

    /// What the recipe says that stands for a token.
    fn stand_in(&self, token: &str, source: &RowSource) -> Result<StandIn, Error> {
        let (model, row) = match source {
            RowSource::Zero => return Ok(StandIn::Zero),
            RowSource::Model(model) => (*model, self.row(*model, token)),
            RowSource::Token { model, token } => (*model, self.row(*model, token)),
            RowSource::Number { model, number } => {
                (*model, Some(*number).filter(|&row| self.has(*model, row)))
            }
        };
        match row {
            Some(row) => Ok(StandIn::Row(Row { model, row })),
            None => Err(Error::NoToken {
                token: match source {
                    RowSource::Token { token, .. } => format!("`{token}`"),
                    RowSource::Number { number, .. } => format!("number {number}"),
                    RowSource::Model(_) | RowSource::Zero => format!("`{token}`"),
                },
                model: self.file.recipe.models()[model].clone(),
            }),
        }
    }
}

/// Says how much of the output's vocabulary is not the models' own.
fn note(
    names: &[String],
    own: &[Vec<Option<usize>>],
    nowhere: &[&str],
    observer: &mut dyn Observer,
) {
    for (name, own) in names.iter().zip(own) {
        let missing = own.iter().filter(|row| row.is_none()).count();
        if missing > 0 {
            observer.note(&format!(
                "tokens that are not {name}'s own, and rows of others stand for them: {missing} of {}",
                own.len()
            ));
        }
    }
    if let Some(first) = nowhere.first() {
        observer.note(&format!(
            "tokens that have a row in no model, and get zeros: {}, the first is `{first}`",
            nowhere.len()
        ));
    }
}
