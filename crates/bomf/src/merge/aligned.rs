//! Models as they are fused: tied heads hidden, units in the order of the reference's.

use super::beside::{json, read};
use super::models::Models;
use super::recipe::MergeFile;
use crate::pipeline::in_pool;
use crate::{Error, Observer};
use bomf_fuse::Weights;
use bomf_fuse::align::{Aligned, Alignment, Heads};
use bomf_fuse::plan::Tied;
use serde_json::Value;

const CONFIG: &str = "config.json";

/// What architectures call their number of attention heads, and that of keys and values.
const HEADS: [&str; 3] = ["num_attention_heads", "n_head", "n_heads"];
const KEY_VALUE_HEADS: [&str; 1] = ["num_key_value_heads"];

/// Where a configuration says whether the output head is the input embedding.
const TIED: &str = "tie_word_embeddings";

/// A part of `config.json` that may hold what is not at the top.
const PART: &str = "text_config";

type Boxed<'a> = Box<dyn Weights + 'a>;

/// The recipe's models, ready to be planned.
pub(super) fn weights<'a>(
    file: &MergeFile,
    models: &'a Models,
    threads: usize,
    observer: &mut dyn Observer,
) -> Result<Vec<Boxed<'a>>, Error> {
    let mut weights: Vec<Boxed<'a>> = Vec::new();
    for (model, own) in models.weights()?.into_iter().enumerate() {
        let is_tied = config(models, model)?
            .as_ref()
            .and_then(|config| value(config, &[TIED]))
            .and_then(Value::as_bool);
        weights.push(match is_tied {
            Some(true) => {
                let tied = Tied(own);
                if let Some(head) = tied.hidden() {
                    observer.note(&format!(
                        "`{head}` of {} is left out: its configuration ties it to the input \
                         embedding",
                        file.recipe.models()[model]
                    ));
                }
                Box::new(tied)
            }
            _ => own,
        });
    }
    match file.align {
        Some(align) => aligned(
            weights,
            file,
            models,
            align.regularisation,
            threads,
            observer,
        ),
        None => Ok(weights),
    }
}

fn aligned<'a>(
    weights: Vec<Boxed<'a>>,
    file: &MergeFile,
    models: &Models,
    regularisation: f64,
    threads: usize,
    observer: &mut dyn Observer,
) -> Result<Vec<Boxed<'a>>, Error> {
    let names = file.recipe.models();
    let reference = file.recipe.reference();
    let heads = heads(models, reference)?;
    let mut found = Vec::with_capacity(weights.len());
    for model in 0..weights.len() {
        if model == reference {
            found.push(None);
            continue;
        }
        let (of, to) = (&weights[model], &weights[reference]);
        let alignment = in_pool(threads, || {
            Ok(Alignment::find(to, of, heads, regularisation)?)
        })?;
        let told = match regularisation == 0.0 {
            true => format!("{} of {} units moved", alignment.moved, alignment.units),
            false => format!("{} units mixed", alignment.units),
        };
        observer.note(&format!(
            "{} is aligned with {}: {told}",
            names[model], names[reference]
        ));
        found.push(Some(alignment));
    }
    let pairs = weights.into_iter().zip(found);
    Ok(pairs
        .map(|(own, alignment)| match alignment {
            Some(alignment) => Box::new(Aligned::new(own, alignment)) as Boxed<'a>,
            None => own,
        })
        .collect())
}

/// A model's `config.json`, where it has one.
fn config(models: &Models, model: usize) -> Result<Option<Value>, Error> {
    let path = models.folder(model).map(|folder| folder.join(CONFIG));
    match path.filter(|path| path.is_file()) {
        Some(path) => Ok(Some(json(&read(&path)?, &path)?)),
        None => Ok(None),
    }
}

/// A value of a configuration under the first of these names, at the top or in its part on text.
fn value<'a>(config: &'a Value, names: &[&str]) -> Option<&'a Value> {
    let places = [Some(config), config.get(PART)];
    places
        .into_iter()
        .flatten()
        .find_map(|place| names.iter().find_map(|name| place.get(name)))
}

fn heads(models: &Models, model: usize) -> Result<Heads, Error> {
    let config = config(models, model)?.unwrap_or_default();
    let number = |names: &[&str]| {
        let number = value(&config, names).and_then(Value::as_u64)?;
        usize::try_from(number).ok()
    };
    match number(&HEADS) {
        Some(queries) => Ok(Heads {
            queries,
            key_values: number(&KEY_VALUE_HEADS).unwrap_or(queries),
        }),
        None => Err(Error::NoHeads {
            path: models.places[model].join(CONFIG),
        }),
    }
}
